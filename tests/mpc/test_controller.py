"""The whole controller in MuJoCo, with no policy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from rlmpc.errors import UserError
from rlmpc.graphs import WARM_UPS, Replayed
from rlmpc.mpc.controller import Controller
from rlmpc.mpc.parameters import Parameters
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.state import RobotState
from rlmpc.mpc.walk_settings import WalkSettings
from rlmpc.networks.tree import tree_map
from rlmpc.robots.g1.config import G1
from tests.mpc.robots import Walk
from tests.recorded import RecordedOnCpu


@pytest.fixture(scope="module")
def walked() -> Walk:
    """Two robots that have walked at 0.3 m/s for 3 s."""
    walk = Walk(2, (0.3, 0.0, 0.0))
    for index in range(150):
        if index == 100:
            walk.after_2_s = walk.robots.root()
        walk.step()
    return walk


def test_robots_walk_as_commanded_without_a_policy(walked):
    assert not walked.robots.has_fallen.any()
    (start, yaw), (end, _) = walked.after_2_s, walked.robots.root()
    forward = ((end - start)[:, :2] * np.stack((np.cos(yaw), np.sin(yaw)), 1)).sum(1)
    assert forward == pytest.approx(0.3, abs=0.05)
    assert walked.controller.failures.max() == 0


def test_a_saved_state_goes_on_to_the_bit(walked):
    other = copy.copy(walked)
    other.robots = copy.deepcopy(walked.robots)
    other.controller = Controller(walked.robots.facts, MpcSettings(), WalkSettings(), 2, "cpu")
    other.controller.load_state_dict(copy.deepcopy(walked.controller.state_dict()))
    for _ in range(10):
        assert torch.equal(walked.step(), other.step())
    for name, value in walked.controller.state_dict().items():
        assert torch.equal(value, other.controller.state_dict()[name]), name


def test_recorded_plans_and_torques_are_the_same_to_the_bit():
    """From the start over the first step, and without a read by the host."""
    plain, recorded = (Walk(2, (0.3, 0.0, 0.1), seed=5) for _ in range(2))
    controller = recorded.controller
    plan, torques = (RecordedOnCpu(function, torch.device("cpu")) for function in (controller.plan, controller.torques))
    for _ in range(30):
        efforts = plain.step()
        plan(recorded.robots.state(), recorded.command, recorded.parameters)
        for wanted in efforts:
            given = torques(recorded.robots.state())
            assert torch.equal(given, wanted)
            recorded.robots.step(given)
    assert plan.num_replays == 30 - WARM_UPS - 1
    assert controller.gait.is_swinging.any()


def compare_gpu_with_cpu(settings: MpcSettings) -> None:
    """Let a GPU record the efforts of many robots, and compare each with the one that the CPU makes walk."""
    walk, copies, gpu = Walk(2, (0.3, 0.0, 0.1), seed=5), 50, torch.device("cuda")
    controller = Controller(walk.robots.facts, settings, WalkSettings(), 2 * copies, gpu)
    parameters = Parameters.nominal(settings, WalkSettings(), 2 * copies, gpu)
    plan, torques = Replayed(controller.plan, gpu), Replayed(controller.torques, gpu)

    def many(values: torch.Tensor) -> torch.Tensor:
        return values.repeat(copies, *[1] * (values.dim() - 1)).to(gpu)

    controller.reset(torch.ones(2 * copies, dtype=torch.bool, device=gpu), tree_map(many, walk.robots.state()))
    for _ in range(30):
        state = walk.robots.state()
        walk.controller.plan(state, walk.command, walk.parameters)
        plan(tree_map(many, state), many(walk.command), parameters)
        for _ in range(4):
            state = walk.robots.state()
            efforts = walk.controller.torques(state)
            given = torques(tree_map(many, state)).cpu()
            torch.testing.assert_close(given, efforts.repeat(copies, 1), rtol=0.0, atol=1.0)
            walk.robots.step(efforts)
    assert walk.controller.gait.is_swinging.any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_records_the_efforts_that_the_cpu_finds():
    compare_gpu_with_cpu(MpcSettings(fused=False))


def test_a_broken_robot_that_is_reset_stands_as_a_new_one_and_the_other_walks_on(walked):
    walk = copy.deepcopy(walked)
    before = {name: value.clone() for name, value in walk.controller.state_dict().items()}
    for value in walk.controller.state_dict().values():
        if value.is_floating_point():
            value[0] = torch.nan
    walk.controller.reset(torch.tensor([True, False]), walk.robots.state())
    new = Walk(2, (0.3, 0.0, 0.0)).controller
    new.reset(torch.tensor([True, True]), walk.robots.state())
    for name, value in walk.controller.state_dict().items():
        assert torch.equal(value[1], before[name][1]), name
        if not name.startswith("parameter_"):  # The next plan brings them.
            torch.testing.assert_close(value[0], new.state_dict()[name][0], msg=name)


def mirrored(state: RobotState) -> tuple[RobotState, list[int], torch.Tensor]:
    """Reflect robots at the plane y = 0; return also which joints change places, and the signs of their angles."""
    description = G1.description

    def other(names: tuple[str, ...]) -> list[int]:
        sides = {"left": "right", "right": "left"}
        parts = [name.partition("_") for name in names]
        return [names.index(sides.get(side, side) + rest + name) for side, rest, name in parts]

    links, joints = other(description.body_names), other(description.joint_names)
    vector, axial = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([-1.0, 1.0, -1.0])
    angle = torch.tensor([1.0 if joint.axis[1] else -1.0 for joint in description.joints])
    return (
        RobotState(
            link_pos=state.link_pos[:, links] * vector,
            link_rot=vector[:, None] * state.link_rot[:, links] * vector,
            link_com_vel=state.link_com_vel[:, links] * vector,
            link_ang_vel=state.link_ang_vel[:, links] * axial,
            joint_pos=state.joint_pos[:, joints] * angle,
            joint_vel=state.joint_vel[:, joints] * angle,
            sole_force=state.sole_force.flip(1),
        ),
        joints,
        angle,
    )


def mirrored_efforts(walked: Walk, is_fused: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the efforts of the legs of mirrored robots in mirrored gaits, and what they should be."""
    facts = walked.robots.facts
    state = walked.robots.state()
    reflected, joints, angle = mirrored(state)
    efforts = []
    for now, phase, side in ((state, 0.2, 1.0), (reflected, 0.7, -1.0)):
        controller = Controller(facts, MpcSettings(), WalkSettings(), 2, "cpu")
        controller.is_fused = is_fused
        controller.reset(torch.tensor([True, True]), now)
        controller.gait.is_stepping.fill_(True)
        controller.gait.phase.fill_(phase)
        controller.torques(now)
        controller.plan(now, torch.tensor([0.3, 0.1 * side, 0.2 * side]).expand(2, 3), walked.parameters)
        efforts.append(controller.torques(now))
        assert controller.gait.is_swinging.tolist() == [[side > 0, side < 0]] * 2
    legs = torch.as_tensor(facts.leg_joints.ravel())
    return efforts[1][:, legs], (efforts[0][:, joints] * angle)[:, legs]


def test_mirrored_states_give_mirrored_torques(walked):
    found, expected = mirrored_efforts(walked, is_fused=False)
    # The links of the two sides differ by tenths of a millimetre.
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.3)


def test_torques_stay_within_the_efforts_limits(walked):
    walk = copy.deepcopy(walked)
    walk.controller.wrench.mul_(20.0)
    efforts = walk.controller.torques(walk.robots.state())
    limit = torch.as_tensor(walk.robots.facts.effort_limit, dtype=torch.float32)
    assert (efforts.abs() <= limit).all() and (efforts.abs() == limit).any()


def test_settings_of_the_gait_that_are_not_accepted_are_refused(walked):
    with pytest.raises(UserError, match=r"'swing_fraction' must be .*below 0\.5"):
        Controller(walked.robots.facts, MpcSettings(), WalkSettings(swing_fraction=0.6), 1, "cpu")
