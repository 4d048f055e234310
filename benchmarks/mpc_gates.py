"""What robots without a policy are asked to do under the predictive controller, and what disturbs them."""

from __future__ import annotations

from dataclasses import dataclass, field

MIN_HEIGHT_M = 0.45
"""A robot whose pelvis is lower has fallen."""


@dataclass
class Differences:
    """By how much the robots differ from the one that the controller knows; drawn evenly."""

    mass: float = 0.1
    """Largest relative change of all masses and inertias together."""
    friction: tuple[float, float] = (0.4, 1.0)
    """Lowest and highest coefficient of the soles."""
    torso_com_m: float = 0.05
    """Largest shift of the torso's centre of mass along each axis."""
    velocity_noise: tuple[float, float] = (0.0, 0.0)
    """Standard deviations of the root's velocity [m/s, rad/s] that the controller is told, anew every physics step."""


@dataclass(frozen=True)
class Gate:
    """What robots are asked to do, and what disturbs them."""

    command: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """vx, vy [m/s] and yaw rate [rad/s]."""
    steps: bool = False
    """Whether they step in place under a command of zero."""
    push: float = 0.0
    """[m/s] added to the velocity of the root at half time, at any phase, from sides spread evenly."""
    differences: Differences = field(default_factory=Differences)
    is_late: bool = False
    """Whether wrenches are applied one control step late."""
    must_hold: bool = True


_NOISE = Differences(velocity_noise=(0.05, 0.1))
_SLOW = (0.3, 0.0, 0.0)
GATES = {
    "stand": Gate(),
    "step": Gate(steps=True),
    "walk_-0.3": Gate((-0.3, 0.0, 0.0)),
    "walk_0.3": Gate(_SLOW),
    "walk_0.5": Gate((0.5, 0.0, 0.0)),
    "walk_0.8": Gate((0.8, 0.0, 0.0)),
    "sideways_0.1": Gate((0.0, 0.1, 0.0)),
    "turn_0.3": Gate((0.0, 0.0, 0.3)),
    "push_standing": Gate(push=0.5),
    "push_stepping": Gate(steps=True, push=0.5),
    "push_walking": Gate(_SLOW, push=0.5),
    "noise_push_walking": Gate(_SLOW, push=0.5, differences=_NOISE, must_hold=False),
    "late_push_walking": Gate(_SLOW, push=0.5, is_late=True, must_hold=False),
    "noise_late_push_walking": Gate(_SLOW, push=0.5, differences=_NOISE, is_late=True, must_hold=False),
    "friction_0.3_walk": Gate(_SLOW, differences=Differences(friction=(0.3, 0.3)), must_hold=False),
    "friction_0.2_walk": Gate(_SLOW, differences=Differences(friction=(0.2, 0.2)), must_hold=False),
    "friction_0.3_push_walking": Gate(_SLOW, push=0.5, differences=Differences(friction=(0.3, 0.3)), must_hold=False),
    "friction_0.2_push_walking": Gate(_SLOW, push=0.5, differences=Differences(friction=(0.2, 0.2)), must_hold=False),
    "push_0.8_walking": Gate(_SLOW, push=0.8, must_hold=False),
}

PLAIN = tuple(name for name, gate in GATES.items() if gate.differences == Differences() and not gate.is_late)
"""Gates of robots that differ as usual, and of controllers that know the state and are in time."""
