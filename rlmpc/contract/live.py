"""What live play needs from a simulator, whichever it is: robots that are driven step by step and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rlmpc.contract.contract import Contract, check_contract
from rlmpc.errors import UserError


@dataclass(frozen=True)
class Played:
    """A policy that was read from a file."""

    path: Path
    contract: Contract
    groups: tuple[str, ...]
    """Observation groups that it reads."""
    policy: Any
    """What the simulator lets act."""
    command_ranges: Mapping[str, Sequence[float]] | None
    """Trained ranges of the velocity command [m/s, rad/s], by axis; None where unknown."""


def check_fit(played: Played, world: Contract) -> None:
    """Refuse a policy that was not made for a world.

    Raises:
        UserError: if it moves another robot, or its contract differs in what it uses, with the differences.
    """
    if played.contract.robot != world.robot:
        raise UserError(f"'{played.path}' moves the robot '{played.contract.robot}', and here walks '{world.robot}'")
    check_contract(played.contract, world, played.groups, str(played.path))


@dataclass(frozen=True)
class Shape:
    """Triangles in the world frame."""

    vertices: np.ndarray
    """(V, 3) [m]."""
    faces: np.ndarray
    """(F, 3) indices of vertices."""


@dataclass(frozen=True)
class Snapshot:
    """N robots after a control step, as arrays on the host."""

    body_pos: np.ndarray
    """Origins of the B bodies, in the description's order, in the world frame (N, B, 3) [m]."""
    body_quat_wxyz: np.ndarray
    """Their orientations (N, B, 4), `(w, x, y, z)`."""
    velocity: np.ndarray
    """vx and vy in the frame of the heading [m/s], yaw rate [rad/s], (N, 3)."""
    joint_torque: np.ndarray
    """Torques of the drives (N, J) [N m], joints in the contract's order."""
    foot_force: np.ndarray
    """Size of the normal force on the left and the right foot (N, 2) [N]."""
    true_velocity: np.ndarray
    """Linear velocity of the root in its own frame (N, 3) [m/s]."""
    estimated_velocity: np.ndarray | None = None
    """What the first robot's policy takes it for (3,) [m/s]; None for a policy that estimates none."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """Weighted reward terms of the first robot, per second; empty in a world without rewards."""


class LiveWorld(Protocol):
    """Robots on one kind of ground that follow one command.

    They do not meet each other. Policies take turns: of two, the first moves robots 0, 2, ..., the second 1, 3, ...
    """

    contract: Contract
    """What a policy must agree on with this world."""
    terrains: tuple[str, ...]
    """Kinds of ground."""
    num_levels: int
    """Levels of difficulty of every kind, counted from 0."""
    num_robots: int
    """Number of robots N."""
    max_robots: int
    """Largest number that `let_walk` takes; N itself where it cannot change."""

    def place(self, terrain: str, level: int) -> Shape:
        """Put the robots on this ground, at the start of an episode, and return the ground around them."""
        ...

    def let_walk(self, num_robots: int) -> None:
        """Change the number of robots, and start a new episode."""
        ...

    def reset(self) -> None:
        """Start a new episode."""
        ...

    def let_act(self, played: Played, turn: int = 0) -> None:
        """Let another policy act in the place of one from the next step on, with an empty memory.

        The robots stay as they are.

        Args:
            played: the policy.
            turn: which of the policies it replaces.

        Raises:
            UserError: if it was not made for this world; see `check_fit`.
        """
        ...

    def set_command(self, command: tuple[float, float, float]) -> None:
        """Command vx, vy [m/s] and yaw rate [rad/s] from the next step on."""
        ...

    def push(self, change: tuple[float, float]) -> None:
        """Change the horizontal velocity of all roots at once by (x, y) [m/s] in the frame of the heading."""
        ...

    def step(self) -> str | None:
        """Run one control step; return why an episode of the first robot ended in it and the next began, if it did."""
        ...

    def snapshot(self) -> Snapshot:
        """Return how the robots are now."""
        ...

    def close(self) -> None:
        """Release the simulator."""
        ...
