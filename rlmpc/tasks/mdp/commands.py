"""Velocity commands whose ranges widen during training."""

from functools import partial
from itertools import accumulate
from typing import Any, cast

import torch
from isaaclab.envs import ManagerBasedEnv
from isaaclab.envs.mdp import UniformVelocityCommand, UniformVelocityCommandCfg
from isaaclab.utils import configclass
from isaaclab.utils.math import wrap_to_pi

from rlmpc.graphs import at_once
from rlmpc.tasks.mdp.progress import Progress, planar_velocity
from rlmpc.tasks.mdp.selected import Selected, mask_of, uniform, write

AXES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
"""Names of the three numbers in a command, which are also the names of their ranges."""


class WideningVelocityCommand(UniformVelocityCommand):
    """Uniform velocity command (vx, vy in m/s, yaw rate in rad/s, base frame) that starts narrow.

    The current ranges live on the device, where they are widened and drawn from without the host. Environments are
    selected by masks: no step waits for the device.
    """

    cfg: "WideningVelocityCommandCfg"

    def __init__(self, cfg: "WideningVelocityCommandCfg", env: ManagerBasedEnv) -> None:
        """Start with commands drawn at random."""
        super().__init__(cfg, env)
        self._held: torch.Tensor | None = None
        self._is_held: torch.Tensor | None = None
        self._ranges = self._on_device(cfg.ranges)
        self._limits = self._on_device(cfg.limits)
        self.progress = Progress(self.num_envs, self.device)
        self._is_at_end = False

    @property
    def velocity_error(self) -> torch.Tensor:
        """Average of measured minus commanded velocity with the last step in it, see `Progress.error`. (N, 3)."""
        if not self._is_at_end:
            return self.progress.error
        return self.progress.next_error(*self._last_step(self.vel_command_b))

    @property
    def upper_ends(self) -> dict[str, torch.Tensor]:
        """Upper ends of the current ranges [m/s, m/s, rad/s], scalars by axis that follow every change."""
        return dict(zip(AXES, self._ranges[:, 1], strict=True))

    def widen(self, axes: torch.Tensor, step: float) -> None:
        """Move both ends of the ranges of the axes in a mask (3,) outward by a step [m/s, m/s, rad/s], within limits.

        When vx has reached its upper limit, its lower end jumps to `min_lin_vel_x_at_limit`, if that is set: a robot
        that walks fast no longer needs slow commands.
        """
        (low, high), (lowest, highest) = self._ranges.unbind(dim=1), self._limits.unbind(dim=1)
        # Rounded, because repeatedly adding 0.1 misses thresholds such as 0.5 by a rounding error.
        low = (low - step).round(decimals=6).maximum(lowest)
        high = (high + step).round(decimals=6).minimum(highest)
        if self.cfg.min_lin_vel_x_at_limit is not None:
            jumps = (high == highest) & (torch.arange(len(AXES), device=self.device) == AXES.index("lin_vel_x"))
            low = torch.where(jumps, self.cfg.min_lin_vel_x_at_limit, low)
        write(self._ranges, axes, torch.stack([low, high], dim=1))

    def hold(self, commands: torch.Tensor, where: torch.Tensor | None = None) -> None:
        """Hold one command (N, 3) [m/s, m/s, rad/s] from the next episode on, and no longer draw any.

        With a mask (N,), only there; elsewhere, commands are drawn as if none was held.
        """
        self._held, self._is_held = commands.to(self.vel_command_b), where

    def hold_now(self, commands: torch.Tensor) -> None:
        """Hold one command (N, 3) everywhere as `hold` does, in the episodes that run too."""
        self.hold(commands)
        self._resample_command(torch.ones_like(self.is_standing_env))

    def end_step(self) -> None:
        """Show `velocity_error` and commands as they are after the step, before `compute`.

        The last observation of an episode is made then: it is what would have been seen without the reset.
        """
        self._update_command()
        self._is_at_end = True

    def compute(self, dt: float) -> None:
        """Measure the last step [s], then draw new commands where their time is over."""
        self._update_command()
        self._update_metrics()
        # A copy, since new commands may be drawn before the last step is measured.
        command = self.vel_command_b.clone()
        self.time_left -= dt
        is_over = cast(torch.Tensor, self.time_left <= 0.0)
        at_once(torch.device(self.device), [partial(self._measure, command), partial(self._resample, is_over)])
        self._is_at_end = False
        self._update_command()

    def episode_metrics(self) -> dict[str, torch.Tensor]:
        """Return the metrics of the episodes as they are now, by name; (N,) each."""
        steps = self._step_count.clamp_min(1.0)
        error_xy, error_yaw = self._error_xy_sum / steps, self._error_yaw_sum / steps
        is_near = (error_xy < self.cfg.vel_xy_success_threshold) & (error_yaw < self.cfg.vel_yaw_success_threshold)
        return {"error_vel_xy": error_xy, "error_vel_yaw": error_yaw, "success_rate": is_near.float()}

    def reset(self, env_ids: Selected = None) -> dict[str, torch.Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Start episodes and return the metrics of those that ended."""
        self.progress.begin(mask_of(self._env, env_ids))
        return super().reset(cast(Any, env_ids))

    def begin_episodes(self, mask: torch.Tensor) -> None:
        """Start the episodes of a mask (N,) as `reset` does, but report nothing."""
        self.progress.begin(mask)
        for values in (*self.metrics.values(), self._error_xy_sum, self._error_yaw_sum, self._step_count):
            write(values, mask, 0.0)
        self.command_counter.masked_fill_(mask, 0)
        self._resample(mask)

    def _measure(self, command: torch.Tensor) -> None:
        self.progress.add(*self._last_step(command))

    def _last_step(self, command: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float, float]:
        """Return what `Progress` adds of the last step, whose command (N, 3) it was."""
        data = self.robot.data
        motion = (data.root_quat_w.torch, data.root_lin_vel_w.torch, data.root_ang_vel_w.torch)
        return command, planar_velocity(*motion), self._env.step_dt, self.cfg.averaging_time_s

    def _resample(self, env_ids: Selected) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        mask = mask_of(self._env, env_ids)
        write(self.time_left, mask, uniform(self._env, mask, *self.cfg.resampling_time_range))
        self._resample_command(mask)
        self.command_counter.add_(mask)

    def _resample_command(self, mask: torch.Tensor) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self._held is not None:
            held = mask if self._is_held is None else mask & self._is_held
            write(self.vel_command_b, held, self._held)
            # Either would replace the held command.
            self.is_standing_env &= ~held
            self.is_heading_env &= ~held
            if self._is_held is None:
                return
            mask = mask & ~self._is_held
        low, high = self._ranges.float().unbind(dim=1)
        write(self.vel_command_b, mask, low + (high - low) * uniform(self._env, mask, 0.0, 1.0, 3))
        if self.cfg.heading_command:
            write(self.heading_target, mask, uniform(self._env, mask, *cast(Any, self.cfg.ranges.heading)))
            is_heading = uniform(self._env, mask, 0.0, 1.0) <= self.cfg.rel_heading_envs
            write(self.is_heading_env, mask, is_heading)
        self._draw_kinds(mask)
        is_standing = uniform(self._env, mask, 0.0, 1.0) <= self.cfg.rel_standing_envs
        write(self.is_standing_env, mask, is_standing)
        # Isaac Lab does so only after it has counted a step with the command that was drawn.
        write(self.vel_command_b, mask & is_standing, 0.0)

    def _draw_kinds(self, mask: torch.Tensor) -> None:
        """Let some commands ask for one axis alone."""
        kinds = (self.cfg.rel_forward_envs, self.cfg.rel_sideways_envs, self.cfg.rel_turning_envs)
        if not any(kinds):
            return
        kind = uniform(self._env, mask, 0.0, 1.0)
        # Each kind is what its mask has more than the one before.
        forward, to_sideways, to_turning = (mask & (kind < end) for end in accumulate(kinds))
        not_forward = to_turning ^ forward
        write(self.vel_command_b[:, 0], not_forward, 0.0)
        write(self.vel_command_b[:, 1], not_forward ^ to_sideways, 0.0)
        write(self.vel_command_b[:, 2], to_sideways, 0.0)
        # Who walks forward alone may still turn towards a heading; the others would walk in a curve.
        self.is_heading_env &= ~not_forward

    def _update_command(self) -> None:
        """Turn towards the heading, as fast as the current range allows, and let who stands stand."""
        if self.cfg.heading_command:
            error = wrap_to_pi(self.heading_target - self.robot.data.heading_w.torch)
            low, high = self._ranges[AXES.index("ang_vel_z")].float()
            turn = (self.cfg.heading_control_stiffness * error).clamp(low, high)
            write(self.vel_command_b[:, 2], self.is_heading_env, turn)
        write(self.vel_command_b, self.is_standing_env, 0.0)

    def _on_device(self, ranges: UniformVelocityCommandCfg.Ranges) -> torch.Tensor:
        """Return ranges as (3, 2): in double precision, so that the host reads the numbers that were written."""
        return torch.tensor([getattr(ranges, axis) for axis in AXES], dtype=torch.float64, device=self.device)

    def state_dict(self) -> dict[str, list[float]]:
        """Return the current ranges: `{axis: [low, high]}`."""
        return dict(zip(AXES, self._ranges.tolist(), strict=True))

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Restore the ranges that `state_dict` returned, as far as today's limits allow.

        Raises:
            ValueError: If one does not rise; nothing has changed then.
        """
        if wrong := [axis for axis in AXES if not state[axis][0] <= state[axis][1]]:
            raise ValueError(f"the command range {wrong[0]} {state[wrong[0]]} does not rise")
        lowest, highest = self._limits[:, :1], self._limits[:, 1:]
        there = torch.tensor([state[axis] for axis in AXES], dtype=torch.float64, device=self.device)
        self._ranges.copy_(there.clamp(lowest, highest))


@configclass
class WideningVelocityCommandCfg(UniformVelocityCommandCfg):
    """Configuration of the widening velocity command; `ranges` are the ranges at the start of training."""

    class_type: type = WideningVelocityCommand

    limits: UniformVelocityCommandCfg.Ranges = UniformVelocityCommandCfg.Ranges(
        lin_vel_x=(-0.5, 1.0), lin_vel_y=(-0.5, 0.5), ang_vel_z=(-2.0, 2.0)
    )
    """Ranges at the end of training [m/s, m/s, rad/s]."""

    rel_forward_envs: float = 0.0
    """Share of commands that ask for vx alone, and for a heading where one is commanded. `rel_standing_envs` is drawn
    after these kinds, from all."""

    rel_sideways_envs: float = 0.0
    """Share of commands that ask for vy alone."""

    rel_turning_envs: float = 0.0
    """Share of commands that ask for a yaw rate alone."""

    averaging_time_s: float = 1.0
    """Time constant of the average error in `Progress` [s]: over one and a half gait cycles, sway is little."""

    min_lin_vel_x_at_limit: float | None = None
    """Lower end of the vx range once its upper end has reached the limit [m/s]; None: it widens like the others.

    It becomes part of the current ranges and thus of checkpoints. Play mode draws from `limits` and is not affected.
    """

    def check_ranges(self) -> None:
        """Refuse start ranges, and a lowest vx, that are not inside their limits, and shares that are none.

        Raises:
            ValueError: If there is one, with what is accepted.
        """
        kinds = ("rel_forward_envs", "rel_sideways_envs", "rel_turning_envs")
        for name in (*kinds, "rel_standing_envs", "rel_heading_envs"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"commands.base_velocity.{name} must be from 0 to 1, not {getattr(self, name)}")
        # Shares such as 0.7, 0.2 and 0.1 add up to 1 but for rounding.
        if (total := sum(getattr(self, name) for name in kinds)) > 1.0 + 1e-9:
            raise ValueError(f"{', '.join(kinds)} must add up to at most 1, not {total:g}")
        for axis in AXES:
            (low, high), (lowest, highest) = getattr(self.ranges, axis), getattr(self.limits, axis)
            if not lowest <= low <= high <= highest:
                raise ValueError(f"the command range {axis} {(low, high)} is not inside its limits {(lowest, highest)}")
        lowest, highest = self.limits.lin_vel_x
        if self.min_lin_vel_x_at_limit is not None and not lowest <= self.min_lin_vel_x_at_limit <= highest:
            raise ValueError(
                f"min_lin_vel_x_at_limit {self.min_lin_vel_x_at_limit} is not inside the limits {(lowest, highest)}"
            )
