"""What the files of a run hold, as types of plain data and of tensors with their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, JsonValue
from typing_extensions import TypedDict

from rlmpc.checkpoint.arrays import Array, Letter
from rlmpc.contract.schema import (
    Flag,
    Measured,
    Name,
    Number,
    Range,
    Text,
    Whole,
    Width,
    closed,
    extensible,
)

if TYPE_CHECKING:
    from torch import Tensor
else:
    # The import takes seconds, and what a field holds is checked by what it is annotated with.
    Tensor = Any

MAX_ENVS = 2**24
WORD = 2**32
MT19937 = 624
"""Numbers in the state of a Mersenne twister."""


Word = Annotated[int, Field(strict=True, ge=0, lt=WORD)]
Position = Annotated[int, Field(strict=True, ge=0, le=MT19937)]
Twister = Annotated[list[Word], Field(min_length=MT19937 + 1, max_length=MT19937 + 1)]


def _twister(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if numbers[-1] > MT19937:
        raise ValueError(f"the last number should be at most {MT19937}")
    return numbers


@closed
class RandomState(TypedDict, total=False):
    """State of a process's random generators; see `rlmpc.checkpoint.random_state`."""

    python: tuple[
        Literal[3],
        Annotated[tuple[Word, ...], Field(min_length=MT19937 + 1, max_length=MT19937 + 1), AfterValidator(_twister)],
        Number | None,
    ]
    numpy: tuple[
        Literal["MT19937"], Annotated[Tensor, Array((MT19937,), "int64", 0, WORD)], Position, Literal[0, 1], Number
    ]
    torch: Annotated[Tensor, Array(("bytes",), "uint8")]
    cuda: Annotated[Tensor, Array(("bytes of a GPU",), "uint8")]


def _whole_random(state: RandomState) -> RandomState:
    if missing := {"python", "numpy", "torch"} - state.keys():
        raise ValueError(f"the state of {', '.join(sorted(missing))} is missing")
    return state


Random = Annotated[RandomState, AfterValidator(_whole_random)]


def _first_is_whole(states: list[RandomState]) -> list[RandomState]:
    _whole_random(states[0])
    return states


RandomSteps = Annotated[list[RandomState], Field(min_length=1), AfterValidator(_first_is_whole)]
"""All generators before the first step, and before each later one at least those that something else has used."""


@extensible
class Terms(TypedDict, total=False, extra_items=dict[Name, JsonValue]):
    """State of the terms of a curriculum, by name."""

    base_velocity: dict[Name, Range]
    """Ranges of the velocity command [m/s, rad/s], by axis."""


@closed
class Curriculum(TypedDict, total=False):
    """What `VecEnv.curriculum` returns."""

    levels: Annotated[Tensor, Array(("N",), "int64", 0, 2**20)]
    kinds: Annotated[Tensor, Array(("N",), "int64", 0, 2**20)]
    step_counter: Whole
    terms: Terms


@closed
class RolloutState(TypedDict):
    """What `Collector.state_dict` returns."""

    obs: dict[Name, Annotated[Tensor, Array(("N", "..."))]]
    memory: dict[Name, Annotated[Tensor, Array(("N", "..."))]]
    episodes: Annotated[dict[Literal["return", "length"], Annotated[Tensor, Array(("N",))]], Field(min_length=2)]
    """Sums over the current episodes."""
    held_out: NotRequired[Annotated[Tensor, Array(("numbers", "environments"))]]
    """What `HeldOut.state` returns."""


EnvState = dict[Text, Any]
"""What `VecEnv.state` returns; the environment compares it with its own when it loads it."""


@closed
class RankState(TypedDict, total=False):
    """What `RolloutDataModule.rank_state` returns; what is missing is not restored."""

    num_envs: Annotated[int, Field(strict=True, ge=1, le=MAX_ENVS), Letter("N")]
    curriculum: Curriculum
    random: Random
    kept_state: Flag
    state: EnvState
    rollout: RolloutState


Epoch = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
"""Index of the last finished iteration."""

FINITE = -3.5e38
"""Below every finite number in single precision."""


@closed
class Moments(TypedDict):
    """What Adam keeps of a parameter."""

    step: Annotated[Tensor, Array((), least=0)]
    exp_avg: Annotated[Tensor, Array(("...",), least=FINITE)]
    exp_avg_sq: Annotated[Tensor, Array(("...",), least=0)]


