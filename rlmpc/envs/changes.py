"""What changed settings of an environment mean for the state in which a run was saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlmpc.config.compare import Change
from rlmpc.errors import UserError


def hidden_changes(changes: Sequence[Change], cfg: Any) -> list[str]:
    """Return the settings whose changes the saved state of the environments would undo.

    Args:
        changes: between the config object of the environment that was saved and that of the one that goes on.
        cfg: the latter, from `rlmpc.envs.make.env_config`.

    Returns:
        Their paths: what is drawn or built when an environment is made, and terms that are switched on or off.

    Raises:
        UserError: if a setting changes that has an effect at the start of a run only.
    """
    for change in changes:
        if cfg.acts_at_start(change.path):
            raise UserError(
                f"'env.{change.path}' cannot change from {change.there} to {change.here} in a resumed run: it has an "
                "effect at the start of a run only"
            )
    return [change.path for change in changes if change.is_switch or not cfg.acts_at_once(change.path)]


def curriculum_without(curriculum: dict[str, Any], own: Mapping[str, Any], hidden: list[str]) -> dict[str, Any]:
    """Return a saved curriculum in which commands with changed settings start from these settings.

    Args:
        curriculum: what `VecEnv.curriculum` returned when the run was saved.
        own: what it returns now.
        hidden: from `hidden_changes`.
    """
    terms = {
        name: own["terms"][name] if any(path.startswith(f"commands.{name}.") for path in hidden) else state
        for name, state in curriculum.get("terms", {}).items()
    }
    return {**curriculum, "terms": terms} if terms else curriculum
