"""Robots in Isaac Lab that are driven live."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def world():
    from rlmpc.command_line.files import load_choice
    from rlmpc.command_line.merge import finish
    from rlmpc.config.play import PlayCfg
    from rlmpc.contract.live import Played
    from rlmpc.envs.make import env_config, make_measurable_env
    from rlmpc.play.live.isaaclab import IsaacLabWorld, live_config
    from rlmpc.rollout.interaction import Action

    class Still:
        """Stands still, and notes what it sees."""

        def initial_memory(self, num_envs: int) -> dict[str, torch.Tensor]:
            return {}

        def act(self, obs, memory, deterministic: bool = False) -> Action:
            self.seen = obs
            return Action(torch.zeros(obs["policy"].shape[0], 30))

    cfg = finish(PlayCfg(), [{"task": load_choice("task", "blind_rl")["task"]}], {}, "test")
    env_cfg = live_config(env_config(cfg.task, {}, {}))
    env = make_measurable_env(cfg.task, env_cfg, 2, torch.device("cpu"), 1, lambda _: None)
    played = Played(Path("still.ckpt"), env.contract, ("policy",), Still(), None)
    world = IsaacLabWorld(env, [played, replace(played, path=Path("other.ckpt"), policy=Still())])
    yield world
    world.close()


@pytest.fixture(autouse=True)
def placed(world):
    world.set_command((0.0, 0.0, 0.0))
    world.place(world.terrains[0], 0)


def facing(snapshot) -> np.ndarray:
    """Headings (N,) [rad]."""
    w, x, y, z = snapshot.body_quat_wxyz[:, 0].T
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def test_robots_start_side_by_side_and_face_the_same_way(world):
    world.step()
    now = world.snapshot()
    assert facing(now)[0] == pytest.approx(facing(now)[1], abs=0.05)
    apart = now.body_pos[0, 0] - now.body_pos[1, 0]
    left = np.array([-np.sin(facing(now)[0]), np.cos(facing(now)[0])])
    assert apart[:2] @ left == pytest.approx(0.9, abs=0.05)


def test_rewards_and_the_force_on_the_feet_are_measured(world):
    forces = []
    for _ in range(20):
        world.step()
        forces.append(world.snapshot().foot_force)
    now = world.snapshot()
    assert set(now.rewards) == set(world._env.unwrapped.reward_manager.active_terms)
    assert any(now.rewards.values())
    assert 100.0 < np.mean(forces, axis=0)[0].sum() < 700.0, "the robot weighs 330 N"
    velocity = now.velocity[0, :2]
    assert np.linalg.norm(now.true_velocity[0]) >= np.linalg.norm(velocity) - 1e-3


def test_each_policy_moves_its_own_robot_and_either_is_exchanged(world):
    first, second = (played.policy for played in world._policies)
    world.step()
    assert first.seen["policy"].shape == second.seen["policy"].shape
    before = world.snapshot().body_pos[:, 0]
    third = replace(world._policies[1], path=Path("third.ckpt"))
    world.let_act(third, 1)
    world.step()
    assert [played.path.name for played in world._policies] == ["still.ckpt", "third.ckpt"]
    assert np.abs(world.snapshot().body_pos[:, 0] - before).max() < 0.1, "they were not put back"


def command_seen(world) -> np.ndarray:
    terms = world.contract.observations.groups["policy"]
    ends = np.cumsum([term.dim * term.history for term in terms])
    end = ends[[term.name for term in terms].index("velocity_command")]
    return world._policies[0].policy.seen["policy"][:, end - 3 : end].numpy()


def test_a_command_reaches_the_policys_observation_within_two_steps_and_outlasts_a_reset(world):
    world.step()
    world.set_command((0.4, -0.1, 0.2))
    for _ in range(2):
        world.step()
    np.testing.assert_allclose(command_seen(world), [[0.4, -0.1, 0.2]] * 2, atol=1e-6)
    world.reset()
    world.step()
    np.testing.assert_allclose(command_seen(world), [[0.4, -0.1, 0.2]] * 2, atol=1e-6)


def test_a_push_changes_the_velocity_in_the_frame_of_the_heading(world):
    world.step()
    before = world.snapshot().velocity
    world.push((0.0, 1.5))
    np.testing.assert_allclose(world.snapshot().velocity - before, [[0.0, 1.5, 0.0]] * 2, atol=1e-3)


def test_bodies_are_where_the_description_puts_them(world):
    from rlmpc.robots.g1.config import G1
    from rlmpc.robots.quaternions import rotate

    world.step()
    snapshot = world.snapshot()
    joints = world._env.unwrapped.scene["robot"].data.joint_pos.torch[0].tolist()
    poses = G1.description.body_poses(dict(zip(world.contract.joints["names"], joints, strict=True)))
    root_pos, root_quat = snapshot.body_pos[0, 0], snapshot.body_quat_wxyz[0, 0]
    for index, name in enumerate(G1.description.body_names):
        expected = root_pos + rotate(root_quat, poses[name][0])
        np.testing.assert_allclose(snapshot.body_pos[0, index], expected, atol=1e-3)


def test_the_ground_that_is_shown_is_below_the_robots_feet(world):
    ground = world.place(world.terrains[-1], world.num_levels - 1)
    world.step()
    root = world.snapshot().body_pos[0, 0]
    near = ground.vertices[np.linalg.norm(ground.vertices[:, :2] - root[:2], axis=1) < 0.8]
    # The ground is made of solid boxes, which have undersides too.
    top = near[near[:, 2] < root[2], 2].max()
    assert 0.4 < root[2] - top < 1.2
    assert len(ground.faces) and ground.faces.max() < len(ground.vertices)


def test_a_fall_is_told_and_the_next_episode_begins(world):
    world.push((3.0, 3.0))
    reasons = [reason for _ in range(100) if (reason := world.step()) is not None]
    assert reasons[:1] == ["bad_orientation"]
