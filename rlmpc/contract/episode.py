"""One evaluated episode: what is asked of the policy, how it went and whether that is a success, in every simulator."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
        """Share of the commanded velocity that was reached; None if nothing is to be followed.

        It is the mean velocity along the command in the plane by the commanded speed, or, if nothing is commanded
        there, the mean yaw rate by the commanded one.
        """
        if not self._is_velocity or not any(self.trial.command):
            return None
        vx, vy, yaw_rate = self.trial.command
        if not self._walks:
            return self.velocity[2] / yaw_rate
        return (self.velocity[0] * vx + self.velocity[1] * vy) / math.hypot(vx, vy) ** 2

    @property
    def success(self) -> bool:
        """Whether the robot did not fall and did what it was told.

        A command in the plane or to turn must be followed by at least `FOLLOWED`. Without a command in the plane, the
        robot must also have stayed within `STAY_RADIUS_M`. A task without velocity commands asks for no more than not
        to fall.
        """
        follows = self.followed is None or self.followed >= FOLLOWED
        stays = self._walks or not self._is_velocity or self.drift_m <= STAY_RADIUS_M
        return not self.fell and follows and stays

    @property
    def _is_velocity(self) -> bool:
        """Whether the command is vx, vy and yaw rate."""
        return len(self.trial.command) == 3

    @property
    def _walks(self) -> bool:
        """Whether a velocity in the plane is commanded."""
        return self._is_velocity and any(self.trial.command[:2])
