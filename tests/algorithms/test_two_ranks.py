"""Two processes learn one policy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor

from rlmpc.learners.base import OnPolicyLearner
from tests.same_run import compare, differences

SCRIPT = Path(__file__).with_name("train_one_rank.py")


@pytest.fixture(scope="module")
def train_on_two_ranks(warm) -> Callable[..., list[dict]]:
    """Gives what each of two processes ended with, given arguments of `train.py` and environment variables."""

    def train(folder: Path, *arguments: str, **variables: str) -> list[dict]:
        command = [sys.executable, str(SCRIPT), str(folder), *arguments]
        home = {f"WANDB_{kind}_DIR": str(folder) for kind in ("DATA", "CACHE", "CONFIG")}
        ranks = warm.start_ranks(command, folder, **home, WANDB_MODE="offline", **variables)
        codes = [rank.wait(timeout=300) for rank in ranks]
        assert codes == [0, 0], (folder / "rank0.txt").read_text()[-3000:]
        return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]

    return train


def tensors(tree: object, path: str = "") -> dict[str, Tensor]:
    """All tensors of nested dicts and lists, by path."""
    if isinstance(tree, Tensor):
        return {path: tree}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return {name: value for key, child in items for name, value in tensors(child, f"{path}/{key}").items()}


def new_run(folder: Path, loggers: str = "[csv]", device: str = "cpu") -> list[str]:
    small = ["num_envs=16", "agent.num_steps=8", f"logger={loggers}", "checkpoint.export=false"]
    return ["task=toy", f"device={device}", "trainer.devices=2", *small, f"run.dir={folder / 'run'}"]


@pytest.fixture(scope="module")
def straight(train_on_two_ranks, tmp_path_factory) -> tuple[Path, list[dict]]:
    """Eight iterations of `rma`, which contains PPO: three kinds of backward passes, each without some parameters."""
    folder = tmp_path_factory.mktemp("straight")
    schedules = ["agent.history_every=3", "agent.regularizer_start=3", "agent.num_epochs=2"]
    new = new_run(folder, "[csv,wandb]")
    arguments = [*new, "agent=rma", "trainer.max_epochs=8", "checkpoint.every=4", *schedules]
    return folder / "run", train_on_two_ranks(folder, *arguments)


@pytest.mark.slow
def test_after_some_iterations_both_ranks_hold_the_same_but_have_lived_differently(straight):
    one, two = straight[1]
    assert not torch.equal(one["positions"], two["positions"])
    learned = tensors({"learner": one["learner"], "optimizer": one["optimizer"]})
    again = tensors({"learner": two["learner"], "optimizer": two["optimizer"]})
    parts = {"normalizers.critic.mean", "critic.0.weight", "estimator.0.weight", "history_encoder.frame.0.0.weight"}
    assert {f"/learner/policy.{part}" for part in parts} <= set(learned)
    assert learned.keys() == again.keys()
    assert [name for name in learned if not torch.equal(learned[name], again[name])] == []
    assert learned["/learner/policy.normalizers.critic.count"] == 2 * 16 * 8 * 8
    shared = {name for name in one["numbers"] if not name.startswith("perf/")}
    assert {name for name in shared if one["numbers"][name] != two["numbers"][name]} == set()


@pytest.mark.slow
def test_two_ranks_are_one_run_for_whoever_watches(straight):
    assert len(list(straight[0].glob("wandb/offline-run-*"))) == 1
    assert not list(straight[0].parent.glob("wandb/offline-run-*"))


@pytest.mark.slow
def test_the_numbers_of_an_iteration_are_averaged_in_one_collective(straight):
    for rank in straight[1]:
        assert rank["collectives"] == [["all_reduce"]] * 8


@pytest.mark.slow
def test_two_ranks_that_were_interrupted_end_as_those_that_were_not_to_the_last_bit(
    straight, train_on_two_ranks, tmp_path
):
    # As if they had been killed before their last checkpoint.
    shutil.copytree(straight[0], tmp_path / "run", symlinks=True)
    (tmp_path / "run/checkpoints/epoch=7.ckpt").unlink()
    resumed = train_on_two_ranks(tmp_path, f"resume={tmp_path / 'run'}")
    assert compare(straight[0], tmp_path / "run") == ""
    for one, again in zip(straight[1], resumed, strict=True):
        assert differences(one["positions"], again["positions"], "positions") == []
        assert differences(one["learner"], again["learner"], "learner") == []


@pytest.mark.slow
def test_a_gradient_that_is_no_number_on_one_rank_is_skipped_by_both(train_on_two_ranks, tmp_path):
    one, two = train_on_two_ranks(tmp_path, *new_run(tmp_path), "trainer.max_epochs=1", NAN_GRADIENT_RANK="1")
    learned = tensors({"learner": one["learner"], "optimizer": one["optimizer"]})
    again = tensors({"learner": two["learner"], "optimizer": two["optimizer"]})
    assert [name for name in learned if not torch.equal(learned[name], again[name])] == []
    assert all(values.isfinite().all() for values in learned.values())
    for rank in (one, two):
        assert rank["numbers"]["fault/skipped_updates"] == 3.0
        assert rank["numbers"]["fault/skipped_in_a_row"] == 2.0
    steps = {values.item() for name, values in learned.items() if name.endswith("/step")}
    assert steps == {5 * 4 - 3}


def test_several_processes_record_as_one_does():
    recorded = []
    recorder = SimpleNamespace(call=lambda name, *_: recorded.append(name))
    learner = SimpleNamespace(trainer=SimpleNamespace(world_size=2), recorder=recorder, device=torch.device("cuda"))
    OnPolicyLearner.replay(cast(OnPolicyLearner, learner), "step", lambda: None)
    assert recorded == ["step"]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_learn_the_same_whether_collectives_are_recorded_or_called(train_on_two_ranks, tmp_path):
    learned = []
    for name in ("true", "false"):
        (tmp_path / name).mkdir()
        precise = ["matmul_precision=highest", "trainer.max_epochs=6", f"cuda_graphs={name}"]
        one, two = train_on_two_ranks(tmp_path / name, *new_run(tmp_path / name, device="cuda"), *precise)
        learned.append({path: values.cpu() for path, values in tensors(one["learner"]).items()})
        again = {path: values.cpu() for path, values in tensors(two["learner"]).items()}
        assert [path for path in again if not torch.equal(again[path], learned[-1][path])] == []
    torch.testing.assert_close(*learned, rtol=1e-5, atol=1e-5)
