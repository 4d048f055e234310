"""Means of numbers over several iterations."""

from __future__ import annotations

from collections.abc import Mapping


class Means:
    """Weighted means of all that was observed since the last `clear`."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._weights: dict[str, float] = {}

    def add(self, numbers: Mapping[str, float], weights: Mapping[str, float]) -> None:
        """Add an iteration's numbers; one without a weight counts once an iteration."""
        for name, number in numbers.items():
            weight = weights.get(name, 1.0)
            self._totals[name] = self._totals.get(name, 0.0) + number * weight
            self._weights[name] = self._weights.get(name, 0.0) + weight

    def first(self, *names: str) -> float | None:
        """Return the mean of the first of these numbers that was observed."""
        return next((self._totals[name] / self._weights[name] for name in names if self._weights.get(name)), None)

    def named(self) -> dict[str, float]:
        """Return all means by name."""
        return {name: total / self._weights[name] for name, total in self._totals.items() if self._weights[name]}

    def clear(self) -> None:
        """Start over."""
        self._totals.clear()
        self._weights.clear()
