"""A step of Isaac Lab's environment by masks on all environments, which a GPU replays as one recorded graph.

Isaac Lab's own step asks the device which environments to reset, to command anew and to push, waits for the answers,
and launches about 900 kernels one by one: the GPU idles most of the time. Here every environment takes part in all of
it, and a mask says where the result counts. The numbers are those of Isaac Lab's step, but random ones are drawn for
all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
import warp as wp
from isaaclab.managers import ManagerTermBase
from isaaclab_newton.physics import NewtonManager
from torch import Tensor

from rlmpc.envs.isaaclab.episode_end import EpisodeEndEnv, HeldOutEnvs
from rlmpc.envs.isaaclab.frames import FrameObserver, unfit_terms
from rlmpc.envs.isaaclab.reward_ways import RewardWays
from rlmpc.envs.isaaclab.substeps import Substeps, on_torch_stream, unfit_entities
from rlmpc.envs.vec_env import Obs, Step
from rlmpc.graphs import Replayed, at_once, copy_all
from rlmpc.tasks import mdp
from rlmpc.tasks.mdp.selected import uniform, write

STATE_EVENTS = (
    mdp.push_at_speed,
    mdp.push_by_setting_velocity,
    mdp.reset_joints_by_offset,
    mdp.reset_joints_by_scale,
    mdp.reset_joints_within_limits_range,
    mdp.reset_root_four_headings,
    mdp.reset_root_state_uniform,
)
"""Events that change positions and velocities of the robots and nothing else."""
MASKED_ACTIONS = (mdp.JointAction, mdp.GaitCycleAction, mdp.MpcAction)
"""Kinds of actions that a mask resets."""


@dataclass
class _Masked:
    """What masked steps keep; apart from the environment, whose own tensors are its state."""

    observer: FrameObserver
    rewards: RewardWays
    substeps: Substeps
    ending: Tensor
    """(N,) bool: environments that start anew in this step."""
    clock: Tensor
    """Number of steps so far, scalar."""
    tail: Replayed[tuple[Step, dict[str, Any]]]
    """What follows physics in a step; returns also what the curricula report."""
    is_used: bool = False


class MaskedEnv(EpisodeEndEnv):
    """Isaac Lab's environment with a second way to step it, `masked_step`; both may be mixed.

    `use_masks` must be called after a `reset`, and `leave_masks` before anything else of Isaac Lab's steps or reads
    observation histories.
    """

    _masked: _Masked | None = None

    @property
    def is_masked(self) -> bool:
        """Whether steps are masked now."""
        return self._masked is not None and self._masked.is_used

    @property
    def step_clock(self) -> Tensor | int:
        """Number of steps so far; on the device while steps are masked."""
        return self._masked.clock if self._masked is not None and self.is_masked else self.common_step_counter

    def unfit_for_masks(self) -> list[str]:
        """Return the terms that need to know on the host which environments they are for, as paths of the config."""
        unfit = unfit_terms(self) + unfit_entities(self.scene)
        for section in ("reward", "termination"):
            manager = getattr(self, f"{section}_manager")
            unfit += [f"{section}s: {type(term.func).__name__}" for term in manager._class_term_cfgs]
        actions = [self.action_manager.get_term(name) for name in self.action_manager.active_terms]
        unfit += [f"actions: {type(term).__name__}" for term in actions if not isinstance(term, MASKED_ACTIONS)]
        unfit += [f"recorders: {name}" for name in self.recorder_manager.active_terms]
        modes = self.event_manager._mode_term_cfgs
        for term in (term for mode in ("reset", "interval") for term in modes.get(mode, [])):
            function = type(term.func) if isinstance(term.func, ManagerTermBase) else term.func
            waits = term.min_step_count_between_reset > 0 or term.is_global_time
            if function not in STATE_EVENTS or waits:
                unfit.append(f"events: {function.__name__}")
        for kind, terms in (("curriculum", self._curricula()), ("commands", self._commands())):
            ours = (mdp.PenaltyScale, mdp.TerrainLevels, mdp.WidenCommandRanges, mdp.WideningVelocityCommand)
            unfit += [f"{kind}: {term}" for term in terms if not isinstance(term, ours)]
        return unfit

    def use_masks(self) -> None:
        """Prepare masked steps from the state that Isaac Lab's own way left."""
        if self._masked is None:
            substeps, device = Substeps(self), torch.device(self.device)
            self._masked = _Masked(
                observer=FrameObserver(self),
                rewards=RewardWays(self),
                substeps=substeps,
                ending=torch.zeros(self.num_envs, dtype=torch.bool, device=self.device),
                clock=torch.zeros((), dtype=torch.long, device=self.device),
                tail=Replayed(self._after_physics, device, self._recording, at_replay=substeps.pass_time),
            )
        self._masked.observer.from_buffers()
        self._masked.is_used = True

    def begin_masked(self, obs: Obs) -> Obs:
        """Prepare masked steps after a `reset`; return its observations as one tensor for groups that are equal."""
        self.use_masks()
        assert self._masked is not None
        return self._masked.observer.begin(obs)

    def hold_out(self, envs: HeldOutEnvs) -> None:
        """Leave environments out of metrics and curricula, from the next step on."""
        self.held_out = envs
        if self._masked is not None:
            self._masked.tail.forget()

    def update_buffers(self) -> None:
        """Bring up to date what Isaac Lab's own way reads and masked steps leave alone."""
        if self._masked is not None and self.is_masked:
            self._masked.observer.to_buffers()

    def leave_masks(self) -> None:
        """Hand over to Isaac Lab's own way."""
        self.update_buffers()
        if self._masked is not None:
            self._masked.is_used = False

    def masked_step(self, action: Tensor) -> Step:
        """Advance all environments by one step with an `action` (N, A); non-finite entries become 0.

        The tensors of the result are overwritten by the next one.
        """
        assert self._masked is not None and self.is_masked
        self._masked.substeps.advance(action)
        self.common_step_counter += 1
        self._masked.clock.fill_(self.common_step_counter)
        step, curricula = self._masked.tail()
        self.curriculum_manager._curriculum_state.update(curricula)
        # A replay gives the same object again, with what was derived from an earlier step.
        return replace(step)

    def _after_physics(self) -> tuple[Step, dict[str, Any]]:
        """Do what follows physics in a step, in Isaac Lab's order, but at the same time what is independent."""
        assert self._masked is not None
        observer, ending = self._masked.observer, self._masked.ending
        with on_torch_stream(torch.device(self.device)):
            self._masked.substeps.update_scene()
            self.episode_length_buf.add_(1)
            self.reset_buf = self.termination_manager.compute()
            self.reset_terminated = self.termination_manager.terminated
            self.reset_time_outs = self.termination_manager.time_outs
            self.reward_buf = self._masked.rewards.compute(self.step_dt)
            find_faults = partial(self._find_faults, self.reward_buf, self.step_dt)
            at_once(torch.device(self.device), [self._end_commands, find_faults])
            ending.copy_(self.reset_buf)
            terminal, curricula = self._end_episodes(ending & ~self.uncounted)
            self._begin_episodes(ending)
            self.command_manager.compute(dt=self.step_dt)
            self._interval_events()
            NewtonManager.kinematics_dirty = True
            NewtonManager.forward()
            obs = observer.observe(ending)
            motion = self.motion()
        terminated = self.reset_terminated & ~self.faulty
        truncated = self.reset_time_outs & ~terminated & ~self.faulty
        return Step(obs, self.reward_buf.clone(), terminated, truncated, self.faulty, terminal, motion), curricula

    def _end_episodes(self, ended: Tensor) -> tuple[Obs, dict[str, Any]]:
        """Count the episodes of a mask (N,), and let curricula judge them.

        Returns:
            What is seen before any robot is placed, and what the curricula report, by name.
        """
        assert self._masked is not None
        look = partial(self._masked.observer.terminal, self.value_group)
        manager = self.curriculum_manager
        curricula = [partial(cast(Any, term.func), self, ended, **term.params) for term in manager._term_cfgs]
        # The look comes first: Warp launches its kernels on the current stream.
        ways = [look, partial(self._count_episodes, ended), *curricula]
        seen, _, *reports = at_once(torch.device(self.device), ways)
        return {self.value_group: seen}, dict(zip(manager.active_terms, reports, strict=True))

    def _count_episodes(self, ended: Tensor) -> None:
        metrics = [values for term in self._commands() for values in term.episode_metrics().values()]
        numbers = torch.cat([self._rewards_and_reasons(), torch.stack([*metrics, ended.float()], 1)], dim=1)
        self.episode_sums += torch.where(ended.unsqueeze(1), numbers, 0.0).sum(dim=0)

    def _begin_episodes(self, mask: Tensor) -> None:
        """Reset the environments of a mask (N,)."""
        commands = [partial(term.begin_episodes, mask) for term in self._commands()]
        # Robots come first: Warp launches its kernels on the current stream.
        at_once(torch.device(self.device), [partial(self._place, mask), *commands, partial(self._begin_counts, mask)])

    def _place(self, mask: Tensor) -> None:
        """Place the robots of a mask (N,), and let sensors and actions begin anew."""
        for sensor in self.scene.sensors.values():
            sensor.reset(env_mask=wp.from_torch(mask))
        with self._only(mask):
            for term in self.event_manager._mode_term_cfgs.get("reset", []):
                term.func(self, slice(None), **term.params)
        self.action_manager.reset(cast(Any, mask))

    def _begin_counts(self, mask: Tensor) -> None:
        """Set back what counts time and rewards."""
        self.reward_manager._episode_sum_buf.masked_fill_(mask.unsqueeze(1), 0.0)
        for left, term in self._intervals():
            if term.resample_interval_on_reset:
                write(left, mask, uniform(self, mask, *term.interval_range_s))
        self.episode_length_buf.masked_fill_(mask, 0)

    def _interval_events(self) -> None:
        for left, term in self._intervals():
            left -= self.step_dt
            # Isaac Lab's tolerance.
            is_due = left < 1e-6
            write(left, is_due, uniform(self, is_due, *term.interval_range_s))
            with self._only(is_due):
                term.func(self, slice(None), **term.params)

    @contextmanager
    def _only(self, mask: Tensor) -> Iterator[None]:
        """Undo, outside of a mask (N,), what events do to positions and velocities of all robots."""
        manager = cast(Any, NewtonManager)
        physics = manager.backend.state_0
        states = [wp.to_torch(values).view(self.num_envs, -1) for values in (physics.joint_q, physics.joint_qd)]
        for robot in self.scene.articulations.values():
            # Written together with velocities.
            previous = wp.to_torch(cast(Any, robot.data)._previous_joint_vel)
            states += [previous, robot.data.joint_acc.torch, robot.data.body_com_acc_w.torch.flatten(1)]
        # Which robots have been moved; events only add to them.
        marks = (manager._world_reset_mask, manager._fk_reset_mask)
        states += [wp.to_torch(marked)[: self.num_envs].unsqueeze(1) for marked in marks]
        before = [torch.empty_like(values) for values in states]
        copy_all(before, states)
        yield
        for values, old in zip(states, before, strict=True):
            torch.where(mask.unsqueeze(1), values, old, out=values)

    def _commands(self) -> list[Any]:
        return [self.command_manager.get_term(name) for name in self.command_manager.active_terms]

    def _curricula(self) -> list[Any]:
        return [term.func for term in self.curriculum_manager._term_cfgs]

    def _intervals(self) -> list[tuple[Tensor, Any]]:
        """Return the time left of each interval event, (N,) [s], and its term."""
        manager = self.event_manager
        if "interval" not in manager.active_terms:
            return []
        return list(zip(manager._interval_term_time_left, manager._mode_term_cfgs["interval"], strict=True))

    @contextmanager
    def _recording(self) -> Iterator[None]:
        yield
        # Physics need not look for moved bodies at every start: the tail itself has placed them.
        NewtonManager.transforms_may_change_on_graph_replay = False
