"""`blind_mpc`: the predictive controller as an action of Isaac Lab's environments."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.config.train import TaskCfg
from rlmpc.errors import UserError

pytestmark = pytest.mark.sim

TASK = TaskCfg(name="blind_mpc_flat", simulator="isaaclab", env_id="RLMPC-Blind-MPC-Flat-G1-v0")
NUM_ENVS = 4
CPU = torch.device("cpu")
PLAN = {"planned_contacts": 20, "mpc_parameters": 11, "planned_wrench": 12}


def configure(**overrides: Any) -> Any:
    """The configuration with overrides, given as `path=value` with paths below `env`."""
    from rlmpc.envs.make import env_config

    return env_config(TASK, overrides)


def test_the_policy_may_also_move_the_upper_body() -> None:
    """Before there is another environment."""
    from rlmpc.envs.isaaclab.env import IsaacLabEnv
    from rlmpc.sim2sim.walker import check_served

    env = IsaacLabEnv(configure(upper_body_scale=0.5), 2, CPU, seed=1)
    env.reset()
    elbow = env.unwrapped.scene["robot"].joint_names.index("left_elbow_joint")
    mpc, joint_pos = env.contract.actions
    action = torch.zeros(2, env.num_actions)
    action[1, mpc["dim"] + joint_pos["joints"].index("left_elbow_joint")] = 1.0
    for _ in range(25):
        env.step(action)
    still, moved = env.unwrapped.scene["robot"].data.joint_pos.torch[:, elbow]
    contract = env.contract
    env.close()
    assert (mpc["dim"], joint_pos["dim"]) == (3, 17)
    assert not any("hip" in name or "knee" in name or "ankle" in name for name in joint_pos["joints"])
    assert moved - still == pytest.approx(0.5, abs=0.1)
    check_served(contract, ["policy"])


@pytest.fixture(scope="module")
def env():
    from rlmpc.envs.isaaclab.env import IsaacLabEnv

    env = IsaacLabEnv(configure(**{"actions.mpc.outputs": "mpc11"}), NUM_ENVS, CPU, seed=1)
    env.reset()
    yield env
    env.close()


@pytest.fixture
def term(env) -> Any:
    env.reset()
    return env.unwrapped.action_manager.get_term("mpc")


def zero(env) -> Tensor:
    return torch.zeros(NUM_ENVS, env.num_actions)


def test_the_policy_sees_the_plan_and_the_critic_also_how_the_solve_went(env) -> None:
    groups = {name: {term.name: term.dim for term in terms} for name, terms in env.obs_schema.groups.items()}
    for group in groups.values():
        assert PLAN.items() <= group.items()
        assert group["gait_phase"] == 4
    assert {"mpc_cost", "mpc_residual"} <= groups["critic"].keys()
    assert not {"mpc_cost", "mpc_residual"} & (groups["policy"].keys() | groups["teacher"].keys())
    assert all(values.isfinite().all() for values in env.step(zero(env)).obs.values())


def test_the_contract_tells_what_actions_set_and_mujoco_serves_it(env) -> None:
    from rlmpc.contract.contract import Contract
    from rlmpc.sim2sim.walker import check_served

    contract = Contract.from_dict(env.contract.to_dict())
    (action,) = contract.actions
    assert action["parameters"][:3] == ["period", "swing_height", "swing_shape"]
    assert action["offset"][0] == pytest.approx(action["walk.period_s"])
    assert contract.joints["stiffness"][contract.joints["names"].index("left_knee_joint")] == 0.0
    check_served(contract, ["policy"])


def test_torques_are_made_anew_in_every_physics_step_and_reach_the_solver(env, term, monkeypatch) -> None:
    import warp as wp
    from isaaclab_newton.physics import NewtonManager

    made: list[Tensor] = []
    torques = term._torques

    def noted(state: Any) -> Tensor:
        made.append(torques(state).clone())
        return made[-1]

    monkeypatch.setattr(term, "_torques", noted)
    for _ in range(3):
        env.step(zero(env))
    assert len(made) == 3 * env.unwrapped.cfg.decimation
    assert not any(torch.equal(one, other) for one, other in pairwise(made))
    solver: Any = NewtonManager._solver
    applied = wp.to_torch(solver.mjw_data.qfrc_applied)[:, 6:]
    torch.testing.assert_close(applied, made[-1])
    limits = env.unwrapped.scene["robot"].data.joint_effort_limits.torch
    assert all((torque.abs() <= limits * 1.0001).all() for torque in made)


def test_the_controller_is_told_the_state_of_the_simulation(env, term) -> None:
    """Velocities are those of the links' centres of mass, as their positions show, and soles carry the weight."""
    robot = env.unwrapped.scene["robot"]
    for _ in range(15):
        env.step(zero(env))
    state, dt = term._state(term._readings()), env.unwrapped.physics_dt
    forces, coms, angles = [], [], []
    for _ in range(2):
        term.apply_actions()
        env.unwrapped.scene.write_data_to_sim()
        env.unwrapped.sim.step(render=False)
        env.unwrapped.scene.update(dt=dt)
        after = term._state(term._readings())
        offsets = robot.data.body_com_pos_b.torch.unsqueeze(-1)
        coms.append(after.link_pos + (after.link_rot @ offsets).squeeze(-1))
        angles.append(after.link_rot)
        forces.append(after.sole_force.sum(dim=1))
    torch.testing.assert_close((coms[1] - coms[0]) / dt, after.link_com_vel, atol=0.02, rtol=0.02)
    turned = (angles[1] @ angles[0].mT - torch.eye(3)) / dt
    rates = torch.stack([turned[..., 2, 1], turned[..., 0, 2], turned[..., 1, 0]], dim=-1)
    torch.testing.assert_close(rates, after.link_ang_vel, atol=0.05, rtol=0.05)
    assert torch.equal(state.joint_pos.new_tensor(robot.num_joints), torch.tensor(29.0))
    weights = 9.81 * robot.data.body_mass.torch.sum(dim=1)
    assert ((forces[-1] / weights - 1.0).abs() < 0.5).all()


