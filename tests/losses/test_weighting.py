import pytest
import torch

from rlmpc.losses.weighting import explained_variance, weighted_mean


def test_the_weighted_mean_counts_only_what_has_a_weight():
    values = torch.tensor([[1.0, 2.0], [3.0, 40.0]])
    assert weighted_mean(values, torch.tensor([[1.0, 1.0], [1.0, 0.0]])) == 2.0
    assert weighted_mean(values, torch.zeros(2, 2)) == 0.0


@pytest.mark.parametrize("samples", [(12,), (3, 4)])
def test_several_quantities_of_the_same_samples_have_a_mean_each(samples: tuple[int, ...]):
    torch.manual_seed(0)
    values, kept = torch.randn(5, *samples), torch.rand(samples) < 0.6
    torch.testing.assert_close(weighted_mean(values, kept.float()), values[:, kept].mean(dim=1))


def test_the_gradient_of_a_weighted_mean_is_that_of_the_mean_of_what_counts():
    values = torch.tensor([1.0, 5.0, 2.0], requires_grad=True)
    weighted_mean(values**2, torch.tensor([1.0, 0.0, 1.0])).backward()
    assert values.grad.tolist() == [1.0, 0.0, 2.0]


def test_the_explained_variance_is_one_of_a_perfect_prediction_and_zero_of_a_constant():
    target, weight = torch.tensor([1.0, 2.0, 3.0, 99.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert explained_variance(target, target, weight) == 1.0
    assert explained_variance(torch.full((4,), 7.0), target, weight) == 0.0
    # Off by -1, 0 and 1, as widely spread as the target itself.
    assert explained_variance(torch.tensor([2.0, 2.0, 2.0, 0.0]), target, weight) == pytest.approx(0.0)
    assert explained_variance(torch.tensor([1.5, 2.0, 2.5, 0.0]), target, weight) == pytest.approx(0.75)


def test_the_explained_variance_of_sequences_is_that_of_their_steps():
    torch.manual_seed(0)
    prediction, target, weight = torch.randn(5, 7), torch.randn(5, 7), (torch.rand(5, 7) > 0.2).float()
    of_steps = explained_variance(prediction.flatten(), target.flatten(), weight.flatten())
    assert explained_variance(prediction, target, weight) == of_steps
