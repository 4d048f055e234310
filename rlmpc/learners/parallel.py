"""Work that a GPU does at the same time as other work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from rlmpc.graphs import side_stream


@contextmanager
def parallel(device: torch.device) -> Iterator[Callable[[], None]]:
    """Let a GPU do what is started here at the same time as what is started after it.

    Where both are functions, `at_once` does the same; here, what goes on beside may be the caller's, as in a generator.
    Gives a function that makes what is started from then on wait; call it before a result is used. What was started
    here may use nothing that is freed before. A backward pass goes back on the same two ways. A recorded graph keeps
    them. Elsewhere than on a GPU, one thing is done after another.
    """
    if device.type != "cuda":
        yield lambda: None
        return
    current, second = torch.cuda.current_stream(device), side_stream(device, 1)
    second.wait_stream(current)
    with torch.cuda.stream(second):
        yield lambda: current.wait_stream(second)
