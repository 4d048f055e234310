"""What a stick of a gamepad asks for, on the page of live play as on a robot."""

from __future__ import annotations

import math

DEAD_ZONE = 0.1
"""Share of a stick's way that counts as none: sticks do not come back to exactly 0."""


def beyond_dead_zone(position: float) -> float:
    """Return a stick's position, from 0 at the dead zone's edge to 1 or -1 at the end of its way."""
    return math.copysign(max(min(abs(position), 1.0) - DEAD_ZONE, 0.0) / (1.0 - DEAD_ZONE), position)


def share_of(low: float, high: float, position: float) -> float:
    """Return the share `position` of the end of a range that lies on its side; the range holds 0."""
    return position * (high if position > 0.0 else -low)
