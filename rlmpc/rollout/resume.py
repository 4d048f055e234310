"""Resumes a run: restores the parts of its state that a checkpoint holds, and reports what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rlmpc.checkpoint.file import Checkpoint
from rlmpc.envs.changes import curriculum_without
from rlmpc.envs.saved_levels import merged_states
from rlmpc.errors import UserError
from rlmpc.rollout.datamodule import RolloutDataModule


@dataclass(frozen=True)
class Part:
    """One part of a run's state and how its restoring went."""

    name: str
    outcome: str
    is_missing: bool = False
    """Whether it could not be restored although the user did not choose to leave it out."""


def resume_run(
    checkpoint: Checkpoint,
    datamodule: RolloutDataModule,
    rank: int,
    world_size: int,
    allow_partial: bool,
    hidden: list[str],
) -> list[Part]:
    """Restore what a checkpoint holds of this rank's environments, rollout and random generators.

    Networks, optimizer and counters are restored by Lightning afterwards, from the same file.

    Args:
        checkpoint: the run's checkpoint.
        datamodule: the datamodule of this rank, before its first rollout.
        rank: index of this process.
        world_size: number of processes.
        allow_partial: whether to go on if parts are missing.
        hidden: changed settings that the exact state would undo; with any, episodes start anew.

    Returns:
        Every part, for `say_resume`.

    Raises:
        UserError: if a part is missing and `allow_partial` is not set, or if the file was changed.
    """
    try:
        rank_parts = _resume_rank(checkpoint.ranks, datamodule, rank, world_size, hidden)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(f"'{checkpoint.path}' holds something else than expected ({error}); it was changed") from error
    parts = [
        Part("networks, normalizers", "restored"),
        _part("optimizer, learning rate", checkpoint.has_optimizer),
        Part("counters", f"iteration {checkpoint.iteration}"),
        *rank_parts,
    ]
    missing = [part for part in parts if part.is_missing]
    if missing and not allow_partial:
        lines = "\n  ".join(f"{part.name}: {part.outcome}" for part in missing)
        raise UserError(
            f"'{checkpoint.path}' cannot be resumed exactly; resume_allow_partial=true goes on all the same:\n  {lines}"
        )
    return parts


def say_resume(parts: list[Part], changed: list[str], checkpoint: Checkpoint, show: Callable[[str], None]) -> None:
    """Show, line by line, the checkpoint, what was restored and which settings changed."""
    show(f"resuming {checkpoint.path}")
    width = max(len(part.name) for part in parts)
    for part in parts:
        show(f"  {part.name:<{width}}  {part.outcome}")
    for line in changed:
        show(f"  changed from here on (before | now): {line}")


def _resume_rank(
    ranks: list[dict[str, Any]], datamodule: RolloutDataModule, rank: int, world_size: int, hidden: list[str]
) -> list[Part]:
    num_envs = datamodule.env.num_envs
    if not ranks:
        return [_part(name, False) for name in ("curriculum", "episodes", "random generators")]
    own = datamodule.env.curriculum()
    ranks = [
        {**state, "curriculum": curriculum_without(state["curriculum"], own, hidden)}
        if "curriculum" in state
        else state
        for state in ranks
    ]
    counts = {state.get("num_envs", num_envs) for state in ranks}
    if len(ranks) == world_size and counts == {num_envs}:
        return _resume_same(ranks[rank], datamodule, hidden)
    state = {"curriculum": merged_states([state["curriculum"] for state in ranks])}
    if rank < len(ranks) and "random" in ranks[rank]:
        state["random"] = ranks[rank]["random"]
    datamodule.resume(state)
    here, there = f"{num_envs} x {world_size}", f"{min(counts)} x {len(ranks)}"
    return [
        Part("curriculum", f"levels drawn for {here} environments from the histogram of {there}"),
        Part("episodes", f"start anew: {here} environments instead of {there}"),
        Part("random generators", "restored" if "random" in state else "new: there was no such process"),
    ]


def _resume_same(state: dict[str, Any], datamodule: RolloutDataModule, hidden: list[str]) -> list[Part]:
    """Resume with as many environments and processes as before."""
    if hidden:
        episodes = Part("episodes", f"start anew with what changed: {', '.join(f'env.{path}' for path in hidden)}")
        state = {name: value for name, value in state.items() if name != "state"}
    elif {"state", "rollout"} <= state.keys():
        episodes = Part("episodes", "restored, physics included")
    elif state.get("kept_state", True):
        episodes = _part("episodes", False)
    else:
        episodes = Part("episodes", "start anew: not kept (checkpoint.env_state=curriculum)")
    try:
        datamodule.resume(state)
    except ValueError as error:
        episodes = Part("episodes", f"start anew: {error}", is_missing=True)
        datamodule.resume({name: value for name, value in state.items() if name != "state"})
    return [_part("curriculum", "curriculum" in state), episodes, _part("random generators", "random" in state)]


def _part(name: str, is_there: bool) -> Part:
    return Part(name, "restored" if is_there else "not in the file: new", is_missing=not is_there)
