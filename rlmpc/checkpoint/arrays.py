"""Tensors in files: what sizes and types of numbers a field accepts, and how they are compared with others.

Sizes are named by letters; within one piece of data that is checked, a letter stands for one number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from rlmpc.contract.differences import differences


@dataclass(frozen=True)
class Array:
    """Annotates a tensor: one block of memory of its own, with these sizes and this type of number."""

    sizes: tuple[str | int, ...]
    """Numbers, or letters; `...` at the end takes any further sizes."""
    dtype: str = "float32"
    """Empty takes any."""
    least: float | None = None
    """The least value of an entry; None takes any, infinite ones and NaN too."""
    below: float = math.inf
    """What every entry must be below if there is a least value."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._check)

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        sizes = tuple(size for size in self.sizes if size != "...")
        words = f"input should be a tensor of {self.dtype} with sizes ({', '.join(map(str, self.sizes))})"
        shape = tuple(getattr(value, "shape", ()))
        is_right = hasattr(value, "layout") and kind_of(value).startswith(self.dtype) and len(shape) >= len(sizes)
        if not is_right or (len(shape) > len(sizes) and sizes == self.sizes) or not value.is_contiguous():
            raise ValueError(words)
        for wanted, found in zip(sizes, shape, strict=False):
            if _bound(info, wanted, found) != found:
                raise ValueError(f"{words}, where {wanted} = {_bound(info, wanted, found)}")
        if self.least is not None and not bool(((value >= self.least) & (value < self.below)).all()):
            raise ValueError(f"every entry should be at least {self.least} and below {self.below}")
        return value


@dataclass(frozen=True)
class Letter:
    """Annotates a number, or a list by its length, that is the size of tensors in the same file."""

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        size = value if isinstance(value, int) else len(value)
        if (known := _bound(info, self.name, size)) != size:
            raise ValueError(f"{self.name} should be {known}, as elsewhere in the file, not {size}")
        return value


def _bound(info: ValidationInfo, size: str | int, found: int) -> int:
    """Return the number that a size stands for; a letter seen for the first time stands for what was found."""
    assert info.context is not None
    return size if isinstance(size, int) else info.context.setdefault(size, found)


def kind_of(value: Any) -> str:
    """Return the type of a value in words: for a tensor its type of numbers and its sizes."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__


def kinds(tree: Any) -> Any:
    """Return nested plain data with `kind_of` in place of every value but names, by which `differences` tells lists."""
    if isinstance(tree, Mapping):
        return {key: value if key == "name" and isinstance(value, str) else kinds(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [kinds(value) for value in tree]
    return kind_of(tree)


def misfits(there: Any, here: Any, path: str = "") -> list[str]:
    """Return a line `path: there | here` for everything in nested data from a file that is of another kind than here.

    Kinds are names, types of numbers, sizes of tensors, and lengths of lists.
    """
    return differences(kinds(there), kinds(here), path)
