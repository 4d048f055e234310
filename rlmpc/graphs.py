"""Replays a function of tensors on a GPU as one recorded CUDA graph, instead of launching kernel after kernel.

A kernel takes the host about 10 us to launch, and many take the GPU less. A recorded graph starts all of them at once.
On the CPU, and with `use_graphs(False)`, the function itself is called: it is the reference that graphs repeat.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, cast
from weakref import WeakSet

import torch
from torch import Tensor

from rlmpc.networks.tree import leaves, tree_map

WARM_UPS = 3
"""Calls before the recording: libraries choose their algorithms, and lazy buffers come into being."""

_switch = {"on": True}


def use_graphs(on: bool) -> None:
    """Choose whether functions that are called from here on may be recorded; holds for the whole process."""
    _switch["on"] = on


def uses_graphs(device: torch.device) -> bool:
    """Return whether functions on this device are recorded."""
    return _switch["on"] and device.type == "cuda"


class Replayed[R]:
    """A function that is recorded at one of its first calls, and replayed in all later ones.

    What the function may do: launch kernels, on the current stream, whose number and shapes never change, draw from
    torch's default generator, and call collectives of NCCL, if all processes call the function equally often. It must
    not read a tensor on the host. Everything that it reads or writes besides its arguments must stay at its address.
    What Python does in it happens at the first calls only.

    The result of a replay is overwritten by the next one.

    Args:
        function: takes tensors, or nested dicts of them, and returns anything that holds tensors.
        device: where its tensors are.
        recording: makes a context that surrounds the recording.
        beside: a function whose recording may share its memory with this one's: neither is called before the other's
            result has been used.
        at_replay: called at every replay, for what the function changes on the host.
    """

    def __init__(
        self,
        function: Callable[..., R],
        device: torch.device,
        recording: Callable[[], AbstractContextManager[Any]] = nullcontext,
        beside: Replayed[Any] | None = None,
        at_replay: Callable[[], None] = lambda: None,
    ) -> None:
        self.function = function
        self.device = device
        self._recording = recording
        self._beside = beside
        self._at_replay = at_replay
        self._num_calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._arguments: tuple[Any, ...] = ()
        self._result: R

    def __call__(self, *arguments: Any) -> R:
        """Call the function, or replay it with these arguments, which are copied to where it was recorded with."""
        if not uses_graphs(self.device):
            return self.function(*arguments)
        if self._graph is None and self._num_calls < WARM_UPS:
            self._num_calls += 1
            return self._on_side_stream(*arguments)
        if self._graph is None:
            self._record(arguments)
        else:
            self._at_replay()
        assert self._graph is not None
        copy_all(_tensors(self._arguments), _tensors(arguments))
        self._graph.replay()
        return self._result

    def forget(self) -> None:
        """Drop the recording, because something that it refers to has moved; the next calls make a new one."""
        self._graph, self._num_calls, self._arguments = None, 0, ()

    def _on_side_stream(self, *arguments: Any) -> R:
        """Call the function as recording needs it: not on the default stream."""
        side, current = side_stream(self.device, 0), torch.cuda.current_stream(self.device)
        side.wait_stream(current)
        with torch.cuda.stream(side):
            result = self.function(*arguments)
        current.wait_stream(side)
        return result

    def _record(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = tuple(tree_map(torch.clone, argument) for argument in arguments)
        graph = torch.cuda.CUDAGraph()
        shared = None if self._beside is None or self._beside._graph is None else self._beside._graph.pool()
        torch.cuda.synchronize(self.device)
        # A collection of garbage would free GPU memory, which must not happen while recording; other threads, for
        # example those that write logs, may use the GPU meanwhile.
        gc.collect()
        gc.disable()
        try:
            with torch.cuda.graph(graph, shared, capture_error_mode="thread_local"), self._recording():
                self._result = self.function(*self._arguments)
        finally:
            gc.enable()
        # The recording has set the offset of its random numbers on a stream of its own: a replay must not overtake it.
        torch.cuda.synchronize(self.device)
        self._graph = graph
        _recorded.add(self)


def at_once[R](device: torch.device, functions: Sequence[Callable[[], R]]) -> list[R]:
    """Call functions that a GPU carries out at the same time, and return their results; a recording keeps this.

    The first runs on the current stream, each other one on a stream of its own, and what comes after waits for all.
    Python calls them in the given order, so random numbers are those of calls one after another; elsewhere than on a
    GPU, that is all that happens. They must not call `at_once`, and none may write what another reads or writes.

    The allocator gives memory that was freed to whoever asks next on the stream where it was made, and streams wait for
    each other only at start and end. What a function makes and frees itself is safe therefore, and so is what it
    returns. What was made before must not be freed by any: do not replace a tensor that another function reads.
    """
    if device.type != "cuda" or not functions:
        return [function() for function in functions]
    current, others = torch.cuda.current_stream(device), [side_stream(device, i) for i in range(1, len(functions))]
    for stream in others:
        stream.wait_stream(current)
    results = []
    for stream, function in zip((current, *others), functions, strict=True):
        with torch.cuda.stream(stream):
            results.append(function())
    for stream in others:
        current.wait_stream(stream)
    return results


_recorded: WeakSet[Replayed[Any]] = WeakSet()


def forget_recordings() -> None:
    """Drop every recording of this process: NCCL waits without end for those that hold collectives when it closes."""
    for replayed in _recorded:
        replayed.forget()


@cache
def side_stream(device: torch.device, number: int) -> torch.cuda.Stream:
    """Return the same stream for a number every time: the allocator keeps the memory of each stream apart.

    What is not yet recorded runs on number 0, and what that does at the same time on those from 1 on.
    """
    return torch.cuda.Stream(device)


def _tensors(arguments: tuple[Any, ...]) -> list[Tensor]:
    return [tensor for argument in arguments for tensor in leaves(argument)]


def copy_all(places: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy tensors to other places, all of a type in one kernel."""
    pairs: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for place, value in zip(places, values, strict=True):
        if place.data_ptr() != value.data_ptr():
            there, here = pairs.setdefault(place.dtype, ([], []))
            there.append(place)
            here.append(value)
    for there, here in pairs.values():
        cast(Any, torch)._foreach_copy_(there, here)
