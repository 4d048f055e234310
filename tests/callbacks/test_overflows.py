from types import SimpleNamespace

from callbacks.overflows import SolverOverflows


def numbers(**overflows: float) -> SimpleNamespace:
    peaks = {"sim/contacts_peak": 52.25, "sim/constraints_peak": 131.0}
    return SimpleNamespace(numbers=peaks | {f"sim/{name}_overflows": count for name, count in overflows.items()})


def warnings(caplog, *iterations: SimpleNamespace, rank: int = 0) -> list[str]:
    callback = SolverOverflows()
    for iteration, report in enumerate(iterations):
        report.iteration = iteration
        callback.on_report(SimpleNamespace(is_global_zero=rank == 0), report)
    return caplog.messages


def test_every_limit_is_warned_of_once_with_what_was_needed_and_what_to_raise(caplog):
    none, contacts = numbers(contacts=0.0, constraints=0.0), numbers(contacts=3.0, constraints=0.0)
    assert warnings(caplog, none, contacts, contacts, numbers(contacts=1.0, constraints=7.0)) == [
        "iteration 2: the simulation needed 53 contacts per environment, more than fit, and dropped the excess: "
        "raise env.sim.physics.solver_cfg.nconmax",
        "iteration 4: the simulation needed 131 constraints per environment, more than fit, and dropped the excess: "
        "raise env.sim.physics.solver_cfg.njmax",
    ]


def test_a_demand_that_grows_much_is_warned_of_again(caplog):
    reports = [numbers(constraints=1.0) for _ in range(4)]
    for report, peak in zip(reports, (131.0, 140.0, 150.0, 151.0), strict=True):
        report.numbers["sim/constraints_peak"] = peak
    assert [line.split(" constraints")[0] for line in warnings(caplog, *reports)] == [
        "iteration 1: the simulation needed 131",
        "iteration 3: the simulation needed 150",
    ]


def test_within_the_limits_without_a_solver_and_on_other_ranks_nothing_is_said(caplog):
    assert warnings(caplog, numbers(contacts=0.0, constraints=0.0), SimpleNamespace(numbers={})) == []
    assert warnings(caplog, numbers(contacts=1.0), rank=1) == []
