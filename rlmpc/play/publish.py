"""Publishes a policy: the file that others play, and a card that says what it is and how well it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.checkpoint.published import CARD, NAME, write_published
from rlmpc.checkpoint.write import write_whole
from rlmpc.config.play import PlayCfg
from rlmpc.contract.episode import Episode
from rlmpc.networks.policy import GaussianPolicy
from rlmpc.play.card import evaluation, identity, limits, training, usage, wrapped
from rlmpc.run.record import commit, versions


def publish(
    cfg: PlayCfg,
    checkpoint: Checkpoint,
    policy: GaussianPolicy,
    command_names: tuple[str, ...],
    episodes: Sequence[Episode],
    console: Console,
) -> None:
    """Write `policy.ckpt` and its card into the folder that `publish` names.

    Args:
        cfg: what was asked for.
        checkpoint: where the policy comes from.
        policy: the policy in it.
        command_names: names of the numbers in a command.
        episodes: how it did.
        console: where to print.

    Raises:
        RunError: if they cannot be written.
    """
    assert cfg.publish is not None
    folder = Path(cfg.publish)
    write_published(checkpoint, folder / NAME)
    published = load_checkpoint(folder / NAME)
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    disturbed = ", with the noise and pushes of training" if cfg.disturbed else ""
    measured = (
        f"Mean actions in the task's play mode{disturbed}, seed {cfg.seed}, {len(episodes)} episodes of at most "
        f"{max(episode.length_s for episode in episodes):.0f} s. Commit {commit()}; {used}."
    )
    sections = {
        f"# {published.config['task']['name']}: {published.algorithm}": identity(published, policy.acting_groups),
        "## Use": usage(published, folder, policy.acting_groups),
        "## Limits": limits(published, policy.acting_groups, episodes, command_names),
        "## Training": training(checkpoint),
        "## Evaluation": [measured, "", *evaluation(episodes)],
    }
    text = "\n".join("\n".join((title, "", *map(wrapped, lines), "")) for title, lines in sections.items())
    write_whole(folder / CARD, text.encode())
    console.print(f"published in {folder}: {(folder / NAME).stat().st_size / 2**20:.2f} MiB, and {CARD}")
