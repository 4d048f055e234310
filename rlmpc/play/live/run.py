"""Plays a policy live: starts the robots, the page and the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.command_line.play import is_exported
from rlmpc.config.play import PlayCfg
from rlmpc.contract.live import LiveWorld, Played
from rlmpc.errors import UserError
from rlmpc.evaluation.grid import make_trials
from rlmpc.play.in_mujoco import MujocoGround, check_effects
from rlmpc.play.live.page import Page, Seat
from rlmpc.play.live.policies import for_mujoco, run_of
from rlmpc.play.live.server import PageServer, address, open_server

AXES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
DEFAULT_RANGES = {"lin_vel_x": (-1.0, 1.0), "lin_vel_y": (-0.5, 0.5), "ang_vel_z": (-1.0, 1.0)}
"""Of the command's numbers where the policy does not say what it was trained on [m/s, rad/s]."""


def play_live(cfg: PlayCfg, opened: Checkpoint | Path, console: Console) -> None:
    """Show the page until Ctrl-C, or for `steps` control steps.

    Raises:
        UserError: if the policy does not fit, or the page cannot be opened.
    """
    if cfg.task.simulator == "toy":
        raise UserError(f"task '{cfg.task.name}' has no robot to show on a page")
    both = [opened] if cfg.beside is None else [opened, _opened(cfg.beside, cfg, opened)]
    server = open_server(cfg.host, cfg.port, cfg.task.name)
    try:
        world, policies, load = _start(cfg, both, console)
        try:
            page = _page(cfg, server, world, policies, load)
            console.print(address(cfg.host, server.get_port()))
            _run(page, cfg.steps)
            console.print(f"{page.num_steps} control steps; real-time factor {page.loop.real_time_factor:.2f}")
        finally:
            world.close()
    finally:
        server.stop()


def _opened(where: str, cfg: PlayCfg, first: Checkpoint | Path) -> Checkpoint | Path:
    """Open the policy that walks beside the first, in the same simulator."""
    if not is_exported(where):
        return find_checkpoint(where, Path(cfg.run.root))
    if isinstance(first, Checkpoint) and cfg.backend != "mujoco":
        raise UserError(f"'{where}' is exported and walks in MuJoCo; with a checkpoint, it needs backend=mujoco")
    return Path(where)


def _run(page: Page, steps: int | None) -> None:
    while steps is None or page.num_steps < steps:
        page.loop.turn()


def _start(
    cfg: PlayCfg, opened: list[Checkpoint | Path], console: Console
) -> tuple[LiveWorld, list[Played], Callable[[Path], Played]]:
    """Return the robots, the policies that act first, and what reads another one."""
    if isinstance(opened[0], Checkpoint) and cfg.backend != "mujoco":
        from rlmpc.play.live.isaaclab import start_isaaclab

        return start_isaaclab(cfg, [each for each in opened if isinstance(each, Checkpoint)], console)
    from rlmpc.sim2sim.live import MujocoWorld

    check_effects(cfg, opened[0])
    policies = [for_mujoco(each) for each in opened]
    return MujocoWorld(policies, cfg.seed), policies, _load_for_mujoco


def _load_for_mujoco(path: Path) -> Played:
    return for_mujoco(path if is_exported(str(path)) else load_checkpoint(path))


def _page(
    cfg: PlayCfg, server: PageServer, world: LiveWorld, policies: Sequence[Played], load: Callable[[Path], Played]
) -> Page:
    ground = MujocoGround(world.terrains, world.num_levels)
    command = [0.0, 0.0, 0.0] if cfg.command is None else cfg.command
    trial = make_trials(ground, cfg.terrains, cfg.levels or [0], [command])[0]
    ranges = slider_ranges(policies[0].command_ranges or {})
    for axis, (low, high), number in zip(AXES, ranges, trial.command, strict=True):
        if not low <= number <= high:
            raise UserError(f"{axis} = {number:g} lies outside the range of the page's slider: {low:g} to {high:g}")
    start = (trial.terrain, trial.level, (trial.command[0], trial.command[1], trial.command[2]))
    seats = [Seat(played.path, partial(run_of, played.path)) for played in policies]
    return Page(server, world, ranges, start, seats, load)


def slider_ranges(trained: Mapping[str, Sequence[float]]) -> list[tuple[float, float]]:
    """Return the sliders' ranges: those of training, widened to 0, for every policy is told to stand too."""
    ranges = [trained.get(axis, DEFAULT_RANGES[axis]) for axis in AXES]
    widened = [(min(low, 0.0), max(high, 0.0)) for low, high in ranges]
    # A slider of one number cannot be moved.
    return [
        (low, high) if high > low else DEFAULT_RANGES[axis] for axis, (low, high) in zip(AXES, widened, strict=True)
    ]
