"""The layout of observation groups: which columns hold which quantity. Nothing else in the project knows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from rlmpc.contract.schema import Name, Number, Range, Width, closed


@closed
@dataclass(frozen=True)
class ObsTerm:
    """One named quantity inside an observation group."""

    name: Name
    dim: Width
    """Features of one frame."""
    history: Width = 1
    """Frames kept, oldest first; the term fills `dim * history` consecutive columns of its group."""
    scale: Number | list[Number] = 1.0
    """What the quantity was multiplied by after clipping: one number, or one for each feature."""
    clip: Range | None = None
    """Lower and upper bound of the quantity before scaling."""

    @property
    def width(self) -> int:
        """Columns the term takes in its group."""
        return self.dim * self.history


def _has_a_scale_for_each(term: ObsTerm) -> ObsTerm:
    if isinstance(term.scale, list) and len(term.scale) != term.dim:
        raise ValueError(f"its scale should have {term.dim} entries, one for each feature, not {len(term.scale)}")
    return term


def _named_once(terms: tuple[ObsTerm, ...]) -> tuple[ObsTerm, ...]:
    names = [term.name for term in terms]
    if len(set(names)) < len(names):
        raise ValueError("input should name every term once")
    return terms


Terms = Annotated[tuple[Annotated[ObsTerm, AfterValidator(_has_a_scale_for_each)], ...], AfterValidator(_named_once)]


class ObsSchema:
    """Layout of every observation group."""

    def __init__(self, groups: dict[str, tuple[ObsTerm, ...]]) -> None:
        self.groups = groups

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Say how the schema is read: from what `to_dict` returned."""
        return core_schema.no_info_after_validator_function(cls, handler(dict[Name, Terms]))

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return plain lists and dicts, for a checkpoint: group -> terms in their order, each with its fields."""
        return {group: [asdict(term) for term in terms] for group, terms in self.groups.items()}

    def dims(self) -> dict[str, int]:
        """Return the width D_g of every group."""
        return {group: sum(term.width for term in terms) for group, terms in self.groups.items()}

    def term(self, group: str, name: str) -> ObsTerm:
        """Return one term of a group.

        Raises:
            KeyError: if the group or the term does not exist.
        """
        for term in self.groups[group]:
            if term.name == name:
                return term
        raise KeyError(f"group '{group}' has no term '{name}'; it has {[t.name for t in self.groups[group]]}")

    def columns(self, group: str, name: str, frames: int | None = None) -> slice:
        """Return the columns of one term in its group.

        Args:
            group: the group.
            name: the term.
            frames: how many of its newest frames to take; None takes all.

        Raises:
            KeyError: if the group or the term does not exist.
        """
        term = self.term(group, name)
        terms = self.groups[group]
        end = sum(before.width for before in terms[: terms.index(term)]) + term.width
        return slice(end - term.width if frames is None else end - frames * term.dim, end)

    def selection(self, group: str, names: Iterable[str], frames: int | None = None) -> list[slice]:
        """Return the columns of several terms of a group, in the order of `names`; `frames` as in `columns`.

        A term that keeps fewer than `frames` gives all it has.

        Raises:
            KeyError: if the group or one of the terms does not exist.
        """

        def kept(name: str) -> int | None:
            return None if frames is None else min(frames, self.term(group, name).history)

        return [self.columns(group, name, kept(name)) for name in names]
