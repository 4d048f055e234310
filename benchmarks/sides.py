"""The learners that are compared, on one environment: ours as `train.py` runs it, and rsl_rl's with equal settings."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning as L
import torch
from rsl_rl.algorithms import PPO
from rsl_rl.env import VecEnv as RslRlVecEnv
from rsl_rl.runners import OnPolicyRunner

import callbacks.make
import train
from benchmarks.rsl_rl_env import AdaptedEnv, stepped_by_managers, stock_env
from callbacks.throughput import Moment
from rlmpc.algorithms.ppo.learner import exploration
from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.command_line.arguments import split_override
from rlmpc.command_line.train import Opened, compose_train
from rlmpc.config.train import TrainCfg
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError, nearest
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.run.output import PlainConsole
from rlmpc.run.stopping import StopSignals

Watch = Callable[[Sequence[Moment], OnPolicyLearner | None], bool | None]
"""Called at the end of every iteration with its start, the end of its rollout, of its update and of the whole, and with
our learner; ends the training if it returns true."""

LEARNERS = ("ours", "ours_stock", "rsl_rl", "rsl_rl_stock")
"""Our learner and rsl_rl, each on our environment as it is, or on the same simulation stepped by Isaac Lab's own code;
for our learner with our additions, such as the observations that episodes end with."""


@dataclass
class Side:
    """One of those that are compared."""

    name: str
    """As it was given: a learner and perhaps settings, for example `ours faults.dump=true`."""
    learner: str
    """One of `LEARNERS`."""
    cfg: TrainCfg
    """The run's config, of which rsl_rl takes over what it knows."""


def make_sides(names: Sequence[str], arguments: Sequence[str]) -> tuple[TrainCfg, list[Side]]:
    """Compose the config that `arguments` of `train.py` mean, and that of every side with its own on top.

    Raises:
        UserError: if they mean no run that starts from nothing, or a side does not exist, cannot learn the task, or
            asks for another environment.
    """
    cfg, opened = compose_train(arguments)
    if opened != Opened():
        raise UserError("what is compared starts from nothing; leave checkpoints out")
    sides = []
    for name in names:
        learner, *own = name.split()
        keys = {split_override(argument)[0] for argument in own}
        kept = [argument for argument in arguments if split_override(argument)[0] not in keys]
        side = Side(name, learner, compose_train([*kept, *own])[0])
        _check(side, cfg)
        sides.append(side)
    return cfg, sides


def _check(side: Side, cfg: TrainCfg) -> None:
    if side.learner not in LEARNERS:
        hint = nearest(side.learner, LEARNERS)
        raise UserError(f"unknown side '{side.learner}'; accepted: {', '.join(LEARNERS)}{hint}")
    for name in ("task", "env", "num_envs", "device", "deterministic"):
        if getattr(side.cfg, name) != getattr(cfg, name):
            raise UserError(f"side '{side.name}' sets '{name}', but all sides share one environment")
    if side.learner != "ours" and cfg.agent.algorithm != "ppo":
        raise UserError(f"rsl_rl has no agent '{cfg.agent.algorithm}'; write agent=ppo or sides=[ours]")
    if side.learner.endswith("_stock") and cfg.task.simulator != "isaaclab":
        raise UserError(f"task '{cfg.task.name}' has no stock environment of Isaac Lab; leave {side.learner} out")


def train_side(
    side: Side,
    env: VecEnv,
    iterations: int,
    folder: Path,
    watch: Watch,
    prepare: Callable[[RslRlVecEnv], None] = lambda env: None,
) -> None:
    """Train one side from the start.

    Args:
        side: the side.
        env: the environment, which stays open.
        iterations: number of them.
        folder: where the loggers write; made here.
        watch: called after every iteration.
        prepare: called with rsl_rl's environment before it is used.
    """
    if side.learner.startswith("ours"):
        with stepped_by_managers(env) if side.learner == "ours_stock" else nullcontext():
            train_ours(side.cfg, env, iterations, folder, [_Watcher(watch)])
        return
    agent = side.cfg.agent
    assert isinstance(agent, PpoCfg)
    torch.set_float32_matmul_precision(side.cfg.matmul_precision)
    if side.learner == "rsl_rl_stock":
        with stock_env(env, agent.stagger_episodes) as stock:
            prepare(stock)
            _train_rsl_rl(side.cfg, stock, iterations, folder, watch)
    else:
        adapted = AdaptedEnv(env, (agent.actor_group, agent.critic_group), agent.stagger_episodes)
        prepare(adapted)
        _train_rsl_rl(side.cfg, adapted, iterations, folder, watch)


