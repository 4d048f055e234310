"""Observation groups must be flat."""

from collections.abc import Iterator
from typing import Any

from isaaclab.managers import ManagerTermBaseCfg, ObservationGroupCfg

_FLAT_LAYOUT = {
    "concatenate_terms": True,
    "concatenate_dim": -1,
    "flatten_history_dim": True,
    "history_order": "term",
}
"""Fields of observation groups and terms -> the only value with which a group is one flat vector, term by term."""


def check_observations(observations: Any) -> None:
    """Refuse observation groups that would not be one flat vector, term by term, each from oldest to newest frame.

    Raises:
        ValueError: If there is one, with the field and the value it must have.
    """
    for path, node in _groups_and_terms(observations):
        for name, needed in _FLAT_LAYOUT.items():
            if getattr(node, name, needed) != needed:
                raise ValueError(f"{path}.{name} must be {needed}, not {getattr(node, name)}")
        if (node.history_length or 0) < 0:
            raise ValueError(f"{path}.history_length must be at least 0, not {node.history_length}")


def _groups_and_terms(observations: Any) -> Iterator[tuple[str, Any]]:
    for name, group in vars(observations).items():
        if isinstance(group, ObservationGroupCfg):
            path = f"observations.{name}"
            yield path, group
            for term_name, term in vars(group).items():
                if isinstance(term, ManagerTermBaseCfg):
                    yield f"{path}.{term_name}", term
