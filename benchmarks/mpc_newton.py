"""Counts robots that stand, step and walk without a policy: `python benchmarks/mpc_newton.py num_envs=16 seconds=10`.

Every gate is an episode of all robots on flat ground with zero action, on the device that `device` names. A robot
passes that neither falls nor has a fault, and whose mean velocity along the command is within 5 % of the commanded one
(or 0.02 m/s or rad/s). Pushes add 0.5 m/s to the velocity of the root, from any side and at any moment of the middle
third. Physics is drawn anew for every gate: links' masses within 10 %, torso's centre of mass within 5 cm, friction 0.4
to 1.0, each by `env.*` arguments, which come after those of the gates. Prints a line of JSON for each gate.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from benchmarks.harness import print_line, settings_among
from benchmarks.mpc_gates import GATES, MIN_HEIGHT_M, PLAIN, Gate
from rlmpc.command_line.arguments import split_override
from rlmpc.command_line.train import compose_train
from rlmpc.config.setting import check_settings, setting
from rlmpc.contract.episode import Trial
from rlmpc.envs.make import env_config, make_measurable_env
from rlmpc.errors import UserError
from rlmpc.run.command import run_command
from rlmpc.run.device import resolve_device

if TYPE_CHECKING:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv

PHYSICS = {
    "episode_length_s": 1000.0,
    "terminations.left_tile": None,
    "events.friction.params.static_friction_range": [0.4, 1.0],
    "events.friction.params.dynamic_friction_range": [0.4, 1.0],
    "events.torso_mass.params.asset_cfg.body_names": [".*"],
    "events.torso_mass.params.mass_distribution_params": [0.9, 1.1],
}
START_S = 2.0
"""Time in which a velocity is reached; it does not count."""


@dataclass
class Arguments:
    """What the benchmark takes besides `env.*`."""

    task: str = "blind_mpc_flat"
    gates: list[str] = setting(list(PLAIN), choices=PLAIN)
    num_envs: int = 16
    seconds: float = 10.0
    device: str = "auto"
    seed: int = 1


def main(arguments: list[str]) -> None:
    """Run the gates one after the other in one environment."""
    args, others = settings_among(Arguments, arguments)
    check_settings(args)
    overrides = dict(PHYSICS)
    for argument in others:
        key, text = split_override(argument)
        if not key.startswith("env."):
            raise UserError(f"unknown argument '{key}'; accepted: {', '.join(vars(args))}, env.*")
        overrides[key.removeprefix("env.")] = text
    task = compose_train([f"task={args.task}"])[0].task
    env = make_measurable_env(
        task, env_config(task, {}, play=overrides), args.num_envs, resolve_device(args.device), args.seed, print
    )
    try:
        for number, name in enumerate(args.gates):
            print_line({"gate": name, **run_gate(cast("IsaacLabEnv", env), GATES[name], number, args)})
    finally:
        env.close()


@torch.no_grad()
def run_gate(env: IsaacLabEnv, gate: Gate, number: int, args: Arguments) -> dict[str, Any]:
    """Run one episode of every robot and count those that pass."""
    command = torch.tensor(gate.command, device=env.device)
    env.place([Trial(env.terrains[0], 0, gate.command)] * env.num_envs, number)
    env.reset()
    term: Any = env.unwrapped.action_manager.get_term("mpc")
    term.parameters.steps.fill_(gate.steps)
    steps = round(args.seconds / env.step_dt)
    generator = torch.Generator().manual_seed(args.seed)
    moments = torch.randint(steps // 3, 2 * steps // 3, (env.num_envs,), generator=generator)
    angles = 2 * math.pi * torch.rand(env.num_envs, generator=generator)
    fell = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
    velocity, counted, rejected = torch.zeros(env.num_envs, 3, device=env.device), 0, 0.0
    zero, start = torch.zeros(env.num_envs, env.num_actions, device=env.device), time.perf_counter()
    for step_number in range(steps):
        if gate.push:
            push(env, (moments == step_number), angles, gate.push)
        step = env.step(zero)
        height = env.unwrapped.scene["robot"].data.root_pos_w.torch[:, 2]
        fell |= step.terminated | step.faulty | (height - env.unwrapped.scene.env_origins[:, 2] < MIN_HEIGHT_M)
        rejected += (~term.controller.accepted).float().mean().item()
        if step_number * env.step_dt >= START_S:
            velocity += env.measure().velocity
            counted += 1
    term.parameters.steps.fill_(False)
    mean = velocity / max(counted, 1)
    follows = ((mean - command).abs() <= (0.05 * command.abs()).clamp(min=0.02)).all(dim=1)
    upright = ~fell
    return {
        "robots": env.num_envs,
        "upright": int(upright.sum()),
        "passed": int((upright & (follows | (gate.push > 0.0))).sum()),
        "velocity": [round(float(v), 3) for v in mean[upright].mean(dim=0)] if upright.any() else None,
        "fell_when_pushed_to_deg": [round(math.degrees(a)) for a in angles[fell.cpu()].tolist()] if gate.push else [],
        "rejected_share": rejected / steps,
        "steps_per_s": steps * env.num_envs / (time.perf_counter() - start),
    }


def push(env: IsaacLabEnv, mask: Tensor, angles: Tensor, speed: float) -> None:
    """Add a velocity [m/s] in the heading frame to some roots; at 0 deg it is forward."""
    if not mask.any():
        return
    robot = env.unwrapped.scene["robot"]
    ids = mask.nonzero().squeeze(1).to(env.device)
    velocity = robot.data.root_vel_w.torch[ids].clone()
    angle = angles[mask].to(env.device) + robot.data.heading_w.torch[ids]
    velocity[:, :2] += speed * torch.stack([angle.cos(), angle.sin()], dim=1)
    robot.write_root_velocity_to_sim_index(root_velocity=velocity, env_ids=ids.int())


if __name__ == "__main__":
    run_command(main)
