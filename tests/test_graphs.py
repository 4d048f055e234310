"""Functions that a GPU replays as recorded graphs."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from rlmpc.graphs import WARM_UPS, Replayed, at_once, copy_all, forget_recordings, use_graphs
from tests.recorded import RecordedOnCpu

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="records graphs on a GPU only")
DEVICES = ["cpu", pytest.param("cuda", marks=ON_GPU)]
MORE_CALLS = WARM_UPS + 5


def test_on_the_cpu_the_function_itself_is_called() -> None:
    calls = []
    double = Replayed(lambda x: calls.append(1) or 2 * x, torch.device("cpu"))
    assert [double(torch.tensor(i)).item() for i in range(MORE_CALLS)] == [2 * i for i in range(MORE_CALLS)]
    assert len(calls) == MORE_CALLS


@ON_GPU
def test_a_replay_takes_todays_arguments_and_changes_what_the_function_changes() -> None:
    total, calls = torch.zeros((), device="cuda"), []

    def add(x: dict[str, torch.Tensor]) -> torch.Tensor:
        calls.append(1)
        total.add_(x["a"])
        return total * 2

    adding = Replayed(add, total.device)
    results = [adding({"a": torch.tensor(float(i), device="cuda")}).item() for i in range(MORE_CALLS)]
    assert results == [float(i * (i + 1)) for i in range(MORE_CALLS)]
    assert len(calls) == WARM_UPS + 1


@ON_GPU
def test_every_replay_draws_other_random_numbers_the_same_as_without_graphs() -> None:
    def draws(on: bool) -> list[float]:
        use_graphs(on)
        torch.manual_seed(5)
        draw = Replayed(lambda: torch.rand((), device="cuda"), torch.device("cuda"))
        return [draw().item() for _ in range(MORE_CALLS)]

    plain = draws(False)
    assert draws(True) == plain
    assert len(set(plain)) == MORE_CALLS


@ON_GPU
def test_recordings_that_are_dropped_are_made_anew() -> None:
    calls = []
    double = Replayed(lambda x: calls.append(1) or 2 * x, torch.device("cuda"))
    x = torch.tensor(3.0, device="cuda")
    for expected in (WARM_UPS + 1, 2 * (WARM_UPS + 1)):
        assert [double(x).item() for _ in range(MORE_CALLS)] == [6.0] * MORE_CALLS
        assert len(calls) == expected
        forget_recordings()


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_done_at_once_has_the_results_and_the_random_numbers_of_one_after_another(device: str) -> None:
    """Several times in a row, with memory that is freed and taken again, and what one time makes used by the next."""

    def smoothed(x: torch.Tensor, index: int) -> torch.Tensor:
        for _ in range(20):
            x = (x + 0.1 * torch.rand_like(x)).sin() * (index + 1)
        return x

    def work(x: torch.Tensor, serial: bool) -> torch.Tensor:
        for _ in range(4):
            ways = [partial(smoothed, x, index) for index in range(4)]
            x = sum([way() for way in ways] if serial else at_once(x.device, ways), x)
        return x

    def results(serial: bool) -> list[torch.Tensor]:
        torch.manual_seed(7)
        replayed = Replayed(partial(work, serial=serial), torch.device(device))
        return [replayed(torch.full((4096, 30), float(i), device=device)).clone() for i in range(MORE_CALLS)]

    for one_by_one, together in zip(results(True), results(False), strict=True):
        assert torch.equal(one_by_one, together)


def test_nothing_at_once_is_nothing() -> None:
    assert at_once(torch.device("cuda"), []) == []


def test_tensors_of_several_types_are_copied_and_those_already_there_are_left() -> None:
    values = [torch.arange(3.0), torch.tensor([True, False]), torch.tensor(2.0), torch.arange(6.0).view(2, 3).T]
    places = [torch.zeros_like(value) for value in values[:3]] + [torch.zeros(3, 2)]
    copy_all([*places, values[0]], [*values, values[0]])
    assert all(torch.equal(place, value) for place, value in zip(places, values, strict=True))


def test_what_python_does_at_every_replay_is_done_once_a_call() -> None:
    calls: list[str] = []
    counted = RecordedOnCpu(
        lambda: calls.append("function"), torch.device("cpu"), at_replay=lambda: calls.append("replay")
    )
    for _ in range(MORE_CALLS):
        counted()
    assert calls == ["function"] * (WARM_UPS + 1) + ["replay"] * (MORE_CALLS - WARM_UPS - 1)


@ON_GPU
def test_a_gpu_does_at_every_replay_what_python_must_do() -> None:
    calls: list[str] = []
    total = torch.zeros((), device="cuda")
    adding = Replayed(
        lambda: calls.append("function") or total.add_(1.0), total.device, at_replay=lambda: calls.append("replay")
    )
    for _ in range(MORE_CALLS):
        adding()
    assert calls == ["function"] * (WARM_UPS + 1) + ["replay"] * (MORE_CALLS - WARM_UPS - 1)
