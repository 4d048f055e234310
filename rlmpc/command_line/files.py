"""Reads the files under `conf/`: each holds only what it changes, by its place in the whole config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.config.fill import fill, merged
from rlmpc.config.reading import shown, structure
from rlmpc.errors import UserError, nearest

CONF_DIR = Path(__file__).resolve().parents[2] / "conf"
SOURCE = "a file under conf/"
"""What messages blame when config files do not fit."""
GROUPS = ("stage", "task", "agent")
"""Keys whose value names a file."""


def choices(group: str) -> list[str]:
    """Return the names that `<group>=` accepts: the files of that folder."""
    return sorted(path.stem for path in (_folder() / group).glob("*.yaml"))


def list_choices() -> str:
    """Return a line for each of stage, task and agent with the names it accepts."""
    return "\n".join(f"{group}: {', '.join(choices(group))}" for group in GROUPS)


def load_choice(group: str, name: Any, source: Path | None = None) -> dict[str, Any]:
    """Return the file that `<group>=<name>` means, merged over the one it names as its `base`, and so on.

    Args:
        group: stage, task or agent.
        name: of the file.
        source: the file that says this name, unless it was typed.

    Raises:
        UserError: if the name is unknown, or a file does not fit.
    """
    valid = choices(group)
    if name not in valid:
        says = "" if source is None else f"'{source}' has the "
        raise UserError(f"{says}unknown {group} {shown(name)}; accepted: {', '.join(valid)}{nearest(str(name), valid)}")
    layers: dict[str, dict[str, Any]] = {}
    base = name
    while base is not None:
        file = f"{group}/{base}"
        layers[base] = load_file(file)
        if "agents" in layers[base]:
            layers[base]["agents"] = _by_algorithm(file, layers[base]["agents"])
        base = layers[base].pop("base", None)
        if base in layers:
            raise UserError(f"conf/{file}.yaml: 'base' is '{base}', which itself starts from this file")
        if base is not None:
            _accepted(file, "base", base, valid)
    config = reduce(merged, reversed(layers.values()))
    _check(group, f"{group}/{name}", config)
    return config


def load_file(name: str) -> dict[str, Any]:
    """Read one file, with text as values; its name is relative to `conf/` and has no suffix.

    Raises:
        UserError: if it cannot be read or holds no mapping in YAML.
    """
    return read_mapping(_folder() / f"{name}.yaml", f"conf/{name}.yaml")


def read_mapping(path: Path, shown_as: str) -> dict[str, Any]:
    """Read a file of YAML, with text as values.

    Args:
        path: of the file.
        shown_as: how messages call it.

    Raises:
        UserError: if it cannot be read or holds no mapping in YAML.
    """
    try:
        config = structure(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{shown_as} cannot be read: {reason}") from error
    except UserError as error:
        raise UserError(f"{shown_as} {str(error).removeprefix('it ')}") from error
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise UserError(f"{shown_as} must hold a mapping")
    return config


def _folder() -> Path:
    if not CONF_DIR.is_dir():
        raise UserError(f"there is no folder '{CONF_DIR}'; run the commands from a clone of the repository")
    return CONF_DIR


def _check(group: str, file: str, config: Mapping[str, Any]) -> None:
    """Refuse a file whose stage, algorithm or default agent is missing or unknown."""
    if group == "stage":
        _accepted(file, "stage", _read(config, "stage"), dict.fromkeys(a.stage for a in ALGORITHMS.values()))
    elif group == "agent":
        _accepted(file, "agent.algorithm", _read(config, "agent.algorithm"), ALGORITHMS)
    else:
        _accepted(file, "task.default_agent", _read(config, "task.default_agent"), choices("agent"))


def _by_algorithm(file: str, agents: Any) -> dict[str, Any]:
    """Return settings of agents by algorithm, where a file may name several that have the same: `ppo, rma`.

    Raises:
        UserError: if there is no such algorithm, or it has no such settings.
    """
    if not isinstance(agents, Mapping):
        raise UserError(f"conf/{file}.yaml: 'agents' must map an algorithm to settings of its agent")
    found: dict[str, Any] = {}
    for algorithm, settings in ((name.strip(), each) for names, each in agents.items() for name in names.split(",")):
        _accepted(file, "agents", algorithm, ALGORITHMS)
        if not isinstance(settings, Mapping):
            raise UserError(f"conf/{file}.yaml: 'agents.{algorithm}' must hold a mapping")
        try:
            fill(ALGORITHMS[algorithm].settings(), settings)
        except UserError as error:
            raise UserError(f"conf/{file}.yaml: 'agents.{algorithm}' does not fit: {error}") from error
        found[algorithm] = merged(found.get(algorithm, {}), settings)
    return found


def _read(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def _accepted(file: str, key: str, value: Any, accepted: Iterable[str]) -> None:
    names = list(accepted)
    if value not in names:
        given = f"is '{value}'" if value is not None else "is missing"
        raise UserError(f"conf/{file}.yaml: '{key}' {given}; accepted: {', '.join(names)}{nearest(str(value), names)}")
