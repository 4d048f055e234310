"""Kills a training run at random moments, resumes it each time, and compares the end with a run that was left alone.

    python benchmarks/kill.py --kills 20 task=toy num_envs=64 trainer.max_epochs=1500 checkpoint.every=3
    python benchmarks/kill.py --kills 5 --earliest 20 --latest 60 task=blind_rl device=cpu num_envs=8 \\
        agent.num_steps=8 trainer.max_epochs=500 checkpoint.every=2

Exit code 1 when a file is torn, a run does not come back, or anything but the time it took differs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from same_run import compare

from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.checkpoint.find import checkpoints_by_age

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


def main() -> None:
    """Read the command line and compare the two runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--earliest", type=float, default=2.0, help="moment of a kill, seconds after a start")
    parser.add_argument("--latest", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", help="of train.py")
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as root:
        alone, killed = Path(root) / "alone", Path(root) / "killed"
        assert train(None, *options.overrides, f"run.dir={alone}") == 0, "the run does not work at all"
        print(f"the run left alone did {iteration_of(alone)} iterations", flush=True)
        for number in range(options.kills):
            moment = random.uniform(options.earliest, options.latest)
            assert go_on(killed, options.overrides, moment) != 0, "the run was finished too early; let it train longer"
            print(f"kill {number + 1} after {moment:.1f} s: {described(killed)}", flush=True)
        assert go_on(killed, options.overrides, None) == 0, "the killed run does not come back"
        differing = compare(alone, killed)
    print(f"after {options.kills} kills: {'the same to the last bit' if not differing else 'differs in ' + differing}")
    raise SystemExit(1 if differing else 0)


def train(seconds: float | None, *arguments: str) -> int:
    """Exit code of train.py, which is killed after some seconds."""
    process = subprocess.Popen([sys.executable, str(TRAIN), *arguments], stdout=subprocess.DEVNULL)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return process.wait()


def go_on(folder: Path, overrides: list[str], seconds: float | None) -> int:
    """Start the run, or resume it once it has a checkpoint; exit code."""
    if checkpoints_by_age(folder / "checkpoints"):
        return train(seconds, f"resume={folder}")
    shutil.rmtree(folder, ignore_errors=True)
    return train(seconds, *overrides, f"run.dir={folder}")


def iteration_of(folder: Path) -> int:
    """Finished iterations in the newest checkpoint; every file is read, so a torn one ends this script."""
    return max(load_checkpoint(path).iteration for path in checkpoints_by_age(folder / "checkpoints"))


def described(folder: Path) -> str:
    """What a kill left."""
    files = checkpoints_by_age(folder / "checkpoints")
    if not files:
        return "no checkpoint yet"
    return f"{len(files)} whole checkpoints, iteration {iteration_of(folder)}"


if __name__ == "__main__":
    main()
