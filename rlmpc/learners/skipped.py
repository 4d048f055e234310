"""How often the optimizer was held back."""

from __future__ import annotations

import torch
from torch import Tensor

from rlmpc.rollout.rollout import Metrics


class SkippedUpdates:
    """Counts updates that were skipped, on the device; the host reads the counts with the other metrics."""

    def __init__(self) -> None:
        self.in_a_row = torch.zeros(())
        """Length of the run of skipped updates that the last one of an iteration ended, or 0; scalar."""
        self._skipped: list[Tensor] = []

    def add(self, skipped: Tensor) -> None:
        """Note an update: 1 if it was skipped, otherwise 0; scalar."""
        self._skipped.append(skipped)

    def pop_metrics(self) -> Metrics:
        """Number of updates skipped since the last call, and their longest run, which may have begun before it."""
        skipped = torch.stack(self._skipped)
        self._skipped.clear()
        position = torch.arange(1.0, len(skipped) + 1, device=skipped.device)
        # Before the first update, the last one taken lies as far back as the run that goes on.
        before = -self.in_a_row.to(skipped.device)
        last_taken = torch.where(skipped > 0.0, before, position).cummax(dim=0).values
        runs = position - last_taken
        self.in_a_row = runs[-1]
        one = torch.ones_like(before)
        return {"fault/skipped_updates": (skipped.sum(), one), "fault/skipped_in_a_row": (runs.max(), one)}
