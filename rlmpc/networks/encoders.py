"""Encoders that turn a history into a latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlmpc.networks.mlp import ACTIVATIONS, mlp

MIN_FRAMES = 6
"""Shortest history for which the second convolution has an output."""


def accepts_frames(num_frames: int) -> bool:
    """Return whether `HistoryEncoder` takes a history of so many frames and reads all of them.

    The first convolution has stride 2, so with an odd number it would not see the newest frame.
    """
    return num_frames >= MIN_FRAMES and num_frames % 2 == 0


class HistoryEncoder(nn.Module):
    """Encodes H frames to a latent by two convolutions over time.

    The layers follow RMA's adaptation module (Kumar et al., "RMA: Rapid motor adaptation for legged robots", 2021), in
    the reference system's sizes: each frame to 30 features, 30 to 20 channels (kernel 4, stride 2), 20 to 10 (kernel
    2), then one linear layer.

    Args:
        frame_dim: features of a frame, over all terms.
        num_frames: H.
        latent_dim: width of the latent.
        activation: a key of `rlmpc.networks.mlp.ACTIVATIONS`.

    Raises:
        ValueError: for a number of frames that the convolutions cannot take.
    """

    FRAME_FEATURES = 30
    CHANNELS = (20, 10)

    def __init__(self, frame_dim: int, num_frames: int, latent_dim: int, activation: str) -> None:
        super().__init__()
        if not accepts_frames(num_frames):
            raise ValueError(f"a history of {num_frames} frames; accepted: an even number, at least {MIN_FRAMES}")
        act = ACTIVATIONS[activation]
        first, second = self.CHANNELS
        self.frame = nn.Sequential(mlp(frame_dim, (), self.FRAME_FEATURES, activation), act())
        self.convolutions = nn.Sequential(
            nn.Conv1d(self.FRAME_FEATURES, first, kernel_size=4, stride=2),
            act(),
            nn.Conv1d(first, second, kernel_size=2),
            act(),
            nn.Flatten(),
        )
        steps_left = (num_frames - 4) // 2
        self.latent = mlp(second * steps_left, (), latent_dim, activation)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the latents (..., latent_dim) of `frames` (..., H, frame_dim), oldest first."""
        features = self.frame(frames).flatten(0, -3).transpose(1, 2)
        return self.latent(self.convolutions(features)).view(*frames.shape[:-2], -1)


def frames_of(terms: Sequence[Tensor], num_frames: int) -> Tensor:
    """Return frames (..., H, sum of D) from flattened terms (..., H D), oldest frame first."""
    return torch.cat([term.unflatten(-1, (num_frames, -1)) for term in terms], dim=-1)
