"""Runs an exported policy, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlmpc.export.deployment import ACTION, NEXT_STATE, STATE, Deployment


class Policy:
    """An exported policy's graph with its memories.

    Args:
        deployment: the exported policy.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._outputs = [ACTION, *(NEXT_STATE + name for name in deployment.memories)]
        self.reset()

    def reset(self) -> None:
        """Set the memories to zeros for the start of an episode."""
        inputs = self._deployment.inputs
        self._memory = {STATE + n: np.zeros((1, inputs[STATE + n]), np.float32) for n in self._deployment.memories}

    def act(self, observations: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return raw actions (A,) for observation groups (D_g,)."""
        feed = {group: values[None] for group, values in observations.items()} | self._memory
        action, *memories = self._deployment.session.run(self._outputs, feed)
        self._memory = dict(zip(self._memory, memories, strict=True))
        return np.asarray(action)[0]
