from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlmpc.algorithms.finetune.learner import FinetuneLearner
from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.ppo.learner import PpoSamples
from rlmpc.algorithms.rma.learner import RmaLearner
from rlmpc.algorithms.student.learner import StudentLearner
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.command_line.train import compose_train
from rlmpc.config.setting import inherited
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.envs.vec_env import VecEnv
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.rollout import Rollout
from tests.algorithms.updates import ratio


class CountingDataModule(RolloutDataModule):
    """Notes the parameters' version at each rollout."""

    def __init__(self, env: ToyEnv, collector: Collector) -> None:
        super().__init__(env, collector)
        self.num_collected = 0
        self.updates_before: list[int] = []

    def collect(self) -> Rollout:
        self.num_collected += 1
        self.updates_before.append(self.trainer.global_step)
        return super().collect()


@pytest.fixture
def fit():
    """Trains a learner and returns its datamodule and the numbers of all iterations."""
    return _fit


def _fit(learner: OnPolicyLearner, env: VecEnv, iterations: int):
    cfg = learner.cfg
    datamodule = CountingDataModule(env, Collector(env, cfg.num_steps, True))
    numbers: list[dict[str, float]] = []

    class Record(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            numbers.append(dict(pl_module.numbers))

    trainer = L.Trainer(
        accelerator="gpu" if env.device.type == "cuda" else "cpu", devices=1, max_epochs=iterations, logger=False,
        callbacks=[Record()], enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        inference_mode=False,
    )  # fmt: skip
    trainer.fit(learner, datamodule=datamodule)
    return datamodule, numbers


@pytest.fixture
def run_toy():
    """Trains on the toy environment and returns learner, datamodule and the numbers of all iterations."""
    return _run_toy


def _run_toy(
    iterations: int, seed: int = 1, num_envs: int = 64, agent: str = "ppo", device: str = "cpu", **changes: Any
):
    cfg = replace(compose_train(["task=toy", f"agent={agent}"])[0].agent, **changes)
    L.seed_everything(seed, verbose=False)
    env = ToyEnv(ToyEnvCfg(), num_envs, device, seed)
    learner = ALGORITHMS[agent].learner().start(cfg, env, None, print)
    return learner, *_fit(learner, env, iterations)


def _as_checkpoint(learner: OnPolicyLearner) -> Checkpoint:
    """A learner as it would come back from a file, with the numbers of its last iteration."""
    weights = {name: values.clone() for name, values in learner.state_dict().items()}
    settings, numbers = dict(learner.hparams), dict(learner.numbers)
    return Checkpoint(Path("some.ckpt"), "0" * 64, 2, {}, numbers, settings, weights, [], optimizer_states=[])


@pytest.fixture
def train_teacher():
    """Makes a teacher of an agent that has hardly learned, but whose actions depend on what it sees."""
    return _train_teacher


def _train_teacher(agent: str) -> Checkpoint:
    learner = _run_toy(2, num_envs=16, agent=agent)[0]
    learner.policy.actor[-1].weight.data.mul_(10.0)
    return _as_checkpoint(learner)


@pytest.fixture(scope="session")
def toy_teachers() -> dict[str, Checkpoint]:
    """A teacher of each agent."""
    return {agent: _train_teacher(agent) for agent in ("ppo", "rma")}


@pytest.fixture
def toy_world():
    """Makes sixteen toy environments in which episodes are short and points soon lost."""
    return _toy_world


def _toy_world(seed: int = 1, device: str = "cpu") -> ToyEnv:
    return ToyEnv(ToyEnvCfg(episode_length_s=1.5, arena_half_size=0.7), 16, device, seed)


@pytest.fixture
def make_student(toy_teachers):
    """Makes an untrained student of a teacher, one of the toy teachers or another."""

    def make(teacher: str | Checkpoint = "ppo", seed: int = 1, **changes: Any) -> StudentLearner:
        small = {"actor_hidden": [16, 16], "memory_width": 8, "num_steps": 12, "num_minibatches": 2}
        cfg = StudentCfg(**small | {"teacher_check_steps": 0} | changes)
        checkpoint = toy_teachers[teacher] if isinstance(teacher, str) else teacher
        L.seed_everything(seed, verbose=False)
        return StudentLearner.start(cfg, _toy_world(), checkpoint, print)

    return make


@pytest.fixture
def run_student(make_student):
    """Distils on the toy environment and returns learner, datamodule and the numbers of all iterations."""

    def run(iterations: int, teacher: str | Checkpoint = "ppo", seed: int = 1, **changes: Any):
        learner = make_student(teacher, seed, **changes)
        return learner, *_fit(learner, _toy_world(seed), iterations)

    return run


@pytest.fixture
def make_finetune(run_student):
    """Makes a learner that goes on from a student by reward; gives that student, a new one by default, and it."""

    def make(student_memory: str = "none", student: StudentLearner | None = None, **changes: Any):
        student = student or run_student(2, memory=student_memory)[0]
        network = inherited(FinetuneCfg(), vars(student.cfg))
        cfg = FinetuneCfg(**network | {"critic_hidden": [16], "num_steps": 12, "num_epochs": 2} | changes)
        return student, FinetuneLearner.start(cfg, _toy_world(), _as_checkpoint(student), print)

    return make


@pytest.fixture
def parameters():
    """All parameters of a module as one vector, copied."""

    def flat(module: torch.nn.Module) -> Tensor:
        return torch.cat([torch.zeros(0), *(p.detach().flatten() for p in module.parameters())])

    return flat


@pytest.fixture
def first_minibatches(monkeypatch) -> list[tuple[bool, Tensor, Tensor]]:
    """Of the first minibatch of every iteration of `rma` that is trained from now on.

    Whether the history latent acted, importance ratios and KL.
    """
    seen: list[tuple[bool, Tensor, Tensor]] = []
    original = RmaLearner.losses_beside

    def losses_beside(self: RmaLearner, minibatch: PpoSamples) -> dict[str, Tensor]:
        if self.current_epoch == len(seen):
            acted, today = minibatch.acted, self.distribution(minibatch)
            kl = kl_divergence(Normal(acted.mean, acted.std), today).sum(dim=-1).mean().detach()
            seen.append((self.policy.acts_on_history, ratio(self, minibatch), kl))
        return original(self, minibatch)

    monkeypatch.setattr(RmaLearner, "losses_beside", losses_beside)
    return seen
