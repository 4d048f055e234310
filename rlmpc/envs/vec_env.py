"""The contract between an environment and everything that learns from it.

Symbols used throughout the project: N environments, T steps of a rollout, A actions, D_g features of observation
group g.

One step of the world:

    obs       dict of groups, each (N, D_g) float32: what is seen *now*, after any reset
    actions   (N, A) float32, unbounded; an environment replaces non-finite entries by 0 and clips what it must
    reward    (N,) float32, already multiplied by the step length, so that sums do not depend on the control rate
    terminated (N,) bool: the episode ended and nothing follows (a fall); the value of what follows is 0
    truncated (N,) bool: the episode was cut (time-out, tile left); what follows has the value of `terminal_obs`
    faulty    (N,) bool: nothing of this step can be used: a state or reward that is not finite, or `restart`; reward,
              terminated and truncated are 0 there, and the episode counts in no metric and no curriculum

Environments reset themselves within the step in which an episode ends, in whichever way. The observation that the
episode ended with is then gone from `obs`, so it is returned apart, in `terminal_obs`.

Observation groups:

    policy    what a real robot senses, with sensor noise
    teacher   privileged: the noise-free state and the randomised physics, for an actor that exists only in simulation
    critic    like `teacher`, for value functions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import Trial
from rlmpc.contract.observations import ObsSchema

Obs = dict[str, Tensor]


@dataclass
class Step:
    """What one step of N environments returns; see the module's text for shapes and meaning."""

    obs: Obs
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    faulty: Tensor
    terminal_obs: Obs | None
    """At least the group that values an ended episode, (N, D_g); only rows with `truncated` are meaningful.

    None when no episode ended in this step.
    """

    @cached_property
    def done(self) -> Tensor:
        """(N,) bool: an episode ended."""
        return self.terminated | self.truncated

    @cached_property
    def restarts(self) -> Tensor:
        """(N,) bool: `obs` is the first of another episode."""
        return self.done | self.faulty

    @cached_property
    def obs_is_finite(self) -> Tensor:
        """(N,) bool."""
        return finite_rows(self.obs)

    @cached_property
    def valid(self) -> Tensor:
        """(N,) bool: the step can be learned from; neither it nor what it led to is other than finite."""
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
    obs_schema: ObsSchema
    contract: Contract
    """What a policy must agree upon with this environment; its `observations` are `obs_schema`."""

    def reset(self) -> Obs:
        """Start a new episode everywhere."""
        ...

    def step(self, actions: Tensor) -> Step:
        """Advance every environment by one step with `actions` (N, A)."""
        ...

    def restart(self, mask: Tensor) -> None:
        """Start a new episode in these environments, (N,) bool, within the next `step`, which is `faulty` there.

        It is asked for by whoever saw in an observation, or gave as an action, what is not finite; environments watch
        only their state and reward.
        """
        ...

    def stagger_episodes(self) -> None:
        """Give every environment a random episode age, so that time-outs are spread over iterations."""
        ...

    def pop_metrics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Means since the last call as (weighted sum, weight), both scalars on the device.

        The keys never change during a run and are the same on every rank: `reward/<term>`, `termination/<term>`,
        `curriculum/<term>`, `command/<metric>`, `sim/<quantity>`. Weight 0 means that nothing was observed.
        """
        ...

    def curriculum(self) -> dict[str, Any]:
        """Levels, ranges and counters as tensors and plain values; `levels` and `kinds` (N,) where there are any."""
        ...

    def load_curriculum(self, curriculum: dict[str, Any], counters: bool = True) -> None:
        """Take over what `curriculum` gave for any number of environments, from the next `reset` on.

        Args:
            curriculum: levels, ranges and counters.
            counters: whether the counters go on too, as in a run that is resumed; a new run starts its own.
        """
        ...

    def state(self) -> dict[str, Any]:
        """All that decides how the environments go on, physics included: path -> tensor of its own or plain value.

        Random numbers that an environment draws from the process' generators are not part of it.
        """
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on, with the next `step`, where `state` was taken; to the bit on a CPU.

        Raises:
            ValueError: before anything is changed, if it is of other environments: lines of what differs.
        """
        ...

    def close(self) -> None:
        """Release the simulator. The environment is unusable afterwards."""
        ...


