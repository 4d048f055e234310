"""Steps an environment with a policy and turns what happened into a training batch."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from rlmpc.envs.vec_env import Obs, Step, VecEnv
from rlmpc.rollout.buffer import RolloutBuffer
from rlmpc.rollout.gae import gae


class RolloutPolicy(Protocol):
    """What collecting needs of a policy."""

    groups: tuple[str, ...]
    """Observation groups to keep for the update."""
    mode: str
    """How the policy acts during a rollout, where it can act in several ways."""

    def act(self, obs: Obs) -> dict[str, Any]:
        """Actions for N environments, and how they were chosen; needs at least `action` and `value`."""
        ...

    def value(self, obs: Obs) -> Tensor:
        """Expected return (N,)."""
        ...


class Collector:
    """Carries the environments from one rollout to the next."""

    def __init__(self, env: VecEnv, num_steps: int, gamma: float, lam: float, stagger_episodes: bool) -> None:
        self.env = env
        self.num_steps = num_steps
        self.gamma = gamma
        self.lam = lam
        self.stagger_episodes = stagger_episodes
        self._buffer = RolloutBuffer(num_steps)
        self._obs: Obs | None = None
        self._episode_return = torch.zeros(env.num_envs, device=env.device)
        self._episode_length = torch.zeros(env.num_envs, device=env.device)
        self._ended = torch.zeros(4, device=env.device)

    @torch.no_grad()
    def collect(self, policy: RolloutPolicy) -> dict[str, Any]:
        """Run T steps.

        Returns:
            `obs` (the policy's groups, (T, N, D_g)), all that `policy.act` returned, (T, N, ...), `advantage` and
            `return`, (T, N), the policy's `mode`, and `metrics`: name -> (weighted sum, weight) as in
            `VecEnv.pop_metrics`.
        """
        if self._obs is None:
            self._obs = self.env.reset()
            if self.stagger_episodes:
                self.env.stagger_episodes()
        obs = self._obs
        for t in range(self.num_steps):
            acted = policy.act(obs)
            step = self.env.step(acted["action"])
            self._buffer.write(t, {"obs": {group: obs[group] for group in policy.groups}, **acted})
            self._buffer.write(t, self._outcome(step, policy))
            self._count_episodes(step)
            obs = step.obs
        self._obs = obs
        return self._finish(policy.value(obs)) | {"mode": policy.mode}

    def _outcome(self, step: Step, policy: RolloutPolicy) -> dict[str, Tensor]:
        terminal_value = torch.zeros_like(step.reward) if step.terminal_obs is None else policy.value(step.terminal_obs)
        return {
            "reward": step.reward,
            "terminated": step.terminated,
            "truncated": step.truncated,
            "terminal_value": terminal_value,
        }

    def _count_episodes(self, step: Step) -> None:
        self._episode_return += step.reward
        self._episode_length += 1
        ended = step.terminated | step.truncated
        numbers = (self._episode_return * ended, self._episode_length * ended, step.terminated, ended)
        self._ended += torch.stack([number.sum().float() for number in numbers])
        self._episode_return *= ~ended
        self._episode_length *= ~ended

    def _finish(self, last_value: Tensor) -> dict[str, Any]:
        batch: dict[str, Any] = self._buffer.views()
        outcome = {key: batch.pop(key) for key in ("reward", "terminated", "truncated", "terminal_value")}
        batch["advantage"], batch["return"] = gae(
            **outcome, value=batch["value"], last_value=last_value, gamma=self.gamma, lam=self.lam
        )
        total_return, total_length, falls, episodes = self._ended.unbind()
        steps = torch.tensor(float(outcome["reward"].numel()), device=self.env.device)
        batch["metrics"] = {
            "episode/return": (total_return, episodes),
            "episode/length": (total_length, episodes),
            "episode/fall_rate": (falls, episodes),
            "episode/reward_per_step": (outcome["reward"].sum(), steps),
            **self.env.pop_metrics(),
        }
        self._ended = torch.zeros_like(self._ended)
        return batch
