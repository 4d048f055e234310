"""Speed of `env.step` with random actions, without learning.

`python benchmarks/env_step.py task=blind_rl device=cpu num_envs=64` prints environment steps per second, memory and the
solver's peaks as one JSON line. Takes the arguments of `play.py` except `policy`; `env.cpu_graph=false` compares with
eager physics. The train variant of the task is measured.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from rlmpc.command_line.play import compose_play
from rlmpc.envs.launch import resolve_device
from rlmpc.envs.make import env_config, make_env, num_envs_for
from rlmpc.run.command import run_command

WARM_UP_STEPS = 50
DEFAULT_STEPS = 500
BLOCK_STEPS = 50


def main(arguments: list[str]) -> None:
    """Time blocks of steps and print their median."""
    cfg, _ = compose_play([*arguments, "policy=random"])
    device = resolve_device(cfg.device)
    num_envs = num_envs_for(cfg.task, cfg.num_envs, device)
    torch.manual_seed(cfg.seed)
    env = make_env(cfg.task, env_config(cfg.task, cfg.env), num_envs, device, cfg.seed, "critic", None, print)
    env.reset()
    env.stagger_episodes()

    def run(num_steps: int) -> float:
        start = time.perf_counter()
        for _ in range(num_steps):
            env.step(torch.randn(num_envs, env.num_actions, device=device))
        if device.type == "cuda":
            torch.cuda.synchronize()
        return num_steps * num_envs / (time.perf_counter() - start)

    run(WARM_UP_STEPS)
    speeds = [run(BLOCK_STEPS) for _ in range(max((cfg.steps or DEFAULT_STEPS) // BLOCK_STEPS, 1))]
    metrics = {name: (total / weight).item() for name, (total, weight) in env.pop_metrics().items() if weight > 0}
    env.close()
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "num_envs": num_envs,
        "env_steps_per_s_median": round(statistics.median(speeds)),
        "env_steps_per_s_lowest": round(min(speeds)),
        "env_steps_per_s_highest": round(max(speeds)),
        "resident_memory_gib": round(peak_gib, 2),
        **{name: value for name, value in metrics.items() if name.startswith("sim/")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    run_command(main)
