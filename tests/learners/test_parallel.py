"""Two ways for a GPU to go at the same time."""

import pytest
import torch

from rlmpc.graphs import WARM_UPS, Replayed
from rlmpc.learners.parallel import parallel

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.mark.parametrize("device", DEVICES)
def test_two_ways_come_to_the_results_and_gradients_of_one_also_when_they_are_replayed(device: str):
    torch.manual_seed(0)
    one, other = (torch.randn(64, 64, device=device, requires_grad=True) for _ in range(2))

    def gradients(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with parallel(x.device) as wait:
            left = (x @ one).tanh() @ one
        right = (x @ other).sin() @ other
        wait()
        return torch.autograd.grad((left * right).mean(), (one, other))

    def by_hand(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        product = ((x @ one).tanh() @ one) * ((x @ other).sin() @ other)
        return torch.autograd.grad(product.mean(), (one, other))

    replayed = Replayed(gradients, torch.device(device))
    for _ in range(WARM_UPS + 3):
        x = torch.randn(256, 64, device=device)
        torch.testing.assert_close(replayed(x), by_hand(x))
