"""What one process sums and averages is its own; `tests/algorithms/test_two_ranks.py` has two."""

from __future__ import annotations

import torch

from rlmpc.learners.ranks import average_gradients, mean_over_ranks, normalize_over_ranks, sum_over_ranks


def test_a_spread_that_is_small_beside_the_mean_is_normalised_in_double_precision():
    """In single precision, squares of numbers about 1e4 are 8 apart, and a variance of 0.01 is lost."""
    x = 1.0e4 + 0.1 * torch.randn(100, 100, generator=torch.Generator().manual_seed(0))
    weight = torch.ones_like(x)
    weight[:, :10] = 0.0
    counted = x[:, 10:].double()
    expected = (x.double() - counted.mean()) / counted.std(correction=0)
    assert torch.allclose(normalize_over_ranks(x, weight).double(), expected, atol=2e-2)


def test_a_process_alone_keeps_its_values_and_gradients():
    value = torch.tensor([1.0, 2.0])
    assert sum_over_ranks(value) is value
    assert torch.equal(mean_over_ranks(value), value)
    layer = torch.nn.Linear(2, 1)
    layer(value).sum().backward()
    average_gradients(layer.parameters())
    assert torch.equal(layer.weight.grad, value.unsqueeze(0))
