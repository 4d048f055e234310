"""Schedules: functions of the iteration alone, so that a resumed run cannot lose them."""

from __future__ import annotations


def ramp(iteration: int, start: int, length: int, final: float) -> float:
    """Return 0 until iteration `start`, then rise linearly to `final` over `length` iterations and stay there."""
    if iteration < start:
        return 0.0
    return final * min((iteration - start) / length, 1.0) if length > 0 else final


def is_nth(iteration: int, every: int) -> bool:
    """Return whether `iteration`, counted from 0, is the last of a group of `every`."""
    return (iteration + 1) % every == 0
