import pytest

from benchmarks.mpc_problems import G1, dense, random_problems, recorded_problems
from benchmarks.mpc_solver import PRECISE, errors, reference_solutions, solved
from rlmpc.mpc.settings import MpcSettings
from rlmpc.mpc.solvers import SOLVERS

SETTINGS = MpcSettings()
NUM = 60
"""Problems of each kind; `benchmarks/mpc_solver.py` compares thousands."""


@pytest.fixture(scope="module", params=["random", "recorded"])
def problems(request):
    problems = random_problems(NUM, 0, SETTINGS) if request.param == "random" else recorded_problems(NUM, SETTINGS)
    return problems, [dense(problems.rows(slice(row, row + 1)), G1, SETTINGS) for row in range(NUM)]


def test_the_settings_name_the_solvers_that_there_are():
    accepted = MpcSettings.__dataclass_fields__["solver"].metadata["setting"].choices
    assert accepted == tuple(SOLVERS)


@pytest.mark.parametrize("other", PRECISE)
def test_admm_finds_what_other_solvers_find(problems, other):
    problems, written = problems
    best, _ = reference_solutions(written, other)
    found = errors(solved(problems, SETTINGS), best, written)
    assert {name: count for name, count in found.items() if name == "failed" or name.endswith("beyond")} == {
        "failed": 0,
        "gap_beyond": 0,
        "wrench_beyond": 0,
        "violation_beyond": 0,
    }


def test_the_closed_form_is_feasible(problems):
    problems, written = problems
    found = solved(problems, MpcSettings(solver="closed_form"))
    assert errors(found, solved(problems, SETTINGS), written)["violation_beyond"] == 0
