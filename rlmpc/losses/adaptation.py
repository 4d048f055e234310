"""The loss that brings two latents together (Kumar et al., "RMA: Rapid motor adaptation for legged robots", 2021)."""

from __future__ import annotations

from torch import Tensor


def latent_distance(latent: Tensor, target: Tensor) -> Tensor:
    """Return the Euclidean distances (...,) of `latent` (..., L) from `target` (..., L), which gets no gradient."""
    return (latent - target.detach()).norm(dim=-1)
