import torch

from rlmpc.losses.adaptation import latent_distance


def test_the_distance_of_latents_is_the_norm_of_their_difference_and_moves_only_the_first():
    latent = torch.tensor([[3.0, 4.0], [1.0, 0.0]], requires_grad=True)
    target = torch.tensor([[0.0, 0.0], [1.0, 2.0]], requires_grad=True)
    distance = latent_distance(latent, target)
    torch.testing.assert_close(distance, torch.tensor([5.0, 2.0]))
    distance.mean().backward()
    assert target.grad is None
    torch.testing.assert_close(latent.grad, torch.tensor([[0.3, 0.4], [0.0, -0.5]]))


def test_equal_latents_have_no_gradient_instead_of_nan():
    latent = torch.ones(2, 3, requires_grad=True)
    latent_distance(latent, torch.ones(2, 3)).sum().backward()
    assert (latent.grad == 0.0).all()
