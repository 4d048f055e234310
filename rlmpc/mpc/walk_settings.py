"""Settings of gait, footholds, swing and torques; those of the predictive model and its solver are elsewhere."""

from dataclasses import dataclass


@dataclass
class WalkSettings:
    """How the robot walks with zero action."""

    control_dt: float = 0.02
    """[s] between two plans."""
    physics_dt: float = 0.005
    """[s] between two torques."""
    height_m: float = 0.62
    """Height of the centre of mass over the soles: low enough that a foot reaches behind."""
    period_s: float = 0.56
    """Duration of one gait cycle, two steps."""
    swing_fraction: float = 3.0 / 7.0
    """Part of the cycle that a foot swings; the rest of each half cycle both feet are down."""
    swing_height_m: float = 0.06
    friction: float = 0.3
    """Assumed coefficient of friction: lower than the lowest real one, so that feet keep a reserve."""
    step_width_m: float = 0.20
    """Sideways distance of the soles' centres."""
