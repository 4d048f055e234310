"""Regular expressions that stand for names of joints or bodies."""

import re
from collections.abc import Iterable, Sequence


def matching(patterns: Iterable[str], names: Sequence[str]) -> list[str]:
    """Return the names that regular expressions match in full, in the order of the names.

    Raises:
        ValueError: If a pattern matches no name, or a name matches several patterns.
    """
    return [name for name, pattern in match(patterns, names).items() if pattern is not None]


def match(patterns: Iterable[str], names: Iterable[str]) -> dict[str, str | None]:
    """Return the one pattern that matches each name in full, or None.

    Raises:
        ValueError: If a pattern matches no name, or a name matches several patterns.
    """
    found: dict[str, list[str]] = {name: [p for p in patterns if re.fullmatch(p, name)] for name in names}
    if ambiguous := {name: p for name, p in found.items() if len(p) > 1}:
        raise ValueError(f"several patterns match one joint: {ambiguous}")
    if unused := set(patterns) - {p for matched in found.values() for p in matched}:
        raise ValueError(f"patterns {sorted(unused)} match none of {list(found)}")
    return {name: matched[0] if matched else None for name, matched in found.items()}
