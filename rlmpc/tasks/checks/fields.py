"""Fields of a configuration by their paths."""

from collections.abc import Iterator
from typing import Any

GENERATOR = "scene.terrain.terrain_generator"
"""Path of the ground's generator."""


def fields_at(cfg: Any, paths: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield each of some fields whose section exists and is not switched off, with its value."""
    for path in paths:
        *parents, name = path.split(".")
        owner = cfg
        for parent in parents:
            owner = owner.get(parent) if isinstance(owner, dict) else getattr(owner, parent, None)
        fields = owner if isinstance(owner, dict) else getattr(owner, "__dict__", {})
        if name in fields:
            yield path, fields[name]
