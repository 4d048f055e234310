"""What the solver was to hold, on robots that lie on the ground."""

from __future__ import annotations

from functools import cache

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS, NUM_STEPS = 6, 40


def lie_down(njmax: int, nconmax: int, cpu_graph: bool = True) -> dict[str, float]:
    """Let robots fall and lie; gives the metrics of the simulation."""
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Blind-Flat-G1-v0")
    cfg.cpu_graph = cpu_graph
    cfg.terminations.bad_orientation = None
    solver = cfg.sim.physics.solver_cfg
    solver.njmax, solver.nconmax = njmax, nconmax
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=1)
    env.reset()
    env.pop_metrics()
    for _ in range(NUM_STEPS):
        env.step(torch.zeros(NUM_ENVS, 30))
    metrics = {name: total.item() for name, (total, _) in env.pop_metrics().items() if name.startswith("sim/")}
    again = {name: total.item() for name, (total, _) in env.pop_metrics().items() if name.startswith("sim/")}
    env.close()
    assert set(again.values()) == {0.0}
    return metrics


@cache
def lie_down_with_room(cpu_graph: bool = True) -> dict[str, float]:
    return lie_down(200, 50, cpu_graph)


def test_triangles_near_robots_are_counted_beyond_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlmpc.tasks.physics import CollisionCfg

    fits = lie_down_with_room()
    monkeypatch.setattr(CollisionCfg, "make_room", lambda self, num_envs: setattr(self, "max_triangle_pairs", 4))
    exceeds = lie_down(200, 50)
    assert fits["sim/triangles_overflows"] == 0.0
    assert exceeds["sim/triangles_overflows"] > 0.0
    for peak in (fits["sim/triangles_peak"], exceeds["sim/triangles_peak"]):
        assert peak * NUM_ENVS > 10.0


@pytest.mark.parametrize("cpu_graph", [True, False])
def test_demand_beyond_the_limits_is_reported_counted_and_not_printed(capfd, cpu_graph: bool):
    fits = lie_down_with_room(cpu_graph)
    assert (fits["sim/constraints_overflows"], fits["sim/contacts_overflows"]) == (0.0, 0.0)
    assert 8.0 <= fits["sim/contacts_peak"] < 50.0
    assert 40.0 <= fits["sim/constraints_peak"] < 200.0
    capfd.readouterr()
    exceeds = lie_down(20, 4, cpu_graph)
    assert exceeds["sim/contacts_peak"] > 4.0
    assert exceeds["sim/constraints_peak"] > 20.0
    assert 0.0 < exceeds["sim/contacts_overflows"] <= 4 * NUM_STEPS
    assert 0.0 < exceeds["sim/constraints_overflows"] <= 4 * NUM_STEPS * NUM_ENVS
    printed = "".join(capfd.readouterr())
    assert [word for word in ("exceeded", "overflow", "increase") if word in printed] == []
