"""A run that is watched in Weights & Biases (offline) and MLflow, and resumed; read back from what they wrote."""

from __future__ import annotations

import csv
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import train
from tests.same_run import compare, curve

wandb = pytest.importorskip("wandb")
mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow

TOY = [
    *("task=toy", "device=cpu", "num_envs=16", "agent.num_steps=8", "agent.num_epochs=2", "agent.num_minibatches=2"),
    *("env.episode_length_s=1.0", "evaluation.num_envs=3", "evaluation.every=6", "checkpoint.export=false"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Iterator[Path]:
    """Holds `straight`, which nobody watches, and `parted`, which all do: stopped after 8 of 12 iterations."""
    root = tmp_path_factory.mktemp("watched")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WANDB", "MLFLOW"))]:
            patch.delenv(name)
        for kind in ("DATA", "CACHE", "CONFIG"):
            patch.setenv(f"WANDB_{kind}_DIR", str(root / f"wandb_{kind}"))
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        train.main([*TOY, "trainer.max_epochs=12", "logger=[csv]", f"run.dir={root / 'straight'}"])
        watched = [*TOY, "logger=[csv,wandb,mlflow,tensorboard]", f"run.dir={root / 'parted'}", f"run.root={root}"]
        train.main([*watched, "trainer.max_epochs=8"])
        train.main([f"resume={root / 'parted'}", "trainer.max_epochs=12"])
    yield root


def payloads(path: Path) -> Iterator[bytes]:
    """Yield the records in a file of W&B: blocks of 32 kB with parts behind heads of 7 bytes, as LevelDB logs have."""
    data, place, whole = path.read_bytes(), 7, b""
    while place < len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        # A whole record, or the last part of one.
        if kind in (1, 4):
            yield whole
            whole = b""


def records(run: Path) -> list[dict[str, list[Any]]]:
    """What each start of a run wrote for W&B, the first one first: kind of record -> the records."""
    from wandb.proto.wandb_internal_pb2 import Record

    starts = []
    for path in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        found: dict[str, list[Any]] = {}
        for record in map(Record.FromString, payloads(path)):
            kind = record.WhichOneof("record_type")
            found.setdefault(kind, []).append(getattr(record, kind))
        starts.append(found)
    return starts


def rows(history: list[Any]) -> list[dict[str, Any]]:
    return [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row.item} for row in history
    ]


def test_a_run_that_is_watched_is_the_same_to_the_bit(root):
    assert compare(root / "straight", root / "parted") == ""


def test_wandb_has_config_numbers_tables_and_checkpoints_and_goes_on_under_the_same_id(root):
    first, second = records(root / "parted")
    (one,), (two,) = first["run"], second["run"]
    assert one.run_id == two.run_id == json.loads((root / "parted/trackers.json").read_text())["wandb"]
    assert (one.project, one.display_name) == ("rlmpc", "toy teacher parted")
    before, after = ({item.key: json.loads(item.value_json) for item in run.config.update} for run in (one, two))
    assert before["agent"]["gamma"] == 0.99
    assert (before["trainer"]["max_epochs"], after["trainer"]["max_epochs"]) == (8, 12)

    logged = [*rows(first["history"]), *rows(second["history"])]
    numbers = [row for row in logged if "train/kl" in row]
    assert [row["trainer/global_step"] for row in numbers] == [*range(12)]
    assert [row["train/kl"] for row in numbers] == [float(row["train/kl"]) for row in curve(root / "parted")]
    tables = [row for row in logged if row.get("evaluation/table._type") == "table-file"]
    assert [row["trainer/global_step"] for row in tables] == [5, 11]
    models = [[artifact for artifact in start["artifact"] if artifact.type == "model"] for start in (first, second)]
    kept = [{entry.path: sorted(one.aliases) for one in part for entry in one.manifest.contents} for part in models]
    assert kept == [
        {"epoch=5.ckpt": ["best", "latest"], "epoch=7.ckpt": ["last", "latest"]},
        {"epoch=11.ckpt": ["best", "last", "latest"]},
    ]


def test_mlflow_has_config_numbers_tables_and_checkpoints_and_goes_on_under_the_same_id(root):
    client = mlflow.MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("rlmpc")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == json.loads((root / "parted/trackers.json").read_text())["mlflow"]
    assert (run.info.run_name, run.info.status) == ("toy teacher parted", "FINISHED")
    assert (run.data.params["agent.gamma"], run.data.params["trainer.max_epochs"]) == ("0.99", "8")
    kl = client.get_metric_history(run.info.run_id, "train/kl")
    assert [(one.step, one.value) for one in sorted(kl, key=lambda one: one.step)] == [
        (int(row["step"]), float(row["train/kl"])) for row in curve(root / "parted")
    ]
    (files,) = (root / ".mlflow").glob("*/artifacts")
    assert {str(path.relative_to(files)) for path in files.rglob("*.*") if path.is_file()} == {
        *("config.yaml", "evaluation/table/iteration=6.csv", "evaluation/table/iteration=12.csv"),
        *("checkpoints/epoch=5.ckpt", "checkpoints/epoch=7.ckpt", "checkpoints/epoch=11.ckpt"),
    }
    assert run.data.tags["checkpoint.last"] == "epoch=11.ckpt"
    with (files / "evaluation/table/iteration=12.csv").open() as file:
        shares = {row["of the episodes"]: float(row["share"]) for row in csv.DictReader(file)}
    assert shares.keys() == {"success", "success/arena", "falls", "followed"}
    assert "max_epochs: 12" in (files / "config.yaml").read_text()


def test_a_run_that_wandb_does_not_take_is_one_sentence_however_it_fails(monkeypatch, tmp_path):
    """Something else listens where WANDB_SERVICE points."""
    from wandb.sdk.mailbox import MailboxClosedError

    from rlmpc.errors import RunError
    from rlmpc.run.wandb_log import WandbLog

    def fail(_):
        raise MailboxClosedError

    monkeypatch.setattr(WandbLog, "experiment", property(fail))
    with pytest.raises(RunError, match=r"^W&B does not take the run: MailboxClosedError$"):
        WandbLog(tmp_path, "name", {})


def test_tensorboard_has_the_tables_too(root):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tensors = EventAccumulator(str(root / "parted")).Reload()
    shown = tensors.Tensors("evaluation/table/text_summary")
    assert [event.step for event in shown] == [5, 11]
    assert b"| success/arena | " in shown[0].tensor_proto.string_val[0]
