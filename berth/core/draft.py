"""An object as its template wrote it, before it is a manifest, and where each of its fields came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from berth.core.errors import Position, Problem
from berth.core.objects import Origin, field_path
from berth.core.strictyaml import Path


class Origins(Mapping[str, Origin]):
    """Field paths of one object and where each came from; written out when it is first asked for."""

    __slots__ = ("_locate", "_made", "_marks", "_notes")

    def __init__(
        self,
        marks: Mapping[Path, tuple[int, int]],
        locate: Callable[[int], Position],
        notes: dict[Path, tuple[str, ...]],
    ) -> None:
        self._marks = marks
        self._locate = locate
        self._notes = notes
        self._made: dict[str, Origin] | None = None

    def position(self, path: Path) -> Position:
        """The template line of a field, or of the nearest thing around it."""
        while path not in self._marks and path:
            path = path[:-1]
        return self._locate(self._marks[path][0])

    def alias(self, old: Path, new: Path) -> None:
        """Let a field that moves keep its origin."""
        if old in self._marks:
            self._marks = {**self._marks, new: self._marks[old]}
        self._notes[new] = self._notes.get(old, ())
        self._made = None

    def _all(self) -> dict[str, Origin]:
        if self._made is None:
            self._made = {
                field_path(path): Origin(self.position(path), self._notes.get(path, ()))
                for path in (*self._marks, *(path for path in self._notes if path not in self._marks))
                if path
            }
        return self._made

    def __getitem__(self, path: str) -> Origin:
        return self._all()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


@dataclass(slots=True)
class Draft:
    """An object as its template wrote it."""

    body: Any
    position: Position
    origins: Origins
    generated: dict[str, int] = field(default_factory=dict)
    copied: dict[str, tuple[str, str]] = field(default_factory=dict)

    def problem(self, path: Path, what: str, hint: str = "") -> Problem:
        """A problem at a field."""
        origin = self.origins.get(field_path(path))
        why = (
            "it is made of " + ", ".join(f"values.{name}" for name in origin.values) if origin and origin.values else ""
        )
        return Problem(what, str(self.origins.position(path)), why, hint)
