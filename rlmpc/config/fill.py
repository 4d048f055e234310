"""Fills configs of dataclasses with what files and arguments say, refusing keys and values that do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from rlmpc.config.overrides import flatten
from rlmpc.config.paths import read_path
from rlmpc.config.reading import read_value, shown, structure
from rlmpc.config.setting import said_of
from rlmpc.errors import UserError, nearest


def fill(config: Any, tree: Mapping[str, Any], prefix: str = "", is_typed: bool = True) -> dict[str, Any]:
    """Set what a nested mapping holds, text or data, in a config of nested dataclasses, each as the type it has there.

    Lists replace, mappings are merged.

    Args:
        config: changed in place.
        tree: what is set, by name.
        prefix: comes before every name in messages, for example `agent.`.
        is_typed: whether somebody typed it, so that paths are read by `read_path`; else they are kept as they are.

    Returns:
        What was set, by dotted key.

    Raises:
        UserError: if a key does not exist, or a value does not fit.
    """
    given: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        _check_name([config], name, prefix, key)
        current, said = getattr(config, name), said_of(type(config), name)
        if is_dataclass(current):
            given |= fill(current, _section(current, value, key), f"{key}.", is_typed)
            continue
        value = _read(value, kinds_of(type(config))[name], key)
        if said.path and is_typed and value is not None:
            value = read_path(value, key)
        given |= flatten({key: value})
        setattr(config, name, merged(current, value) if isinstance(current, dict) else value)
    return given


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return the nested mapping that a dotted key means: `a.b` of 1 is `{"a": {"b": 1}}`."""
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def merged(under: Any, over: Any) -> Any:
    """Return nested mappings merged, where `over` wins; what is no mapping replaces."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    return {**under, **{name: merged(under.get(name), value) for name, value in over.items()}}


def check_key(configs: Sequence[Any], key: str) -> None:
    """Refuse a dotted key that none of these configs has. Keys below a dictionary, as `env` is, are checked elsewhere.

    Args:
        configs: one, or several that hold other dataclasses in the same place.
        key: what is looked for.

    Raises:
        UserError: if there is no such key, with the nearest one, or only a file may set it.
    """
    walked = ""
    for name in key.split("."):
        if any(isinstance(config, dict) for config in configs):
            return
        _check_name(configs, name, walked, key)
        if any(said_of(type(config), name).by_file for config in configs):
            group = walked[:-1]
            raise UserError(f"'{key}' belongs to the {group}'s file; choose another {group} with {group}=...")
        walked += f"{name}."
        configs = [getattr(config, name) for config in configs if hasattr(config, name)]


def _check_name(configs: Sequence[Any], name: Any, prefix: str, key: str) -> None:
    names = names_of(configs)
    if name not in names:
        valid = [f"{prefix}{other}" for other in names]
        accepted = f"accepted: {', '.join(valid)}" if valid else f"'{prefix[:-1]}' has no fields"
        raise UserError(f"unknown key {key!r}{nearest(f'{prefix}{name}', valid)} ({accepted})")


def names_of(configs: Iterable[Any]) -> list[str]:
    """Return the names of the settings that any of these configs has, each once."""
    return list(dict.fromkeys(entry.name for config in configs if is_dataclass(config) for entry in fields(config)))


@cache
def kinds_of(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields, by name."""
    return get_type_hints(kind)


def _section(current: Any, value: Any, key: str) -> Mapping[str, Any]:
    try:
        entries = structure(value)
    except UserError as error:
        raise UserError(f"'{key}' cannot be {shown(value)}: {error}") from error
    if not isinstance(entries, Mapping):
        keys = ", ".join(f"{key}.{name}" for name in names_of([current]))
        raise UserError(f"'{key}' cannot be {shown(value)}: it is a section, set one of {keys}")
    return entries


def _read(value: Any, kind: Any, key: str) -> Any:
    try:
        return read_value(value, kind)
    except UserError as error:
        raise UserError(f"'{key}' cannot be {shown(value)}: {error}") from error
