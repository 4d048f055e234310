from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from rlmpc.learners import recorder
from rlmpc.learners.recorder import Recorder

CPU = torch.device("cpu")


class FirstFunction:
    """Of a recording, what matters here: the function that was there first is called."""

    def __init__(self, function, *_) -> None:
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)


@pytest.fixture
def recording(monkeypatch) -> Recorder:
    """A recorder that works as on a GPU."""
    monkeypatch.setattr(recorder, "uses_graphs", lambda device: True)
    monkeypatch.setattr(recorder, "Replayed", FirstFunction)
    return Recorder(nullcontext)


def test_without_graphs_trees_stay_as_they_are_and_functions_are_called():
    plain = Recorder(nullcontext)
    for value in range(3):
        tree = {"a": torch.tensor(value)}
        assert plain.place("tree", tree) is tree
        assert plain.call("double", None, lambda tree=tree: 2 * tree["a"], CPU) == 2 * value


def test_what_is_written_in_place_is_not_copied_and_what_is_new_comes_to_a_fixed_address(recording):
    stored = torch.zeros(3)
    addresses = []
    for value in range(4):
        stored.fill_(value)
        placed = recording.place("tree", {"stored": stored, "new": torch.full((3,), float(value))})
        assert placed["stored"].data_ptr() == stored.data_ptr()
        assert (placed["new"] == value).all()
        addresses.append(placed["new"].data_ptr())
    # The second one shows that it moves.
    assert len(set(addresses[1:])) == 1


def test_what_others_hold_is_never_overwritten(recording):
    given = [torch.full((2,), float(value)) for value in range(4)]
    for values in given:
        recording.place("tree", {"a": values})
    assert [values[0].item() for values in given] == [0.0, 1.0, 2.0, 3.0]


def test_a_function_is_recorded_again_only_if_something_has_moved(recording):
    made = []

    def call(number: int) -> int:
        placed = recording.place("tree", {"a": torch.tensor(number)})
        return recording.call("f", None, lambda: made.append(number) or number + 0 * placed["a"].item(), CPU)

    assert [call(number) for number in range(5)] == [0, 1, 1, 1, 1]


def test_variants_and_shapes_are_recorded_apart(recording):
    def call(variant: str, length: int) -> str:
        return recording.call("f", variant, lambda order: f"{variant} {length}", CPU, torch.zeros(length))

    assert [call("a", 2), call("b", 2), call("a", 3), call("a", 2)] == ["a 2", "b 2", "a 3", "a 2"]
