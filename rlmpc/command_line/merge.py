"""Merges files and arguments into a config of dataclasses, refusing what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlmpc.config.fill import fill, nested
from rlmpc.config.play import PlayCfg
from rlmpc.config.setting import MISSING, check_settings, settings_of
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError


def finish[Cfg: (TrainCfg, PlayCfg)](
    config: Cfg,
    layers: Sequence[Mapping[str, Any]],
    overrides: Mapping[str, Any],
    source: str,
    is_typed: bool = True,
    taken_over: Mapping[str, Any] | None = None,
) -> Cfg:
    """Return `config`, filled with `layers` and then with `overrides` by dotted key.

    Args:
        config: holds the defaults, and with them the types.
        layers: nested mappings, the last of which wins.
        overrides: what `read_arguments` returned.
        source: what messages blame if a layer does not fit.
        is_typed: whether somebody typed the layers; see `fill`.
        taken_over: values of an earlier run, by dotted key; see `check_settings`.

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
    check_settings(config, taken_over=taken_over)
    return config
