"""Reads `key=value` arguments: what a value means depends on the type of its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.files import GROUPS, choices
from rlmpc.config.fill import check_key, fill, names_of, nested
from rlmpc.config.paths import read_path
from rlmpc.config.play import PlayCfg
from rlmpc.config.reading import MAX_DEPTH, shown
from rlmpc.config.train import TrainCfg
from rlmpc.errors import UserError, nearest

EXAMPLE = "write key=value, for example seed=3"


def read_train(arguments: Sequence[str]) -> dict[str, Any]:
    """Return what arguments of `train.py` set; see `read_arguments`."""
    return read_arguments(arguments, [TrainCfg(agent=a.settings()) for a in ALGORITHMS.values()], "resume")


def read_play(arguments: Sequence[str]) -> dict[str, Any]:
    """Return what arguments of `play.py` set; see `read_arguments`."""
    return read_arguments(arguments, [PlayCfg()], "ckpt")


def read_arguments(arguments: Sequence[str], configs: Sequence[Any], path_key: str) -> dict[str, Any]:
    """Return what `key=value` arguments set, by dotted key: `trainer={devices: 2}` is `trainer.devices` of 2.

    Unknown keys are refused before values that do not fit. Settings of an agent stay text: which type they have is
    known once the agent is.

    Args:
        arguments: what was typed.
        configs: dataclasses that have the keys, see `check_key`; the first one is changed.
        path_key: key that a path alone is probably meant for.

    Raises:
        UserError: if an argument has another form or holds what is no text, a key is unknown, something is set twice,
            or a value does not fit.
    """
    texts = _split(arguments, configs, path_key)
    for key in texts:
        check_key(configs, key)
        if key.count(".") > MAX_DEPTH:
            raise UserError(f"the key {shown(key)} has more than {MAX_DEPTH} parts; no setting lies as deep")
    overrides: dict[str, Any] = {}
    for key, text in texts.items():
        is_text = key in GROUPS or key.startswith("agent.")
        given = {key: text} if is_text else fill(configs[0], nested(key, text))
        for name in given.keys() - {*GROUPS}:
            _check_new(name, overrides.keys() - {*GROUPS})
        overrides |= given
    return overrides


def _split(arguments: Sequence[str], configs: Sequence[Any], path_key: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        if "\0" in argument or not _is_text(argument):
            raise UserError(f"{shown(argument)} holds characters that are no text")
        if argument.startswith("-") or "=" not in argument:
            raise UserError(f"{shown(argument)} is not an override; {_meant(argument, following, configs, path_key)}")
        key, text = split_override(argument)
        if key in texts:
            raise UserError(f"'{key}' is given twice")
        texts[key] = text
    return texts


def _check_new(key: str, others: Iterable[str]) -> None:
    for other in others:
        if key == other:
            raise UserError(f"'{key}' is given twice")
        if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
            raise UserError(f"'{other}' and '{key}' are both given, and one holds the other")


def split_override(argument: str) -> tuple[str, str]:
    """Split `key=value` at the first `=`; the value may contain more of them.

    Raises:
        UserError: if there is no `=` or no key.
    """
    key, equals, text = argument.partition("=")
    if not equals or not key.strip():
        raise UserError(f"{shown(argument)} is not an override; {EXAMPLE}")
    return key.strip(), text


def _is_text(argument: str) -> bool:
    """Return whether there are characters for all bytes; Python makes surrogates of those that are no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def _meant(argument: str, following: str, configs: Sequence[Any], path_key: str) -> str:
    """Return what to write instead of an option of another command line, of a name or of a path."""
    if argument.startswith("-"):
        if not argument.strip("-="):
            return EXAMPLE
        option, separator, value = argument.lstrip("-").replace(" ", "=", 1).partition("=")
        key = option.replace("-", "_")
        check_key(configs, key)
        is_next = following.startswith("-") or following.partition("=")[0].split(".")[0] in names_of(configs)
        value = value if separator else "" if is_next else following
        return f"write {key}={value if value and value.isprintable() else 'VALUE'}"
    group = next((group for group in GROUPS if argument in choices(group)), None)
    if group is not None:
        return f"write {group}={argument}"
    if _is_there(argument):
        return f"write {path_key}={argument}"
    names = names_of(configs)
    known = [*names, *(name for group in GROUPS for name in choices(group)), "list", "help"]
    return f"write {argument}=VALUE" if argument in names else f"{EXAMPLE}{nearest(argument, known)}"


def _is_there(text: str) -> bool:
    try:
        return Path(read_path(text, "")).exists()
    except UserError:
        return False
