"""What terms read by name must be switched on."""

from collections.abc import Iterator
from typing import Any

from isaaclab.managers import ManagerTermBaseCfg, RewardTermCfg, SceneEntityCfg

from rlmpc.tasks.terms import terms

_SECTION_OF_PARAMETER = {
    "command_name": "commands",
    "action_name": "actions",
    "_reward": "rewards",
    "_termination": "terminations",
}
"""Ending of a parameter's name -> part of the configuration whose terms its value names."""


def check_references(cfg: Any) -> None:
    """Refuse a configuration in which a term reads another one that is switched off.

    The simulation would end in a traceback or, for a reward of weight 0, silently read zeros.

    Raises:
        ValueError: If there is one, with what is missing and the overrides that switch off the terms that read it.
    """
    readers: dict[str, list[str]] = {}
    for reader, _, _, term in terms(cfg):
        for section, name in _references(term):
            if not _is_on(getattr(getattr(cfg, section), name, None)):
                readers.setdefault(f"env.{section}.{name}", []).append(f"env.{reader}=null")
    if readers:
        missing, overrides = next(iter(readers.items()))
        raise ValueError(f"{missing} is switched off but still read; switch its readers off too: {' '.join(overrides)}")


def _references(term: ManagerTermBaseCfg) -> Iterator[tuple[str, str]]:
    """Yield what a term reads: part of the configuration, and name in it."""
    for parameter, value in term.params.items():
        if isinstance(value, SceneEntityCfg):
            yield "scene", value.name
        for ending, section in _SECTION_OF_PARAMETER.items():
            if parameter.endswith(ending):
                yield section, str(value)


def _is_on(term: object) -> bool:
    """Return whether a term can be read; a reward of weight 0 is not computed."""
    return term is not None and not (isinstance(term, RewardTermCfg) and term.weight == 0.0)
