"""What cannot be resumed ends in one sentence, and changes nothing."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from tests.warm import ROOT, WarmServer

pytestmark = pytest.mark.slow

RUN = Path("run")
CHECKPOINT = "run/checkpoints/epoch=1.ckpt"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a run with two checkpoints."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    small = ["device=cpu", "num_envs=8", "agent.num_steps=4", "agent.actor_hidden=[8]", "agent.critic_hidden=[8]"]
    train.main(["task=toy", *small, "trainer.max_epochs=2", "checkpoint.every=1", "logger=[csv]", f"run.dir={folder}"])
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of it in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def refusal(command, *arguments: str) -> str:
    """What train.py says when it refuses; nothing may have been written, changed or removed."""

    def files() -> dict[Path, bytes | None]:
        found = sorted(path for path in Path.cwd().rglob("*") if path.name != ".lock")
        return {path: path.read_bytes() if path.is_file() else None for path in found}

    before = files()
    code, _, err = command(train.main, *arguments)
    assert code == 2, err
    assert files() == before
    assert err.startswith("train.py: ")
    assert "Traceback" not in err
    return err.removeprefix("train.py: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["resume=nowhere"], "there is no checkpoint 'nowhere'; give a file, a run's folder, latest"),
        (["resume="], "'resume' is empty"),
        (["resume=" + 300 * "a"], f"'{40 * 'a'}...' is too long for a file's name"),
        (["resume=run", "trainer.max_epochs=4", "run.dir=" + 300 * "a"], "is too long for a file's name"),
        (["resume=null"], "'resume' is empty"),
        (["resume=latest"], "there is no checkpoint below 'logs'"),
        (["resume=latest", "run.root=void"], "there is no checkpoint below 'void'"),
        (["resume=empty"], "there is no checkpoint in 'empty'"),
        (["resume=run", "resume=run"], "'resume' is given twice"),
        (["resume=run/config.yaml"], "is not a checkpoint, or only a part of one"),
        (["resume=run", "stage=distill"], "'stage' is 'teacher' in"),
        (["resume=run", "task=blind_rl"], "'task' is 'toy' in"),
        (["resume=run", "agent=rma"], "'agent' is 'ppo' in"),
        (["resume=run", "seed=5"], "'seed' cannot change from 1 to 5 in a resumed run: the random generators go on"),
        (["resume=run", "agent.actor_hidden=[16]"], "'agent.actor_hidden' cannot change from [8] to [16]"),
        (["resume=run", "agent.activation=relu"], "it shapes the networks"),
        (["resume=run", "agent.critic_group=policy"], "'agent.critic_group' cannot change from critic to policy"),
        (["resume=run", "agent.normalize_obs=false"], "'agent.normalize_obs' cannot change"),
        (["resume=run", "agent.init_std=0.5"], "it has an effect at the start of a run only"),
        (["resume=run", "agent.stagger_episodes=false"], "it has an effect at the start of a run only"),
        (["resume=run", "teacher_ckpt=run"], "'teacher_ckpt' cannot change from None to run"),
        (["resume=run", "agent.gama=0.9"], "did you mean 'agent.gamma'"),
        (["resume=run", "agent.memory=gru"], "unknown key 'agent.memory'"),
        (["resume=run", "trainer.max_epochs=many"], "'trainer.max_epochs' cannot be 'many'"),
        (["resume=run"], "has done 2 of trainer.max_epochs=2 iterations; give a larger trainer.max_epochs"),
        (["resume=run", "trainer.max_epochs=1"], "has done 2 of trainer.max_epochs=1 iterations"),
        (["resume=run", "trainer.max_epochs=4", "num_envs=0"], "'num_envs' must be at least 1"),
        (
            ["resume=run", "trainer.max_epochs=4", "num_envs=7", "agent.num_steps=1"],
            "not divisible into agent.num_minibatches",
        ),
        (["resume=run", "trainer.max_epochs=4", "device=gpu"], "unknown device 'gpu'"),
        (["resume=run", "trainer.max_epochs=4", "resume_allow_partial=maybe"], "'resume_allow_partial' cannot be"),
        (
            ["resume=run", "trainer.max_epochs=4", "checkpoint.env_state=all"],
            "unknown 'checkpoint.env_state' 'all'; accepted: full, curriculum",
        ),
        (["resume=run", "trainer.max_epochs=4", "checkpoint.keep_last=0"], "'checkpoint.keep_last' must be at least 1"),
        (["resume=run", "trainer.max_epochs=4", "faults.max_env_share=2"], "at least 0 and at most 1, not 2"),
        (["resume=run", "trainer.max_epochs=4", "faults.max_skipped_updates=0"], "must be at least 1"),
        (["resume=run", "trainer.max_epochs=4", "trainer.stop_timeout_s=0"], "must be at least 1"),
        (["resume=run", "trainer.max_epochs=4", "env.histroy=3"], "did you mean 'env.history'"),
        (["resume=run", "trainer.max_epochs=4", "env.history=3"], "observations.policy.target_error.history: 10 | 3"),
        (["resume=run", "trainer.max_epochs=4", "run.dir=other"], "the run folder 'other' is not empty"),
        (["resume=run", "trainer.max_epochs=4", "run.dir=file"], "the run folder 'file' is a file"),
        (["resume=run/checkpoints/epoch=0.ckpt"], "has a newer checkpoint than 'epoch=0.ckpt', epoch=1.ckpt"),
        (["resume_allow_partial=true", "task=toy"], "'resume_allow_partial' needs resume=PATH"),
    ],
)
def test_bad_arguments_of_a_resume_are_refused(command, run: Path, arguments: list[str], sentence: str):
    Path("empty").mkdir()
    Path("other").mkdir()
    Path("other/file").touch()
    Path("file").touch()
    assert sentence in refusal(command, *arguments)


def set_config(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["rlmpc"]["config"].update({key: value})


def drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def edit(content: Any) -> None:
        for name in path[:-1]:
            content = content[name]
        del content[path[-1]]

    return edit


RANK = ("RolloutDataModule", "ranks", 0)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (drop("rlmpc"), "is not a checkpoint of this project"),
        (drop("state_dict"), "lacks 'state_dict'"),
        (drop("hyper_parameters"), "lacks 'hyper_parameters'"),
        (drop("rlmpc", "config"), "lacks 'rlmpc.config'"),
        (lambda content: content["rlmpc"].update(format=99), "has format 99; this version reads format"),
        (lambda content: content["hyper_parameters"]["agent"].update(algorithm="sac"), "holds an unknown agent 'sac'"),
        (set_config("colour", "red"), "does not fit the schema: unknown key 'colour'"),
        (set_config("seed", "one"), "does not fit the schema"),
        (set_config("task", {"name": "toy"}), "says what 'task.default_agent' is, which has no default"),
        (lambda content: content["state_dict"].popitem(), "the weights in"),
        (lambda c: c["state_dict"].update({"policy.actor.0.weight": torch.zeros(3, 3)}), "policy.actor.0.weight"),
        (drop("optimizer_states"), "optimizer, learning rate: not in the file"),
        (drop("RolloutDataModule"), "curriculum: not in the file"),
        (drop(*RANK, "random"), "random generators: not in the file"),
        (drop(*RANK, "state"), "episodes: not in the file: new"),
        (drop(*RANK, "rollout"), "episodes: not in the file: new"),
        (lambda content: content[RANK[0]]["ranks"][0]["state"].popitem(), "episodes: "),
        (lambda c: c[RANK[0]]["ranks"][0]["state"].update(position=torch.zeros(3, 2)), "episodes: "),
        (
            lambda c: c[RANK[0]]["ranks"][0]["rollout"].update(obs={"teacher": torch.zeros(1)}),
            "obs.teacher' is",
        ),
        (lambda c: c[RANK[0]]["ranks"][0].update(random={"torch": 3}), "holds something else"),
        (lambda c: c[RANK[0]]["ranks"][0].update(curriculum="levels"), "holds something else"),
        (lambda content: content[RANK[0]].update(ranks=5), "holds something else"),
    ],
)
def test_a_checkpoint_that_lacks_something_or_was_changed_is_refused(command, run: Path, edit, sentence: str):
    content = torch.load(CHECKPOINT, weights_only=True)
    edit(content)
    torch.save(content, CHECKPOINT)
    assert sentence in refusal(command, f"resume={CHECKPOINT}", "trainer.max_epochs=4")


def edit_optimizer(edit: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda content: edit(content["optimizer_states"][0])


def edit_moment(edit: Callable[[torch.Tensor], Any], name: str = "exp_avg") -> Callable[[dict[str, Any]], object]:
    return edit_optimizer(lambda s: s["state"][0].update({name: edit(s["state"][0][name])}))


OPTIMIZERS = {
    "too few rows": (edit_moment(lambda values: values[:1].clone()), "state.0.exp_avg: float32 [1, 48] | float32 [8,"),
    "a single number": (edit_moment(lambda values: values.sum()), "state.0.exp_avg: float32 [] | float32 [8, 48]"),
    "one row for all": (edit_moment(lambda values: values[:1].expand(8, 48)), "'optimizer_states.0.state.0.exp_avg'"),
    "terabytes": (edit_moment(lambda values: values[:1, :1].expand(10**6, 10**6)), "'optimizer_states.0.state.0"),
    "doubles": (edit_moment(lambda values: values.double()), "'optimizer_states.0.state.0.exp_avg' is a tensor of flo"),
    "a list": (edit_moment(lambda values: values.tolist()), "'optimizer_states.0.state.0.exp_avg'"),
    "no numbers": (edit_moment(lambda v: v.fill_(torch.nan)), "every entry should be at least"),
    "negative squares": (edit_moment(lambda v: v - 1.0, "exp_avg_sq"), "every entry should be at least 0"),
    "no step": (edit_optimizer(lambda s: s["state"][0].pop("step")), "lacks 'optimizer_states.0.state.0.step'"),
    "another parameter": (
        edit_optimizer(lambda s: s["state"].update({99: s["state"][0]})),
        "state.99: a parameter | mi",
    ),
    "a parameter twice": (edit_optimizer(lambda s: s["param_groups"][0]["params"].append(0)), "policy.params"),
    "other parameters": (edit_optimizer(lambda s: s["param_groups"][0]["params"].reverse()), "policy.params"),
    "another group": (edit_optimizer(lambda s: s["param_groups"].append(s["param_groups"][0])), "param_groups"),
    "a rate of text": (edit_optimizer(lambda s: s["param_groups"][0].update(lr="0.1")), "param_groups.0.lr' is '0.1'"),
    "a rate of no number": (edit_optimizer(lambda s: s["param_groups"][0]["lr"].fill_(torch.nan)), "param_groups.0.lr"),
    "not fused": (edit_optimizer(lambda s: s["param_groups"][0].update(fused=False)), "policy.fused"),
    "no optimizer": (lambda content: content.update(optimizer_states=[3]), "'optimizer_states.0' is 3"),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_of_other_sizes_is_refused(command, run: Path, kind: str):
    """A fused step would read and write beyond the memory of its tensors."""
    edit, sentence = OPTIMIZERS[kind]
    content = torch.load(CHECKPOINT, weights_only=True)
    edit(content)
    torch.save(content, CHECKPOINT)
    found = refusal(command, f"resume={CHECKPOINT}", "trainer.max_epochs=4")
    assert sentence in found
    assert CHECKPOINT in found


def test_an_optimizer_of_other_sizes_does_not_end_the_process(warm: WarmServer, run: Path):
    content = torch.load(CHECKPOINT, weights_only=True)
    for state in content["optimizer_states"][0]["state"].values():
        state.update(exp_avg=torch.zeros(1), exp_avg_sq=torch.zeros(1))
    torch.save(content, CHECKPOINT)
    command = [sys.executable, str(ROOT / "train.py"), f"resume={CHECKPOINT}", "trainer.max_epochs=60"]
    ended = warm.run(command, timeout=120, cwd=run.parent)
    assert (ended.returncode, "does not fit its networks" in ended.stderr) == (2, True), ended


PROGRESS = ("loops", "fit_loop", "epoch_progress")


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Sets the value at a path, both given one after the other."""

    def edit(content: Any) -> None:
        *names, last, value = path
        for name in names:
            content = content[name]
        content[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (drop("loops"), "lacks 'loops'"),
        (drop("global_step"), "lacks 'global_step'"),
        (drop("pytorch-lightning_version"), "lacks 'pytorch-lightning_version'"),
        (put("pytorch-lightning_version", "0.7.0"), "'pytorch-lightning_version' is '0.7.0'"),
        (put("pytorch-lightning_version", "two"), "'pytorch-lightning_version' is 'two'"),
        (put("callbacks", [1]), "'callbacks' is [1]"),
        (put("lr_schedulers", [{"last_epoch": 3}]), "'lr_schedulers' is"),
        (drop(*PROGRESS, "current"), "loops.fit_loop.epoch_progress.current: missing"),
        (put(*PROGRESS, "current", "ready", "two"), "loops.fit_loop.epoch_progress.current.ready: str | int"),
        (put(*PROGRESS, "current", "ready", 9), "'loops.fit_loop.epoch_progress.current' is"),
        (put(*PROGRESS, "total", "completed", -1), "'loops.fit_loop.epoch_progress.total.completed' is -1"),
        (put("epoch", 5), "all of it should count 6 iterations"),
        (put("skipped_updates", "in_a_row", torch.zeros(3)), "'skipped_updates.in_a_row' is a tensor of float32 [3]"),
        (put("skipped_updates", "latest", "many"), "'skipped_updates.latest' is 'many'"),
        (put(*RANK, "random", "torch", torch.zeros(16, dtype=torch.uint8)), "random.torch: uint8 [16] | uint8 [5056]"),
        (put(*RANK, "random", "torch", torch.zeros(5056, dtype=torch.uint8)), "the state of a generator is damaged"),
        (put(*RANK, "random", "python", (3, (0,) * 625, "x")), "ranks.0.random.python.2' is 'x'"),
        (put(*RANK, "random", "python", (3, (2**40,) * 625, None)), "ranks.0.random.python.1.0' is 1099511627776"),
        (put(*RANK, "random", "numpy", 2, 10**6), "ranks.0.random.numpy.2' is 1000000"),
        (put(*RANK, "random", "numpy", 1, torch.full((624,), -1)), "every entry should be at least 0 and below"),
        (put(*RANK, "curriculum", "levels", torch.full((8,), -1)), "ranks.0.curriculum.levels' is a tensor of int64"),
        (put(*RANK, "curriculum", "levels", torch.zeros(5, dtype=torch.int64)), "where N = 8"),
        (put(*RANK, "rollout", "episodes", "return", torch.zeros(8, 2)), "rollout.episodes.return' is a tensor of"),
        (
            put(*RANK, "rollout", "memory", {"hidden": torch.zeros(8, 4)}),
            "rollout.memory.hidden: float32 [1, 4] | miss",
        ),
        (put(*RANK, "num_envs", "8"), "ranks.0.num_envs' is '8'"),
        (put("state_dict", "policy.actor.0.weight", torch.zeros(8, 48).double()), "float64 [8, 48] | float32 [8, 48]"),
        (
            put("state_dict", "policy.actor.0.weight", torch.full((8, 48), torch.nan)),
            "policy.actor.0.weight' is not fin",
        ),
        (put("state_dict", "policy.normalizers.critic.var", torch.full((48,), -1.0)), "critic.var' is not at least 0"),
        (put("rlmpc", "numbers", "episode/return", "high"), "'rlmpc.numbers.episode/return' is 'high'"),
        (
            put("rlmpc", "config", "env", {"history": "${oc.env:HOME}"}),
            "'env.history' takes an int like 10, not '${oc.env:HOME}'",
        ),
        (put("rlmpc", "config", "agent", "algorithm", "rma"), "'rlmpc.config.agent.algorithm' is 'rma'"),
    ],
)
def test_every_field_that_a_resume_reads_is_checked(command, run: Path, edit, sentence: str):
    content = torch.load(CHECKPOINT, weights_only=True)
    content["RolloutDataModule"]["ranks"][0]["random"]["numpy"] = [
        *content["RolloutDataModule"]["ranks"][0]["random"]["numpy"]
    ]
    edit(content)
    torch.save(content, CHECKPOINT)
    found = refusal(command, f"resume={CHECKPOINT}", "trainer.max_epochs=8")
    assert sentence in found
    assert CHECKPOINT in found


