"""Teacher to student to deployment by the commands that a user types, on the toy environment."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
import torch

import play
import train
from rlmpc.algorithms.restore import restore_policy
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.export.parity import check_parity
from rlmpc.export.record import record_observations
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.rollout.interaction import interact, noiseless

pytestmark = pytest.mark.slow
QUIET = ["device=cpu", "num_envs=128", "logger=[]", "checkpoint.export=false"]


def mean_return(policy: GaussianPolicy) -> float:
    """Mean return without action noise over 200 episodes at all levels, the same for every policy."""
    env = ToyEnv(ToyEnvCfg(), 200, "cpu", seed=100)
    env.level.copy_(torch.arange(env.num_envs) % env.num_levels)
    total, goes_on = torch.zeros(env.num_envs), torch.ones(env.num_envs, dtype=torch.bool)
    steps = interact(env, noiseless(policy), env.reset(), policy.initial_memory(env.num_envs))
    for transition in islice(steps, env.max_episode_length):
        total += transition.step.reward * goes_on
        goes_on &= ~transition.step.done
    assert not goes_on.any()
    return total.mean().item()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """The checkpoint of a teacher that has learned the task."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    train.main(["stage=teacher", "task=toy", *QUIET, "trainer.max_epochs=40", f"run.dir={run}"])
    return run / "checkpoints/last.ckpt"


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_a_student_earns_nearly_what_its_teacher_earns(command, teacher: Path, memory: str):
    arguments = [f"teacher_ckpt={teacher}", f"agent.memory={memory}", "agent.beta_iterations=10", *QUIET]
    for run, iterations in (("barely", 1), ("run", 20)):
        done = command(train.main, "stage=distill", *arguments, f"trainer.max_epochs={iterations}", f"run.dir={run}")
        assert done[0] == 0
    best = mean_return(restore_policy(load_checkpoint(teacher)).in_simulation())
    barely, student = (
        mean_return(restore_policy(load_checkpoint(Path(run) / "checkpoints/last.ckpt"))) for run in ("barely", "run")
    )
    assert best > 4.0
    assert barely < 0.5 * best
    assert student >= 0.95 * best
    check_played_and_exported(command, Path("run/checkpoints/last.ckpt"))


def test_a_teacher_plays_and_is_exported(command, teacher: Path):
    check_played_and_exported(command, teacher)


def check_played_and_exported(command, ckpt: Path) -> None:
    """Plays a policy that is good at its task; its files say so, and the exported graph acts as the policy does."""
    done = command(play.main, f"ckpt={ckpt}", "device=cpu", "episodes=10", "export=true", "run.dir=played")
    assert done[0] == 0
    assert {path.name for path in Path("played").iterdir()} == {
        *("evaluation.json", "evaluation.csv", "success.png", "tracking.png", "falls.png", "export"),
    }
    report = json.loads(Path("played/evaluation.json").read_text())
    assert report["header"]["checkpoint_sha256"] == load_checkpoint(ckpt).sha256
    assert report["totals"]["episodes"] == 30
    assert report["totals"]["success_rate"] >= 0.9
    assert report["totals"]["rmse_xy"] < 0.8
    policy = restore_policy(load_checkpoint(ckpt))
    unseen = record_observations(ToyEnv(ToyEnvCfg(), 20, "cpu", seed=7), policy, 1000)
    assert check_parity(policy, Path("played/export/policy.onnx"), unseen) < 1e-5
