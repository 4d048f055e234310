"""The file from which a rollout with a fault is replayed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlmpc.checkpoint.file import load_plain
from rlmpc.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

FAULT_FORMAT = 2
"""Version of the fields of `FaultFile`; a file of another version is refused."""


@dataclass(frozen=True)
class FaultFile:
    """T recorded steps of the N environments of one process; plain data and tensors on the CPU."""

    iteration: int
    """Iteration of the fault, counted from 1 as in the console."""
    config: dict[str, Any]
    """The run's composed config, `TrainCfg` as a dict."""
    num_envs: int
    device: str
    seed: int
    """Seed the environments were made with."""
    state: dict[str, Any]
    """What `VecEnv.state` returned before the first step."""
    obs_is_finite: Tensor
    """(N,) bool: whether the observation before the first step was finite."""
    random: list[dict[str, Any]]
    """State of the process's random generators before each step."""
    actions: Tensor
    """(T, N, A), as given to the environments, finite or not."""
    valid: Tensor
    """(T, N) bool: the samples that could be learned from."""
    shown: Tensor
    """(K,) integers: indices of a few faulty environments."""
    obs: dict[str, Tensor]
    """Observations of these, groups (T, K, D_g); zeros where not `valid`."""


def describe_fault(**fields: Any) -> dict[str, Any]:
    """Return the content of a file, from the fields of `FaultFile`."""
    return {"format": FAULT_FORMAT, **vars(FaultFile(**fields))}


def read_fault(path: Path) -> FaultFile:
    """Read a file. Only plain data is accepted: nothing in it is executed.

    Raises:
        UserError: if it is missing, damaged, or of another kind or format.
    """
    if not path.is_file():
        raise UserError(f"there is no file '{path}' to replay")
    try:
        with path.open("rb") as file:
            content = load_plain(file)
    except Exception:  # Unpickling damaged data can raise anything.
        content = None
    if not isinstance(content, dict) or "format" not in content:
        raise UserError(f"'{path}' is not what a run leaves of a fault (<run folder>/faults/*.pt), or it is damaged")
    if content.pop("format") != FAULT_FORMAT:
        raise UserError(f"'{path}' has another format than {FAULT_FORMAT}, which this version reads")
    try:
        fault = FaultFile(**content)
        steps, num_envs, _ = fault.actions.shape
        is_whole = (
            (len(fault.random), fault.num_envs, *fault.obs_is_finite.shape) == (steps, num_envs, num_envs)
            and fault.valid.shape == (steps, num_envs)
            and all({"python", "numpy", "torch"} <= state.keys() for state in fault.random)
            and isinstance(fault.config["task"]["name"], str)
            and {"actor_group"} <= fault.config["agent"].keys()
            and {"env", "deterministic"} <= fault.config.keys()
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"'{path}' holds something else than expected ({error}); it was changed") from error
    if not is_whole:
        raise UserError(f"'{path}' holds parts that do not belong together; it was changed")
    return fault
