"""Runs in Weights & Biases, offline, read back from the files that `wandb sync` sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import train
from tests.same_run import compare, curve

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow

TOY = ["task=toy", "device=cpu", "num_envs=16", "agent.num_steps=8", "env.episode_length_s=1.0",
       "evaluation.num_envs=3", "evaluation.every=6"]  # fmt: skip


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path_factory):
    for kind in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{kind}_DIR", str(tmp_path_factory.getbasetemp() / "wandb" / kind))
    monkeypatch.setenv("WANDB_MODE", "offline")


def records(run: Path) -> list[dict[str, list[Any]]]:
    """What each start of a run wrote, the first one first: kind of record -> the records."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    starts = []
    for path in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        store, found = DataStore(), {}
        store.open_for_scan(str(path))
        while (data := store.scan_data()) is not None:
            record = Record()
            record.ParseFromString(data)
            kind = record.WhichOneof("record_type")
            found.setdefault(kind, []).append(getattr(record, kind))
        starts.append(found)
    return starts


def rows(history: list[Any]) -> list[dict[str, Any]]:
    return [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row.item} for row in history
    ]


def test_a_run_offline_holds_config_numbers_tables_and_checkpoints_and_goes_on_under_its_id(command, tmp_path):
    assert command(train.main, *TOY, "trainer.max_epochs=12", "logger=[csv]", "run.dir=straight")[0] == 0
    arguments = [*TOY, "logger=[csv,wandb]", "run.dir=parted", "trainer.max_epochs=8"]
    assert command(train.main, *arguments)[0] == 0
    assert command(train.main, "resume=parted", "trainer.max_epochs=12")[0] == 0
    # Watched or not, the run is the same.
    assert compare(tmp_path / "straight", tmp_path / "parted") == ""

    first, second = records(tmp_path / "parted")
    (one,), (two,) = first["run"], second["run"]
    assert one.run_id == two.run_id == json.loads((tmp_path / "parted/trackers.json").read_text())["wandb"]
    assert (one.project, one.display_name) == ("rlmpc", "toy teacher parted")
    config = {item.key: json.loads(item.value_json) for item in one.config.update}
    assert config["agent"]["gamma"] == 0.99
    assert config["trainer"]["max_epochs"] == 8
    changed = {item.key: json.loads(item.value_json) for item in two.config.update}
    assert changed["trainer"]["max_epochs"] == 12

    logged = rows(first["history"]), rows(second["history"])
    steps = [[row["trainer/global_step"] for row in part if "train/kl" in row] for part in logged]
    assert steps == [[*range(8)], [*range(8, 12)]]
    kl = [row["train/kl"] for part in logged for row in part if "train/kl" in row]
    assert kl == [float(row["train/kl"]) for row in curve(tmp_path / "parted")]
    tables = [[row["trainer/global_step"] for row in part if "evaluation/table" in row] for part in logged]
    assert tables == [[5], [11]]
    for start, last in ((first, "epoch=7.ckpt"), (second, "epoch=11.ckpt")):
        artifacts = [request.log_artifact.artifact for request in start["request"]] if "request" in start else []
        print(start.keys(), artifacts, last)
