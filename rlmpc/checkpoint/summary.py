"""What a checkpoint says about itself, read without its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rlmpc.checkpoint.file import CHECKPOINT_FORMAT, SECTION
from rlmpc.errors import UserError

WORTHLESS = float("-inf")
"""Return of a checkpoint that ended no episode, or for which a teacher acted."""


@dataclass(frozen=True)
class Summary:
    """The part of a checkpoint by which it is chosen among others. Its checksums have not been compared."""

    path: Path
    iteration: int
    """Finished iterations."""
    algorithm: str
    saved_s: float
    """When it was saved, in seconds since 1970; for files that do not say so, when they were written."""
    mean_return: float
    """The policy's mean return in its last iteration; `WORTHLESS` if a teacher acted for it."""


def summary_of(path: Path) -> Summary:
    """Read the summary of a checkpoint.

    Raises:
        FileNotFoundError: if it is gone.
        UserError: if it is no whole checkpoint of this project.
    """
    # The import takes seconds; a mistyped name should be reported before.
    import torch

    try:
        # Mapped into memory, so only what is looked at is read.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        ours = content[SECTION]
        numbers = ours["numbers"]
        # A teacher's share above 0 means that the return is not the policy's own.
        is_own = float(numbers.get("dagger/teacher_share", 0.0)) == 0.0
        summary = Summary(
            path=path,
            iteration=int(content["epoch"]) + 1,
            algorithm=str(content["hyper_parameters"]["agent"]["algorithm"]),
            saved_s=float(ours.get("saved_s", path.stat().st_mtime)),
            mean_return=float(numbers.get("episode/return", WORTHLESS)) if is_own else WORTHLESS,
        )
    except FileNotFoundError:
        raise
    except Exception as error:  # Unpickling damaged data can raise anything.
        raise UserError(f"'{path}' is not a checkpoint, or only a part of one") from error
    if ours.get("format") != CHECKPOINT_FORMAT:
        raise UserError(f"'{path}' has format {ours.get('format')}; this version reads format {CHECKPOINT_FORMAT}")
    return summary
