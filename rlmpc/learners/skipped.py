"""Counts skipped updates."""

from __future__ import annotations

import torch
from torch import Tensor

from rlmpc.rollout.rollout import Metrics


class SkippedUpdates:
    """Counts skipped updates on the device; the host reads the counts with the other metrics."""

    def __init__(self) -> None:
        self.in_a_row = torch.zeros(())
        """Number of updates skipped in a row up to the last update of the iteration; scalar."""
        self._skipped: list[Tensor] = []

    def add(self, skipped: Tensor) -> None:
        """Count an update: the scalar 1 if it was skipped, otherwise 0."""
        self._skipped.append(skipped)

    def pop_metrics(self) -> Metrics:
        """Return the number of updates skipped since the last call, and the most in a row, earlier ones included."""
        skipped = torch.stack(self._skipped)
        self._skipped.clear()
        position = torch.arange(1.0, len(skipped) + 1, device=skipped.device)
        # Position of the last update taken before these; the updates in between were skipped.
        before = -self.in_a_row.to(skipped.device)
        last_taken = torch.where(skipped > 0.0, before, position).cummax(dim=0).values
        runs = position - last_taken
        self.in_a_row = runs[-1]
        one = torch.ones_like(before)
        return {"fault/skipped_updates": (skipped.sum(), one), "fault/skipped_in_a_row": (runs.max(), one)}
