"""From a task's name to an environment: its config object with the user's overrides, then the environment itself."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from rlmpc.config.overrides import flatten, override_object, value_at
from rlmpc.config.train import TaskCfg
from rlmpc.envs.toy import ToyEnv, ToyEnvCfg, toy_schema
from rlmpc.envs.vec_env import MeasurableEnv
from rlmpc.errors import UserError
from rlmpc.graphs import uses_graphs

SET_ABOVE = {"scene.num_envs": "num_envs", "sim.device": "device", "seed": "seed"}
"""Fields of an Isaac Lab config that a setting of the run determines; an override would have no effect."""


def env_config(
    task: TaskCfg,
    overrides: Mapping[str, Any],
    play: Mapping[str, Any] | None = None,
    source: Path | None = None,
    disturbed: bool = False,
) -> Any:
    """Return the environment's config object with `env.*` overrides applied and checked; starts nothing.

    Args:
        task: the task.
        overrides: paths below `env`, nested or dotted.
        play: overrides on top of play mode (no noise, pushes or curricula, all commands), which is applied after
            `overrides`. None stays in training mode.
        source: the file that holds `overrides`, for messages; None if the user gave them.
        disturbed: whether play mode keeps noise and pushes.

        Raises:
            UserError: if a path does not exist, a value does not fit, or a field is derived from others.
    """
    cfg = _isaaclab_config(task) if task.simulator == "isaaclab" else ToyEnvCfg()
    try:
        given = _override(cfg, overrides)
    except UserError as error:
        if source is None:
            raise
        raise UserError(f"'{source}' holds something else than expected: {error}") from error
    if play is not None:
        cfg.play_mode(disturbed)
        # Only the overrides of play mode are checked below: it may have changed what training set.
        given = _override(cfg, play)
    for path, value in given.items():
        if value_at(cfg, path, "env") != value:
            raise UserError(f"'env.{path}' is derived from other settings; it cannot be set")
    return cfg


def _override(cfg: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Apply overrides, derive the fields that depend on them, and return what was set, by path."""
    for path in flatten(overrides):
        if path in SET_ABOVE:
            raise UserError(f"'env.{path}' is set by '{SET_ABOVE[path]}'; write {SET_ABOVE[path]}=...")
    given = override_object(cfg, overrides, "env")
    try:
        cfg.finalize()
    except ValueError as error:
        raise UserError(f"the environment's config does not work: {error}") from error
    return given


def observation_terms(task: TaskCfg, cfg: Any) -> dict[str, dict[str, int]]:
    """Return what an environment with this config observes: group -> term -> frames of history."""
    if task.simulator == "toy":
        groups = toy_schema(cfg.history).groups
        return {group: {term.name: term.history for term in terms} for group, terms in groups.items()}
    from rlmpc.envs.isaaclab.env import configured_terms

    return configured_terms(cfg)


def make_deterministic(cfg: Any) -> None:
    """Make an environment of this config, and torch from here on, give the same numbers in every run on a GPU too.

    Call it before the GPU is used. On the CPU both are always deterministic.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    if isinstance(cfg, ToyEnvCfg) or not torch.cuda.is_available():
        return
    cfg.sim.physics.deterministic_mode = "run_to_run"
    # A recorded graph would sort the largest possible number of summands, not the actual one; from about 700
    # environments on, that is more than Warp can address.
    cfg.sim.physics.use_cuda_graph = False


def make_env(
    task: TaskCfg,
    cfg: Any,
    num_envs: int,
    device: torch.device,
    seed: int,
    value_group: str,
    log_file: Path | None,
    say: Callable[[str], None],
) -> MeasurableEnv:
    """Start the environment of `task` and return it with everything compiled that compiles on first use.

    Args:
        task: the task.
        cfg: what `env_config` returned for it.
        num_envs: N.
        device: where it runs.
        seed: of everything random in it.
        value_group: observation group of the value function, which terminal observations must contain.
        log_file: file for what the simulator prints while it starts; None drops it.
        say: called with short sentences about the start.
    """
    if task.simulator == "toy":
        return ToyEnv(cfg, num_envs, device, seed)
    from rlmpc.envs.isaaclab.env import IsaacLabEnv
    from rlmpc.envs.isaaclab.kernels import compile_large_modules, reserve_no_graph_memory
    from rlmpc.envs.isaaclab.start import starting_simulator

    with starting_simulator(log_file, say):
        compile_large_modules(device)
        reserve_no_graph_memory(device)
        env = IsaacLabEnv(cfg, num_envs, device, seed, value_group)
        env.reset()
        env.step(torch.zeros(num_envs, env.num_actions, device=device))
        if uses_graphs(device):
            if unfit := env.unwrapped.unfit_for_masks():
                say(f"steps cannot be recorded and take longer: what these do is unknown: {', '.join(unfit)}")
            env.by_masks = not unfit
    return env


def make_measurable_env(
    task: TaskCfg, cfg: Any, num_envs: int, device: torch.device, seed: int, say: Callable[[str], None]
) -> MeasurableEnv:
    """Start an environment for playing: as `make_env`, without the simulator's output and with any value group."""
    any_group = next(iter(observation_terms(task, cfg)))
    return make_env(task, cfg, num_envs, device, seed, any_group, None, say)


def with_cameras(task: TaskCfg, cfg: Any, num_robots: int) -> Any:
    """Return the config of an environment whose robots can be filmed.

    Raises:
        UserError: if the task has nothing to see.
    """
    if task.simulator == "toy":
        raise UserError(f"task '{task.name}' has nothing to film")
    from rlmpc.tasks.camera import with_camera

    return with_camera(cfg, num_robots)


def num_envs_for(task: TaskCfg, requested: int | None, device: torch.device) -> int:
    """Return the number asked for, or else the task's own for this kind of device."""
    if requested is not None:
        return requested
    return task.num_envs.cuda if device.type == "cuda" else task.num_envs.cpu


def _isaaclab_config(task: TaskCfg) -> Any:
    if importlib.util.find_spec("isaaclab") is None:
        raise UserError(f"task '{task.name}' needs Isaac Lab, which is not installed; task=toy runs without it")
    from rlmpc.envs.isaaclab.caches import check_caches

    check_caches()
    from rlmpc.envs.isaaclab.kernels import compile_without_gradients

    compile_without_gradients()
    from rlmpc.envs.isaaclab.env import load_env_cfg

    return load_env_cfg(task.env_id)
