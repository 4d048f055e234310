"""MuJoCo against Isaac Lab: the same robot, the same senses and, for the same actions, the same motion."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from rlmpc.contract.contract import Contract
from rlmpc.robots.quaternions import rotate_back
from rlmpc.sim2sim.observer import Observer
from rlmpc.sim2sim.simulation import Simulation

pytestmark = pytest.mark.sim

NUM_STEPS = 50


@dataclass
class Snapshot:
    """Isaac Lab's robot after a control step; quaternions (w, x, y, z), velocities in the world frame."""

    root_pos: np.ndarray
    root_quat_wxyz: np.ndarray
    root_lin_vel: np.ndarray
    root_ang_vel: np.ndarray
    joint_pos: np.ndarray
    joint_vel: np.ndarray
    joint_torque: np.ndarray
    command: np.ndarray
    policy: np.ndarray
    """The observation group."""


@dataclass
class Recording:
    contract: Contract
    masses: np.ndarray
    coms: np.ndarray
    stops: np.ndarray
    """MuJoCo's time constant and damping ratio of every joint's limits."""
    actions: np.ndarray
    first_phase: float
    snapshots: list[Snapshot]


def smooth_actions() -> np.ndarray:
    """Sines of 0.5 to 1.5 Hz and 0.2 to 0.6 that fade in within 0.3 s, (NUM_STEPS, 30)."""
    rng = np.random.default_rng(0)
    time_s = 0.02 * np.arange(1, NUM_STEPS + 1)[:, None]
    frequency_hz, start, size = rng.uniform(0.5, 1.5, 30), rng.uniform(0.0, 2.0 * np.pi, 30), rng.uniform(0.2, 0.6, 30)
    fade_in = np.minimum(time_s / 0.3, 1.0)
    return (fade_in * size * np.sin(2.0 * np.pi * frequency_hz * time_s + start)).astype(np.float32)


def flat_env() -> Any:
    """One robot on flat ground, nothing random about its physics and its start but the heading's quarter."""
    from rlmpc.envs.isaaclab.env import IsaacLabEnv
    from rlmpc.tasks.blind_rl.env_cfg import BlindFlatPlayEnvCfg

    cfg = BlindFlatPlayEnvCfg()
    for name in ("friction", "torso_mass", "torso_com", "joint_gains"):
        setattr(cfg.events, name, None)
    cfg.events.reset_root.params.update(heading_noise_rad=0.0, max_velocity=0.0)
    cfg.commands.base_velocity.rel_standing_envs = 0.0
    return IsaacLabEnv(cfg, 1, torch.device("cpu"), seed=1)


def snapshot(env: Any, policy: torch.Tensor) -> Snapshot:
    robot = env.unwrapped.scene["robot"]
    pose, velocity = robot.data.root_pose_w.torch[0], robot.data.root_vel_w.torch[0]
    parts = (
        pose[:3] - env.unwrapped.scene.env_origins[0],
        pose[[6, 3, 4, 5]],
        velocity[:3],
        velocity[3:],
        robot.data.joint_pos.torch[0],
        robot.data.joint_vel.torch[0],
        robot.actuators.applied_effort.torch[0],
        env.unwrapped.command_manager.get_command("base_velocity")[0],
        policy[0],
    )
    return Snapshot(*(part.double().numpy().copy() for part in parts))


@pytest.fixture(scope="module")
def recording():
    env = flat_env()
    try:
        actions = smooth_actions()
        snapshots = [snapshot(env, env.reset()["policy"])]
        first_phase = env.unwrapped.action_manager.get_term("gait_cycle").leg_phase[0, 0].item()
        for action in actions:
            snapshots.append(snapshot(env, env.step(torch.from_numpy(action[None])).obs["policy"]))
        data = env.unwrapped.scene["robot"].data
        contract = Contract.from_dict(json.loads(json.dumps(env.contract.to_dict())))
        masses, coms = data.body_mass.torch[0].numpy().copy(), data.body_com_pos_b.torch[0].numpy().copy()
        stops = env.unwrapped.sim.physics_manager._solver.mjw_model.jnt_solref.numpy()[0, 1:].copy()
        yield Recording(contract, masses, coms, stops, actions, first_phase, snapshots)
    finally:
        env.close()


@pytest.fixture
def simulation(recording) -> Simulation:
    """MuJoCo at the start of the recording."""
    simulation = Simulation(recording.contract, "flat", 0)
    simulation.reset(np.random.default_rng(0), (0.0, 0.0, 0.0))
    simulation.actions.clock.phase = recording.first_phase
    put(simulation, recording.snapshots[0])
    return simulation


