"""The terms of an environment's configuration: its observations, rewards, terminations, events and curricula."""

from collections.abc import Iterator
from typing import Any

from isaaclab.managers import ManagerTermBaseCfg, ObservationGroupCfg

_SECTIONS = ("observations", "rewards", "terminations", "events", "curriculum")
"""Parts of a configuration whose terms have parameters."""


def terms(cfg: Any) -> Iterator[tuple[str, Any, str, ManagerTermBaseCfg]]:
    """Yield every term that is switched on: its path, the section or group that holds it, its name there, the term."""
    sections = [(name, getattr(cfg, name)) for name in _SECTIONS if getattr(cfg, name) is not None]
    for path, section in sections:
        for name, term in list(vars(section).items()):
            if isinstance(term, ObservationGroupCfg):
                sections.append((f"{path}.{name}", term))
            elif isinstance(term, ManagerTermBaseCfg):
                yield f"{path}.{name}", section, name, term
