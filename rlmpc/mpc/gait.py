"""The gait: a clock, which feet are down, and when stepping starts and ends, for B robots."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlmpc.mpc.walk_settings import WalkSettings

MAX_LATE_START = 0.5
"""Part of a swing that may have passed when the foot lifts; beyond, it waits for its next one."""


class Gait(nn.Module):
    """Clock and contacts of a gait in which the feet swing in turn, the left one first.

    The phase of the cycle is in [0, 1): both feet are down at the beginning of each half cycle, then the left (first
    half) or the right foot swings. It is below 0 while both wait for the first step.

    Args:
        walk: settings.
        num_envs: B.
    """

    offset: Tensor
    phase: Tensor
    """(B,)."""
    rate: Tensor
    """Speed of the clock (B,); 1 is nominal."""
    is_stepping: Tensor
    """(B,) bool."""
    stepping_s: Tensor
    """Time since stepping started (B,)."""
    idle_s: Tensor
    """Time since there was a reason to step (B,)."""
    is_swinging: Tensor
    """(B, 2) bool."""
    has_landed: Tensor
    """Whether the foot landed early in this swing (B, 2) bool."""
    was_in_window: Tensor
    """Whether the foot was to swing at the last physics step (B, 2) bool."""
    lift_share: Tensor
    """Part of the swing that had passed when the foot lifted (B, 2)."""
    late_s: Tensor
    """Time since the foot should have landed (B, 2)."""

    def __init__(self, walk: WalkSettings, num_envs: int) -> None:
        super().__init__()
        self.walk = walk
        self.both_down = 0.5 - walk.swing_fraction
        self.register_buffer("offset", torch.tensor([0.0, 0.5]), persistent=False)
        for name, shape, is_flag in (
            ("phase", (), False),
            ("rate", (), False),
            ("is_stepping", (), True),
            ("stepping_s", (), False),
            ("idle_s", (), False),
            ("is_swinging", (2,), True),
            ("has_landed", (2,), True),
            ("was_in_window", (2,), True),
            ("lift_share", (2,), False),
            ("late_s", (2,), False),
        ):
            dtype = torch.bool if is_flag else torch.get_default_dtype()
            self.register_buffer(name, torch.zeros(num_envs, *shape, dtype=dtype))

    def reset(self, mask: Tensor) -> None:
        """Stand with both feet down, for the robots of `mask` (B,) bool."""
        for buffer in self.buffers():
            if buffer is not self.offset:
                buffer.masked_fill_(mask.reshape(-1, *[1] * (buffer.dim() - 1)), 0)
        self.rate.masked_fill_(mask, 1.0)

    def window(self, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Return which feet are to swing (..., 2) bool, and how much of the swing has passed, at phases (...)."""
        share = ((phase.unsqueeze(-1) - self.offset).remainder(1.0) - self.both_down) / self.walk.swing_fraction
        return (phase >= 0.0).unsqueeze(-1) & (share >= 0.0) & (share < 1.0), share

    def share(self, period: Tensor) -> tuple[Tensor, Tensor]:
        """Return the part of its way that each swinging foot has behind it, 1 if it is late, and its speed [1/s].

        Args:
            period: [s] (B,).
        """
        in_window, share = self.window(self.phase)
        whole = 1.0 - self.lift_share
        speed = (self.rate / (self.walk.swing_fraction * period)).unsqueeze(-1) / whole
        return torch.where(in_window, ((share - self.lift_share) / whole).clamp(0.0, 1.0), 1.0), speed

    def decide(self, is_wanted: Tensor, offset: Tensor, swing_first: Tensor, speed: Tensor, period: Tensor) -> None:
        """Start or end stepping.

        Args:
            is_wanted: whether command or policy ask for steps (B,) bool.
            offset: capture point from the middle of the feet, yaw frame, [m] (B, 2).
            swing_first: foot that is farther from the capture point, 0 left, 1 right, (B,).
            speed: of the centre of mass [m/s] (B,).
            period: [s] (B,).
        """
        is_pushed = (offset[:, 0].abs() > self.walk.push_m[0]) | (offset[:, 1].abs() > self.walk.push_m[1])
        has_reason = is_wanted | is_pushed
        starts = ~self.is_stepping & has_reason
        waits = self.both_down - self.walk.start_delay_s / period
        self.phase.copy_(torch.where(starts, waits, self.phase))
        hastens = is_pushed & (self.phase < 0.0)
        self.phase.copy_(torch.where(hastens, self.both_down + 0.5 * swing_first, self.phase))
        self.idle_s.copy_(torch.where(has_reason, 0.0, self.idle_s + self.walk.physics_dt))
        is_calm = (speed < 0.15) & (offset.norm(dim=-1) < 0.05) & ~self.is_swinging.any(-1)
        ends = (self.idle_s > self.walk.stop_delay_s) & is_calm
        self.is_stepping.copy_((self.is_stepping | starts) & ~ends)
        self.stepping_s.copy_(torch.where(self.is_stepping & ~starts, self.stepping_s + self.walk.physics_dt, 0.0))

    def touch(self, sole_force: Tensor) -> Tensor:
        """Lift and land feet by clock and normal force [N] (B, 2); return which lift now (B, 2) bool."""
        in_window, share = self.window(self.phase)
        in_window = in_window & self.is_stepping.unsqueeze(-1)
        self.has_landed.logical_and_(~(in_window & ~self.was_in_window))
        self.was_in_window.copy_(in_window)
        touches = sole_force > self.walk.touch_force_n
        early = self.is_swinging & in_window & touches & (share > self.walk.early_share)
        self.late_s.copy_(torch.where(self.is_swinging & ~in_window, self.late_s + self.walk.physics_dt, 0.0))
        late = self.is_swinging & ~in_window & (touches | (self.late_s > self.walk.latest_s))
        lands = early | late
        other_is_down = ~self.is_swinging.flip(-1)
        lifts = in_window & ~self.is_swinging & ~self.has_landed & other_is_down & (share < MAX_LATE_START)
        self.has_landed.logical_or_(early)
        self.is_swinging.copy_((self.is_swinging & ~lands) | lifts)
        self.lift_share.copy_(torch.where(lifts, share, self.lift_share))
        return lifts

    def advance(self, foothold_error: Tensor, period: Tensor) -> None:
        """Let the clock go on by one physics step; it hurries if the foothold is far from the nominal one.

        Args:
            foothold_error: [m] of the swinging foot (B,).
            period: [s] (B,).
        """
        hurry = 1.0 + self.walk.hurry_gain * ((foothold_error - 0.05) / 0.10).clamp(0.0, 1.0)
        self.rate.copy_(torch.where(self.is_swinging.any(-1), hurry, 1.0))
        ahead = self.phase + self.rate * self.walk.physics_dt / period
        self.phase.copy_(torch.where(self.is_stepping, ahead - (ahead >= 1.0).to(ahead.dtype), 0.0))

    def swing_left_s(self, period: Tensor) -> Tensor:
        """Return the time that each foot still swings [s] (B, 2), 0 if it is down; `period`: [s] (B,)."""
        in_window, share = self.window(self.phase)
        left = (1.0 - share) * self.walk.swing_fraction * (period / self.rate).unsqueeze(-1)
        return torch.where(self.is_swinging & in_window, left, 0.0)

    def contact_table(self, horizon: int, step_s: float, period: Tensor) -> Tensor:
        """Return which feet are down in the middle of the horizon's steps (B, N, 2) bool; the first step is now."""
        steps = torch.arange(horizon, device=period.device) + 0.5
        phase = self.phase.unsqueeze(-1) + steps * step_s * (self.rate / period).unsqueeze(-1)
        in_window, _ = self.window(phase)
        # A foot that landed early stays down until its window is over.
        in_this_window = in_window.to(torch.int8).cummin(1).values.bool() & self.was_in_window.unsqueeze(1)
        stays = in_this_window & ~self.is_swinging.unsqueeze(1)
        table = ~in_window | stays | ~self.is_stepping[:, None, None]
        return torch.cat((~self.is_swinging.unsqueeze(1), table[:, 1:]), 1)
