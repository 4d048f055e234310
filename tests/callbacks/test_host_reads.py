"""How often the host waits for the device in an iteration."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from callbacks.make import make_callbacks
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line.train import compose_train
from rlmpc.contract.episode import Trial
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg
from rlmpc.rollout.collector import Collector
from rlmpc.rollout.datamodule import RolloutDataModule
from rlmpc.rollout.held_out import HeldOut
from rlmpc.run.loggers import make_loggers
from rlmpc.run.output import PlainConsole
from rlmpc.run.stopping import StopSignals

MOST = 2
FOR_RESULTS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "_unique2", "normal")
"""Operations whose result, or its size, the host needs; `normal` looks whether a standard deviation is negative."""
COPIES = ("tolist", "cpu", "numpy", "tensor", "new_tensor", "as_tensor", "from_numpy")
"""Functions that copy between host and device, and wait for it."""


class Results(TorchDispatchMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        has_mask = name.startswith("index") and any(i is not None and i.dtype == torch.bool for i in _indices(args))
        if name in FOR_RESULTS or has_mask:
            self.found.append(_where(name))
        return func(*args, **(kwargs or {}))


def _indices(args: Any) -> list[torch.Tensor | None]:
    return args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else []


class Copies(TorchFunctionMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        # Without a device, `torch.tensor` makes a tensor on the host, as torch does for the norm of no gradients.
        if name in COPIES and (name != "tensor" or (kwargs or {}).get("device") is not None):
            self.found.append(_where(name))
        return func(*args, **(kwargs or {}))


def _where(name: str) -> str:
    """Name what is called, with the last line of ours."""
    frames = [frame for frame in traceback.extract_stack() if "/tests/" not in frame.filename]
    ours = [frame for frame in frames if "/rlmpc/" in frame.filename or "/callbacks/" in frame.filename]
    return f"{name} in {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else name


@contextmanager
def host_reads() -> Iterator[list[str]]:
    found: list[str] = []
    with Results(found), Copies(found):
        yield found


class OneIteration(Callback):
    """Watches the fourth iteration; in earlier ones Adam makes its state."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._watching = ExitStack()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 3:
            self.found = self._watching.enter_context(host_reads())
        else:
            self._watching.close()


def test_a_read_a_mask_and_a_number_for_the_device_are_found():
    with host_reads() as found:
        values = torch.ones(3)
        float(values[0])
        values[values > 0.0]
        values[values > 0.0] = 2.0
        torch.normal(values, values)
        torch.tensor(1.0, device="cpu")
        values.tolist()
    assert len(found) >= 6


@pytest.mark.parametrize("agent", ["ppo", "rma"])
def test_the_host_reads_at_most_twice_an_iteration(agent: str, tmp_path: Path):
    """The recorder of faults is left out, as on a GPU, and an environment is held out."""
    cfg = compose_train(["task=toy", f"agent={agent}", "trainer.max_epochs=5"])[0]
    env = ToyEnv(ToyEnvCfg(), 16, "cpu", 1)
    held_out = HeldOut(env, {3: Trial("arena", 1, ())}, 100, cfg.agent.num_steps)
    collector = Collector(env, cfg.agent.num_steps, stagger_episodes=True, held_out=held_out)
    callbacks = make_callbacks(cfg, env, tmp_path, PlainConsole(), collector, StopSignals(60.0, print), 1)
    watch = OneIteration()
    trainer = L.Trainer(
        accelerator="cpu", devices=1, max_epochs=5, logger=make_loggers(cfg, tmp_path, 0),
        callbacks=[watch, *callbacks], enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    learner = ALGORITHMS[agent].learner().start(cfg.agent, env, None, print)
    trainer.fit(learner, RolloutDataModule(env, collector))
    assert len(watch.found) <= MOST, "\n".join(watch.found)
