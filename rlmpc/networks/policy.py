"""What every policy shares: an actor with noise, a normalizer for each group and, to learn from rewards, a critic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.config.agent import AgentCfg
from rlmpc.contract.contract import Contract
from rlmpc.networks.distribution import GaussianHead
from rlmpc.networks.mlp import aligned_width, mlp
from rlmpc.networks.normalizer import RunningNormalizer
from rlmpc.networks.selection import select
from rlmpc.networks.tree import same_tensors

Obs = Mapping[str, Tensor]
Inferred = Mapping[str, Tensor]
NORMALIZED = "normalized "
"""Precedes a group's name among observations that `GaussianPolicy.prepared` gave."""
Memory = Mapping[str, Tensor]
"""What a policy remembers of N environments, (N, ...) each; zeros at the start of an episode."""


@dataclass
class Acted:
    """Actions of N environments and how they were chosen."""

    action: Tensor
    """(N, A)."""
    log_prob: Tensor
    """Log-probability of the action, (N,)."""
    mean: Tensor
    """Mean of the action distribution, (N, A)."""
    std: Tensor
    """Standard deviation of the action distribution, (N, A)."""
    inferred: dict[str, Tensor]
    """What `GaussianPolicy.infer` gave, (N, ...) each."""
    memory: dict[str, Tensor]
    """Memory for the next step, (N, ...) each."""


