"""Steps an environment with a policy and keeps the result as a rollout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from rlmpc.checkpoint.arrays import kinds
from rlmpc.contract.differences import differences
from rlmpc.envs.vec_env import Obs, Step, VecEnv, finite_rows
from rlmpc.networks.tree import like_rows, tree_map
from rlmpc.rollout.faults import FaultRecorder
from rlmpc.rollout.interaction import Choice, Memory, Transition, interact
from rlmpc.rollout.rollout import Metrics, Rollout


class RolloutPolicy(Protocol):
    """What collecting needs from a policy."""

    groups: tuple[str, ...]
    """Observation groups to keep for the update."""
    critic_group: str | None
    """Group that `value` takes; None for a policy without critic."""

    def initial_memory(self, num_envs: int) -> dict[str, Tensor]:
        """Return the memory at the start of an episode, (N, ...) each; empty for a policy without memory."""
        ...

    def act(self, obs: Obs, memory: Memory) -> Choice:
        """Choose actions for N environments; return them and how they were chosen, a dataclass of tensors."""
        ...

    def value(self, obs: Obs) -> Tensor:
        """Estimate the expected return (N,)."""
        ...


class Collector:
    """Collects rollouts; the environments and the policy's memory carry over from one rollout to the next.

    Args:
        env: the environments.
        num_steps: T.
        stagger_episodes: whether the first episodes start with random ages.
        recorder: keeps what is needed to replay a rollout with a fault; None keeps nothing.
    """

    def __init__(
        self, env: VecEnv, num_steps: int, stagger_episodes: bool, recorder: FaultRecorder | None = None
    ) -> None:
        self.env = env
        self.num_steps = num_steps
        self.stagger_episodes = stagger_episodes
        self.recorder = recorder
        self._storage: Rollout | None = None
        self._obs: Obs | None = None
        self._memory: dict[str, Tensor] = {}
        self._episode_return = torch.zeros(env.num_envs, device=env.device)
        self._episode_length = torch.zeros(env.num_envs, device=env.device)
        self._ended = torch.zeros(4, device=env.device)

    @torch.no_grad()
    def collect(self, policy: RolloutPolicy) -> Rollout:
        """Run T steps; the tensors of the previous rollout are overwritten.

        A sample is valid if observation, action and outcome are finite.
        """
        if self._obs is None:
            self._obs, self._memory = self.env.reset(), policy.initial_memory(self.env.num_envs)
            if self.stagger_episodes:
                self.env.stagger_episodes()
        memory = self._memory
        for t, transition in enumerate(self._transitions(policy, self._obs)):
            self._write(t, self._samples(policy, transition))
            self._count_episodes(transition.step)
            self._obs, self._memory = transition.step.obs, transition.memory
        rollout = self._storage
        assert rollout is not None
        for part in (rollout.obs, rollout.acted, rollout.reward, rollout.terminated):
            tree_map(lambda values: values.masked_fill_(like_rows(~rollout.valid, values), 0), part)
        if self.recorder is not None:
            self.recorder.finish(rollout.valid, rollout.obs)
        last_value = None
        if policy.critic_group is not None:
            last_value = torch.where(finite_rows(self._obs), policy.value(self._obs), 0.0)
        metrics = self._metrics(rollout.reward, rollout.valid)
        return replace(rollout, last_value=last_value, memory=memory, metrics=metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return what carries over from one rollout to the next; empty before the first."""
        if self._obs is None:
            return {}
        episodes = {"return": self._episode_return, "length": self._episode_length}
        return {"obs": dict(self._obs), "memory": dict(self._memory), "episodes": episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the episodes of a `state_dict`; the environments must be in the state of that moment.

        Raises:
            ValueError: if the state is of other environments.
        """
        device = self.env.device
        num_envs = self.env.num_envs
        widths = {group: f"float32 [{num_envs}, {width}]" for group, width in self.env.obs_schema.dims().items()}
        lines = differences(kinds(state["obs"]), widths)
        if lines:
            raise ValueError("its observations are others (there | here):\n  " + "\n  ".join(lines))
        state = tree_map(lambda values: values.to(device), state)
        self._obs, self._memory = state["obs"], state["memory"]
        self._episode_return, self._episode_length = state["episodes"]["return"], state["episodes"]["length"]

    def _transitions(self, policy: RolloutPolicy, obs: Obs) -> Iterator[Transition]:
        """Run T steps, watched by the recorder."""
        recorder = self.recorder
        if recorder is not None:
            recorder.begin(self.env, finite_rows(obs))

        def act(obs: Obs, memory: Memory) -> Choice:
            acted = policy.act(obs, memory)
            if recorder is not None:
                recorder.add(acted.action)
            return acted

        steps = interact(self.env, act, obs, self._memory)
        return (next(steps) for _ in range(self.num_steps))

    def _samples(self, policy: RolloutPolicy, transition: Transition) -> Rollout:
        """Return the samples (N, ...) of a step."""
        obs, step = transition.obs, transition.step
        value = terminal_value = None
        if policy.critic_group is not None:
            value = torch.where(transition.obs_is_finite, policy.value(obs), 0.0)
            terminal_value = torch.zeros_like(value) if step.terminal_obs is None else policy.value(step.terminal_obs)
            terminal_value = torch.where(step.truncated & step.valid, terminal_value, value)
        return Rollout(
            obs={group: obs[group] for group in policy.groups},
            acted=replace(transition.acted, memory={}),
            reward=step.reward,
            terminated=step.terminated,
            truncated=step.truncated | ~step.valid,
            valid=step.valid,
            value=value,
            terminal_value=terminal_value,
        )

    def _write(self, t: int, samples: Rollout) -> None:
        """Copy a step's samples to row `t`; the first write allocates, and the addresses stay the same afterwards."""
        if self._storage is None:
            self._storage = tree_map(lambda row: row.new_zeros(self.num_steps, *row.shape), samples)
        tree_map(lambda rows, row: rows[t].copy_(row), self._storage, samples)

    def _count_episodes(self, step: Step) -> None:
        self._episode_return += step.reward
        self._episode_length += 1
        numbers = (self._episode_return * step.done, self._episode_length * step.done, step.terminated, step.done)
        self._ended += torch.stack([number.sum().float() for number in numbers])
        self._episode_return *= ~step.restarts
        self._episode_length *= ~step.restarts

    def _metrics(self, reward: Tensor, valid: Tensor) -> Metrics:
        total_return, total_length, falls, episodes = self._ended.unbind()
        # Counted before they become floats, which cannot tell large numbers that differ by 1.
        steps, left_out = valid.sum().float(), (~valid).sum().float()
        num_envs, num_samples = (steps.new_tensor(float(number)) for number in (valid.shape[1], valid.numel()))
        self._ended = torch.zeros_like(self._ended)
        return {
            "episode/return": (total_return, episodes),
            "episode/length": (total_length, episodes),
            "episode/fall_rate": (falls, episodes),
            "episode/falls_per_minute": (falls, steps * self.env.step_dt / 60.0),
            "episode/reward_per_step": (reward.sum(), steps),
            "fault/envs": (num_envs - valid.all(dim=0).sum(), num_envs),
            "fault/samples": (left_out, num_samples),
            **self.env.pop_metrics(),
        }
