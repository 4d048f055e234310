"""Actor and critic on named observation groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.distributions import Normal

from rlmpc.networks.mlp import mlp
from rlmpc.networks.policy import GaussianPolicy, Inferred, Memory, Obs


class ActorCritic(GaussianPolicy):
    """A multi-layer perceptron for the actor, on one observation group, and one for the critic, on another.

    Args:
        obs_dims: width of every observation group the environment offers.
        num_actions: A.
        actor_group: group that the actor sees.
        critic_group: group that the critic sees; may be the same.
        actor_hidden: widths of the actor's hidden layers.
        activation: a key of `rlmpc.networks.mlp.ACTIVATIONS`.
        others: as in `GaussianPolicy`.
    """

    mode = "direct"

    def __init__(
        self,
        obs_dims: Mapping[str, int],
        num_actions: int,
        *,
        actor_group: str,
        critic_group: str,
        actor_hidden: Sequence[int],
        activation: str,
        **others: Any,
    ) -> None:
        seen = {group: obs_dims[group] for group in (actor_group, critic_group)}
        actor = mlp(obs_dims[actor_group], actor_hidden, num_actions, activation, output_gain=0.01)
        super().__init__(actor, seen, num_actions, critic_group=critic_group, activation=activation, **others)
        self.actor_group = actor_group

    @property
    def acting_groups(self) -> tuple[str, ...]:
        """The actor's group."""
        return (self.actor_group,)

    def infer(self, obs: Obs, memory: Memory) -> tuple[dict[str, Tensor], Memory]:
        """Nothing: the actor takes its group as it is."""
        return {}, memory

    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Action distribution for `obs` of groups (..., D_g); mean and spread are (..., A)."""
        return self.noise(self.actor(self.normalized(obs, self.actor_group)))
