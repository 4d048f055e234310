"""Runs `train.py` on a disk of its own, in memory: `train_on_small_disk.py <size> <argument of train.py> ...`.

The disk is mounted on the folder `disk`; what is left of `disk/run` is copied to `kept`. The mount is seen by this
process and its children only. Exit code 77 where nothing can be mounted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NO_DISK = 77


def mount(size: str, folder: str) -> None:
    """Mount a new file system of this size, as root of a user and mount namespace of this process alone."""
    user, group = os.getuid(), os.getgid()
    try:
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        Path(folder).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    except (OSError, subprocess.CalledProcessError):
        raise SystemExit(NO_DISK) from None


if __name__ == "__main__":
    _, size, *sys.argv[1:] = sys.argv
    mount(size, "disk")
    # Only now: a process with threads cannot have a namespace of its own, and some library starts one.
    import train
    from rlmpc.run.command import run_command

    try:
        run_command(train.main)
    finally:
        shutil.copytree("disk/run", "kept", symlinks=True)
