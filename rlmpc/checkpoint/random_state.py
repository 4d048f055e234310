"""The random generators of a process as plain data, so that a resumed run draws the same numbers."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from rlmpc.checkpoint.arrays import misfits


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of Python's, NumPy's and PyTorch's generators; of PyTorch's also on `device` if it is a GPU."""
    name, keys, *rest = np.random.get_state()
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
    }
    return state | random_state_on(device)


def random_state_on(device: torch.device) -> dict[str, Any]:
    """Return the part of `random_state` from which a policy on `device` draws, which takes little time."""
    if device.type == "cuda":
        return {"cuda": torch.cuda.get_rng_state(device)}
    return {"torch": torch.get_rng_state()}


def load_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Restore what `random_state` returned, or a part of it; generators that are not in it are left as they are.

    Raises:
        ValueError: if it is not of these generators.
    """
    here = random_state(device)
    if lines := misfits({**here, **state}, {**state, **here}, "random"):
        raise ValueError(f"the state of a generator is another (there | here): {lines[0]}")
    try:
        _load(state, device)
    except RuntimeError as error:
        raise ValueError(f"the state of a generator is damaged: {str(error).splitlines()[0]}") from error


def _load(state: dict[str, Any], device: torch.device) -> None:
    if "python" in state:
        random.setstate(state["python"])
    if "numpy" in state:
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if "torch" in state:
        torch.set_rng_state(state["torch"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
