"""What a command answers when it is asked how it is used, or which names there are."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.files import GROUPS, list_choices, load_choice, load_file
from rlmpc.config.fill import fill
from rlmpc.config.reading import as_text
from rlmpc.config.setting import MISSING, said_of
from rlmpc.errors import UserError

HELP = {"help", "-h", "--h", "-help", "--help"}
CHOSEN = {
    "stage": "What is trained, and from what: a file in conf/stage",
    "task": "The environment: a file in conf/task",
    "agent": "What learns: a file in conf/agent; by default the task's or the stage's",
}
"""Meaning of the keys that name files."""
COLUMNS, MEANING = 120, 37
"""Width of what is printed, and the column at which meanings start."""
ENV = """\
env.<path>=VALUE sets anything in the environment's own config object, for example env.episode_length_s=20; null
switches a term off, for example env.events.push=null. docs/tasks.md describes it; a misspelt path names the nearest."""


def answer(arguments: Sequence[str], purpose: str, config: Any) -> str | None:
    """Return what to print instead of running, or None if the arguments ask for nothing.

    Args:
        arguments: what was typed.
        purpose: docstring of the command: what it does, with examples.
        config: everything that it accepts, with the defaults.
    """
    if HELP & {*arguments}:
        chosen = [_line(f"{key}=<name>", text) for key, text in CHOSEN.items() if hasattr(config, key)]
        keys = "\n".join(
            ["Arguments are key=value, in any order. Keys, with their defaults:", *chosen, *settings_lines(config)]
        )
        agent = [_agent(arguments)] if hasattr(config, "agent") else []
        wrapped = (textwrap.fill(line, COLUMNS, subsequent_indent="  ") for line in list_choices().splitlines())
        names = "\n".join([f"Names of {', '.join(GROUPS)}:", *wrapped])
        return "\n\n".join([purpose.strip(), keys, *agent, ENV, names])
    is_list = any(argument.lstrip("-").partition("=")[0] == "list" for argument in arguments)
    return list_choices() if is_list else None


def _agent(arguments: Sequence[str]) -> str:
    """Return the settings of the agent that arguments choose, with the values that files give them."""
    given = {key.strip(): name for key, _, name in (argument.partition("=") for argument in arguments)}
    settings = ALGORITHMS["ppo"].settings()
    # Help answers whatever else is wrong.
    with suppress(UserError):
        base = load_file("config")
        task = load_choice("task", given.get("task", base["task"]["name"]))
        stage = load_choice("stage", given.get("stage", base["stage"]))
        default = stage.get("default_agent", task["task"]["default_agent"])
        agent = load_choice("agent", given.get("agent", default))["agent"]
        settings = ALGORITHMS[agent["algorithm"]].settings()
        for layer in (task.get("agent", {}), task.get("agents", {}).get(settings.algorithm, {}), agent):
            fill(settings, layer)
    head = f"Settings of agent '{settings.algorithm}' (of another one: agent=<name> --help; docs/agents.md):"
    return "\n".join([head, *settings_lines(settings, "agent.")])


def settings_lines(config: Any, prefix: str = "") -> list[str]:
    """Return lines for every setting: its key, its value and the first sentence on it."""
    lines: list[str] = []
    said = {name: text for kind in reversed(type(config).__mro__) for name, text in _docstrings(kind).items()}
    for entry in fields(config):
        key, value = f"{prefix}{entry.name}", getattr(config, entry.name)
        if is_dataclass(value):
            lines += [] if key == "agent" else settings_lines(value, f"{key}.")
        elif key not in CHOSEN and not said_of(type(config), entry.name).by_file:
            text = "<name>" if value is MISSING else as_text(value).replace('"', "")
            lines.append(_line(f"{key}={text}", said.get(entry.name, "")))
    return lines


def _line(setting: str, meaning: str) -> str:
    """Return a setting with its meaning beside it, or below it where it is long."""
    head = f"  {setting:<{MEANING - 3}} "
    space = " " * MEANING
    text = textwrap.fill(meaning, COLUMNS, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
    return (head + text[MEANING:] if len(head) == MEANING else f"{head.rstrip()}\n{text}").rstrip()


def _docstrings(kind: type) -> dict[str, str]:
    """Return the first sentence of the docstring below each field of a dataclass, by the field's name."""
    if not is_dataclass(kind):
        return {}
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    said: dict[str, str] = {}
    for field, text in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            said[ast.unparse(field.target)] = " ".join(str(text.value.value).split()).split(". ")[0].rstrip(".")
    return said
