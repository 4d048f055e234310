"""Steps an environment with a policy and keeps the result as a rollout."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rlmpc.checkpoint.arrays import kinds
from rlmpc.contract.differences import differences
from rlmpc.envs.vec_env import Obs, Step, VecEnv, finite_rows
from rlmpc.graphs import Replayed, at_once, copy_all
from rlmpc.networks.tree import like_rows, same_tensors, tree_map
from rlmpc.rollout.faults import FaultRecorder
from rlmpc.rollout.held_out import HeldOut
from rlmpc.rollout.interaction import is_broken, is_forgotten
from rlmpc.rollout.rollout import Metrics, Rollout
from rlmpc.rollout.rollout_policy import RolloutPolicy
from rlmpc.rollout.storage import Storage, copies


class Collector:
    """Collects rollouts; the environments and the policy's memory carry over from one rollout to the next.

    A GPU replays what comes before the environments' step and what comes after it as one recorded graph each, so
    whatever outlives a step lies in buffers that change in place.

    Args:
        env: the environments.
        num_steps: T.
        stagger_episodes: whether the first episodes start with random ages.
        recorder: keeps what is needed to replay a rollout with a fault; None keeps nothing.
        held_out: the environments that are not learned from; None learns from all.
    """

    def __init__(
        self,
        env: VecEnv,
        num_steps: int,
        stagger_episodes: bool,
        recorder: FaultRecorder | None = None,
        held_out: HeldOut | None = None,
    ) -> None:
        self.env = env
        self.num_steps = num_steps
        self.stagger_episodes = stagger_episodes
        self.recorder = recorder
        self.held_out = held_out
        self._storage = Storage(num_steps, env.device)
        self._obs: Obs = {}
        self._obs_is_finite = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
        self._memory: dict[str, Tensor] = {}
        self._episode_return = torch.zeros(env.num_envs, device=env.device)
        self._episode_length = torch.zeros(env.num_envs, device=env.device)
        self._ended = torch.zeros(4, device=env.device)
        self._policy: RolloutPolicy | None = None
        self._choosing: dict[Hashable, Replayed[tuple[Tensor, Tensor]]] = {}

    @torch.no_grad()
    def collect(self, policy: RolloutPolicy) -> Rollout:
        """Run T steps; the tensors of the previous rollout are overwritten.

        A sample is valid if observation, action and outcome are finite.
        """
        if not self._obs:
            self._go_on_from(self.env.reset(), policy.initial_memory(self.env.num_envs))
            if self.stagger_episodes:
                self.env.stagger_episodes()
        if policy is not self._policy:
            self._use(policy)
        if self.recorder is not None:
            self.recorder.begin(self.env, self._obs_is_finite.clone())
        self._storage.start(self._memory)
        for _ in range(self.num_steps):
            self._step(policy)
        last_value, learned, metrics = self._finish()
        parts = self._storage.parts
        obs = {group: parts["obs"][self._same[group]] for group in policy.groups}
        kept = {**parts, "obs": obs, "valid": learned}
        rollout = Rollout(**kept, last_value=last_value, metrics=metrics | self.env.pop_metrics())
        if self.recorder is not None:
            self.recorder.finish(parts["valid"], rollout.obs)
        return rollout

    def state_dict(self) -> dict[str, Any]:
        """Return what carries over from one rollout to the next; empty before the first."""
        if not self._obs:
            return {}
        episodes = {"return": self._episode_return.clone(), "length": self._episode_length.clone()}
        state = {"obs": copies(self._obs), "memory": copies(self._memory), "episodes": episodes}
        return state if self.held_out is None else {**state, "held_out": self.held_out.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the episodes of a `state_dict`; the environments must be in the state of that moment.

        Raises:
            ValueError: if the state is of other environments.
        """
        num_envs = self.env.num_envs
        widths = {group: f"float32 [{num_envs}, {width}]" for group, width in self.env.obs_schema.dims().items()}
        lines = differences(kinds(state["obs"]), widths)
        if lines:
            raise ValueError("its observations are others (there | here):\n  " + "\n  ".join(lines))
        self._go_on_from(state["obs"], state["memory"])
        self._episode_return.copy_(state["episodes"]["return"])
        self._episode_length.copy_(state["episodes"]["length"])
        if self.held_out is not None and "held_out" in state:
            self.held_out.load_state(state["held_out"])

    def _go_on_from(self, obs: Obs, memory: dict[str, Tensor]) -> None:
        """Make the buffers that hold the current observations and memory; what refers to earlier ones is forgotten."""
        self._obs, self._memory = copies(obs, self.env.device), copies(memory, self.env.device)
        self._same = same_tensors(self._obs)
        self._obs_is_finite.copy_(finite_rows(self._obs))
        self._policy = None

    def _use(self, policy: RolloutPolicy) -> None:
        """Prepare the functions that a GPU records; each refers to the buffers of this object and of the policy."""
        self._policy = policy
        self._choosing = {}
        # Apart, because an environment may give no terminal observation when no episode ended.
        conclude = partial(self._concluded, policy)
        self._conclude = {is_given: Replayed(conclude, self.env.device) for is_given in (True, False)}
        self._finish = Replayed(partial(self._finished, policy), self.env.device, beside=self._conclude[True])

    def _step(self, policy: RolloutPolicy) -> None:
        """Act, step, and keep the sample."""
        env = self.env
        action, broken = self._chooser(policy)()
        if self.recorder is not None:
            self.recorder.add(action)
        env.restart(broken)
        step = env.step(action)
        for group, first in self._same.items():
            assert step.obs[group].data_ptr() == step.obs[first].data_ptr(), f"'{group}' was '{first}'"
        distinct = dict.fromkeys(self._same.values())
        copy_all([self._obs[group] for group in distinct], [step.obs[group] for group in distinct])
        terminal = () if step.terminal_obs is None else (step.terminal_obs,)
        ended = (step.terminated, step.truncated, step.faulty)
        self._conclude[bool(terminal)](step.reward, *ended, step.motion, *terminal)

    def _chooser(self, policy: RolloutPolicy) -> Callable[[], tuple[Tensor, Tensor]]:
        choose, variant = partial(self._chosen, policy), policy.variant
        if variant is None:
            return choose
        if variant not in self._choosing:
            beside = next(iter(self._choosing.values()), None)
            self._choosing[variant] = Replayed(choose, self.env.device, beside=beside)
        return self._choosing[variant]

    def _chosen(self, policy: RolloutPolicy) -> tuple[Tensor, Tensor]:
        """Act, and keep how; return the actions (N, A) and which environments must restart, (N,) bool."""
        obs = self._obs
        means = () if self.held_out is None else (self.held_out.mask,)
        kept = {group: obs[group] for group in dict.fromkeys(self._same[group] for group in policy.groups)}
        ways: list[Callable[[], Any]] = [
            partial(policy.act, obs, self._memory, *means),
            partial(self._storage.write, {"obs": kept}),
        ]
        if policy.critic_group is not None:
            ways.append(partial(self._keep_value, policy))
        acted, *_ = at_once(self.env.device, ways)
        self._storage.write({"acted": replace(acted, memory={})})
        for name, values in self._memory.items():
            values.copy_(acted.memory[name])
        return acted.action, is_broken(self._obs_is_finite, acted.action)

    def _keep_value(self, policy: RolloutPolicy) -> None:
        self._storage.write({"value": torch.where(self._obs_is_finite, policy.value(self._obs), 0.0)})

    def _concluded(
        self,
        policy: RolloutPolicy,
        reward: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        faulty: Tensor,
        motion: Mapping[str, Tensor],
        terminal_obs: Obs | None = None,
    ) -> None:
        """Keep what came of the actions, a `Step` whose observations are the current ones, and count episodes."""
        distinct = {group: self._obs[group] for group in dict.fromkeys(self._same.values())}
        step = Step(distinct, reward, terminated, truncated, faulty, terminal_obs, motion)
        # Computed here, because several of the ways read it.
        _ = step.restarts
        ways: list[Callable[[], Any]] = [partial(self._keep_outcome, step), partial(self._count_episodes, step)]
        if self.held_out is not None:
            ways.append(partial(self.held_out.count, step))
        has_values = policy.critic_group is not None
        if has_values and terminal_obs is not None:
            ways.append(partial(policy.value, terminal_obs))
        *_, following = at_once(self.env.device, ways)
        if has_values:
            last = self._storage.current("value")
            if terminal_obs is not None:
                last = torch.where(truncated & step.valid, following, last)
            self._storage.write({"terminal_value": last})
        self._storage.next_row()

    def _keep_outcome(self, step: Step) -> None:
        """Keep all of an outcome but values, and what the next step needs."""
        samples = {
            "reward": step.reward,
            "terminated": step.terminated,
            "truncated": step.truncated | ~step.valid,
            "valid": step.valid,
        }
        self._storage.write(samples)
        self._obs_is_finite.copy_(step.obs_is_finite)
        for values in self._memory.values():
            values.masked_fill_(like_rows(is_forgotten(step), values), 0.0)

    def _count_episodes(self, step: Step) -> None:
        self._episode_return += step.reward
        self._episode_length += 1
        terminated, done = step.terminated, step.done
        if self.held_out is not None:
            terminated, done = terminated & ~self.held_out.mask, done & ~self.held_out.mask
        numbers = (self._episode_return * done, self._episode_length * done, terminated, done)
        self._ended += torch.stack([number.sum().float() for number in numbers])
        goes_on = ~step.restarts
        self._episode_return *= goes_on
        self._episode_length *= goes_on

    def _finished(self, policy: RolloutPolicy) -> tuple[Tensor | None, Tensor, Metrics]:
        """Clear what is not learned from; return the value of the last observation (N,), the rest (T, N), metrics."""
        parts, valid = self._storage.parts, self._storage.parts["valid"]
        learned = valid if self.held_out is None else valid & ~self.held_out.mask
        for name in ("obs", "acted", "reward", "terminated"):
            tree_map(lambda values: values.masked_fill_(like_rows(~learned, values), 0), parts[name])
        last_value = None
        if policy.critic_group is not None:
            last_value = torch.where(self._obs_is_finite, policy.value(self._obs), 0.0)
        evaluated = {} if self.held_out is None else self.held_out.metrics()
        return last_value, learned, self._metrics(parts["reward"], valid, learned) | evaluated

    def _metrics(self, reward: Tensor, valid: Tensor, learned: Tensor) -> Metrics:
        total_return, total_length, falls, episodes = self._ended.clone().unbind()
        self._ended.zero_()
        # Counted before they become floats, which cannot tell large numbers that differ by 1.
        steps, left_out = learned.sum().float(), (~valid).sum().float()
        num_envs, num_samples = (torch.full_like(steps, number) for number in (valid.shape[1], valid.numel()))
        return {
            "episode/return": (total_return, episodes),
            "episode/length": (total_length, episodes),
            "episode/fall_rate": (falls, episodes),
            "episode/falls_per_minute": (falls, steps * self.env.step_dt / 60.0),
            "episode/reward_per_step": (reward.sum(), steps),
            "fault/envs": (num_envs - valid.all(dim=0).sum(), num_envs),
            "fault/samples": (left_out, num_samples),
        }
