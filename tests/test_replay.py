"""`play.py replay=PATH`, on files of the toy environment."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

import play
import train
from callbacks.faults import FaultDump
from rlmpc.algorithms.ppo.learner import PpoLearner
from rlmpc.checkpoint.fault_file import FAULT_FORMAT, FaultFile, describe_fault
from rlmpc.command_line.train import compose_train
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.envs.vec_env import Obs
from rlmpc.play.replay import replay as replay_rollout
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.faults import FaultRecorder
from rlmpc.rollout.interaction import Action, Memory

pytestmark = pytest.mark.slow

NUM_ENVS, NUM_STEPS, BROKEN = 64, 8, 5


class Pusher:
    groups = ("policy",)
    critic_group = None
    variant = None

    def __init__(self, breaks: bool) -> None:
        self.breaks = breaks
        self.num_steps = 0

    def initial_memory(self, num_envs: int) -> dict[str, torch.Tensor]:
        return {}

    def act(self, obs: Obs, memory: Memory) -> Action:
        action = torch.randn(NUM_ENVS, 2)
        if self.breaks and self.num_steps == 3:
            action[BROKEN] = float("nan")
        self.num_steps += 1
        return Action(action)

    def value(self, obs: Obs) -> torch.Tensor:
        raise NotImplementedError


def break_state(env: ToyEnv) -> None:
    env.velocity[BROKEN] = float("nan")


def rollout(break_env: Callable[[ToyEnv], None], breaks_action: bool) -> dict[str, Any]:
    """What a file says of the second rollout, at whose start `break_env` is called."""
    env = ToyEnv(ToyEnvCfg(episode_length_s=0.5), NUM_ENVS, "cpu", seed=3)
    recorder = FaultRecorder()
    collector = Collector(env, NUM_STEPS, True, recorder)
    collector.collect(Pusher(breaks=False))
    break_env(env)
    collector.collect(Pusher(breaks_action))
    config = asdict(compose_train(["task=toy", f"num_envs={NUM_ENVS}", "env.episode_length_s=0.5"])[0])
    run = {"iteration": 2, "config": config, "num_envs": NUM_ENVS, "device": "cpu", "seed": 3}
    return describe_fault(**run, **recorder.recording())


def test_a_fault_in_a_run_with_held_out_environments_is_found_again(command):
    """Their levels do not change, which a replay must repeat."""
    arguments = ["task=toy", "device=cpu", "num_envs=16", "agent.num_steps=30", "trainer.max_epochs=2", "run.dir=run"]
    quick = [
        "env.episode_length_s=0.5",
        "env.promote_error=10.0",
        "env.demote_error=20.0",
        "logger=[]",
        "checkpoint.export=false",
        "evaluation.num_envs=4",
    ]
    with pytest.MonkeyPatch.context() as patch:
        step = ToyEnv.step

        def breaking(env: ToyEnv, actions: torch.Tensor) -> Any:
            # Points are promoted after every episode; the first of those that are held out stays at level 0.
            if env.level[BROKEN] == 4 and env.level[2] == 0 and env.episode_length[BROKEN] == 7:
                env.velocity[BROKEN] = float("nan")
            return step(env, actions)

        patch.setattr(ToyEnv, "step", breaking)
        assert command(train.main, *arguments, *quick, "faults.max_env_share=1.0")[0] == 0
        found = sorted(Path("run/faults").glob("*.pt"))
        assert found
        code, out, _ = command(play.main, f"replay={found[-1]}")
    assert (code, "as in the file" in out) == (0, True)


@pytest.fixture
def broken_action() -> dict[str, Any]:
    return rollout(lambda env: None, breaks_action=True)


@pytest.fixture
def replay(command, tmp_path):
    """Saves content and replays it; gives the exit code and what was printed."""

    def run(content: Any, *arguments: str) -> tuple[int, str, str]:
        path = tmp_path / "iteration=2.pt"
        torch.save(content, path)
        return command(play.main, f"replay={path}", *arguments)

    return run


def test_an_action_that_is_not_a_number_is_found_again(replay, broken_action):
    code, out, _ = replay(broken_action)
    assert code == 0
    assert "iteration 2 of toy: 8 steps of 64 environments on cpu, recorded on cpu" in out
    assert f"environment {BROKEN} is not finite in step 4" in out
    assert "as in the file" in out


def test_a_state_that_is_not_a_number_is_found_again(replay):
    code, out, _ = replay(rollout(break_state, breaks_action=False))
    assert (code, f"environment {BROKEN} is not finite in step 1" in out) == (0, True)


def test_an_observation_that_is_not_a_number_restarts_in_the_replay_too():
    def break_observation(env: ToyEnv) -> None:
        env._noisy_history[BROKEN, -1] = float("nan")

    content = rollout(break_observation, breaks_action=False)
    fault = FaultFile(**{name: value for name, value in content.items() if name != "format"})
    assert (~fault.valid).nonzero().tolist() == [[0, BROKEN], [1, BROKEN]]
    env = ToyEnv(ToyEnvCfg(episode_length_s=0.5), NUM_ENVS, "cpu", seed=4)
    assert torch.equal(replay_rollout(env, fault, "recorded"), fault.valid)


def test_a_fault_that_does_not_come_back_ends_with_code_1(replay, broken_action):
    broken_action["actions"] = broken_action["actions"].nan_to_num()
    code, _, err = replay(broken_action)
    assert code == 1
    assert f"did not come back as it is in 'iteration=2.pt': environment {BROKEN} in step 4" in err.replace(
        str(Path.cwd()) + "/", ""
    )


def test_a_fault_at_another_place_ends_with_code_1(replay, broken_action):
    broken_action["actions"] = broken_action["actions"].roll(1, dims=1)
    code, out, _ = replay(broken_action)
    assert (code, f"environment {BROKEN + 1} is not finite in step 4" in out) == (1, True)


def test_a_run_goes_on_after_a_fault_and_leaves_a_file_that_replays(command, tmp_path):
    cfg = compose_train(["task=toy", "num_envs=16"])[0]
    L.seed_everything(cfg.seed, verbose=False)
    env = ToyEnv(ToyEnvCfg(), 16, "cpu", cfg.seed)
    # Where there is drag without end, standing is 0 x inf; it does not heal.
    env.drag[BROKEN] = float("inf")
    recorder = FaultRecorder()
    learner = PpoLearner.start(cfg.agent, env, None, print)
    run = {"config": asdict(cfg), "num_envs": 16, "device": "cpu", "seed": cfg.seed}
    trainer = L.Trainer(
        accelerator="cpu", devices=1, max_epochs=3, logger=False, callbacks=[FaultDump(recorder, tmp_path, 2, run)],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, inference_mode=False,
    )  # fmt: skip
    trainer.fit(learner, datamodule=RolloutDataModule(env, Collector(env, cfg.agent.num_steps, True, recorder)))
    assert trainer.current_epoch == 3
    assert all(parameter.isfinite().all() for parameter in learner.parameters())
    assert all(math.isfinite(learner.numbers[name]) for name in ("loss/value", "train/kl", "episode/reward_per_step"))
    assert learner.numbers["fault/envs"] == pytest.approx(1 / 16)
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["iteration=1.pt", "iteration=2.pt"]
    code, out, _ = command(play.main, f"replay={tmp_path / 'iteration=2.pt'}")
    assert (code, f"environment {BROKEN} is not finite in step 1" in out) == (0, True)


def changed(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: {**content, name: value}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: [1, 2], "is not what a run leaves of a fault"),
        (lambda content: {"state_dict": {}}, "is not what a run leaves of a fault"),
        (changed("format", FAULT_FORMAT + 1), f"has another format than {FAULT_FORMAT}"),
        (changed("surplus", 1), "holds 'surplus', which nothing reads"),
        (lambda content: {k: v for k, v in content.items() if k != "actions"}, "lacks 'actions'"),
        (changed("config", {}), "lacks 'config.stage'"),
        (changed("actions", torch.zeros(3)), "'actions' is a tensor of float32 [3]"),
        (changed("obs_is_finite", torch.ones(3)), "'obs_is_finite' is a tensor of float32 [3]"),
        (changed("random", [{}] * NUM_STEPS), "the state of numpy, python, torch is missing"),
        (changed("random", []), "'random' is []"),
        (changed("num_envs", 3), "where N = 3"),
        (changed("state", {}), "does not fit the environment that its config describes"),
    ],
)
def test_a_file_that_is_no_whole_fault_is_refused(replay, broken_action, change, sentence: str):
    code, _, err = replay(change(broken_action))
    assert (code, sentence in err) == (2, True), err


def test_a_damaged_or_missing_file_is_refused(command, tmp_path, broken_action):
    path = tmp_path / "fault.pt"
    torch.save(broken_action, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert command(play.main, f"replay={path}")[0] == 2
    path.write_bytes(b"no archive")
    assert command(play.main, f"replay={path}")[0] == 2
    code, _, err = command(play.main, "replay=nothing.pt")
    assert (code, "there is no file 'nothing.pt' to replay" in err) == (2, True)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("task=toy", "a replay knows its task and needs no policy"),
        ("ckpt=some.ckpt", "a replay knows its task and needs no policy"),
        ("policy=zero", "a replay knows its task and needs no policy"),
        ("num_envs=3", "'num_envs' has no effect with replay="),
        ("env.step_dt=0.1", "'env' has no effect with replay="),
        ("steps=3", "'steps' has no effect with replay="),
        ("video=true", "'video' needs ckpt=PATH"),
        ("device=gpu", "unknown device 'gpu'"),
    ],
)
def test_arguments_without_an_effect_are_refused(replay, broken_action, argument: str, sentence: str):
    code, _, err = replay(broken_action, argument)
    assert (code, sentence in err) == (2, True), err
