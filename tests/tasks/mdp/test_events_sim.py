"""Starts of episodes. Needs Isaac Lab but starts no simulation."""

import math
from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 500
ALL = torch.arange(NUM_ENVS)


def start(**params) -> tuple[torch.Tensor, torch.Tensor]:
    """Resets robots and returns their yaw (N,) and velocity (N, 6) in the world."""
    from isaaclab.utils.math import euler_xyz_from_quat

    from rlmpc.tasks import mdp

    torch.manual_seed(0)
    written = {}
    pose = torch.tensor([[0.0, 0.0, 0.8, 0.0, 0.0, 0.0, 1.0]]).expand(NUM_ENVS, 7)
    robot = SimpleNamespace(
        data=SimpleNamespace(default_root_pose=SimpleNamespace(torch=pose)),
        write_root_pose_to_sim_index=lambda root_pose, env_ids: written.update(pose=root_pose),
        write_root_velocity_to_sim_index=lambda root_velocity, env_ids: written.update(velocity=root_velocity),
    )

    class Scene(dict):
        env_origins = torch.zeros(NUM_ENVS, 3)

    env = SimpleNamespace(num_envs=NUM_ENVS, device="cpu", scene=Scene(robot=robot))
    mdp.reset_root_four_headings(env, ALL, heading_noise_rad=math.radians(10.0), **params)
    return euler_xyz_from_quat(written["pose"][:, 3:7])[2], written["velocity"]


def test_robots_may_start_walking_straight_ahead() -> None:
    yaw, velocity = start(max_velocity=0.0, forward_velocity=(0.2, 0.8))
    speed = velocity[:, 0] * yaw.cos() + velocity[:, 1] * yaw.sin()
    sideways = velocity[:, 1] * yaw.cos() - velocity[:, 0] * yaw.sin()
    assert 0.2 <= speed.min() < 0.25 and 0.75 < speed.max() <= 0.8
    torch.testing.assert_close(sideways, torch.zeros(NUM_ENVS), atol=1e-5, rtol=0)
    assert not velocity[:, 2:].any()


def test_without_a_forward_velocity_robots_start_nearly_at_rest() -> None:
    _, velocity = start(max_velocity=0.1, forward_velocity=(0.0, 0.0))
    assert velocity.abs().max() <= 0.1
