"""The world in which a policy was trained, as plain numbers, so that another simulator can build one like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from rlmpc.contract.schema import (
    As,
    Flag,
    Name,
    NotNegative,
    Number,
    Positive,
    Vector2,
    Vector3,
    checked,
    closed,
    extensible,
)

MAX_RAYS = 10_000
"""Largest number of rays of a height scanner."""

Length = Annotated[float, Field(strict=True, gt=0.0, le=1000.0)]
"""[m]"""
Level = Annotated[int, Field(strict=True, ge=1, le=10_000)]


def _few_rays(scanner: HeightScanner) -> HeightScanner:
    if (scanner.size_m[0] / scanner.resolution_m + 1) * (scanner.size_m[1] / scanner.resolution_m + 1) > MAX_RAYS:
        raise ValueError(f"input should have at most {MAX_RAYS} rays")
    return scanner


@closed
@dataclass(frozen=True)
class HeightScanner:
    """A grid of rays straight down that turns with the yaw of the body that carries it."""

    body: Name
    offset_m: Vector3
    """Middle of the grid from the body's origin: forward, left, up."""
    size_m: Annotated[list[NotNegative], Field(min_length=2, max_length=2)]
    """Forward and sideways extent of the grid; there are rays on its edges too."""
    resolution_m: Positive
    """Distance between neighbouring rays."""
    max_distance_m: Positive
    """How far a ray sees."""


@extensible
class Ground(TypedDict, total=False, extra_items=Flag | Number | list[Number]):
    """A kind of ground: the name of the function that builds it and the numbers it takes, those of stairs by name."""

    shape: Name
    step_height_range: Vector2
    step_width: Annotated[float, Field(strict=True, ge=0.01, le=1000.0)]
    platform_width: NotNegative
    border_width: NotNegative


@closed
@dataclass(frozen=True)
class Terrain:
    """A grid of tiles with level ground around it: a column for every kind of ground, a row for every level."""

    kinds: dict[Name, Annotated[dict[str, Any], As(Ground)]]
    """By name."""
    num_levels: Level
    difficulty_range: Vector2
    """Difficulty at the lower end of the first level and at the upper end of the last."""
    tile_size_m: Annotated[list[Length], Field(min_length=2, max_length=2)]
    border_width_m: Annotated[float, Field(strict=True, ge=0.0, le=1000.0)]


@closed
@dataclass(frozen=True)
class World:
    """Numbers of the training world."""

    num_substeps: Annotated[int, Field(strict=True, ge=1, le=1000)]
    """Physics steps in one control step."""
    gravity: Vector3
    """[m/s^2] world frame."""
    integrator: Literal["euler", "rk4", "implicit", "implicitfast"]
    cone: Literal["pyramidal", "elliptic"]
    """MuJoCo's integrator and its model of friction cones, by their names in MJCF."""
    impratio: Positive
    """Ratio of frictional to normal constraint impedance."""
    contact_stiffness: Positive
    """[N/m] of the ground."""
    contact_damping: Positive
    """[N s/m] of the ground."""
    heading_noise_rad: NotNegative
    """Largest deviation of the initial heading from one of the four axes."""
    max_start_velocity: NotNegative
    """[m/s, rad/s] largest component of the root's initial velocity."""
    episode_length_s: Annotated[float, Field(strict=True, gt=0.0, le=3600.0)]
    max_tilt_rad: Number | None
    """An episode ends beyond this tilt of the root; None: it does not."""
    min_height_m: Number | None
    """An episode ends below this height of the root; None: it does not."""
    terrain: Terrain
    height_scanner: Annotated[HeightScanner, AfterValidator(_few_rays)] | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> World:
        """Return the world that `to_dict` described.

        Raises:
            UserError: if a number is missing, unknown or not accepted.
        """
        return checked(cls, data, "the contract", "world")

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        return asdict(self)
