"""Measures the speed of learning by imitation from one rollout: ours against `Distillation.update` of rsl_rl 5.5.1.

`python benchmarks/distill_update.py device=cpu num_envs=4096 num_steps=24 repeats=5 memory=none` prints JSON lines: the
arguments, one for each side, and the ratios. Both sides get the same rollout, labels, initial weights and learning
rate, and normalise observations by statistics that have already seen such a rollout, as in every iteration but the
first. Everything between two rollouts is timed: normaliser, gradient steps, and numbers that reach the host. What is
timed are updates in the middle of a training: the first `warm_up` do not count, in which a GPU records ours.
Otherwise each side keeps its own defaults; rsl_rl's are from Isaac Lab's distillation configs (2 epochs, and a
gradient step every 15 steps of the rollout). With `gradient_length=3`, both take 8 gradient steps a pass, on all
samples. Figures of a side:

- `pass_s`: one pass over the rollout, every sample once, in `gradient_steps` steps. rsl_rl drops the gradient
  of the steps left over when `gradient_length` does not divide `num_steps`; `share_learned` is what it keeps.
- `loss_before` and `loss_after` that pass: mean squared error of the actions on the whole rollout.
- `target_s`: time of an update, from the initial weights, until that loss is as low as after one update of rsl_rl of
  2 epochs; for rsl_rl, that update's time.

`tf32=true` rounds the inputs of matrix products on the GPU to TF32, as Isaac Lab's own training script does for rsl_rl.
On a processor that others use too, `pass_s_lowest` is steadier than the median, and so is OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import statistics
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rsl_rl.algorithms import Distillation
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict
from torch.nn.functional import mse_loss

from benchmarks.harness import Clock, UpdateTimes, device_name, print_line, settings, spread, train_here
from benchmarks.replayed_env import NUM_ACTIONS, OBSERVATIONS, ReplayedEnv, copy_weights
from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.student.learner import StudentLearner
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.contract.contract import Contract
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError
from rlmpc.networks.memory import forget
from rlmpc.run.command import run_command

RSL_RL_EPOCHS = 2
"""`num_learning_epochs` of Isaac Lab's distillation configs."""


@dataclass
class BenchmarkCfg:
    """Arguments of the script."""

    device: str = "cpu"
    num_envs: int = 4096
    num_steps: int = 24
    repeats: int = 5
    warm_up: int = 8
    """Updates before those that count; on a CPU, 1 is enough."""
    memory: str = "none"
    """`none` or `gru`."""
    num_minibatches: int = StudentCfg().num_minibatches
    """Minibatches of a pass, for ours only."""
    gradient_length: int = 15
    """Steps of the rollout over which rsl_rl sums the loss before each gradient step."""
    tf32: bool = False


