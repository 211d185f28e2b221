"""Rendered text with conditions and loops in it: in pieces, as data, and as the scalars of YAML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from markupsafe import Markup

from berth.core.chart import operations
from berth.core.chart.symbols import (
    CONTROLS,
    TEXT,
    Branch,
    Choice,
    Loop,
    Mark,
    NotCarried,
    Repeat,
    Symbol,
    Text,
    Verbatim,
    kinds_of,
    symbolic,
)
from berth.core.provenance import CLOSE, OPEN
from berth.core.strictyaml import OMIT, Path, Rejected, resolve_plain
from berth.core.tokens import SESSION, TOKEN, Site


@dataclass(frozen=True, slots=True)
class Token:
    """A token in the text, by its number; ``value`` is what it stands for."""

    number: int
    value: Any

    def __str__(self) -> str:
        return f"{OPEN}{self.number}{CLOSE}"


@dataclass(frozen=True, slots=True)
class Fork:
    """A condition and the text on both sides."""

    test: Any
    yes: list[Any]
    no: list[Any]


@dataclass(frozen=True, slots=True)
class Round:
    """A loop and the text of each round."""

    loop: Loop
    body: list[Any]


@dataclass(frozen=True, slots=True)
class Guard:
    """What lines or whole documents stand under: a condition that holds or does not, or a loop."""

    test: Any
    holds: bool = True
    loop: Loop | None = None


def token(value: Any) -> Markup:
    """The text that stands for a value."""
    session = SESSION.get()
    session.tokens.append((value, ("", 0, ())))
    session.spend(8)
    return Markup(f"{OPEN}{len(session.tokens) - 1}{CLOSE}")


#: In the place of where a mark is from: a filter counted it as text, which only YAML does not mind.
MOVED: Site = ("moved", 0, ())


def moved(rendered: Markup) -> Markup:
    """Text after a filter that works on its lines."""
    tokens = SESSION.get().tokens
    for found in map(int, TOKEN.findall(rendered)):
        if isinstance(tokens[found][0], CONTROLS):
            tokens[found] = (tokens[found][0], MOVED)
    return rendered


def nodes_of(marked: str) -> list[Any]:
    """Text in pieces: strings, tokens, forks and rounds."""
    rendered = str(marked)
    tokens = SESSION.get().tokens
    stack: list[tuple[Any, list[Any], list[Any]]] = []
    here: list[Any] = []
    last = 0
    for found in TOKEN.finditer(rendered):
        if found.start() > last:
            here.append(rendered[last : found.start()])
        last = found.end()
        number = int(found[1])
        value = tokens[number][0]
        if isinstance(value, (Branch, Loop)):
            stack.append((value, here, []))
            here = []
        elif isinstance(value, Mark) and value.word == "else":
            stack[-1][2].append(here)
            here = []
        elif isinstance(value, Mark):
            opened, outer, sides = stack.pop()
            if isinstance(opened, Loop):
                made: Any = Round(opened, here)
            else:
                made = Fork(opened.test, sides[0], here) if sides else Fork(opened.test, here, [])
            here = outer
            here.append(made)
        else:
            here.append(Token(number, value))
    if last < len(rendered):
        here.append(rendered[last:])
    return here


def as_text(rendered: str) -> Any:
    """Rendered text as data: text, or a symbol of it."""
    nodes = nodes_of(rendered)
    tokens = SESSION.get().tokens
    used = [tokens[int(number)] for number in TOKEN.findall(rendered)]
    if any(site is MOVED for _, site in used):
        raise NotCarried("text with conditions, trimmed or indented", *(value for value, _ in used))
    return _text_of(nodes) if symbolic(Markup(rendered)) else SESSION.get().text(Markup(rendered))


def _text_of(nodes: Sequence[Any]) -> Text:
    parts: list[Any] = []
    for node in nodes:
        if isinstance(node, Fork):
            parts.append(Choice(node.test, _text_of(node.yes), _text_of(node.no)))
        elif isinstance(node, Round):
            parts.append(Repeat(node.loop.names, node.loop.over, _text_of(node.body).parts))
        elif isinstance(node, Token):
            if isinstance(node.value, Fork):
                parts.append(Choice(node.value.test, _text_of(node.value.yes), _text_of(node.value.no)))
            elif isinstance(node.value, Round):
                raise NotCarried("a loop inside of a line", *involved_in(node.value))
            else:
                parts.append(as_text(node.value) if isinstance(node.value, Markup) else node.value)
        else:
            parts.append(node)
    return operations.text(*parts)


def involved_in(node: Any) -> list[Any]:
    """What a condition or loop depends on."""
    if isinstance(node, Guard):
        return [node.loop.over] if node.loop else [node.test]
    return [node.loop.over] if isinstance(node, Round) else [node.test]


def substitute(written: str, plain: bool, path: Path | None) -> Any:
    """What a scalar with tokens stands for; a key keeps its tokens."""
    tokens = SESSION.get().tokens
    values = [tokens[int(number)][0] for number in TOKEN.findall(written)]
    if path is None:
        if not any(symbolic(value) or isinstance(value, Guard) for value in values):
            return str(SESSION.get().text(Markup(written)))
        return written
    guards = [value for value in values if isinstance(value, Guard)]
    if guards:
        raise NotCarried(
            "a condition inside of a block of text", *(part for guard in guards for part in involved_in(guard))
        )
    if not plain or not any(isinstance(value, (Fork, Round)) for value in values):
        if plain and TOKEN.fullmatch(written):
            return clean(values[0])
        return (
            as_text(Markup(written))
            if not any(isinstance(v, (Fork, Round)) for v in values)
            else _text_of(nodes_of(written))
        )
    return _variants(nodes_of(written))


#: What cannot begin or end anything in YAML, so that it is text in every place.
_HARMLESS = re.compile(r"[A-Za-z0-9_./@:+= -]*")


def _variants(nodes: list[Any]) -> Any:
    """A scalar with conditions inside: each way in which it can read has a type of its own."""
    values = [node.value for node in nodes if isinstance(node, Token)]
    forks = [value for value in values if isinstance(value, Fork)]
    involved = [part for value in values if isinstance(value, (Fork, Round)) for part in involved_in(value)]
    if any(isinstance(value, Round) for value in values):
        raise NotCarried("a loop inside of this line", *involved)
    for fork in forks:
        for part in (*fork.yes, *fork.no):
            literal = part if isinstance(part, str) else ""
            harmless = _HARMLESS.fullmatch(literal) and ": " not in literal and not literal.endswith(":")
            if isinstance(part, (Fork, Round)) or not harmless:
                raise NotCarried("a condition inside of this line", *involved)
    if len(forks) > 4:
        raise NotCarried("more than four conditions in one line", *involved)
    found = {}
    for choice in product((True, False), repeat=len(forks)):
        sides = iter(choice)
        parts: list[Any] = []
        for node in nodes:
            inner = node.value if isinstance(node, Token) and isinstance(node.value, Fork) else None
            parts += [node] if inner is None else inner.yes if next(sides) else inner.no
        found[choice] = _scalar(parts, involved)
    if all(kinds_of(value) == TEXT for value in found.values()):
        return _text_of(nodes)

    def chosen(known: tuple[bool, ...]) -> Any:
        if len(known) == len(forks):
            return found[known]
        return Choice(forks[len(known)].test, chosen((*known, True)), chosen((*known, False)))

    return chosen(())


def _scalar(parts: list[Any], involved: list[Any]) -> Any:
    """A plain scalar of text and tokens, with its type."""
    joined = "".join(map(str, parts)).strip()
    if TOKEN.fullmatch(joined):
        return clean(SESSION.get().tokens[int(TOKEN.findall(joined)[0])][0])
    if TOKEN.search(joined):
        return as_text(Markup(joined))
    try:
        found = resolve_plain(joined)
    except Rejected:
        raise NotCarried("a condition inside of this line", *involved) from None
    return OMIT if found is None else found


def clean(value: Any) -> Any:
    """A value as a field holds it: rendered text as data, nothing that is null or omitted."""
    if isinstance(value, Markup):
        return as_text(value)
    if value is None or value is OMIT:
        return OMIT
    if isinstance(value, (Symbol, Verbatim)):
        return value
    if isinstance(value, dict):
        cleaned = {key: clean(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item is not OMIT}
    if isinstance(value, (list, tuple)):
        return [item for item in map(clean, value) if item is not OMIT]
    return SESSION.get().plain(value, (), lambda path, paths: None)
