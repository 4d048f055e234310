"""Tells when something that happens every few iterations is due."""

from __future__ import annotations

import lightning as L


def is_due(trainer: L.Trainer, every: int, done: int) -> bool:
    """Return whether iteration `done`, counted from 1, which has ended, is the `every`-th, or no other one follows."""
    return done % every == 0 or done == trainer.max_epochs or trainer.should_stop
