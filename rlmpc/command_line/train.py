"""The config of `train.py`, from files under `conf/`, checkpoints and `key=value` arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rlmpc.algorithms.algorithm import Algorithm
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.command_line.arguments import read_train
from rlmpc.command_line.earlier import settings_of_earlier
from rlmpc.command_line.files import SOURCE, load_choice, load_file
from rlmpc.command_line.merge import finish
from rlmpc.command_line.resume import compose_resume
from rlmpc.config.agent import AgentCfg
from rlmpc.config.overrides import flatten
from rlmpc.config.reading import NULL, read_value
from rlmpc.config.setting import inherited, settings_of
from rlmpc.config.train import RunCfg, TrainCfg
from rlmpc.errors import UserError
from rlmpc.run.processes import with_layout


@dataclass(frozen=True)
class Opened:
    """The checkpoints that a training run builds upon."""

    resumed: Checkpoint | None = None
    """The run goes on from it (`resume`)."""
    origin: Checkpoint | None = None
    """Its stage builds upon it (`teacher_ckpt`, `student_ckpt`), in the same world."""
    init: Checkpoint | None = None
    """Its policy starts with these weights (`init_ckpt`), whatever world they learned in."""


def compose_train(arguments: Sequence[str]) -> tuple[TrainCfg, Opened]:
    """Compose the config of a training run: schema, `conf/config.yaml`, stage, task and agent, then the arguments.

    A task may adjust every agent under `agent`, and those of one algorithm under `agents.<algorithm>`; an agent's own
    file overrides both. A stage that starts from a checkpoint takes the task, the overrides of the environment and, if
    it keeps the policy, the network from there. A policy that starts with the weights of another one (`init_ckpt=PATH`)
    has its network, and by default its task. A resumed run (`resume=PATH`) keeps its config, with the arguments on top;
    so does a new one that starts from the settings of an earlier one (`config=FILE`).

    Returns:
        The config, and the checkpoints that the run builds upon.

    Raises:
        UserError: if a name or key is unknown, a value is not accepted, a file does not fit, or a checkpoint cannot be
            read or is not of the kind the stage needs.
    """
    overrides = with_layout(read_train(arguments))
    if "resume" in overrides:
        cfg, resumed = compose_resume(overrides)
        return cfg, Opened(resumed=resumed)
    if "resume_allow_partial" in overrides:
        raise UserError("'resume_allow_partial' needs resume=PATH")
    if overrides.get("config") is not None:
        return _compose_from_earlier(Path(overrides["config"]), overrides)
    base = load_file("config")
    stage = load_choice("stage", overrides.pop("stage", None) or base.get("stage"))
    task = load_choice("task", overrides.pop("task")) if "task" in overrides else None
    root = Path(overrides.get("run.root", RunCfg().root))
    origin, init = _origin(stage["stage"], overrides, root), _init(stage["stage"], overrides, root)
    known = origin or init
    if task is None:
        holder, source = (base, None) if known is None else (known.config, known.path)
        task = load_choice("task", holder["task"]["name"], source)
    default_agent = stage.pop("default_agent", task["task"]["default_agent"])
    agent = load_choice("agent", overrides.pop("agent", default_agent))
    algorithm = ALGORITHMS[agent["agent"]["algorithm"]]
    if algorithm.stage != stage["stage"]:
        accepted = ", ".join(other.name for other in ALGORITHMS.values() if other.stage == stage["stage"])
        raise UserError(f"stage '{stage['stage']}' does not train agent '{algorithm.name}'; accepted: {accepted}")
    adjusted = {"agent": task.pop("agents", {}).get(algorithm.name, {})}
    return _compose([base, stage, task, adjusted, agent], [], algorithm, Opened(None, origin, init), overrides, SOURCE)


def _compose_from_earlier(path: Path, overrides: dict[str, Any]) -> tuple[TrainCfg, Opened]:
    """Compose the config of a new run with the settings in an earlier one's file, the checkpoints it took included."""
    saved = settings_of_earlier(path, overrides)
    for key in [entry.name for entry in fields(TrainCfg) if entry.name.endswith("_ckpt")]:
        if (where := saved.pop(key, None)) not in (None, NULL):
            overrides.setdefault(key, read_value(where, str))
    root = Path(overrides.get("run.root", RunCfg().root))
    opened = Opened(None, _origin(saved["stage"], overrides, root), _init(saved["stage"], overrides, root))
    return _compose([], [saved], ALGORITHMS[saved["agent"]["algorithm"]], opened, overrides, f"'{path}'")


