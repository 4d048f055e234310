"""The robot as a MuJoCo model."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlmpc.contract.contract import Contract
from rlmpc.errors import UserError
from rlmpc.robots.g1.config import G1 as ROBOT
from rlmpc.sim2sim.ground import make_ground
from rlmpc.sim2sim.model import build_model

G1 = ROBOT.description


def build(contract: Contract) -> mujoco.MjModel:
    ground = make_ground(contract.world.terrain, "flat", 0)
    return build_model(ROBOT, contract.joints, contract.control_dt, contract.world, ground)


@pytest.fixture
def model(contract):
    return build(contract)


def test_bodies_have_the_masses_and_centres_of_mass_of_the_description(model):
    assert [model.body(i).name for i in range(1, model.nbody)] == list(G1.body_names)
    np.testing.assert_allclose(model.body_mass[1:], [body.mass for body in G1.bodies])
    np.testing.assert_allclose(model.body_ipos[1:], [body.com for body in G1.bodies])
    np.testing.assert_allclose(model.body_inertia[1:], [body.diag_inertia for body in G1.bodies])
    assert model.body_subtreemass[1] == pytest.approx(33.341142)


def test_joints_have_the_order_and_limits_of_the_description(model):
    hinges = range(1, model.njnt)
    assert [model.joint(i).name for i in hinges] == list(G1.joint_names)
    np.testing.assert_allclose(model.jnt_range[1:], [(joint.lower, joint.upper) for joint in G1.joints])
    assert model.jnt_limited[1:].all()


def test_drives_are_those_of_the_contract(contract_data):
    joints = contract_data["joints"]
    joints["stiffness"][3], joints["damping"][4] = 77.0, 8.0
    model = build(Contract.from_dict(contract_data))
    np.testing.assert_allclose(model.actuator_gainprm[:, 0], joints["stiffness"])
    np.testing.assert_allclose(-model.actuator_biasprm[:, 1], joints["stiffness"])
    np.testing.assert_allclose(-model.actuator_biasprm[:, 2], joints["damping"])
    np.testing.assert_allclose(model.dof_armature[6:], joints["armature"])
    np.testing.assert_allclose(model.jnt_actfrcrange[1:, 1], joints["effort_limit"])
    assert model.jnt_actfrclimited[1:].all()


def test_drives_stand_in_the_order_of_the_contract(contract_data):
    joints = {key: list(reversed(values)) for key, values in contract_data["joints"].items()}
    model = build(Contract.from_dict(contract_data | {"joints": joints}))
    assert [model.actuator(i).name for i in range(model.nu)] == joints["names"]
    moved = [model.joint(model.actuator_trnid[i, 0]).name for i in range(model.nu)]
    assert moved == joints["names"]
    np.testing.assert_allclose(model.dof_armature[6:], joints["armature"][::-1])


def test_forward_kinematics_equal_those_of_the_description(model):
    rng = np.random.default_rng(0)
    angles = rng.uniform(model.jnt_range[1:, 0], model.jnt_range[1:, 1])
    data = mujoco.MjData(model)
    data.qpos[7:] = angles
    mujoco.mj_kinematics(model, data)
    poses = G1.body_poses(dict(zip(G1.joint_names, angles, strict=True)))
    for name, (pos, _) in poses.items():
        np.testing.assert_allclose(data.body(name).xpos - data.qpos[:3], pos, atol=1e-9)


def test_links_do_not_collide_with_each_other(model):
    data = mujoco.MjData(model)
    data.qpos[2] = 5.0
    # Folded as far as the joints allow.
    data.qpos[7:] = model.jnt_range[1:, 1]
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_the_robot_alone_decides_friction(model):
    data = mujoco.MjData(model)
    feet = [i for i in range(model.ngeom) if "foot" in model.geom(i).name]
    model.geom_friction[feet, 0] = 0.4
    data.qpos[2] = G1.default_root_height - 0.005
    data.qpos[7:] = list(G1.default_joint_pos.values())
    mujoco.mj_forward(model, data)
    assert data.ncon > 0
    np.testing.assert_allclose(data.contact.friction[:, 0], 0.4)


def test_physics_runs_as_often_in_a_control_step_as_in_training(contract_data):
    contract_data["world"]["num_substeps"] = 5
    assert build(Contract.from_dict(contract_data)).opt.timestep == pytest.approx(0.004)


def test_the_solver_is_that_of_the_training(contract_data):
    contract_data["world"] |= {"cone": "elliptic", "integrator": "euler", "impratio": 2.0, "gravity": [0.0, 0.0, -1.6]}
    option = build(Contract.from_dict(contract_data)).opt
    assert (option.cone, option.integrator) == (mujoco.mjtCone.mjCONE_ELLIPTIC, mujoco.mjtIntegrator.mjINT_EULER)
    assert (option.impratio, option.gravity.tolist()) == (2.0, [0.0, 0.0, -1.6])
    contract_data["world"]["integrator"] = "semi"
    with pytest.raises(UserError, match=r"'world\.integrator' is 'semi'; input should be 'euler', 'rk4', .*'"):
        build(Contract.from_dict(contract_data))


def test_contacts_are_as_stiff_as_in_training(contract_data):
    contract_data["world"] |= {"contact_stiffness": 1e4, "contact_damping": 200.0}
    model = build(Contract.from_dict(contract_data))
    # Time constant 2 / d and damping ratio d / (2 sqrt(k)).
    np.testing.assert_allclose(model.geom_solref, [(0.01, 1.0)] * model.ngeom)


def test_another_robot_is_refused_by_the_names_of_its_joints(contract_data):
    joints = contract_data["joints"]
    joints["names"][0] = contract_data["actions"][0]["joints"][0] = "tail_joint"
    with pytest.raises(UserError, match=r"unknown here: \['tail_joint'\], missing there: \['left_hip_pitch_joint'\]"):
        build(Contract.from_dict(contract_data))
