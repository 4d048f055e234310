"""What the environments that training leaves alone are to play."""

from __future__ import annotations

from rlmpc.config.train import EvaluationCfg
from rlmpc.contract.episode import Trial
from rlmpc.envs.vec_env import MeasurableEnv
from rlmpc.evaluation.grid import DEFAULT_COMMANDS, make_trials
from rlmpc.rollout.held_out import HeldOut


def make_held_out(cfg: EvaluationCfg, env: MeasurableEnv, num_steps: int) -> HeldOut | None:
    """Choose the environments that training leaves alone; None if there are none.

    Args:
        cfg: how many, and how often they give a result.
        env: the environments, which are not yet told.
        num_steps: steps of an iteration.

    Raises:
        UserError: if some are asked for, and there are no default commands for the environment.
    """
    if cfg.num_envs is None and env.command_names not in DEFAULT_COMMANDS:
        return None
    trials = held_out_trials(env, cfg.num_held_out(env.num_envs, env.device.type))
    return HeldOut(env, trials, cfg.every, num_steps) if trials else None


def held_out_trials(env: MeasurableEnv, count: int) -> dict[int, Trial]:
    """Choose `count` environments, evenly spread over those of every kind of ground, and the trial of each.

    The environments of a kind go evenly through its levels and commands, the default ones of an evaluation. The choice
    is always the same.

    Returns:
        Index of an environment -> its trial, on the kind of ground where that environment is.
    """
    grounds = env.grounds()
    by_kind: dict[str, list[int]] = {}
    for number in range(count):
        index = (2 * number + 1) * env.num_envs // (2 * count)
        by_kind.setdefault(grounds[index], []).append(index)
    trials = {}
    for kind, indices in by_kind.items():
        cells = make_trials(env, terrains=[kind])
        trials |= {index: cells[place * len(cells) // len(indices)] for place, index in enumerate(indices)}
    return trials
