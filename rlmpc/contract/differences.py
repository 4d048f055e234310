"""What differs between two pieces of plain data, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any, TypeGuard

RELATIVE_TOLERANCE = 1e-5
"""Relative difference up to which numbers count as equal; single precision on another device differs by less."""

Plain = Any
"""Dicts, lists, strings, numbers and None, nested."""


def differences(there: Plain, here: Plain, path: str = "") -> list[str]:
    """Return a line `path: there | here` for everything that differs between two pieces of plain data."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        names = [*there, *(name for name in here if name not in there)]
        return [line for name in names for line in _at(there, here, name, f"{path}.{name}".lstrip("."))]
    if _is_list(there) and _is_list(here):
        return _list_differences(there, here, path)
    return [] if _equal(there, here) else [f"{path}: {_shown(there)} | {_shown(here)}"]


def _at(there: Mapping[str, Plain], here: Mapping[str, Plain], name: str, path: str) -> list[str]:
    if name in there and name in here:
        return differences(there[name], here[name], path)
    present = there if name in there else here
    sides = (_shown(present[name]), "missing")
    return [f"{path}: {' | '.join(sides if name in there else reversed(sides))}"]


def _list_differences(there: Sequence[Plain], here: Sequence[Plain], path: str) -> list[str]:
    """Compare named entries by order, then by name; compare others one by one and report how many differ."""
    names = [
        [entry["name"] for entry in side if isinstance(entry, Mapping) and "name" in entry] for side in (there, here)
    ]
    if names[0] and names[1]:
        order = [] if names[0] == names[1] else [f"{path}, order: {', '.join(names[0])} | {', '.join(names[1])}"]
        by_name = [{entry["name"]: entry for entry in side} for side in (there, here)]
        shared = [name for name in names[0] if name in by_name[1]]
        inner = [differences(by_name[0][name], by_name[1][name], f"{path}.{name}") for name in shared]
        return order + [line for lines in inner for line in lines]
    if len(there) != len(here):
        return [f"{path}: {len(there)} entries | {len(here)} entries"]
    unlike = [i for i, (a, b) in enumerate(zip(there, here, strict=True)) if not _equal(a, b)]
    if not unlike:
        return []
    first = unlike[0]
    return [
        f"{path}: {len(unlike)} of {len(there)} entries, the first at {first}: "
        f"{_shown(there[first])} | {_shown(here[first])}"
    ]


def _is_list(value: Plain) -> TypeGuard[Sequence[Plain]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _equal(there: Plain, here: Plain) -> bool:
    numbers = (int, float)
    if isinstance(there, numbers) and isinstance(here, numbers):
        return isclose(there, here, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-9)
    return there == here


def _shown(value: Plain) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
