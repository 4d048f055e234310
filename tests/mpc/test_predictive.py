from __future__ import annotations

import pytest
import torch

from benchmarks.mpc_problems import G1, Problems, random_problems, recorded_problems
from rlmpc.graphs import WARM_UPS, Replayed
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.srb import GRAVITY
from tests.recorded import RecordedOnCpu

SETTINGS = MpcSettings()
WEIGHT = G1.mass * GRAVITY


def standing(num: int) -> Problems:
    """Robots at different yaws and places, still, with both feet beside the centre of mass."""
    yaw = torch.linspace(-3.0, 3.0, num)
    state = torch.zeros(num, 12)
    state[:, 2], state[:, 3], state[:, 5] = yaw, 40.0, SETTINGS.com_height
    side = torch.stack([-yaw.sin(), yaw.cos(), torch.zeros(num)], dim=-1) * 0.1
    feet = torch.stack([side, -side], dim=1) + state[:, None, 3:6] * torch.tensor([1.0, 1.0, 0.0])
    steps = SETTINGS.horizon
    contacts = torch.ones(num, steps, 2, dtype=torch.bool)
    reference = state[:, None].repeat(1, steps, 1)
    return Problems(state, feet[:, None].repeat(1, steps, 1, 1), contacts, reference, torch.full((num,), 0.3))


def test_forces_of_who_stands_sum_to_the_weight():
    predictive = Predictive(G1, SETTINGS, 5, "cpu")
    solution = predictive.solve(*standing(5))
    expected = torch.zeros(5, 2, 6)
    expected[..., 2] = WEIGHT / 2
    torch.testing.assert_close(solution.wrench, expected, rtol=1e-5, atol=1e-3 * WEIGHT)
    torch.testing.assert_close(solution.predicted, standing(5).reference, rtol=1e-5, atol=1e-4)
    assert solution.accepted.all()


def mirrored(problems: Problems) -> Problems:
    """Reflect problems at the plane y = 0; left and right foot change places."""
    vector, axial = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([-1.0, 1.0, -1.0])
    states = torch.cat([axial, vector, axial, vector])
    feet, contacts = problems.feet.flip(2) * vector, problems.contacts.flip(-1)
    return Problems(problems.state * states, feet, contacts, problems.reference * states, problems.friction)


def test_mirrored_states_give_mirrored_wrenches():
    """With an inertia that is itself symmetric, as the robot's is to 0.1 %."""
    problems = random_problems(16, 3, SETTINGS).doubled()
    ours, theirs = (
        Predictive(G1, SETTINGS, 16, "cpu", torch.float64).solve(*p) for p in (problems, mirrored(problems))
    )
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    torch.testing.assert_close(theirs.wrench.flip(1), ours.wrench * sign, rtol=1e-6, atol=1e-6 * WEIGHT)


