"""Steps an environment with a policy and turns what happened into a training batch."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from rlmpc.contract.differences import differences
from rlmpc.envs.vec_env import Obs, Step, VecEnv, finite_rows
from rlmpc.networks.memory import forget
from rlmpc.rollout.buffer import RolloutBuffer
from rlmpc.rollout.faults import FaultRecorder

Memory = dict[str, Tensor]

KEPT = ("value", "terminal_value", "truncated")
"""What an invalid sample still says, so that what came before it can be bootstrapped; the rest of it is zeros."""


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
    """Carries the environments, and what the policy remembers of them, from one rollout to the next.

    Args:
        env: the environments.
        num_steps: T.
        stagger_episodes: whether the first episodes start with random ages.
        recorder: keeps what a rollout with a fault is replayed from; None keeps nothing.
    """

    def __init__(
        self, env: VecEnv, num_steps: int, stagger_episodes: bool, recorder: FaultRecorder | None = None
    ) -> None:
        self.env = env
        self.num_steps = num_steps
        self.stagger_episodes = stagger_episodes
        self.recorder = recorder
        self._buffer = RolloutBuffer(num_steps)
        self._obs: Obs | None = None
        self._memory: Memory = {}
        self._episode_return = torch.zeros(env.num_envs, device=env.device)
        self._episode_length = torch.zeros(env.num_envs, device=env.device)
        self._ended = torch.zeros(4, device=env.device)

    @torch.no_grad()
    def collect(self, policy: RolloutPolicy) -> dict[str, Any]:
        """Run T steps.

        A sample is valid if what was seen, what was done and what came of it is finite. One that is not holds zeros,
        but for what lets the samples before it bootstrap: it is a truncation with the value of what was seen, or with 0
        where that is unknown.

        Returns:
            `obs` (the policy's groups, (T, N, D_g)), all that `policy.act` returned, (T, N, ...), `reward`,
            `terminated`, `truncated` and `valid`, (T, N), `memory` at the start of the rollout, (N, ...), the policy's
            `mode`, and `metrics`: name -> (weighted sum, weight) as in `VecEnv.pop_metrics`. Where the policy values
            observations, also `value` and `terminal_value` (T, N), the latter of what cut episodes ended with, and
            `last_value` (N,), of what follows the rollout. All of it is finite.
        """
        if self._obs is None:
            self._obs = self.env.reset()
            self._memory = policy.initial_memory(self.env.num_envs)
            if self.stagger_episodes:
                self.env.stagger_episodes()
        obs, start = self._obs, self._memory
        seen = finite_rows(obs)
        if self.recorder is not None:
            self.recorder.begin(self.env, seen)
        for t in range(self.num_steps):
            acted = policy.act(obs, self._memory)
            memory, action = acted.pop("memory"), acted["action"]
            if self.recorder is not None:
                self.recorder.add(action)
            self.env.restart(~(seen & finite_rows({"action": action})))
            step = self.env.step(action)
            valid = step.usable
            self._buffer.write(t, {"obs": {group: obs[group] for group in policy.groups}, **acted})
            self._buffer.write(t, {**self._outcome(obs, seen, step, valid, policy), "valid": valid})
            self._count_episodes(step)
            self._memory = forget(memory, step.ended | ~valid)
            obs, seen = step.obs, step.is_finite
        self._obs = obs
        return self._finished(policy, obs, seen) | {"memory": start, "mode": policy.mode}

    def _finished(self, policy: RolloutPolicy, obs: Obs, seen: Tensor) -> dict[str, Any]:
        """The batch of a rollout that led to `obs`, of which the rows `seen` (N,) are finite."""
        batch: dict[str, Any] = self._buffer.views()
        self._buffer.leave_out(~batch["valid"], KEPT)
        if self.recorder is not None:
            self.recorder.finish(batch["valid"], batch["obs"])
        if policy.critic_group is not None:
            batch["last_value"] = torch.where(seen, policy.value(obs), 0.0)
        return batch | {"metrics": self._metrics(batch["reward"], batch["valid"])}

    def state_dict(self) -> dict[str, Any]:
        """What goes over from one rollout to the next; empty before the first."""
        if self._obs is None:
            return {}
        episodes = {"return": self._episode_return, "length": self._episode_length}
        return {"obs": dict(self._obs), "memory": dict(self._memory), "episodes": episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the episodes that `state_dict` was taken from, in environments that stand where they stood.

        Raises:
            ValueError: if it is of other environments.
        """
        device = self.env.device
        widths = {group: [self.env.num_envs, width] for group, width in self.env.obs_schema.dims().items()}
        lines = differences({group: list(values.shape) for group, values in state["obs"].items()}, widths)
        if lines:
            raise ValueError("its observations are others (there | here):\n  " + "\n  ".join(lines))
        self._obs = {group: values.to(device) for group, values in state["obs"].items()}
        self._memory = {name: values.to(device) for name, values in state["memory"].items()}
        episodes = {name: values.to(device) for name, values in state["episodes"].items()}
        self._episode_return, self._episode_length = episodes["return"], episodes["length"]

    def _outcome(self, obs: Obs, seen: Tensor, step: Step, valid: Tensor, policy: RolloutPolicy) -> dict[str, Tensor]:
        outcome = {"reward": step.reward, "terminated": step.terminated, "truncated": step.truncated | ~valid}
        if policy.critic_group is None:
            return outcome
        value = torch.where(seen, policy.value(obs), 0.0)
        terminal_value = torch.zeros_like(value) if step.terminal_obs is None else policy.value(step.terminal_obs)
        return {**outcome, "value": value, "terminal_value": torch.where(step.truncated & valid, terminal_value, value)}

    def _count_episodes(self, step: Step) -> None:
        self._episode_return += step.reward
        self._episode_length += 1
        ended = step.terminated | step.truncated
        numbers = (self._episode_return * ended, self._episode_length * ended, step.terminated, ended)
        self._ended += torch.stack([number.sum().float() for number in numbers])
        self._episode_return *= ~step.ended
        self._episode_length *= ~step.ended

    def _metrics(self, reward: Tensor, valid: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        total_return, total_length, falls, episodes = self._ended.unbind()
        steps = valid.sum().float()
        num_envs, num_samples = (steps.new_tensor(float(number)) for number in (valid.shape[1], valid.numel()))
        self._ended = torch.zeros_like(self._ended)
        return {
            "episode/return": (total_return, episodes),
            "episode/length": (total_length, episodes),
            "episode/fall_rate": (falls, episodes),
            "episode/falls_per_minute": (falls, steps * self.env.step_dt / 60.0),
            "episode/reward_per_step": (reward.sum(), steps),
            "fault/envs": (num_envs - valid.all(dim=0).sum(), num_envs),
            "fault/samples": (num_samples - steps, num_samples),
            **self.env.pop_metrics(),
        }
