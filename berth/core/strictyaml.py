"""YAML without surprises.

Mappings, lists, strings, whole numbers, decimals, true, false and null; nothing that reads differently elsewhere. An
anchor, an alias, a tag, a merge key, a duplicate key, a key that is no string, and any plain scalar that two YAML
parsers may take for different things (``no``, ``012``, ``1:30``, ``1.10``, ``2024-01-01``) is a problem with a line.

The grammar is libyaml's (YAML 1.1); the pure parser takes its place where libyaml is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from berth.core.errors import InputError, Position, Problem, ProfileError

#: A place in a document: keys and list indexes from the root.
Path = tuple[str | int, ...]

#: Collections in collections that are read at most; Kubernetes objects stay below 30.
MAX_DEPTH = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_SHORT_WORDS = {
    **dict.fromkeys(("yes", "no", "on", "off", "y", "n"), "true or false"),
    **dict.fromkeys(("true", "false"), "true or false in lower case"),
    "null": "null in lower case",
}
_NUMBER_START = frozenset("0123456789+-.")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+][0-9]+)?")
#: What some YAML parser or other takes for a number or a date.
_NUMBER_LIKE = re.compile(
    r"[-+]?(?:"
    r"0[0-7_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+"
    r"|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|\.(?:inf|Inf|INF|nan|NaN|NAN)"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r")"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*)?")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Omitted:
    """The type of ``OMIT``: a field whose whole value it is does not exist."""

    def __repr__(self) -> str:
        return "omit"


OMIT = Omitted()


class Rejected(Exception):
    """A scalar that cannot stay; raised by the functions that this module calls back."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class _StopReading(Exception):
    """The rest of the text is not worth reading; the problem is on the list."""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    ``marks`` holds line and column, from 0, of each mapping entry (its key), list item, and the root.
    """

    data: Any
    marks: Mapping[Path, tuple[int, int]]
    file: str = ""

    @property
    def positions(self) -> dict[Path, Position]:
        """Where each value is: a mapping entry at its key, a list item at its start, the root at ``()``."""
        return {path: Position(self.file, line + 1, column + 1) for path, (line, column) in self.marks.items()}


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a caller takes part in reading.

    ``watch`` is a character; scalars with it go to ``substitute(text, plain, path)``, which returns the value; for a
    key ``path`` is None. ``null`` stands for a null that is written out. ``locate`` turns line and column, from 0,
    into a position, and ``explain`` a line into an excerpt and a reason to show with a problem. ``start`` is called
    before each document. ``reveal`` is whether problems may quote what is written: with secrets they may not.
    """

    watch: str = ""
    substitute: Callable[[str, bool, Path | None], Any] | None = None
    null: Any = None
    locate: Callable[[int, int], Position] | None = None
    explain: Callable[[int], tuple[str, str]] | None = None
    start: Callable[[], None] | None = None
    reveal: bool = True


def read_all(
    text: str, file: str, *, error: type[InputError] = ProfileError, hooks: Hooks | None = None
) -> list[Document]:
    """Every document of a text; a text of nothing but blanks and comments has none.

    Raises:
        InputError: of the class given, with every problem up to the first place where the text stops being YAML.
    """
    reader = _Reader(text, file, hooks or Hooks())
    documents = list(reader.documents())
    if reader.problems:
        raise error(reader.problems)
    return documents


def read_one(text: str, file: str, *, error: type[InputError] = ProfileError, hooks: Hooks | None = None) -> Document:
    """The only document of a text; its data is None when there is none.

    Raises:
        InputError: as ``read_all``, and when there is more than one document.
    """
    documents = read_all(text, file, error=error, hooks=hooks)
    if len(documents) > 1:
        line = documents[1].marks[()][0]
        raise error("there is more than one document in this file", where=str(Position(file, line + 1)))
    return documents[0] if documents else Document(None, {(): (0, 0)}, file)


