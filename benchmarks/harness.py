"""Shared by the benchmarks: settings from `key=value` arguments, training in this process, clocks and JSON lines."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

import lightning as L
import torch

from rlmpc.command_line.arguments import split_override
from rlmpc.config.fill import fill
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError, nearest
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.run.trainer import quiet_lightning


def settings[T](settings_class: type[T], arguments: list[str]) -> T:
    """Return an instance of a dataclass with defaults, changed by `key=value` arguments.

    Raises:
        UserError: if a key is unknown or a value does not fit.
    """
    config, others = settings_among(settings_class, arguments)
    if others:
        key, names = split_override(others[0])[0], _names(settings_class)
        raise UserError(f"unknown argument '{key}'; accepted: {', '.join(names)}{nearest(key, names)}")
    return config


def settings_among[T](settings_class: type[T], arguments: list[str]) -> tuple[T, list[str]]:
    """Return an instance of a dataclass, changed by the arguments that are its own, and the other arguments.

    Raises:
        UserError: if a value does not fit.
    """
    config, others = settings_class(), []
    for argument in arguments:
        key, text = split_override(argument)
        if key in _names(settings_class):
            fill(config, {key: text})
        else:
            others.append(argument)
    return config, others


def _names(settings_class: type) -> list[str]:
    return [field.name for field in fields(settings_class)]  # type: ignore[arg-type]


def device_name(device: str | torch.device) -> str:
    """Return the name of a GPU, or `cpu`."""
    return "cpu" if torch.device(device).type == "cpu" else torch.cuda.get_device_name(device)


def spread(name: str, values: Iterable[float]) -> dict[str, float]:
    """Return the median, lowest and highest of some values as `<name>`, `<name>_lowest` and `<name>_highest`."""
    values = list(values)
    return {name: statistics.median(values), f"{name}_lowest": min(values), f"{name}_highest": max(values)}


def print_line(line: dict[str, Any]) -> None:
    """Print a result as one line of JSON."""
    print(json.dumps({name: round(v, 5) if isinstance(v, float) else v for name, v in line.items()}), flush=True)


class Clock:
    """Counts seconds of work on a device, without those between `pause` and `resume`."""

    def __init__(self, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self.restart()

    def restart(self) -> None:
        """Start counting from zero."""
        self.seconds = 0.0
        self.resume()

    def resume(self) -> None:
        """Continue counting."""
        self._synchronize()
        self._since = time.perf_counter()

    def pause(self) -> float:
        """Stop counting and return the seconds so far."""
        self._synchronize()
        self.seconds += time.perf_counter() - self._since
        return self.seconds

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class UpdateTimes(L.Callback):
    """Times the work of a learner between two rollouts.

    Args:
        clock: runs during updates only; may be paused within one.
        after_step: called after every step of the optimizer, outside of what a GPU records.
        before_update: called before the clock of an update starts.
    """

    def __init__(
        self,
        clock: Clock,
        after_step: Callable[[], None] = lambda: None,
        before_update: Callable[[], None] = lambda: None,
    ) -> None:
        self.clock = clock
        self.after_step = after_step
        self.before_update = before_update
        self.seconds: list[float] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Watch the learner count its steps; a hook of the optimizer would be called while a step is recorded."""
        assert isinstance(pl_module, OnPolicyLearner)
        count_step = pl_module._count_step

        def count_and_look() -> None:
            count_step()
            self.after_step()

        pl_module._count_step = count_and_look

    def on_train_batch_start(self, *_: Any) -> None:
        """Start the clock: the rollout is complete."""
        self.before_update()
        self.clock.restart()

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop the clock: the update is done, and its numbers have reached the host."""
        self.seconds.append(self.clock.pause())


def train_here(learner: OnPolicyLearner, env: VecEnv, iterations: int, callbacks: list[L.Callback]) -> None:
    """Train in this process with Lightning's fit loop, as `train.py` does, without writing files."""
    quiet_lightning()
    trainer = L.Trainer(
        accelerator="cpu" if env.device.type == "cpu" else "gpu",
        devices=1 if env.device.type == "cpu" else [env.device.index or 0],
        max_epochs=iterations,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,
    )
    trainer.fit(learner, RolloutDataModule(env, Collector(env, learner.cfg.num_steps, stagger_episodes=False)))
    # Lightning leaves the learner on the CPU.
    learner.to(env.device)
