"""Reads `key=value` arguments and lays them over a config of dataclasses, refusing what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlmpc.config.overrides import parse_value, split_override
from rlmpc.config.play import PlayCfg
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError, nearest


def read_arguments(arguments: Iterable[str]) -> dict[str, Any]:
    """`key=value` arguments as a dict of parsed values.

    Raises:
        UserError: for what is no such argument, or a key that comes twice.
    """
    overrides: dict[str, Any] = {}
    for argument in arguments:
        key, text = split_override(argument)
        if key in overrides:
            raise UserError(f"'{key}' is given twice")
        overrides[key] = parse_value(key, text)
    return overrides


def finish[Cfg: (TrainCfg, PlayCfg)](
    base: Any, layers: Sequence[DictConfig], overrides: dict[str, Any], kind: type[Cfg], source: str
) -> Cfg:
    """The config that comes of `layers` on top of a structured `base`, and `overrides` by dotted key on top of those.

    Raises:
        UserError: for a key that does not exist, or a value of another type.
    """
    try:
        config = OmegaConf.merge(base, *layers)
        OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise UserError(f"{source} does not fit the schema: {first_line(error)}") from error
    for key, value in overrides.items():
        check_key(config, key)
        try:
            OmegaConf.update(config, key, value, merge=True)
            OmegaConf.to_object(config)
        except OmegaConfBaseException as error:
            raise UserError(f"'{key}' cannot be {value!r}: {first_line(error)}") from error
    composed = OmegaConf.to_object(config)
    assert isinstance(composed, kind)
    return composed


def first_line(error: Exception) -> str:
    """The sentence of an OmegaConf error, without its trailer of keys and types."""
    return str(error).splitlines()[0].rstrip(".")


def check_key(config: Any, key: str) -> None:
    """Refuse a dotted key that the schema does not have; keys below `env` are left to the environment's config."""
    walked: list[str] = []
    section: Any = config
    if key.startswith("task.") and not key.startswith("task.num_envs."):
        raise UserError(f"'{key}' belongs to the task's file; choose another task with task=...")
    for name in key.split("."):
        if OmegaConf.get_type(section) is dict:
            return
        fields = list(section) if isinstance(section, DictConfig) else []
        if name not in fields:
            where = ".".join(walked)
            valid = [".".join([*walked, str(field)]) for field in fields]
            accepted = f"accepted: {', '.join(valid)}" if valid else f"'{where}' has no fields"
            raise UserError(f"unknown key '{key}'{nearest('.'.join([*walked, name]), valid)} ({accepted})")
        walked.append(name)
        section = section._get_node(name)
