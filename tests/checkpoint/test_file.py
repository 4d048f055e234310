from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rlmpc.checkpoint.file import CHECKPOINT_FORMAT, describe_run, load_checkpoint
from rlmpc.checkpoint.weights import load_weights
from rlmpc.errors import UserError
from tests.checkpoint.written import CONFIG, CONTRACT, REPORT, content, saved


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    return sentence


def test_what_was_saved_is_loaded(tmp_path: Path):
    loaded = load_checkpoint(saved(tmp_path / "a.ckpt"))
    assert loaded.path == tmp_path / "a.ckpt"
    assert loaded.iteration == 7
    assert loaded.config == CONFIG
    assert loaded.numbers == REPORT
    assert loaded.hyperparameters == content()["hyper_parameters"]
    assert loaded.algorithm == "ppo"
    assert loaded.state_dict["policy.weight"].tolist() == [0.0, 1.0, 2.0]
    assert loaded.content.keys() == content().keys()
    assert loaded.curriculum is not None
    assert loaded.curriculum["levels"].tolist() == [1, 2]


def test_a_checkpoint_without_environments_has_none(tmp_path: Path):
    data = content()
    del data["RolloutDataModule"]
    assert load_checkpoint(saved(tmp_path / "a.ckpt", data)).curriculum is None


def test_the_hash_is_that_of_the_file(tmp_path: Path):
    first, same = saved(tmp_path / "a.ckpt"), tmp_path / "b.ckpt"
    same.write_bytes(first.read_bytes())
    other = saved(tmp_path / "c.ckpt", content(epoch=7))
    hashes = [load_checkpoint(path).sha256 for path in (first, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 64


def test_a_missing_file_is_named(tmp_path: Path):
    assert "there is no checkpoint" in refusal(tmp_path / "a.ckpt")
    assert "there is no checkpoint" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_part_of_a_checkpoint_is_refused(tmp_path: Path, share: float):
    path = saved(tmp_path / "a.ckpt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "only a part of one" in refusal(path)


def test_one_wrong_bit_in_a_weight_is_refused(tmp_path: Path):
    path = saved(tmp_path / "a.ckpt", content(state_dict={"policy.weight": torch.arange(100.0, 200.0)}))
    whole = bytearray(path.read_bytes())
    whole[whole.index(torch.tensor([150.0, 151.0]).numpy().tobytes())] ^= 1
    path.write_bytes(whole)
    assert "a checksum in it is wrong" in refusal(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_damaged_pickle_with_a_right_checksum_is_refused_in_one_sentence(tmp_path: Path):
    """Whichever byte is another one, the outcome is a checkpoint or one sentence."""
    whole, path = zipfile.ZipFile(saved(tmp_path / "whole.ckpt")), tmp_path / "a.ckpt"
    parts = {name: whole.read(name) for name in whole.namelist()}
    (pickled,) = (name for name in parts if name.endswith("data.pkl"))
    num_refused = 0
    for position in range(0, len(parts[pickled]), 3):
        damaged = bytearray(parts[pickled])
        damaged[position] ^= 0x55
        with zipfile.ZipFile(path, "w") as file:
            for name, part in (parts | {pickled: bytes(damaged)}).items():
                file.writestr(name, part)
        try:
            load_checkpoint(path)
        except UserError:
            num_refused += 1
    assert num_refused > 50


@pytest.mark.parametrize(
    "foreign",
    [[1, 2], torch.zeros(3), 3.5, {"model": torch.zeros(2)}, {"epoch": 1, "state_dict": {}}, {"rlmpc": None}],
)
def test_a_file_of_another_project_is_refused(tmp_path: Path, foreign: Any):
    assert "is not a checkpoint of this project" in refusal(saved(tmp_path / "a.ckpt", foreign))


def test_a_text_file_is_refused(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    path.write_text("not a checkpoint at all")
    assert "is not a checkpoint" in refusal(path)


@pytest.mark.parametrize("version", [CHECKPOINT_FORMAT + 1, None, "1"])
def test_another_format_is_refused_and_named(tmp_path: Path, version: Any):
    path = saved(tmp_path / "a.ckpt", content(rlmpc=describe_run(CONFIG, REPORT) | {"format": version}))
    assert f"has format {version!r}; this version reads format {CHECKPOINT_FORMAT}" in refusal(path)


@pytest.mark.parametrize("key", ["epoch", "state_dict", "hyper_parameters"])
def test_a_checkpoint_that_lacks_something_is_refused(tmp_path: Path, key: str):
    data = content()
    del data[key]
    assert f"lacks '{key}'" in refusal(saved(tmp_path / "a.ckpt", data))


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": "six"},
        {"RolloutDataModule": 3},
        {"rlmpc": {"format": CHECKPOINT_FORMAT}},
        {"hyper_parameters": {}},
        {"hyper_parameters": 3},
        {"hyper_parameters": {"agent": {}, "contract": CONTRACT.to_dict()}},
        {"hyper_parameters": {"agent": {"algorithm": "ppo"}, "contract": {}}},
        {"hyper_parameters": {"agent": {"algorithm": "ppo"}, "contract": CONTRACT.to_dict() | {"observations": 3}}},
        {"hyper_parameters": {"agent": {"algorithm": "ppo"}}},
        {"state_dict": [1]},
        {"state_dict": {"policy.weight": 3}},
    ],
)
def test_a_checkpoint_with_other_contents_is_refused(tmp_path: Path, changes: dict[str, Any]):
    refusal(saved(tmp_path / "a.ckpt", content(**changes)))


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_the_payload_of_these_tests_runs_where_nothing_holds_it_back(tmp_path: Path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", ["rlmpc", "state_dict", "hyper_parameters", "other"])
def test_code_inside_a_checkpoint_does_not_run(tmp_path: Path, place: str):
    path = saved(tmp_path / "a.ckpt", content(**{place: Payload(tmp_path / "ran")}))
    assert "could run code; refused" in refusal(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("wrap", [lambda payload: payload, lambda payload: {"rlmpc": payload}])
def test_code_inside_a_plain_pickle_does_not_run(tmp_path: Path, wrap: Any):
    path = tmp_path / "a.ckpt"
    path.write_bytes(pickle.dumps(wrap(Payload(tmp_path / "ran"))))
    refusal(path)
    torch.save(wrap(Payload(tmp_path / "ran")), path, _use_new_zipfile_serialization=False)
    refusal(path)
    assert not (tmp_path / "ran").exists()


def test_weights_that_fit_are_taken_over():
    module, other = nn.Linear(3, 2), nn.Linear(3, 2)
    load_weights(module, other.state_dict(), "a.ckpt")
    assert torch.equal(module.weight, other.weight)


def test_weights_that_do_not_fit_are_listed_and_nothing_is_changed():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = module[0].bias.clone()
    weights = module.state_dict() | {"0.weight": torch.zeros(2, 4), "0.bias": torch.ones(2), "2.weight": torch.zeros(1)}
    del weights["1.bias"]
    with pytest.raises(UserError) as caught:
        load_weights(module, weights, "runs/a.ckpt")
    assert str(caught.value).splitlines() == [
        "the weights in 'runs/a.ckpt' do not fit its networks (there | here):",
        "  0.weight: float32 [2, 4] | float32 [2, 3]",
        "  2.weight: float32 [1] | missing",
        "  1.bias: missing | float32 [1]",
    ]
    assert torch.equal(module[0].bias, before)
