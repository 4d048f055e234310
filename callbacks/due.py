"""Tells when something that happens every few iterations is due."""

from __future__ import annotations

import lightning as L


def is_due(trainer: L.Trainer, every: int) -> bool:
    """Return whether the iteration that just ended is the `every`-th, or no other one follows."""
    done = trainer.current_epoch + 1
    return done % every == 0 or done == trainer.max_epochs or trainer.should_stop
