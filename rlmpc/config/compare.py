"""What differs between two config objects of an environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = object()
"""Stands for a field that only the other side has."""


@dataclass(frozen=True)
class Change:
    """A field in which two config objects differ."""

    path: str
    """As in an override, without `env.`."""
    there: Any
    here: Any

    @property
    def is_switch(self) -> bool:
        """Whether a whole section is there on one side only."""
        return (fields_of(self.there) is None) != (fields_of(self.here) is None)


def config_changes(there: Any, here: Any, path: str = "") -> list[Change]:
    """Return the fields in which two config objects differ; a section that one side lacks is one change."""
    before, now = fields_of(there), fields_of(here)
    if before is None or now is None:
        return [] if there is here or there == here else [Change(path, there, here)]
    names = dict.fromkeys([*before, *now])
    changes = (config_changes(before.get(n, ABSENT), now.get(n, ABSENT), f"{path}.{n}".lstrip(".")) for n in names)
    return [change for inner in changes for change in inner]


def shown(value: Any) -> str:
    """Return how one side of a change is shown."""
    if value is None or value is ABSENT or value is False:
        return "off"
    return "on" if value is True or fields_of(value) is not None else str(value)


def fields_of(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a section, without private ones, which nobody sets; None for a value."""
    if isinstance(value, Mapping):
        return value
    if not hasattr(value, "__dict__") or callable(value):
        return None
    return {name: field for name, field in vars(value).items() if not name.startswith("_")}
