"""Builds the config of a command from files under `conf/` and `key=value` arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rlmpc.algorithms.table import AGENTS, NETWORK_OF_STUDENT, STAGES
from rlmpc.checkpoint.fault_file import read_fault
from rlmpc.checkpoint.file import Checkpoint, load_checkpoint
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.command_line.merge import finish, first_line, read_arguments
from rlmpc.command_line.resume import compose_resume
from rlmpc.config.play import PlayCfg
from rlmpc.config.train import RunCfg, TrainCfg
from rlmpc.errors import UserError, nearest
from rlmpc.run.processes import with_layout

CONF_DIR = Path(__file__).resolve().parents[2] / "conf"
SOURCE = f"a file under {CONF_DIR.name}/"
"""What is to blame where config files do not fit."""
GROUPS = ("stage", "task", "agent")
UNTRAINED = ("zero", "random")
"""Policies that need no checkpoint."""
ORIGINS = {"teacher_ckpt": "distill", "student_ckpt": "finetune"}
"""Key of the checkpoint that a stage builds upon -> that stage."""
ORIGIN_STAGE = {"teacher_ckpt": "teacher", "student_ckpt": "distill"}
"""Key of such a checkpoint -> the stage that it comes from."""
EXPORTED = {"name": "exported", "simulator": "mujoco", "default_agent": ""}
"""Task of an exported policy: it brings all that MuJoCo needs, so no file of ours describes it."""


def choices(group: str) -> list[str]:
    """Names that `<group>=` accepts: the files of that folder."""
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


def list_choices() -> str:
    """A line for each of stage, task and agent with the names it accepts."""
    return "\n".join(f"{group}: {', '.join(choices(group))}" for group in GROUPS)


def compose_train(arguments: Sequence[str]) -> TrainCfg:
    """The config of a training run: schema, `conf/config.yaml`, chosen stage, task and agent, then the arguments.

    Each file holds only what it changes, from the root of the config. A task may adjust every agent under `agent`, and
    those of one algorithm under `agents.<algorithm>`; what an agent's own file says stands above that. A stage that
    builds upon a checkpoint takes task, overrides of the environment and, to fine-tune, the network from there. A run
    that is resumed (`resume=PATH`) has the config that it had, and the arguments on top.

    Raises:
        UserError: for an unknown name or key, a value of another type, a file that does not fit, or a checkpoint that
            cannot be read or is of another kind than the stage needs.
    """
    overrides = with_layout(read_arguments(arguments))
    if "resume" in overrides:
        return compose_resume(overrides)
    if "resume_allow_partial" in overrides:
        raise UserError("'resume_allow_partial' needs resume=PATH")
    base = OmegaConf.merge(OmegaConf.structured(TrainCfg), _load(CONF_DIR / "config.yaml"))
    stage = _load_choice("stage", overrides.pop("stage", None) or base.stage)
    origin = _origin(stage.stage, overrides, overrides.get("run.root", base.run.root))
    name = origin.config["task"]["name"] if origin is not None else base.task.name
    task = _load_choice("task", overrides.pop("task", None) or name)
    default_agent = stage.pop("default_agent", None) or task.task.default_agent
    agent = _load_choice("agent", overrides.pop("agent", None) or default_agent)
    algorithm = agent.agent.algorithm
    if algorithm not in STAGES[stage.stage]:
        accepted = ", ".join(STAGES[stage.stage])
        raise UserError(f"stage '{stage.stage}' does not train agent '{algorithm}'; accepted: {accepted}")
    base.agent = OmegaConf.structured(AGENTS[algorithm])
    adjusted = OmegaConf.create({"agent": task.pop("agents", {}).get(algorithm, {})})
    layers = [stage, task, adjusted, agent, *([] if origin is None else [_inherited(origin, algorithm)])]
    return finish(base, layers, overrides, TrainCfg, SOURCE)


def _origin(stage: str, overrides: dict[str, Any], root: Any) -> Checkpoint | None:
    """The checkpoint that a stage builds upon; its path is put in place of what the user wrote."""
    for key, needed_by in ORIGINS.items():
        if key in overrides and needed_by != stage:
            raise UserError(f"'{key}' is for stage={needed_by}, not for stage={stage}")
    key = next((key for key, needed_by in ORIGINS.items() if needed_by == stage), None)
    if key is None:
        return None
    where = overrides.get(key)
    if where is None:
        raise UserError(f"stage={stage} needs a checkpoint: {key}=PATH (a file, a run's folder, latest or best)")
    accepted = STAGES[ORIGIN_STAGE[key]]
    path = find_checkpoint(str(where), Path(str(root)), accepted)
    overrides[key] = str(path)
    checkpoint = load_checkpoint(path)
    if checkpoint.algorithm not in accepted:
        raise UserError(f"'{path}' holds agent '{checkpoint.algorithm}', but {key} takes one of {', '.join(accepted)}")
    return checkpoint


def _inherited(origin: Checkpoint, algorithm: str) -> DictConfig:
    """What a run takes over from the checkpoint it builds upon."""
    inherited: dict[str, Any] = {"env": origin.config["env"]}
    if algorithm == "finetune":
        student = origin.hyperparameters["agent"]
        inherited["agent"] = {name: student[name] for name in NETWORK_OF_STUDENT}
    return OmegaConf.create(inherited)


def compose_play(arguments: Sequence[str]) -> PlayCfg:
    """The config of `play.py`: schema, the task of the checkpoint, the replay or the one named, then the arguments.

    Raises:
        UserError: as `compose_train`, and when there is neither a checkpoint nor a task with a policy.
    """
    overrides = read_arguments(arguments)
    name, where = overrides.pop("task", None), overrides.get("ckpt")
    if overrides.get("replay") is not None:
        if name is not None or where is not None or "policy" in overrides:
            raise UserError("a replay knows its task and needs no policy; give it without task=, ckpt= and policy=")
        config = read_fault(Path(str(overrides["replay"]))).config
        task = OmegaConf.create({"task": _load_choice("task", config["task"]["name"]).task})
        return finish(OmegaConf.structured(PlayCfg), [task], overrides, PlayCfg, SOURCE)
    if where is None:
        if name is None:
            tasks = ", ".join(choices("task"))
            raise UserError(f"play.py needs ckpt=PATH, or policy=zero or policy=random and task=<name>, one of {tasks}")
        if overrides.get("policy") not in UNTRAINED:
            hint = nearest(str(overrides.get("policy")), UNTRAINED)
            given = f"unknown policy '{overrides['policy']}'; " if "policy" in overrides else ""
            raise UserError(f"{given}task={name} needs policy=zero or policy=random, or give ckpt=PATH alone{hint}")
        task = OmegaConf.create({"task": _load_choice("task", name).task})
        return finish(OmegaConf.structured(PlayCfg), [task], overrides, PlayCfg, SOURCE)
    if name is not None or "policy" in overrides:
        raise UserError("a checkpoint knows its task and its policy; give ckpt=PATH without task= and policy=")
    if is_deployment(str(where)):
        return finish(OmegaConf.structured(PlayCfg), [OmegaConf.create({"task": EXPORTED})], overrides, PlayCfg, SOURCE)
    path = find_checkpoint(str(where), Path(str(overrides.get("run.root", RunCfg().root))))
    overrides["ckpt"] = str(path)
    task = OmegaConf.create({"task": _load_choice("task", load_checkpoint(path).config["task"]["name"]).task})
    return finish(OmegaConf.structured(PlayCfg), [task], overrides, PlayCfg, SOURCE)


def is_deployment(path: str) -> bool:
    """Whether a path means an exported policy instead of a checkpoint."""
    return path.endswith((".onnx", ".json")) or (Path(path) / "policy.onnx").is_file()


def _load(path: Path) -> DictConfig:
    try:
        config = OmegaConf.load(path)
    except YAMLError as error:
        raise UserError(f"{_shown(path)} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{_shown(path)} must hold a mapping")
    return config


def _load_choice(group: str, name: Any) -> DictConfig:
    """The file that `<group>=<name>` means, with what compose itself reads of it checked."""
    valid = choices(group)
    if name not in valid:
        raise UserError(f"unknown {group} '{name}'; accepted: {', '.join(valid)}{nearest(str(name), valid)}")
    path = CONF_DIR / group / f"{name}.yaml"
    config = _load(path)
    if group == "task":
        _accepted(path, "task.default_agent", _read(config, "task.default_agent"), choices("agent"))
        _check_adjustments(path, config.get("agents", {}))
    if group == "agent":
        _accepted(path, "agent.algorithm", _read(config, "agent.algorithm"), AGENTS)
    return config


def _check_adjustments(path: Path, agents: Any) -> None:
    if not isinstance(agents, DictConfig | dict):
        raise UserError(f"{_shown(path)}: 'agents' must map an algorithm to settings of its agent")
    for algorithm, settings in agents.items():
        _accepted(path, "agents", str(algorithm), AGENTS)
        try:
            OmegaConf.merge(OmegaConf.structured(AGENTS[str(algorithm)]), settings)
        except OmegaConfBaseException as error:
            raise UserError(f"{_shown(path)}: 'agents.{algorithm}' does not fit: {first_line(error)}") from error


def _read(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None


def _accepted(path: Path, key: str, value: Any, accepted: Iterable[str]) -> None:
    names = list(accepted)
    if value not in names:
        given = f"is '{value}'" if value is not None else "is missing"
        raise UserError(f"{_shown(path)}: '{key}' {given}; accepted: {', '.join(names)}{nearest(str(value), names)}")


def _shown(path: Path) -> str:
    return str(path.relative_to(CONF_DIR.parent))
