"""Measures the speed of `env.step` with random actions, without learning.

`python benchmarks/env_step.py task=blind_rl device=cpu num_envs=64` prints environment steps per second, memory and the
solver's peaks as one JSON line. Takes the arguments of `play.py` except `policy`; `env.cpu_graph=false` compares with
eager physics. The train variant of the task is measured, in blocks of at most 50 steps.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.harness import Clock, device_name, print_line, spread
from rlmpc.command_line.play import compose_play
from rlmpc.envs.launch import resolve_device
from rlmpc.envs.make import env_config, make_env, num_envs_for
from rlmpc.run.command import run_command

DEFAULT_STEPS = 500
BLOCK_STEPS = 50


def main(arguments: list[str]) -> None:
    """Time blocks of steps, after a warm-up block."""
    cfg, _ = compose_play([*arguments, "policy=random"])
    device = resolve_device(cfg.device)
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    torch.manual_seed(cfg.seed)
    env = make_env(cfg.task, env_config(cfg.task, cfg.env), num_envs, device, cfg.seed, "critic", None, print)
    env.reset()
    env.stagger_episodes()
    num_steps = cfg.steps or DEFAULT_STEPS
    block_steps, clock = min(num_steps, BLOCK_STEPS), Clock(device)

    def speed() -> float:
        clock.restart()
        for _ in range(block_steps):
            env.step(torch.randn(num_envs, env.num_actions, device=device))
        return block_steps * num_envs / clock.pause()

    speed()
    speeds = spread("env_steps_per_s", [speed() for _ in range(num_steps // block_steps)])
    metrics = {name: (total / weight).item() for name, (total, weight) in env.pop_metrics().items() if weight > 0}
    env.close()
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print_line(
        {
            "device": device_name(device),
            "num_envs": num_envs,
            **{name: round(value) for name, value in speeds.items()},
            "resident_memory_gib": round(peak_gib, 2),
            **{name: value for name, value in metrics.items() if name.startswith("sim/")},
        }
    )


if __name__ == "__main__":
    run_command(main)