def train_ours(cfg: TrainCfg, env: VecEnv, iterations: int, folder: Path, watchers: Sequence[L.Callback]) -> None:
    """Run `train.py` itself, silently, with an environment that exists and stays open, and with further callbacks."""
    cfg = deepcopy(cfg)
    cfg.trainer.max_epochs, cfg.run.dir = iterations, str(folder)
    make_callbacks = callbacks.make.make_callbacks
    with (
        redirect_stdout(io.StringIO()),
        patch("rlmpc.envs.make.make_env", lambda *_: env),
        patch.object(env, "close", lambda: None),
        patch("callbacks.make.make_callbacks", lambda *given: [*make_callbacks(*given), *watchers]),
        StopSignals(cfg.trainer.stop_timeout_s, lambda _: None) as signals,
    ):
        train.train(cfg, [], Opened(), PlainConsole(), signals)


class _Watcher(L.Callback):
    """Calls `watch` after every iteration. Between two calls, the numbers of an iteration are written."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._moments: list[Moment] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """Start the rollout."""
        self._moments = [Moment(pl_module.device)]

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: OnPolicyLearner, batch: Any, batch_idx: int) -> None:
        """Start the update."""
        self._moments.append(Moment(pl_module.device))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: OnPolicyLearner, *_: Any) -> None:
        """End the update."""
        self._moments.append(Moment(pl_module.device))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """End the iteration."""
        if self.watch([*self._moments, Moment(pl_module.device)], pl_module):
            trainer.should_stop = True


class _EnoughError(Exception):
    """Leaves rsl_rl's loop."""


def _train_rsl_rl(cfg: TrainCfg, env: RslRlVecEnv, iterations: int, folder: Path, watch: Watch) -> None:
    device, agent = torch.device(env.device), cfg.agent
    assert isinstance(agent, PpoCfg)
    with redirect_stdout(io.StringIO()):
        L.seed_everything(cfg.seed, verbose=False)
        runner = OnPolicyRunner(env, runner_config(cfg), str(folder), str(device))
        compute_returns, write = runner.alg.compute_returns, runner.logger.log
        moments = [Moment(device)]

        def returns_computed(obs: Any) -> None:
            moments.append(Moment(device))
            compute_returns(obs)

        def written(**numbers: Any) -> None:
            moments.append(Moment(device))
            write(**numbers)
            anneal(runner.alg, agent, numbers["it"])
            end = Moment(device)
            if watch([*moments, end], None):
                raise _EnoughError
            moments[:] = [end]

        with (
            suppress(_EnoughError),
            patch.object(runner.alg, "compute_returns", returns_computed),
            patch.object(runner.logger, "log", written),
        ):
            runner.learn(iterations)
        assert runner.logger.writer is not None
        runner.logger.writer.close()  # type: ignore[attr-defined]


@torch.no_grad()
def anneal(algorithm: PPO, agent: PpoCfg, iteration: int) -> None:
    """Let rsl_rl explore after the update of an iteration as our learner does then."""
    _, log_max = exploration(agent, iteration)
    algorithm.entropy_coef, _ = exploration(agent, iteration + 1)
    distribution: Any = algorithm.get_policy().distribution
    distribution.log_std_range[1] = log_max
    # Beyond a bound, rsl_rl's parameter would have no gradient.
    distribution.log_std_param.clamp_(*distribution.log_std_range)


def runner_config(cfg: TrainCfg) -> dict[str, Any]:
    """Return rsl_rl's configuration that means the same as ours; all else is as rsl_rl's users have it."""
    agent = cfg.agent
    assert isinstance(agent, PpoCfg)
    network = {"class_name": "MLPModel", "activation": agent.activation, "obs_normalization": agent.normalize_obs}
    noise = {"init_std": agent.init_std, "std_range": (agent.min_std, agent.max_std), "std_type": "log"}
    return {
        "num_steps_per_env": agent.num_steps,
        "save_interval": cfg.checkpoint.every,
        "logger": "tensorboard",
        "obs_groups": {"actor": [agent.actor_group], "critic": [agent.critic_group]},
        "actor": network
        | {"hidden_dims": agent.actor_hidden, "distribution_cfg": {"class_name": "GaussianDistribution", **noise}},
        "critic": network | {"hidden_dims": agent.critic_hidden},
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": agent.num_epochs,
            "num_mini_batches": agent.num_minibatches,
            "clip_param": agent.clip,
            "use_clipped_value_loss": agent.clip_value_loss,
            "gamma": agent.gamma,
            "lam": agent.lam,
            "value_loss_coef": agent.value_coef,
            "entropy_coef": agent.entropy_coef,
            "learning_rate": agent.learning_rate,
            "max_grad_norm": agent.max_grad_norm,
            "desired_kl": agent.desired_kl,
            "schedule": "adaptive",
        },
    }
