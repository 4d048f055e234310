"""Measures an exported policy in MuJoCo, episode by episode."""

from __future__ import annotations

import math

import numpy as np

from rlmpc.contract.episode import NON_FINITE, NON_FINITE_ACTION, Episode, Motion, Trial
from rlmpc.evaluation.tally import Tally
from rlmpc.export.deployment import Deployment
from rlmpc.sim2sim.simulation import Simulation, world_of
from rlmpc.sim2sim.walker import Walker, check_trial

FALLS = (NON_FINITE, NON_FINITE_ACTION, "bad_orientation", "fell_below")
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
        episode_length_s: time after which an episode ends by itself; None takes the training's.
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
    simulation, tally, counts = walker.simulation, Tally(np, 1), np.ones(1, dtype=bool)
    walker.start(rng)
    steps = 1
    walker.step()
    while (reason := end_reason(simulation, is_time_out=steps >= num_steps)) is None:
        tally.add(motion_of(simulation), counts)
        walker.step()
        steps += 1
    return tally.episodes([trial], [reason], [reason in FALLS], simulation.control_dt)[0]


def end_reason(simulation: Simulation, is_time_out: bool) -> str | None:
    """Return why the episode ends now, a fall before anything else; None while it goes on."""
    world = simulation.world
    tilt = math.acos(min(max(-simulation.gravity_b[2], -1.0), 1.0))
    if not simulation.is_finite:
        return NON_FINITE
    if not simulation.actions.are_finite:
        return NON_FINITE_ACTION
    if world.max_tilt_rad is not None and tilt > world.max_tilt_rad:
        return "bad_orientation"
    if world.min_height_m is not None and simulation.root_pos[2] < world.min_height_m:
        return "fell_below"
    if (np.abs(simulation.root_pos[:2]) > 0.5 * np.array(world.terrain.tile_size_m)).any():
        return "left_tile"
    return "time_out" if is_time_out else None


def motion_of(simulation: Simulation) -> Motion[np.ndarray]:
    """Return how the robot moves, as the only one of a row."""
    yaw = simulation.root_yaw
    turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    velocity = np.append(turn @ simulation.root_lin_vel_w[:2], simulation.root_ang_vel_w[2])
    error = velocity - simulation.command
    power = np.array([simulation.joint_power])
    return Motion(velocity[None], error[None], simulation.root_pos[None, :2], power)
