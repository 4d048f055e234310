"""Dotted overrides such as `scene.num_envs=8`, applied to config objects where the path exists and the type fits."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, get_args

from rlmpc.errors import UserError, nearest


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
    given = {}
    for path, value in flatten(overrides).items():
        *parents, leaf = path.split(".")
        owner = value_at(config, ".".join(parents), prefix)
        current = _child(owner, leaf, ".".join((prefix, *parents)))
        if value is not None:
            value = convert(value, current, f"{prefix}.{path}")
        elif not _takes_null(owner, leaf, current):
            raise UserError(f"'{prefix}.{path}' takes {_kind(current)}, not null")
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
    """Convert `value` to the type of `current`; where `current` is null, any value is accepted.

    A list of numbers must keep its length and their types; other lists, for example of names, may have any length.

    Raises:
        UserError: if the value does not fit.
    """
    if current is None:
        return tuple(value) if isinstance(value, list) else value
    if not _fits(value, current):
        raise UserError(f"'{path}' takes {_kind(current)}, not {value!r}")
    if _are_numbers(current):
        return type(current)(convert(entry, like, path) for entry, like in zip(value, current, strict=True))
    if isinstance(current, tuple | list):
        return type(current)(value)
    return float(value) if isinstance(current, float) else value


def _fits(value: Any, current: Any) -> bool:
    if isinstance(current, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(current, bool)
    if isinstance(current, float):
        return isinstance(value, int | float)
    if isinstance(current, tuple | list):
        if not isinstance(value, tuple | list):
            return False
        if _are_numbers(current):
            return len(value) == len(current) and all(map(_fits, value, current))
        return not current or all(isinstance(entry, type(current[0])) for entry in value)
    return isinstance(value, type(current)) or (isinstance(current, Callable) and isinstance(value, str))


def _are_numbers(current: Any) -> bool:
    """Return whether this is a list of one or more numbers, whose length matters."""
    return isinstance(current, tuple | list) and bool(current) and all(isinstance(n, int | float) for n in current)


def _takes_null(owner: Any, name: str, current: Any) -> bool:
    """Return whether a field may be null: a section (null switches it off), a dict entry, or one annotated so."""
    if current is None or isinstance(owner, dict) or _is_section(current):
        return True
    annotations = (inspect.get_annotations(parent).get(name) for parent in type(owner).__mro__)
    annotation = next((found for found in annotations if found is not None), None)
    if isinstance(annotation, str):
        # The annotation is not evaluated: its names are often imported for type checkers only.
        return bool(re.search(r"(^|\|)\s*None\s*($|\|)", annotation)) or annotation.startswith("Optional[")
    return type(None) in get_args(annotation)


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
        raise UserError(f"unknown key '{walked}.{name}'{hint} ({accepted})")
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
