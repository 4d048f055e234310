"""Merges files and arguments into a config of dataclasses, refusing what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rlmpc.config.fill import fill, nested
from rlmpc.config.play import PlayCfg
from rlmpc.config.setting import MISSING, check_settings, settings_of
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError

CHOICES = ("stage", "task", "agent")
"""Keys whose value names a file; it is not part of a section's fields."""


def read_overrides(texts: Mapping[str, str], config: TrainCfg | PlayCfg) -> dict[str, Any]:
    """Return what arguments set, by dotted key: `trainer={devices: 2}` is `trainer.devices` of 2.

    Settings of an agent stay text: which type they have is known once the agent is.

    Args:
        texts: known keys -> text.
        config: what may be set; it is changed.

    Raises:
        UserError: if something is set twice, or a value does not fit.
    """
    overrides: dict[str, Any] = {}
    for key, text in texts.items():
        is_text = key in CHOICES or key.startswith("agent.")
        given = {key: text} if is_text else fill(config, nested(key, text))
        for name in given.keys() - set(CHOICES):
            _check_new(name, overrides.keys() - set(CHOICES))
        overrides |= given
    return overrides


def _check_new(key: str, others: Iterable[str]) -> None:
    for other in others:
        if key == other:
            raise UserError(f"'{key}' is given twice")
        if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
            raise UserError(f"'{other}' and '{key}' are both given, and one holds the other")


def finish[Cfg: (TrainCfg, PlayCfg)](
    config: Cfg, layers: Sequence[Mapping[str, Any]], overrides: Mapping[str, Any], source: str, is_typed: bool = True
) -> Cfg:
    """Return `config`, filled with `layers` and then with `overrides` by dotted key.

    Args:
        config: holds the defaults, and with them the types.
        layers: nested mappings, the last of which wins.
        overrides: what `read_overrides` returned.
        source: what messages blame if a layer does not fit.
        is_typed: whether somebody typed the layers; see `fill`.

    Raises:
        UserError: if a key does not exist or has no value, or a value is not accepted.
    """
    for layer in layers:
        try:
            fill(config, layer, is_typed=is_typed)
        except UserError as error:
            raise UserError(f"{source} does not fit the schema: {error}") from error
    for key, value in overrides.items():
        fill(config, nested(key, value))
    missing = sorted(key for key, value, _, _ in settings_of(config) if value is MISSING)
    if missing:
        raise UserError(f"neither {source} nor an argument says what '{missing[0]}' is, which has no default")
    check_settings(config)
    return config
