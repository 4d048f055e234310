"""The contract between an environment and everything that learns in it.

Symbols used throughout the project: N environments, T steps of a rollout, A actions, D_g features of observation
group g.

One step of the world:

    obs       dict of groups, each (N, D_g) float32: the observation *now*, after any reset
    actions   (N, A) float32, unbounded; an environment replaces non-finite entries by 0 and clips what it must
    reward    (N,) float32, already multiplied by the step length, so that sums do not depend on the control rate
    terminated (N,) bool: the episode ended and nothing follows (a fall); the value of what follows is 0
    truncated (N,) bool: the episode was cut (time-out, tile left); what follows has the value of `terminal_obs`
    faulty    (N,) bool: the step cannot be used: a state or reward is not finite, or `restart` was called; reward,
              terminated and truncated are 0 there, and the episode counts in no metric and no curriculum

Environments reset themselves within the step in which an episode ends, for whatever reason. `obs` then no longer holds
the observation that the episode ended with, so it is returned separately, in `terminal_obs`.

Observation groups:

    policy    what a real robot senses, with sensor noise
    teacher   privileged: the noise-free state and the randomised physics, for an actor that exists only in simulation
    critic    like `teacher`, for value functions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import Motion, Trial
from rlmpc.contract.observations import ObsSchema

Obs = dict[str, Tensor]


@dataclass
class Step:
    """Result of one step of N environments; see the module's docstring for shapes and meaning."""

    obs: Obs
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    faulty: Tensor
    terminal_obs: Obs | None
    """At least the value function's group, (N, D_g); only rows with `truncated` are meaningful.

    None when no episode ended in this step.
    """
    motion: Mapping[str, Tensor] = field(default_factory=dict)
    """How the robots move, while environments are held out that have commands; else empty.

    `velocity`: vx, vy [m/s] in the frame of the heading and yaw rate [rad/s], (N, 3); `position`: in the plane of the
    world [m], (N, 2). Where `restarts`, both are the new episode's.
    """

    @cached_property
    def done(self) -> Tensor:
        """(N,) bool: an episode ended."""
        return self.terminated | self.truncated

    @cached_property
    def restarts(self) -> Tensor:
        """(N,) bool: `obs` is the first observation of a new episode."""
        return self.done | self.faulty

    @cached_property
    def obs_is_finite(self) -> Tensor:
        """(N,) bool: every number of `obs` is finite."""
        return finite_rows(self.obs)

    @cached_property
    def valid(self) -> Tensor:
        """(N,) bool: the step can be learned from; it and the observations it led to are finite."""
        valid = self.obs_is_finite & ~self.faulty
        if self.terminal_obs is not None:
            valid &= finite_rows(self.terminal_obs) | ~self.truncated
        return valid