class Ours:
    """Our learner, trained by Lightning in an environment that gives the rollout."""

    def __init__(self, cfg: BenchmarkCfg, env: ReplayedEnv) -> None:
        self.cfg = cfg
        self.env = env
        self.learner = self._new_learner(num_epochs=1)
        fresh = {name: values.clone() for name, values in self.learner.policy.state_dict().items()}
        self._fit(1)
        seen = {name: values.clone() for name, values in self.learner.policy.state_dict().items()}
        self.start = {name: seen[name] if name.startswith("normalizers.") else fresh[name] for name in fresh}
        self.restart()

    def seconds(self, num_epochs: int, repeats: int) -> list[float]:
        """Return the times of `repeats` successive updates of so many passes."""
        times = UpdateTimes(Clock(self.env.device))
        self._train(num_epochs, self.cfg.warm_up + repeats, times)
        return times.seconds[self.cfg.warm_up :]

    def seconds_to(self, target: float, num_epochs: int, repeats: int) -> list[float | None]:
        """Return the times until the loss on the rollout is at most `target`, each from the initial weights.

        None stands for an update of so many passes that does not reach it.
        """
        reached: list[float | None] = []

        def restart() -> None:
            """Forget what was learned, at the addresses that recordings refer to."""
            self.restart()
            for state in self.learner.optimizer.state.values():
                for values in state.values():
                    values.zero_()
            reached.append(None)

        def look() -> None:
            elapsed = times.clock.pause()
            if len(reached) > self.cfg.warm_up and reached[-1] is None and self.loss() <= target:
                reached[-1] = elapsed
            times.clock.resume()

        times = UpdateTimes(Clock(self.env.device), look, restart)
        self._train(num_epochs, self.cfg.warm_up + repeats, times)
        return reached[self.cfg.warm_up :]

    def loss_after(self, num_epochs: int) -> float:
        """Return the imitation loss on the whole rollout after one update of so many passes."""
        self._train(num_epochs, 1, UpdateTimes(Clock(self.env.device)))
        return self.loss()

    def restart(self) -> None:
        """Restore the initial weights and normaliser."""
        self.learner.policy.load_state_dict(self.start)

    @torch.no_grad()
    def loss(self) -> float:
        """Return the imitation loss on the whole rollout."""
        policy, memory, actions = self.learner.policy, self.learner.policy.initial_memory(self.env.num_envs), []
        for t in range(self.env.num_steps):
            acted = policy.act(self.env.observation(t), memory, deterministic=True)
            actions.append(acted.action)
            memory = forget(acted.memory, self.env.done[t])
        return mse_loss(torch.stack(actions), self.env.labels).item()

    def _train(self, num_epochs: int, iterations: int, times: UpdateTimes) -> None:
        self.learner = self._new_learner(num_epochs)
        self.restart()
        self._fit(iterations, times)

    def _fit(self, iterations: int, *callbacks: UpdateTimes) -> None:
        train_here(self.learner, cast(VecEnv, self.env), iterations, [*callbacks])

    def _new_learner(self, num_epochs: int) -> StudentLearner:
        cfg, teacher = self.cfg, self.env.teacher
        agent = StudentCfg(
            memory=cfg.memory, num_steps=cfg.num_steps, num_minibatches=cfg.num_minibatches, num_epochs=num_epochs
        )
        widths = [layer.out_features for layer in teacher if isinstance(layer, torch.nn.Linear)]
        origin = PpoCfg(actor_group="teacher", critic_group="teacher", actor_hidden=widths[:-1], normalize_obs=False)
        learner = StudentLearner(asdict(agent), self.env.contract.to_dict(), {"agent": asdict(origin)}, {})
        copy_weights(teacher, learner.teacher.actor)
        return learner.to(self.env.device)


class RslRl:
    """rsl_rl's algorithm with our network's initial weights."""

    def __init__(self, cfg: BenchmarkCfg, env: ReplayedEnv, ours: Ours) -> None:
        self.env = env
        self.warm_up = cfg.warm_up
        self.clock = Clock(env.device)
        obs = TensorDict({"policy": env.features[0]}, [env.num_envs])
        student = self._student(obs, ours)
        storage = RolloutStorage("distillation", env.num_envs, env.num_steps, obs, [NUM_ACTIONS], cfg.device)
        storage.observations["policy"].copy_(env.features)
        storage.privileged_actions.copy_(env.labels)
        storage.dones.copy_(env.done.unsqueeze(-1))
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
        """Return the times of `repeats` updates of so many passes, each from the initial weights."""
        self.algorithm.num_learning_epochs = num_epochs
        return [self._update_s() for _ in range(self.warm_up + repeats)][self.warm_up :]

    def loss_after(self, num_epochs: int) -> float:
        """Return the imitation loss on the whole rollout after one update of so many passes."""
        self.algorithm.num_learning_epochs = num_epochs
        self._update_s()
        return self.loss()

    def restart(self) -> None:
        """Restore the initial weights and normaliser."""
        self.algorithm.student.load_state_dict(self.start)

    @torch.no_grad()
    def loss(self) -> float:
        """Return the imitation loss on the whole rollout."""
        student = self.algorithm.student
        student.reset()
        actions = []
        for features, done in zip(self.env.features, self.env.done, strict=True):
            actions.append(student(TensorDict({"policy": features}, [self.env.num_envs])))
            student.reset(done)
        return mse_loss(torch.stack(actions), self.env.labels).item()

    def _update_s(self) -> float:
        self.restart()
        self.algorithm.optimizer.state.clear()
        self.algorithm.last_hidden_states = (None, None)
        self.clock.restart()
        self.algorithm.update()
        return self.clock.pause()

    @staticmethod
    def _student(obs: TensorDict, ours: Ours) -> MLPModel:
        agent, policy = ours.learner.cfg, ours.learner.policy
        network: dict[str, Any] = {"hidden_dims": agent.actor_hidden, "obs_normalization": True}
        if policy.memory is None:
            student = MLPModel(obs, {"student": ["policy"]}, "student", NUM_ACTIONS, **network)
        else:
            network |= {"rnn_type": agent.memory, "rnn_hidden_dim": agent.memory_width}
            student = RNNModel(obs, {"student": ["policy"]}, "student", NUM_ACTIONS, **network)
            copy_weights(policy.memory, student.rnn)
        copy_weights(policy.actor, student.mlp)
        return student.to(ours.env.device)


