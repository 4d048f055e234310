"""Replays a rollout with a fault."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from rlmpc.checkpoint.fault_file import FaultFile
from rlmpc.checkpoint.random_state import load_random_state
from rlmpc.config.play import PlayCfg
from rlmpc.config.train import EvaluationCfg
from rlmpc.contract.schema import misfit
from rlmpc.envs.make import env_config, make_deterministic, make_env, observation_terms
from rlmpc.envs.vec_env import Obs, VecEnv
from rlmpc.errors import RunError, UserError
from rlmpc.evaluation.held_out_trials import held_out_trials
from rlmpc.graphs import use_graphs
from rlmpc.rollout.interaction import Action, Memory, interact
from rlmpc.run.device import resolve_device


def play_replay(cfg: PlayCfg, fault: FaultFile, console: Console) -> None:
    """Replay what `cfg.replay` holds and print which environments became non-finite, and when.

    Raises:
        UserError: if the file does not fit the environment that its config describes.
        RunError: if the fault does not occur again.
    """
    device = resolve_device(torch.device(fault.device).type if cfg.device == "auto" else cfg.device)
    agent = fault.config["agent"]
    value_group = str(agent.get("critic_group", agent.get("actor_group")))
    env_cfg = env_config(cfg.task, fault.config["env"], source=Path(str(cfg.replay)))
    if value_group not in observation_terms(cfg.task, env_cfg):
        raise misfit(str(cfg.replay), "config.agent", agent, f"task '{cfg.task.name}' has no group '{value_group}'")
    # Masked steps draw more random numbers; before there were any, files did not say which steps they had.
    use_graphs(bool(fault.config.get("cuda_graphs", False)) and not fault.config["deterministic"])
    if fault.config["deterministic"]:
        make_deterministic(env_cfg)
    env = make_env(cfg.task, env_cfg, fault.num_envs, device, fault.seed, value_group, None, console.print)
    try:
        # Files from before there were held-out environments have none.
        evaluation = EvaluationCfg(fault.config.get("evaluation", {"num_envs": 0})["num_envs"])
        count = evaluation.num_held_out(env.num_envs, torch.device(fault.device).type)
        if trials := held_out_trials(env, count):
            env.hold_out(trials)
        console.print(
            f"iteration {fault.iteration} of {cfg.task.name}: {len(fault.actions)} steps of {fault.num_envs} "
            f"environments on {device}, recorded on {fault.device}"
        )
        there, here = first_faults(fault.valid), first_faults(replay(env, fault, str(cfg.replay)))
    finally:
        env.close()
    for index, step in here.items():
        console.print(f"environment {index} is not finite in step {step + 1}")
    if here != there:
        expected = ", ".join(f"environment {index} in step {step + 1}" for index, step in there.items())
        raise RunError(f"the fault did not come back as it is in '{cfg.replay}': {expected}")
    console.print("as in the file")


def replay(env: VecEnv, fault: FaultFile, source: str) -> Tensor:
    """Repeat the recorded steps.

    Args:
        env: environments like the recorded ones.
        fault: the file's content.
        source: the file's name in messages.

    Returns:
        (T, N) bool on the CPU: which samples are valid.

    Raises:
        UserError: if the state in the file does not fit these environments.
    """
    num_actions = fault.actions.shape[2]
    if num_actions != env.num_actions:
        raise misfit(source, "actions", fault.actions, f"the environment takes {env.num_actions} actions")
    try:
        env.load_state(fault.state)
    except ValueError as error:
        raise UserError(f"'{source}' does not fit the environment that its config describes: {error}") from error
    recorded = zip(fault.random, fault.actions.to(env.device), strict=True)

    def act(obs: Obs, memory: Memory) -> Action:
        random, action = next(recorded)
        try:
            load_random_state(random, env.device)
        except ValueError as error:
            raise UserError(f"'{source}' cannot be replayed: {error}") from error
        return Action(action)

    steps = interact(env, act, obs={}, memory={}, obs_is_finite=fault.obs_is_finite.to(env.device))
    return torch.stack([transition.step.valid for transition in islice(steps, len(fault.actions))]).cpu()


def first_faults(valid: Tensor) -> dict[int, int]:
    """Map each environment with a sample that is not `valid`, (T, N) bool, to the first such step, from 0."""
    has_fault, first = (~valid).any(dim=0).tolist(), valid.int().argmin(dim=0).tolist()
    return {index: first[index] for index in range(valid.shape[1]) if has_fault[index]}
