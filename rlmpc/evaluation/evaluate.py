"""Runs episodes and measures them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch

from rlmpc.contract.episode import GOES_ON, NON_FINITE, NON_FINITE_ACTION, Episode, Trial
from rlmpc.envs.overflows import overflow_warnings
from rlmpc.envs.vec_env import MeasurableEnv
from rlmpc.evaluation.tally import Tally
from rlmpc.rollout.interaction import ActingPolicy, Transition, interact, is_senseless, noiseless

STEPS_PER_CHECK = 50
"""Steps between checks whether all episodes have ended; each check waits for the device."""


def evaluate(
    env: MeasurableEnv,
    policy: ActingPolicy,
    trials: list[Trial],
    say: Callable[[str], None] | None = None,
) -> list[Episode]:
    """Run one episode of every trial with the policy's mean actions, N at a time.

    With the same seed, an environment gives every policy the same robots and starts, whatever was played before. The
    robots' physics (friction, mass, gains) is drawn anew for every round, so that 100 episodes are of 100 robots
    whatever N is.

    Args:
        env: the environments; their seed decides the robots and how episodes start.
        policy: the policy that acts.
        trials: any number; see `rlmpc.evaluation.grid.make_trials`.
        say: called with a short sentence before every round of N, and if the simulation dropped anything.

    Returns:
        Episodes in the order of the trials.
    """
    episodes: list[Episode] = []
    env.pop_metrics()
    num_rounds = -(-len(trials) // env.num_envs)
    for round_number in range(num_rounds):
        chunk = trials[round_number * env.num_envs :][: env.num_envs]
        if say is not None:
            say(f"round {round_number + 1} of {num_rounds}: {len(chunk)} episodes")
        # A smaller last round is filled up with repeats, which are dropped.
        env.place((chunk * env.num_envs)[: env.num_envs], round_number)
        episodes += _run_round(env, policy, chunk)
    if say is not None:
        demand = {name: total.item() for name, (total, _) in env.pop_metrics().items() if name.startswith("sim/")}
        for warning in overflow_warnings(demand).values():
            say(f"warning: {warning}")
    return episodes


class _Round:
    """Follows the first episode of every environment; all tensors are (N,) on the device."""

    def __init__(self, env: MeasurableEnv) -> None:
        self._env = env
        self.is_running = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
        self._fell = torch.zeros_like(self.is_running)
        self._reasons = (*env.reasons, GOES_ON, NON_FINITE, NON_FINITE_ACTION)
        self._reason = torch.full_like(self._fell, self._reasons.index(GOES_ON), dtype=torch.long)
        self._tally = Tally(torch, env.num_envs, device=env.device)

    def add(self, transition: Transition) -> None:
        """Count a step of the episodes that are still running."""
        step, ended_by = transition.step, self._env.ended_by()
        # At an episode's last step, most measurements already belong to the next episode.
        goes_on = self.is_running & ~step.restarts
        self._tally.add(self._env.measure(), goes_on)
        ends = self.is_running & step.restarts
        self._fell |= ends & (step.terminated | step.faulty)
        # If several reasons hold at once, the last one counts.
        last = ended_by.shape[1] - 1 - ended_by.flip(1).int().argmax(dim=1)
        reason = torch.where(step.faulty, self._reasons.index(NON_FINITE), last)
        reason = torch.where(is_senseless(transition), self._reasons.index(NON_FINITE_ACTION), reason)
        self._reason = torch.where(ends, reason, self._reason)
        self.is_running = goes_on

    def episodes(self, trials: list[Trial]) -> list[Episode]:
        """Return the episodes of the first environments, one of every trial."""
        reasons = [self._reasons[index] for index in self._reason.tolist()]
        return self._tally.episodes(trials, reasons, self._fell.tolist(), self._env.step_dt)


def _run_round(env: MeasurableEnv, policy: ActingPolicy, trials: list[Trial]) -> list[Episode]:
    """Run one episode in every environment and return those of the trials."""
    current = _Round(env)
    steps = interact(env, noiseless(policy), env.reset(), policy.initial_memory(env.num_envs))
    for count, transition in enumerate(islice(steps, env.max_episode_length), 1):
        current.add(transition)
        if count % STEPS_PER_CHECK == 0 and not current.is_running.any():
            break
    return current.episodes(trials)
