"""The G1 in a simulation: what the solver holds equals the description, and the robot stands on its feet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from rlmpc.robots.description import Body
from rlmpc.robots.g1.config import G1 as ROBOT
from rlmpc.robots.quaternions import rotate

pytestmark = pytest.mark.sim

G1 = ROBOT.description
ROBOT_HEIGHTS = (G1.default_root_height, G1.default_root_height + 0.05)
"""[m] the first robot starts on the ground, the second falls 5 cm."""


@dataclass
class World:
    """Two robots on flat ground; the simulation's types are not imported where the simulator is absent."""

    sim: Any
    scene: Any
    reset: Callable[[], None]

    @property
    def robot(self) -> Any:
        return self.scene["robot"]

    def step(self, seconds: float) -> None:
        """Hold the default pose for a while."""
        dt = self.sim.get_physics_dt()
        for _ in range(round(seconds / dt)):
            self.robot.set_joint_position_target_index(target=self.robot.data.default_joint_pos.torch)
            self.scene.write_data_to_sim()
            self.sim.step()
            self.scene.update(dt)


@pytest.fixture(scope="module")
def world():
    pytest.importorskip("isaaclab")
    import isaaclab.sim as sim_utils
    from isaaclab.assets import AssetBaseCfg
    from isaaclab.scene import InteractiveScene, InteractiveSceneCfg
    from isaaclab.sensors import ContactSensorCfg
    from isaaclab.utils import configclass
    from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg, NewtonCollisionPipelineCfg, NewtonShapeCfg

    from rlmpc.robots.articulation import articulation_cfg

    @configclass
    class SceneCfg(InteractiveSceneCfg):
        ground: AssetBaseCfg = AssetBaseCfg(
            prim_path="/World/ground",
            spawn=sim_utils.CuboidCfg(size=(20.0, 20.0, 0.1), collision_props=sim_utils.UsdPhysicsCollisionCfg()),
            init_state=AssetBaseCfg.InitialStateCfg(pos=(0.0, 0.0, -0.05)),
        )
        robot = articulation_cfg(ROBOT)
        feet = ContactSensorCfg(prim_path="{ENV_REGEX_NS}/Robot/.*_ankle_roll_link")

    physics = NewtonCfg(
        solver_cfg=MJWarpSolverCfg(njmax=160, nconmax=40, integrator="implicitfast", use_mujoco_contacts=False),
        collision_cfg=NewtonCollisionPipelineCfg(),
        default_shape_cfg=NewtonShapeCfg(margin=0.0, ke=1.6e5, kd=1100.0),
    )
    sim = sim_utils.SimulationContext(sim_utils.SimulationCfg(dt=0.005, device="cpu", physics=physics))
    scene = InteractiveScene(SceneCfg(num_envs=2, env_spacing=2.5))
    sim.reset()

    def reset() -> None:
        robot = scene["robot"]
        pose = robot.data.default_root_pose.torch.clone()
        pose[:, :3] += scene.env_origins
        pose[:, 2] = torch.tensor(ROBOT_HEIGHTS)
        robot.write_root_pose_to_sim_index(root_pose=pose)
        robot.write_root_velocity_to_sim_index(root_velocity=torch.zeros(2, 6))
        robot.write_joint_position_to_sim_index(position=robot.data.default_joint_pos.torch)
        robot.write_joint_velocity_to_sim_index(velocity=torch.zeros(2, len(G1.joints)))
        scene.reset()

    yield World(sim, scene, reset)
    sim.clear_instance()


def per_joint(field: str) -> torch.Tensor:
    """A field of every joint's actuator, (J,)."""
    return torch.tensor([getattr(G1.actuator_by_joint[name], field) for name in G1.joint_names])


def inertia_in_body_frame(body: Body) -> torch.Tensor:
    """[kg m^2] inertia about the centre of mass in the axes of the body's frame, (3, 3)."""
    axes = torch.tensor(np.stack([rotate(body.inertia_quat_wxyz, unit) for unit in np.eye(3)], axis=1))
    return (axes @ torch.diag(torch.tensor(body.diag_inertia).double()) @ axes.T).float()


def test_bodies_and_joints_keep_the_names_and_order_of_the_description(world):
    assert tuple(world.robot.body_names) == G1.body_names
    assert tuple(world.robot.joint_names) == G1.joint_names


def test_masses_and_inertias_are_those_of_the_description(world):
    masses = world.robot.data.body_mass.torch
    torch.testing.assert_close(masses, torch.tensor([[body.mass for body in G1.bodies]] * 2))
    torch.testing.assert_close(masses.sum(dim=1), torch.full((2,), 33.341142))
    inertia = torch.stack([inertia_in_body_frame(body) for body in G1.bodies])
    in_simulation = world.robot.data.body_inertia.torch.reshape(2, -1, 3, 3)
    torch.testing.assert_close(in_simulation, inertia.expand(2, -1, -1, -1), rtol=1e-3, atol=1e-6)
    com = world.robot.data.body_com_pos_b.torch
    torch.testing.assert_close(com, torch.tensor([body.com for body in G1.bodies]).expand(2, -1, -1))


