"""Runs episodes and measures them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from rlmpc.contract.episode import Episode, Trial
from rlmpc.envs.overflows import overflow_warnings
from rlmpc.envs.vec_env import MeasurableEnv, Step
from rlmpc.rollout.interaction import ActingPolicy, interact, noiseless

STEPS_PER_CHECK = 50
"""Steps between checks whether all episodes have ended; each check waits for the device."""

GOES_ON = "goes_on"
"""Reason given for an episode that had not ended after `max_episode_length`."""

NON_FINITE = "non_finite"
"""Reason given for an episode whose numbers became non-finite, which counts as the policy's failure."""


def evaluate(
    env: MeasurableEnv,
    policy: ActingPolicy,
    trials: list[Trial],
    say: Callable[[str], None] | None = None,
) -> list[Episode]:
    """Run one episode of every trial with the policy's mean actions, N at a time.

    With the same seed, an environment gives every policy the same starts, whatever was played before.

    Args:
        env: the environments; their seed decides how episodes start.
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
        episodes += _episodes(env, chunk, _run_round(env, policy).tolist())
    if say is not None:
        demand = {name: total.item() for name, (total, _) in env.pop_metrics().items() if name.startswith("sim/")}
        for warning in overflow_warnings(demand).values():
            say(f"warning: {warning}")
    return episodes


class _Sums:
    """Sums over the first episode of every environment; all (N,) on the device."""

    def __init__(self, env: MeasurableEnv) -> None:
        def zeros() -> Tensor:
            return torch.zeros(env.num_envs, device=env.device)

        self.is_running = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
        self.fell, self.steps, self.measured_steps, self.speed, self.power = (zeros() for _ in range(5))
        self.squared_error_xy, self.squared_error_yaw = zeros(), zeros()
        self.reason = torch.full_like(self.fell, len(env.reasons))

    def add(self, measured: dict[str, Tensor], step: Step, ended_by: Tensor) -> None:
        """Count a step of the episodes that are still running."""
        self.steps += self.is_running
        # At an episode's last step, most measurements already belong to the next episode. `where` drops them all,
        # because multiplying by 0 would keep a NaN.
        goes_on = self.is_running & ~step.restarts
        self.measured_steps += goes_on
        self.speed += torch.where(goes_on, measured["speed"], 0.0)
        self.power += torch.where(goes_on, measured["power"], 0.0)
        self.squared_error_xy += torch.where(goes_on, measured["error_xy"].square(), 0.0)
        self.squared_error_yaw += torch.where(goes_on, measured["error_yaw"].square(), 0.0)
        ends = self.is_running & step.restarts
        self.fell += ends & (step.terminated | step.faulty)
        # If several reasons hold at once, the last one counts.
        num_reasons = ended_by.shape[1]
        last = num_reasons - 1 - ended_by.flip(1).int().argmax(dim=1)
        reason = torch.where(step.faulty, num_reasons + 1, last)
        self.reason = torch.where(ends, reason.float(), self.reason)
        self.is_running = goes_on

    def finished(self, step_dt: float) -> Tensor:
        """Return the fields of an `Episode` after `trial`, in order, (N, 7); the reason as an index."""
        count = self.measured_steps.clamp(min=1.0)
        return torch.stack(
            [
                self.reason,
                self.fell,
                self.steps * step_dt,
                self.speed * step_dt,
                (self.squared_error_xy / count).sqrt(),
                (self.squared_error_yaw / count).sqrt(),
                self.power * step_dt,
            ],
            dim=1,
        )


def _run_round(env: MeasurableEnv, policy: ActingPolicy) -> Tensor:
    """Run one episode in every environment and return what `_Sums.finished` gives."""
    sums = _Sums(env)
    steps = interact(env, noiseless(policy), env.reset(), policy.initial_memory(env.num_envs))
    for count, transition in enumerate(islice(steps, env.max_episode_length), 1):
        sums.add(env.measure(), transition.step, env.ended_by())
        if count % STEPS_PER_CHECK == 0 and not sums.is_running.any():
            break
    return sums.finished(env.step_dt)


def _episodes(env: MeasurableEnv, trials: list[Trial], rows: list[list[float]]) -> list[Episode]:
    """Make one episode of every trial and its row; further rows are dropped."""
    reasons = (*env.reasons, GOES_ON, NON_FINITE)
    return [
        Episode(trial, reasons[int(reason)], bool(fell), *numbers)
        for trial, (reason, fell, *numbers) in zip(trials, rows, strict=False)
    ]
