"""Reads `key=value` arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rlmpc.errors import UserError


def read_arguments(arguments: Iterable[str]) -> dict[str, Any]:
    """Parse `key=value` arguments into a dict of values.

    Raises:
        UserError: if an argument has another form, a value cannot be read, or a key is given twice.
    """
    overrides: dict[str, Any] = {}
    for argument in arguments:
        key, text = split_override(argument)
        if key in overrides:
            raise UserError(f"'{key}' is given twice")
        overrides[key] = parse_value(key, text)
    return overrides


def split_override(argument: str) -> tuple[str, str]:
    """Split `key=value` at the first `=`; the value may contain more of them.

    Raises:
        UserError: if there is no `=` or no key.
    """
    key, equals, text = argument.partition("=")
    if not equals or not key.strip():
        raise UserError(f"'{argument}' is not an override; write key=value, for example seed=3")
    return key.strip(), text


def parse_value(key: str, text: str) -> Any:
    """Parse a YAML scalar, list or mapping.

    Raises:
        UserError: if `text` is not YAML.
    """
    try:
        config = OmegaConf.from_dotlist([f"value={text}"])
        return OmegaConf.to_container(config, resolve=False)["value"]  # type: ignore[index, call-overload]
    except (OmegaConfBaseException, ValueError, YAMLError) as error:
        raise UserError(f"the value of '{key}' is not valid YAML: {text!r}") from error
