"""The contract between an environment and everything that learns from it.

Symbols used throughout the project: N environments, T steps of a rollout, A actions, D_g features of observation
group g.

One step of the world:

    obs       dict of groups, each (N, D_g) float32: what is seen *now*, after any reset
    actions   (N, A) float32, unbounded; an environment replaces non-finite entries by 0 and clips what it must
    reward    (N,) float32, already multiplied by the step length, so that sums do not depend on the control rate
    terminated (N,) bool: the episode ended and nothing follows (a fall); the value of what follows is 0
    truncated (N,) bool: the episode was cut (time-out, tile left); what follows has the value of `terminal_obs`

Environments reset themselves within the step in which an episode ends. The observation that the episode ended with is
then gone from `obs`, so it is returned apart, in `terminal_obs`.

Observation groups:

    policy    what a real robot senses, with sensor noise
    teacher   privileged: the noise-free state and the randomised physics, for an actor that exists only in simulation
    critic    like `teacher`, for value functions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rlmpc.contract import Contract
from rlmpc.evaluation.episode import Trial
from rlmpc.obs_schema import ObsSchema

Obs = dict[str, Tensor]


@dataclass
class Step:
    """What one step of N environments returns; see the module's text for shapes and meaning."""

    obs: Obs
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    terminal_obs: Obs | None
    """At least the group that values an ended episode, (N, D_g); only rows with `truncated` are meaningful.

    None when no episode ended in this step.
    """


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

    def stagger_episodes(self) -> None:
        """Give every environment a random episode age, so that time-outs are spread over iterations."""
        ...

    def pop_metrics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Means since the last call as (weighted sum, weight), both scalars on the device.

        The keys never change during a run and are the same on every rank: `reward/<term>`, `termination/<term>`,
        `curriculum/<term>`, `command/<metric>`, `sim/<quantity>`. Weight 0 means that nothing was observed.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Curriculum and counters, as tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; takes effect with the next episode of each environment."""
        ...

    def load_curriculum(self, state: dict[str, Any]) -> None:
        """Take over only the curriculum of what `state_dict` gave, whatever the number of environments it came from."""
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


def round_seed(seed: int, round_number: int) -> int:
    """Seed of a round of an environment with this seed; unrelated for neighbouring rounds and seeds."""
    return int(np.random.SeedSequence([seed, round_number]).generate_state(1)[0] >> 1)


def spread_rows(values: Tensor, num_rows: int) -> Tensor:
    """Rows of `values` (M, ...) spread evenly over `num_rows`, in their order; the same if M is that number."""
    rows = torch.arange(num_rows, device=values.device) * values.shape[0] // num_rows
    return values[rows]
