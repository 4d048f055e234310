"""Measures an exported policy in MuJoCo, episode by episode."""

from __future__ import annotations

import math

import numpy as np

from rlmpc.contract.episode import Episode, Trial
from rlmpc.export.deployment import Deployment
from rlmpc.sim2sim.simulation import Simulation, world_of
from rlmpc.sim2sim.walker import Walker, check_trial

FALLS = ("non_finite", "bad_orientation", "fell_below")
"""Reasons for an episode's end that count as falls."""


def evaluate_in_mujoco(
    deployment: Deployment,
    trials: list[Trial],
    seed: int,
    episode_length_s: float | None = None,
    episodes_per_trial: int = 1,
) -> list[Episode]:
    """Run every trial.

    Args:
        deployment: the exported policy.
        trials: grounds and commands.
        seed: seed of the starts, which differ from trial to trial and from episode to episode.
        episode_length_s: time after which an episode is a success; None takes the training's.
        episodes_per_trial: episodes of each trial; they differ in heading, velocity and gait phase at the start.

    Returns:
        The episodes in the order of the trials.

    Raises:
        UserError: for a trial or policy that MuJoCo does not serve.
    """
    world = world_of(deployment.contract)
    length_s = world.episode_length_s if episode_length_s is None else episode_length_s
    num_steps = round(length_s / deployment.contract.control_dt)
    for trial in trials:
        check_trial(trial, world)
    episodes = []
    for index, trial in enumerate(trials):
        walker = Walker(deployment, trial)
        for episode in range(episodes_per_trial):
            rng = np.random.default_rng([seed, index, episode])
            episodes.append(run_episode(walker, trial, rng, num_steps))
    return episodes


def run_episode(walker: Walker, trial: Trial, rng: np.random.Generator, num_steps: int) -> Episode:
    """Run one episode of at most `num_steps` control steps, from a start that `rng` draws.

    The last step is not measured, because Isaac Lab cannot measure it either: there, the robot is already at the start
    of the next episode.
    """
    walker.start(rng)
    simulation, dt = walker.simulation, walker.simulation.control_dt
    errors_xy: list[float] = []
    errors_yaw: list[float] = []
    distance_m = energy_j = 0.0
    steps = 1
    walker.step()
    while (reason := end_reason(simulation, is_time_out=steps >= num_steps)) is None:
        distance_m += dt * float(np.linalg.norm(simulation.root_lin_vel_w[:2]))
        energy_j += dt * simulation.joint_power
        error_xy, error_yaw = velocity_errors(simulation)
        errors_xy.append(error_xy)
        errors_yaw.append(error_yaw)
        walker.step()
        steps += 1
    return Episode(
        trial=trial,
        reason=reason,
        fell=reason in FALLS,
        length_s=steps * dt,
        distance_m=distance_m,
        rmse_xy=_root_mean_square(errors_xy),
        rmse_yaw=_root_mean_square(errors_yaw),
        energy_j=energy_j,
    )


def end_reason(simulation: Simulation, is_time_out: bool) -> str | None:
    """Return why the episode ends now, a fall before anything else; None while it goes on."""
    world = simulation.world
    tilt = math.acos(min(max(-simulation.gravity_b[2], -1.0), 1.0))
    if not simulation.is_finite:
        return "non_finite"
    if world.max_tilt_rad is not None and tilt > world.max_tilt_rad:
        return "bad_orientation"
    if world.min_height_m is not None and simulation.root_pos[2] < world.min_height_m:
        return "fell_below"
    if (np.abs(simulation.root_pos[:2]) > 0.5 * np.array(world.terrain.tile_size_m)).any():
        return "left_tile"
    return "time_out" if is_time_out else None


def velocity_errors(simulation: Simulation) -> tuple[float, float]:
    """Return the errors of the planar velocity in the heading frame [m/s] and of the world's yaw rate [rad/s]."""
    yaw = simulation.root_yaw
    turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    velocity = turn @ simulation.root_lin_vel_w[:2]
    error_xy = float(np.linalg.norm(velocity - simulation.command[:2]))
    return error_xy, abs(float(simulation.root_ang_vel_w[2] - simulation.command[2]))


def _root_mean_square(errors: list[float]) -> float:
    """Return the root mean square; 0 for an episode that ended in its first step, where nothing was measured."""
    return math.sqrt(sum(error**2 for error in errors) / len(errors)) if errors else 0.0
