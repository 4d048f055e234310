"""Actor and critic on named observation groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.networks.distribution import GaussianHead
from rlmpc.networks.mlp import mlp
from rlmpc.networks.normalizer import RunningNormalizer

Obs = Mapping[str, Tensor]


class ActorCritic(nn.Module):
    """A Gaussian actor on one observation group and a value function on another, each group with its normalizer.

    Args:
        obs_dims: width of every observation group the environment offers.
        num_actions: A.
        actor_group: group that the actor sees.
        critic_group: group that the critic sees; may be the same.
        actor_hidden: widths of the actor's hidden layers.
        critic_hidden: widths of the critic's hidden layers.
        activation: a key of `rlmpc.networks.mlp.ACTIVATIONS`.
        init_std: standard deviation of the actions at the start.
        min_std: floor of that standard deviation.
        max_std: its ceiling.
        normalize_obs: whether groups are normalised by running statistics.
    """

    def __init__(
        self,
        obs_dims: Mapping[str, int],
        num_actions: int,
        *,
        actor_group: str,
        critic_group: str,
        actor_hidden: Sequence[int],
        critic_hidden: Sequence[int],
        activation: str,
        init_std: float,
        min_std: float,
        max_std: float,
        normalize_obs: bool,
    ) -> None:
        super().__init__()
        self.actor_group = actor_group
        self.critic_group = critic_group
        self.groups = tuple(dict.fromkeys((actor_group, critic_group)))
        self.actor = mlp(obs_dims[actor_group], actor_hidden, num_actions, activation, output_gain=0.01)
        self.critic = mlp(obs_dims[critic_group], critic_hidden, 1, activation)
        self.noise = GaussianHead(num_actions, init_std, min_std, max_std)
        self.normalizers = nn.ModuleDict(
            {group: RunningNormalizer(obs_dims[group]) for group in self.groups} if normalize_obs else {}
        )

    def distribution(self, obs: Obs) -> Normal:
        """Action distribution for `obs` of groups (..., D_g); mean and spread are (..., A)."""
        return self.noise(self.actor(self._seen(obs, self.actor_group)))

    def value(self, obs: Obs) -> Tensor:
        """Expected return from `obs`, (...,)."""
        return self.critic(self._seen(obs, self.critic_group)).squeeze(-1)

    def act(self, obs: Obs, deterministic: bool = False) -> dict[str, Tensor]:
        """Choose actions for N environments and record how they were chosen.

        Returns:
            `action` (N, A), `log_prob` (N,), `mean` (N, A), `std` (N, A) and `value` (N,).
        """
        distribution = self.distribution(obs)
        action = distribution.mean if deterministic else distribution.sample()
        return {
            "action": action,
            "log_prob": distribution.log_prob(action).sum(dim=-1),
            "mean": distribution.mean,
            "std": distribution.stddev,
            "value": self.value(obs),
        }

    def _seen(self, obs: Obs, group: str) -> Tensor:
        return self.normalizers[group](obs[group]) if group in self.normalizers else obs[group]
