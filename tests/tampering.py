"""Edits of nested data, as somebody who tampers with a file would make them: every field, in every way."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Edit:
    """One change at one place."""

    path: Path
    name: str
    change: Callable[[Any], Any]
    """Gives the new value from the old one; raises `KeyError` if the entry goes."""

    def __str__(self) -> str:
        return f"{self.name} at {'.'.join(map(str, self.path))}"

    def of(self, tree: Any) -> Any:
        """An edited copy of the tree."""
        return _put(tree, self.path, self.change)


def sample(tree: Any, number: int, seed: int) -> list[Edit]:
    """Some of all edits: as many of every section of the tree as far as there are."""
    rng = random.Random(seed)
    sections: dict[Any, list[Path]] = {}
    for path in _paths(tree):
        if path:
            sections.setdefault(path[:2], []).append(path)
    edits: list[Edit] = []
    while len(edits) < number:
        for paths in sections.values():
            path = rng.choice(paths)
            name, change = rng.choice(list(_changes(_at(tree, path)).items()))
            edits.append(Edit(path, name, change))
    return rng.sample(edits, number)


def _changes(value: Any) -> dict[str, Callable[[Any], Any]]:
    def gone(value: Any) -> Any:
        raise KeyError

    constants = {
        **{"null": None, "text": "text", "negative": -1, "zero": 0, "large": 10**9, "huge": 2**63, "float": 1e300},
        **{"NaN": float("nan"), "infinite": float("inf"), "true": True, "list": [], "dict": {}, "markup": "[/x]\n${a}"},
    }
    changes: dict[str, Callable[[Any], Any]] = {"gone": gone}
    changes |= {name: lambda _, new=new: new for name, new in constants.items()}
    if isinstance(value, dict):
        changes |= {"one more": lambda v: {**v, "more": 1}, "a number as key": lambda v: {**v, 3: 1}}
    if isinstance(value, list | tuple):
        changes |= {"shorter": lambda v: v[:-1], "longer": lambda v: type(v)([*v, *v[:1]])}
    if isinstance(value, str):
        changes |= {"control characters": lambda v: f"{v}\x00", "a lone surrogate": lambda v: f"{v}\ud800"}
    if isinstance(value, Tensor):
        changes |= {
            "more rows": lambda v: torch.cat([v, v]) if v.dim() else v.repeat(2),
            "flat": lambda v: v.flatten()[1:].clone(),
            "doubles": lambda v: v.double(),
            "halves": lambda v: v.half(),
            "integers": lambda v: v.int(),
            "one row for all": lambda v: v.new_zeros((1,) * max(v.dim(), 1)).expand(v.shape or (1,)),
            "terabytes": lambda v: v.new_zeros(1).expand(10**12),
            "no numbers": lambda v: torch.full_like(v.float(), torch.nan),
            "negative numbers": lambda v: torch.full_like(v.double(), -1).to(v.dtype),
            "a list": lambda v: v.flatten()[:5].tolist(),
        }
    return changes


def _paths(tree: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, (*path, key))
    elif isinstance(tree, list | tuple):
        for index in range(len(tree)) if len(tree) < 20 else (0, len(tree) - 1):
            yield from _paths(tree[index], (*path, index))


def _at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _put(tree: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(tree)
    key, *rest = path
    entries = dict(tree) if isinstance(tree, dict) else dict(enumerate(tree))
    if rest:
        entries[key] = _put(entries[key], tuple(rest), change)
    else:
        try:
            entries[key] = change(entries[key])
        except KeyError:
            del entries[key]
    return entries if isinstance(tree, dict) else type(tree)(entries.values())
