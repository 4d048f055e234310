"""Quaternions `(w, x, y, z)` in numpy."""

from collections.abc import Iterable

import numpy as np


def rotate(quat_wxyz: Iterable[float], vector: Iterable[float]) -> np.ndarray:
    """Rotate `vector` (3,) by the unit quaternion `(w, x, y, z)` (4,)."""
    w, *xyz = quat_wxyz
    v = np.fromiter(vector, float)
    t = 2.0 * np.cross(xyz, v)
    return v + w * t + np.cross(xyz, t)


def rotate_back(quat_wxyz: np.ndarray, vector: Iterable[float]) -> np.ndarray:
    """Rotate `vector` (3,) by the inverse of the unit quaternion `(w, x, y, z)` (4,)."""
    return rotate(quat_wxyz * (1.0, -1.0, -1.0, -1.0), vector)


def gravity_in(quat_wxyz: np.ndarray) -> np.ndarray:
    """Return the direction of gravity (3,) in the frame of a body with the orientation `(w, x, y, z)` (4,)."""
    return rotate_back(quat_wxyz, (0.0, 0.0, -1.0))


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Hamilton product of two quaternions `(w, x, y, z)`."""
    vector = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.array([a[0] * b[0] - a[1:] @ b[1:], *vector])


def unit(vector: Iterable[float]) -> np.ndarray:
    """Return a vector scaled to length 1."""
    vector = np.fromiter(vector, float)
    return vector / np.linalg.norm(vector)
