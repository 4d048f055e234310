"""Speed of learning from one rollout by imitation: ours against `Distillation.update` of rsl_rl 5.5.1.

`python benchmarks/distill_update.py device=cpu num_envs=4096 num_steps=24 repeats=5 memory=none` prints JSON lines: the
arguments, one for each side, and the ratios. Both sides get the same rollout, labels, initial weights and learning
rate, and normalise observations by statistics that have already seen such a rollout, as in every iteration but the
first. The time is that of everything between two rollouts: normaliser, gradient steps, and numbers that reach the host.
Otherwise each side keeps its own defaults; those of rsl_rl are of Isaac Lab's distillation configs (2 epochs, and a
gradient step every 15 steps of the rollout). Figures of a side:

- `pass_s`: one pass over the rollout, every sample once, in which it makes `gradient_steps`. rsl_rl drops the gradient
  of the steps left over when `gradient_length` does not divide `num_steps`; `share_learned` is what it keeps.
- `loss_before` and `loss_after` that pass: mean squared error of the actions on the whole rollout.
- `target_s`: until that loss has fallen to what it is after one default update of rsl_rl; there, the update's time.

`tf32=true` rounds the inputs of matrix products on the GPU to TF32, as Isaac Lab's own training script does for rsl_rl.
On a processor that others use too, `pass_s_lowest` is steadier than the median, and so is OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lightning as L
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rsl_rl.algorithms import Distillation
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict
from torch import Tensor
from torch.nn.functional import mse_loss

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.student.learner import StudentLearner
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.command_line.arguments import split_override
from rlmpc.contract.contract import Contract
from rlmpc.contract.observations import ObsSchema, ObsTerm
from rlmpc.errors import UserError, nearest
from rlmpc.run.command import run_command

OBS_WIDTH = 779
"""Features of the `policy` group of `blind_rl`."""
NUM_ACTIONS = 30
STATE_WIDTH = 64
"""Quantities that observations and labels of the made-up rollout come from."""
END_PROBABILITY = 0.005
"""Share of steps that end an episode."""
RSL_RL_EPOCHS = 2
"""`num_learning_epochs` of Isaac Lab's distillation configs."""


@dataclass
class BenchmarkCfg:
    """Arguments of the script."""

    device: str = "cpu"
    num_envs: int = 4096
    num_steps: int = 24
    repeats: int = 5
    memory: str = "none"
    """`none` or `gru`."""
    num_minibatches: int = StudentCfg().num_minibatches
    """Ours."""
    gradient_length: int = 15
    """Steps of the rollout that rsl_rl sums the loss of before each of its gradient steps."""
    tf32: bool = False


@dataclass
class Rollout:
    """What both sides learn from."""

    obs: Tensor
    """(T, N, OBS_WIDTH)."""
    label: Tensor
    """(T, N, A), the teacher's actions."""
    ended: Tensor
    """(T, N) bool."""


