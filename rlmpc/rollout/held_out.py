"""Environments that training leaves alone, so that they show how well the policy does.

They act with the mean of the policy's actions, each on its own ground under its own command, and nothing is learned
from them. They never stop, so they cost what any other environment costs, and a GPU records their steps with the rest.
A window of iterations counts the first few episodes that begin in it, equally many of each environment: otherwise,
those that fall soon would count more often.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from rlmpc.checkpoint.summary import SUCCESS
from rlmpc.contract.episode import Trial, succeeds
from rlmpc.envs.vec_env import MeasurableEnv, Step
from rlmpc.rollout.rollout import Metrics


class HeldOut:
    """Counts the episodes of held-out environments.

    `rlmpc.contract.episode.succeeds` says which are a success.

    Args:
        env: the environments; they are told when the first iteration begins, after all else that places them.
        trials: index of an environment -> what it plays; at least one.
        every: iterations between results. A window is this long, or the next multiple of it that holds two of the
            longest episodes: one to wait for the end of an older one, and one to count.
        num_steps: steps of an iteration.
    """

    def __init__(self, env: MeasurableEnv, trials: Mapping[int, Trial], every: int, num_steps: int) -> None:
        self.trials = trials
        self._env: MeasurableEnv | None = env
        self.every = every
        while self.every * num_steps < 2 * env.max_episode_length:
            self.every += every
        self.episodes = self.every * num_steps // env.max_episode_length - 1
        """Episodes of each environment that a window counts."""

        self.mask = torch.tensor([index in trials for index in range(env.num_envs)], device=env.device)
        """(N,) bool: the held-out environments."""
        self._rows = torch.tensor(sorted(trials), device=env.device)
        ordered = [trials[index] for index in sorted(trials)]
        to_follow = torch.tensor([trial.to_follow for trial in ordered], device=env.device)
        self._direction, self._asked = torch.nn.functional.normalize(to_follow, dim=1), to_follow.norm(dim=1)
        self._is_asked = self._asked > 0.0
        self._may_leave = torch.tensor([trial.may_leave for trial in ordered], device=env.device)
        kinds = list(dict.fromkeys(trial.terrain for trial in ordered))
        is_of_kind = [[float(trial.terrain == kind) for trial in ordered] for kind in kinds]
        self._kinds = dict(zip(kinds, torch.tensor(is_of_kind, device=env.device), strict=True))
        # One tensor, so that a checkpoint holds it as one.
        self._state = torch.zeros(11, len(trials), device=env.device)
        self._left, self._waits, self._along, self._steps, self._drift = self._state[:5]
        self._begun, self._start, self._totals = self._state[1:5], self._state[5:7], self._state[7:]
        self._is_last = torch.zeros((), device=env.device)

    def begin_iteration(self, iteration: int) -> None:
        """Begin a window if it is time; not recorded."""
        if self._env is not None:
            self._env.hold_out(self.trials)
            self._env = None
        place = iteration % self.every
        if place == 0:
            self._totals.zero_()
            self._left.fill_(self.episodes)
            # Until the episode of before has ended.
            self._waits.fill_(1.0)
        self._is_last.fill_(float(place == self.every - 1))

    def count(self, step: Step) -> None:
        """Count a step; nothing here waits for the device."""
        terminated, faulty, restarts = (
            flags.index_select(0, self._rows) for flags in (step.terminated, step.faulty, step.restarts)
        )
        if step.motion:
            self._follow(restarts, **{name: rows.index_select(0, self._rows) for name, rows in step.motion.items()})
        self._steps += ~restarts
        reached = self._along / self._steps.clamp(min=1.0)
        followed = torch.where(self._is_asked, reached / self._asked, 1.0)
        fell = terminated | faulty
        ends = restarts & (self._waits == 0.0) & (self._left > 0.0)
        succeeded = succeeds(~fell, followed, self._drift, self._may_leave)
        self._totals += torch.stack([ends.float(), ends & succeeded, ends & fell, torch.where(ends, followed, 0.0)])
        self._left -= ends.float()
        self._begun.masked_fill_(restarts, 0.0)

    def _follow(self, restarts: Tensor, velocity: Tensor, position: Tensor) -> None:
        """Add how held-out robots move; where an episode ended, that is already the next one's and does not count."""
        self._along += torch.where(restarts, 0.0, (velocity * self._direction).sum(dim=1))
        torch.where(self._steps == 0.0, position.T, self._start, out=self._start)
        drift = (position.T - self._start).norm(dim=0)
        torch.where(restarts, self._drift, self._drift.maximum(drift), out=self._drift)

    def metrics(self) -> Metrics:
        """Return the results of a window after its last step; at other times their weights are 0."""
        counted, succeeded, fell, followed = self._totals * self._is_last
        weight = counted.sum()
        of_kinds = {
            f"{SUCCESS}/{kind}": ((succeeded * rows).sum(), (counted * rows).sum())
            for kind, rows in self._kinds.items()
        }
        return {
            SUCCESS: (succeeded.sum(), weight),
            "evaluation/falls": (fell.sum(), weight),
            "evaluation/followed": (followed.sum(), weight),
            **of_kinds,
        }

    def state(self) -> Tensor:
        """Return what has been counted in the current window, for a checkpoint, (11, M)."""
        return self._state.clone()

    def load_state(self, state: Tensor) -> None:
        """Go on counting, unless other environments were held out: then the next window is the first to count."""
        if state.shape == self._state.shape:
            self._state.copy_(state)
