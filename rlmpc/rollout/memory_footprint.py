"""Estimates the memory that a run takes at least, so that one no machine could hold is refused before it starts."""

from __future__ import annotations

import os
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import torch

from rlmpc.config.agent import AgentCfg, Terms
from rlmpc.errors import UserError

NUMBER = 4
"""Bytes of a number in single precision."""
COPIES_OF_ROLLOUT = 2
"""The rollout, and its shuffled samples."""
COPIES_OF_WEIGHTS = 4
"""The weights, their gradient and the optimizer's two moments."""
LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Files below `/sys/fs/cgroup` that hold a container's limit."""


def check_memory(agent: AgentCfg, terms: Terms, num_envs: int, device: torch.device, num_processes: int = 1) -> None:
    """Refuse sizes that take more memory than the device has.

    Args:
        agent: its settings.
        terms: what the task observes.
        num_envs: environments of each process.
        device: of this process.
        num_processes: how many share the machine's memory, if the device is the CPU.

    Raises:
        UserError: if they do, with the numbers.
    """
    observed = {getattr(agent, entry.name) for entry in fields(agent) if entry.name.endswith("_group")}
    # A term holds at least one number a frame.
    numbers = sum(sum(terms[group].values()) for group in observed)
    hidden = {entry.name: getattr(agent, entry.name) for entry in fields(agent) if entry.name.endswith("_hidden")}
    weights = sum(width * next_width for widths in hidden.values() for width, next_width in pairwise(widths))
    if agent.has_memory:
        weights += 3 * getattr(agent, "memory_width", 0) ** 2
    rollout = num_envs * agent.num_steps * numbers
    share = 1 if device.type == "cuda" else num_processes
    needed = NUMBER * share * (COPIES_OF_ROLLOUT * rollout + COPIES_OF_WEIGHTS * weights)
    if needed > (available := memory_of(device)):
        widths = "".join(f", agent.{name} = {widths}" for name, widths in hidden.items())
        raise UserError(
            f"num_envs x agent.num_steps = {num_envs} x {agent.num_steps}{widths} take at least "
            f"{needed / 1e9:.0f} GB of memory, but '{device}' has {available / 1e9:.0f} GB; choose smaller ones"
        )


def memory_of(device: torch.device) -> int:
    """Return the memory of a GPU, or of this machine or container, in bytes."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in (Path("/sys/fs/cgroup") / name for name in LIMITS):
        text = path.read_text().strip() if path.is_file() else ""
        sizes += [int(text)] if text.isdecimal() else []
    return min(sizes)
