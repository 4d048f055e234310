"""What a checkpoint says about itself, read without its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from pathlib import Path

from rlmpc.checkpoint.file import CHECKPOINT_FORMAT
from rlmpc.checkpoint.plain import read_plain
from rlmpc.checkpoint.schema import Outline
from rlmpc.contract.schema import checked
from rlmpc.errors import UserError

WORTHLESS = float("-inf")
"""Return of a checkpoint that ended no episode, or for which a teacher acted; success of one without evaluation."""

SUCCESS = "evaluation/success"
"""Among the numbers of an iteration that ends an evaluation: the share of its episodes that succeeded."""


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
    success: float
    """Share of successful episodes in the evaluation that ended with its last iteration; `WORTHLESS` if none did."""

    @property
    def worth(self) -> tuple[float, float]:
        """What tells the better of two checkpoints of a run: success in an evaluation, then the mean return."""
        return self.success, self.mean_return


def summary_of(path: Path) -> Summary:
    """Read the summary of a checkpoint.

    Raises:
        FileNotFoundError: if it is gone.
        UserError: if it is no whole checkpoint of this project.
    """
    try:
        with path.open("rb") as file:
            content = read_plain(file, path, "a checkpoint", is_outline=True)
            written_s = path.stat().st_mtime
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}") from error
    outline: Outline = checked(Outline, content, path)
    ours = outline["rlmpc"]
    if ours["format"] != CHECKPOINT_FORMAT:
        raise UserError(f"'{path}' has format {ours['format']}; this version reads format {CHECKPOINT_FORMAT}")
    numbers = ours["numbers"]
    mean_return = numbers.get("episode/return", WORTHLESS)
    # A teacher's share above 0 means that the return is not the policy's own.
    is_own = numbers.get("dagger/teacher_share", 0.0) == 0.0 and not isnan(mean_return)
    return Summary(
        path=path,
        iteration=outline["epoch"] + 1,
        algorithm=outline["hyper_parameters"]["agent"]["algorithm"],
        saved_s=ours.get("saved_s", written_s),
        mean_return=mean_return if is_own else WORTHLESS,
        success=WORTHLESS if isnan(success := numbers.get(SUCCESS, WORTHLESS)) else success,
    )
