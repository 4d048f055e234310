"""The policy that leaves the simulator: it sees one observation group, with or without a memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.networks.memory import RecurrentMemory
from rlmpc.networks.mlp import mlp
from rlmpc.networks.policy import GaussianPolicy, Inferred, Memory, Obs


class StudentPolicy(GaussianPolicy):
    """[memory ->] multi-layer perceptron -> actions, on one observation group.

    Args:
        obs_dims: width of every observation group the environment offers.
        num_actions: A.
        actor_group: group that the student senses.
        critic_group: group of the value function, for learning by reward; None to imitate only.
        actor_hidden: widths of the actor's hidden layers.
        activation: a key of `rlmpc.networks.mlp.ACTIVATIONS`.
        memory: a key of `rlmpc.networks.memory.CELLS`, or `none`.
        memory_width: features that are remembered.
        predictions: quantities that are predicted from the last hidden layer beside the actions, with their widths.
        others: as in `GaussianPolicy`.
    """

    mode = "direct"
    actor: nn.Sequential

    def __init__(
        self,
        obs_dims: Mapping[str, int],
        num_actions: int,
        *,
        actor_group: str,
        critic_group: str | None,
        actor_hidden: Sequence[int],
        activation: str,
        memory: str,
        memory_width: int,
        predictions: Mapping[str, int],
        **others: Any,
    ) -> None:
        seen = {group: obs_dims[group] for group in (actor_group, critic_group) if group is not None}
        num_inputs = obs_dims[actor_group] if memory == "none" else memory_width
        actor = mlp(num_inputs, actor_hidden, num_actions, activation, output_gain=0.01)
        super().__init__(actor, seen, num_actions, critic_group=critic_group, activation=activation, **others)
        self.actor_group = actor_group
        self.memory = None if memory == "none" else RecurrentMemory(memory, obs_dims[actor_group], memory_width)
        num_features = actor_hidden[-1] if actor_hidden else num_inputs
        self.predictors = nn.ModuleDict(
            {name: mlp(num_features, (), width, activation) for name, width in predictions.items()}
        )

    @property
    def acting_groups(self) -> tuple[str, ...]:
        """The one group that it senses."""
        return (self.actor_group,)

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Zeros (N, memory_width); nothing without a memory."""
        return {} if self.memory is None else self.memory.initial(num_envs)

    def infer(self, obs: Obs, memory: Memory) -> tuple[dict[str, Tensor], Memory]:
        """`recalled` (N, memory_width), what the memory says now; nothing without one."""
        if self.memory is None:
            return {}, memory
        recalled, memory = self.memory(self.normalized(obs, self.actor_group), memory)
        return {"recalled": recalled}, memory

    def recall(self, obs: Obs, memory: Memory, ended: Tensor) -> dict[str, Tensor]:
        """What `infer` gives in each of T steps, with a gradient through them.

        Args:
            obs: groups (T, N, D_g).
            memory: before the first step, (N, ...) each.
            ended: (T, N) bool, whether an episode ended with the step.
        """
        if self.memory is None:
            return {}
        return {"recalled": self.memory.unroll(self.normalized(obs, self.actor_group), memory, ended)}

    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Action distribution for `obs` of groups (..., D_g) and what is `recalled`; mean and spread are (..., A)."""
        return self.noise(self.actor[-1](self._features(obs, inferred)))

    def predict(self, obs: Obs, inferred: Inferred) -> dict[str, Tensor]:
        """The predicted quantities, (..., width) each."""
        features = self._features(obs, inferred)
        return {name: predictor(features) for name, predictor in self.predictors.items()}

    def _features(self, obs: Obs, inferred: Inferred) -> Tensor:
        inputs = self.normalized(obs, self.actor_group) if self.memory is None else inferred["recalled"]
        return self.actor[:-1](inputs)
