"""Reads what `torch.save` wrote as plain data: nothing in it is executed or decides what memory is taken.

A file of ours is an archive of uncompressed parts: a pickle, and the memory of every tensor. All that the archive and
the pickle may ask for is checked before torch reads them, and all that they hold before anybody sees it.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rlmpc.errors import UserError

MAX_PICKLE_BYTES = 2**25
MAX_PARTS = 1_000_000
"""Largest number of objects in a file."""
MAX_DEPTH = 32
"""Largest number of containers within each other."""
MAX_INTEGER = 2**64

GLOBALS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "__builtin__ set", "builtins set"}
"""What the pickle of a file of ours refers to by name, besides types of storage."""


def has_right_checksums(file: Path | IO[bytes]) -> bool:
    """Return whether the checksum of every part of a checkpoint is right.

    Raises:
        zipfile.BadZipFile: if the file is cut off or of another kind.
    """
    with zipfile.ZipFile(file) as parts:
        return parts.testzip() is None


def read_plain(file: IO[bytes], path: Path, what: str, is_outline: bool = False) -> Any:
    """Read what torch wrote into a file: dicts, lists, tuples, sets, strings, numbers, and tensors on the CPU.

    Args:
        file: the opened file.
        path: its path, for messages.
        what: what the file should be, for messages.
        is_outline: whether the tensors are not looked at: they stay in the file, and checksums are not compared.

    Raises:
        UserError: if it is damaged, of another kind, or holds more than plain data.
    """
    try:
        return _load(file, path if is_outline else None)
    except zipfile.BadZipFile as error:
        raise UserError(f"'{path}' is not {what}, or only a part of one") from error
    except pickle.UnpicklingError as error:
        raise UserError(f"'{path}' holds more than tensors and plain data, which could run code; refused") from error
    except _RefusedError as error:
        raise UserError(f"'{path}' {error}") from error
    except Exception as error:  # Unpickling damaged data can raise anything.
        raise UserError(f"'{path}' cannot be read; it is damaged or not {what}") from error


class _RefusedError(Exception):
    """What is wrong with a file: the rest of a sentence that begins with its name."""


def _load(file: IO[bytes], mapped: Path | None) -> Any:
    with zipfile.ZipFile(file) as parts:
        _check_archive(parts, file.seek(0, 2))
        # torch does not compare checksums: it would load weights with flipped bits.
        if mapped is None and parts.testzip() is not None:
            raise _RefusedError("is damaged: a checksum in it is wrong")
        pickles = [part for part in parts.infolist() if part.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE_BYTES:
            raise _RefusedError(f"should hold one pickle of at most {MAX_PICKLE_BYTES} bytes; it was changed")
        _check_pickle(parts.read(pickles[0]))
    # The import takes seconds; a mistyped name should be reported before.
    import torch

    file.seek(0)
    content = torch.load(mapped or file, map_location="cpu", weights_only=True, mmap=mapped is not None)
    return _copied(content, "", 0, iter(range(MAX_PARTS)))


def _check_archive(parts: zipfile.ZipFile, size: int) -> None:
    """Refuse parts that are compressed, share their name or their bytes, or claim more bytes than the file has."""
    infos = parts.infolist()
    is_plain = all(info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size for info in infos)
    claimed = sum(info.file_size for info in infos)
    if not is_plain or claimed > size or len({info.filename for info in infos}) < len(infos):
        raise _RefusedError("claims parts that its bytes do not hold; it was changed")


def _check_pickle(data: bytes) -> None:
    """Refuse a pickle that refers to other names, holds too many objects, or nests tuples without end.

    Only tuples can be the keys of a dict; hashing one that is nested a million times ends the process.

    Raises:
        pickle.UnpicklingError: for another name.
        _RefusedError: for anything else.
    """
    depths: list[int] = []
    marks: list[int] = []
    memo: dict[int, int] = {}
    argument: Any
    for number, (operation, argument, _) in enumerate(pickletools.genops(data)):
        name = operation.name
        if number > 2 * MAX_PARTS:
            raise _RefusedError(f"holds more than {MAX_PARTS} objects; it was changed")
        if name == "GLOBAL" and argument not in GLOBALS and not _is_storage(str(argument)):
            raise pickle.UnpicklingError(argument)
        if name == "MARK":
            marks.append(len(depths))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[int(argument)] = depths[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            depths.append(memo[int(argument)])
        elif name == "TUPLE" or name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            start = marks.pop() if name == "TUPLE" else len(depths) - int(name[-1])
            depth = 1 + max(depths[start:], default=0)
            if depth > MAX_DEPTH:
                raise _RefusedError("is nested too deeply; it was changed")
            depths[start:] = [depth]
        elif name in ("SETITEMS", "APPENDS"):
            del depths[marks.pop() :]
        elif taken := _TAKEN.get(name):
            depths[-taken:] = [0]
        elif name not in ("PROTO", "STOP"):
            depths.append(0)


_TAKEN = {"SETITEM": 3, "APPEND": 2, "REDUCE": 2, "NEWOBJ": 2, "BUILD": 2, "BINPERSID": 1}
"""Objects that an operation of a pickle takes from the stack, for the one that it leaves."""


def _is_storage(name: str) -> bool:
    module, _, kind = name.partition(" ")
    return module in ("torch", "torch.storage") and kind.endswith("Storage")


def _copied(value: Any, path: str, depth: int, counter: Iterator[int]) -> Any:
    """Return a copy of plain data on the same memory, in containers of Python's own and without attributes.

    Raises:
        _RefusedError: if something else is in it.
    """
    import torch

    kind = type(value)
    if next(counter, None) is None:
        raise _RefusedError(f"holds more than {MAX_PARTS} objects; it was changed")
    if depth > MAX_DEPTH:
        raise _RefusedError(f"is nested too deeply at '{_start(path)}'; it was changed")
    if kind in (dict, OrderedDict):
        if not all(type(key) in (str, int) for key in value):
            raise _RefusedError(f"has a key in '{_start(path)}' that is no text and no number; it was changed")
        return {key: _copied(entry, f"{path}.{key}", depth + 1, counter) for key, entry in value.items()}
    if kind in (list, tuple):
        return kind(_copied(entry, f"{path}.{index}", depth + 1, counter) for index, entry in enumerate(value))
    if kind is set and all(type(entry) is int for entry in value):
        return set(value)
    if kind is torch.Tensor:
        return _plain_tensor(value, path)
    if kind is int and abs(value) > MAX_INTEGER:
        raise _RefusedError(f"holds too large a number in '{_start(path)}'; it was changed")
    if value is None or kind in (bool, int, float, str):
        return value
    raise _RefusedError(f"holds a {kind.__name__} in '{_start(path)}', which is not plain data; it was changed")


def _plain_tensor(value: Any, path: str) -> Any:
    """Return a contiguous tensor without attributes; refuse one that is not plain memory on the CPU.

    It may be expanded in its first dimension (see `rlmpc.checkpoint.compact`), which takes no memory, but nowhere else.
    """
    import torch

    is_expanded = False
    is_plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
    is_plain = is_plain and not (value.is_nested or value.is_complex() or value.is_neg() or value.requires_grad)
    if is_plain:
        is_expanded = value.dim() > 0 and value.stride(0) == 0
        row = value[:1] if is_expanded else value
        is_plain = row.numel() * row.element_size() <= row.untyped_storage().nbytes()
    if not is_plain:
        raise _RefusedError(f"holds a tensor in '{_start(path)}' that is not plain numbers on the CPU; it was changed")
    return value.detach() if is_expanded else value.detach().contiguous()


def _start(path: str) -> str:
    path = path.removeprefix(".")
    return path if len(path) <= 200 else f"{path[:197]}..."
