"""Robots in Isaac Lab that are driven live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from rich.console import Console

from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.config.play import PlayCfg
from rlmpc.contract.episode import Trial
from rlmpc.contract.live import Played, Shape, Snapshot, check_fit
from rlmpc.envs.make import env_config, make_measurable_env
from rlmpc.envs.vec_env import Obs
from rlmpc.errors import UserError
from rlmpc.play.live.policies import InTurn, for_isaaclab, velocity_estimated_in
from rlmpc.robots.table import robot_named
from rlmpc.rollout.interaction import Transition, interact, noiseless
from rlmpc.run.device import resolve_device

if TYPE_CHECKING:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv

LONGEST_S = 86_400.0
"""Length of an episode [s]: a day."""


def start_isaaclab(
    cfg: PlayCfg, checkpoints: Sequence[Checkpoint], console: Console
) -> tuple[IsaacLabWorld, list[Played], Callable[[Path], Played]]:
    """Start the environment of the first checkpoint's task in play mode.

    Returns:
        The robots, the checkpoints' policies, and what reads another checkpoint.

    Raises:
        UserError: if a policy does not fit the others or the environment, or there are fewer robots than policies.
    """
    num_robots = cfg.num_envs or len(checkpoints)
    if num_robots < len(checkpoints):
        raise UserError(f"num_envs={num_robots} leaves no robot for 'beside'; it takes at least {len(checkpoints)}")
    device = resolve_device(cfg.device)
    policies = [for_isaaclab(checkpoint, device) for checkpoint in checkpoints]
    # The start of the environment takes a minute.
    for played in policies[1:]:
        check_fit(played, policies[0].contract)
    first = checkpoints[0]
    env_cfg = live_config(env_config(cfg.task, first.config["env"], cfg.env, first.path, cfg.disturbed))
    env = make_measurable_env(cfg.task, env_cfg, num_robots, device, cfg.seed, console.print)
    try:
        world = IsaacLabWorld(cast("IsaacLabEnv", env), policies)
    except BaseException:
        env.close()
        raise
    return world, policies, lambda path: for_isaaclab(load_checkpoint(path), device)


def live_config(env_cfg: Any) -> Any:
    """Let episodes of a config in play mode go on until the robot falls, also beyond its tile; return the config."""
    env_cfg.episode_length_s = LONGEST_S
    env_cfg.terminations.left_tile = None
    return env_cfg


class IsaacLabWorld:
    """Implements `rlmpc.contract.live.LiveWorld` with the N robots of an environment, whose number stays.

    Args:
        env: the environment; it is closed with the world.
        policies: those that act first; their `policy` is an `ActingPolicy`.

    Raises:
        UserError: if a policy does not fit the environment.
    """

    def __init__(self, env: IsaacLabEnv, policies: Sequence[Played]) -> None:
        self._env, self._policies = env, list(policies)
        self.contract, self.terrains, self.num_levels = env.contract, env.terrains, env.num_levels
        self.num_robots = self.max_robots = env.num_envs
        for played in policies:
            check_fit(played, self.contract)
        robot = robot_named(env.contract.robot)
        self._driving = env.driving(robot.description.body_names, robot.feet)
        self._command = (0.0, 0.0, 0.0)
        self._obs: Obs = {}
        self._steps: Iterator[Transition]
        self._estimated: np.ndarray | None = None
        self.place(self.terrains[0], 0)

    def place(self, terrain: str, level: int) -> Shape:
        """Put the robots on this ground; of kinds with several tiles of a level, they take these in turn."""
        self._env.place([Trial(terrain, level, self._command)] * self._env.num_envs)
        self.reset()
        return self._driving.ground()

    def let_walk(self, num_robots: int) -> None:
        """Start a new episode; the number of environments cannot change."""
        self.reset()

    def reset(self) -> None:
        """Start a new episode everywhere."""
        obs = self._env.reset()
        self._driving.line_up(torch.ones(self.num_robots, dtype=torch.bool, device=self._env.device))
        self._begin(obs)

    def let_act(self, played: Played, turn: int = 0) -> None:
        """Let another policy act; see the interface. The memories of all are emptied."""
        check_fit(played, self.contract)
        self._policies[turn] = played
        self._begin(self._obs)

    def set_command(self, command: tuple[float, float, float]) -> None:
        """Command vx, vy [m/s] and yaw rate [rad/s]."""
        self._command = command
        self._driving.command(command)

    def push(self, change: tuple[float, float]) -> None:
        """Change the horizontal velocity of all roots."""
        self._driving.push(change)

    def step(self) -> str | None:
        """Run one control step; see the interface."""
        transition = next(self._steps)
        step, self._obs = transition.step, transition.step.obs
        self._estimated = velocity_estimated_in(transition.acted.first)
        self._driving.line_up(step.restarts)
        if not bool(step.restarts[0]):
            return None
        reasons = [name for name, ends in zip(self._env.reasons, self._env.ended_by()[0].tolist(), strict=True) if ends]
        return reasons[-1] if reasons else "non_finite"

    def snapshot(self) -> Snapshot:
        """Return how the robots are now."""
        return replace(self._driving.snapshot(), estimated_velocity=self._estimated)

    def close(self) -> None:
        """Shut the simulation down."""
        self._env.close()

    def _begin(self, obs: Obs) -> None:
        """Let the policies go on from an observation with an empty memory."""
        policy = InTurn([played.policy for played in self._policies])
        self._obs = obs
        self._steps = interact(self._env, noiseless(policy), obs, policy.initial_memory(self._env.num_envs))
