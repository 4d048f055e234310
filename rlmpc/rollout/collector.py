"""Steps an environment with a policy and turns what happened into a training batch."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from rlmpc.envs.vec_env import Obs, Step, VecEnv
from rlmpc.networks.memory import forget
from rlmpc.rollout.buffer import RolloutBuffer

Memory = dict[str, Tensor]


class RolloutPolicy(Protocol):
    """What collecting needs of a policy."""

    groups: tuple[str, ...]
    """Observation groups to keep for the update."""
    mode: str
    """How the policy acts during a rollout, where it can act in several ways."""
    critic_group: str | None
    """Group that `value` takes; None for a policy that values nothing."""

    def initial_memory(self, num_envs: int) -> Memory:
        """Memory at the start of an episode, (N, ...) each; empty for a policy that remembers nothing."""
        ...

    def act(self, obs: Obs, memory: Memory) -> dict[str, Any]:
        """Actions for N environments and how they were chosen: at least `action`, and `memory` for the next step."""
        ...

    def value(self, obs: Obs) -> Tensor:
        """Expected return (N,)."""
        ...


class Collector:
    """Carries the environments, and what the policy remembers of them, from one rollout to the next."""

    def __init__(self, env: VecEnv, num_steps: int, stagger_episodes: bool) -> None:
        self.env = env
        self.num_steps = num_steps
        self.stagger_episodes = stagger_episodes
        self._buffer = RolloutBuffer(num_steps)
        self._obs: Obs | None = None
        self._memory: Memory = {}
        self._episode_return = torch.zeros(env.num_envs, device=env.device)
        self._episode_length = torch.zeros(env.num_envs, device=env.device)
        self._ended = torch.zeros(4, device=env.device)

    @torch.no_grad()
    def collect(self, policy: RolloutPolicy) -> dict[str, Any]:
        """Run T steps.

        Returns:
            `obs` (the policy's groups, (T, N, D_g)), all that `policy.act` returned, (T, N, ...), `reward`,
            `terminated` and `truncated`, (T, N), `memory` at the start of the rollout, (N, ...), the policy's `mode`,
            and `metrics`: name -> (weighted sum, weight) as in `VecEnv.pop_metrics`. Where the policy values
            observations, also `value` and `terminal_value` (T, N), the latter of what cut episodes ended with, and
            `last_value` (N,), of what follows the rollout.
        """
        if self._obs is None:
            self._obs = self.env.reset()
            self._memory = policy.initial_memory(self.env.num_envs)
            if self.stagger_episodes:
                self.env.stagger_episodes()
        obs, start = self._obs, self._memory
        for t in range(self.num_steps):
            acted = policy.act(obs, self._memory)
            memory = acted.pop("memory")
            step = self.env.step(acted["action"])
            self._buffer.write(t, {"obs": {group: obs[group] for group in policy.groups}, **acted})
            self._buffer.write(t, self._outcome(obs, step, policy))
            self._count_episodes(step)
            self._memory = forget(memory, step.terminated | step.truncated)
            obs = step.obs
        self._obs = obs
        batch: dict[str, Any] = {**self._buffer.views(), "memory": start, "mode": policy.mode}
        if policy.critic_group is not None:
            batch["last_value"] = policy.value(obs)
        return batch | {"metrics": self._metrics(batch["reward"])}

    def _outcome(self, obs: Obs, step: Step, policy: RolloutPolicy) -> dict[str, Tensor]:
        outcome = {"reward": step.reward, "terminated": step.terminated, "truncated": step.truncated}
        if policy.critic_group is None:
            return outcome
        terminal_value = torch.zeros_like(step.reward) if step.terminal_obs is None else policy.value(step.terminal_obs)
        return {**outcome, "value": policy.value(obs), "terminal_value": terminal_value}

    def _count_episodes(self, step: Step) -> None:
        self._episode_return += step.reward
        self._episode_length += 1
        ended = step.terminated | step.truncated
        numbers = (self._episode_return * ended, self._episode_length * ended, step.terminated, ended)
        self._ended += torch.stack([number.sum().float() for number in numbers])
        self._episode_return *= ~ended
        self._episode_length *= ~ended

    def _metrics(self, reward: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        total_return, total_length, falls, episodes = self._ended.unbind()
        steps = torch.tensor(float(reward.numel()), device=self.env.device)
        self._ended = torch.zeros_like(self._ended)
        return {
            "episode/return": (total_return, episodes),
            "episode/length": (total_length, episodes),
            "episode/fall_rate": (falls, episodes),
            "episode/falls_per_minute": (falls, steps * self.env.step_dt / 60.0),
            "episode/reward_per_step": (reward.sum(), steps),
            **self.env.pop_metrics(),
        }
