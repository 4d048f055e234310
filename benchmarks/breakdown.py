"""Breaks one iteration of our training down: time of its parts, work of the GPU, and reads by the host.

All of it is observed from outside, by callbacks of the trainer that wrap functions while they watch.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning as L
import torch
from torch import Tensor
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

import rlmpc.algorithms.ppo.learner
from callbacks.throughput import Moment
from rlmpc.envs.vec_env import VecEnv
from rlmpc.graphs import Replayed
from rlmpc.learners.base import OnPolicyLearner

ROOT = Path(__file__).resolve().parents[1]
OURS = ("rlmpc", "callbacks", "train.py")
"""Where our code is, below `ROOT`."""
aten = torch.ops.aten
READS = {
    *(aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default),
    *(aten._unique2.default, aten.unique_dim.default, aten.repeat_interleave.Tensor),
}
"""Operators that wait for the device, because the host needs a number or a size from it."""
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
"""Operators that do so where an index is a mask."""
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel")
GRAPH_LAUNCHES = ("cudaGraphLaunch", "cuGraphLaunch")
SYNCHRONISATIONS = tuple(f"{api}{what}Synchronize" for api in ("cuda", "cu") for what in ("Stream", "Device", "Event"))
COPIES = ("cudaMemcpy", "cuMemcpy")
MAX_LISTED = 12
"""Kernels and places of reads that are listed."""


class Inspection(L.Callback):
    """Watches one iteration after another of a training: its parts, then under the profiler, then its host reads.

    Args:
        env: the environment.
        first: the first iteration that is watched, counted from 0.
        num_timed: iterations whose parts are timed.
    """

    def __init__(self, env: VecEnv, first: int, num_timed: int) -> None:
        self.env = env
        self.timeline = Timeline(env.device)
        self.work = GpuWork(env.device)
        self.reads = HostReads(env.device)
        self._wrapped = ExitStack()
        self._timed = range(first, first + num_timed)
        self.num_iterations = self._timed.stop + 3

    def on_train_start(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """Wrap the parts."""
        for part, owner, name in parts_of(self.env, trainer, pl_module):
            # None where the environment has no simulation, or nothing is recorded.
            if owner is not None:
                self._wrapped.enter_context(patch.object(owner, name, self.timeline.timed(part, getattr(owner, name))))

        replay = pl_module.replay
        self._wrapped.enter_context(
            patch.object(
                pl_module, "replay", lambda name, *args, **kw: self.timeline.named(name, replay, name, *args, **kw)
            )
        )

    def on_train_end(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """Unwrap them."""
        self._wrapped.close()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """End what watched the last iteration, and begin what watches this one."""
        now = trainer.current_epoch
        if now == self._timed.start:
            self.timeline.start()
        elif now == self._timed.stop:
            self.timeline.stop()
            self.work.start()
        elif now == self._timed.stop + 1:
            self.work.stop()
            self.reads.__enter__()
        elif now == self._timed.stop + 2:
            self.reads.__exit__(None, None, None)

    def times_ms(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the time of every part and of every recorded graph in it, as means over the timed iterations."""
        parts: dict[str, float] = {}
        graphs: dict[str, float] = {}
        for name, seconds in self.timeline.seconds().items():
            part, separator, _ = name.partition(": ")
            ms = 1000.0 * seconds / len(self._timed)
            parts[part] = parts.get(part, 0.0) + ms
            if separator:
                graphs[name] = ms
        return parts, graphs


def parts_of(env: VecEnv, trainer: L.Trainer, learner: OnPolicyLearner) -> Iterable[tuple[str, Any, str]]:
    """Return part, owner and name of the functions whose time is told apart; inner ones do not count in outer ones."""
    collector, policy = trainer.datamodule.collector, learner.rollout_policy  # type: ignore[attr-defined]
    storage = getattr(collector, "_storage", None)
    simulation = getattr(getattr(env, "unwrapped", None), "sim", None)
    return [
        ("physics", simulation, "step"),
        *(("env tail", env, name) for name in ("step", "restart", "pop_metrics")),
        *(("policy", policy, name) for name in ("act", "value")),
        ("storage", collector, "_count_episodes"),
        *(("storage", storage, name) for name in ("start", "write", "next_row")),
        *(("fault recorder", collector.recorder, name) for name in ("begin", "add", "finish")),
        ("rest of rollout", collector, "collect"),
        ("GAE", rlmpc.algorithms.ppo.learner, "gae"),
        ("update", learner, "training_step"),
        *(("logging", learner, name) for name in ("publish", "deliver", "on_train_epoch_end")),
        *(
            ("logging", callback, name)
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if not isinstance(callback, Inspection)
            for name in ("on_train_batch_start", "on_train_batch_end", "on_train_epoch_end")
        ),
    ]


