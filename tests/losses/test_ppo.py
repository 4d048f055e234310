import math

import torch

from rlmpc.losses.ppo import surrogate_loss, value_loss


def test_the_surrogate_takes_the_worse_of_plain_and_clipped_ratio():
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5, 1.1])
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0, 2.0])
    # 1.2 (clipped), 0.5 (plain is worse), -1.5 (plain is worse), -0.8 (clipped), 2.2 (inside the clip)
    expected = -torch.tensor([1.2, 0.5, -1.5, -0.8, 2.2])
    torch.testing.assert_close(surrogate_loss(ratio.log(), torch.zeros(5), advantage, clip=0.2), expected)


def test_no_gradient_pulls_a_ratio_further_beyond_the_clip():
    log_prob = torch.tensor([math.log(1.5), math.log(1.1)], requires_grad=True)
    surrogate_loss(log_prob, torch.zeros(2), torch.ones(2), clip=0.2).mean().backward()
    assert log_prob.grad[0] == 0.0
    assert log_prob.grad[1] < 0.0


def test_its_gradient_is_that_of_the_smaller_product():
    """To the bit, also where both are equal, and no number where the ratio is none."""
    torch.manual_seed(0)
    change = (0.5 * torch.randn(1000)).requires_grad_()
    advantage = torch.randn(1000)
    advantage[::10] = 0.0
    ratio = change.exp()
    plain = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
    (expected,) = torch.autograd.grad(plain.mean(), change)
    loss = surrogate_loss(change, torch.zeros(1000), advantage, 0.2)
    (gradient,) = torch.autograd.grad(loss.mean(), change)
    assert torch.equal(loss, plain)
    assert torch.equal(gradient, expected)
    (gradient,) = torch.autograd.grad(
        surrogate_loss(change * math.nan, torch.zeros(1000), advantage, 0.2).sum(), change
    )
    assert gradient.isnan().all()


def test_value_loss_is_the_larger_of_plain_and_clipped_error():
    value, old, target = torch.tensor([1.0, 0.1]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])
    # first: plain 0, clipped value 0.2 is off by 0.8; second: inside the clip, off by 0.9
    torch.testing.assert_close(value_loss(value, old, target, clip=0.2), torch.tensor([0.64, 0.81]))
    torch.testing.assert_close(value_loss(value, old, target, clip=None), torch.tensor([0.0, 0.81]))
