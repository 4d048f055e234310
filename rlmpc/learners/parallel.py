"""Work that a GPU does at the same time as other work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch


@contextmanager
def parallel(device: torch.device) -> Iterator[Callable[[], None]]:
    """Let a GPU do what is started here at the same time as what is started after it.

    Gives a function that makes what is started from then on wait; call it before a result is used. What was started
    here may use nothing that is freed before. A backward pass goes back on the same two ways. A recorded graph keeps
    them. Elsewhere than on a GPU, one thing is done after another.
    """
    if device.type != "cuda":
        yield lambda: None
        return
    current, second = torch.cuda.current_stream(device), _second_stream(device)
    second.wait_stream(current)
    with torch.cuda.stream(second):
        yield lambda: current.wait_stream(second)


@cache
def _second_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the same stream every time: the allocator keeps the memory of each stream apart."""
    return torch.cuda.Stream(device)
