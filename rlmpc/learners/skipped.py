"""Counts the updates that `OnPolicyLearner.descend` skipped."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from rlmpc.rollout.rollout import Metrics

WINDOW = 100
"""Number of latest updates over which the share of skipped ones is taken."""


class SkippedUpdates:
    """Counts skipped updates on the device; the host reads the counts with the other metrics."""

    def __init__(self) -> None:
        self.in_a_row = torch.zeros(())
        """Number of updates skipped in a row up to the last update of the iteration; scalar."""
        self.latest = torch.zeros(WINDOW)
        """1 for each of the latest updates that was skipped, otherwise 0, (WINDOW,); 0 before the first update."""
        self._skipped: list[Tensor] = []

    def add(self, skipped: Tensor) -> None:
        """Count updates, in order (K,): 1 for each that was skipped, otherwise 0."""
        self._skipped.append(skipped)

    def pop_metrics(self) -> Metrics:
        """Return the number of updates skipped since the last call, the most in a row and the share of the latest.

        The last two include earlier updates.
        """
        skipped = torch.cat(self._skipped)
        self._skipped.clear()
        position = torch.arange(1.0, len(skipped) + 1, device=skipped.device)
        # Position of the last update taken before these; the updates in between were skipped.
        before = -self.in_a_row.to(skipped.device)
        last_taken = torch.where(skipped > 0.0, before, position).cummax(dim=0).values
        runs = position - last_taken
        self.in_a_row = runs[-1]
        self.latest = torch.cat([self.latest.to(skipped.device), skipped])[-WINDOW:]
        one = torch.ones_like(before)
        return {
            "fault/skipped_updates": (skipped.sum(), one),
            "fault/skipped_in_a_row": (runs.max(), one),
            "fault/skipped_share": (self.latest.mean(), one),
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run goes on counting from."""
        return {"in_a_row": self.in_a_row.clone(), "latest": self.latest.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state_dict`; what it lacks starts at 0."""
        self.in_a_row = state.get("in_a_row", torch.zeros(()))
        self.latest = state.get("latest", torch.zeros(WINDOW))
