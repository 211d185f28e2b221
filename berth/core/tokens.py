"""Opaque tokens: how a value gets through text that is parsed as YAML without ever being parsed itself.

While a template runs, each ``{{ expression }}`` writes a token, a number between two private-use characters, and each
line of template text starts with a mark that says where it is from. The YAML reader sees tokens as ordinary words;
``Session`` knows what they stand for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, ItemsView, KeysView, ValuesView
from contextvars import ContextVar
from typing import Any

from jinja2 import Undefined
from markupsafe import Markup

from berth.core.provenance import CLOSE, END, MARK, OPEN, Decimal, Text, Whole, derive, paths_of
from berth.core.secretvalues import Copied, Generated
from berth.core.strictyaml import OMIT, Path, Rejected

TOKEN = re.compile(f"{OPEN}([0-9]+){CLOSE}")
MARKS = re.compile(f"{MARK}[0-9:]*{END}")

#: Limits of one template run. They are far above what a release can be (etcd takes objects of 1.5 MiB).
MAX_TEXT = 16 * 1024 * 1024
MAX_ITEMS = 100_000
MAX_STEPS = 100_000

#: Where an expression is: template name, line, and the dotted paths of the values that it names.
Site = tuple[str, int, tuple[str, ...]]


class Session:
    """One run of templates: what its tokens stand for, and how much it has done so far."""

    __slots__ = ("generates", "size", "steps", "tokens")

    def __init__(self) -> None:
        self.tokens: list[tuple[Any, Site]] = []
        self.size = 0
        self.steps = 0
        #: Whether any value is to be generated, or to be copied from a Secret.
        self.generates = False

    def emit(self, value: Any, site: Site) -> Markup:
        """The token of a value; text that is made of tokens already passes.

        Raises:
            Rejected: it is nothing that a manifest can hold.
        """
        if type(value) is Markup:
            self.spend(len(value))
            return value
        if not isinstance(value, _EMITTED):
            if isinstance(value, Undefined):
                str(value)  # raises, with the name
            if not isinstance(value, (Generator, KeysView, ValuesView, ItemsView)):
                raise Rejected(*_no_value(value))
            value = list(value)
        self.tokens.append((value, site))
        self.spend(8)
        return Markup(f"{OPEN}{len(self.tokens) - 1}{CLOSE}")

    def spend(self, characters: int) -> None:
        """Count what is written.

        Raises:
            Rejected: it is more than any release needs.
        """
        self.size += characters
        if self.size > MAX_TEXT:
            raise Rejected(f"the templates write more than {MAX_TEXT // 1048576} MiB", "look for a runaway loop")

    def step(self, count: int = 1) -> None:
        """Count loop iterations and calls.

        Raises:
            Rejected: there are more than any release needs.
        """
        self.steps += count
        if self.steps > MAX_STEPS:
            raise Rejected(f"the templates take more than {MAX_STEPS} steps", "look for a runaway loop")

    def text(self, rendered: str) -> str:
        """Rendered text as data: tokens replaced by the text of what they stand for, marks gone."""
        if MARK in rendered:
            rendered = MARKS.sub("", rendered)
        if OPEN not in rendered:
            return str(rendered)
        used: list[Any] = []

        def replace(found: re.Match[str]) -> str:
            number = int(found[1])
            if number >= len(self.tokens):
                raise Rejected("a text holds characters that berth keeps for itself", "write other characters")
            value, _ = self.tokens[number]
            used.append(value)
            return to_text(value)

        made = TOKEN.sub(replace, str(rendered))
        if len(made) > MAX_TEXT:
            self.spend(len(made))
        return derive(made, used)

    def data(self, value: Any) -> Any:
        """A value with rendered text turned into data, so that filters and operators see what a reader would."""
        return self.text(value) if type(value) is Markup else value

    def paths(self, value: Any, site: Site) -> tuple[str, ...]:
        """The dotted paths that went into a token: those that the expression names and those that the value carries."""
        carried = paths_of(value)
        return site[2] if not carried or carried == site[2] else tuple(dict.fromkeys((*carried, *site[2])))

    def plain(self, value: Any, path: Path, note: Callable[[Path, tuple[str, ...]], None]) -> Any:
        """A value as plain data, without what is null or omitted; ``note`` hears which values each part is made of.

        Raises:
            Rejected: it holds something that a manifest cannot.
        """
        kind = type(value)
        if kind is Text or kind is str or kind is Markup:
            if kind is Text:
                note(path, value.paths)
            return self.text(value) if kind is Markup or OPEN in value or MARK in value else str(value)
        if value is None or value is OMIT:
            return OMIT
        if kind is bool or kind is int or kind is float:
            return value
        if kind is Generated or kind is Copied:
            self.generates = True
            return value
        if kind is Whole or kind is Decimal:
            note(path, value.paths)
            return int(value) if kind is Whole else float(value)
        if isinstance(value, dict):
            self.step(len(value))
            made: dict[str, Any] = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Rejected(f"the key {key!r} of a mapping is no string", "put it in quotes")
                name = self.text(key)
                part = self.plain(item, (*path, name), note)
                if part is not OMIT:
                    made[name] = part
            note(path, paths_of(value))
            return made
        if isinstance(value, (list, tuple)):
            self.step(len(value))
            items: list[Any] = []
            for item in value:
                part = self.plain(item, (*path, len(items)), note)
                if part is not OMIT:
                    items.append(part)
            note(path, paths_of(value))
            return items
        if isinstance(value, Undefined):
            str(value)
        raise Rejected(*_no_value(value))


_EMITTED = (str, int, float, bool, type(None), dict, list, tuple, Generated, Copied, type(OMIT))

#: The run that is going on in this thread.
SESSION: ContextVar[Session] = ContextVar("SESSION")


def to_text(value: Any) -> str:
    """What a value reads as inside a longer text.

    Raises:
        Rejected: a mapping, a list, null, or something to be left out has no text.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, dict):
        raise Rejected("a mapping cannot stand inside a text", "give it the whole field, or write it with | to_json")
    if isinstance(value, (list, tuple)):
        raise Rejected("a list cannot stand inside a text", "give it the whole field, or use | join or | to_json")
    if value is None:
        raise Rejected("null cannot stand inside a text", "give a default: {{ x or '' }}")
    if value is OMIT:
        raise Rejected("omit cannot stand inside a text", "let it be the whole field, without quotes")
    if isinstance(value, Generated | Copied):
        hint = "let it be a whole value under stringData of a Secret: only the cluster knows its text"
        raise Rejected(f"a value that is {value} cannot stand inside a text", hint)
    if isinstance(value, Undefined):
        str(value)
    raise Rejected(*_no_value(value))


