"""Kills a training run at random moments, resumes it each time, and compares the end with a run that was left alone.

    python benchmarks/kill.py --kills 20 task=toy num_envs=64 trainer.max_epochs=200 checkpoint.every=3
    python benchmarks/kill.py --kills 5 --longest 60 task=blind_rl num_envs=16 trainer.max_epochs=12 checkpoint.every=2

Exit code 1 when a file is torn, a run does not come back, or anything but the time it took differs.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from rlmpc.checkpoint import checkpoints_by_age, load_checkpoint

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


def main() -> None:
    """Read the command line and compare the two runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=12.0, help="latest moment of a kill, seconds after a start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", help="of train.py")
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as root:
        alone, killed = Path(root) / "alone", Path(root) / "killed"
        assert train(None, *options.overrides, f"run.dir={alone}") == 0, "the run does not work at all"
        print(f"the run left alone did {iteration_of(alone)} iterations", flush=True)
        for number in range(options.kills):
            moment = random.uniform(0.5, options.longest)
            code = go_on(killed, options.overrides, moment)
            print(f"kill {number + 1} after {moment:.1f} s: {described(killed, code)}", flush=True)
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
    """Start the run, or resume it once it has a checkpoint; 0 when it is finished."""
    if checkpoints_by_age(folder / "checkpoints"):
        total = [override for override in overrides if override.startswith("trainer.max_epochs=")]
        done = iteration_of(folder)
        if total and done >= int(total[0].split("=")[1]):
            return 0
        return train(seconds, f"resume={folder}")
    shutil.rmtree(folder, ignore_errors=True)
    return train(seconds, *overrides, f"run.dir={folder}")


def iteration_of(folder: Path) -> int:
    """Finished iterations in the newest checkpoint; every file is read, so a torn one ends this script."""
    return max(load_checkpoint(path).iteration for path in checkpoints_by_age(folder / "checkpoints"))


def described(folder: Path, code: int) -> str:
    """What a kill left."""
    files = checkpoints_by_age(folder / "checkpoints")
    if not files:
        return "no checkpoint yet"
    return f"{len(files)} whole checkpoints, iteration {iteration_of(folder)}{', finished' if code == 0 else ''}"


def compare(there: Path, here: Path) -> str:
    """What differs between the ends of two runs, apart from time; empty if nothing does."""
    differing = [] if curve(there) == curve(here) else ["the curve"]
    ends = [torch.load(checkpoints_by_age(run / "checkpoints")[0], weights_only=True) for run in (there, here)]
    names = ("state_dict", "optimizer_states", "RolloutDataModule", "epoch", "global_step")
    differing += [name for name in names if not same(ends[0][name], ends[1][name])]
    return ", ".join(differing)


def curve(folder: Path) -> list[dict[str, str]]:
    """Rows of `metrics.csv` without those that measure time."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if not k.startswith("perf/")} for row in csv.DictReader(file)]


def same(there: object, here: object) -> bool:
    """Whether nested dicts, lists and tensors are equal to the bit."""
    if isinstance(there, torch.Tensor) and isinstance(here, torch.Tensor):
        return torch.equal(there, here)
    if isinstance(there, dict) and isinstance(here, dict):
        return there.keys() == here.keys() and all(same(there[key], here[key]) for key in there)
    if isinstance(there, list | tuple) and isinstance(here, list | tuple):
        return len(there) == len(here) and all(same(a, b) for a, b in zip(there, here, strict=True))
    return there == here


if __name__ == "__main__":
    main()
