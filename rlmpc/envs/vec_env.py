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

import torch
from torch import Tensor

from rlmpc.contract import Contract
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


def spread_rows(values: Tensor, num_rows: int) -> Tensor:
    """Rows of `values` (M, ...) spread evenly over `num_rows`, in their order; the same if M is that number."""
    rows = torch.arange(num_rows, device=values.device) * values.shape[0] // num_rows
    return values[rows]