class VecEnv(Protocol):
    """N environments stepped together on one device."""

    num_envs: int
    num_actions: int
    device: torch.device
    step_dt: float
    """Length of one step in seconds."""
    max_episode_length: int
    """Steps after which an episode times out."""
    promoting_speed: float | None
    """Commanded speed in the plane [m/s] up to which a curriculum cannot move a robot to harder ground; None if there
    is no such curriculum."""
    obs_schema: ObsSchema
    contract: Contract
    """What a policy must agree on with this environment; its `observations` are `obs_schema`."""

    def reset(self) -> Obs:
        """Start a new episode everywhere."""
        ...

    def step(self, actions: Tensor) -> Step:
        """Advance every environment by one step with `actions` (N, A)."""
        ...

    def restart(self, mask: Tensor) -> None:
        """Start a new episode in the masked environments, (N,) bool, within the next `step`, which is `faulty` there.

        Call it after an observation or an action that is not finite; environments themselves check only their state
        and reward.
        """
        ...

    def stagger_episodes(self) -> None:
        """Give every environment a random episode age, so that time-outs are spread over iterations."""
        ...

    def pop_metrics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return means since the last call as (weighted sum, weight), both scalars on the device.

        The keys never change during a run and are the same on every rank: `reward/<term>`, `termination/<term>`,
        `curriculum/<term>`, `command/<metric>`, `sim/<quantity>`. Weight 0 means that nothing was observed.
        """
        ...

    def curriculum(self) -> dict[str, Any]:
        """Return levels, ranges and counters as tensors and plain values; `levels` and `kinds` (N,) if any."""
        ...

    def load_curriculum(self, curriculum: dict[str, Any], counters: bool = True) -> None:
        """Take over what `curriculum` returned for any number of environments, from the next `reset` on.

        Args:
            curriculum: levels, ranges and counters.
            counters: whether the counters continue too, as in a resumed run; a new run starts its own.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return all that determines the next steps, physics included: path -> copied tensor or plain value.

        The process's random generators, from which an environment may draw, are not part of it.
        """
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue, with the next `step`, where `state` was taken; identical to the bit on a CPU.

        Raises:
            ValueError: if the state is of other environments, with lines of what differs; nothing has changed then.
        """
        ...

    def close(self) -> None:
        """Release the simulator. The environment is unusable afterwards."""
        ...


class MeasurableEnv(VecEnv, Protocol):
    """Environments whose episodes can be set up in advance and measured, whatever they reward."""

    terrains: tuple[str, ...]
    """Kinds of ground."""
    num_levels: int
    """Number of levels of difficulty of every kind, counted from 0."""
    command_names: tuple[str, ...]
    """Names of the numbers in a command; empty if there is none."""
    reasons: tuple[str, ...]
    """Names of the K reasons for which an episode can end."""

    def place(self, trials: list[Trial], round_number: int = 0) -> None:
        """Set up the next episodes: from the next `reset` on, environment i plays trial i.

        Its command stays the trial's. The robots' physics and how the episodes start are drawn from the environment's
        seed and `round_number` alone, so they do not depend on earlier episodes.

        Args:
            trials: N of them, of `terrains`, `num_levels` and `command_names`.
            round_number: different numbers give different robots and starts.
        """
        ...

    def grounds(self) -> list[str]:
        """Return the kind of ground on which each of the N environments is; only `place` changes it."""
        ...

    def hold_out(self, trials: Mapping[int, Trial]) -> None:
        """Keep environments out of training from now on: each plays its trial again and again.

        They count in no metric and no curriculum, and the steps' `terminal_obs` mean nothing there.

        Args:
            trials: index of an environment -> its trial, on the kind of ground where it is; at least one.
        """
        ...

    def measure(self) -> Motion[Tensor]:
        """Measure how the robots move, after `place` and a step.

        Where an episode ended in the step, the numbers mean nothing.
        """
        ...

    def ended_by(self) -> Tensor:
        """Return which of `reasons` ended episodes in the last step, (N, K) bool; if `terminated`, only true ends."""
        ...


class FilmableEnv(VecEnv, Protocol):
    """Environments that can be filmed."""

    def pictures(self) -> Tensor:
        """Return a picture of every robot from a camera that follows it: (N, height, width, 3) uint8 on the host.

        Raises:
            UserError: if there is nothing to see.
        """
        ...


def finite_rows(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return whether each row is finite in all of the tensors (N, ...), for example of an observation: (N,) bool.

    Rows are summed: a sum is finite if all summands are, as long as these are far below the largest float.
    """
    total = reduce(torch.add, (values.flatten(1).sum(dim=1) for values in tensors.values()))
    # A number minus itself is 0 if it is finite, else NaN; `torch.isfinite` takes more kernels.
    return total - total == 0.0


def round_seed(seed: int, round_number: int) -> int:
    """Return the seed of a round of an environment with this seed; neighbouring rounds and seeds are unrelated."""
    return int(np.random.SeedSequence([seed, round_number]).generate_state(1)[0] >> 1)
