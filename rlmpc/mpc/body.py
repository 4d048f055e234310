"""The robot as the controller knows it: one rigid body on two flat feet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rlmpc.errors import UserError


@dataclass(frozen=True)
class Body:
    """Facts of a robot in its default pose, read from its description.

    Raises:
        UserError: if they are not those of a body: a mass or size that is not positive, an inertia that is not
            symmetric and positive definite.
    """

    mass: float
    """Of all links, kg."""
    inertia: tuple[tuple[float, float, float], ...]
    """Composite inertia of all links about the centre of mass, in the frame of the pelvis' yaw, kg m^2."""
    sole_half_length: float
    """Along x of the foot, m."""
    sole_half_width: float
    """Along y of the foot, m."""

    def __post_init__(self) -> None:
        for name in ("mass", "sole_half_length", "sole_half_width"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise UserError(f"'{name}' of the body must be a positive number, not {value}")
        inertia = np.asarray(self.inertia, dtype=float)
        is_inertia = inertia.shape == (3, 3) and np.isfinite(inertia).all() and np.allclose(inertia, inertia.T)
        if not (is_inertia and np.linalg.eigvalsh(inertia).min() > 0.0):
            raise UserError(f"'inertia' of the body must be symmetric and positive definite, not {inertia.tolist()}")
