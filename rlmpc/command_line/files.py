"""Reads the files under `conf/`: each holds only what it changes, by its place in the whole config."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.merge import first_line
from rlmpc.errors import UserError, nearest

CONF_DIR = Path(__file__).resolve().parents[2] / "conf"
SOURCE = "a file under conf/"
"""What messages blame when config files do not fit."""
GROUPS = ("stage", "task", "agent")


def choices(group: str) -> list[str]:
    """Return the names that `<group>=` accepts: the files of that folder."""
    return sorted(path.stem for path in (_folder() / group).glob("*.yaml"))


def list_choices() -> str:
    """Return a line for each of stage, task and agent with the names it accepts."""
    return "\n".join(f"{group}: {', '.join(choices(group))}" for group in GROUPS)


def load_choice(group: str, name: Any) -> DictConfig:
    """Return the file that `<group>=<name>` means, merged over the one it names as its `base`, and so on.

    Raises:
        UserError: if the name is unknown, or a file does not fit.
    """
    valid = choices(group)
    if name not in valid:
        raise UserError(f"unknown {group} '{name}'; accepted: {', '.join(valid)}{nearest(str(name), valid)}")
    layers: dict[str, DictConfig] = {}
    base = name
    while base is not None:
        file = f"{group}/{base}"
        layers[base] = load_file(file)
        _check_adjustments(file, layers[base].get("agents", {}))
        base = layers[base].pop("base", None)
        if base in layers:
            raise UserError(f"conf/{file}.yaml: 'base' is '{base}', which itself starts from this file")
        if base is not None:
            _accepted(file, "base", base, valid)
    config = OmegaConf.merge(*reversed(layers.values()))
    assert isinstance(config, DictConfig)
    _check(group, f"{group}/{name}", config)
    return config


def load_file(name: str) -> DictConfig:
    """Read one file as it is; its name is relative to `conf/` and has no suffix.

    Raises:
        UserError: if it holds no mapping in YAML.
    """
    try:
        config = OmegaConf.load(_folder() / f"{name}.yaml")
    except YAMLError as error:
        raise UserError(f"conf/{name}.yaml is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"conf/{name}.yaml must hold a mapping")
    return config


def _folder() -> Path:
    if not CONF_DIR.is_dir():
        raise UserError(f"there is no folder '{CONF_DIR}'; run the commands from a clone of the repository")
    return CONF_DIR


def _check(group: str, file: str, config: DictConfig) -> None:
    """Refuse a file whose stage, algorithm or default agent is missing or unknown."""
    if group == "stage":
        _accepted(file, "stage", _read(config, "stage"), dict.fromkeys(a.stage for a in ALGORITHMS.values()))
    elif group == "agent":
        _accepted(file, "agent.algorithm", _read(config, "agent.algorithm"), ALGORITHMS)
    else:
        _accepted(file, "task.default_agent", _read(config, "task.default_agent"), choices("agent"))


def _check_adjustments(file: str, agents: Any) -> None:
    if not isinstance(agents, DictConfig | dict):
        raise UserError(f"conf/{file}.yaml: 'agents' must map an algorithm to settings of its agent")
    for algorithm, settings in agents.items():
        _accepted(file, "agents", algorithm, ALGORITHMS)
        try:
            OmegaConf.merge(OmegaConf.structured(ALGORITHMS[str(algorithm)].settings), settings)
        except OmegaConfBaseException as error:
            raise UserError(f"conf/{file}.yaml: 'agents.{algorithm}' does not fit: {first_line(error)}") from error


def _read(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None


def _accepted(file: str, key: str, value: Any, accepted: Iterable[str]) -> None:
    names = list(accepted)
    if value not in names:
        given = f"is '{value}'" if value is not None else "is missing"
        raise UserError(f"conf/{file}.yaml: '{key}' {given}; accepted: {', '.join(names)}{nearest(str(value), names)}")
