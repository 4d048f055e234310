"""What every policy shares: action noise, a normalizer for each observation group and, to learn by reward, a critic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.networks.distribution import GaussianHead
from rlmpc.networks.mlp import mlp
from rlmpc.networks.normalizer import RunningNormalizer
from rlmpc.networks.selection import select

Obs = Mapping[str, Tensor]
Inferred = Mapping[str, Tensor]
Memory = Mapping[str, Tensor]
"""What a policy remembers of N environments, (N, ...) each; zeros at the start of an episode."""


@dataclass
class Acted:
    """Actions of N environments, and how they were chosen."""

    action: Tensor
    """(N, A)"""
    log_prob: Tensor
    """(N,)"""
    mean: Tensor
    """(N, A)"""
    std: Tensor
    """(N, A)"""
    inferred: dict[str, Tensor]
    """What the actor consumed besides the observation, (N, ...) each."""
    memory: dict[str, Tensor]
    """For the next step."""


class GaussianPolicy(nn.Module, ABC):
    """A Gaussian actor, with or without a value function; a subclass says what the actor takes.

    Args:
        actor: network from what the subclass makes of the observations to A means.
        obs_dims: width of every observation group that the policy sees; each gets a normalizer.
        num_actions: A.
        critic_group: group that the critic sees; None for a policy that values nothing.
        critic_hidden: widths of the critic's hidden layers.
        activation: a key of `rlmpc.networks.mlp.ACTIVATIONS`.
        init_std: standard deviation of the actions at the start.
        min_std: floor of that standard deviation.
        max_std: its ceiling.
        normalize_obs: whether groups are normalised by running statistics.
    """

    mode: str
    """How the policy acts now, where it can act in several ways; a rollout records it."""

    def __init__(
        self,
        actor: nn.Module,
        obs_dims: Mapping[str, int],
        num_actions: int,
        *,
        critic_group: str | None,
        critic_hidden: Sequence[int],
        activation: str,
        init_std: float,
        min_std: float,
        max_std: float,
        normalize_obs: bool,
    ) -> None:
        super().__init__()
        self.groups = tuple(obs_dims)
        self.critic_group = critic_group
        self.actor = actor
        self.critic = mlp(obs_dims[critic_group], critic_hidden, 1, activation) if critic_group is not None else None
        self.noise = GaussianHead(num_actions, init_std, min_std, max_std)
        self.normalizers = nn.ModuleDict(
            {group: RunningNormalizer(width) for group, width in obs_dims.items()} if normalize_obs else {}
        )

    @property
    @abstractmethod
    def acting_groups(self) -> tuple[str, ...]:
        """Observation groups that acting needs now; the rest of `groups` serves learning."""

    @abstractmethod
    def infer(self, obs: Obs, memory: Memory) -> tuple[dict[str, Tensor], Memory]:
        """What the actor consumes besides `obs`, (N, ...) each: estimates, what it remembers; and the next memory."""

    @abstractmethod
    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Action distribution for `obs` of groups (..., D_g) and what `infer` gave for them; mean is (..., A)."""

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Memory at the start of an episode, zeros (N, ...) each; empty for a policy that remembers nothing."""
        return {}

    def value(self, obs: Obs) -> Tensor:
        """Expected return from `obs`, (...,)."""
        assert self.critic is not None and self.critic_group is not None
        return self.critic(self.normalized(obs, self.critic_group)).squeeze(-1)

    def act(self, obs: Obs, memory: Memory, deterministic: bool = False) -> Acted:
        """Choose actions for N environments; rollout, play and export all act by this.

        Args:
            obs: at least the groups of `acting_groups`, (N, D_g) each.
            memory: what the previous step returned; `initial_memory` at the start of an episode.
            deterministic: take the mean instead of a sample.
        """
        inferred, memory = self.infer(obs, memory)
        distribution = self.distribution(obs, inferred)
        action = distribution.mean if deterministic else distribution.sample()
        log_prob = distribution.log_prob(action).sum(dim=-1)
        return Acted(action, log_prob, distribution.mean, distribution.stddev, inferred, dict(memory))

    def normalized(self, obs: Obs, group: str, columns: Sequence[slice] | None = None) -> Tensor:
        """One group (..., D_g), or some of its columns, as the networks see it."""
        if group in self.normalizers:
            return self.normalizers[group](obs[group], columns)
        return obs[group] if columns is None else select(obs[group], columns)
