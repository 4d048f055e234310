"""What a sweep searches: ranges of numbers, and choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlmpc.config.reading import as_text, read_bool, read_float, read_integer, shown
from rlmpc.errors import UserError, nearest

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

KINDS = ("float", "int", "choice")
EXAMPLE = "write {float: [0.001, 0.1], log: true}, {int: [2, 8]} or {choice: [a, b]}"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones if these are."""

    low: float
    high: float
    is_log: bool

    @property
    def ends(self) -> list[str]:
        """The values between which the others lie, as arguments."""
        return [str(self.low), str(self.high)]

    def suggest(self, trial: BaseTrial, key: str) -> str:
        """Return what a trial tries, as an argument."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return str(trial.suggest_int(key, self.low, self.high, log=self.is_log))
        return str(trial.suggest_float(key, self.low, self.high, log=self.is_log))


@dataclass(frozen=True)
class Choice:
    """Values, as arguments."""

    values: tuple[str, ...]
    is_log = False

    @property
    def ends(self) -> list[str]:
        """All values: any may be wrong."""
        return [*self.values]

    def suggest(self, trial: BaseTrial, key: str) -> str:
        """Return what a trial tries, as an argument."""
        return trial.suggest_categorical(key, self.values)


Space = Mapping[str, Range | Choice]
"""Setting, by its dotted name -> what is tried for it."""


def read_space(tree: Mapping[str, Any]) -> Space:
    """Read a search space.

    Raises:
        UserError: if it is empty, or an entry is none; the sentence names it.
    """
    if not tree:
        raise UserError(f"'space' is empty; {EXAMPLE} for a setting, for example agent.learning_rate")
    return {key: _entry(f"space.{key}", entry) for key, entry in tree.items()}


def suggested(space: Space, trial: BaseTrial) -> list[str]:
    """Return what a trial tries as arguments of `train.py`; the same for a trial that is taken up again."""
    return [f"{key}={entry.suggest(trial, key)}" for key, entry in space.items()]


def _entry(key: str, entry: Any) -> Range | Choice:
    if not isinstance(entry, Mapping):
        raise UserError(f"'{key}' cannot be {shown(entry)}; {EXAMPLE}")
    unknown = next((name for name in entry if name not in (*KINDS, "log")), None)
    if unknown is not None:
        known = (*KINDS, "log")
        raise UserError(f"unknown key '{key}.{unknown}'; accepted: {', '.join(known)}{nearest(unknown, known)}")
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise UserError(f"'{key}' has {' and '.join(kinds) or 'no kind'}; {EXAMPLE}")
    values = entry[kinds[0]]
    if not isinstance(values, list) or len(values) < 2:
        raise UserError(f"'{key}.{kinds[0]}' cannot be {shown(values)}; {EXAMPLE}")
    try:
        is_log = read_bool(entry.get("log", False))
        if kinds[0] == "choice":
            return _choice(values, is_log)
        return _range(values, read_float if kinds[0] == "float" else read_integer, is_log)
    except UserError as error:
        raise UserError(f"'{key}' cannot be {shown(dict(entry))}: {error}") from error


def _choice(values: Sequence[Any], is_log: bool) -> Choice:
    if is_log:
        raise UserError("log is for numbers")
    texts = [as_text(value) for value in values]
    if len({*texts}) < len(texts):
        raise UserError("it has a value twice")
    return Choice(tuple(texts))


def _range(values: Sequence[Any], read: Any, is_log: bool) -> Range:
    if len(values) != 2:
        raise UserError("it takes two numbers, the lowest and the highest")
    low, high = map(read, values)
    if not low < high or high - low == float("inf"):
        raise UserError("the first number must be below the second, and both finite")
    if is_log and low <= 0:
        raise UserError("with log, the lowest number must be above 0")
    return Range(low, high, is_log)
