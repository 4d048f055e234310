"""What becomes non-finite in one of a few G1 environments, on a small blind_rl."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rlmpc.checkpoint.random_state import load_random_state, random_state
from rlmpc.envs.vec_env import Obs, Step
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.faults import FaultRecorder
from rlmpc.rollout.interaction import Action, Memory

pytestmark = pytest.mark.sim

NUM_ENVS, BROKEN, WHEN, NUM_STEPS = 16, 5, 3, 14
OTHERS = torch.arange(NUM_ENVS) != BROKEN
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def env():
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg("RLMPC-Blind-G1-v0")
    cfg.scene.terrain.terrain_generator.num_rows = 3
    env = IsaacLabEnv(cfg, NUM_ENVS, CPU, seed=1)
    yield env
    env.close()


@pytest.fixture(scope="module")
def start(env) -> tuple[dict[str, Any], dict[str, Any]]:
    """Exact state of the environments in the midst of their episodes, and the random generators."""
    env.reset()
    torch.manual_seed(0)
    for _ in range(12):
        env.step(0.3 * torch.randn(NUM_ENVS, 30))
    env.pop_metrics()
    return env.state(), random_state(CPU)


def run(env, start, breaks: Callable[[Any], None]) -> list[Step]:
    """The same steps from the same start, with `breaks` called ahead of one of them."""
    env.load_state(start[0])
    load_random_state(start[1], CPU)
    actions = 0.3 * torch.randn(NUM_STEPS, NUM_ENVS, 30, generator=torch.Generator().manual_seed(0))
    steps = []
    for index, action in enumerate(actions):
        if index == WHEN:
            breaks(env)
        steps.append(env.step(action))
    return steps


def nothing(env) -> None:
    pass


def lift(env) -> None:
    robot = env.unwrapped.scene["robot"]
    pose = robot.data.root_pose_w.torch[~OTHERS].clone()
    pose[:, 2] += 2.0
    robot.write_root_pose_to_sim_index(root_pose=pose, env_ids=torch.tensor([BROKEN], dtype=torch.int32))


def break_positions(env) -> None:
    rows = torch.tensor([BROKEN], dtype=torch.int32)
    nan = torch.full((1, 29), float("nan"))
    env.unwrapped.scene["robot"].write_joint_position_to_sim_index(position=nan, env_ids=rows)


def break_velocities(env) -> None:
    rows = torch.tensor([BROKEN], dtype=torch.int32)
    nan = torch.full((1, 29), float("nan"))
    env.unwrapped.scene["robot"].write_joint_velocity_to_sim_index(velocity=nan, env_ids=rows)


def ask_for_restart(env) -> None:
    env.restart(~OTHERS)


def break_reward(env) -> None:
    compute = env.unwrapped._compute_rewards

    def broken(dt: float) -> torch.Tensor:
        env.unwrapped._compute_rewards = compute
        reward = compute(dt)
        reward[BROKEN] = float("inf")
        return reward

    env.unwrapped._compute_rewards = broken


BREAKS = [break_positions, break_velocities, break_reward, ask_for_restart]


@pytest.mark.parametrize("breaks", BREAKS)
def test_only_the_broken_environment_is_faulty_and_only_then(env, start, breaks):
    steps = run(env, start, breaks)
    assert torch.stack([step.faulty for step in steps]).nonzero().tolist() == [[WHEN, BROKEN]]
    step = steps[WHEN]
    assert step.reward[BROKEN] == 0.0
    assert not (step.terminated | step.truncated)[BROKEN]
    assert step.restarts[BROKEN]
    for step in steps:
        assert step.reward.isfinite().all()
        assert step.valid.equal(~step.faulty)
    assert env.unwrapped.episode_length_buf[BROKEN] == NUM_STEPS - WHEN - 1


@pytest.mark.parametrize("breaks", [break_positions, break_velocities])
def test_the_others_are_the_same_to_the_bit_until_the_fault_and_but_for_rounding_in_its_step(env, start, breaks):
    """Newton lists the contacts of all environments together: where one loses its own, sums in others change order.

    A robot that is lifted off the ground does the same to its neighbours. After the restart they get other random
    numbers, because it draws some.
    """
    expected, actual = run(env, start, lift), run(env, start, breaks)
    for there, here in zip(expected[:WHEN], actual[:WHEN], strict=True):
        assert all(torch.equal(there.obs[group], here.obs[group]) for group in there.obs)
        assert torch.equal(there.reward, here.reward)
    there, here = expected[WHEN], actual[WHEN]
    for values, expected_values in ((here.obs["critic"], there.obs["critic"]), (here.reward, there.reward)):
        torch.testing.assert_close(values[OTHERS], expected_values[OTHERS], rtol=0.0, atol=1e-6)
    assert torch.equal((there.terminated | there.truncated)[OTHERS], here.done[OTHERS])


@pytest.mark.parametrize("breaks", [break_positions, break_velocities])
def test_nothing_of_the_broken_state_is_left_anywhere(env, start, breaks):
    """Warm start, sensors, histories, buffers, metrics, sums and curricula are all in the exact state."""

    def non_finite() -> set[str]:
        state = env.state()
        floats = {path: v for path, v in state.items() if isinstance(v, torch.Tensor) and v.is_floating_point()}
        return {path for path, values in floats.items() if not values.isfinite().all()}

    run(env, start, nothing)
    healthy = non_finite()
    run(env, start, breaks)
    assert non_finite() <= healthy
    assert all(total.isfinite() for total, _ in env.pop_metrics().values())


def test_a_faulty_episode_counts_in_no_metric_and_no_curriculum(env, start):
    levels = env.unwrapped.scene.terrain.terrain_levels
    run(env, start, nothing)
    env.pop_metrics()
    before, counted = levels.clone(), env.curriculum()["terms"]["command_ranges"]["num_episodes"]
    env.unwrapped.episode_length_buf[[0, BROKEN]] = env.max_episode_length - 1
    break_positions(env)
    step = env.step(torch.zeros(NUM_ENVS, 30))
    assert step.truncated.nonzero().flatten().tolist() == [0]
    metrics = env.pop_metrics()
    assert metrics["termination/time_out"] == (1.0, 1.0)
    assert metrics["termination/non_finite"] == (0.0, 1.0)
    assert metrics["command/error_vel_xy"][0].isfinite()
    assert levels[BROKEN] == before[BROKEN]
    assert env.curriculum()["terms"]["command_ranges"]["num_episodes"] - counted == 1.0


class Breaking:
    """Acts at random; one entry of one of its actions is not a number."""

    groups = ("policy",)
    critic_group = None
    variant = None

    def __init__(self) -> None:
        self.num_steps = 0

    def initial_memory(self, num_envs: int) -> dict[str, torch.Tensor]:
        return {}

    def act(self, obs: Obs, memory: Memory) -> Action:
        action = 0.3 * torch.randn(NUM_ENVS, 30)
        if self.num_steps == WHEN:
            action[BROKEN, 7] = float("nan")
        self.num_steps += 1
        return Action(action)

    def value(self, obs: Obs) -> torch.Tensor:
        raise NotImplementedError


def test_a_rollout_is_replayed_to_the_bit_without_its_policy(env, start):
    """Its random numbers come from the generator that the environments draw from too."""
    from rlmpc.checkpoint.fault_file import FaultFile
    from rlmpc.play.replay import replay

    run(env, start, nothing)
    recorder = FaultRecorder()
    collector = Collector(env, NUM_STEPS, False, recorder)
    batch = collector.collect(Breaking())
    assert (~batch.valid).nonzero().tolist() == [[WHEN, BROKEN]]
    assert collector._obs is not None
    last = collector._obs["policy"].clone()
    env.step(torch.zeros(NUM_ENVS, 30))
    run_of = {"iteration": 1, "config": {}, "num_envs": NUM_ENVS, "device": "cpu", "seed": 1}
    fault = FaultFile(**run_of, **recorder.recording())
    assert torch.equal(replay(env, fault, "recorded"), batch.valid)
    assert torch.equal(env.unwrapped.obs_buf["policy"], last)