class Timeline:
    """Tells how long each part ran: every change from one part to another is marked, on the GPU by an event.

    Events are not waited for, so they hardly disturb; time in which the GPU waits for the host counts for the part
    that comes next. A recorded graph is marked as `<part>: <function>`.
    """

    REST = "rest of iteration"

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._is_on = False
        self._parts = [self.REST]
        self._marks: list[tuple[str, Moment]] = []

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, marked as a part."""

        def marked(*args: Any, **kwargs: Any) -> Any:
            return self._run(part, function, *args, **kwargs)

        return marked

    def named(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function, marked as `<part>: <name>` unless it is within such a one."""
        part = self._parts[-1]
        return self._run(part if ": " in part else f"{part}: {name}", function, *args, **kwargs)

    def start(self) -> None:
        """Start marking, recorded graphs included."""
        self._is_on = True
        self._replay, timeline = Replayed.__call__, self

        def replayed(graph: Replayed, *arguments: Any) -> Any:
            function = getattr(graph.function, "func", graph.function)
            return timeline.named(getattr(function, "__name__", "function").strip("_"), self._replay, graph, *arguments)

        Replayed.__call__ = replayed  # type: ignore[method-assign]
        self._mark()

    def stop(self) -> None:
        """Stop marking."""
        self._mark()
        self._is_on = False
        Replayed.__call__ = self._replay  # type: ignore[method-assign]

    def seconds(self) -> dict[str, float]:
        """Return the time of every part, largest first."""
        total: dict[str, float] = {}
        for (part, start), (_, end) in pairwise(self._marks):
            total[part] = total.get(part, 0.0) + start.seconds_until(end)
        return dict(sorted(total.items(), key=lambda item: item[1], reverse=True))

    def _run(self, part: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._is_on or (self.device.type == "cuda" and torch.cuda.is_current_stream_capturing()):
            return function(*args, **kwargs)
        self._parts.append(part)
        self._mark()
        try:
            return function(*args, **kwargs)
        finally:
            self._parts.pop()
            self._mark()

    def _mark(self) -> None:
        self._marks.append((self._parts[-1], Moment(self.device)))


class GpuWork:
    """What the GPU does in an iteration, by torch's profiler."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._profiler: profile | None = None
        self.wall_s = 0.0

    def start(self) -> None:
        """Start the profiler; on the CPU there is nothing to see."""
        if self.device.type == "cuda":
            self._profiler = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True)
            self._profiler.start()
            torch.cuda.synchronize(self.device)
        self.wall_s = -time.perf_counter()

    def stop(self) -> None:
        """Stop the profiler."""
        if self._profiler is not None:
            torch.cuda.synchronize(self.device)
            self.wall_s += time.perf_counter()
            self._profiler.stop()

    def figures(self) -> dict[str, Any]:
        """Return busy time and counts of the iteration, and the kernels that take longest; empty without a GPU."""
        if self._profiler is None:
            return {}
        assert self._profiler.profiler is not None and self._profiler.profiler.kineto_results is not None
        events = self._profiler.profiler.kineto_results.events()
        host = Counter(event.name() for event in events if event.device_type() == DeviceType.CPU)
        # Ranges that code has named appear on the GPU as well.
        work = [e for e in events if e.device_type() == DeviceType.CUDA and not e.is_user_annotation()]
        by_kernel: Counter[str] = Counter()
        for event in work:
            by_kernel[event.name()[:80]] += event.duration_ns()
        busy_s = union_ns((e.start_ns(), e.start_ns() + e.duration_ns()) for e in work) / 1e9

        def count(*starts: str) -> int:
            return sum(number for name, number in host.items() if name.startswith(starts))

        return {
            "gpu_busy_ms": 1000.0 * busy_s,
            "profiled_iteration_ms": 1000.0 * self.wall_s,
            "gpu_busy_share_profiled": busy_s / self.wall_s,
            "kernels": sum(not e.name().startswith(("Memcpy", "Memset")) for e in work),
            "kernel_launches": count(*LAUNCHES),
            "graph_launches": count(*GRAPH_LAUNCHES),
            "synchronisations": count(*SYNCHRONISATIONS),
            "copies": count(*COPIES),
            "nonzero": host["aten::nonzero"],
            "item": host["aten::item"],
            "largest_kernels_ms": {name: round(ns / 1e6, 2) for name, ns in by_kernel.most_common(MAX_LISTED)},
        }


def union_ns(intervals: Iterable[tuple[int, int]]) -> int:
    """Return how long at least one of the intervals (start, end) lasts."""
    total, until = 0, 0
    for start, end in sorted(intervals):
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total


class HostReads(TorchDispatchMode):
    """Counts operators for which the host waits for the device, by the line of code that asks.

    What a recorded graph does is not seen, as it cannot read.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.places: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, and count it if it reads."""
        result = func(*args, **(kwargs or {}))
        if self._reads(func, args, result):
            self.places[_asking_line()] += 1
        return result

    def figures(self) -> dict[str, Any]:
        """Return the number of reads, ours and all, and the places of ours that read most."""
        ours = Counter({place: number for place, number in self.places.items() if place.startswith(OURS)})
        return {
            "host_reads_ours": ours.total(),
            "host_reads_all": self.places.total(),
            "where_ours": dict(ours.most_common(MAX_LISTED)),
        }

    def _reads(self, func: Any, args: Any, result: Any) -> bool:
        tensors = [arg for arg in args if isinstance(arg, Tensor)]
        on_device = [tensor for tensor in tensors if tensor.device.type == self.device.type]
        if func in INDEXING:
            return bool(on_device) and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if func in READS:
            return bool(on_device)
        if func is aten.copy_.default:
            return self.device.type != "cpu" and tensors[0].device.type == "cpu" and len(on_device) > 0
        is_copy = func is aten._to_copy.default and self.device.type != "cpu"
        return is_copy and len(on_device) > 0 and result.device.type == "cpu"


def _asking_line() -> str:
    """Return file and line, below `ROOT` where it is ours, of the innermost frame outside torch and this file."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        path = frame.f_code.co_filename
        if path != __file__ and "/torch/" not in path and not path.startswith("<"):
            break
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"{name}:{frame.f_lineno}"
