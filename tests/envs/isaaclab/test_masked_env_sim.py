"""Steps by masks are Isaac Lab's own: the same numbers for both tasks, with falls, faults, restarts and pushes."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

pytestmark = pytest.mark.sim

NUM_ENVS = 16
STEPS = 120
TASKS = {"blind_rl": "RLMPC-Blind-G1-v0", "phase_1_scan_rl": "RLMPC-Phase1-Scan-G1-v0"}
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
"""Sums over the environments that ended are taken in another order."""
COMPUTED = ("_processed_actions", "env.reset_buf", "env.reward_buf", "env.faulty")
"""What every step computes before it reads it."""
UNREAD = ("_num_pushes", "_reset_mask", "step_id.0", "step_id.1")
"""What nobody reads: counts of frames beyond the first, a buffer, the steps of resets without a shortest distance."""


@pytest.fixture(scope="module", params=TASKS)
def env(request: pytest.FixtureRequest) -> Iterator[Any]:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg(TASKS[request.param])
    cfg.scene.terrain.terrain_generator.num_rows = 3
    # Isaac Lab draws these itself, only for the environments concerned; without a range, both ways draw the same.
    cfg.events.push.interval_range_s = (0.5, 0.5)
    cfg.events.push.params["min_lin_vel_x"] = 0.1
    if request.param == "phase_1_scan_rl":
        # Then the critic sees what the teacher sees.
        cfg.observations.critic.velocity_error = None
    env = IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=3)
    env.reset()
    yield env
    env.close()


@pytest.fixture
def same_draws(monkeypatch: pytest.MonkeyPatch, env: Any) -> None:
    """Give each environment its own random numbers, whichever environments draw with it."""
    from rlmpc.envs.isaaclab import frames, masked_env
    from rlmpc.tasks.mdp import commands, events, gait_cycle_action
    from rlmpc.tasks.mdp.curriculums import terrain_levels
    from rlmpc.tasks.mdp.selected import mask_of

    def uniform(_: Any, selected: Any, low: float, high: float, *shape: int) -> Tensor:
        caller = sys._getframe(1)
        place = (env.unwrapped.common_step_counter, caller.f_code.co_name, caller.f_lineno)
        generator = torch.Generator().manual_seed(zlib.crc32(repr(place).encode()))
        rows = low + (high - low) * torch.rand(NUM_ENVS, *shape, generator=generator)
        is_mask = isinstance(selected, Tensor) and selected.dtype == torch.bool
        return rows if is_mask or selected is None else rows[mask_of(env.unwrapped, selected)]

    for module in (commands, events, gait_cycle_action, masked_env, terrain_levels):
        monkeypatch.setattr(module, "uniform", uniform)
    # Noise on observations is drawn for all, but from a generator that resets draw from, too.
    manager = env.unwrapped.observation_manager
    for owner, name in ((manager, "compute"), (frames.FrameObserver, "observe")):
        function = getattr(owner, name)

        def seeded(*args: Any, function: Any = function, **kwargs: Any) -> Any:
            torch.manual_seed(env.unwrapped.common_step_counter)
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, seeded)


def walk(env: Any) -> list[dict[str, Tensor]]:
    """Step with actions that make robots fall, break some states and ask for restarts; return all that comes out."""
    generator = torch.Generator().manual_seed(5)
    robot = env.unwrapped.scene["robot"]
    record = []
    for t in range(STEPS):
        if t % 40 == 20:
            broken = torch.tensor([t % NUM_ENVS])
            position = torch.full((1, robot.num_joints), float("nan"))
            robot.write_joint_position_to_sim_index(position=position, env_ids=broken)
        # Once while the ranges of commands widen.
        if t % 50 == 30 or 55 <= t < 65:
            env.restart(torch.arange(NUM_ENVS) == 2)
        step = env.step(0.7 * torch.randn(NUM_ENVS, env.num_actions, generator=generator))
        terrain = env.unwrapped.scene.terrain
        seen = {
            **{f"obs/{name}": values for name, values in step.obs.items()},
            **{name: getattr(step, name) for name in ("reward", "terminated", "truncated", "faulty")},
            "level": terrain.terrain_levels,
            "origin": terrain.env_origins,
            "length": env.unwrapped.episode_length_buf,
            "ranges": torch.tensor(list(env.curriculum()["terms"]["base_velocity"].values())),
        }
        if step.truncated.any():
            assert step.terminal_obs is not None
            seen["terminal"] = step.terminal_obs["critic"][step.truncated]
        record.append({name: values.clone() for name, values in seen.items()})
    return record


def test_steps_by_masks_are_isaac_labs(env: Any, same_draws: None) -> None:
    env.unwrapped.episode_length_buf[::3] = env.max_episode_length - torch.arange(10, 16)
    widening = env._stateful_terms()["command_ranges"]
    widening._tracked += 5000.0
    widening._num_episodes += 5000.0
    widening._last_check_step += env.unwrapped.common_step_counter + 60 - env.max_episode_length
    env.step(torch.zeros(NUM_ENVS, env.num_actions))
    start = env.state()
    expected = walk(env)
    # What curricula report is state, which is loaded in place.
    metrics = {name: torch.stack(pair) for name, pair in env.pop_metrics().items()}
    after = env.state()

    env.load_state(start)
    env.pop_metrics()
    env.load_state(start)
    env.by_masks = True
    got = walk(env)
    assert sum(int(step["terminated"].sum()) for step in expected) > 20
    assert sum(int(step["truncated"].sum()) for step in expected) > 3
    assert sum(int(step["faulty"].sum()) for step in expected) > 8
    assert expected[-1]["ranges"][0, 1] > expected[0]["ranges"][0, 1]
    for t, (a, b) in enumerate(zip(expected, got, strict=True)):
        for name in a:
            assert torch.equal(a[name].nan_to_num(7.0), b[name].nan_to_num(7.0)), (t, name)
    by_masks = env.pop_metrics()
    assert metrics.keys() == by_masks.keys()
    for name in metrics:
        torch.testing.assert_close(torch.stack(by_masks[name]), metrics[name], equal_nan=True, **TOLERANCE)
    now = env.state()
    env.by_masks = False
    differing = [path for path, value in after.items() if isinstance(value, Tensor) and not same(value, now[path])]
    assert after.keys() == now.keys()
    assert [path for path in differing if not path.endswith(UNREAD)] == []


def same(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a, b) or torch.allclose(a.double(), b.double(), **TOLERANCE, equal_nan=True)


def test_what_a_recorded_step_reads_stays_where_it_is(env: Any) -> None:
    from rlmpc.envs.isaaclab.state import _slots

    def addresses() -> dict[str, int]:
        slots = _slots(env.unwrapped, env)
        return {path: slot.value.data_ptr() for path, slot in slots.items() if isinstance(slot.value, Tensor)}

    env.by_masks = True
    env.step(torch.zeros(NUM_ENVS, env.num_actions))
    before, state = addresses(), env.state()
    env.reset()
    env.load_state(state)
    after = addresses()
    env.by_masks = False
    moved = [path for path in before if before[path] != after[path] and not path.endswith(COMPUTED)]
    # What curricula report is made anew in every step.
    assert [path for path in moved if "._curriculum_state." not in path] == []


def test_equal_groups_are_one_tensor(env: Any) -> None:
    env.by_masks = True
    for obs in (env.reset(), env.step(torch.zeros(NUM_ENVS, env.num_actions)).obs):
        have_same = obs["teacher"].shape == obs["critic"].shape
        assert (obs["teacher"] is obs["critic"]) == have_same and obs["policy"] is not obs["critic"]
    env.by_masks = False


def test_reward_terms_that_others_may_depend_on_come_first(env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that make the simulator compute something, and those that we do not know."""
    from rlmpc.envs.isaaclab.reward_ways import RewardWays

    manager = env.unwrapped.reward_manager
    called: list[str] = []
    for name, term in zip(manager.active_terms, manager._term_cfgs, strict=True):

        def function(*args: Any, name: str = name, function: Any = term.func, **params: Any) -> Tensor:
            called.append(name)
            return function(*args, **params)

        is_ours = name != "joint_acc"
        function.__module__ = "isaaclab.envs.mdp.rewards" if is_ours else "someone.rewards"
        monkeypatch.setattr(term, "func", function)

    def reward(compute: Any) -> Tensor:
        env.unwrapped.scene["robot"].update(env.step_dt)
        called.clear()
        return compute(env.step_dt).clone()

    ways = RewardWays(env.unwrapped)
    expected = reward(manager.__class__.compute.__get__(manager))
    assert torch.equal(reward(ways.compute), expected)
    assert called == manager.active_terms
    first = ["ang_vel_xy", "joint_acc", "flat_orientation"]
    for _ in range(2):
        assert torch.equal(reward(ways.compute), expected)
        assert called[: len(first)] == first
        assert sorted(called) == sorted(manager.active_terms)


def test_terms_of_which_it_is_unknown_what_they_change_are_named(env: Any) -> None:
    (event,) = env.unwrapped.event_manager._mode_term_cfgs["interval"]
    known, event.func = event.func, lambda env, env_ids, **params: None
    assert env.unwrapped.unfit_for_masks() == ["events: <lambda>"]
    event.func = known
    assert env.unwrapped.unfit_for_masks() == []
