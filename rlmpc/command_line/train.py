"""The config of `train.py`, from files under `conf/`, checkpoints and `key=value` arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlmpc.algorithms.algorithm import Algorithm
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.checkpoint.file import Checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.command_line.arguments import read_train
from rlmpc.command_line.files import SOURCE, load_choice, load_file
from rlmpc.command_line.merge import finish
from rlmpc.command_line.resume import compose_resume
from rlmpc.config.overrides import flatten
from rlmpc.config.setting import inherited
from rlmpc.config.train import RunCfg, TrainCfg
from rlmpc.errors import UserError
from rlmpc.run.processes import with_layout


def compose_train(arguments: Sequence[str]) -> tuple[TrainCfg, Checkpoint | None]:
    """Compose the config of a training run: schema, `conf/config.yaml`, stage, task and agent, then the arguments.

    A task may adjust every agent under `agent`, and those of one algorithm under `agents.<algorithm>`; an agent's own
    file overrides both. A stage that starts from a checkpoint takes the task, the overrides of the environment and, if
    it keeps the policy, the network from there. A resumed run (`resume=PATH`) keeps its config, with the arguments on
    top.

    Returns:
        The config, and the checkpoint that the run resumes or starts from, if any.

    Raises:
        UserError: if a name or key is unknown, a value is not accepted, a file does not fit, or a checkpoint cannot be
            read or is not of the kind the stage needs.
    """
    overrides = with_layout(read_train(arguments))
    if "resume" in overrides:
        return compose_resume(overrides)
    if "resume_allow_partial" in overrides:
        raise UserError("'resume_allow_partial' needs resume=PATH")
    base = load_file("config")
    stage = load_choice("stage", overrides.pop("stage", None) or base.get("stage"))
    if "task" in overrides:
        load_choice("task", overrides["task"])
    origin = _origin(stage["stage"], overrides, Path(overrides.get("run.root", RunCfg().root)))
    name = base["task"]["name"] if origin is None else origin.config["task"]["name"]
    task = load_choice("task", overrides.pop("task", name))
    default_agent = stage.pop("default_agent", task["task"]["default_agent"])
    agent = load_choice("agent", overrides.pop("agent", default_agent))
    algorithm = ALGORITHMS[agent["agent"]["algorithm"]]
    if algorithm.stage != stage["stage"]:
        accepted = ", ".join(other.name for other in ALGORITHMS.values() if other.stage == stage["stage"])
        raise UserError(f"stage '{stage['stage']}' does not train agent '{algorithm.name}'; accepted: {accepted}")
    adjusted = {"agent": task.pop("agents", {}).get(algorithm.name, {})}
    kept = {} if origin is None else _kept(origin, algorithm)
    layers = [base, stage, task, adjusted, agent, kept]
    config = TrainCfg(agent=algorithm.settings())
    return finish(config, layers, overrides, SOURCE, taken_over=flatten(kept)), origin


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
    where = overrides.get(key)
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


def _kept(origin: Checkpoint, algorithm: Algorithm) -> dict[str, Any]:
    """Return what a run takes over from the checkpoint it starts from."""
    if ALGORITHMS[origin.algorithm].policy() is not algorithm.policy():
        return {"env": origin.config["env"]}
    return {"env": origin.config["env"], "agent": inherited(algorithm.settings(), origin.hyperparameters["agent"])}
