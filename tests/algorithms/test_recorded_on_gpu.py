"""Recorded on a GPU, updates are those of the plain path; on the CPU, recordings are imitated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.graphs import WARM_UPS, Replayed, use_graphs, uses_graphs
from rlmpc.learners import recorder
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.rollout import Rollout

pytestmark = pytest.mark.slow

HAS_GPU = torch.cuda.is_available()
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not HAS_GPU, reason="needs a GPU"))]
PREDICTIONS = {"latent": 0.7, "velocity": 0.3}
LEARNERS = ("ppo", "rma", "student", "student with a memory", "finetune", "finetune with a memory")
ITERATIONS = 6
SPOILT = 3
"""Iteration in which one sample is no number."""


class ImitatedReplay(Replayed):
    """What a replay does, but slowly: today's arguments and results are at the addresses of those of the recording."""

    def __call__(self, *arguments: Tensor) -> Any:
        self._num_calls += 1
        if self._num_calls <= WARM_UPS:
            return self.function(*arguments)
        if self._num_calls == WARM_UPS + 1:
            self._arguments = tuple(argument.clone() for argument in arguments)
            self._result = self.function(*self._arguments)
            return self._result
        for place, values in zip(self._arguments, arguments, strict=True):
            place.copy_(values)
        for place, values in zip(found(self._result), found(self.function(*self._arguments)), strict=True):
            place.copy_(values)
        return self._result


def found(tree: Any) -> list[Tensor]:
    """All tensors of a result."""
    if isinstance(tree, Tensor):
        return [tree]
    if is_dataclass(tree):
        return [tensor for field in fields(tree) for tensor in found(getattr(tree, field.name))]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple) else ()
    return [tensor for part in parts for tensor in found(part)]


@pytest.fixture(autouse=True)
def imitated(request, monkeypatch) -> None:
    """Imitates recordings where there is no GPU."""
    if request.node.callspec.params["device"] == "cpu":
        monkeypatch.setattr(recorder, "Replayed", ImitatedReplay)
        monkeypatch.setattr(recorder, "uses_graphs", lambda device: uses_graphs(torch.device("cuda")))


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)
    use_graphs(True)


@pytest.fixture
def train(run_toy, make_student, make_finetune, fit, toy_world):
    """Trains a learner, by its name in `LEARNERS`, on a device; gives it, its datamodule and its numbers."""

    def run(
        name: str, device: str, iterations: int = ITERATIONS
    ) -> tuple[OnPolicyLearner, Any, list[dict[str, float]]]:
        memory = "gru" if "memory" in name else "none"
        if name == "ppo":
            return run_toy(iterations, num_envs=16, device=device, num_epochs=2)
        if name == "rma":
            changes = {"num_epochs": 2, "history_every": 3, "regularizer_start": 1, "regularizer_ramp": 4}
            return run_toy(iterations, num_envs=16, agent="rma", device=device, **changes)
        if name.startswith("student"):
            changes = {"loss": "kl"} if memory == "gru" else {"predictions": PREDICTIONS}
            learner = make_student("rma", memory=memory, beta_iterations=3, **changes)
        else:
            learner = make_finetune(memory, critic_warmup=2)[1]
        torch.manual_seed(3)
        return learner, *fit(learner, toy_world(3, device), iterations)

    return run


def state_of(learner: OnPolicyLearner, datamodule: RolloutDataModule) -> dict[str, Tensor]:
    """Everything that was learned, by name."""
    adam = learner.optimizers().optimizer.state_dict()["state"]
    moments = {f"{index}/{name}": values for index, state in adam.items() for name, values in state.items()}
    rates = {group["name"]: group["lr"] for group in learner.optimizers().param_groups}
    steps = {"global_step": torch.tensor(datamodule.trainer.global_step)}
    return {name: v.detach().cpu() for name, v in {**learner.state_dict(), **moments, **rates, **steps}.items()}


def assert_same(one: tuple, other: tuple) -> None:
    """Compare what `train` gave."""
    states = [state_of(*result[:2]) for result in (one, other)]
    torch.testing.assert_close(*states, rtol=1e-5, atol=1e-5)
    for numbers, again in zip(one[2], other[2], strict=True):
        assert numbers == pytest.approx(again, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LEARNERS)
def test_recorded_updates_are_those_of_the_plain_path(train, monkeypatch, name: str, device: str):
    calls: list[OnPolicyLearner] = []
    descend = OnPolicyLearner.descend
    monkeypatch.setattr(OnPolicyLearner, "descend", lambda self, *args: calls.append(self) or descend(self, *args))
    use_graphs(False)
    plain = train(name, device)
    num_steps = plain[1].trainer.global_step
    assert calls.count(plain[0]) == num_steps > 0
    use_graphs(True)
    recorded = train(name, device)
    assert_same(recorded, plain)
    num_calls = calls.count(recorded[0])
    assert num_calls <= num_steps // 2 if device == "cuda" else num_calls == num_steps


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LEARNERS)
def test_recorded_updates_skip_a_gradient_that_is_no_number(train, monkeypatch, name: str, device: str):
    collect = RolloutDataModule.collect

    def spoilt(self: RolloutDataModule) -> Rollout:
        rollout = collect(self)
        if self.trainer.current_epoch == SPOILT:
            taught = rollout.acted.teacher_mean if "student" in name else rollout.acted.action
            taught[0, 0, 0] = torch.nan
        return rollout

    monkeypatch.setattr(RolloutDataModule, "collect", spoilt)
    use_graphs(False)
    plain = train(name, device)
    use_graphs(True)
    learner, datamodule, numbers = train(name, device)
    assert_same((learner, datamodule, numbers), plain)
    # Each epoch meets the sample once.
    skipped = [learner.cfg.num_epochs if iteration == SPOILT else 0 for iteration in range(ITERATIONS)]
    assert [one["fault/skipped_updates"] for one in numbers] == skipped
    assert all(values.isfinite().all() for values in state_of(learner, datamodule).values())


@pytest.mark.parametrize("device", DEVICES)
def test_a_checkpoint_of_a_recorded_run_is_that_of_any_other(train, tmp_path, device: str):
    learner, datamodule, _ = train("rma", device, iterations=2)
    datamodule.trainer.save_checkpoint(tmp_path / "a.ckpt")
    (saved,) = torch.load(tmp_path / "a.ckpt", weights_only=True)["optimizer_states"]
    assert [group["capturable"] for group in saved["param_groups"]] == [False] * 3
    again = type(learner)(**learner.hparams).to(device)
    optimizer = again.configure_optimizers()
    optimizer.load_state_dict(saved)
    for kept, state in zip(learner.optimizers().state.values(), optimizer.state.values(), strict=True):
        # Lightning takes the optimizer of a finished run off the GPU.
        torch.testing.assert_close(kept, state, check_device=False)
