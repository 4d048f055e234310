"""Chooses the device of this process, and those of others."""

from __future__ import annotations

import os
import re

import torch

from rlmpc.errors import UserError


def resolve_device(device: str, num_processes: int = 1, local_rank: int = 0) -> torch.device:
    """Return the device that `device=` means for this process.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:<index>`.
        num_processes: processes on this machine; each takes its own GPU.
        local_rank: number of this process among them.

    Raises:
        UserError: if the name is unknown, or the GPU does not exist.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda" if available else "cpu"
    if device == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if match is None:
        raise UserError(f"unknown device '{device}'; accepted: auto, cpu, cuda, cuda:<index>")
    if not available:
        raise UserError(f"device={device}, but this machine has no usable GPU; use device=cpu or device=auto")
    first = int(match[1] or 0)
    if first + num_processes > available:
        raise UserError(f"device={device} with {num_processes} processes, but this machine has {available} GPUs")
    if num_processes > 1 and match[1]:
        raise UserError(f"device={device} names one GPU, but trainer.devices={num_processes}; use device=cuda")
    return torch.device("cuda", first + local_rank)


def visible_gpus(count: int) -> list[str]:
    """Return the first `count` GPUs that this process may use, by what CUDA_VISIBLE_DEVICES calls them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (visible.split(",") if visible else [str(index) for index in range(count)])[:count]
