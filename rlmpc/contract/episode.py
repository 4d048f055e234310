"""One evaluated episode: what is asked of the policy and how it went; the same for every simulator."""

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
    """Whether that was a true end, such as a fall; success is the opposite."""
    length_s: float
    distance_m: float
    """Length of the root's path in the horizontal plane."""
    rmse_xy: float
    """Root mean square, over the steps, of the velocity error in the horizontal plane [m/s]."""
    rmse_yaw: float
    """Root mean square, over the steps, of the yaw rate error [rad/s]."""
    energy_j: float
    """Integral over time of the sum of |torque x velocity| over the joints."""
