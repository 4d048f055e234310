"""What the schema's types cannot say about an agent, alone and against the task it is to learn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rlmpc.algorithms.rma.settings import RmaCfg
from rlmpc.algorithms.table import AGENTS
from rlmpc.config.agent import AgentCfg
from rlmpc.errors import UserError, nearest
from rlmpc.losses.distillation import IMITATION_LOSSES
from rlmpc.networks.encoders import MIN_FRAMES, accepts_frames
from rlmpc.networks.memory import CELLS
from rlmpc.networks.mlp import ACTIVATIONS

Terms = Mapping[str, Mapping[str, int]]
"""Observation groups: group -> term -> frames of history."""

LEAST: dict[str, int] = dict.fromkeys(
    (
        *("num_steps", "num_epochs", "num_minibatches", "recent_frames", "estimator_frames", "latent_dim"),
        *("scan_latent_dim", "memory_width"),
    ),
    1,
) | {
    # With 1, no iteration would act on the privileged latent and nothing would shape it.
    "history_every": 2,
    "regularizer_start": 0,
    "regularizer_ramp": 0,
    "beta_iterations": 0,
    "leave_out_steps": 0,
    "critic_warmup": 0,
}
POSITIVE = (
    *("init_std", "min_std", "max_std", "learning_rate", "min_lr", "max_lr", "desired_kl", "clip", "max_grad_norm"),
    *("estimator_lr", "history_lr", "critic_lr", "huber_delta"),
)
SHARES = ("gamma", "lam")
NOT_NEGATIVE = ("entropy_coef", "value_coef", "regularizer_weight")
CHOICES: dict[str, tuple[str | None, ...]] = {
    "activation": tuple(ACTIVATIONS),
    "compat": ("reference", None),
    "memory": ("none", *CELLS),
    "loss": IMITATION_LOSSES,
}
ORDERED = (("min_std", "init_std", "max_std"), ("min_lr", "learning_rate", "max_lr"))


def check_agent(agent: AgentCfg) -> None:
    """Refuse networks and learning numbers that make no sense.

    Raises:
        UserError: with what was given and what is accepted.
    """
    if AGENTS.get(agent.algorithm) is not type(agent):
        raise UserError(f"'agent.algorithm' cannot be '{agent.algorithm}' here; choose another agent with agent=...")
    fields = vars(agent)
    for key, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"'agent.{key}' must be finite, not {value}")
    for key in LEAST.keys() & fields.keys():
        if fields[key] < LEAST[key]:
            raise UserError(f"'agent.{key}' must be at least {LEAST[key]}, not {fields[key]}")
    for key in fields.keys() & set(POSITIVE):
        if not fields[key] > 0.0:
            raise UserError(f"'agent.{key}' must be above 0, not {fields[key]}")
    for key in fields.keys() & set(SHARES):
        if not 0.0 <= fields[key] <= 1.0:
            raise UserError(f"'agent.{key}' must lie in [0, 1], not {fields[key]}")
    for key in fields.keys() & set(NOT_NEGATIVE):
        if not fields[key] >= 0.0:
            raise UserError(f"'agent.{key}' must not be negative, not {fields[key]}")
    for low, middle, high in ORDERED:
        if fields.keys() >= {low, middle, high} and not fields[low] <= fields[middle] <= fields[high]:
            raise UserError(f"'agent.{middle}' must lie between 'agent.{low}' and 'agent.{high}', not {fields[middle]}")
    _check_choices(fields)


def _check_choices(fields: Mapping[str, Any]) -> None:
    for key in fields:
        if key.endswith("_hidden") and any(width < 1 for width in fields[key]):
            raise UserError(f"'agent.{key}' must list layer widths of at least 1, not {fields[key]}")
    for key, accepted in CHOICES.items():
        if key in fields and fields[key] not in accepted:
            names = ["null" if choice is None else choice for choice in accepted]
            hint = nearest(str(fields[key]), names)
            raise UserError(f"unknown 'agent.{key}' '{fields[key]}'; accepted: {', '.join(names)}{hint}")


def check_minibatches(num_envs: int, agent: AgentCfg) -> None:
    """Refuse a rollout that cannot be cut into equal minibatches; see `check_agent`."""
    if getattr(agent, "memory", "none") != "none":
        if num_envs % agent.num_minibatches:
            raise UserError(
                f"num_envs = {num_envs} is not divisible into agent.num_minibatches = {agent.num_minibatches}; an "
                "agent with a memory learns from whole environments"
            )
        return
    size = num_envs * agent.num_steps
    if size % agent.num_minibatches:
        raise UserError(
            f"num_envs x agent.num_steps = {num_envs} x {agent.num_steps} = {size} is not divisible into "
            f"agent.num_minibatches = {agent.num_minibatches}"
        )


def check_observations(agent: AgentCfg, task: str, terms: Terms) -> None:
    """Refuse an agent that needs a group, term or history which the task does not have; see `check_agent`."""
    for key in ("actor_group", "critic_group", "privileged_group"):
        group = getattr(agent, key, None)
        if group is not None and group not in terms:
            raise UserError(
                f"agent '{agent.algorithm}' needs the observation group '{group}' (agent.{key}), "
                f"but task '{task}' has {', '.join(terms)}{nearest(group, terms)}"
            )
    if isinstance(agent, RmaCfg):
        _check_terms(agent, task, terms)
        _check_history(agent, terms[agent.actor_group])


def _roles(agent: RmaCfg) -> dict[str, tuple[str, list[str]]]:
    """Setting -> the group and the terms that it names."""
    return {
        "history_terms": (agent.actor_group, agent.history_terms),
        "imu_terms": (agent.actor_group, agent.imu_terms if agent.estimator_imu else []),
        "scan_terms": (agent.actor_group, agent.scan_terms),
        "privileged_terms": (agent.privileged_group, agent.privileged_terms),
        "velocity_term": (agent.privileged_group, [agent.velocity_term]),
    }


def _check_terms(agent: RmaCfg, task: str, terms: Terms) -> None:
    """Refuse terms that do not exist or play two parts, and an actor that is shown what only the simulation knows."""
    for key in ("history_terms", "privileged_terms"):
        if not getattr(agent, key):
            raise UserError(f"'agent.{key}' is empty; the encoder needs at least one term")
    role_of: dict[str, str] = {}
    for key, (group, names) in _roles(agent).items():
        for name in names:
            if name not in terms[group]:
                raise UserError(
                    f"agent '{agent.algorithm}' needs the term '{name}' (agent.{key}) in the observation group "
                    f"'{group}', which in task '{task}' has {', '.join(terms[group])}{nearest(name, terms[group])}"
                )
            if name in role_of:
                raise UserError(f"the term '{name}' is named twice, in 'agent.{role_of[name]}' and 'agent.{key}'")
            if key in ("privileged_terms", "velocity_term") and name in terms[agent.actor_group]:
                raise UserError(
                    f"'agent.actor_group' is '{agent.actor_group}', which shows the actor '{name}' (agent.{key}), "
                    "but a robot does not sense that"
                )
            role_of[name] = key


def _check_history(agent: RmaCfg, terms: Mapping[str, int]) -> None:
    frames = {name: terms[name] for name in agent.history_terms}
    kept = ", ".join(f"'{name}' {number}" for name, number in frames.items())
    if len(set(frames.values())) > 1 or not accepts_frames(max(frames.values())):
        raise UserError(
            f"the history encoder takes terms that keep equally many frames, an even number of at least {MIN_FRAMES}; "
            f"agent.history_terms keep: {kept}"
        )
    for key in ("recent_frames", "estimator_frames"):
        if getattr(agent, key) > max(frames.values()):
            raise UserError(f"'agent.{key}' must not exceed the frames of agent.history_terms ({kept})")
