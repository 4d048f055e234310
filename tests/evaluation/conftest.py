"""Policies that need no training, and episodes made by hand."""

from __future__ import annotations

import pytest
import torch

from rlmpc.contract.episode import Episode, Trial
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.rollout.interaction import Action


class Steering:
    """Pushes the toy's point towards its target, `strength` times the distance; remembers how often it has acted."""

    def __init__(self, env: ToyEnv, strength: float) -> None:
        self.env, self.strength = env, strength
        self.memories: list[torch.Tensor] = []

    def initial_memory(self, num_envs: int) -> dict[str, torch.Tensor]:
        return {"count": torch.zeros(num_envs)}

    def act(self, obs: dict, memory: dict, deterministic: bool = False) -> Action:
        assert deterministic
        self.memories.append(memory["count"])
        action = self.strength * (self.env.target - self.env.position) - 1.5 * self.env.velocity
        return Action(action, {"count": memory["count"] + 1})


@pytest.fixture
def make_toy():
    def make(num_envs: int = 4, seed: int = 3, **numbers: float) -> ToyEnv:
        return ToyEnv(ToyEnvCfg(**numbers), num_envs, "cpu", seed)

    return make


@pytest.fixture
def steering() -> type[Steering]:
    return Steering


@pytest.fixture
def episodes() -> list[Episode]:
    """Two on the stairs, of which one fell, and one that was to turn on flat ground, but stood still."""
    up = Trial("stairs_up", 3, (1.0, 0.0, 0.0))
    flat = Trial("flat", 0, (0.0, 0.0, 0.5))
    return [
        Episode(up, "time_out", False, 12.0, 10.0, 9.9, (0.9, 0.0, 0.0), 0.08, 0.1, 0.2, 4000.0),
        Episode(up, "bad_orientation", True, 4.0, 2.0, 1.0, (0.5, 0.1, 0.0), 0.24, 0.3, 0.6, 2000.0),
        Episode(flat, "time_out", False, 12.0, 0.05, 0.03, (0.0, 0.0, 0.0), 0.0, 0.0, 0.5, 100.0),
    ]
