"""Reports differences between the world in which a policy learned and the one in which it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlmpc.contract.episode import Trial
from rlmpc.envs.make import SET_ABOVE

_TOLERANCE = 1e-6
"""Tolerance for ranges, which widen in steps that add up with rounding errors."""

_ABSENT = object()
"""Placeholder for a field that only the other side has."""


def config_differences(training: Any, playing: Any) -> list[str]:
    """List the settings of an environment that differ, such as noise, pushes, curricula and command ranges.

    Args:
        training: config object of the environment in which the policy learned.
        playing: config object of the environment in which it is measured.

    Returns:
        Lines `path: ... in training, ... here`; the paths are those of `env.*` overrides. Settings of the run, such as
        the number of environments, are left out.
    """
    return _lines(training, playing, "")


def command_warnings(
    trials: Sequence[Trial], names: Sequence[str], trained: Mapping[str, Sequence[float]] | None
) -> list[str]:
    """List the commanded numbers outside the ranges that training had reached.

    Args:
        trials: what is about to be evaluated.
        names: names of a command's numbers, in order.
        trained: ranges from which commands were last drawn, `{name: [low, high]}`; None if unknown.
    """
    # Training includes standing still whatever the ranges are.
    commands = list(dict.fromkeys(trial.command for trial in trials if any(trial.command)))
    if commands and trained is None:
        return ["nobody knows which commands the policy was trained with"]
    asked = dict.fromkeys(pair for command in commands for pair in zip(names, command, strict=True))
    ranges = trained or {}
    return [
        f"{name} = {number:g} lies outside the range in which the policy was trained last: "
        f"{ranges[name][0]:g} to {ranges[name][1]:g}"
        for name, number in asked
        if name in ranges and not ranges[name][0] - _TOLERANCE <= number <= ranges[name][1] + _TOLERANCE
    ]


def _lines(training: Any, playing: Any, path: str) -> list[str]:
    if path in SET_ABOVE:
        return []
    there, here = _fields(training), _fields(playing)
    if there is None or here is None:
        same = training is playing or training == playing
        return [] if same else [f"{path}: {_shown(training)} in training, {_shown(playing)} here"]
    names = dict.fromkeys([*there, *here])
    lines = (_lines(there.get(n, _ABSENT), here.get(n, _ABSENT), f"{path}.{n}".lstrip(".")) for n in names)
    return [line for inner in lines for line in inner]


def _fields(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a config's section; None for a value."""
    if isinstance(value, Mapping):
        return value
    return vars(value) if hasattr(value, "__dict__") and not callable(value) else None


def _shown(value: Any) -> str:
    if value is None or value is _ABSENT or value is False:
        return "off"
    return "on" if value is True or _fields(value) is not None else str(value)