class MeasurableEnv(VecEnv, Protocol):
    """Environments whose episodes can be laid out beforehand and measured, whatever they reward."""

    terrains: tuple[str, ...]
    """Kinds of ground."""
    num_levels: int
    """Levels of difficulty of every kind, from 0."""
    command_names: tuple[str, ...]
    """What the numbers of a command are; empty where there is none."""
    reasons: tuple[str, ...]
    """Names of the K things that can end an episode."""

    def place(self, trials: list[Trial], round_number: int = 0) -> None:
        """Lay out the next episodes: from the next `reset` on, environment i plays trial i.

        Its command stays what the trial says. How the episodes start is drawn from the environment's seed and
        `round_number` alone, so that it does not depend on what was played before.

        Args:
            trials: N of them, of `terrains`, `num_levels` and `command_names`.
            round_number: another one gives other starts.
        """
        ...

    def measure(self) -> dict[str, Tensor]:
        """What the robots do now, (N,) each, after a step; where an episode ended in it, already the next one.

        `error_xy`: distance between velocity and command in the plane [m/s], in the frame of the heading;
        `error_yaw`: the same of the yaw rate [rad/s]; `speed`: in the plane [m/s]; `power`: sum over the joints of
        |torque x velocity| [W].
        """
        ...

    def ended_by(self) -> Tensor:
        """Which of `reasons` ended episodes in the last step, (N, K) bool; where `terminated`, only those of a fall."""
        ...


class FilmableEnv(VecEnv, Protocol):
    """Environments that can be looked at."""

    def pictures(self) -> Tensor:
        """Every robot as it is now, from a camera that follows it: (N, height, width, 3) uint8 on the host.

        Raises:
            UserError: there is nothing to see.
        """
        ...


def finite_rows(tensors: Mapping[str, Tensor]) -> Tensor:
    """(N,) bool: whether a row is finite in all of some tensors (N, ...), as those of an observation.

    One sum a tensor tells: it is finite if all summands are, as long as these are far below the largest float.
    """
    total = reduce(torch.add, (values.flatten(1).sum(dim=1) for values in tensors.values()))
    # A number minus itself is 0 if it is finite, else NaN; `torch.isfinite` takes more kernels to say so.
    return total - total == 0.0


def round_seed(seed: int, round_number: int) -> int:
    """Seed of a round of an environment with this seed; unrelated for neighbouring rounds and seeds."""
    return int(np.random.SeedSequence([seed, round_number]).generate_state(1)[0] >> 1)


def levels_for(state: dict[str, Any], num_envs: int) -> Tensor:
    """Levels of N environments, sorted by kind of ground, out of what `VecEnv.curriculum` gave.

    Args:
        state: `levels` and `kinds` of M environments, (M,) each.
        num_envs: N. Where it is M, these are the saved ones; else N with the saved histogram, kind by kind.

    Returns:
        (N,) integers.
    """
    levels, kinds = state["levels"], state["kinds"]
    count = levels.shape[0]
    if count == num_envs:
        return levels
    by_kind_and_level = torch.argsort(kinds * (levels.max() + 1) + levels)
    rows = (2 * torch.arange(num_envs, device=levels.device) + 1) * count // (2 * num_envs)
    return levels[by_kind_and_level[rows]]


def merged_states(states: list[dict[str, Any]]) -> dict[str, Any]:
    """What `VecEnv.curriculum` gave on several ranks as the state of one; counters are the first rank's."""
    levels = {name: torch.cat([state[name] for state in states]) for name in ("levels", "kinds") if name in states[0]}
    return {**states[0], **levels}
