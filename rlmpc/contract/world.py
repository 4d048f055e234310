"""The world in which a policy was trained, as plain numbers, so that another simulator can build one like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class HeightScanner:
    """A grid of rays straight down that turns with the yaw of the body that carries it."""

    body: str
    offset_m: Sequence[float]
    """Middle of the grid from the body's origin: forward, left, up."""
    size_m: Sequence[float]
    """Forward and sideways extent of the grid; there are rays on its edges too."""
    resolution_m: float
    """Distance between neighbouring rays."""
    max_distance_m: float
    """How far a ray sees."""


@dataclass(frozen=True)
class Terrain:
    """A grid of tiles with level ground around it: a column for every kind of ground, a row for every level."""

    kinds: Mapping[str, Mapping[str, Any]]
    """By name: `shape` (the name of the function that builds the kind) and the numbers it takes."""
    num_levels: int
    difficulty_range: Sequence[float]
    """Difficulty at the lower end of the first level and at the upper end of the last."""
    tile_size_m: Sequence[float]
    border_width_m: float


@dataclass(frozen=True)
class World:
    """Numbers of the training world."""

    num_substeps: int
    """Physics steps in one control step."""
    gravity: Sequence[float]
    """[m/s^2] world frame."""
    integrator: str
    cone: str
    """MuJoCo's integrator and its model of friction cones, by their names in MJCF."""
    impratio: float
    """Ratio of frictional to normal constraint impedance."""
    contact_stiffness: float
    """[N/m] of the ground."""
    contact_damping: float
    """[N s/m] of the ground."""
    heading_noise_rad: float
    """Largest deviation of the initial heading from one of the four axes."""
    max_start_velocity: float
    """[m/s, rad/s] largest component of the root's initial velocity."""
    episode_length_s: float
    max_tilt_rad: float | None
    """An episode ends beyond this tilt of the root; None: it does not."""
    min_height_m: float | None
    """An episode ends below this height of the root; None: it does not."""
    terrain: Terrain
    height_scanner: HeightScanner | None

    def check(self) -> None:
        """Refuse numbers from which no world can be built.

        Raises:
            ValueError: if a number is not above 0; the message names it.
        """
        scanner, terrain = self.height_scanner, self.terrain
        positive = {
            "num_substeps": self.num_substeps,
            "contact_stiffness": self.contact_stiffness,
            "contact_damping": self.contact_damping,
            "episode_length_s": self.episode_length_s,
            "num_levels": terrain.num_levels,
            "tile_size_m": min(terrain.tile_size_m),
        }
        if scanner is not None:
            positive |= {"resolution_m": scanner.resolution_m, "max_distance_m": scanner.max_distance_m}
        if wrong := {name: number for name, number in positive.items() if not number > 0}:
            raise ValueError(f"numbers of the world must be above 0, but there are {wrong}")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> World:
        """Return the world that `to_dict` described.

        Raises:
            TypeError: if a number is missing or unknown.
        """
        scanner = data["height_scanner"]
        parts = {
            "terrain": Terrain(**data["terrain"]),
            "height_scanner": None if scanner is None else HeightScanner(**scanner),
        }
        return cls(**{**data, **parts})

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        return asdict(self)
