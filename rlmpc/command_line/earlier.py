"""Settings that a new run takes from the `config.yaml` of an earlier one (`config=FILE`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.files import choices, read_mapping
from rlmpc.command_line.resume import OWN, check_same
from rlmpc.errors import UserError, nearest

LEFT = ("config", *OWN)
"""Settings of how the earlier run started, which a new one does not have."""


def settings_of_earlier(path: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's `config.yaml` sets, with text as values, except where that run came from and went to.

    Args:
        path: of the file.
        overrides: of the new run. Names that the file has too are removed from it.

    Raises:
        UserError: if the file cannot be read or is of no run, or an override names another stage, task or agent.
    """
    saved = _unescaped(read_mapping(path, f"'{path}'"))
    run = saved.get("run")
    saved = {key: value for key, value in saved.items() if key not in LEFT}
    if isinstance(run, Mapping):
        saved["run"] = {key: value for key, value in run.items() if key != "dir"}
    names = {
        "stage": _name(saved, path, "stage", [algorithm.stage for algorithm in ALGORITHMS.values()]),
        "task": _name(saved, path, "task.name", choices("task")),
        "agent": _name(saved, path, "agent.algorithm", [*ALGORITHMS]),
    }
    if ALGORITHMS[names["agent"]].stage != names["stage"]:
        raise UserError(f"'{path}' is no run's config: stage '{names['stage']}' does not train '{names['agent']}'")
    check_same(names, overrides, path)
    return saved


def _name(saved: Any, path: Path, key: str, known: list[str]) -> str:
    """Return a name in the file, which must be a known one."""
    for part in key.split("."):
        saved = saved.get(part) if isinstance(saved, Mapping) else None
    if saved is None:
        raise UserError(f"'{path}' is no run's config.yaml: it does not say what '{key}' is")
    if saved not in known:
        accepted = ", ".join(dict.fromkeys(known))
        raise UserError(f"'{path}' has the unknown '{key}' '{saved}'; accepted: {accepted}{nearest(str(saved), known)}")
    return saved


def _unescaped(tree: Any) -> Any:
    """Undo what `rlmpc.run.record` does to `${`."""
    if isinstance(tree, dict):
        return {name: _unescaped(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_unescaped(value) for value in tree]
    return tree.replace("\\${", "${") if isinstance(tree, str) else tree
