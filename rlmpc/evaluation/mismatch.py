"""Reports differences between the world in which a policy learned and the one in which it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlmpc.config.compare import config_changes, shown
from rlmpc.contract.episode import Trial
from rlmpc.envs.make import SET_ABOVE

_TOLERANCE = 1e-6
"""Tolerance for ranges, which widen in steps that add up with rounding errors."""


def config_differences(training: Any, playing: Any) -> list[str]:
    """List the settings of an environment that differ, such as noise, pushes, curricula and command ranges.

    Args:
        training: config object of the environment in which the policy learned.
        playing: config object of the environment in which it is measured.

    Returns:
        Lines `path: ... in training, ... here`; the paths are those of `env.*` overrides. Settings of the run, such as
        the number of environments, are left out.
    """
    return [
        f"{change.path}: {shown(change.there)} in training, {shown(change.here)} here"
        for change in config_changes(training, playing)
        if change.path not in SET_ABOVE
    ]


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
