"""Exported policies of every kind, each written once a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlmpc.algorithms.student.policy import StudentPolicy
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.train import compose_train
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg, toy_schema
from rlmpc.export.write import export_policy
from rlmpc.networks.policy import GaussianPolicy

TOY = Contract(0.05, toy_schema(10), ({"name": "push", "dim": 2, "scale": 4.0},))

G1 = Contract(
    control_dt=0.02,
    observations=ObsSchema(
        {
            "policy": (
                ObsTerm("joint_pos", 29, 10),
                ObsTerm("joint_vel", 29, 10, scale=0.05),
                ObsTerm("base_ang_vel", 3, 5, scale=0.2),
                ObsTerm("projected_gravity", 3, 5),
                ObsTerm("velocity_command", 3, 5),
                ObsTerm("last_action", 30, 5),
                ObsTerm("gait_phase", 4),
            ),
            "critic": (ObsTerm("base_lin_vel", 3),),
        }
    ),
    actions=({"name": "leg_pos", "dim": 29}, {"name": "gait", "dim": 1}),
)
"""Sizes of the robot's task, by hand."""

STUDENTS = {
    "mlp": ("none", 0, (32, 32)),
    "gru": ("gru", 16, (32, 32)),
    "lstm": ("lstm", 16, (32, 32)),
    "g1": ("gru", 256, (512, 256, 128)),
}
"""Memory, its width, and hidden layers."""

KINDS = tuple(pytest.param(kind, marks=pytest.mark.slow) for kind in ("gru", "ppo", "rma", "mlp", "lstm", "g1"))
"""An export takes seconds."""


@dataclass(frozen=True)
class Exported:
    """A policy with its files and with observations (T of N rows) for it."""

    policy: GaussianPolicy
    contract: Contract
    folder: Path
    observations: list[dict[str, Tensor]]

    @property
    def onnx_path(self) -> Path:
        return self.folder / "policy.onnx"


def describe(contract: Contract, **changes: Any) -> dict[str, Any]:
    ranges = {"lin_vel_x": [-0.5, 1.0]}
    about = {"task": "toy", "algorithm": "ppo", "iteration": 7, "checkpoint_sha256": "ab", "command_ranges": ranges}
    return about | {"contract": contract} | changes


def contract_of(kind: str) -> Contract:
    return G1 if kind == "g1" else TOY


def fresh_policy(kind: str) -> GaussianPolicy:
    """The same policy at every call; its actions are about 1 and its normalizers have seen something."""
    torch.manual_seed(0)
    contract = contract_of(kind)
    if kind in ("ppo", "rma"):
        policy = ALGORITHMS[kind].policy()(compose_train(["task=toy", f"agent={kind}"])[0].agent, contract)
    else:
        policy = student(contract, *STUDENTS[kind])
    with torch.no_grad():
        policy.actor[-1].weight.mul_(100.0)
        for normalizer in policy.normalizers.values():
            normalizer.mean.uniform_(-0.5, 0.5)
            normalizer.var.uniform_(0.1, 2.0)
    return policy


def student(contract: Contract, memory: str, width: int, hidden: tuple[int, ...]) -> StudentPolicy:
    settings = StudentCfg(actor_hidden=list(hidden), memory=memory, memory_width=width, init_std=1.0)
    return StudentPolicy(settings, contract, {"velocity": 3})


def random_observations(contract: Contract) -> list[dict[str, Tensor]]:
    """50 steps of 20 rows."""
    rng = torch.Generator().manual_seed(1)
    dims = contract.observations.dims()
    return [{group: torch.randn(20, width, generator=rng) for group, width in dims.items()} for _ in range(50)]


@pytest.fixture(scope="session")
def exports(tmp_path_factory) -> Callable[[str], Exported]:
    """Gives a kind of policy with its files, which no test may change."""
    made: dict[str, Exported] = {}

    def get(kind: str) -> Exported:
        if kind not in made:
            policy, contract = fresh_policy(kind), contract_of(kind)
            folder = tmp_path_factory.mktemp("exports") / kind
            export_policy(policy, folder, describe(contract))
            made[kind] = Exported(policy, contract, folder, random_observations(contract))
        return made[kind]

    return get


@pytest.fixture(params=KINDS)
def exported(request, exports) -> Exported:
    return exports(request.param)


@pytest.fixture
def description() -> Callable[..., dict[str, Any]]:
    """What an export of a toy policy is told."""
    return lambda **changes: describe(TOY, **changes)


@pytest.fixture
def make_policy() -> Callable[[str], GaussianPolicy]:
    return fresh_policy


@pytest.fixture
def toy() -> Callable[..., ToyEnv]:
    """Sixteen toy environments; keywords are those of `ToyEnvCfg`."""
    return lambda **changes: ToyEnv(ToyEnvCfg(**changes), 16, "cpu", 0)
