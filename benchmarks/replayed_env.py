"""Environments that repeat the same made-up rollout, whatever the actions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.envs.vec_env import Obs, Step

OBS_WIDTH = 779
"""Features of the `policy` group of `blind_rl`."""
NUM_ACTIONS = 30
STATE_WIDTH = 64
"""State variables from which observations and labels are computed."""
END_PROBABILITY = 0.005
"""Share of steps that end an episode."""
OBSERVATIONS = ObsSchema({"policy": (ObsTerm("features", OBS_WIDTH),), "teacher": (ObsTerm("state", STATE_WIDTH),)})


class ReplayedEnv:
    """A rollout of drifting states, T steps of N environments; the part of a `VecEnv` that collecting needs.

    The `policy` group shows the states mixed and with noise; a teacher's actions are the labels.

    Args:
        contract: the contract with policies.
        num_envs: N.
        num_steps: T; then the rollout starts again.
        device: of its tensors.
    """

    def __init__(self, contract: Contract, num_envs: int, num_steps: int, device: str) -> None:
        self.contract, self.obs_schema = contract, contract.observations
        self.num_envs, self.num_actions, self.num_steps = num_envs, NUM_ACTIONS, num_steps
        self.max_episode_length, self.step_dt = 10 * num_steps, 0.02
        self.device = torch.device(device)
        generator = torch.Generator(self.device).manual_seed(1)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, device=self.device)

        self.state = torch.empty(num_steps, num_envs, STATE_WIDTH, device=self.device)
        """(T, N, STATE_WIDTH)."""
        self.features = torch.empty(num_steps, num_envs, OBS_WIDTH, device=self.device)
        """(T, N, OBS_WIDTH)."""
        mix, scale, offset = normal(STATE_WIDTH, OBS_WIDTH), normal(OBS_WIDTH).exp(), normal(OBS_WIDTH)
        state = normal(num_envs, STATE_WIDTH)
        for t in range(num_steps):
            seen = state @ mix / STATE_WIDTH**0.5 + 0.1 * normal(num_envs, OBS_WIDTH)
            self.state[t], self.features[t] = state, (seen + offset) * scale
            state = 0.95 * state + (1.0 - 0.95**2) ** 0.5 * normal(num_envs, STATE_WIDTH)
        chance = torch.rand(num_steps, num_envs, generator=generator, device=self.device)
        self.done = chance < END_PROBABILITY
        """(T, N) bool."""
        self.teacher = nn.Sequential(nn.Linear(STATE_WIDTH, STATE_WIDTH), nn.ELU(), nn.Linear(STATE_WIDTH, NUM_ACTIONS))
        self.teacher.to(self.device)
        with torch.no_grad():
            for parameter in self.teacher.parameters():
                parameter.copy_(normal(*parameter.shape) / STATE_WIDTH**0.5)
            self.labels = self.teacher(self.state)
        """(T, N, NUM_ACTIONS)."""
        self._t = 0

    def observation(self, t: int) -> Obs:
        """Return the observation in step `t` of the rollout."""
        return {"policy": self.features[t], "teacher": self.state[t]}

    def reset(self) -> Obs:
        """Start the rollout."""
        self._t = 0
        return self.observation(0)

    def step(self, actions: Tensor) -> Step:
        """Return the next step of the rollout."""
        done, never = self.done[self._t], torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        self._t = (self._t + 1) % self.num_steps
        reward = torch.zeros(self.num_envs, device=self.device)
        return Step(self.observation(self._t), reward, done, never, faulty=never, terminal_obs=None)

    def restart(self, mask: Tensor) -> None:
        """Do nothing: everything is finite."""

    def stagger_episodes(self) -> None:
        """Do nothing: episodes have no age."""

    def pop_metrics(self) -> dict[str, Any]:
        """Return nothing: there are no metrics."""
        return {}

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy the parameters of `source` to `target`, which has the same shapes in the same order."""
    for ours, theirs in zip(source.parameters(), target.parameters(), strict=True):
        theirs.copy_(ours)