def test_joint_limits_are_in_radians_and_soft_limits_are_nine_tenths_of_them(world):
    limits = torch.tensor([(joint.lower, joint.upper) for joint in G1.joints])
    torch.testing.assert_close(world.robot.data.joint_pos_limits.torch[1], limits, rtol=0.0, atol=1e-4)
    centre, half_range = limits.mean(dim=1), 0.5 * (limits[:, 1] - limits[:, 0])
    soft = torch.stack([centre - 0.9 * half_range, centre + 0.9 * half_range], dim=1)
    torch.testing.assert_close(world.robot.data.soft_joint_pos_limits.torch[1], soft, rtol=0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("data_field", "actuator_field"),
    [
        ("joint_stiffness", "stiffness"),
        ("joint_damping", "damping"),
        ("joint_armature", "armature"),
        ("joint_effort_limits", "effort_limit"),
        ("joint_vel_limits", "velocity_limit"),
    ],
)
def test_drives_are_those_of_the_description(world, data_field, actuator_field):
    in_simulation = getattr(world.robot.data, data_field).torch
    torch.testing.assert_close(in_simulation, per_joint(actuator_field).expand(2, -1))


def test_the_solver_holds_the_armature_and_clamps_at_the_effort_limits(world):
    solver = world.sim.physics_manager._solver
    torch.testing.assert_close(
        torch.from_numpy(solver.mjw_model.dof_armature.numpy()[0, 6:]), per_joint("armature"), rtol=1e-5, atol=0.0
    )
    # Joint 0 of the solver is the free joint of the pelvis.
    force_range = torch.from_numpy(solver.mjw_model.jnt_actfrcrange.numpy()[0, 1:])
    limit = per_joint("effort_limit")
    torch.testing.assert_close(force_range, torch.stack([-limit, limit], dim=1))


def test_default_pose_is_that_of_the_description(world):
    default = torch.tensor([G1.default_joint_pos[name] for name in G1.joint_names])
    torch.testing.assert_close(world.robot.data.default_joint_pos.torch, default.expand(2, -1))
    assert world.robot.data.default_root_pose.torch[0, 2].item() == pytest.approx(0.76)


def test_only_contacts_with_the_ground_are_possible_and_the_robot_decides_their_friction(world):
    model = world.sim.physics_manager.get_model()
    priority = torch.from_numpy(model.mujoco.geom_priority.numpy())
    (ground,) = [index for index, label in enumerate(model.shape_label) if label.startswith("/World/ground")]
    is_robot = torch.arange(model.shape_count) != ground
    assert model.shape_count == 1 + 2 * 21
    assert (priority[is_robot] == 1).all()
    assert priority[ground] == 0
    pairs = torch.from_numpy(model.shape_contact_pairs.numpy())
    assert len(pairs) == 2 * 21
    assert (pairs == ground).any(dim=1).all()


def test_body_poses_equal_the_forward_kinematics_of_the_description(world):
    world.reset()
    generator = torch.Generator().manual_seed(0)
    limits = world.robot.data.joint_pos_limits.torch
    fraction = torch.rand(limits.shape[:2], generator=generator)
    joint_pos = limits[..., 0] + fraction * (limits[..., 1] - limits[..., 0])
    world.robot.write_joint_position_to_sim_index(position=joint_pos)
    world.sim.forward()

    root_pos = world.robot.data.root_pos_w.torch
    body_pos = world.robot.data.body_link_pos_w.torch - root_pos.unsqueeze(1)
    body_quat_xyzw = world.robot.data.body_link_quat_w.torch
    for env in range(2):
        poses = G1.body_poses(dict(zip(G1.joint_names, joint_pos[env].tolist(), strict=True)))
        for index, (pos, quat_wxyz) in enumerate(poses.values()):
            torch.testing.assert_close(body_pos[env, index], torch.tensor(pos).float(), rtol=0.0, atol=1e-4)
            expected = torch.tensor(quat_wxyz).float().roll(-1)
            assert torch.dot(body_quat_xyzw[env, index], expected).abs() > 1.0 - 1e-6


def test_robot_dropped_in_its_default_pose_lands_on_its_feet(world):
    world.reset()
    world.step(0.4)
    data = world.robot.data
    assert torch.isfinite(data.joint_pos.torch).all()
    assert torch.isfinite(data.joint_vel.torch).all()
    assert torch.isfinite(data.root_state_w.torch).all()

    is_foot = torch.tensor([name.endswith("_ankle_roll_link") for name in G1.body_names])
    is_ankle = torch.tensor(["_ankle_" in name for name in G1.body_names])
    heights = data.body_link_pos_w.torch[..., 2]
    torch.testing.assert_close(heights[:, is_foot], torch.full((2, 2), 0.035), rtol=0.0, atol=0.005)
    assert heights[:, ~is_ankle].min() > 0.2
    assert (world.scene["feet"].data.net_forces_w.torch[..., 2] > 20.0).all()
    assert data.root_pos_w.torch[:, 2].min() > 0.65
