"""Play a policy: `python play.py ckpt=PATH`; everything about it is in the file.

Runs a grid of episodes and leaves a table, plots and numbers; `video=true` films it, `export=true` writes it for
deployment, `backend=mujoco` drives the exported policy in plain MuJoCo. `python play.py task=blind_rl policy=zero` (or
`policy=random`) steps a task without training, which shows what a new task does before anything learns in it.
`python play.py replay=PATH` goes through what a run has left of a fault, to see where numbers became non-finite.
"""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console

from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.command_line.checks import check_play
from rlmpc.command_line.compose import compose_play, is_deployment, list_choices
from rlmpc.run.command import run_command

WIDTH_IN_FILES = 150
"""Columns where no terminal says how many there are; enough for the table."""


def main(arguments: list[str]) -> None:
    """Compose the config, refuse what cannot run, and play."""
    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_FILES
    if arguments == ["list=true"]:
        console.print(list_choices())
        return
    cfg = compose_play(arguments)
    check_play(cfg)
    torch.manual_seed(cfg.seed)
    # Each way to play is imported where it is taken: MuJoCo's does without Isaac Lab, and the others without MuJoCo.
    if cfg.replay is not None:
        from rlmpc.play.replay import play_replay

        play_replay(cfg, Path(cfg.replay), console)
    elif cfg.ckpt is None:
        from rlmpc.play.untrained import play_untrained

        play_untrained(cfg, console)
    elif cfg.backend == "mujoco" or is_deployment(cfg.ckpt):
        from rlmpc.play.in_mujoco import play_in_mujoco

        play_in_mujoco(cfg, Path(cfg.ckpt), console)
    else:
        from rlmpc.play.trained import play_trained

        play_trained(cfg, load_checkpoint(Path(cfg.ckpt)), console)


if __name__ == "__main__":
    run_command(main)
