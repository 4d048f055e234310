"""One evaluated episode: what is asked of the policy, how it went and whether that is a success, in every simulator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

FOLLOWED = 0.75
"""Least share of the commanded velocity at which a command counts as followed."""

STAY_RADIUS_M = 0.5
"""Distance within which a robot that is not told to walk must stay."""

GOES_ON = "goes_on"
"""Reason of an episode that had not ended when measuring stopped."""

NON_FINITE = "non_finite"
"""Reason of an episode in which the state of the simulation became non-finite; it counts as a fall."""

NON_FINITE_ACTION = "non_finite_action"
"""Reason of an episode in which the policy answered a finite observation with a non-finite action: a fall too."""

ACTIONS_NOT_FINITE = "the policy's actions are not finite"
"""What a user is told of such a policy."""


@dataclass(frozen=True)
class Trial:
    """Where an episode takes place and what is commanded."""

    terrain: str
    """Kind of ground."""
    level: int
    """Difficulty, from 0."""
    command: tuple[float, ...]
    """vx, vy [m/s] and yaw rate [rad/s] in the base frame, constant; empty where a task has no such command."""

    @property
    def to_follow(self) -> tuple[float, ...]:
        """Part of the command that is to be followed: in the plane, or the yaw rate if nothing is commanded there.

        Three numbers, of which the others are 0; none where a task has no velocity commands.
        """
        if len(self.command) != 3:
            return ()
        vx, vy, yaw_rate = self.command
        return (vx, vy, 0.0) if vx or vy else (0.0, 0.0, yaw_rate)

    @property
    def may_leave(self) -> bool:
        """Whether the robot may leave its place: it is told to walk, or a task has no velocity commands."""
        return not self.to_follow or any(self.to_follow[:2])


def succeeds(is_upright: Any, followed: Any, drift_m: Any, may_leave: Any) -> Any:
    """Return whether one episode is a success, or, from arrays of any library, which of many are.

    The robot must not have fallen and must have followed its command by at least `FOLLOWED`. If it is not told to walk,
    it must also have stayed within `STAY_RADIUS_M`.

    Args:
        is_upright: whether it has not fallen, bool.
        followed: share of `Trial.to_follow` that it reached; 1 where nothing is to be followed.
        drift_m: largest distance, in the horizontal plane, from where it began.
        may_leave: `Trial.may_leave`.
    """
    return is_upright & (followed >= FOLLOWED) & (may_leave | (drift_m <= STAY_RADIUS_M))


@dataclass(frozen=True)
class Motion[Array]:
    """Movement of N robots after a control step, in arrays of any library."""

    velocity: Array
    """(N, 3): vx and vy of the root in the frame of its heading [m/s], yaw rate in the world [rad/s]."""
    error: Array
    """(N, 3): `velocity` minus what is commanded."""
    position: Array
    """(N, 2): the root in the horizontal plane of the world [m]."""
    power: Array
    """(N,): sum over the joints of |torque x velocity|, the torque at the start of a physics step and the velocity at
    its end, as a mean over the physics steps of the control step [W]."""


@dataclass(frozen=True)
class Episode:
    """One finished episode of a trial; its means are over the measured steps, which are all but the last."""

    trial: Trial
    reason: str
    """Name of what ended it."""
    fell: bool
    """Whether that was a true end, such as a fall."""
    length_s: float
    distance_m: float
    """Length of the root's path in the horizontal plane."""
    drift_m: float
    """Largest distance, in the horizontal plane, from where the root was when measuring began."""
    velocity: tuple[float, float, float]
    """Mean velocity: vx and vy in the frame of the heading [m/s], yaw rate [rad/s]."""
    error_xy: float
    """Mean length of the velocity error in the horizontal plane [m/s]."""
    rmse_xy: float
    """Root mean square of the velocity error in the horizontal plane [m/s]."""
    rmse_yaw: float
    """Root mean square of the yaw rate error [rad/s]."""
    energy_j: float
    """Integral over time of the sum of |torque x velocity| over the joints."""

    @property
    def followed(self) -> float | None:
        """Mean velocity along `Trial.to_follow`, by how fast that is; None if nothing is to be followed."""
        if not any(self.trial.to_follow):
            return None
        (vx, vy, yaw_rate), mean = self.trial.to_follow, self.velocity
        return (mean[0] * vx + mean[1] * vy + mean[2] * yaw_rate) / math.hypot(vx, vy, yaw_rate) ** 2

    @property
    def success(self) -> bool:
        """Whether the robot did not fall and did what it was told: see `succeeds`."""
        followed = 1.0 if self.followed is None else self.followed
        return succeeds(not self.fell, followed, self.drift_m, self.trial.may_leave)
