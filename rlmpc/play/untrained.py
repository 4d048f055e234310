"""Steps a task with actions that need no training: rewards, reasons for episode ends, speed."""

from __future__ import annotations

import time
from itertools import islice

import torch
from rich.console import Console
from rich.table import Table

from rlmpc.config.play import PlayCfg
from rlmpc.envs.make import env_config, make_measurable_env
from rlmpc.envs.vec_env import Obs, VecEnv
from rlmpc.rollout.interaction import Action, Memory, interact
from rlmpc.run.device import resolve_device

NUM_ENVS = 16
NUM_STEPS = 500


def play_untrained(cfg: PlayCfg, console: Console) -> None:
    """Step the config's task in play mode with zero or random actions."""
    env_cfg = env_config(cfg.task, {}, play=cfg.env)
    device = resolve_device(cfg.device)
    env = make_measurable_env(cfg.task, env_cfg, cfg.num_envs or NUM_ENVS, device, cfg.seed, console.print)
    try:
        console.print(step_untrained(env, cfg.policy, cfg.steps or NUM_STEPS, cfg.task.name))
    finally:
        env.close()


def step_untrained(env: VecEnv, policy: str, num_steps: int, task: str) -> Table:
    """Run some steps and return a table of means over the episodes that ended and over all steps.

    Args:
        env: the environment.
        policy: `zero` actions, or `random` ones of standard deviation 1.
        num_steps: control steps.
        task: name of the environment in the table.
    """
    shape = (env.num_envs, env.num_actions)

    def act(obs: Obs, memory: Memory) -> Action:
        make = torch.randn if policy == "random" else torch.zeros
        return Action(make(shape, device=env.device))

    obs = env.reset()
    env.pop_metrics()
    reward = torch.zeros((), device=env.device)
    episodes = torch.zeros((), device=env.device)
    start = time.perf_counter()
    for transition in islice(interact(env, act, obs, memory={}), num_steps):
        reward += transition.step.reward.mean()
        episodes += transition.step.done.sum()
    speed = num_steps * env.num_envs / (time.perf_counter() - start)
    table = Table(title=f"{task}, {policy} actions: {env.num_envs} environments x {num_steps} steps", min_width=60)
    table.add_column("quantity")
    table.add_column("value", justify="right")
    table.add_row("environment steps/s", f"{speed:.0f}")
    table.add_row("episodes ended", f"{episodes.item():.0f}")
    table.add_row("reward per second", f"{reward.item() / (num_steps * env.step_dt):.3f}")
    for name, (total, weight) in env.pop_metrics().items():
        table.add_row(name, f"{(total / weight).item():.3f}" if weight > 0 else "-")
    return table