def test_zero_action_is_the_nominal_gait_and_actions_are_scaled_and_clipped(env, term) -> None:
    env.step(zero(env))
    walk = term.cfg.walk
    assert torch.allclose(term.parameters.period, torch.tensor(walk.period_s))
    assert torch.allclose(term.parameters.friction, torch.tensor(term.cfg.model.friction))
    assert not term.parameters.linear_acc.any() and not term.parameters.foothold_offset.any()
    action = torch.zeros(NUM_ENVS, 11)
    action[:, 0], action[:, 1], action[:, 5], action[:, 9] = 1.0, 100.0, -1.0, 1.0
    step = env.step(action)
    assert torch.allclose(term.parameters.period, torch.tensor(walk.period_s + 0.1))
    assert torch.allclose(term.parameters.swing_height, torch.tensor(0.2))
    assert torch.allclose(term.parameters.linear_acc, torch.tensor([0.0, 0.0, -0.5]))
    assert torch.allclose(term.parameters.foothold_offset, torch.tensor([0.05, 0.0]).expand(2, 2))
    (observed,) = (part for name, part in parts(env, step.obs["teacher"], "teacher") if name == "mpc_parameters")
    expected = torch.tensor([1.0, (0.2 - walk.swing_height_m) / 0.03, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    torch.testing.assert_close(observed, expected.expand_as(observed), atol=1e-5, rtol=1e-5)


def parts(env: Any, group: Tensor, name: str) -> list[tuple[str, Tensor]]:
    """A group's observation, term by term."""
    terms = env.obs_schema.groups[name]
    return [(t.name, part) for t, part in zip(terms, group.split([t.dim * t.history for t in terms], 1), strict=True)]


def test_the_robots_stand_and_walk_without_a_policy(env, term) -> None:
    from rlmpc.contract.episode import Trial

    commands = [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0)] * (NUM_ENVS // 2)
    env.place([Trial("flat", 0, command) for command in commands])
    env.reset()
    start = env.unwrapped.scene["robot"].data.root_pos_w.torch.clone()
    for _ in range(110):
        step = env.step(zero(env))
        assert not (step.terminated | step.faulty).any()
    way = (env.unwrapped.scene["robot"].data.root_pos_w.torch - start)[:, :2].norm(dim=1)
    assert (way[::2] < 0.1).all()
    assert (way[1::2] > 0.2).all()


def test_steps_after_a_load_are_those_after_the_save(env, term) -> None:
    def go_on() -> list[Tensor]:
        generator = torch.Generator().manual_seed(4)
        record = []
        for _ in range(8):
            step = env.step(0.5 * torch.randn(NUM_ENVS, 11, generator=generator))
            record += [step.obs["critic"].clone(), step.reward.clone()]
        return record

    torch.manual_seed(0)
    for _ in range(10):
        env.step(zero(env))
    state, random = env.state(), torch.get_rng_state()
    assert any(".mpc.controller." in path for path in state)
    expected = go_on()
    env.reset()
    go_on()
    env.load_state(state)
    torch.set_rng_state(random)
    assert all(torch.equal(one, other) for one, other in zip(expected, go_on(), strict=True))


def test_steps_by_masks_are_isaac_labs_and_begin_anew_where_asked(env, term) -> None:
    def go_on() -> list[Tensor]:
        generator = torch.Generator().manual_seed(6)
        actions = 0.5 * torch.randn(10, NUM_ENVS, 11, generator=generator)
        return [
            part.clone()
            for action in actions
            for step in [env.step(action)]
            for part in (step.obs["critic"], step.reward)
        ]

    env.step(zero(env))
    assert env.unwrapped.unfit_for_masks() == []
    state = env.state()
    expected = go_on()
    env.load_state(state)
    env.by_masks = True
    for one, other in zip(expected, go_on(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    before = {name: values.clone() for name, values in term.controller.state_dict().items()}
    env.restart(torch.arange(NUM_ENVS) == 1)
    step = env.step(zero(env))
    env.by_masks = False
    assert step.faulty.tolist() == [index == 1 for index in range(NUM_ENVS)]
    assert before["wrench"].abs().amax(dim=(1, 2)).min() > 0.0
    assert (term.controller.wrench.abs().amax(dim=(1, 2)) == 0.0).tolist() == step.faulty.tolist()


def test_a_broken_state_heals_and_leaves_the_other_environments_alone(env, term) -> None:
    robot = env.unwrapped.scene["robot"]
    for _ in range(5):
        env.step(zero(env))
    nan = torch.full((1, robot.num_joints), float("nan"))
    robot.write_joint_position_to_sim_index(position=nan, env_ids=torch.tensor([2], dtype=torch.int32))
    step = env.step(zero(env))
    assert step.faulty.tolist() == [index == 2 for index in range(NUM_ENVS)]
    for _ in range(5):
        step = env.step(zero(env))
        assert not step.faulty.any()
        assert all(values.isfinite().all() for values in step.obs.values())
    assert all(values.isfinite().all() for values in term.controller.state_dict().values())


def test_solves_that_are_not_accepted_several_times_in_a_row_are_a_fault(env, term, monkeypatch) -> None:
    monkeypatch.setattr(term.cfg.model, "residual_bound", -1.0)
    monkeypatch.setattr(term.cfg.model, "max_failures", 2)
    faults = [env.step(zero(env)).faulty for _ in range(4)]
    assert [fault.sum().item() for fault in faults] == [0, 0, NUM_ENVS, 0]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"actions.mpc.outputs": "mpc10"}, "unknown 'env.actions.mpc.outputs' 'mpc10'; accepted: mpc3, mpc9, mpc11"),
        ({"actions.mpc.model.horizon": 0}, "'env.actions.mpc.model.horizon' must be at least 1, not 0"),
        ({"actions.mpc.model.solver": "amdm"}, "unknown 'env.actions.mpc.model.solver' 'amdm'; .* did you mean 'admm'"),
        ({"actions.mpc.period.scale": 0.0}, "'env.actions.mpc.period.scale' must be above 0, not 0.0"),
        ({"actions.mpc.period.low": 1.0}, r"'env.actions.mpc.period.low' must be at most 0.8 \('high'\), not 1.0"),
        ({"actions.mpc.walk.control_dt": 0.1}, "'env.actions.mpc.walk.control_dt' is derived from other settings"),
        ({"actions.mpc": None}, "env.actions.mpc cannot be switched off"),
        ({"yaw_action_scale": 0.25}, "yaw_action_scale has no effect"),
        ({"upper_body_scale": 0.0}, "upper_body_scale"),
        ({"robot": "biped"}, "the predictive controller walks robots whose legs have 6 joints each"),
    ],
)
def test_what_no_controller_can_be_made_of_is_refused(biped, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        configure(**overrides)


def test_a_horizon_and_times_reach_the_controller() -> None:
    cfg = configure(decimation=2, **{"actions.mpc.sets_friction": True})
    assert cfg.actions.mpc.walk.control_dt == 0.01
    assert cfg.actions.mpc.parameters == ("period", "swing_height", "swing_shape", "friction")
    stiffness = {name: gain for drive in cfg.scene.robot.actuators.values() for name, gain in drive.stiffness.items()}
    assert stiffness["left_knee_joint"] == 0.0
    assert stiffness["waist_pitch_joint"] == pytest.approx(10 * 28.5, rel=0.01)
