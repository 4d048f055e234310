"""Play a policy: `python play.py ckpt=PATH`; the file holds everything about it.

Evaluates a grid of episodes and writes a table, plots and numbers; `video=true` films it, `export=true` writes it for
deployment, `backend=mujoco` drives the exported policy in plain MuJoCo. `python play.py task=blind_rl policy=zero` (or
`policy=random`) steps a task without training, to see what a new task does before an agent learns it.
`live=true` opens a page from which the robot is driven.
`python play.py replay=PATH` replays a fault that a run recorded, to see where numbers became non-finite.
"""

from __future__ import annotations

from pathlib import Path

from rlmpc.checkpoint.fault_file import FaultFile
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.command_line.play import compose_play
from rlmpc.command_line.usage import answer
from rlmpc.config.play import PlayCfg
from rlmpc.run.command import run_command
from rlmpc.run.output import PlainConsole

WIDTH_IN_FILES = 150
"""Width in columns if there is no terminal to tell it; enough for the table."""


def main(arguments: list[str]) -> None:
    """Compose the config, refuse what cannot run, and play."""
    if (text := answer(arguments, __doc__ or "", PlayCfg())) is not None:
        print(text)
        return
    console = PlainConsole()
    if not console.is_terminal:
        console.width = WIDTH_IN_FILES
    cfg, opened = compose_play(arguments)
    # The import takes seconds; bad input is reported before. Each way to play is imported where it is used: MuJoCo's
    # needs no Isaac Lab, and the others need no MuJoCo.
    import torch

    torch.manual_seed(cfg.seed)
    if isinstance(opened, FaultFile):
        from rlmpc.play.replay import play_replay

        play_replay(cfg, opened, console)
    elif cfg.ckpt is None:
        from rlmpc.play.untrained import play_untrained

        play_untrained(cfg, console)
    elif cfg.live:
        from rlmpc.play.live.run import play_live

        play_live(cfg, opened if isinstance(opened, Checkpoint) else Path(cfg.ckpt), console)
    elif isinstance(opened, Checkpoint) and cfg.backend != "mujoco":
        from rlmpc.play.trained import play_trained

        play_trained(cfg, opened, console)
    else:
        from rlmpc.play.in_mujoco import play_in_mujoco

        play_in_mujoco(cfg, opened or Path(cfg.ckpt), console)


if __name__ == "__main__":
    run_command(main)
