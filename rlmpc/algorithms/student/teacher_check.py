"""Checks a teacher in the student's environment before training."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch

from rlmpc.checkpoint.file import Checkpoint
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError
from rlmpc.rollout.interaction import ActingPolicy, interact

MEASURES = {"reward_per_step": "reward per step", "falls_per_minute": "falls per minute"}
"""Keys of what `roll` returns, with readable names; training reports the same number as `episode/<key>`."""

LARGEST_LOSS = 0.2
"""Largest share of its training reward that a teacher may lose here without a warning."""


def check_teacher(
    env: VecEnv, teacher: ActingPolicy, checkpoint: Checkpoint, num_steps: int, say: Callable[[str], None]
) -> dict[str, float]:
    """Run a teacher, compare it with its checkpoint's numbers, and give the environment the teacher's curriculum.

    Args:
        env: the student's environment.
        teacher: the policy, on the environment's device; it acts as in training, with noise.
        checkpoint: the teacher's checkpoint.
        num_steps: control steps; 0 skips the check.
        say: prints a line.

    Returns:
        What `roll` measured; empty if the check is skipped.
    """
    take_over_curriculum(env, checkpoint)
    if num_steps == 0:
        return {}
    measured = roll(env, teacher, num_steps)
    trained = {key: checkpoint.numbers.get(f"episode/{key}") for key in MEASURES}
    parts = [f"{name} {measured[key]:.4f} ({_shown(trained[key])} in its checkpoint)" for key, name in MEASURES.items()]
    say(f"teacher of iteration {checkpoint.iteration}, {num_steps} steps x {env.num_envs}: {', '.join(parts)}")
    earned = trained["reward_per_step"]
    if earned is None:
        say("warning: the checkpoint does not say what the teacher earned, so nothing tells whether it fits here")
    elif earned - measured["reward_per_step"] > LARGEST_LOSS * abs(earned):
        say("warning: the teacher earns much less here than when it was trained; a student cannot be better than that")
    # The levels changed while the teacher ran.
    take_over_curriculum(env, checkpoint)
    return measured


def _shown(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.4f}"


def take_over_curriculum(env: VecEnv, checkpoint: Checkpoint) -> None:
    """Give the environment the terrain levels and command ranges that a checkpoint's training had reached.

    Raises:
        UserError: if the checkpoint's curriculum is of another kind than the environment's.
    """
    if checkpoint.curriculum is None:
        return
    try:
        env.load_curriculum(checkpoint.curriculum, counters=False)
    except (KeyError, ValueError) as error:
        raise UserError(f"the curriculum in '{checkpoint.path}' does not fit this environment: {error}") from error


def roll(env: VecEnv, policy: ActingPolicy, num_steps: int) -> dict[str, float]:
    """Run a policy with its noise, from a reset.

    Returns:
        `reward_per_step` and `falls_per_minute`, averaged over environments.
    """
    totals = torch.zeros(2, device=env.device)
    steps = interact(env, policy.act, env.reset(), policy.initial_memory(env.num_envs))
    for transition in islice(steps, num_steps):
        totals += torch.stack([transition.step.reward.sum(), transition.step.terminated.sum()])
    env.pop_metrics()
    reward, falls = (totals / (num_steps * env.num_envs)).tolist()
    return {"reward_per_step": reward, "falls_per_minute": falls * 60.0 / env.step_dt}
