"""The learners that are compared, on one environment: ours as `train.py` runs it, and rsl_rl's with equal settings."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning as L
from rsl_rl.env import VecEnv as RslRlVecEnv
from rsl_rl.runners import OnPolicyRunner

import callbacks.make
import train
from benchmarks.rsl_rl_env import AdaptedEnv, stock_env
from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.config.train import TrainCfg
from rlmpc.envs.vec_env import VecEnv
from rlmpc.errors import UserError, nearest
from rlmpc.learners.base import OnPolicyLearner
from rlmpc.run.output import PlainConsole
from rlmpc.run.stopping import StopSignals

Watch = Callable[[dict[str, float]], None]
"""Called at the end of every iteration with its `collect_s` and `learn_s`, and for ours all its other numbers."""

SIDES = ("ours", "rsl_rl", "rsl_rl_stock")
"""Our learner; rsl_rl on the same environment; rsl_rl on the same simulation, stepped by Isaac Lab's own code."""


def check_sides(names: Sequence[str], cfg: TrainCfg) -> None:
    """Refuse sides that do not exist or cannot learn what the config says.

    Raises:
        UserError: if there are any.
    """
    for name in names:
        if name not in SIDES:
            raise UserError(f"unknown side '{name}'; accepted: {', '.join(SIDES)}{nearest(name, SIDES)}")
        if name == "ours":
            continue
        if cfg.agent.algorithm != "ppo":
            raise UserError(f"rsl_rl has no agent '{cfg.agent.algorithm}'; write agent=ppo or sides=[ours]")
        if name == "rsl_rl_stock" and cfg.task.simulator != "isaaclab":
            raise UserError(f"task '{cfg.task.name}' has no stock environment of Isaac Lab; leave rsl_rl_stock out")


def train_side(
    name: str,
    cfg: TrainCfg,
    env: VecEnv,
    iterations: int,
    folder: Path,
    watch: Watch,
    prepare: Callable[[RslRlVecEnv], None] = lambda env: None,
) -> None:
    """Train one of `SIDES` from the start.

    Args:
        name: the side.
        cfg: the run's config, of which rsl_rl takes over the agent's settings.
        env: the environment, which stays open.
        iterations: number of them.
        folder: where the loggers write; made here.
        watch: called after every iteration.
        prepare: called with rsl_rl's environment before it is used.
    """
    if name == "ours":
        train_ours(cfg, env, iterations, folder, [_Watcher(watch)])
        return
    agent = cfg.agent
    assert isinstance(agent, PpoCfg)
    groups = tuple(dict.fromkeys((agent.actor_group, agent.critic_group)))
    adapted: AbstractContextManager[RslRlVecEnv] = (
        stock_env(env, agent.stagger_episodes)
        if name == "rsl_rl_stock"
        else nullcontext(AdaptedEnv(env, groups, agent.stagger_episodes))
    )
    with adapted as theirs:
        prepare(theirs)
        _train_rsl_rl(cfg, theirs, iterations, folder, watch)


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
        train.train(cfg, [], None, PlainConsole(), signals)


class _Watcher(L.Callback):
    """Calls `watch` after every iteration."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: OnPolicyLearner) -> None:
        """Give the numbers; time since the last call includes the writing of the last iteration's."""
        numbers = pl_module.numbers
        self.watch({"collect_s": numbers["perf/collect_s"], "learn_s": numbers["perf/learn_s"], **numbers})


def _train_rsl_rl(cfg: TrainCfg, env: RslRlVecEnv, iterations: int, folder: Path, watch: Watch) -> None:
    with redirect_stdout(io.StringIO()):
        L.seed_everything(cfg.seed, verbose=False)
        runner = OnPolicyRunner(env, runner_config(cfg), str(folder), str(env.device))
        write = runner.logger.log

        def written(**numbers: Any) -> None:
            write(**numbers)
            watch({"collect_s": numbers["collect_time"], "learn_s": numbers["learn_time"]})

        runner.logger.log = written
        runner.learn(iterations)
        assert runner.logger.writer is not None
        runner.logger.writer.close()  # type: ignore[attr-defined]


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
