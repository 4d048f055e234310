"""What is asked of one evaluated episode, and what came of it; the same for every simulator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """Where an episode takes place and what is commanded."""

    terrain: str
    """Kind of ground."""
    level: int
    """Difficulty, from 0."""
    command: tuple[float, ...]
    """vx, vy [m/s] and yaw rate [rad/s] in the base frame, constant; empty where a task has no such command."""


@dataclass(frozen=True)
class Episode:
    """One finished episode of a trial."""

    trial: Trial
    reason: str
    """Name of what ended it."""
    fell: bool
    """Whether that was a fall, or anything else that nothing follows; success is the opposite."""
    length_s: float
    distance_m: float
    """Length of the root's path in the horizontal plane."""
    rmse_xy: float
    """Root mean square over the steps of the velocity error in the plane [m/s]."""
    rmse_yaw: float
    """The same of the yaw rate [rad/s]."""
    energy_j: float
    """Integral of the sum over the joints of |torque x velocity|."""