def _compose(
    under: Sequence[Mapping[str, Any]],
    over: Sequence[Mapping[str, Any]],
    algorithm: Algorithm,
    opened: Opened,
    overrides: Mapping[str, Any],
    source: str,
) -> tuple[TrainCfg, Opened]:
    """Compose the config of a new run from layers, with what its checkpoints hand on between `under` and `over`."""
    origin, init = opened.origin, opened.init
    if init is not None and not _has_policy_of(init, algorithm):
        accepted = ", ".join(a.name for a in ALGORITHMS.values() if a.policy() is algorithm.policy())
        raise UserError(
            f"'{init.path}' holds the policy of agent '{init.algorithm}', but with agent '{algorithm.name}' init_ckpt "
            f"takes one of {accepted}"
        )
    policy = next((each for each in (init, origin) if each is not None and _has_policy_of(each, algorithm)), None)
    kept = {} if origin is None else {"env": origin.config["env"]}
    if policy is not None:
        kept["agent"] = _taken_over(policy, algorithm.settings(), ("min_std", "max_std") if policy is init else ())
    config = TrainCfg(agent=algorithm.settings())
    cfg = finish(config, [*under, kept, *over], overrides, source, taken_over=flatten(kept))
    if policy is not None:
        _check_network(policy, cfg.agent)
    return cfg, opened


def _origin(stage: str, overrides: dict[str, Any], root: Path) -> Checkpoint | None:
    """Open the checkpoint that a stage starts from; its path replaces what the user wrote."""
    sources = [(f"{a.starts_from}_ckpt", a) for a in ALGORITHMS.values() if a.starts_from is not None]
    for key in overrides.keys() & dict(sources).keys():
        stages = [algorithm.stage for other, algorithm in sources if other == key]
        if stage not in stages:
            raise UserError(f"'{key}' is for stage={' or '.join(stages)}, not for stage={stage}")
    key, taker = next((source for source in sources if source[1].stage == stage), ("", None))
    if taker is None:
        return None
    where, has_init = overrides.get(key), overrides.get("init_ckpt") is not None
    if has_init and taker.starts_from in ALGORITHMS and ALGORITHMS[taker.starts_from].policy() is taker.policy():
        if where is not None:
            raise UserError(f"'{key}' and 'init_ckpt' both say which weights the policy starts with; give one of them")
        return None
    if where is None:
        raise UserError(f"stage={stage} needs a checkpoint: {key}=PATH (a file, a run's folder, latest or best)")
    accepted = [a.name for a in ALGORITHMS.values() if taker.starts_from in (a.stage, a.name)]
    checkpoint = find_checkpoint(where, root, accepted)
    if checkpoint.algorithm not in accepted:
        raise UserError(
            f"'{checkpoint.path}' holds agent '{checkpoint.algorithm}', but {key} takes one of {', '.join(accepted)}"
        )
    overrides[key] = str(checkpoint.path)
    return checkpoint


def _init(stage: str, overrides: dict[str, Any], root: Path) -> Checkpoint | None:
    """Open the checkpoint whose weights the policy starts with; its path replaces what the user wrote."""
    where = overrides.get("init_ckpt")
    if where is None:
        return None
    policies = [algorithm.policy() for algorithm in ALGORITHMS.values() if algorithm.stage == stage]
    accepted = [algorithm.name for algorithm in ALGORITHMS.values() if algorithm.policy() in policies]
    checkpoint = find_checkpoint(where, root, accepted)
    overrides["init_ckpt"] = str(checkpoint.path)
    return checkpoint


def _has_policy_of(checkpoint: Checkpoint, algorithm: Algorithm) -> bool:
    """Return whether a checkpoint's policy is of the class that an algorithm trains."""
    there = ALGORITHMS.get(checkpoint.algorithm)
    return there is not None and there.policy() is algorithm.policy()


def _taken_over(policy: Checkpoint, settings: AgentCfg, own: Sequence[str]) -> dict[str, Any]:
    """Return the settings that a run takes over with a policy; the noise at the start is what that had come to.

    Args:
        policy: the checkpoint that holds it.
        settings: of the run's agent.
        own: names of settings that stay the run's own.
    """
    noise = {} if policy.noise_std is None else {"init_std": policy.noise_std}
    saved = inherited(settings, policy.hyperparameters["agent"] | noise)
    return {name: value for name, value in saved.items() if name not in own}


def _check_network(checkpoint: Checkpoint, settings: AgentCfg) -> None:
    """Refuse settings of another network than that whose weights are taken."""
    saved = checkpoint.hyperparameters["agent"]
    unlike = [
        f"agent.{key} is {saved[key]} there and {value} here"
        for key, value, said, _ in settings_of(settings)
        if said.network and key in saved and saved[key] != value
    ]
    if unlike:
        raise UserError(f"the weights in '{checkpoint.path}' are of another network: {'; '.join(unlike)}")
