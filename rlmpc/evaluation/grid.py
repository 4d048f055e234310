"""The episodes of an evaluation: every kind of ground at every level under every command."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Protocol

from rlmpc.contract.episode import Trial
from rlmpc.errors import UserError, nearest

Command = tuple[float, ...]

DEFAULT_COMMANDS: dict[tuple[str, ...], tuple[Command, ...]] = {
    ("lin_vel_x", "lin_vel_y", "ang_vel_z"): (
        *((vx, 0.0, 0.0) for vx in (0.5, 0.3, 0.8, 1.0)),
        *((0.0, 0.3, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
    ),
    (): ((),),
}
"""Default commands by the names of a command's numbers: forward at four speeds, sideways, turning and standing.

The first one is what a video shows.
"""


class Grounds(Protocol):
    """The grounds and commands of an environment, as in `rlmpc.envs.vec_env.MeasurableEnv`."""

    @property
    def terrains(self) -> tuple[str, ...]:
        """Kinds of ground."""
        ...

    @property
    def num_levels(self) -> int:
        """Number of levels of difficulty of every kind; levels count from 0."""
        ...

    @property
    def command_names(self) -> tuple[str, ...]:
        """Names of a command's numbers."""
        ...


def make_trials(
    env: Grounds,
    terrains: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
    commands: Sequence[Sequence[float]] | None = None,
    episodes: int = 1,
) -> list[Trial]:
    """Combine kinds of ground, levels and commands.

    Args:
        env: the environment that the names and numbers must fit.
        terrains: kinds of ground; None takes all.
        levels: levels of difficulty; None takes the easiest, the middle and the hardest.
        commands: constant commands; None takes `DEFAULT_COMMANDS`.
        episodes: number of episodes of each combination.

    Raises:
        UserError: for a kind, level or command that the environment does not have, or if there is no combination.
    """
    terrains = env.terrains if terrains is None else terrains
    levels = _spread_levels(env.num_levels) if levels is None else levels
    commands = _default_commands(env.command_names) if commands is None else commands
    for terrain in terrains:
        _check_terrain(terrain, env.terrains)
    for level in levels:
        if not 0 <= level < env.num_levels:
            raise UserError(f"there is no level {level}; accepted: 0 to {env.num_levels - 1}")
    for command in commands:
        _check_command(command, env.command_names)
    grid = itertools.product(terrains, levels, commands, range(episodes))
    trials = [Trial(terrain, level, tuple(map(float, command))) for terrain, level, command, _ in grid]
    if not trials:
        raise UserError("nothing to evaluate: terrains, levels, commands and episodes must not be empty")
    return trials


def _spread_levels(num_levels: int) -> list[int]:
    return sorted({0, num_levels // 2, num_levels - 1})


def _default_commands(names: tuple[str, ...]) -> tuple[Command, ...]:
    if names not in DEFAULT_COMMANDS:
        raise UserError(f"commands of {', '.join(names)} have no default; say which to evaluate")
    return DEFAULT_COMMANDS[names]


def _check_terrain(terrain: str, known: tuple[str, ...]) -> None:
    if terrain not in known:
        raise UserError(f"there is no terrain '{terrain}'; known: {', '.join(known)}{nearest(terrain, known)}")


def _check_command(command: Sequence[float], names: tuple[str, ...]) -> None:
    accepted = f"{len(names)} numbers ({', '.join(names)})" if names else "none"
    if len(command) != len(names) or not all(math.isfinite(number) for number in command):
        raise UserError(f"the command {list(command)} does not fit; accepted: {accepted}")
