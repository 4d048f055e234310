"""What every trainable policy shares: action noise, a value function and a normalizer for each observation group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.networks.distribution import GaussianHead
from rlmpc.networks.mlp import mlp
from rlmpc.networks.normalizer import RunningNormalizer
from rlmpc.networks.selection import select

Obs = Mapping[str, Tensor]
Inferred = Mapping[str, Tensor]


class GaussianPolicy(nn.Module, ABC):
    """A Gaussian actor and a value function on one observation group; a subclass says what the actor takes.

    Args:
        actor: network from what the subclass makes of the observations to A means.
        obs_dims: width of every observation group that the policy sees; each gets a normalizer.
        num_actions: A.
        critic_group: group that the critic sees.
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
        critic_group: str,
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
        self.critic = mlp(obs_dims[critic_group], critic_hidden, 1, activation)
        self.noise = GaussianHead(num_actions, init_std, min_std, max_std)
        self.normalizers = nn.ModuleDict(
            {group: RunningNormalizer(width) for group, width in obs_dims.items()} if normalize_obs else {}
        )

    @abstractmethod
    def infer(self, obs: Obs) -> dict[str, Tensor]:
        """What the actor consumes besides `obs` and does not learn from the reward: estimates, (N, ...) each."""

    @abstractmethod
    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Action distribution for `obs` of groups (..., D_g) and what `infer` gave for them; mean is (..., A)."""

    def value(self, obs: Obs) -> Tensor:
        """Expected return from `obs`, (...,)."""
        return self.critic(self.normalized(obs, self.critic_group)).squeeze(-1)

    def act(self, obs: Obs, deterministic: bool = False) -> dict[str, Tensor | dict[str, Tensor]]:
        """Choose actions for N environments and record how they were chosen.

        Returns:
            `action` (N, A), `log_prob` (N,), `mean` (N, A), `std` (N, A), `value` (N,) and `inferred`, what `infer`
            gave.
        """
        inferred = self.infer(obs)
        distribution = self.distribution(obs, inferred)
        action = distribution.mean if deterministic else distribution.sample()
        return {
            "action": action,
            "log_prob": distribution.log_prob(action).sum(dim=-1),
            "mean": distribution.mean,
            "std": distribution.stddev,
            "value": self.value(obs),
            "inferred": inferred,
        }

    def normalized(self, obs: Obs, group: str, columns: Sequence[slice] | None = None) -> Tensor:
        """One group (..., D_g), or some of its columns, as the networks see it."""
        if group in self.normalizers:
            return self.normalizers[group](obs[group], columns)
        return obs[group] if columns is None else select(obs[group], columns)