def measure(cfg: BenchmarkCfg) -> list[dict[str, Any]]:
    """Return the figures of both sides, and their ratios."""
    contract = Contract(0.02, OBSERVATIONS, ({"name": "actions", "dim": NUM_ACTIONS},))
    env = ReplayedEnv(contract, cfg.num_envs, cfg.num_steps, cfg.device)
    ours = Ours(cfg, env)
    rsl_rl = RslRl(cfg, env, ours)
    steps = cfg.num_steps // cfg.gradient_length
    made: dict[str, dict[str, Any]] = {
        "rsl_rl": {"gradient_steps": steps, "share_learned": steps * cfg.gradient_length / cfg.num_steps},
        "ours": {"gradient_steps": cfg.num_minibatches, "share_learned": 1.0},
    }
    for side, name in ((rsl_rl, "rsl_rl"), (ours, "ours")):
        side.restart()
        before = side.loss()
        passes = spread("pass_s", side.seconds(num_epochs=1, repeats=cfg.repeats))
        made[name] |= {**passes, "loss_before": before, "loss_after": side.loss_after(num_epochs=1)}
    made["rsl_rl"]["target_s"] = statistics.median(rsl_rl.seconds(RSL_RL_EPOCHS, cfg.repeats))
    target = rsl_rl.loss()
    times = ours.seconds_to(target, RSL_RL_EPOCHS, cfg.repeats)
    made["ours"]["target_s"] = None if None in times else statistics.median(time for time in times if time is not None)
    return [*({"side": name} | line for name, line in made.items()), ratios(made, target)]


def ratios(lines: dict[str, dict[str, Any]], target: float) -> dict[str, Any]:
    """Return how many times as fast as rsl_rl ours is."""

    def times_as_fast(name: str) -> float | None:
        return lines["rsl_rl"][name] / lines["ours"][name] if lines["ours"][name] else None

    return {"target_loss": target, "pass_ratio": times_as_fast("pass_s"), "target_ratio": times_as_fast("target_s")}


def main(arguments: list[str]) -> None:
    """Measure and print."""
    cfg = settings(BenchmarkCfg, arguments)
    if cfg.memory not in ("none", "gru"):
        raise UserError(f"memory={cfg.memory} is not measured; accepted: none, gru")
    torch.set_float32_matmul_precision("high" if cfg.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = cfg.tf32
    torch.manual_seed(1)
    print_line({**asdict(cfg), "threads": torch.get_num_threads(), "device": device_name(cfg.device)})
    for line in measure(cfg):
        print_line(line)


if __name__ == "__main__":
    run_command(main)
