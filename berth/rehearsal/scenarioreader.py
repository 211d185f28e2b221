"""Values out of a scenario's document, and every problem with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, cast

from berth.core import schema as schemas
from berth.core.errors import InputError, Position, Problem, did_you_mean
from berth.core.objects import Json
from berth.core.strictyaml import Document, Path
from berth.rehearsal.durations import seconds_in
from berth.rehearsal.scenario import NEVER, Ordinals, Period

_ORDINALS = re.compile(r"\s*(\d+)(?:\s*(\+)|\s*-\s*(\d+))?\s*")


@cache
def schema() -> Json:
    """The JSON Schema of a scenario."""
    text = (resources.files("berth.rehearsal") / "scenario.schema.json").read_text(encoding="utf-8")
    return cast(Json, json.loads(text))


@dataclass
class Reader:
    """The values of a document, and what is wrong with them. One of a wrong type is read as if it were not there."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)

    def check_shape(self) -> None:
        """Note everything that the schema does not allow."""
        for violation in schemas.check(schema(), self.document.data):
            what = violation.what
            if what.startswith("there is no such value"):
                what = "a scenario has no such key here"
            self.broken.add(violation.path)
            self.problem(violation.path, what, violation.hint or self._close_option(violation.path))

    def _close_option(self, path: Path) -> str:
        """Which of the words that are possible here was probably meant."""
        value = self.get(path[:-1], str(path[-1]), broken=True) if path and isinstance(path[-1], str) else None
        options = (schemas.at(schema(), path) or {}).get("enum", ())
        hint = did_you_mean(value, map(str, options)) if isinstance(value, str) else ""
        return hint if hint.startswith("did you mean") else ""

    def problem(self, path: Path, what: str, hint: str = "") -> None:
        """Note a problem with the value at a path."""
        name = _dotted(path)
        self.problems.append(Problem(f"{name}: {what}" if name else what, self._where(path), hint=hint))

    def _where(self, path: Path) -> str:
        marks = self.document.marks
        while path and path not in marks:
            path = path[:-1]
        line, column = marks[path]
        return str(Position(self.document.file, line + 1, column + 1))

    def in_order(self) -> list[Problem]:
        """The problems from the top of the file to its end."""

        def place(problem: Problem) -> tuple[int, int]:
            line, column = problem.where.rsplit(":", 2)[-2:]
            return int(line), int(column)

        return sorted(dict.fromkeys(self.problems), key=place)

    # Values --------------------------------------------------------------------------------------------------------

    def get(self, at: Path, key: str, default: Any = None, *, broken: bool = False) -> Any:
        """A value that has the right shape; the default where it is not there or broken."""
        here: Any = self.document.data
        for step in (*at, key):
            if isinstance(here, dict) and step in here:
                here = here[step]
            elif isinstance(here, list) and isinstance(step, int) and step < len(here):
                here = here[step]
            else:
                return default
        return default if ((*at, key) in self.broken and not broken) or here is None else here

    def entries(self, at: Path, key: str) -> Iterable[Path]:
        """The paths of a list's items that have the right shape."""
        found = self.get(at, key, [])
        for index, entry in enumerate(found if isinstance(found, list) else []):
            path = (*at, key, index)
            if isinstance(entry, dict) and path not in self.broken:
                yield path

    def seconds(self, at: Path, key: str, *, never: bool = False) -> float | None:
        """A duration; None where there is none or it is wrong, ``NEVER`` for "never" where that is possible."""
        value = self.get(at, key)
        if value is None:
            return None
        if never and value == "never":
            return NEVER
        try:
            return seconds_in(value)
        except InputError as error:
            first = error.problems[0]
            self.problem((*at, key), first.what, first.hint + (", or never" if never else ""))
            return None

    def whole_seconds(self, at: Path, key: str) -> float | None:
        """A duration without a fraction."""
        value = self.seconds(at, key)
        if value is not None and value != int(value):
            self.problem(
                (*at, key), f"{value:g} s is not a whole number of seconds", "Kubernetes counts whole seconds here"
            )
            return None
        return value

    def period(self, at: Path) -> Period:
        """When the rule at a path is in force."""
        begin = self.seconds(at, "from")
        end = self.seconds(at, "until")
        if end is not None and end <= (begin or 0.0):
            since = f"it begins at {self.get(at, 'from')}" if begin else "it begins with the rehearsal"
            self.problem(
                (*at, "until"), f"it ends at {self.get(at, 'until')}, but {since}", "a rule ends after it begins"
            )
            return Period()
        return Period(begin or 0.0, NEVER if end is None else end)

    def ordinals(self, at: Path) -> Ordinals | None:
        """The ordinals that a match names."""
        value = self.get(at, "ordinals")
        if value is None:
            return None
        if isinstance(value, (int, list)):
            numbers = value if isinstance(value, list) else [value]
            for number in numbers:
                if not isinstance(number, int) or number < 0:
                    self.problem((*at, "ordinals"), f"{number} is no ordinal", "ordinals are counted from 0 up")
                    return None
            return Ordinals(tuple((number, number) for number in numbers))
        ranges: list[tuple[int, int | None]] = []
        for part in str(value).split(","):
            found = _ORDINALS.fullmatch(part)
            if not found:
                what = f"{value!r} names no ordinals"
                self.problem((*at, "ordinals"), what, 'write 0, [0, 2], "1-2", "3+" or "0, 2-4"')
                return None
            low, high = int(found[1]), found[3]
            if high is not None and int(high) < low:
                what = f"the range {part.strip()} ends before it begins"
                self.problem((*at, "ordinals"), what, f'write "{high}-{low}"')
                return None
            ranges.append((low, None if found[2] else int(high or low)))
        return Ordinals(tuple(ranges))

    def texts(self, at: Path, key: str) -> Mapping[str, str]:
        """A mapping of texts; numbers become texts."""
        found = self.get(at, key, {})
        return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def written(self, at: Path) -> Mapping[str, Any]:
        """A mapping as it is written, whatever its keys are worth."""
        here: Any = self.document.data
        for step in at:
            here = here[step]
        return cast(Mapping[str, Any], here)


def _dotted(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