class GaussianPolicy(nn.Module, ABC):
    """A Gaussian actor, with or without a value function; a subclass says what the actor takes.

    Args:
        settings: the agent's settings. An agent that learns from rewards has a `critic_group` and `critic_hidden`;
            without them the policy has no critic.
        contract: what the policy and its environment agree upon.
        num_inputs: width of the actor's input.
        more_groups: observation groups that the policy sees besides the actor's and the critic's.
    """

    actor: nn.Sequential
    teachable: dict[str, int]
    """What a student of this policy can be taught besides its actions, name -> width."""

    def __init__(
        self, settings: AgentCfg, contract: Contract, num_inputs: int, more_groups: Sequence[str] = ()
    ) -> None:
        super().__init__()
        dims, num_actions = contract.observations.dims(), contract.num_actions
        make = partial(mlp, activation=settings.activation, fused=settings.fused)
        self.actor_group = settings.actor_group
        self.critic_group: str | None = getattr(settings, "critic_group", None)
        seen = (self.actor_group, self.critic_group, *more_groups)
        self.teachable = {}
        self.groups = tuple(dict.fromkeys(group for group in seen if group is not None))
        self.actor = make(num_inputs, settings.actor_hidden, num_actions, output_gain=0.01)
        self.critic = None
        if self.critic_group is not None:
            self.critic = make(dims[self.critic_group], getattr(settings, "critic_hidden"), 1)  # noqa: B009
        self.noise = GaussianHead(num_actions, settings.init_std, settings.min_std, settings.max_std)
        normalized = self.groups if settings.normalize_obs else ()
        self.normalizers = nn.ModuleDict({group: RunningNormalizer(dims[group]) for group in normalized})
        self.first_equal = {group: group for group in self.groups}
        """Maps each group to the first one that always looks the same when normalised; see `find_equal_groups`."""

    @abstractmethod
    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Return the action distribution for groups `obs` (..., D_g) and their `inferred`; the mean is (..., A)."""

    @property
    def acting_groups(self) -> tuple[str, ...]:
        """Observation groups that acting needs now; the rest of `groups` is for learning."""
        return (self.actor_group,)

    @property
    def variant(self) -> Hashable:
        """What tells the ways in which the policy acts apart; see `RolloutPolicy`."""
        return self.acting_groups

    def on_robot(self) -> Self:
        """Act from now on as on a robot, only on what it senses."""
        return self

    def in_simulation(self) -> Self:
        """Act from now on with all that is known in simulation."""
        return self

    def deployed(self, device: torch.device | str = "cpu") -> Self:
        """Return a copy on `device` that acts as on a robot, in evaluation mode and without critic."""
        copy = deepcopy(self).to(device).eval().on_robot()
        copy.critic = None
        return copy

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return the memory at the start of an episode, zeros (N, ...) each; empty for a policy without memory."""
        return {}

    def infer(self, obs: Obs, memory: Memory) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Infer what the actor takes besides `obs` (estimates, memory output), (N, ...) each, and the next memory."""
        return {}, dict(memory)

    def teach(self, obs: Obs) -> dict[str, Tensor]:
        """Return everything `teachable`, (N, width) each, for groups `obs` (N, D_g)."""
        return {}

    def value(self, obs: Obs) -> Tensor:
        """Estimate the expected return (...,) from `obs`."""
        assert self.critic is not None and self.critic_group is not None
        return self.critic(self.normalized(obs, self.critic_group)).squeeze(-1)

    def act(self, obs: Obs, memory: Memory, deterministic: bool | Tensor = False) -> Acted:
        """Choose actions for N environments; rollout, play and export all use this.

        Args:
            obs: at least the groups of `acting_groups`, (N, D_g) each.
            memory: memory that the previous step returned; `initial_memory` at the start of an episode.
            deterministic: take the mean instead of a sample, everywhere or where a mask (N,) says.
        """
        inferred, memory = self.infer(obs, memory)
        distribution = self.distribution(obs, inferred)
        mean, std = distribution.mean, distribution.stddev
        # As `Normal.sample`, to the bit, which reads on the host whether `std` is negative.
        action = mean if deterministic is True else mean + std * torch.randn_like(mean)
        if isinstance(deterministic, Tensor):
            action = torch.where(deterministic.unsqueeze(-1), mean, action)
        log_prob = distribution.log_prob(action).sum(dim=-1)
        return Acted(action, log_prob, mean, std, inferred, memory)

    def find_equal_groups(self, obs: Obs) -> None:
        """Find groups that are one tensor in `obs`, and in all that follow, and whose statistics are equal.

        Such statistics stay equal, since they take in the same samples. It reads on the host.
        """
        first = same_tensors({group: obs[group] for group in self.groups})
        stats = {group: normalizer.state_dict() for group, normalizer in self.normalizers.items()}

        def is_equal(group: str) -> bool:
            one, other = stats.get(group, {}), stats.get(first[group], {})
            return all(torch.equal(one[name], other[name]) for name in one)

        self.first_equal = {group: first[group] if is_equal(group) else group for group in self.groups}

    @torch.no_grad()
    def prepared(self, obs: Obs, places: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return `obs` (..., D_g) ready for many calls of the functions that take observations: normalised once.

        Args:
            obs: at least the groups of `groups`.
            places: buffers that receive what is computed, by name; where they are missing, they are made. On a GPU,
                rows are filled up with zeros for fast products.
        """
        ready = {group: self._normalized_at(obs[group], group, places) for group in {*self.first_equal.values()}}
        return {NORMALIZED + group: ready[first] for group, first in self.first_equal.items()}

    def _normalized_at(self, x: Tensor, group: str, places: dict[str, Tensor]) -> Tensor:
        if group not in self.normalizers:
            return x
        num_columns = x.shape[-1]
        if group not in places or places[group].shape[:-1] != x.shape[:-1]:
            places[group] = x.new_zeros(*x.shape[:-1], aligned_width(num_columns, x.device))
        self.normalizers[group](x, out=places[group][..., :num_columns])
        return places[group]

    def normalized(self, obs: Obs, group: str, columns: Sequence[slice] | None = None) -> Tensor:
        """Return one group (..., D_g), or only `columns` of it, as the networks see it.

        A whole group that `prepared` gave may be filled up with columns of zeros.
        """
        ready = obs.get(NORMALIZED + group)
        if ready is None and group in self.normalizers:
            return self.normalizers[group](obs[group], columns)
        seen = obs[group] if ready is None else ready
        return seen if columns is None else select(seen, columns)
