"""Trees of tensors: nested dicts and dataclasses with tensors as leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor


def tree_map[T](function: Callable[..., Any], tree: T, *others: Any) -> T:
    """Apply `function` to every leaf of a tree, together with the leaves at the same place in the others.

    None stands for a missing part and stays None.
    """
    if tree is None:
        return tree
    if isinstance(tree, Mapping):
        return {name: tree_map(function, part, *(o[name] for o in others)) for name, part in tree.items()}  # type: ignore[return-value]
    if is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in fields(tree)]
        parts = {n: tree_map(function, getattr(tree, n), *(getattr(o, n) for o in others)) for n in names}
        return replace(tree, **parts)
    return function(tree, *others)


def leaves(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors of a tree, in order."""
    if isinstance(tree, Mapping):
        for part in tree.values():
            yield from leaves(part)
    elif is_dataclass(tree):
        for field in fields(tree):
            yield from leaves(getattr(tree, field.name))
    elif tree is not None:
        yield tree


def same_tensors(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Map each name to the first one that is the same tensor: observation groups may be one tensor."""
    first: dict[tuple[int, int], str] = {}
    return {name: first.setdefault((values.data_ptr(), values.numel()), name) for name, values in tensors.items()}


def like_rows(mask: Tensor, values: Tensor) -> Tensor:
    """Give a mask of the leading dimensions of `values` as many dimensions as `values` has."""
    return mask.view(*mask.shape, *[1] * (values.dim() - mask.dim()))
