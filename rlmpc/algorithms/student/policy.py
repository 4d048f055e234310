"""The policy that leaves the simulator: it sees one observation group and may have a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.distributions import Normal

from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.contract.contract import Contract
from rlmpc.networks.memory import RecurrentMemory
from rlmpc.networks.mlp import mlp
from rlmpc.networks.policy import GaussianPolicy, Inferred, Memory, Obs

if TYPE_CHECKING:
    from rlmpc.algorithms.finetune.settings import FinetuneCfg


class StudentPolicy(GaussianPolicy):
    """[memory ->] multi-layer perceptron -> actions, on one observation group.

    Args:
        settings: the agent's settings; only an agent that learns from rewards has a critic.
        contract: what the policy and its environment agree upon.
        predictions: quantities predicted from the last hidden layer besides the actions, name -> width.
    """

    def __init__(
        self, settings: StudentCfg | FinetuneCfg, contract: Contract, predictions: Mapping[str, int] | None = None
    ) -> None:
        num_sensed = contract.observations.dims()[settings.actor_group]
        num_inputs = num_sensed if settings.memory == "none" else settings.memory_width
        super().__init__(settings, contract, num_inputs)
        self.memory = None
        if settings.memory != "none":
            self.memory = RecurrentMemory(settings.memory, num_sensed, settings.memory_width)
        num_features = settings.actor_hidden[-1] if settings.actor_hidden else num_inputs
        self.predictors = nn.ModuleDict(
            {name: mlp(num_features, (), width, settings.activation) for name, width in (predictions or {}).items()}
        )

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return zeros (N, memory_width); empty without a memory."""
        return {} if self.memory is None else self.memory.initial(num_envs)

    def infer(self, obs: Obs, memory: Memory) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the memory's output, `recalled` (N, memory_width), and the next memory; empty without a memory."""
        if self.memory is None:
            return super().infer(obs, memory)
        recalled, following = self.memory(self.normalized(obs, self.actor_group), memory)
        return {"recalled": recalled}, following

    def recall(self, obs: Obs, memory: Memory, restarts: Tensor) -> dict[str, Tensor]:
        """Return what `infer` gives in each of T steps, with a gradient through the steps; empty without a memory.

        Args:
            obs: groups (T, N, D_g).
            memory: memory before the first step, (N, ...) each.
            restarts: (T, N) bool, whether the next observation belongs to another episode.
        """
        if self.memory is None:
            return {}
        return {"recalled": self.memory.unroll(self.normalized(obs, self.actor_group), memory, restarts)}

    def distribution(self, obs: Obs, inferred: Inferred) -> Normal:
        """Return the action distribution for groups `obs` (..., D_g) and `recalled`; mean and spread are (..., A)."""
        return self.noise(self.actor[-1](self._features(obs, inferred)))

    def predict(self, obs: Obs, inferred: Inferred) -> dict[str, Tensor]:
        """Return the predicted quantities, (..., width) each."""
        features = self._features(obs, inferred)
        return {name: predictor(features) for name, predictor in self.predictors.items()}

    def _features(self, obs: Obs, inferred: Inferred) -> Tensor:
        inputs = self.normalized(obs, self.actor_group) if self.memory is None else inferred["recalled"]
        return self.actor[:-1](inputs)
