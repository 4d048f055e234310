"""The action distribution: a diagonal Gaussian whose spread does not depend on the observation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Normal


class GaussianHead(nn.Module):
    """Holds the log standard deviation of A independent Gaussians, kept between two bounds.

    The lower bound keeps exploration (and the KL estimate) alive; the upper bound keeps the entropy bonus from
    inflating the noise without end. The bounds are applied to the parameter after each optimizer step (`project`),
    because a clamp in the forward pass would leave a parameter beyond a bound without gradient for ever.
    """

    log_min: Tensor
    """Logarithm of the lower bound, a scalar."""
    log_max: Tensor
    """Logarithm of the upper bound, a scalar, which may be changed in place."""

    def __init__(self, num_actions: int, init_std: float, min_std: float, max_std: float) -> None:
        super().__init__()
        # On the device, where a recorded step reads them; derived from settings and thus no part of a checkpoint.
        self.register_buffer("log_min", torch.tensor(math.log(min_std)), persistent=False)
        self.register_buffer("log_max", torch.tensor(math.log(max_std)), persistent=False)
        self.log_std = nn.Parameter(torch.full((num_actions,), math.log(init_std)))

    def forward(self, mean: Tensor) -> Normal:
        """Return the distribution with `mean` (..., A)."""
        return Normal(mean, self.log_std.exp().expand_as(mean), validate_args=False)

    @torch.no_grad()
    def reset(self, std: float) -> None:
        """Give every action this standard deviation."""
        self.log_std.fill_(math.log(std))

    @torch.no_grad()
    def project(self) -> None:
        """Bring the parameter back between its bounds."""
        self.log_std.clamp_(self.log_min, self.log_max)
