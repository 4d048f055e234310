"""Velocity commands whose ranges widen during training."""

from collections.abc import Sequence

import torch
from isaaclab.envs import ManagerBasedEnv
from isaaclab.envs.mdp import UniformVelocityCommand, UniformVelocityCommandCfg
from isaaclab.utils import configclass

AXES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
"""Names of the three numbers in a command, which are also the names of their ranges."""


class WideningVelocityCommand(UniformVelocityCommand):
    """Uniform velocity command (vx, vy in m/s, yaw rate in rad/s, base frame) that starts narrow.

    The current ranges are `ranges` of the term's configuration, which the manager has copied from the environment's.
    They are plain floats, because they change at most once per episode length and the host reads them to draw commands.
    """

    cfg: "WideningVelocityCommandCfg"

    def __init__(self, cfg: "WideningVelocityCommandCfg", env: ManagerBasedEnv) -> None:
        """Start with commands drawn at random."""
        super().__init__(cfg, env)
        self._held: torch.Tensor | None = None

    @property
    def ranges(self) -> UniformVelocityCommandCfg.Ranges:
        """Current ranges from which commands are drawn [m/s, m/s, rad/s]."""
        return self.cfg.ranges

    def widen(self, axis: str, step: float) -> None:
        """Move both ends of an axis's range outward by a step [m/s or rad/s], as far as its limits.

        When vx has reached its upper limit, its lower end jumps to `min_lin_vel_x_at_limit`, if that is set: a robot
        that walks fast no longer needs slow commands.
        """
        (low, high), (lowest, highest) = getattr(self.ranges, axis), getattr(self.cfg.limits, axis)
        # Rounded, because repeatedly adding 0.1 misses thresholds such as 0.5 by a rounding error.
        low, high = max(round(low - step, 6), lowest), min(round(high + step, 6), highest)
        if axis == "lin_vel_x" and high == highest and self.cfg.min_lin_vel_x_at_limit is not None:
            low = self.cfg.min_lin_vel_x_at_limit
        setattr(self.ranges, axis, (low, high))

    def hold(self, commands: torch.Tensor) -> None:
        """Hold one command (N, 3) [m/s, m/s, rad/s] from the next episode on; commands are no longer drawn."""
        self._held = commands.to(self.vel_command_b)

    def _resample_command(self, env_ids: Sequence[int] | slice) -> None:
        if self._held is None:
            super()._resample_command(env_ids)  # pyright: ignore[reportArgumentType]  # takes slices, like its base
            return
        self.vel_command_b[env_ids] = self._held[env_ids]
        # Either would replace the held command.
        self.is_standing_env[env_ids] = False
        self.is_heading_env[env_ids] = False

    def state_dict(self) -> dict[str, list[float]]:
        """Return the current ranges: `{axis: [low, high]}`."""
        return {axis: list(getattr(self.ranges, axis)) for axis in AXES}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Restore the ranges that `state_dict` returned, as far as today's limits allow.

        Raises:
            ValueError: If one does not rise; nothing has changed then.
        """
        if wrong := [axis for axis in AXES if not state[axis][0] <= state[axis][1]]:
            raise ValueError(f"the command range {wrong[0]} {state[wrong[0]]} does not rise")
        for axis in AXES:
            lowest, highest = getattr(self.cfg.limits, axis)
            low, high = (min(max(end, lowest), highest) for end in state[axis])
            setattr(self.ranges, axis, (low, high))


@configclass
class WideningVelocityCommandCfg(UniformVelocityCommandCfg):
    """Configuration of the widening velocity command; `ranges` are the ranges at the start of training."""

    class_type: type = WideningVelocityCommand

    limits: UniformVelocityCommandCfg.Ranges = UniformVelocityCommandCfg.Ranges(
        lin_vel_x=(-0.5, 1.0), lin_vel_y=(-0.5, 0.5), ang_vel_z=(-2.0, 2.0)
    )
    """Ranges at the end of training [m/s, m/s, rad/s]."""

    min_lin_vel_x_at_limit: float | None = None
    """Lower end of the vx range once its upper end has reached the limit [m/s]; None: it widens like the others.

    It becomes part of the current ranges and thus of checkpoints. Play mode draws from `limits` and is not affected.
    """

    def check_ranges(self) -> None:
        """Refuse start ranges, and a lowest vx, that are not inside their limits.

        Raises:
            ValueError: If one is not, with the range and its limits.
        """
        for axis in AXES:
            (low, high), (lowest, highest) = getattr(self.ranges, axis), getattr(self.limits, axis)
            if not lowest <= low <= high <= highest:
                raise ValueError(f"the command range {axis} {(low, high)} is not inside its limits {(lowest, highest)}")
        lowest, highest = self.limits.lin_vel_x
        if self.min_lin_vel_x_at_limit is not None and not lowest <= self.min_lin_vel_x_at_limit <= highest:
            raise ValueError(
                f"min_lin_vel_x_at_limit {self.min_lin_vel_x_at_limit} is not inside the limits {(lowest, highest)}"
            )
