"""The blind_rl environment in simulation: observations, randomisation, terminations and resets."""

import math

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 12
FEET = ["left_ankle_roll_link", "right_ankle_roll_link"]
SENSED = {
    "joint_pos": 290,
    "joint_vel": 290,
    "base_ang_vel": 15,
    "projected_gravity": 15,
    "velocity_command": 15,
    "last_action": 150,
    "gait_phase": 4,
}
FRAME = {name: width // {290: 10, 15: 5, 150: 5}.get(width, 1) for name, width in SENSED.items()}
"""Without the frames of before."""
PRIVILEGED = {
    "base_lin_vel": 3,
    "joint_stiffness": 29,
    "joint_damping": 29,
    "torso_mass": 1,
    "torso_com": 3,
    "foot_friction": 2,
    "base_height": 1,
    "foot_contact": 2,
}


@pytest.fixture(scope="module")
def env(make_env):
    from rlmpc.tasks.blind_rl.env_cfg import BlindEnvCfg

    env = make_env(BlindEnvCfg(), NUM_ENVS, num_rows=3)
    env.reset()
    return env


@pytest.fixture(scope="module")
def solver(env):
    # Start-up randomisation reaches the solver with the first step.
    env.step(torch.zeros(NUM_ENVS, 30))
    return env.sim.physics_manager._solver


@pytest.fixture
def obs(env):
    """Freshly reset observations, each group split into its terms."""
    return split_terms(env, env.reset()[0])


def split_terms(env, groups):
    """{group: {term: (N, D)}} from {group: (N, sum of D)}."""
    manager = env.observation_manager
    return {
        group: dict(
            zip(
                manager.active_terms[group],
                groups[group].split([math.prod(dim) for dim in manager.group_obs_term_dim[group]], dim=1),
                strict=True,
            )
        )
        for group in groups
    }


def solver_bodies(solver, names):
    """Indices of bodies in the solver's arrays, by the names of the first environment."""
    all_names = [solver.mj_model.body(index).name for index in range(solver.mj_model.nbody)]
    return [next(i for i, full in enumerate(all_names) if full.endswith(f"_{name}")) for name in names]


def place(env, xy_offset):
    """Moves all roots to an offset (N, 2) [m] from their origins, upright and at rest."""
    robot = env.scene["robot"]
    pose = robot.data.default_root_pose.torch.clone()
    pose[:, :3] += env.scene.env_origins
    pose[:, :2] += xy_offset
    robot.write_root_pose_to_sim_index(root_pose=pose, env_ids=None)
    robot.write_root_velocity_to_sim_index(root_velocity=torch.zeros(NUM_ENVS, 6), env_ids=None)


def test_groups_have_the_documented_terms_sizes_and_order(obs) -> None:
    sizes = {group: {name: value.shape[1] for name, value in terms.items()} for group, terms in obs.items()}
    assert list(sizes) == ["policy", "critic", "teacher"]
    assert list(sizes["policy"].items()) == list(SENSED.items())
    assert list(sizes["teacher"].items()) == list((PRIVILEGED | FRAME).items())
    assert list(sizes["critic"].items()) == [("velocity_error", 3), *sizes["teacher"].items()]
    assert sum(sizes["policy"].values()) == 779
    assert sum(sizes["teacher"].values()) == 171


def test_only_the_policy_group_is_noisy_and_the_others_see_its_last_frame(obs) -> None:
    # Scaled noise bounds: position 0.01 rad, velocity 1.5 rad/s x 0.05.
    assert torch.equal(obs["critic"]["joint_pos"], obs["teacher"]["joint_pos"])
    for term, bound in {"joint_pos": 0.01, "joint_vel": 0.075, "projected_gravity": 0.05}.items():
        exact = obs["critic"][term]
        noise = (obs["policy"][term][:, -exact.shape[1] :] - exact).abs().max()
        assert 0.5 * bound < noise <= bound * 1.0001
    assert torch.equal(obs["policy"]["velocity_command"][:, -3:], obs["critic"]["velocity_command"])


def test_a_history_runs_from_oldest_to_newest(env) -> None:
    env.reset()
    actions = [torch.full((NUM_ENVS, 30), 0.01 * step) for step in range(1, 4)]
    for action in actions:
        groups = env.step(action)[0]
    frames = split_terms(env, groups)["policy"]["last_action"].view(NUM_ENVS, 5, 30)
    assert torch.equal(frames[:, 2:], torch.stack(actions, dim=1))


def test_gain_observations_equal_the_solver_and_differ_across_environments(env, solver, obs) -> None:
    # Actuators alternate: a position and a velocity actuator for each joint.
    robot = env.scene["robot"]
    gains = torch.from_numpy(solver.mjw_model.actuator_gainprm.numpy())[:, :, 0]
    for term, actual in (("joint_stiffness", gains[:, 0::2]), ("joint_damping", gains[:, 1::2])):
        field = term.removeprefix("joint_")
        default = torch.zeros(robot.num_joints)
        for name, group in env.cfg.scene.robot.actuators.items():
            joint_ids, _ = robot.find_joints(group.joint_names_expr)
            default[joint_ids] = getattr(env.cfg.scene.robot.actuators[name], field)
        expected = (actual - default) / (0.2 * default)
        torch.testing.assert_close(obs["teacher"][term], expected, atol=1e-4, rtol=0)
        assert expected.abs().max() <= 1.0001
        assert (expected.std(dim=0) > 0.1).all()


def test_torso_observations_equal_the_solver(env, solver, obs) -> None:
    (torso,) = solver_bodies(solver, ["torso_link"])
    mass = torch.from_numpy(solver.mjw_model.body_mass.numpy())[:, torso]
    com = torch.from_numpy(solver.mjw_model.body_ipos.numpy())[:, torso]
    nominal_mass, nominal_com = solver.mj_model.body_mass[torso], torch.tensor(solver.mj_model.body_ipos[torso])
    expected_mass = (mass - nominal_mass) / (0.2 * nominal_mass)
    torch.testing.assert_close(obs["teacher"]["torso_mass"][:, 0], expected_mass, atol=1e-4, rtol=0)
    torch.testing.assert_close(obs["teacher"]["torso_com"], (com - nominal_com).float(), atol=1e-6, rtol=0)
    assert mass.std() > 0.1 and (com.std(dim=0) > 0.005).all()


def test_the_feet_slide_with_the_observed_friction_whatever_the_ground_has(env, solver, obs) -> None:
    env.step(torch.zeros(NUM_ENVS, 30))
    contacts, num_contacts = solver.mjw_data.contact, int(solver.mjw_data.nacon.numpy()[0])
    bodies = solver.mj_model.geom_bodyid[contacts.geom.numpy()[:num_contacts]].max(axis=1)
    worlds, friction = contacts.worldid.numpy()[:num_contacts], contacts.friction.numpy()[:num_contacts, 0]
    observed = obs["teacher"]["foot_friction"]
    seen = set()
    for world, body, coefficient in zip(worlds, bodies, friction, strict=True):
        foot = solver_bodies(solver, FEET).index(body)
        assert coefficient == pytest.approx(float(observed[world, foot]), abs=1e-6)
        seen.add((world, foot))
    assert len(seen) == 2 * NUM_ENVS
    assert observed.min() < 0.5 < 1.0 < observed.max()


def test_a_standing_robot_reports_its_height_and_both_feet_on_the_ground(env) -> None:
    obs = split_terms(env, env.reset()[0])["teacher"]
    default_height = env.scene["robot"].data.default_root_pose.torch[:, 2:3]
    # The default pose keeps the soles a few millimetres above the ground.
    torch.testing.assert_close(obs["base_height"], default_height, atol=5e-3, rtol=0)
    for _ in range(5):
        groups = env.step(torch.zeros(NUM_ENVS, 30))[0]
    assert (split_terms(env, groups)["teacher"]["foot_contact"] == 1.0).all()
    assert env.scene["contact_forces"].sensor_names == env.scene["robot"].body_names


def test_the_clock_advances_by_the_step_time_over_the_period(env) -> None:
    env.reset()
    clock = env.action_manager.get_term("gait_cycle")
    before = clock.leg_phase.clone()
    action = torch.zeros(NUM_ENVS, 30)
    action[:, -1] = torch.linspace(-4.0, 10.0, NUM_ENVS)
    _, _, terminated, truncated, _ = env.step(action)
    assert not (terminated | truncated).any()
    period = (0.7 + 0.1 * action[:, -1]).clamp(0.3, 2.0)
    torch.testing.assert_close(clock.period_s, period)
    torch.testing.assert_close((clock.leg_phase - before) % 1.0, (0.02 / period)[:, None].expand(-1, 2))
    torch.testing.assert_close((clock.leg_phase[:, 1] - clock.leg_phase[:, 0]) % 1.0, torch.full((NUM_ENVS,), 0.5))
    assert before.std() > 0.1


def test_resets_face_one_of_four_directions_from_the_centre_of_the_tile(env) -> None:
    env.reset()
    data = env.scene["robot"].data
    heading = data.heading_w.torch
    off_axis = (heading - (heading / (math.pi / 2)).round() * (math.pi / 2)).abs()
    assert off_axis.max() <= math.radians(10.0) + 1e-4
    assert len((heading / (math.pi / 2)).round().unique()) > 1
    torch.testing.assert_close(data.root_pos_w.torch[:, :2], env.scene.env_origins[:, :2])
    torch.testing.assert_close(data.joint_pos.torch, data.default_joint_pos.torch)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_fifty_steps_stay_finite(env, scale: float) -> None:
    env.reset()
    for _ in range(50):
        groups, reward, _, _, _ = env.step(scale * torch.randn(NUM_ENVS, 30))
        assert torch.isfinite(reward).all()
        assert all(torch.isfinite(group).all() for group in groups.values())


def test_a_non_finite_state_ends_that_episode_and_leaves_the_others_alone(env) -> None:
    env.reset()
    broken = torch.tensor([3])
    env.scene["robot"].write_joint_position_to_sim_index(position=torch.full((1, 29), float("nan")), env_ids=broken)
    _, reward, terminated, truncated, _ = env.step(torch.zeros(NUM_ENVS, 30))
    assert terminated.nonzero().flatten().tolist() == broken.tolist()
    assert env.termination_manager.get_term("non_finite").nonzero().flatten().tolist() == broken.tolist()
    assert not truncated.any()
    others = torch.arange(NUM_ENVS) != broken
    assert torch.isfinite(reward[others]).all()
    groups, reward, terminated, _, _ = env.step(torch.zeros(NUM_ENVS, 30))
    assert not terminated.any() and torch.isfinite(reward).all()
    assert all(torch.isfinite(group).all() for group in groups.values())
    ranges = env.command_manager.get_term("base_velocity").state_dict()
    assert all(math.isfinite(end) for ends in ranges.values() for end in ends)


def test_leaving_the_tile_is_a_truncation(env) -> None:
    env.reset()
    offset = torch.zeros(NUM_ENVS, 2)
    offset[0, 0], offset[1, 1], offset[2, 0] = 4.1, -4.1, 3.8
    place(env, offset)
    _, _, terminated, truncated, _ = env.step(torch.zeros(NUM_ENVS, 30))
    assert truncated[:3].tolist() == [True, True, False]
    assert not terminated[:2].any()


def test_a_fallen_robot_terminates(env) -> None:
    env.reset()
    robot = env.scene["robot"]
    pose = robot.data.root_pose_w.torch.clone()
    # Quaternions are XYZW: 0.9 rad and 0.7 rad about x.
    for index, angle in ((0, 0.9), (1, 0.7)):
        pose[index, 2] += 1.0
        pose[index, 3:7] = torch.tensor([math.sin(angle / 2), 0.0, 0.0, math.cos(angle / 2)])
    pose[2, 2] = -5.5
    robot.write_root_pose_to_sim_index(root_pose=pose, env_ids=None)
    _, _, terminated, truncated, _ = env.step(torch.zeros(NUM_ENVS, 30))
    assert terminated[:3].tolist() == [True, False, True]
    assert env.termination_manager.get_term("bad_orientation")[0]
    assert env.termination_manager.get_term("fell_below")[2]
    assert not truncated.any()
