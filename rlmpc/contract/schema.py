"""Checks data that was read from a file against the types that describe it, before anything uses it.

Annotated types and dataclasses are the schema; `checked` turns what does not fit into one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError, with_config
from pydantic_core import CoreSchema

from rlmpc.errors import UserError

LARGEST = 2**53
"""Largest whole number that a file may hold where nothing narrower is said: beyond it, floats are not exact."""

closed = with_config(ConfigDict(extra="forbid"))
"""Marks a dataclass or TypedDict that takes no other keys than its own."""
extensible = with_config(ConfigDict(extra="allow"))
"""Marks a TypedDict with `extra_items`, which may have further keys."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("input should have printable characters only")
    return text


def _rising(bounds: list[float]) -> list[float]:
    if bounds[0] > bounds[1]:
        raise ValueError("input should be two rising numbers")
    return bounds


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Measured = Annotated[float, Field(strict=True)]
"""A number that may be infinite or NaN."""
NotNegative = Annotated[float, Field(strict=True, ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
Width = Annotated[int, Field(strict=True, ge=1, le=2**20)]
"""A number of features, frames or levels: what memory is taken for."""
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=200), AfterValidator(_printable)]
Text = Annotated[str, Field(strict=True, max_length=200), AfterValidator(_printable)]
Range = Annotated[list[Number], Field(min_length=2, max_length=2), AfterValidator(_rising)]
"""Lower and upper end."""
Vector2 = Annotated[list[Number], Field(min_length=2, max_length=2)]
Vector3 = Annotated[list[Number], Field(min_length=3, max_length=3)]


@dataclass(frozen=True)
class As:
    """Annotates plain data that is read by the schema of another type, and stays plain data to those who use it."""

    kind: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Say how the data is read."""
        return handler.generate_schema(self.kind)


_adapters: dict[Any, TypeAdapter[Any]] = {}
_short = Repr(maxstring=40, maxother=40, maxlist=3, maxtuple=3, maxdict=2, maxset=3, maxlevel=2, maxlong=30)


def checked(kind: Any, data: Any, source: str | Path, field: str = "", is_config: bool = False) -> Any:
    """Return data from a file as the type that describes it.

    Args:
        kind: a dataclass, TypedDict or annotated type.
        data: what the file holds.
        source: the file, for the message.
        field: where in the file the data lies, dotted.
        is_config: whether it is a dataclass without annotations of ours: then its plain types are taken strictly, and
            it takes no other keys.

    Raises:
        UserError: if it does not fit, with the file, the field, what was found and what is accepted.
    """
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    adapter = _adapters[kind]
    try:
        if is_config:
            return adapter.validate_json(json.dumps(data), strict=True, extra="forbid")
        return adapter.validate_python(data, context={})
    except ValidationError as error:
        reasons = error.errors(include_url=False)
    # The branches of a union all complain; the one that came farthest knows the field.
    paths = [_path(data, reason["loc"], reason["type"]) for reason in reasons]
    at = max(range(len(paths)), key=lambda index: len(paths[index]))
    where = ".".join(part for part in (field, *map(str, paths[at])) if part)
    raise UserError(_sentence(source, where, reasons[at]))


def misfit(source: str | Path, field: str, found: Any, accepted: str) -> UserError:
    """Return the error for a field of a file that holds something else than what is accepted."""
    where = f"'{field}'" if field else "its content"
    return UserError(f"'{source}' holds something else than expected: {where} is {shown(found)}; {accepted}")


def shown(value: Any) -> str:
    """Return a short description of any value, on one line."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    text = _short.repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _sentence(source: str | Path, where: str, reason: Any) -> str:
    if reason["type"] == "missing":
        return f"'{source}' lacks '{where}'; it is damaged or was changed"
    if reason["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"'{source}' holds '{where}', which nothing reads; it was changed"
    accepted = reason["msg"].removeprefix("Value error, ")
    return str(misfit(source, where, reason["input"], accepted[0].lower() + accepted[1:]))


def _path(data: Any, loc: Sequence[Any], kind: str) -> list[Any]:
    """Return where in the data an error lies: its location without the names of types that pydantic adds."""
    path: list[Any] = []
    for index, part in enumerate(loc):
        is_last = index == len(loc) - 1
        is_key = isinstance(data, Mapping) and part in data
        if is_key or (isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)):
            data = data[part]
        elif not (is_last and kind == "missing"):
            continue
        path.append(part)
    return path