class Clock:
    """Seconds of work on a device, without those between `pause` and `resume`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0
        self._since = 0.0

    def restart(self) -> None:
        """Count from zero."""
        self.seconds = 0.0
        self.resume()

    def resume(self) -> None:
        """Go on counting."""
        self._synchronize()
        self._since = time.perf_counter()

    def pause(self) -> float:
        """Stop counting; the seconds so far."""
        self._synchronize()
        self.seconds += time.perf_counter() - self._since
        return self.seconds

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class ObservedLearner(StudentLearner):
    """Calls `after_step` after every gradient step, if there is such a function."""

    after_step: Callable[[], None] | None = None

    def descend(self, loss: Tensor) -> Tensor:
        """As the base class."""
        norm = super().descend(loss)
        if self.after_step is not None:
            self.after_step()
        return norm


class Ours:
    """Our learner, updated by Lightning's fit loop as in training, from the same weights in every iteration."""

    def __init__(self, cfg: BenchmarkCfg, rollout: Rollout) -> None:
        observations = ObsSchema({"policy": (ObsTerm("features", OBS_WIDTH),)})
        contract = Contract(0.02, observations, ({"name": "actions", "dim": NUM_ACTIONS},)).to_dict()
        agent = StudentCfg(memory=cfg.memory, num_minibatches=cfg.num_minibatches)
        teacher = PpoCfg(actor_group="policy", critic_group="policy", actor_hidden=[], critic_hidden=[])
        self.learner = ObservedLearner(asdict(agent), contract, {"agent": asdict(teacher)}, {})
        self.learner.to(rollout.obs.device)
        self.rollout = rollout
        self.clock = Clock(rollout.obs.device)
        normalizer: Any = self.learner.policy.normalizers["policy"]
        normalizer.merge(normalizer.centred_sums(rollout.obs))
        self.start = {name: values.clone() for name, values in self.learner.policy.state_dict().items()}

    def seconds(self, num_epochs: int, repeats: int) -> list[float]:
        """Time of each of `repeats` updates of so many passes, after one that warms up."""
        self.learner.cfg.num_epochs = num_epochs
        timing = _Timing(self)
        L.Trainer(
            accelerator="cpu" if self.clock.device.type == "cpu" else "gpu", devices=1, max_epochs=repeats + 1,
            logger=False, callbacks=[timing], enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, inference_mode=False,
        ).fit(self.learner, _Loader(self.batch))  # fmt: skip
        # Lightning leaves it on the CPU.
        self.learner.to(self.clock.device)
        return timing.seconds[1:]

    def seconds_to(self, target: float, num_epochs: int) -> float | None:
        """Time until the loss on the rollout is at most `target`; None if so many passes do not get there."""
        reached: list[float] = []

        def look() -> None:
            elapsed = self.clock.pause()
            if not reached and self.loss() <= target:
                reached.append(elapsed)
            self.clock.resume()

        self.learner.after_step = look
        self.seconds(num_epochs, repeats=0)
        self.learner.after_step = None
        return reached[0] if reached else None

    def batch(self) -> dict[str, Any]:
        """The rollout as the collector gives it."""
        rollout, ended = self.rollout, self.rollout.ended
        return {
            "obs": {"policy": rollout.obs},
            "action": rollout.label,
            "teacher_mean": rollout.label,
            "teacher_std": torch.ones_like(rollout.label),
            "teacher_acts": torch.zeros_like(ended),
            "reward": torch.zeros_like(rollout.label[..., 0]),
            "terminated": ended,
            "truncated": torch.zeros_like(ended),
            "memory": self.learner.policy.initial_memory(ended.shape[1]),
            "mode": "direct",
            "metrics": {},
        }

    def restart(self) -> None:
        """Go back to the weights and the normaliser of the start."""
        self.learner.policy.load_state_dict(self.start)

    @torch.no_grad()
    def loss(self) -> float:
        """Imitation loss on the whole rollout."""
        policy, obs, ended = self.learner.policy, {"policy": self.rollout.obs}, self.rollout.ended
        recalled = policy.recall(obs, policy.initial_memory(ended.shape[1]), ended)
        return mse_loss(policy.distribution(obs, recalled).mean, self.rollout.label).item()


class _Timing(L.Callback):
    """Times every batch, each from the same start."""

    def __init__(self, ours: Ours) -> None:
        self.ours = ours
        self.seconds: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.ours.restart()
        trainer.optimizers[0].state.clear()
        self.ours.clock.restart()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds.append(self.ours.clock.pause())


class _Loader:
    """The rollout as the only batch of an epoch."""

    def __init__(self, batch: Callable[[], dict[str, Any]]) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield self.batch()


