"""What comes before and between the physics steps is as Isaac Lab does it, though a replay runs no Python."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.sim

NUM_ENVS = 4


@pytest.fixture(scope="module")
def env() -> Iterator[Any]:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Phase1-Scan-G1-v0")
    cfg.scene.terrain.terrain_generator.num_rows = 2
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=3)
    env.reset()
    env.by_masks = True
    env.step(torch.zeros(NUM_ENVS, env.num_actions))
    yield env
    env.close()


@pytest.fixture
def substeps(env: Any) -> Any:
    return env.unwrapped._masked.substeps


def host_numbers(env: Any) -> dict[str, Any]:
    """Return what is kept on the host, but not which values computed on demand are old: they are computed anew."""
    numbers = {path: value for path, value in env.state().items() if isinstance(value, bool | int | float)}
    differentiated = ("._joint_acc.", "._body_com_acc_w.")
    return {
        path: value
        for path, value in numbers.items()
        if ".cache" not in path or any(name in path for name in differentiated)
    }


@pytest.mark.parametrize("recorded", ["between physics steps", "after physics"])
def test_a_replay_changes_on_the_host_what_python_does(env: Any, substeps: Any, recorded: str) -> None:
    start, before = env.state(), host_numbers(env)
    (substeps._between_substeps if recorded == "between physics steps" else env.unwrapped._after_physics)()
    expected = host_numbers(env)
    env.load_state(start)
    assert host_numbers(env) == before != expected
    substeps.pass_time()
    got = host_numbers(env)
    # Reading a sensor that is up to date again changes nothing.
    dirty = [path for path in got if path.endswith("._data_dirty")]
    assert len(dirty) == 2
    assert all(got.pop(path) for path in dirty)
    assert got == {path: value for path, value in expected.items() if path not in dirty}


def test_actions_that_hold_are_applied_once_and_others_before_every_physics_step(
    env: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlmpc.envs.isaaclab import substeps as module
    from rlmpc.graphs import Replayed

    manager, calls = env.unwrapped.action_manager, []
    apply = manager.apply_action
    monkeypatch.setattr(manager, "apply_action", lambda: calls.append(1) or apply())
    actions = torch.full((NUM_ENVS, env.num_actions), 0.3)

    def positions() -> torch.Tensor:
        calls.clear()
        holding = module.Substeps(env.unwrapped)
        holding.advance(actions)
        assert isinstance(holding._before, Replayed) == isinstance(holding._between, Replayed) == (len(calls) == 1)
        return env.unwrapped.scene["robot"].data.joint_pos.torch.clone()

    start = env.state()
    held = positions()
    assert len(calls) == 1
    env.load_state(start)
    monkeypatch.setattr(module, "HOLDING_ACTIONS", ())
    assert torch.equal(positions(), held)
    assert len(calls) == env.unwrapped.cfg.decimation
    env.load_state(start)


def test_what_a_replay_would_leave_behind_is_named(env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rlmpc.envs.isaaclab.substeps import unfit_entities

    scene = env.unwrapped.scene
    assert unfit_entities(scene) == []
    monkeypatch.setitem(scene._rigid_objects, "box", SimpleNamespace())
    monkeypatch.setattr(scene.cfg, "lazy_sensor_update", False)
    assert unfit_entities(scene) == ["scene.box", "scene.lazy_sensor_update"]
