"""Settings described by metadata of their dataclass fields, and the one check that reads it.

    gamma: float = setting(0.99, least=0, most=1)

A subclass that only changes a default keeps its parent's metadata.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from rlmpc.config.reading import shown
from rlmpc.errors import UserError, nearest

MISSING: Any = Enum("Missing", "MISSING").MISSING
"""Default of a setting that has none: a file or an argument must say what it is."""
MAX_ENVS = 1_000_000
"""Environments of one process; no simulator steps as many."""
MAX_WIDTH = 2**16
"""Features of one layer."""
AT_START = "it has an effect at the start of a run only"
"""Why a setting cannot change on resume (`fixed`)."""
BOUNDS = {
    "least": (operator.ge, "at least"),
    "above": (operator.gt, "above"),
    "most": (operator.le, "at most"),
    "below": (operator.lt, "below"),
}
"""Attributes of `Setting` that limit a number -> the comparison that must hold, and how messages put it."""


@dataclass(frozen=True)
class Setting:
    """Metadata of a setting. Bounds and choices hold for every entry of a list or a dictionary."""

    least: float | str | None = None
    """A number, or the name of a setting of the same dataclass that holds it; likewise for the other bounds."""
    above: float | str | None = None
    most: float | str | None = None
    below: float | str | None = None
    largest: float | None = None
    """A size beyond those of any machine; a message names it only to who exceeds it."""
    choices: tuple[str | None, ...] = ()
    """The accepted values; an empty tuple accepts all."""
    path: bool = False
    """Whether it is a path; what is typed for it is read by `read_path`."""
    distinct: bool = False
    """Whether no entry of the list may come twice; of names, none may in any list."""
    network: bool = False
    """Whether it shapes the networks: it cannot change on resume, and a later stage of the same policy inherits it."""
    inherited: bool = False
    """Whether a later stage inherits it although it does not shape the networks."""
    fixed: str = ""
    """Why it cannot change on resume; empty if it can."""
    by_file: bool = False
    """Whether only the file chosen for its section may set it, not an argument."""
    needs: str = ""
    """Setting of the same dataclass, holding a path, without which this one has no effect."""
    excludes: tuple[str, ...] = ()
    """Settings of the same dataclass beside which this one has no effect."""

    @property
    def limits(self) -> dict[str, float | str]:
        """Bounds of the setting, by their names in `BOUNDS`."""
        return {bound: limit for bound in BOUNDS if (limit := getattr(self, bound)) is not None}

    @property
    def why_fixed(self) -> str:
        """Why it cannot change on resume; empty where it can."""
        return "it shapes the networks, whose weights go on" if self.network else self.fixed


def setting(default: Any, **said: Any) -> Any:
    """Return a dataclass field with a default, copied for each object, and metadata: fields of `Setting`."""
    metadata = {"setting": Setting(**said)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def settings_of(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, Setting, Any]]:
    """Yield the dotted key, value, metadata and owner of every setting of a dataclass.

    A field that holds a dataclass is replaced by the settings of that dataclass.

    Args:
        config: the object.
        prefix: comes before every key, for example `agent.`.
    """
    for entry in fields(config):
        key, value = f"{prefix}{entry.name}", getattr(config, entry.name)
        if is_dataclass(value):
            yield from settings_of(value, f"{key}.")
        else:
            yield key, value, said_of(type(config), entry.name), config


def said_of(config: type, name: str) -> Setting:
    """Return the metadata of a dataclass field, or else of the nearest parent that has some."""
    for parent in config.__mro__:
        own = vars(parent).get("__dataclass_fields__", {}).get(name)
        if own is not None and "setting" in own.metadata:
            return own.metadata["setting"]
    return Setting()


def inherited(config: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the settings of a dataclass inherit from those a policy was trained with: name -> value."""
    keys = [key for key, _, said, _ in settings_of(config) if said.network or said.inherited]
    return {key: saved[key] for key in keys if key in saved}


def check_settings(config: Any, prefix: str = "", taken_over: Mapping[str, Any] | None = None) -> None:
    """Refuse values that the settings of a dataclass, nested ones included, do not accept; see `settings_of`.

    Args:
        config: the object.
        prefix: comes before every key.
        taken_over: values of an earlier run, by key, in which they had their effect. Where they are kept, they need not
            fit other settings, which may have changed since: a lower `max_lr` leaves the initial rate behind.

    Raises:
        UserError: if there is one, with what was given and what is accepted.
    """
    for key, value, said, owner in settings_of(config, prefix):
        is_kept = taken_over is not None and key in taken_over and taken_over[key] == value
        is_list = isinstance(value, list | tuple)
        # Overrides of an environment are dictionaries too; they are checked elsewhere.
        is_dict = isinstance(value, dict) and bool(said.limits)
        for entry in value if is_list else value.values() if is_dict else [value]:
            _check_value(key, entry, is_list or is_dict, said, owner, is_kept)
        if is_list and (said.distinct or all(isinstance(entry, str) for entry in value)):
            _check_distinct(key, value)
        if value and said.needs and getattr(owner, said.needs) is None:
            raise UserError(f"'{key}' needs {said.needs}=PATH")
        for other in said.excludes if value else ():
            if getattr(owner, other) is not None:
                raise UserError(f"'{key}' has no effect with {other}={getattr(owner, other)}")


def _check_distinct(key: str, entries: Sequence[Any]) -> None:
    twice = next((entry for entry in entries if entries.count(entry) > 1), None)
    if twice is not None:
        raise UserError(f"'{key}' names '{twice}' twice")


def _check_value(key: str, value: Any, is_entry: bool, said: Setting, owner: Any, is_kept: bool) -> None:
    name = f"every entry of '{key}'" if is_entry else f"'{key}'"
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name} must be finite, not {value}")
    if said.choices and value not in said.choices:
        known = ["null" if choice is None else choice for choice in said.choices]
        raise UserError(f"unknown '{key}' {shown(value)}; accepted: {', '.join(known)}{nearest(str(value), known)}")
    if value is None:
        return
    if said.largest is not None and value > said.largest:
        raise UserError(f"{name} must be at most {said.largest}, not {value}")
    accepted, is_accepted = [], True
    for bound, limit in said.limits.items():
        (holds, words), source = BOUNDS[bound], ""
        if isinstance(limit, str) and is_kept:
            continue
        if isinstance(limit, str):
            limit, source = getattr(owner, limit), f"'{key[: key.rfind('.') + 1]}{limit}' = "
        accepted.append(f"{words} {source}{limit}")
        is_accepted = is_accepted and holds(value, limit)
    if not is_accepted:
        raise UserError(f"{name} must be {' and '.join(accepted)}, not {value}")
