"""The file from which a rollout with a fault is replayed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rlmpc.checkpoint.arrays import Array, Letter
from rlmpc.checkpoint.plain import read_plain
from rlmpc.checkpoint.schema import MAX_ENVS, EnvState, RandomSteps, RunConfig
from rlmpc.contract.schema import As, Name, Whole, checked, closed, misfit
from rlmpc.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
else:
    # The import takes seconds, and what a field holds is checked by what it is annotated with.
    Tensor = Any

FAULT_FORMAT = 2
"""Version of the fields of `FaultFile`; a file of another version is refused."""


@closed
@dataclass(frozen=True)
class FaultFile:
    """T recorded steps of the N environments of one process; plain data and tensors on the CPU."""

    iteration: Whole
    """Iteration of the fault, counted from 1 as in the console."""
    config: Annotated[dict[str, Any], As(RunConfig)]
    """The run's composed config, `TrainCfg` as a dict."""
    num_envs: Annotated[int, Field(strict=True, ge=1, le=MAX_ENVS), Letter("N")]
    device: Annotated[str, Field(strict=True, pattern=r"^(cpu|cuda(:\d{1,3})?)$")]
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)]
    """Seed the environments were made with."""
    state: EnvState
    """What `VecEnv.state` returned before the first step."""
    obs_is_finite: Annotated[Tensor, Array(("N",), "bool")]
    """(N,) bool: whether the observation before the first step was finite."""
    random: Annotated[list[dict[str, Any]], As(RandomSteps), Letter("T")]
    """State of the process's random generators before the first step, and of those that policies use before each other.
    """
    actions: Annotated[Tensor, Array(("T", "N", "A"))]
    """(T, N, A), as given to the environments, finite or not."""
    valid: Annotated[Tensor, Array(("T", "N"), "bool")]
    """(T, N) bool: the samples that could be learned from."""
    shown: Annotated[Tensor, Array(("K",), "int64", 0)]
    """(K,) integers: indices of a few faulty environments."""
    obs: dict[Name, Annotated[Tensor, Array(("T", "K", "..."))]]
    """Observations of these, groups (T, K, D_g); zeros where not `valid`."""


def describe_fault(**fields: Any) -> dict[str, Any]:
    """Return the content of a file, from the fields of `FaultFile`."""
    return {"format": FAULT_FORMAT, **vars(FaultFile(**fields))}


def read_fault(path: Path) -> FaultFile:
    """Read a file. Only plain data is accepted: nothing in it is executed.

    Raises:
        UserError: if it is missing, damaged, of another kind or format, or holds something else than it should.
    """
    if not path.is_file():
        raise UserError(f"there is no file '{path}' to replay")
    what = "what a run leaves of a fault (<run folder>/faults/*.pt)"
    try:
        with path.open("rb") as file:
            content = read_plain(file, path, what)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror}") from error
    if not isinstance(content, dict) or "format" not in content:
        raise UserError(f"'{path}' is not {what}, or it is damaged")
    found = content.pop("format")
    if type(found) is not int or found != FAULT_FORMAT:
        raise UserError(f"'{path}' has another format than {FAULT_FORMAT}, which this version reads")
    fault: FaultFile = checked(FaultFile, content, path)
    if len(fault.shown) and int(fault.shown.max()) >= fault.num_envs:
        raise misfit(path, "shown", fault.shown, f"every entry should be below num_envs = {fault.num_envs}")
    return fault
