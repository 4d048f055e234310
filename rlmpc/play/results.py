"""Where the results of playing go, and what is recorded about the policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.find import CHECKPOINTS
from rlmpc.config.play import PlayCfg
from rlmpc.contract.contract import Contract
from rlmpc.contract.episode import ACTIONS_NOT_FINITE, NON_FINITE_ACTION, Episode, Trial
from rlmpc.errors import RunError
from rlmpc.evaluation.grid import DEFAULT_COMMANDS, Grounds
from rlmpc.evaluation.metrics import METRICS
from rlmpc.evaluation.report import print_whole, table, write_report
from rlmpc.run.folder import LOCK, check_new_folder, held, made_folder, new_folder, time_name

FILM_STEPS = 250
"""Control steps of a video."""


@contextmanager
def results_folder(cfg: PlayCfg, policy: Path) -> Iterator[Path]:
    """Make the folder of the results, for this process alone, before anything is computed.

    It is `run.dir`, or a new `play/<time>` in the folder of the run that the policy comes from. If nothing is written,
    what was made is removed.

    Raises:
        UserError: if it is not empty or cannot be written, or from the body; then what was made is removed.
    """
    with ExitStack() as stack:
        if cfg.run.dir is None:
            beside = policy if policy.is_dir() else policy.parent
            parent = beside.parent if beside.name == CHECKPOINTS else beside
            folder = stack.enter_context(new_folder(parent / "play", time_name()))
        else:
            folder = Path(cfg.run.dir)
            check_new_folder(folder)
            stack.enter_context(made_folder(folder))
        with held(folder):
            # Again, as another process may have written there meanwhile.
            check_new_folder(folder)
            try:
                yield folder
            finally:
                (folder / LOCK).unlink()


def report_episodes(
    cfg: PlayCfg, folder: Path, episodes: Sequence[Episode], header: dict[str, Any], console: Console
) -> None:
    """Write the evaluation's files and print its table.

    Raises:
        RunError: if the policy's actions were not finite in any episode, after the rest.
    """
    asked = {"seed": cfg.seed, "backend": cfg.backend, "disturbed": cfg.disturbed, "privileged": cfg.privileged}
    write_report(folder, episodes, {**header, **asked})
    print_whole(console, table(episodes, cfg.metrics or METRICS))
    console.print(f"evaluation in {folder}")
    if senseless := sum(episode.reason == NON_FINITE_ACTION for episode in episodes):
        raise RunError(f"{ACTIONS_NOT_FINITE}: {senseless} of {len(episodes)} episodes ended so")


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what reports and exports say about a policy, besides its contract."""
    return {
        "task": checkpoint.config["task"]["name"],
        "algorithm": checkpoint.algorithm,
        "iteration": checkpoint.iteration,
        "checkpoint_sha256": checkpoint.sha256,
    }


def describe_export(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what an export says about a policy: `describe`, its contract and the commands it was trained on."""
    contract = Contract.from_dict(checkpoint.hyperparameters["contract"])
    return {**describe(checkpoint), "contract": contract, "command_ranges": checkpoint.command_ranges}


def film_trials(cfg: PlayCfg, ground: Grounds) -> list[Trial]:
    """Return the trials of a video's robots: the first command, the kinds of ground in turn, the last level given."""
    terrains = cfg.terrains or list(ground.terrains)
    level = cfg.levels[-1] if cfg.levels else ground.num_levels // 2
    command = tuple(cfg.command) if cfg.command else DEFAULT_COMMANDS[ground.command_names][0]
    return [Trial(terrains[i % len(terrains)], level, command) for i in range(cfg.robots)]