class RslRl:
    """rsl_rl's algorithm with our network's initial weights."""

    def __init__(self, cfg: BenchmarkCfg, rollout: Rollout, ours: Ours) -> None:
        self.rollout = rollout
        self.clock = Clock(rollout.obs.device)
        num_steps, num_envs = rollout.ended.shape
        obs = TensorDict({"policy": rollout.obs[0]}, [num_envs])
        student = self._student(cfg, obs, ours)
        storage = RolloutStorage("distillation", num_envs, num_steps, obs, [NUM_ACTIONS], cfg.device)
        storage.observations["policy"].copy_(rollout.obs)
        storage.privileged_actions.copy_(rollout.label)
        storage.dones.copy_(rollout.ended.unsqueeze(-1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the steps left over, which `share_learned` reports
            self.algorithm = Distillation(
                student,
                MLPModel(obs, {"teacher": ["policy"]}, "teacher", NUM_ACTIONS, hidden_dims=[1]),
                storage,
                gradient_length=cfg.gradient_length,
                learning_rate=ours.learner.cfg.learning_rate,
                device=cfg.device,
            )
        self.algorithm.train_mode()
        self.algorithm.student.update_normalization(storage.observations.flatten(0, 1))  # type: ignore[arg-type]
        self.start = {name: values.clone() for name, values in student.state_dict().items()}

    def seconds(self, num_epochs: int, repeats: int) -> list[float]:
        """Time of each of `repeats` updates of so many passes, after one that warms up."""
        self.algorithm.num_learning_epochs = num_epochs
        return [self._update_s() for _ in range(repeats + 1)][1:]

    @torch.no_grad()
    def loss(self) -> float:
        """Imitation loss on the whole rollout."""
        student = self.algorithm.student
        student.reset()
        actions = []
        for obs, ended in zip(self.rollout.obs, self.rollout.ended, strict=True):
            actions.append(student(TensorDict({"policy": obs}, [obs.shape[0]])))
            student.reset(ended)
        return mse_loss(torch.stack(actions), self.rollout.label).item()

    def restart(self) -> None:
        """Go back to the weights and the normaliser of the start."""
        self.algorithm.student.load_state_dict(self.start)

    def _update_s(self) -> float:
        self.restart()
        self.algorithm.optimizer.state.clear()
        self.algorithm.last_hidden_states = (None, None)
        self.clock.restart()
        self.algorithm.update()
        return self.clock.pause()

    @staticmethod
    def _student(cfg: BenchmarkCfg, obs: TensorDict, ours: Ours) -> MLPModel:
        agent, policy = ours.learner.cfg, ours.learner.policy
        network: dict[str, Any] = {"hidden_dims": agent.actor_hidden, "obs_normalization": True}
        if policy.memory is None:
            student = MLPModel(obs, {"student": ["policy"]}, "student", NUM_ACTIONS, **network)
        else:
            network |= {"rnn_type": cfg.memory, "rnn_hidden_dim": agent.memory_width}
            student = RNNModel(obs, {"student": ["policy"]}, "student", NUM_ACTIONS, **network)
            copy_weights(policy.memory, student.rnn)
        copy_weights(policy.actor, student.mlp)
        return student.to(cfg.device)


@torch.no_grad()
def copy_weights(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Give `target` the parameters of `source`, which are of the same shapes in the same order."""
    for ours, theirs in zip(source.parameters(), target.parameters(), strict=True):
        theirs.copy_(ours)


def make_rollout(cfg: BenchmarkCfg) -> Rollout:
    """A rollout of drifting states that the observations show, mixed and with noise, and that the labels depend on."""
    generator = torch.Generator(cfg.device).manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=cfg.device)

    mix, inner, outer = (
        normal(STATE_WIDTH, OBS_WIDTH),
        normal(STATE_WIDTH, STATE_WIDTH),
        normal(STATE_WIDTH, NUM_ACTIONS),
    )
    scale, offset = normal(OBS_WIDTH).exp(), normal(OBS_WIDTH)
    obs = torch.empty(cfg.num_steps, cfg.num_envs, OBS_WIDTH, device=cfg.device)
    label = torch.empty(cfg.num_steps, cfg.num_envs, NUM_ACTIONS, device=cfg.device)
    state = normal(cfg.num_envs, STATE_WIDTH)
    for t in range(cfg.num_steps):
        seen = state @ mix / STATE_WIDTH**0.5 + 0.1 * normal(cfg.num_envs, OBS_WIDTH)
        obs[t] = (seen + offset) * scale
        label[t] = (state @ inner / STATE_WIDTH**0.5).tanh() @ outer / STATE_WIDTH**0.5
        state = 0.95 * state + (1.0 - 0.95**2) ** 0.5 * normal(cfg.num_envs, STATE_WIDTH)
    chance = torch.rand(cfg.num_steps, cfg.num_envs, generator=generator, device=cfg.device)
    return Rollout(obs, label, ended=chance < END_PROBABILITY)


def measure(cfg: BenchmarkCfg) -> list[dict[str, Any]]:
    """The figures of both sides, and their ratios."""
    rollout = make_rollout(cfg)
    ours = Ours(cfg, rollout)
    rsl_rl = RslRl(cfg, rollout, ours)
    sides = {"rsl_rl": rsl_rl, "ours": ours}
    lines: dict[str, dict[str, Any]] = {}
    for name, side in sides.items():
        side.restart()
        before = side.loss()
        seconds = side.seconds(num_epochs=1, repeats=cfg.repeats)
        lines[name] = {
            "side": name,
            "pass_s": statistics.median(seconds),
            "pass_s_lowest": min(seconds),
            "pass_s_highest": max(seconds),
            "loss_before": before,
            "loss_after": side.loss(),
        }
    lines["ours"] |= {"gradient_steps": cfg.num_minibatches, "share_learned": 1.0}
    steps = cfg.num_steps // cfg.gradient_length
    lines["rsl_rl"] |= {"gradient_steps": steps, "share_learned": steps * cfg.gradient_length / cfg.num_steps}
    lines["rsl_rl"]["target_s"] = statistics.median(rsl_rl.seconds(RSL_RL_EPOCHS, cfg.repeats))
    target = rsl_rl.loss()
    times = [ours.seconds_to(target, num_epochs=RSL_RL_EPOCHS) for _ in range(cfg.repeats)]
    lines["ours"]["target_s"] = None if None in times else statistics.median(time for time in times if time is not None)
    return [*lines.values(), ratios(lines, target)]


def ratios(lines: dict[str, dict[str, Any]], target: float) -> dict[str, Any]:
    """How many times as fast as rsl_rl ours is."""

    def times_as_fast(name: str) -> float | None:
        return lines["rsl_rl"][name] / lines["ours"][name] if lines["ours"][name] else None

    return {"target_loss": target, "pass_ratio": times_as_fast("pass_s"), "target_ratio": times_as_fast("target_s")}


def parse(arguments: list[str]) -> BenchmarkCfg:
    """The settings that `key=value` arguments describe.

    Raises:
        UserError: for an unknown key or a value that does not fit.
    """
    names = [field.name for field in fields(BenchmarkCfg)]
    for argument in arguments:
        key, _ = split_override(argument)
        if key not in names:
            raise UserError(f"unknown argument '{key}'; accepted: {', '.join(names)}{nearest(key, names)}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(BenchmarkCfg), OmegaConf.from_dotlist(arguments))
        cfg = BenchmarkCfg(**OmegaConf.to_container(merged))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0]) from error
    if cfg.memory not in ("none", "gru"):
        raise UserError(f"memory={cfg.memory} is not measured; accepted: none, gru")
    return cfg


def main(arguments: list[str]) -> None:
    """Measure and print."""
    cfg = parse(arguments)
    torch.set_float32_matmul_precision("high" if cfg.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = cfg.tf32
    torch.manual_seed(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    is_cuda = torch.device(cfg.device).type == "cuda"
    print(
        json.dumps(
            {
                **asdict(cfg),
                "threads": torch.get_num_threads(),
                "device": torch.cuda.get_device_name() if is_cuda else "cpu",
            }
        )
    )
    for line in measure(cfg):
        print(json.dumps({name: round(v, 5) if isinstance(v, float) else v for name, v in line.items()}))


if __name__ == "__main__":
    run_command(main)
