import math

import pytest
import torch

from rlmpc.networks.memory import CELLS, RecurrentMemory, forget

STEPS, ENVS, INPUTS, WIDTH = 6, 4, 3, 5


def memory(kind: str, num_inputs: int = INPUTS, width: int = WIDTH) -> RecurrentMemory:
    torch.manual_seed(0)
    return RecurrentMemory(kind, num_inputs, width).double()


def inputs() -> torch.Tensor:
    return torch.randn(STEPS, ENVS, INPUTS, dtype=torch.float64)


def started(cell: RecurrentMemory) -> dict[str, torch.Tensor]:
    """A memory in the middle of an episode."""
    return {name: torch.randn_like(values) for name, values in cell.initial(ENVS).items()}


def ends(*where: tuple[int, int]) -> torch.Tensor:
    """(T, N) bool, true at the steps and environments given."""
    restarts = torch.zeros(STEPS, ENVS, dtype=torch.bool)
    for step, env in where:
        restarts[step, env] = True
    return restarts


@pytest.mark.parametrize("kind", CELLS)
def test_unrolling_gives_what_stepping_with_resets_gives(kind: str):
    cell, x, restarts = memory(kind), inputs(), ends((0, 0), (2, 1), (3, 1), (5, 2))
    state = start = started(cell)
    stepped = []
    for t in range(STEPS):
        output, state = cell(x[t], state)
        stepped.append(output)
        state = forget(state, restarts[t])
    torch.testing.assert_close(cell.unroll(x, start, restarts), torch.stack(stepped), rtol=0.0, atol=1e-14)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # With a bias of 0 every gate is half open: h <- h / 2 + tanh(1) / 2.
        ("gru", [0.5 * math.tanh(1), 0.75 * math.tanh(1), 0.5 * math.tanh(1), 0.75 * math.tanh(1)]),
        # c <- c / 2 + tanh(1) / 2, and h = tanh(c) / 2.
        ("lstm", [0.5 * math.tanh(share * math.tanh(1)) for share in (0.5, 0.75, 0.5, 0.75)]),
    ],
)
def test_an_episode_starts_from_zero_memory_as_done_by_hand(kind: str, expected: list[float]):
    cell = memory(kind, num_inputs=1, width=1)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        # The candidate is the third block of rows of both cells' input weights.
        cell.cell.weight_ih[2] = 1.0
    ones = torch.ones(4, 1, 1, dtype=torch.float64)
    restarts = torch.tensor([[False], [True], [False], [False]])
    assert cell.unroll(ones, cell.initial(1), restarts).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", CELLS)
def test_the_gradient_goes_back_to_the_first_step_but_not_past_an_end(kind: str):
    cell, x = memory(kind), inputs().requires_grad_()
    cell.unroll(x, started(cell), ends((2, 1)))[-1].sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().sum(dim=-1) > 0.0
    assert reached[:, 0].tolist() == [True] * STEPS
    assert reached[:, 1].tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize(("kind", "names"), [("gru", ["hidden"]), ("lstm", ["hidden", "cell"])])
def test_a_new_memory_is_zero_and_has_a_row_for_every_environment(kind: str, names: list[str]):
    initial = memory(kind).initial(7)
    assert list(initial) == names
    for values in initial.values():
        assert values.shape == (7, WIDTH)
        assert values.dtype == torch.float64
        assert not values.any()


def test_only_environments_where_another_episode_starts_forget_whatever_the_shape():
    state = {"hidden": torch.ones(3, 2), "picture": torch.ones(3, 2, 2)}
    kept = forget(state, torch.tensor([False, True, False]))
    assert kept["hidden"].tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    assert kept["picture"].flatten(1).sum(dim=1).tolist() == [4.0, 0.0, 4.0]
    assert state["hidden"].all()


def test_what_is_not_a_number_is_forgotten_too():
    memory = {"hidden": torch.tensor([[float("nan"), 1.0], [2.0, 3.0]])}
    assert forget(memory, torch.tensor([True, False]))["hidden"].tolist() == [[0.0, 0.0], [2.0, 3.0]]
