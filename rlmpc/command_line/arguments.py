"""Reads `key=value` arguments; what a value means depends on its key, so it stays text here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rlmpc.command_line.files import GROUPS, choices
from rlmpc.config.fill import check_key, names_of
from rlmpc.config.paths import read_path
from rlmpc.config.reading import shown
from rlmpc.errors import UserError

EXAMPLE = "write key=value, for example seed=3"


def read_arguments(arguments: Sequence[str], configs: Sequence[Any], path_key: str) -> dict[str, str]:
    """Split `key=value` arguments into keys and texts.

    Args:
        arguments: what was typed.
        configs: dataclasses that have the keys; see `check_key`.
        path_key: key that a path alone is probably meant for.

    Raises:
        UserError: if an argument has another form or holds what is no text, or a key is unknown or given twice.
    """
    texts: dict[str, str] = {}
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        if "\0" in argument or not _is_text(argument):
            raise UserError(f"{shown(argument)} holds characters that are no text")
        if argument.startswith("-") or "=" not in argument:
            raise UserError(f"{shown(argument)} is not key=value; {_meant(argument, following, configs, path_key)}")
        key, text = split_override(argument)
        if key in texts:
            raise UserError(f"'{key}' is given twice")
        texts[key] = text
    for key in texts:
        check_key(configs, key)
    return texts


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
        value = value if separator else following
        return f"write {key}={value if value and not _is_argument(value) else 'VALUE'}"
    group = next((group for group in GROUPS if argument in choices(group)), None)
    if group is not None:
        return f"write {group}={argument}"
    if _is_there(argument):
        return f"write {path_key}={argument}"
    return f"write {argument}=VALUE" if argument in names_of(configs) else EXAMPLE


def _is_argument(text: str) -> bool:
    return text.startswith("-") or "=" in text


def _is_there(text: str) -> bool:
    try:
        return Path(read_path(text, "")).exists()
    except UserError:
        return False
