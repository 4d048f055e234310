"""Robots in Isaac Lab that are driven live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

from rlmpc.algorithms.restore import check_checkpoint, restore_policy
from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.config.play import PlayCfg
from rlmpc.contract.contract import check_contract
from rlmpc.contract.episode import Trial
from rlmpc.contract.live import Played, Shape, Snapshot
from rlmpc.envs.launch import resolve_device
from rlmpc.envs.make import env_config, make_measurable_env
from rlmpc.envs.vec_env import Obs
from rlmpc.play.live.policies import for_isaaclab
from rlmpc.robots.table import robot_named
from rlmpc.rollout.interaction import Transition, interact, noiseless

if TYPE_CHECKING:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv

LONGEST_S = 86_400.0
"""Length of an episode [s]: a day."""


def start_isaaclab(
    cfg: PlayCfg, checkpoint: Checkpoint, console: Console
) -> tuple[IsaacLabWorld, Played, Callable[[Path], Played]]:
    """Start the environment of a checkpoint's task in play mode.

    Returns:
        The robots, the checkpoint's policy, and what reads another checkpoint.

    Raises:
        UserError: if the policy does not fit the environment.
    """
    groups = restore_policy(checkpoint).acting_groups
    device = resolve_device(cfg.device)
    env_cfg = live_config(env_config(cfg.task, checkpoint.config["env"], cfg.env, checkpoint.path))
    env = make_measurable_env(cfg.task, env_cfg, cfg.num_envs or 1, device, cfg.seed, console.print)
    try:
        check_checkpoint(checkpoint, env.contract, groups)
        played = for_isaaclab(checkpoint, device)
        world = IsaacLabWorld(cast("IsaacLabEnv", env), played)
    except BaseException:
        env.close()
        raise
    return world, played, lambda path: for_isaaclab(load_checkpoint(path), device)


def live_config(env_cfg: Any) -> Any:
    """Let episodes of a config in play mode go on until the robot falls, also beyond its tile; return the config."""
    env_cfg.episode_length_s = LONGEST_S
    env_cfg.terminations.left_tile = None
    return env_cfg


class IsaacLabWorld:
    """Implements `rlmpc.contract.live.LiveWorld` with the N robots of an environment.

    Args:
        env: the environment; it is closed with the world.
        played: the policy that acts first; its `policy` is an `ActingPolicy`.
    """

    def __init__(self, env: IsaacLabEnv, played: Played) -> None:
        self._env, self._played = env, played
        self.contract, self.terrains, self.num_levels = env.contract, env.terrains, env.num_levels
        self._driving = env.driving(robot_named(env.contract.robot).description.body_names)
        self._command = (0.0, 0.0, 0.0)
        self._obs: Obs = {}
        self._steps: Iterator[Transition]
        self.place(self.terrains[0], 0)

    def place(self, terrain: str, level: int) -> Shape:
        """Put the robots on this ground; of kinds with several tiles of a level, they take these in turn."""
        self._env.place([Trial(terrain, level, self._command)] * self._env.num_envs)
        self.reset()
        return self._driving.ground()

    def reset(self) -> None:
        """Start a new episode everywhere."""
        self._begin(self._env.reset())

    def let_act(self, played: Played) -> None:
        """Let another policy act; see the interface."""
        check_contract(played.contract, self.contract, played.groups, str(played.path))
        self._played = played
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
        step = next(self._steps).step
        self._obs = step.obs
        if not bool(step.restarts[0]):
            return None
        reasons = [name for name, ends in zip(self._env.reasons, self._env.ended_by()[0].tolist(), strict=True) if ends]
        return reasons[-1] if reasons else "non_finite"

    def snapshot(self) -> Snapshot:
        """Return how the robots are now."""
        return self._driving.snapshot()

    def close(self) -> None:
        """Shut the simulation down."""
        self._env.close()

    def _begin(self, obs: Obs) -> None:
        """Let the policy go on from an observation with an empty memory."""
        policy = self._played.policy
        self._obs = obs
        self._steps = interact(self._env, noiseless(policy), obs, policy.initial_memory(self._env.num_envs))