@extensible
class ParameterGroup(TypedDict, extra_items=Flag | Whole | Number | tuple[Number, Number] | None):
    """Settings of the optimizer for some parameters; those without a name here are compared when they are loaded."""

    name: Name
    lr: Annotated[Tensor, Array((), least=0)]
    params: list[Whole]


@closed
class OptimizerState(TypedDict):
    """What an Adam returns as its `state_dict`."""

    state: dict[Whole, Moments]
    param_groups: list[ParameterGroup]


Numbers = dict[Name, Measured]


@extensible
class Agent(TypedDict, extra_items=JsonValue):
    """Settings of an agent; the others are checked when its policy is made."""

    algorithm: Name


@closed
class TeacherState(TypedDict):
    """Where a student's teacher comes from."""

    agent: Agent
    sha256: Text
    iteration: Whole
    numbers: Numbers
    evaluation: Numbers


@extensible
class HyperParameters(TypedDict, extra_items=JsonValue):
    """Arguments of a learner."""

    agent: Agent
    contract: dict[Text, JsonValue]
    teacher: NotRequired[TeacherState]
    predictions: NotRequired[dict[Name, Width]]


@extensible
class TaskConfig(TypedDict, extra_items=JsonValue):
    """The task in a run's config."""

    name: Name


@extensible
class EvaluationConfig(TypedDict, extra_items=JsonValue):
    """The held-out environments in a run's config."""

    num_envs: Whole | None


@extensible
class RunConfig(TypedDict, extra_items=JsonValue):
    """A run's composed config, `TrainCfg` as a dict: what is read without composing it again."""

    stage: Name
    task: TaskConfig
    agent: Agent
    env: dict[Text, JsonValue]
    deterministic: Flag
    evaluation: NotRequired[EvaluationConfig]


@closed
class Section(TypedDict):
    """Our part of a Lightning checkpoint."""

    format: Whole
    config: RunConfig
    numbers: Numbers
    saved_s: NotRequired[Number]
    published_from: NotRequired[Text]


@extensible
class OutlineSection(TypedDict, extra_items=Any):
    """What our part of a checkpoint says about it."""

    format: Whole
    numbers: Numbers
    saved_s: NotRequired[Number]


@extensible
class OutlineHyperParameters(TypedDict, extra_items=Any):
    """What the arguments of a learner say about it."""

    agent: Agent


@extensible
class Outline(TypedDict, extra_items=Any):
    """What is read to choose a checkpoint among others."""

    epoch: Epoch
    hyper_parameters: OutlineHyperParameters
    rlmpc: OutlineSection


@closed
class Ranks(TypedDict):
    """The state of all ranks; each is checked by itself."""

    ranks: list[dict[Text, Any]]


@closed
class SkippedState(TypedDict):
    """What `SkippedUpdates.state_dict` returns."""

    in_a_row: Annotated[Tensor, Array((), least=0)]
    latest: Annotated[Tensor, Array(("updates",), least=0, below=2)]


@extensible
class Content(TypedDict, extra_items=Any):
    """The content of a checkpoint; what only Lightning reads is checked on resume."""

    epoch: Epoch
    state_dict: dict[Text, Annotated[Tensor, Array(("...",), dtype="")]]
    hyper_parameters: HyperParameters
    optimizer_states: NotRequired[list[OptimizerState]]
    skipped_updates: NotRequired[SkippedState]
    RolloutDataModule: NotRequired[Ranks]
    rlmpc: Section


LOOPS = ("fit_loop", "validate_loop", "test_loop", "predict_loop")
"""Attributes of Lightning's Trainer with counters."""


@closed
class CallbackState(TypedDict, total=False):
    """State of a callback; only that of the checkpoints has one."""

    best: Annotated[float, Field(strict=True, ge=0, le=1)]
    """Best success in an evaluation so far."""


LightningState = TypedDict(
    "LightningState",
    {
        "global_step": Whole,
        "pytorch-lightning_version": Annotated[str, Field(strict=True, pattern=r"^2\.\d{1,4}\.\d{1,4}")],
        "loops": dict[Text, dict[Text, Any]],
        "callbacks": dict[Text, CallbackState],
        "lr_schedulers": NotRequired[Annotated[list[Any], Field(max_length=0)]],
    },
)
"""What only Lightning reads of a checkpoint."""
