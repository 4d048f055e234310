"""On a GPU, replayed steps are Isaac Lab's own; runs only there, because elsewhere nothing is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from rlmpc.graphs import WARM_UPS

HAS_GPU = torch.cuda.is_available()
pytestmark = [pytest.mark.sim, pytest.mark.skipif(not HAS_GPU, reason="records graphs on a GPU only")]

NUM_ENVS, STEPS = 32, 6


@pytest.fixture(scope="module")
def env() -> Iterator[Any]:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Blind-G1-v0")
    cfg.scene.terrain.terrain_generator.num_rows = 2
    # Random numbers, which both ways draw for other environments, do not matter then.
    cfg.events.push.interval_range_s = (100.0, 100.0)
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cuda" if HAS_GPU else "cpu"), seed=3)
    env.reset()
    env.step(torch.zeros(NUM_ENVS, env.num_actions, device=env.device))
    yield env
    env.close()


def walk(env: Any) -> list[dict[str, torch.Tensor]]:
    generator, seen = torch.Generator().manual_seed(5), []
    data = env.unwrapped.scene["robot"].data
    for _ in range(STEPS):
        step = env.step(0.3 * torch.randn(NUM_ENVS, env.num_actions, generator=generator).to(env.device))
        assert not step.restarts.any()
        quantities = {"critic": step.obs["critic"], "reward": step.reward, "acceleration": data.joint_acc.torch}
        quantities |= {"joints": data.joint_pos.torch, "torques": data.applied_torque.torch}
        seen.append({name: values.clone() for name, values in quantities.items()})
    return seen


def alike(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], name: str) -> float:
    return torch.isclose(a[name], b[name], rtol=0.05, atol=0.05).float().mean().item()


def test_replayed_steps_are_isaac_labs(env: Any) -> None:
    env.by_masks = True
    for _ in range(WARM_UPS + 2):
        env.step(torch.zeros(NUM_ENVS, env.num_actions, device=env.device))
    start = env.state()
    env.by_masks = False
    expected = walk(env)
    times = {path: value for path, value in env.state().items() if path.endswith("timestamp")}
    env.load_state(start)
    again = walk(env)
    env.load_state(start)
    env.by_masks = True
    got = walk(env)
    for t, (a, b, c) in enumerate(zip(expected, again, got, strict=True)):
        for name in a:
            # Sums on a GPU differ from one run to the next, and robots in contact show it soon: Isaac Lab's own steps
            # say how soon.
            share, own_share = alike(a, c, name), alike(a, b, name)
            assert share > min(0.9, own_share - 0.1), (t, name, share, own_share)
            assert t > 0 or share > 0.9, (name, share)
    now = env.state()
    for path in ("scene.robot._data._sim_timestamp", "scene.robot._data._joint_acc.cache.timestamp"):
        assert now[path] == times[path], path
