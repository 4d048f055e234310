"""Reads what was typed: the type of a setting decides how its text is read, and nothing else does.

A string takes its text as it is, numbers are decimal. YAML is read where lists and mappings are expected, and there for
the structure alone: every entry stays text until its own type is known.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import yaml

from rlmpc.errors import UserError

NULL = "null"
"""How no value is typed, where a setting takes that."""
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
MAX_SHOWN = 60
"""Characters of a value that a message shows."""
MAX_INTEGER = 2**63 - 1
MAX_DEPTH = 20
"""Lists and mappings within each other; no setting needs as many."""
WHOLE = re.compile(r"[+-]?(\d+|(\d+\.?\d*|\.\d+)e\+?\d+)", re.ASCII | re.IGNORECASE)
DECIMAL = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|\.?inf|\.?nan)", re.ASCII | re.IGNORECASE)
"""`inf` and `nan` are numbers, so that a check can say that they must be finite."""


def read_value(value: Any, kind: Any) -> Any:
    """Return a value, typed text or data of a file, as the type that an annotation names.

    Reading a result again returns it unchanged.

    Raises:
        UserError: if it does not fit; the sentence goes on where one that names the setting stops.
    """
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (UnionType, Union):
        if value is None or value == NULL:
            return None
        try:
            return read_value(value, next(one for one in inner if one is not NoneType))
        except UserError as error:
            raise UserError(re.sub("^it takes .*", r"\g<0>, or null", str(error))) from error
    if origin is list:
        entries = structure(value)
        if not isinstance(entries, list | tuple):
            raise UserError("it takes a list in brackets, such as [a, b]")
        return [read_value(entry, inner[0]) for entry in entries]
    if origin is dict:
        entries = structure(value)
        if not isinstance(entries, Mapping):
            raise UserError("it takes a mapping in braces, such as {a: 1}")
        return {str(name): read_value(entry, inner[1] if inner else Any) for name, entry in entries.items()}
    return READERS.get(origin, as_data)(value)


def read_integer(value: Any) -> int:
    """Return a whole number; `1e4` is one, while `1.0` and `0x10` are not.

    Raises:
        UserError: if it is none, or none that 64 bits hold.
    """
    if isinstance(value, str) and WHOLE.fullmatch(value):
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("inf")
        # Compare before converting: as an integer, 1e1000000 has a million digits.
        if abs(number) > MAX_INTEGER:
            raise UserError(f"it takes an integer up to {MAX_INTEGER}")
        value = int(number) if number == int(number) else value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return value
    raise UserError("it takes an integer in decimal digits")


def read_float(value: Any) -> float:
    """Return a number, written in decimal digits with or without an exponent.

    Raises:
        UserError: if it is none.
    """
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        number = float(re.sub(r"\.?(inf|nan)", r"\1", value, flags=re.IGNORECASE))
        if math.isinf(number) and "inf" not in value.lower():
            raise UserError("it takes a number up to 1e308")
        return number
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    raise UserError("it takes a number in decimal digits")


def read_bool(value: Any) -> bool:
    """Return whether this is true.

    Raises:
        UserError: if it is neither true nor false.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in (*TRUE, *FALSE):
        return value.lower() in TRUE
    raise UserError("it takes true or false")


def read_text(value: Any) -> str:
    """Return text as it is.

    Raises:
        UserError: if it is a list, a mapping or null.
    """
    if isinstance(value, str):
        return value
    raise UserError("it takes text")


READERS = {int: read_integer, float: read_float, bool: read_bool, str: read_text}
"""Type -> how it is read."""


def as_data(value: Any) -> Any:
    """Return text as data, for what gets a type only later: numbers and lists where `as_text` gives the text back.

    A mapping in braces, which sets fields of a section, becomes one. All other text stays as it is.
    """
    if isinstance(value, list | tuple):
        return [as_data(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(name): as_data(entry) for name, entry in value.items()}
    if not isinstance(value, str) or value.startswith('"'):
        return value
    with suppress(UserError):
        # A word in braces is the beginning of a path, `{ENV_REGEX_NS}/Robot`, rather than a field set to null.
        if value.startswith("{") and any(entry is not None for entry in structure(value).values()):
            return as_data(structure(value))
    # Text of many lists, which may lie within each other, stays text too: `structure` bounds their depth.
    if sum(map(value.count, "[{")) > MAX_DEPTH:
        return value
    try:
        data = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return data if as_text(data) == value else value


def as_text(data: Any) -> str:
    """Return the text of data."""
    return data if isinstance(data, str) else json.dumps(data)


def shown(value: Any) -> str:
    """Return a value as a message shows it: a list as its entries, and not more than a line of it."""
    if isinstance(value, str) and value.startswith(("[", "{")) and len(value) <= MAX_SHOWN:
        with suppress(UserError):
            value = structure(value)
    text = "null" if value is None else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def structure(value: Any) -> Any:
    """Return the lists and mappings that YAML describes, with text as entries; return what is no text unchanged.

    What is empty is None. Anchors, tags and several documents, of which no setting needs any, are refused.

    Raises:
        UserError: if it is not such YAML, nested too deeply, or names an entry twice.
    """
    if not isinstance(value, str):
        return value
    try:
        events = (event for event in yaml.parse(value, Loader=yaml.BaseLoader) if not isinstance(event, IGNORED))
        first = next(events, None)
        result = None if first is None else _node(first, events, MAX_DEPTH)
        if next(events, None) is not None:
            raise UserError("it holds several documents of YAML")
    except yaml.YAMLError as error:
        raise UserError(f"it is not valid YAML ({' '.join(str(error).split())})") from error
    return result


IGNORED = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Any:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise UserError("it uses an anchor or alias of YAML; write the value out")
    if getattr(event, "tag", None) not in (None, "!"):
        raise UserError("it uses a tag of YAML; write plain values")
    if isinstance(event, yaml.ScalarEvent):
        return event.value if event.value or event.style else None
    if depth == 0:
        raise UserError(f"it nests more than {MAX_DEPTH} lists and mappings")
    if isinstance(event, yaml.SequenceStartEvent):
        return [_node(entry, events, depth - 1) for entry in _until(events, yaml.SequenceEndEvent)]
    entries: dict[str, Any] = {}
    for entry in _until(events, yaml.MappingEndEvent):
        name = _node(entry, events, depth - 1)
        if not isinstance(name, str):
            raise UserError("it has an entry whose name is no text")
        if name in entries:
            raise UserError(f"it has the entry '{name}' twice")
        entries[name] = _node(next(events), events, depth - 1)
    return entries


def _until(events: Iterator[yaml.Event], end: type[yaml.Event]) -> Iterator[yaml.Event]:
    while not isinstance(event := next(events), end):
        yield event