def put(simulation: Simulation, state: Snapshot) -> None:
    """Bring the robot where Isaac Lab's is; the linear velocity, which nothing senses, becomes zero."""
    data = simulation.data
    data.qpos[:3], data.qpos[3:7] = state.root_pos, state.root_quat_wxyz
    data.qpos[7:], data.qvel[6:] = state.joint_pos, state.joint_vel
    data.qvel[:3] = 0.0
    data.qvel[3:6] = rotate_back(state.root_quat_wxyz, state.root_ang_vel)
    simulation.command = state.command


def test_masses_and_centres_of_mass_agree(recording, simulation):
    np.testing.assert_allclose(simulation.model.body_mass[1:], recording.masses, rtol=1e-6)
    np.testing.assert_allclose(simulation.model.body_ipos[1:], recording.coms, atol=1e-6)


def test_the_same_actions_give_the_same_motion(recording, simulation):
    differences = []
    for action, there in zip(recording.actions, recording.snapshots[1:], strict=True):
        simulation.step(action)
        differences.append(float(np.abs(simulation.joint_pos - there.joint_pos).max()))
    assert max(differences) < 0.05
    moved = np.abs(recording.snapshots[-1].joint_pos - recording.snapshots[0].joint_pos).max()
    assert moved > 0.2


def test_before_the_feet_touch_the_ground_everything_is_equal(recording, simulation):
    there = recording.snapshots[1]
    simulation.step(recording.actions[0])
    assert simulation.data.ncon == 0
    np.testing.assert_allclose(simulation.joint_pos, there.joint_pos, atol=1e-5)
    np.testing.assert_allclose(simulation.joint_vel, there.joint_vel, atol=1e-4)
    np.testing.assert_allclose(simulation.joint_torque, there.joint_torque, atol=1e-3)
    np.testing.assert_allclose(simulation.root_pos, there.root_pos, atol=1e-5)
    np.testing.assert_allclose(simulation.root_lin_vel_w, there.root_lin_vel, atol=1e-4)
    np.testing.assert_allclose(simulation.root_ang_vel_w, there.root_ang_vel, atol=1e-4)


def test_the_observer_gives_what_isaac_lab_gives_for_the_same_states(recording, simulation):
    observer = Observer(recording.contract, ["policy"], simulation)
    np.testing.assert_allclose(observer.observe()["policy"], recording.snapshots[0].policy, atol=1e-5)
    for action, there in zip(recording.actions, recording.snapshots[1:], strict=True):
        simulation.actions.process(action)
        put(simulation, there)
        np.testing.assert_allclose(observer.observe()["policy"], there.policy, atol=1e-5)
    assert np.abs(there.command).max() > 0.05


def test_the_contract_carries_the_numbers_of_the_training(recording):
    from rlmpc.tasks.blind_rl.env_cfg import BlindFlatPlayEnvCfg

    cfg, contract = BlindFlatPlayEnvCfg(), recording.contract
    world, ground, shape = contract.world, cfg.scene.terrain.terrain_generator, cfg.sim.physics.default_shape_cfg
    assert (contract.robot, contract.action_limit) == (cfg.robot, cfg.action_limit)
    assert (world.heading_noise_rad, world.max_start_velocity) == (0.0, 0.0)
    assert world.max_tilt_rad == cfg.terminations.bad_orientation.params["limit_angle"]
    assert world.min_height_m == cfg.terminations.fell_below.params["minimum_height"]
    assert (world.num_substeps, world.episode_length_s) == (cfg.decimation, cfg.episode_length_s)
    assert (world.contact_stiffness, world.contact_damping) == (shape.ke, shape.kd)
    assert (world.cone, world.impratio) == (cfg.sim.physics.solver_cfg.cone, cfg.sim.physics.solver_cfg.impratio)
    assert (world.integrator, tuple(world.gravity)) == (cfg.sim.physics.solver_cfg.integrator, cfg.sim.gravity)
    assert world.height_scanner is None
    assert (world.terrain.num_levels, tuple(world.terrain.tile_size_m)) == (ground.num_rows, ground.size)
    assert world.terrain.kinds["flat"]["shape"] == "flat_terrain"


def test_the_stops_of_the_joints_are_as_stiff_as_newtons(recording, simulation):
    stops = simulation.model.jnt_solref[1:]
    np.testing.assert_allclose(stops, recording.stops, rtol=1e-4)