def test_where_and_which_way_a_robot_goes_does_not_matter():
    """Turned and moved problems give turned wrenches: states may be far from the origin, headings jump at pi."""
    problems = random_problems(16, 4, SETTINGS).doubled()
    angle = torch.tensor(2.0, dtype=torch.float64)
    turn = torch.eye(3, dtype=torch.float64)
    turn[:2, :2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    place = torch.tensor([300.0, -100.0, 0.5], dtype=torch.float64)

    def moved(states: torch.Tensor) -> torch.Tensor:
        states = states.unflatten(-1, (4, 3)).clone()
        states[..., 1:, :] = states[..., 1:, :] @ turn.T
        states[..., 1, :] += place
        states[..., 0, 2] = torch.remainder(states[..., 0, 2] + angle, 2 * torch.pi)
        return states.flatten(-2)

    others = problems._replace(
        state=moved(problems.state), feet=problems.feet @ turn.T + place, reference=moved(problems.reference)
    )
    ours, theirs = (Predictive(G1, SETTINGS, 16, "cpu", torch.float64).solve(*p) for p in (problems, others))
    turned = (ours.wrench.unflatten(-1, (2, 3)) @ turn.T).flatten(-2)
    torch.testing.assert_close(theirs.wrench, turned, rtol=1e-6, atol=1e-6 * WEIGHT)


def test_float32_is_enough():
    problems = random_problems(64, 5, SETTINGS)
    ours = Predictive(G1, SETTINGS, 64, "cpu").solve(*problems)
    exact = Predictive(G1, SETTINGS, 64, "cpu", torch.float64).solve(*problems.doubled())
    torch.testing.assert_close(ours.wrench.double(), exact.wrench, rtol=0.0, atol=1e-3 * WEIGHT)


def test_an_environment_does_not_depend_on_the_others():
    settings = MpcSettings(horizon=5)
    problems = random_problems(4096, 6, settings)
    many = Predictive(G1, settings, 4096, "cpu").solve(*problems)
    for row in (0, 1234, 4095):
        one = Predictive(G1, settings, 1, "cpu").solve(*problems.rows(slice(row, row + 1)))
        for ours, theirs in zip(one, many, strict=True):
            assert torch.equal(ours[0], theirs[row])


def test_a_resumed_controller_goes_on_to_the_bit():
    problems = recorded_problems(80, SETTINGS)
    batches = [problems.rows(slice(8 * i, 8 * i + 8)) for i in range(10)]
    first = Predictive(G1, SETTINGS, 8, "cpu")
    for batch in batches[:5]:
        first.solve(*batch)
    second = Predictive(G1, SETTINGS, 8, "cpu")
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    for batch in batches[5:]:
        for ours, theirs in zip(first.solve(*batch), second.solve(*batch), strict=True):
            assert torch.equal(ours, theirs)


def test_who_is_reset_begins_anew_and_the_others_go_on():
    problems = random_problems(4, 7, SETTINGS)
    predictive, fresh = (Predictive(G1, SETTINGS, 4, "cpu") for _ in range(2))
    predictive.solve(*random_problems(4, 8, SETTINGS))
    before = {name: value.clone() for name, value in predictive.state_dict().items()}
    mask = torch.tensor([True, False, True, False])
    predictive.reset(mask)
    for name, value in predictive.state_dict().items():
        assert torch.equal(value[mask], fresh.state_dict()[name][mask]), name
        assert torch.equal(value[~mask], before[name][~mask]), name
    assert torch.equal(predictive.solve(*problems).wrench[mask], fresh.solve(*problems).wrench[mask])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_a_solve_that_fails_keeps_the_last_wrench_and_is_counted(bad: float):
    problems = random_problems(3, 9, SETTINGS)
    predictive = Predictive(G1, SETTINGS, 3, "cpu")
    last = predictive.solve(*problems).wrench
    assert predictive.failures.tolist() == [0, 0, 0]
    broken = problems._replace(state=problems.state.clone())
    broken.state[1, 7] = bad
    for count in (1, 2):
        solution = predictive.solve(*broken)
        assert solution.accepted.tolist() == [True, False, True]
        assert torch.equal(solution.wrench[1], last[1])
        assert predictive.failures.tolist() == [0, count, 0]
    solution = predictive.solve(*problems)
    assert solution.accepted.all()
    assert predictive.failures.tolist() == [0, 0, 0]
    # What was broken starts as after a reset.
    fresh = Predictive(G1, SETTINGS, 3, "cpu").solve(*problems)
    assert torch.equal(solution.wrench[1], fresh.wrench[1])


def test_a_residual_above_the_bound_is_a_failure():
    problems = random_problems(8, 10, SETTINGS)
    strict = MpcSettings(residual_bound=1e-9, iterations=2)
    predictive = Predictive(G1, strict, 8, "cpu")
    assert not predictive.solve(*problems).accepted.any()
    assert not predictive.wrench.any()


def test_feet_that_swing_have_no_wrench_and_who_flies_has_none_at_all():
    problems = random_problems(8, 11, SETTINGS)
    problems.contacts[0] = False
    problems.contacts[1, :, 0] = False
    solution = Predictive(G1, SETTINGS, 8, "cpu").solve(*problems)
    assert solution.accepted.all()
    assert not solution.wrench[0].any()
    assert not solution.wrench[1, 0].any()
    assert not solution.wrench[~problems.contacts[:, 0]].any()
    assert solution.predicted[0, -1, 11] < problems.state[0, 11] - 0.9 * GRAVITY * 0.35


def test_buffers_stay_where_they_are():
    """A recorded graph writes to their addresses."""
    predictive = Predictive(G1, SETTINGS, 2, "cpu")
    before = {name: buffer.data_ptr() for name, buffer in predictive.named_buffers()}
    predictive.solve(*random_problems(2, 12, SETTINGS))
    predictive.reset(torch.tensor([True, False]))
    assert {name: buffer.data_ptr() for name, buffer in predictive.named_buffers()} == before


@pytest.mark.parametrize("solver", ["admm", "closed_form"])
def test_a_recorded_solve_is_the_same_to_the_bit(solver: str):
    """With resets in between, and without a read by the host."""
    settings = MpcSettings(solver=solver)
    plain, recorded = (Predictive(G1, settings, 4, "cpu") for _ in range(2))
    replayed = RecordedOnCpu(recorded.solve, torch.device("cpu"))
    for round_ in range(WARM_UPS + 4):
        problems = random_problems(4, 20 + round_, settings)
        for ours, theirs in zip(plain.solve(*problems), replayed(*problems), strict=True):
            assert torch.equal(ours, theirs)
        mask = torch.arange(4) == round_ % 4
        plain.reset(mask)
        recorded.reset(mask)
    assert replayed.num_replays == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("solver", "fused"), [("admm", True), ("admm", False), ("closed_form", True)])
def test_a_gpu_records_what_the_cpu_finds(solver: str, fused: bool):
    settings = MpcSettings(solver=solver, fused=fused)
    cpu, gpu = (Predictive(G1, settings, 64, device) for device in ("cpu", "cuda"))
    replayed = Replayed(gpu.solve, torch.device("cuda"))
    for round_ in range(WARM_UPS + 3):
        problems = random_problems(64, round_, settings)
        ours, theirs = cpu.solve(*problems), replayed(*(tensor.cuda() for tensor in problems))
        torch.testing.assert_close(theirs.wrench.cpu(), ours.wrench, rtol=0.0, atol=1e-2 * WEIGHT)
        assert torch.equal(theirs.accepted.cpu(), ours.accepted)


def test_products_are_not_rounded_while_it_solves(monkeypatch):
    """Networks train with coarse products on a GPU; the solver would lose three digits by them."""
    predictive, seen = Predictive(G1, SETTINGS, 1, "cpu"), []
    forward = predictive.solver.forward
    monkeypatch.setattr(
        predictive.solver, "forward", lambda *a: seen.append(torch.get_float32_matmul_precision()) or forward(*a)
    )
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        predictive.solve(*random_problems(1, 0, SETTINGS))
        assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "high")
    finally:
        torch.set_float32_matmul_precision(before)
