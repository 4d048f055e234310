"""Dotted overrides such as `scene.num_envs=8`, applied to config objects where the path exists and the type fits."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlmpc.errors import UserError, nearest


def split_override(argument: str) -> tuple[str, str]:
    """`key=value` at the first `=`, so that a value may hold more of them.

    Raises:
        UserError: if there is no `=` or no key.
    """
    key, equals, text = argument.partition("=")
    if not equals or not key.strip():
        raise UserError(f"'{argument}' is not an override; write key=value, for example seed=3")
    return key.strip(), text


def parse_value(key: str, text: str) -> Any:
    """A YAML scalar, list or mapping.

    Raises:
        UserError: if `text` is not YAML.
    """
    try:
        config = OmegaConf.from_dotlist([f"value={text}"])
        return OmegaConf.to_container(config, resolve=False)["value"]  # type: ignore[index, call-overload]
    except (OmegaConfBaseException, ValueError) as error:
        raise UserError(f"the value of '{key}' cannot be read: {text!r}") from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise UserError(f"the value of '{key}' is not valid YAML: {text!r}") from error
        raise


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted paths; `{"scene": {"num_envs": 8}}` becomes `{"scene.num_envs": 8}`."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = value
    return flat


def override_object(config: object, overrides: Mapping[str, Any], prefix: str) -> None:
    """Set nested fields of a config object (dataclass instances, dicts and lists, nested) in place.

    Args:
        config: the object to change.
        overrides: nested or dotted paths with their values; null switches a term off.
        prefix: what the paths are called in messages, for example `env`.

    Raises:
        UserError: for a path that does not exist, naming the nearest one that does, or a value of another type.
    """
    for path, value in flatten(overrides).items():
        *parents, leaf = path.split(".")
        owner, walked = config, prefix
        for name in parents:
            owner = _child(owner, name, walked)
            walked = f"{walked}.{name}"
        current = _child(owner, leaf, walked)
        _assign(owner, leaf, convert(value, current, f"{prefix}.{path}"))


def convert(value: Any, current: Any, path: str) -> Any:
    """`value` as the type of `current`; null is always accepted, and anything where `current` is null.

    Raises:
        UserError: if the value does not fit.
    """
    if value is None or current is None:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(current, tuple | list) and isinstance(value, list):
        return type(current)(value)
    if isinstance(current, bool) or isinstance(value, bool):
        fits = isinstance(value, bool) and isinstance(current, bool)
    elif isinstance(current, float):
        fits = isinstance(value, int | float)
        value = float(value) if fits else value
    else:
        fits = isinstance(value, type(current)) or (isinstance(current, Callable) and isinstance(value, str))
    if not fits:
        raise UserError(f"'{path}' takes {_kind(current)}, not {value!r}")
    return value


def _kind(current: Any) -> str:
    if dataclasses.is_dataclass(current) or isinstance(current, dict):
        return f"a section (set one of its fields: {', '.join(_names(current)[:8])})"
    return f"a {type(current).__name__} like {current!r}"


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
