"""Dotted overrides such as `scene.num_envs=8`, applied to config objects where the path exists and the type fits."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import repeat
from typing import Any, get_origin

from rlmpc.config.reading import (
    READERS,
    as_text,
    read_bool,
    read_float,
    read_integer,
    read_text,
    shown,
    structure,
)
from rlmpc.errors import UserError, nearest

SCALARS = {"int": 0, "float": 0.0, "bool": False, "str": ""}
"""Annotation -> a value of that type."""


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted paths; `{"scene": {"num_envs": 8}}` becomes `{"scene.num_envs": 8}`."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = value
    return flat


def override_object(config: object, overrides: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Set nested fields of a config object (dataclass instances, dicts and lists, nested) in place.

    Args:
        config: the object to change.
        overrides: nested or dotted paths with their values; null switches a term off.
        prefix: what comes before a path in messages, for example `env`.

    Returns:
        What was set, by dotted path.

    Raises:
        UserError: if a path does not exist (the message names the nearest one that does), or a value has another type.
    """
    given: dict[str, Any] = {}
    for path, value in flatten(overrides).items():
        *parents, leaf = path.split(".")
        key = f"{prefix}.{path}"
        owner = value_at(config, ".".join(parents), prefix)
        current = _child(owner, leaf, ".".join((prefix, *parents)))
        if value is not None:
            value = convert(value, _like(owner, leaf, current), key)
        elif not _takes_null(owner, leaf, current):
            raise UserError(f"'{key}' takes {_kind(current)}, not null")
        _assign(owner, leaf, value)
        given[path] = value
    return given


def value_at(config: object, path: str, prefix: str) -> Any:
    """Return the field of a config object at a dotted path; an empty path is the object itself.

    Raises:
        UserError: if the path does not exist; the message names the nearest one that does.
    """
    for name in path.split(".") if path else ():
        config = _child(config, name, prefix)
        prefix = f"{prefix}.{name}"
    return config


def convert(value: Any, current: Any, path: str) -> Any:
    """Convert `value`, text or data, to the type of `current`; where `current` is null, to what it looks like.

    A list of numbers must keep its length and their types; other lists, for example of names, may have any length.

    Raises:
        UserError: if the value does not fit.
    """
    if _takes_text(current) and isinstance(value, int | float):
        # Text that looks like a number became one before its type was known.
        value = as_text(value)
    try:
        return _as(value, current)
    except UserError as error:
        if current is None:
            raise UserError(f"'{path}' cannot be {shown(value)}: {error}") from error
        raise UserError(f"'{path}' takes {_kind(current)}, not {shown(value)}") from error


def _as(value: Any, current: Any) -> Any:
    """Return a value as the type of another.

    Raises:
        UserError: if it does not fit.
    """
    if current is None:
        return _guess(structure(value) if isinstance(value, str) and value.startswith(("[", "{")) else value)
    if _takes_text(current):
        return read_text(value)
    if isinstance(current, tuple | list):
        entries = structure(value)
        if not isinstance(entries, tuple | list) or (_are_numbers(current) and len(entries) != len(current)):
            raise UserError("it takes another list")
        if not current:
            return type(current)(map(_guess, entries))
        return type(current)(map(_as, entries, current if _are_numbers(current) else repeat(current[0])))
    value = READERS[type(current)](value) if type(current) in READERS else value
    if not isinstance(value, type(current)) or value != value:
        raise UserError("it takes another type")
    return value


def _guess(value: Any) -> Any:
    """Return text as the number or the truth value that it looks like; lists become tuples.

    Raises:
        UserError: if it is a mapping.
    """
    if isinstance(value, str):
        for read in (read_integer, read_float):
            with suppress(UserError):
                return read(value)
        if value.lower() in ("true", "false"):
            return read_bool(value)
    if isinstance(value, Mapping):
        raise UserError("it has no fields")
    return tuple(map(_guess, value)) if isinstance(value, list | tuple) else value


def _like(owner: Any, name: str, current: Any) -> Any:
    """Return a value of the type that a field takes: its current one, or where that is less, one of its annotation.

    Numbers are of one type: beside a float, and in a field annotated so, an integer only looks like one.
    """
    annotation = _annotation(owner, name)
    if current is None:
        return SCALARS.get(re.sub(r"\s*\|\s*None$|^(typing\.)?Optional\[(.*)\]$", r"\2", annotation))
    words = re.findall(r"\w+", annotation)
    numbers = current if isinstance(current, tuple | list) else [current]
    if not _are_numbers(numbers) or any(isinstance(number, bool) for number in numbers):
        return current
    if any(isinstance(number, float) for number in numbers) or ("float" in words and "int" not in words):
        return type(current)(map(float, current)) if isinstance(current, tuple | list) else float(current)
    return current


def _takes_text(current: Any) -> bool:
    """Return whether a field takes text: one that holds text, or a function, which is named by it."""
    return isinstance(current, str | Callable)


def _are_numbers(current: Any) -> bool:
    """Return whether this is a list of one or more numbers, whose length matters."""
    return isinstance(current, tuple | list) and bool(current) and all(isinstance(n, int | float) for n in current)


def _takes_null(owner: Any, name: str, current: Any) -> bool:
    """Return whether a field may be null: a section (null switches it off), a dict entry, or one annotated so."""
    if current is None or isinstance(owner, dict) or _is_section(current):
        return True
    return bool(re.search(r"(^|\|)\s*None\s*($|\|)|^(typing\.)?Optional\[", _annotation(owner, name)))


def _annotation(owner: Any, name: str) -> str:
    """Return a field's annotation as it is written: its names are often imported for type checkers only."""
    annotations = (inspect.get_annotations(parent).get(name) for parent in type(owner).__mro__)
    annotation = next((found for found in annotations if found is not None), "")
    if isinstance(annotation, str):
        return annotation.strip("'\"")
    return annotation.__name__ if inspect.isclass(annotation) and get_origin(annotation) is None else str(annotation)


def _is_section(current: Any) -> bool:
    return dataclasses.is_dataclass(current) or isinstance(current, dict)


def _kind(current: Any) -> str:
    if _is_section(current):
        return f"a section (set one of its fields: {', '.join(_names(current)[:8])})"
    if _are_numbers(current):
        return f"{len(current)} numbers like {list(current)}"
    name = "list" if isinstance(current, tuple) else type(current).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} like {current!r}"


def _names(owner: Any) -> list[str]:
    if isinstance(owner, dict):
        return [str(key) for key in owner]
    if isinstance(owner, list | tuple):
        return [str(index) for index in range(len(owner))]
    names = vars(owner) if hasattr(owner, "__dict__") else {}
    return [name for name in names if not name.startswith("_") and not isinstance(names[name], types.MethodType)]


def _child(owner: Any, name: str, walked: str) -> Any:
    valid = _names(owner)
    if name not in valid:
        accepted = f"'{walked}' has {', '.join(valid)}" if valid else f"'{walked}' has no fields"
        hint = nearest(f"{walked}.{name}", [f"{walked}.{field}" for field in valid])
        raise UserError(f"unknown key {f'{walked}.{name}'!r}{hint} ({accepted})")
    if isinstance(owner, dict):
        return owner[name]
    return owner[int(name)] if isinstance(owner, list | tuple) else getattr(owner, name)


def _assign(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    elif isinstance(owner, list):
        owner[int(name)] = value
    elif isinstance(owner, tuple):
        raise UserError(f"give the whole list instead of its entry '{name}'")
    else:
        setattr(owner, name, value)
