import pytest
import torch

from rlmpc.learners.metrics import IterationMeans


def pair(total: float, weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(total), torch.tensor(weight)


def test_updates_are_weighted_and_names_without_weight_are_left_out():
    means = IterationMeans(["a", "b"])
    means.update({"a": pair(2.0, 1.0), "b": pair(0.0, 0.0)})
    means.update({"a": pair(4.0, 3.0), "b": pair(0.0, 0.0)})
    assert means.named(means.pop()) == ({"a": 1.5}, {"a": 4.0})


def test_reading_starts_over():
    means = IterationMeans(["a"])
    means.update({"a": pair(2.0, 1.0)})
    means.named(means.pop())
    means.update({"a": pair(9.0, 3.0)})
    assert means.named(means.pop()) == ({"a": 3.0}, {"a": 3.0})


def test_other_names_are_refused():
    means = IterationMeans(["a"])
    with pytest.raises(ValueError, match="b"):
        means.update({"b": pair(1.0, 1.0)})


def test_the_root_of_a_mean_of_squares_comes_out():
    means = IterationMeans(["estimator/rmse_x", "a"])
    means.update({"estimator/rmse_x": pair(18.0, 2.0), "a": pair(18.0, 2.0)})
    assert means.named(means.pop())[0] == {"estimator/rmse_x": 3.0, "a": 9.0}
