"""Exact state of small Isaac Lab environments: what follows a load is what followed the save, to the bit.

Run as a script, this file is the other process: it makes the environments anew, loads their states and goes on.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.checkpoint.compact import compact

pytestmark = pytest.mark.sim

NUM_ENVS = 16
STEPS = 15
TASKS = {"blind_rl": "RLMPC-Blind-G1-v0", "phase_1_scan_rl": "RLMPC-Phase1-Scan-G1-v0"}
ANSWERED = "answered\n"
LEVELS = "scene.terrain.terrain_levels"
FALLING = {"lin_vel_x": [0.0, 0.5], "lin_vel_y": [0.5, 0.0], "ang_vel_z": [0.0, 0.5]}


def make(task: str, seed: int) -> Any:
    from rlmpc.envs.isaaclab.env import IsaacLabEnv, load_env_cfg

    cfg = load_env_cfg(TASKS[task])
    terrain = cfg.scene.terrain.terrain_generator
    terrain.num_rows = 3
    # Its boxes are drawn by the environment's seed, whatever the terrain's.
    del terrain.sub_terrains["random_boxes"]
    terrain.seed = 7
    return IsaacLabEnv(cfg, NUM_ENVS, torch.device("cpu"), seed=seed)


def go_on(env: Any, steps: int, seed: int) -> list[dict[str, Tensor]]:
    """Step with actions of a generator of their own; all that comes out, with the generator of everything else."""
    generator = torch.Generator().manual_seed(seed)
    record = []
    for _ in range(steps):
        step = env.step(torch.randn(NUM_ENVS, env.num_actions, generator=generator))
        seen = {
            **step.obs,
            "reward": step.reward,
            "terminated": step.terminated,
            "truncated": step.truncated,
            "levels": env.unwrapped.scene.terrain.terrain_levels,
            "random": torch.get_rng_state(),
        }
        record.append({name: values.clone() for name, values in seen.items()})
    metrics = {name: torch.stack([total, count]) for name, (total, count) in env.pop_metrics().items()}
    return [*record, metrics]


def differing(expected: list[dict[str, Tensor]], got: list[dict[str, Tensor]]) -> list[tuple[int, str]]:
    return [
        (step, name)
        for step, (a, b) in enumerate(zip(expected, got, strict=True))
        for name in a
        if not torch.equal(a[name], b[name])
    ]


@pytest.fixture(scope="module")
def elsewhere(warm, tmp_path_factory) -> Iterator[Callable[[str, dict[str, Any]], dict[str, Any]]]:
    """Another process for all tasks, that is asked to go on from what was saved; it starts up meanwhile."""
    folder = tmp_path_factory.mktemp("elsewhere")
    saved_file, answer_file, errors = folder / "saved.pt", folder / "answer.pt", folder / "errors.txt"
    command = [sys.executable, "-u", __file__, str(saved_file), str(answer_file)]
    process = warm.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors.open("w"))
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(task: str, saved: dict[str, Any]) -> dict[str, Any]:
        torch.save(saved, saved_file)
        process.stdin.write(f"{task}\n")
        process.stdin.flush()
        # What the simulator prints comes before it.
        assert ANSWERED in process.stdout, errors.read_text()[-2000:]
        return torch.load(answer_file, weights_only=True)

    yield ask
    process.communicate(timeout=60)


@pytest.fixture(scope="module", params=TASKS)
def env(request: pytest.FixtureRequest, elsewhere: Callable) -> Iterator[Any]:
    env = make(request.param, seed=1)
    env.reset()
    yield env
    env.close()


@pytest.fixture(scope="module")
def saved(env: Any) -> dict[str, Any]:
    """A state in the middle of everything, and what came after it: pushes, falls, time-outs, wider and new commands."""
    go_on(env, 20, seed=3)
    command = env.unwrapped.command_manager.get_term("base_velocity")
    command.widen(torch.tensor([True, False, False]), 0.6)
    command.time_left[:4] = 0.1
    env.unwrapped.event_manager._interval_term_time_left[0].uniform_(0.0, 0.4)
    env.unwrapped.episode_length_buf[::4] = env.max_episode_length - 5
    env.unwrapped.scene.terrain.terrain_levels[:2] = 2
    widening = env._stateful_terms()["command_ranges"]
    widening._tracked += 20.0
    widening._num_episodes += 1.0
    widening._last_check_step.fill_(env.unwrapped.common_step_counter + 3 - env.max_episode_length)
    state, random = env.state(), torch.get_rng_state()
    return {"state": state, "random": random, "after": go_on(env, STEPS, seed=4)}


def test_steps_after_a_load_are_those_after_the_save(env, saved):
    assert torch.stack([step["truncated"] for step in saved["after"][:STEPS]]).sum() >= 4
    ranges = saved["state"]["command._terms.base_velocity.state_dict"]
    assert saved["after"][STEPS]["curriculum/command_ranges/lin_vel_y"][0] > ranges["lin_vel_y"][1] + 0.05
    env.load_state(saved["state"])
    torch.set_rng_state(saved["random"])
    assert differing(saved["after"], go_on(env, STEPS, seed=4)) == []


def test_another_process_with_another_seed_goes_on_to_the_bit(env, saved, elsewhere, request):
    got = elsewhere(request.node.callspec.params["env"], saved)
    assert differing(saved["after"], got["before_loading"]) != []
    assert differing(saved["after"], got["after_loading"]) == []


def test_a_loaded_state_is_the_saved_one_as_a_file_gives_it(env, saved):
    file = io.BytesIO()
    torch.save(saved["state"], file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    env.load_state(state)
    now = env.state()
    assert now.keys() == state.keys()
    different = [path for path in now if not _same(now[path], saved["state"][path])]
    assert different == []


def test_what_all_environments_share_can_be_stored_once(env):
    state = compact(env.state(), NUM_ENVS)
    pose = state["scene.robot._data._default_joint_pos"]
    assert pose.shape == (NUM_ENVS, 29)
    assert pose.untyped_storage().nbytes() == 29 * 4
    assert state["physics.state.joint_q"].untyped_storage().nbytes() == NUM_ENVS * 36 * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {path: _half(value) for path, value in state.items()},
            r"_action: float32 \[8, 30\] \| float32 \[16, 30\]",
        ),
        (
            lambda state: {p: v for p, v in state.items() if ".last_action." not in p},
            "missing: observation.*last_action",
        ),
        (lambda state: state | {"scene.depth_camera._timestamp": torch.zeros(16)}, "unknown: scene.depth_camera"),
        (lambda state: state | {"physics.ground": 1}, "another ground; generate the terrain from its seed"),
        (lambda state: {}, r"\n  and \d+ more$"),
        (lambda state: _with(state, LEVELS, torch.full((16,), -1)), f"not a level: {LEVELS}"),
        (lambda state: _with(state, LEVELS, torch.full((16,), 99)), f"not a level: {LEVELS}"),
        (lambda state: _with(state, LEVELS, torch.zeros(16)), rf"{LEVELS}: float32 \[16\] \| int64 \[16\]"),
        (lambda state: _with(state, LEVELS, torch.zeros(1).long().expand(10**12)), rf"int64 \[{10**12}\] \| int64"),
        (lambda state: _with(state, "_ALL_JOINT_INDICES", torch.full((29,), 10**6).int()), "another size or index"),
        (lambda state: _with(state, "_num_instances", 10**9), "another size or index: scene.robot"),
        (lambda state: _with(state, "env.common_step_counter", True), "common_step_counter: bool | int"),
        (lambda state: _with(state, "physics.time_s", float("nan")), "not finite: physics.time_s"),
        (lambda state: _with(state, "base_velocity.state_dict", {"lin_vel_x": "wide"}), "lin_vel_x: str | "),
        (lambda state: _with(state, "base_velocity.state_dict", [1]), "base_velocity.state_dict"),
        (lambda state: _with(state, "base_velocity.state_dict", FALLING), "command range lin_vel_y .* does not rise"),
    ],
)
def test_a_state_of_another_environment_is_refused_and_nothing_written(env, saved, change, message):
    env.step(torch.zeros(NUM_ENVS, env.num_actions))
    before = env.state()
    with pytest.raises(ValueError, match=message):
        env.load_state(change(saved["state"]))
    after = env.state()
    assert [path for path in before if not _same(before[path], after[path])] == []


def test_what_a_new_term_keeps_is_state_without_a_word_about_it(env, monkeypatch):
    term = env.unwrapped.action_manager.get_term("gait_cycle")
    monkeypatch.setattr(term, "swing", {"height_m": torch.rand(NUM_ENVS), "times": [3, 4]}, raising=False)
    state = env.state()
    term.swing["height_m"].zero_()
    term.swing["times"][1] = 0
    env.load_state(state)
    assert term.swing["height_m"].min() > 0
    assert term.swing["times"] == [3, 4]


def test_what_no_term_reads_yet_comes_back_too(env):
    """Air times, which steps add to; peaks for the metrics; a joint write that the simulation has not taken in."""
    sensor = env.unwrapped.scene["contact_forces"].data
    robot = env.unwrapped.scene["robot"]
    joint_pos = robot.data.joint_pos.torch + 0.1
    robot.write_joint_position_to_sim_index(position=joint_pos[:2], env_ids=torch.tensor([0, 1], dtype=torch.int32))
    sensor.current_air_time.torch.fill_(0.25)
    env._demand.fill_(1000)
    state, random = env.state(), torch.get_rng_state()
    assert state["physics.kinematics_dirty"] is True
    after = go_on(env, 2, seed=6)
    air_time = sensor.current_air_time.torch.clone()
    env.load_state(state)
    torch.set_rng_state(random)
    assert differing(after, go_on(env, 2, seed=6)) == []
    assert torch.equal(sensor.current_air_time.torch, air_time)


def test_a_cached_value_that_the_saved_process_never_asked_for_is_stale(env):
    cached = env.unwrapped.scene["robot"].data._projected_gravity_b
    state = {path: value for path, value in env.state().items() if "_projected_gravity_b" not in path}
    assert cached.timestamp > 0
    env.load_state(state)
    assert cached.timestamp == -1.0


def _with(state: dict[str, Any], ending: str, value: Any) -> dict[str, Any]:
    (path,) = (path for path in state if path.endswith(ending))
    return state | {path: value}


def test_a_curriculum_of_another_kind_is_refused(env):
    curriculum = env.curriculum()
    for terms in ({"command_ranges": {"tracked": 3}}, {"base_velocity": {"lin_vel_x": [0.0, "1"]}}):
        with pytest.raises(ValueError, match=r"the curriculum is of another kind \(there \| here\): curriculum.terms"):
            env.load_curriculum(curriculum | {"terms": curriculum["terms"] | terms})


def test_a_term_that_a_curriculum_lacks_begins_anew(env):
    curriculum = env.curriculum()
    others = {name: state for name, state in curriculum["terms"].items() if name != "penalty_scale"}
    env.load_curriculum(curriculum | {"terms": others})
    assert env.curriculum()["terms"] == curriculum["terms"]


def _half(value: Any) -> Any:
    return value[: NUM_ENVS // 2] if isinstance(value, Tensor) and value.dim() and len(value) == NUM_ENVS else value


def _same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other


def _answer(task: str, saved_file: Path, answer_file: Path) -> None:
    saved = torch.load(saved_file, weights_only=True)
    env = make(task, seed=2)
    env.reset()
    go_on(env, 3, seed=5)
    torch.set_rng_state(saved["random"])
    before = go_on(env, STEPS, seed=4)
    env.load_state(saved["state"])
    torch.set_rng_state(saved["random"])
    torch.save({"before_loading": before, "after_loading": go_on(env, STEPS, seed=4)}, answer_file)
    env.close()


if __name__ == "__main__":
    from rlmpc.envs.isaaclab.kernels import compile_without_gradients

    # The kernels that the asking process compiles, too.
    compile_without_gradients()
    import rlmpc.envs.isaaclab.env  # noqa: F401  takes seconds, which the asking process needs too

    torch.set_num_threads(1)
    for line in sys.stdin:
        _answer(line.strip(), Path(sys.argv[1]), Path(sys.argv[2]))
        sys.stdout.write(f"\n{ANSWERED}")
