"""CUDA graphs as a CPU can have them: a function is recorded once, operation by operation, and repeated on its tensors.

As on a GPU, what Python does in the function happens no more, every result stays at its address, and a read by the host
while recording is an error.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rlmpc.graphs import WARM_UPS, Replayed, _tensors, copy_all
from rlmpc.networks.tree import tree_map

HOST_READS = ("_local_scalar_dense", "nonzero", "equal", "item", "is_nonzero", "unique", "masked_select", "normal")


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in HOST_READS, f"the host reads a tensor in a recording: {name}"
        assert name != "index" or all(i is None or i.dtype != torch.bool for i in args[1]), "a mask is an index"
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, before in self.calls:
            result = func(*args, **kwargs)
            for place, values in zip(tree_leaves(before), tree_leaves(result), strict=True):
                if isinstance(place, Tensor) and place.data_ptr() != values.data_ptr():
                    place.copy_(values)


class RecordedOnCpu(Replayed):
    """Does on the CPU what `Replayed` does on a GPU."""

    recording: _Recording | None = None
    num_replays = 0

    def __call__(self, *arguments: Any) -> Any:
        if self._num_calls < WARM_UPS:
            self._num_calls += 1
            return self.function(*arguments)
        if self.recording is None:
            # Unlike that of a CUDA graph, this recording is a run.
            self._arguments = tuple(tree_map(torch.clone, argument) for argument in arguments)
            self.recording = _Recording()
            with self.recording:
                self._result = self.function(*self._arguments)
            return self._result
        copy_all(_tensors(self._arguments), _tensors(arguments))
        self._at_replay()
        self.recording.replay()
        self.num_replays += 1
        return self._result