def resolve_plain(text: str) -> Any:
    """What a plain scalar stands for, in every YAML parser alike.

    Raises:
        Rejected: parsers differ.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        if len(text) <= 5 and text.lower() in _SHORT_WORDS:
            meant = _SHORT_WORDS[text.lower()]
            raise Rejected("means different things to different YAML parsers", f'write {meant}, or quote it: "{text}"')
        if text in ("=", "<<"):
            raise Rejected("has a meaning of its own in some YAML parsers", f'quote it: "{text}"')
        return text
    if _WHOLE.fullmatch(text):
        if len(text) < 19 and str(int(text)) == text:
            return int(text)
        raise Rejected("is a number that not every program can hold", f'quote it: "{text}"')
    if _DECIMAL.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    if _NUMBER_LIKE.fullmatch(text):
        raise Rejected(
            "reads as another number than it looks like, or as none, depending on the YAML parser",
            f'quote it if it is text: "{text}"; otherwise write the number in its plain decimal form',
        )
    if _DATE.fullmatch(text):
        raise Rejected("reads as a date in some YAML parsers", f'quote it: "{text}"')
    return text


@dataclass
class _Reader:
    """Builds documents from libyaml's events, which, unlike its nodes, still show anchors, aliases and tags."""

    text: str
    file: str
    hooks: Hooks
    problems: list[Problem] = field(default_factory=list)
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def documents(self) -> Iterator[Document]:
        try:
            self._next = _LOADER(self.text).get_event
            while type(event := self._next()) is not StreamEndEvent:
                if type(event) is DocumentStartEvent:
                    if event.tags or event.version:
                        self._problem(event, "directives (%) are not allowed", "remove the line")
                    self.marks = {}
                    if self.hooks.start:
                        self.hooks.start()
                    root = self._next()
                    self.marks[()] = _mark(root)
                    yield Document(self._value(root, (), 0), self.marks, self.file)
        except (yaml.reader.ReaderError, UnicodeError):
            self._unprintable()
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except _StopReading:
            pass

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        kind = type(event)
        if kind is AliasEvent:
            self._problem(event, "aliases (*) are not allowed", "write the value again")
            return None
        if event.anchor is not None:
            self._problem(event, "anchors (&) are not allowed", "remove it")
        if event.tag is not None:
            self._problem(event, "tags (!) are not allowed", "remove it; quotes make a string")
        if depth > MAX_DEPTH:
            self._problem(event, f"more than {MAX_DEPTH} levels of nesting")
            raise _StopReading
        if kind is MappingStartEvent:
            return self._mapping(path, depth)
        if kind is SequenceStartEvent:
            return self._sequence(path, depth)
        return self._scalar(event, path)

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while type(event := self._next()) is not MappingEndEvent:
            key = self._key(event, depth)
            inner = (*path, key)
            mark = _mark(event)
            value = self._value(self._next(), inner, depth + 1)
            if key in lines:
                self._problem(event, f"the key {key!r} is there twice, first in line {self._line(lines[key])}")
                continue
            lines[key] = mark[0]
            if value is not OMIT:
                made[key] = value
                self.marks[inner] = mark
        return made

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        made: list[Any] = []
        while type(event := self._next()) is not SequenceEndEvent:
            inner = (*path, len(made))
            value = self._value(event, inner, depth + 1)
            if value is not OMIT:
                made.append(value)
                self.marks[inner] = _mark(event)
        return made

    def _scalar(self, event: ScalarEvent, path: Path | None) -> Any:
        text: str = event.value
        plain: bool = event.implicit[0]
        hooks = self.hooks
        if hooks.substitute is not None and hooks.watch in text:
            try:
                return hooks.substitute(text, plain, path)
            except Rejected as rejected:
                self._problem(event, rejected.what, rejected.hint)
                return None
        if not plain:
            return text
        try:
            value = resolve_plain(text)
        except Rejected as rejected:
            if hooks.reveal:
                self._problem(event, f"{text} {rejected.what}", rejected.hint)
            else:
                self._problem(event, f"what is written here {rejected.what}", "put it in quotes, or write it plainly")
            return None
        return hooks.null if value is None else value

    def _key(self, event: Any, depth: int) -> str:
        if type(event) is not ScalarEvent:
            self._problem(event, "a key must be a string")
            self._value(event, (), depth + 1)
            return f"\0{len(self.problems)}"
        if event.anchor is not None or event.tag is not None:
            self._problem(event, "anchors (&) and tags (!) are not allowed", "remove it")
        if event.value == "<<" and event.implicit[0]:
            self._problem(event, "merge keys (<<) are not allowed", "write the entries out")
            return "<<"
        before = len(self.problems)
        value = self._scalar(event, None)
        if not isinstance(value, str) and len(self.problems) == before:
            written = event.value or "an empty key"
            self._problem(event, f"a key must be a string, and {written} is none", "put it in quotes")
        return value if isinstance(value, str) else event.value

    def _at(self, line: int, column: int) -> Position:
        locate = self.hooks.locate
        return locate(line, column) if locate else Position(self.file, line + 1, column + 1)

    def _line(self, line: int) -> str:
        position = self._at(line, 0)
        return str(position.line) if position.file == self.file else f"{position.line} of {position.file}"

    def _problem(self, event: Any, what: str, hint: str = "") -> None:
        self._report(what, event.start_mark.line, event.start_mark.column, hint)

    def _report(self, what: str, line: int, column: int, hint: str = "", why: str = "") -> None:
        if self.hooks.explain:
            excerpt, reason = self.hooks.explain(line)
            why = why or reason
        else:
            excerpt = caret(self.text, line, column) if self.hooks.reveal else ""
        self.problems.append(Problem(what, str(self._at(line, column)), why, hint, excerpt))

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        problem = error.problem or "it cannot be read"
        hint = ""
        if "'\\t'" in problem or (column < len(source := _source_line(self.text, line)) and source[column] == "\t"):
            problem, hint = "a tab where YAML wants spaces", "indent with spaces"
        elif "mapping values are not allowed" in problem:
            problem = "a colon where YAML does not expect one"
            hint = "put text that holds a colon and a blank in quotes; check the indentation"
        elif "could not find expected ':'" in problem:
            hint = "a key needs a colon; check the indentation and the quotes"
        why = ""
        if error.context and error.context_mark and not hint:
            why = f"{error.context} in line {self._line(error.context_mark.line)}"
        if not self.hooks.reveal:
            problem = re.sub(r"'[^']*'|\"[^\"]*\"", "something", problem)
        self._report(f"this is not valid YAML: {problem}", line, column, hint, why)

    def _unprintable(self) -> None:
        found = _UNPRINTABLE.search(self.text)
        before = self.text[: found.start()] if found else ""
        name = f"U+{ord(found[0]):04X}" if found else "a character"
        line = before.count("\n")
        column = len(before) - before.rfind("\n") - 1
        self._report(f"{name} is not allowed in YAML text", line, column, 'in a quoted string write an escape: "\\x00"')


def _mark(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line, mark.column


def _source_line(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line] if line < len(lines) else ""


def caret(text: str, line: int, column: int, width: int = 1) -> str:
    """A line of source, numbered, with carets under a place in it; line and column count from 0."""
    source = _source_line(text, line)[:200]
    number = f"{line + 1} | "
    lead = "".join("\t" if letter == "\t" else " " for letter in source[:column])
    return f"{number}{source}\n{' ' * (len(number) - 2)}| {lead}{'^' * max(width, 1)}"