def test_a_curve_that_cannot_be_continued_is_refused(command, run: Path):
    (run / "metrics.csv").write_text("step,train/kl\nmany,0.1\n")
    assert "'run/metrics.csv' cannot be continued: row 2" in refusal(command, "resume=run", "trainer.max_epochs=4")


def test_a_file_that_was_cut_off_is_refused(command, run: Path):
    data = Path(CHECKPOINT).read_bytes()
    Path(CHECKPOINT).write_bytes(data[: len(data) // 2])
    assert "is not a checkpoint, or only a part of one" in refusal(command, "resume=run", "trainer.max_epochs=4")


def test_a_file_with_a_flipped_bit_is_refused(command, run: Path):
    with zipfile.ZipFile(CHECKPOINT) as file:
        largest = max(file.infolist(), key=lambda part: part.file_size)
        following = min(p.header_offset for p in file.infolist() if p.header_offset > largest.header_offset)
    data = bytearray(Path(CHECKPOINT).read_bytes())
    data[following - largest.file_size // 2] ^= 1
    Path(CHECKPOINT).write_bytes(data)
    assert "damaged" in refusal(command, "resume=run", "trainer.max_epochs=4")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_file_that_would_run_code_does_not(command, run: Path):
    content = torch.load(CHECKPOINT, weights_only=True)
    torch.save(content | {"bomb": Bomb()}, CHECKPOINT, pickle_module=pickle)
    assert "could run code; refused" in refusal(command, "resume=run", "trainer.max_epochs=4")


def test_a_run_that_is_still_going_is_left_alone(command, run: Path):
    with (run / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "the run in 'run' is still going" in refusal(command, "resume=run", "trainer.max_epochs=4")


def test_a_launcher_that_contradicts_the_command_is_refused(command, run: Path, monkeypatch):
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    for name in ("RANK", "LOCAL_RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "0")
    sentence = refusal(command, "resume=run", "trainer.max_epochs=4", "trainer.devices=3")
    assert "trainer.devices=3, but torchrun started with 2" in sentence
