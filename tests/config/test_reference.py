"""The agents' numbers are the reference system's, except for those that docs/agents.md declares."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.rma.settings import RmaCfg
from rlmpc.command_line.train import compose_train
from rlmpc.config.train import TrainCfg

DOC = Path(__file__).parents[2] / "docs/agents.md"

PPO = {
    "actor_hidden": [512, 256, 128],
    "critic_hidden": [512, 256, 128],
    "activation": "elu",
    "init_std": 1.0,
    "num_steps": 24,
    "num_epochs": 5,
    "num_minibatches": 4,
    "clip": 0.2,
    "gamma": 0.99,
    "lam": 0.95,
    "entropy_coef": 0.01,
    "value_coef": 1.0,
    "clip_value_loss": True,
    "learning_rate": 1e-3,
    "desired_kl": 0.01,
    "min_lr": 1e-5,
    "max_lr": 1e-2,
    "max_grad_norm": 1.0,
    "stagger_episodes": True,
}
RMA = {
    "privileged_hidden": [128, 64],
    "latent_dim": 32,
    "scan_hidden": [128, 64],
    "scan_latent_dim": 32,
    "estimator_hidden": [128, 64],
    "estimator_frames": 1,
    "recent_frames": 5,
    "history_every": 20,
    "regularizer_start": 2000,
    "regularizer_ramp": 3000,
    "regularizer_weight": 0.1,
    "history_lr": 1e-3,
    "estimator_lr": 1e-3,
}
DECLARED = {
    ("task=blind_rl", "agent.normalize_obs=false"): {"normalize_obs": True},
    ("task=blind_rl_reference", "agent.min_std=1e-9 agent.max_std=1e9"): {"min_std": 0.05, "max_std": 2.0},
    ("task=blind_rl", "agent.clip_gradients=together"): {"clip_gradients": "apart"},
    ("task=blind_rl agent=rma", "agent.estimator_imu=false"): {"estimator_imu": True},
    ("task=blind_rl agent=rma", "agent.compat=reference"): {"compat": None},
}
"""Arguments and those that go back to the reference -> what is set without the latter."""


@pytest.mark.parametrize(("settings", "numbers"), [(PpoCfg, PPO), (RmaCfg, PPO | RMA)])
def test_the_defaults_of_an_agent_are_the_references(settings: type, numbers: dict):
    assert {name: getattr(settings(), name) for name in numbers} == numbers


def test_a_run_is_as_long_as_the_references_and_saves_as_often():
    assert (TrainCfg().trainer.max_epochs, TrainCfg().checkpoint.every, TrainCfg().task.num_envs.cuda) == (
        *(50_000, 100, 4096),
    )


@pytest.mark.parametrize(("arguments", "switch"), DECLARED)
def test_a_declared_difference_is_there_and_its_switch_goes_back(arguments: str, switch: str):
    assert f"`{switch}`" in DOC.read_text()
    here = asdict(compose_train(arguments.split())[0].agent)
    there = asdict(compose_train([*arguments.split(), *switch.split()])[0].agent)
    declared = DECLARED[arguments, switch]
    assert {name: here[name] for name in declared} == declared
    assert {name for name in here if here[name] != there[name]} == declared.keys()
