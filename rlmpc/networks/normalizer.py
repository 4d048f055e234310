"""Running normalisation of observation groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlmpc.networks.selection import select

MAX_ROWS = 16384
"""Number of samples of which sums are taken at once: more would take several times their memory."""


class RunningNormalizer(nn.Module):
    """Shifts and scales features by their running mean and variance.

    The statistics are buffers that change only in `merge`, in place, so that a rollout and the update after it see the
    same numbers. Batches are merged by the parallel formula of Chan, Golub and LeVeque (1979), from sums taken about
    the current mean; such sums can be added over ranks before merging.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, num_features: int, clip: float = 10.0, eps: float = 1e-4) -> None:
        super().__init__()
        self.clip = clip
        self.eps = eps
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("var", torch.ones(num_features))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor, columns: Sequence[slice] | None = None, out: Tensor | None = None) -> Tensor:
        """Normalise `x` (..., D), or only `columns` of it, and clip to +-`clip` standard deviations; write to `out`."""
        mean, var = self.mean, self.var
        if columns is not None:
            x, mean, var = (select(values, columns) for values in (x, mean, var))
        shifted = torch.sub(x, mean, out=out)
        scaled = torch.div(shifted, (var + self.eps).sqrt(), out=out)
        return torch.clamp(scaled, -self.clip, self.clip, out=out)

    @torch.no_grad()
    def centred_sums(self, x: Tensor, num_invalid: Tensor | float = 0.0) -> Tensor:
        """Return the first and second sums of `x` (..., D) about the current mean, and the count: (2 D + 1,) float64.

        Args:
            x: samples; invalid ones are rows of zeros.
            num_invalid: number of invalid samples, a scalar. What they add to the sums is known and subtracted.
        """
        rows, offset = x.flatten(0, -2), self.mean.double()
        first, second = (moments_about if x.is_cuda else sums_about)(rows, self.mean)
        first += num_invalid * offset
        second -= num_invalid * offset**2
        count = offset.new_full((1,), float(rows.shape[0])) - num_invalid
        return torch.cat([first, second, count])

    @torch.no_grad()
    def merge(self, sums: Tensor) -> None:
        """Merge `centred_sums`, added over ranks if there are several, into the running statistics.

        Sums that are empty or would make the statistics non-finite change nothing.
        """
        first, second, count = sums[: self.mean.numel()], sums[self.mean.numel() : -1], sums[-1]
        shift = first / count
        total = self.count + count
        spread = self.var * self.count + second - count * shift**2 + shift**2 * self.count * count / total
        mean = self.mean + (shift * count / total).to(self.mean.dtype)
        var = (spread / total).clamp(min=0.0).to(self.var.dtype)
        # Without samples `shift` is 0 / 0, so `mean` is not finite.
        is_finite = (mean.isfinite() & var.isfinite()).all()
        self.mean.copy_(torch.where(is_finite, mean, self.mean))
        self.var.copy_(torch.where(is_finite, var, self.var))
        self.count.copy_(torch.where(is_finite, total, self.count))


def sums_about(rows: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of `rows` (B, D) about a centre (D,), and of their squares, added up in double precision."""
    first, second = torch.zeros_like(centre, dtype=torch.float64), torch.zeros_like(centre, dtype=torch.float64)
    for part in rows.split(MAX_ROWS):
        centred = (part - centre).double()
        first += centred.sum(dim=0)
        second += centred.square_().sum(dim=0)
    return first, second


def moments_about(rows: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """As `sums_about`, but from mean and variance, for which a GPU reads `rows` once and writes nothing in between."""
    var, mean = torch.var_mean(rows, dim=0, correction=0)
    shift = mean.double() - centre.double()
    return rows.shape[0] * shift, rows.shape[0] * (var.double() + shift**2)
