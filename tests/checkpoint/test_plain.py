"""What a file may ask for before anybody knows what it holds: archives and pickles that claim more than they have."""

from __future__ import annotations

import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlmpc.checkpoint import plain
from rlmpc.checkpoint.plain import read_plain
from rlmpc.errors import UserError


def read(path: Path) -> Any:
    with path.open("rb") as file:
        return read_plain(file, path, "a checkpoint")


def refusal(path: Path) -> str:
    """What is said of a file, in one line that names it, without taking memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as caught:
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    return sentence


def with_parts(path: Path, change: Callable[[dict[str, bytes]], object], compression: int = zipfile.ZIP_STORED) -> Path:
    """A file of one tensor with other parts; its checksums are right."""
    torch.save({"a": torch.arange(8.0)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def with_pickle(path: Path, data: bytes) -> Path:
    return with_parts(path, lambda parts: parts.update({f"{path.stem}/data.pkl": data}))


def integer(value: int) -> bytes:
    """An integer in a pickle."""
    data = value.to_bytes(16, "little")
    return pickle.LONG1 + bytes([len(data)]) + data


def test_plain_data_comes_back_as_it_was(tmp_path: Path):
    state = {"a": torch.arange(6.0).view(2, 3), 3: [1, 2.5, None, True, "x"], "t": (1, (2,)), "s": {1, 2}, "n": 2**63}
    torch.save(state, tmp_path / "a.ckpt")
    got = read(tmp_path / "a.ckpt")
    assert torch.equal(got.pop("a"), state.pop("a"))
    assert got == state


def test_a_row_that_all_environments_share_stays_one_row(tmp_path: Path):
    torch.save({"a": torch.ones(1, 3).expand(5, 3)}, tmp_path / "a.ckpt")
    rows = read(tmp_path / "a.ckpt")["a"]
    assert (rows.shape, rows.untyped_storage().nbytes()) == ((5, 3), 12)


def test_what_python_hangs_on_to_a_dict_or_a_tensor_is_left_behind(tmp_path: Path):
    weights = nn.Linear(2, 2).state_dict()
    assert weights._metadata
    torch.save({"weights": weights, "turned": torch.ones(2, 3).t()}, tmp_path / "a.ckpt")
    got = read(tmp_path / "a.ckpt")
    assert type(got["weights"]) is dict
    assert got["turned"].is_contiguous()


@pytest.mark.parametrize("most", [4, 10**6, 10**12, 2**62])
def test_a_storage_that_claims_other_bytes_than_it_has_is_refused(tmp_path: Path, most: int):
    def claim(parts: dict[str, bytes]) -> None:
        start, end = parts["a/data.pkl"].split(b"cpuq\x06K\x08")
        parts["a/data.pkl"] = start + b"cpuq\x06" + integer(most) + end

    assert "cannot be read" in refusal(with_parts(tmp_path / "a.ckpt", claim))


@pytest.mark.parametrize("sizes", [(10**12,), (10**9, 10**3), (2, 10**11)])
def test_an_expanded_tensor_takes_no_memory_and_is_refused_but_in_its_first_dimension(tmp_path: Path, sizes: tuple):
    torch.save({"state": {"deep": torch.zeros((1,) * len(sizes)).expand(sizes)}}, tmp_path / "a.ckpt")
    if len(sizes) == 1:
        assert read(tmp_path / "a.ckpt")["state"]["deep"].shape == sizes
    else:
        assert "a tensor in 'state.deep'" in refusal(tmp_path / "a.ckpt")


ODD: dict[str, Callable[[], Tensor]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "compressed": lambda: torch.eye(3).to_sparse_csr(),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.strided),
    "without memory": lambda: torch.zeros(3, device="meta"),
    "quantized": lambda: torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
    "complex": lambda: torch.zeros(3, dtype=torch.complex64),
    "negated": lambda: torch.zeros(3, dtype=torch.complex64).conj().imag,
    "with gradient": lambda: torch.zeros(3, requires_grad=True),
    "parameter": lambda: nn.Parameter(torch.zeros(3)),
    "overlapping": lambda: torch.zeros(30).as_strided((20, 10), (1, 1)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_a_tensor_of_another_kind_is_refused(tmp_path: Path, kind: str):
    torch.save({"a": ODD[kind]()}, tmp_path / "a.ckpt")
    refusal(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    "value", [b"bytes", bytearray(8), 2**70, 1 + 2j, {(1, 2): 3}, {None: 1}, {"a"}, torch.Size([2])]
)
def test_other_types_of_data_are_refused(tmp_path: Path, value: Any):
    torch.save({"a": value}, tmp_path / "a.ckpt")
    refusal(tmp_path / "a.ckpt")


def test_a_compressed_part_is_refused(tmp_path: Path):
    bomb = with_parts(tmp_path / "a.ckpt", lambda p: p.update({"a/data/1": bytes(10**8)}), zipfile.ZIP_DEFLATED)
    assert "claims parts that its bytes do not hold" in refusal(bomb)


def test_parts_that_share_bytes_or_a_name_are_refused(tmp_path: Path):
    path = with_parts(tmp_path / "a.ckpt", lambda parts: parts.update({"a/data/1": bytes(10**6)}))
    data = bytearray(path.read_bytes())
    # The entry of the largest part in the directory at the end; it comes again under another name.
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"a/data/1"))
    entry = data[at : data.index(b"PK", at + 4)]
    twin, end = entry.replace(b"a/data/1", b"a/data/2"), data.rindex(b"PK\x05\x06")
    count, size, start = struct.unpack("<8xHHII", data[end : end + 20])[1:]
    tail = b"PK\x05\x06" + struct.pack("<4xHHIIH", count + 1, count + 1, size + len(twin), start, 0)
    path.write_bytes(data[:end] + twin + tail)
    assert "claims parts that its bytes do not hold" in refusal(path)
    path.write_bytes(data[:end] + entry + tail)
    assert "claims parts that its bytes do not hold" in refusal(path)


NESTED = 1_000_000


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        # Python would end with a segmentation fault when it hashes this key.
        (b"\x80\x02})" + pickle.TUPLE1 * NESTED + b"K\x01s.", "is nested too deeply"),
        (b"\x80\x02" + pickle.EMPTY_LIST * 1000 + pickle.APPEND * 999 + b".", "is nested too deeply"),
        (b"\x80\x02]" + pickle.BINPUT + b"\x00" + b"h\x00" + pickle.APPEND + b".", "is nested too deeply"),
        (b"\x80\x02](" + pickle.NONE * 30_000 + pickle.APPENDS + b".", "holds more than 10000 objects"),
        (b"\x80\x02c__builtin__\nbytearray\n" + integer(10**12) + pickle.TUPLE1 + pickle.REDUCE + b".", "refused"),
        (b"\x80\x02" + pickle.BINUNICODE + b"\xff\xff\xff\x7f" + b"a.", "cannot be read"),
        (b"\x80\x02h\x07.", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_a_pickle_that_takes_memory_or_has_no_end_is_refused(tmp_path: Path, monkeypatch, data: bytes, sentence: str):
    monkeypatch.setattr(plain, "MAX_PARTS", 10_000)
    assert sentence in refusal(with_pickle(tmp_path / "a.ckpt", data))


def test_lists_that_multiply_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(plain, "MAX_PARTS", 10_000)
    value: list[Any] = [0]
    for _ in range(30):
        value = [value, value]
    torch.save(value, tmp_path / "a.ckpt")
    assert "holds more than 10000 objects" in refusal(tmp_path / "a.ckpt")
