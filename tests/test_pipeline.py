"""Teacher to student by the commands that a user types, on the toy environment."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import train
from rlmpc.checkpoint import load_checkpoint
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.networks.memory import forget
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.policies import restore_policy, restore_teacher

pytestmark = pytest.mark.slow
QUIET = ["device=cpu", "logger=[]", "checkpoint.export=false"]


@torch.no_grad()
def mean_return(policy: GaussianPolicy) -> float:
    """Mean return without action noise over 200 episodes at all levels, the same for every policy."""
    env = ToyEnv(ToyEnvCfg(), 200, "cpu", seed=100)
    env.level.copy_(torch.arange(env.num_envs) % env.num_levels)
    obs, memory = env.reset(), policy.initial_memory(env.num_envs)
    total, goes_on = torch.zeros(env.num_envs), torch.ones(env.num_envs, dtype=torch.bool)
    for _ in range(env.max_episode_length):
        acted = policy.act(obs, memory, deterministic=True)
        step = env.step(acted["action"])
        total += step.reward * goes_on
        ended = step.terminated | step.truncated
        goes_on &= ~ended
        memory, obs = forget(acted["memory"], ended), step.obs
    assert not goes_on.any()
    return total.mean().item()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """The checkpoint of a teacher that has learned the task."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    train.main(["stage=teacher", "task=toy", *QUIET, f"run.dir={run}"])
    return run / "checkpoints/last.ckpt"


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_a_student_earns_nearly_what_its_teacher_earns(command, teacher: Path, memory: str):
    arguments = [f"teacher_ckpt={teacher}", f"agent.memory={memory}", *QUIET]
    for run, iterations in (("barely", 1), ("run", 40)):
        done = command(train.main, "stage=distill", *arguments, f"trainer.max_epochs={iterations}", f"run.dir={run}")
        assert done[0] == 0
    best = mean_return(restore_teacher(load_checkpoint(teacher)))
    barely, student = (
        mean_return(restore_policy(load_checkpoint(Path(run) / "checkpoints/last.ckpt"))) for run in ("barely", "run")
    )
    assert best > 4.0
    assert barely < 0.5 * best
    assert student >= 0.95 * best
