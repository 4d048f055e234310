"""Step a task without training: `python play.py task=blind_rl policy=zero` (or `policy=random`).

Shows what a new task does before anything learns in it: rewards, reasons for episode ends, speed.
"""

from __future__ import annotations

import time

import lightning as L
import torch
from rich.console import Console
from rich.table import Table

from rlmpc.config.checks import check_play
from rlmpc.config.compose import compose_play, list_choices
from rlmpc.config.schema import PlayCfg
from rlmpc.envs.launch import resolve_device
from rlmpc.envs.make import env_config, make_env, num_envs_for, observation_terms
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import run_command


def main(arguments: list[str]) -> None:
    """Compose the config, refuse what cannot run, step the environment, print what happened."""
    console = Console(soft_wrap=True, highlight=False)
    if arguments == ["list=true"]:
        console.print(list_choices())
        return
    cfg = compose_play(arguments)
    check_play(cfg)
    device = resolve_device(cfg.device)
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    env_cfg = env_config(cfg.task, cfg.env, play=True)
    seed = L.seed_everything(cfg.seed, verbose=False)
    # Nobody looks at terminal observations here, so any group will do.
    value_group = next(iter(observation_terms(cfg.task, env_cfg)))
    env = make_env(cfg.task, env_cfg, num_envs, device, seed, value_group, None, console.print)
    try:
        console.print(step(cfg, env))
    finally:
        env.close()


@torch.no_grad()
def step(cfg: PlayCfg, env: VecEnv) -> Table:
    """Run `cfg.steps` steps with the chosen actions; means over the episodes that ended, and over all steps."""
    env.reset()
    env.pop_metrics()
    shape = (env.num_envs, env.num_actions)
    reward = torch.zeros((), device=env.device)
    episodes = torch.zeros((), device=env.device)
    start = time.perf_counter()
    for _ in range(cfg.steps):
        actions = (
            torch.randn(shape, device=env.device) if cfg.policy == "random" else torch.zeros(shape, device=env.device)
        )
        outcome = env.step(actions)
        reward += outcome.reward.mean()
        episodes += (outcome.terminated | outcome.truncated).sum()
    speed = cfg.steps * env.num_envs / (time.perf_counter() - start)
    table = Table(
        title=f"{cfg.task.name}, {cfg.policy} actions: {env.num_envs} environments x {cfg.steps} steps", min_width=60
    )
    table.add_column("quantity")
    table.add_column("value", justify="right")
    table.add_row("environment steps/s", f"{speed:.0f}")
    table.add_row("episodes ended", f"{episodes.item():.0f}")
    table.add_row("reward per second", f"{reward.item() / (cfg.steps * env.step_dt):.3f}")
    for name, (total, weight) in env.pop_metrics().items():
        table.add_row(name, f"{(total / weight).item():.3f}" if weight > 0 else "-")
    return table


if __name__ == "__main__":
    run_command(main)