def _no_value(value: Any) -> tuple[str, str]:
    if callable(value):
        name = getattr(value, "name", None) or getattr(value, "__name__", "this")
        return f"{name} is a function, not a value", f"call it: {name}()"
    return f"{type(value).__name__} is nothing that a manifest can hold", "write text, a number, a list or a mapping"


def mark_lines(text: str, template: int, line: int) -> str:
    """Template text with a mark at the start of each line, the first being ``line``."""
    first, *rest = text.split("\n")
    made = [f"{MARK}{template}:{line}{END}{first}" if first or not rest else first]
    for number, part in enumerate(rest, line + 1):
        last = number == line + len(rest)
        made.append(part if last and not part else f"{MARK}{template}:{number}{END}{part}")
    return "\n".join(made)


def unmark(text: str, session: Session, number_of: dict[str, int]) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and for each line the template's number and line.

    A line takes the place of its first visible text, so that a macro's lines point into the macro.
    """
    clean: list[str] = []
    origins: list[tuple[int, int]] = []
    here = (0, 1)
    for line in text.split("\n"):
        head, *parts = line.split(MARK)
        pieces, found = [head], head.strip(" ") != ""
        if found and head.lstrip(" ")[0] == OPEN:
            token = TOKEN.match(head.lstrip(" "))
            if token:
                name, number, _ = session.tokens[int(token[1])][1]
                here = (number_of[name], number)
        for part in parts:
            place, _, rest = part.partition(END)
            pieces.append(rest)
            if not found:
                template, _, number_text = place.partition(":")
                here = (int(template), int(number_text))
                found = rest.strip(" ") != ""
        clean.append("".join(pieces))
        origins.append(here)
    return "\n".join(clean), origins
