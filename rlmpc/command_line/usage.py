"""What a command answers when it is asked how it is used, or which names there are."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from textwrap import dedent
from typing import Any

from rlmpc.command_line.files import list_choices
from rlmpc.config.reading import as_text
from rlmpc.config.setting import MISSING

HELP = {"help", "-h", "--h", "-help", "--help"}
ELSEWHERE = """\
agent.*, the settings of an agent, are described in docs/agents.md and rlmpc/algorithms/<agent>/settings.py; env.*, the
environment's own config, in docs/tasks.md. Names that stage=, task= and agent= accept:"""


def answer(arguments: Sequence[str], purpose: str, config: Any) -> str | None:
    """Return what to print instead of running, or None if the arguments ask for nothing.

    Args:
        arguments: what was typed.
        purpose: docstring of the command: what it does, with examples.
        config: everything that it accepts, with the defaults.
    """
    if HELP & {*arguments}:
        keys = ["Arguments are key=value. Keys, with their defaults:", *settings_lines(config)]
        return "\n".join([purpose.strip(), "", *keys, "", ELSEWHERE, list_choices()])
    is_list = any(argument.lstrip("-").partition("=")[0] == "list" for argument in arguments)
    return list_choices() if is_list else None


def settings_lines(config: Any, prefix: str = "") -> list[str]:
    """Return a line for every setting: its key, its default and the first sentence on it."""
    lines: list[str] = []
    said = _docstrings(type(config))
    for entry in fields(config):
        key, default = f"{prefix}{entry.name}", getattr(config, entry.name)
        if is_dataclass(default):
            lines += [] if key == "agent" else settings_lines(default, f"{key}.")
        elif not entry.metadata or not entry.metadata["setting"].by_file:
            value = "<name>" if default is MISSING else as_text(default).replace('"', "")
            lines.append(f"  {f'{key}={value}':<34} {said.get(entry.name, '')}".rstrip())
    return lines


def _docstrings(kind: type) -> dict[str, str]:
    """Return the first sentence of the docstring below each field of a dataclass, by the field's name."""
    (definition,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    said: dict[str, str] = {}
    for field, text in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            said[ast.unparse(field.target)] = " ".join(str(text.value.value).split()).split(". ")[0].rstrip(".")
    return said
