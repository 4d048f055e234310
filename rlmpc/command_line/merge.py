"""Merges files and arguments into a config of dataclasses, refusing what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlmpc.config.play import PlayCfg
from rlmpc.config.setting import check_settings, said_of
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError, nearest


def finish[Cfg: (TrainCfg, PlayCfg)](
    base: Any,
    layers: Sequence[DictConfig],
    overrides: dict[str, Any],
    kind: type[Cfg],
    source: str,
    taken_over: Mapping[str, Any] | None = None,
) -> Cfg:
    """Return the config made of a structured `base`, then `layers`, then `overrides` by dotted key.

    Values of an earlier run, by dotted key, may be `taken_over`; see `check_settings`.

    Raises:
        UserError: if a key does not exist or has no value, or a value is not accepted.
    """
    try:
        config = OmegaConf.merge(base, *layers)
        OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{source} does not fit the schema: {first_line(error)}") from error
    for key, value in overrides.items():
        check_key(config, key)
        try:
            OmegaConf.update(config, key, value, merge=True)
            OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            raise UserError(f"'{key}' cannot be {value!r}: {first_line(error)}") from error
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"neither {source} nor an argument says what '{missing[0]}' is, which has no default")
    composed = OmegaConf.to_object(config)
    assert isinstance(composed, kind)
    check_settings(composed, taken_over=taken_over)
    return composed


def first_line(error: Exception) -> str:
    """Return the sentence of an OmegaConf error, without the keys and types that follow it."""
    return str(error).splitlines()[0].rstrip(".")


def check_key(config: Any, key: str) -> None:
    """Refuse a dotted key the schema does not have; keys below a dictionary, such as `env`, are checked elsewhere."""
    walked: list[str] = []
    section: Any = config
    for name in key.split("."):
        kind = OmegaConf.get_type(section)
        if kind is dict:
            return
        fields = list(section) if isinstance(section, DictConfig) else []
        if name not in fields:
            where = ".".join(walked)
            valid = [".".join([*walked, str(field)]) for field in fields]
            accepted = f"accepted: {', '.join(valid)}" if valid else f"'{where}' has no fields"
            raise UserError(f"unknown key '{key}'{nearest('.'.join([*walked, name]), valid)} ({accepted})")
        if is_dataclass(kind) and said_of(kind, name).by_file:
            group = ".".join(walked)
            raise UserError(f"'{key}' belongs to the {group}'s file; choose another {group} with {group}=...")
        walked.append(name)
        section = section._get_node(name)
