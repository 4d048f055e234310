"""Launches kernels of Warp on torch's tensors, on torch's stream."""

from functools import cache
from typing import Any

import torch
import warp as wp

wp.config.quiet = True
_THREADS_PER_BLOCK = 64
"""Few, so that the robots of a batch spread over all multiprocessors of a GPU."""


def launch(kernel: Any, dim: tuple[int, ...], device: torch.device, *arguments: Any) -> None:
    """Launch a kernel so that a graph that torch records holds it.

    Args:
        kernel: of Warp.
        dim: number of threads.
        device: where all tensors are.
        arguments: of the kernel; float32 tensors, bool and int64 ones, for arrays.
    """
    place: dict[str, Any] = {"stream": _stream(device)} if device.type == "cuda" else {"device": "cpu"}
    wp.launch(kernel, dim, arguments, record_tape=False, block_dim=_THREADS_PER_BLOCK, **place)


def _stream(device: torch.device) -> wp.Stream:
    """Return torch's current stream."""
    current = torch.cuda.current_stream(device)
    warps = wp.get_stream(str(current.device))
    # Warp keeps notes on a stream that it records; another object for the same stream would clear them.
    return warps if warps.cuda_stream == current.cuda_stream else _known_stream(current)


@cache
def _known_stream(stream: torch.cuda.Stream) -> wp.Stream:
    return wp.stream_from_torch(stream)
