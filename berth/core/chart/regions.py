"""Rendered text whose lines stand under conditions and in loops: as text, and as YAML.

While templates run, a condition or loop over symbols leaves marks in the text, as tokens. To be read as YAML such a
region becomes an entry of its own: a key that is a token, with the lines of the region below it. `emit` turns the entry
into the condition again. A region inside of a line becomes a part of that scalar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from berth.core.chart.scalars import Fork, Guard, Round, Token, involved_in, nodes_of, substitute, token
from berth.core.chart.symbols import (
    NotCarried,
    Op,
)
from berth.core.errors import TemplateError
from berth.core.provenance import OPEN
from berth.core.strictyaml import OMIT, Hooks, read_all
from berth.core.tokens import SESSION, TOKEN


@dataclass(slots=True)
class Document:
    """One object as it was read; ``checks`` are conditions under which the templates fail; ``file`` is its template."""

    guards: tuple[Guard, ...]
    checks: list[Any] = field(default_factory=list)
    body: Any = None
    file: str = ""


def documents(rendered: str) -> list[Document]:
    """The objects of a template's text, with what they stand under.

    Raises:
        NotCarried: the text is no YAML while its conditions are open.
    """
    builder = _Builder()
    builder.add(nodes_of(rendered), ())
    builder.close()
    made = []
    for document, text in builder.made:
        bodies = [read.data for read in _read(text, document)] if text.strip() else []
        bodies = [body for body in bodies if body is not None and body is not OMIT]
        if len(bodies) > 1:
            raise NotCarried("several objects in one document", *_all_involved(document))
        lifted = list(_lifted(document.guards, bodies[0] if bodies else None))
        made.append(Document(lifted[0][0], document.checks, lifted[0][1]))
        made += [Document(guards, [], body) for guards, body in lifted[1:]]
    return made


def _lifted(guards: tuple[Guard, ...], body: Any) -> Iterator[tuple[tuple[Guard, ...], Any]]:
    """A document that is nothing but what stands under conditions: an object for each of them."""
    inner = [region(key) for key in body] if isinstance(body, dict) else []
    if not inner or None in inner:
        yield guards, body
        return
    for guard, part in zip(inner, body.values(), strict=True):
        assert guard is not None
        yield from _lifted((*guards, guard), part)


def region(key: Any) -> Guard | None:
    """What a key stands for that was made of a condition or loop."""
    if isinstance(key, str) and TOKEN.fullmatch(key):
        value = SESSION.get().tokens[int(TOKEN.findall(key)[0])][0]
        return value if isinstance(value, Guard) else None
    return None


def _all_involved(document: Document) -> list[Any]:
    return [part for guard in document.guards for part in involved_in(guard)]


def _read(text: str, document: Document) -> list[Any]:
    hooks = Hooks(watch=OPEN, substitute=substitute, null=OMIT)
    try:
        return read_all(text, "template", error=TemplateError, hooks=hooks)
    except TemplateError as error:
        involved = [value for number in TOKEN.findall(text) for value in _conditions(int(number))]
        what = error.problems[0].what
        raise NotCarried(f"lines under conditions that do not nest ({what})", *involved) from None


def _conditions(number: int) -> list[Any]:
    value = SESSION.get().tokens[number][0]
    return involved_in(value) if isinstance(value, (Guard, Fork, Round)) else []


_SEPARATOR = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)


class _Builder:
    """Splits text into documents."""

    def __init__(self) -> None:
        self.made: list[tuple[Document, str]] = []
        self.nodes: list[Any] = []
        self.guards: tuple[Guard, ...] = ()
        self.checks: list[Any] = []

    def add(self, nodes: list[Any], guards: tuple[Guard, ...]) -> None:
        """Nodes at the top of a template, or under guards that hold whole documents."""
        self.guards = guards
        kept, checks = _without_checks(nodes)
        self.checks += checks
        for node in kept:
            if isinstance(node, (Fork, Round)) and _has_separator([node]):
                self.close()
                for guard, side in _sides(node):
                    self.add(side, (*guards, guard))
                    self.close()
                self.guards = guards
            elif isinstance(node, str):
                # The rest of a line that has begun, and whole lines.
                line, newline, lines = ("", "", node) if _starts_line(self.nodes) else node.partition("\n")
                self.nodes.append(line + newline)
                first, *rest = _SEPARATOR.split(lines)
                self.nodes.append(first)
                for part in rest:
                    self.close()
                    self.nodes.append(part.removeprefix("\n"))
            else:
                self.nodes.append(node)

    def close(self) -> None:
        """End of a document."""
        text = layout(self.nodes)
        if text.strip() or self.checks:
            self.made.append((Document(self.guards, self.checks), text))
        self.nodes, self.checks = [], []


def _starts_line(nodes: Sequence[Any]) -> bool:
    """Whether what follows these nodes is at the start of a line, whatever their conditions."""
    if not nodes:
        return True
    last = nodes[-1]
    if isinstance(last, (Fork, Round)):
        return all(_starts_line(side) if side else _starts_line(nodes[:-1]) for _, side in _sides(last))
    return isinstance(last, str) and (last.endswith("\n") or (not last and _starts_line(nodes[:-1])))


def _sides(node: Any) -> Iterator[tuple[Guard, list[Any]]]:
    if isinstance(node, Round):
        yield Guard(None, True, node.loop), node.body
    else:
        yield Guard(node.test, True), node.yes
        yield Guard(node.test, False), node.no


def _has_separator(nodes: Sequence[Any]) -> bool:
    for node in nodes:
        if isinstance(node, str) and _SEPARATOR.search(node):
            return True
        if isinstance(node, (Fork, Round)) and any(_has_separator(side) for _, side in _sides(node)):
            return True
    return False


def _without_checks(nodes: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The nodes without those that fail, and those that fail with the conditions around them."""
    kept: list[Any] = []
    checks: list[Any] = []
    for node in nodes:
        if isinstance(node, Token) and isinstance(node.value, Op) and node.value.name == "fail":
            checks.append(node)
        elif isinstance(node, Fork):
            (yes, failing), (no, otherwise) = _without_checks(node.yes), _without_checks(node.no)
            if failing or otherwise:
                checks.append(Fork(node.test, failing, otherwise))
            if not (failing or otherwise) or not (_blank(yes) and _blank(no)):
                kept.append(Fork(node.test, yes, no))
        elif isinstance(node, Round):
            body, failing = _without_checks(node.body)
            if failing:
                checks.append(Round(node.loop, failing))
            if not failing or not _blank(body):
                kept.append(Round(node.loop, body))
        else:
            kept.append(node)
    return kept, checks


def _blank(nodes: Sequence[Any]) -> bool:
    return all(isinstance(node, str) and not node.strip() for node in nodes)


def layout(nodes: Sequence[Any]) -> str:
    """The YAML text of nodes: regions of whole lines become entries, others tokens in their line.

    Raises:
        NotCarried: a region is neither.
    """
    waiting = list(nodes)
    made = ""
    while waiting:
        node = waiting.pop(0)
        if not isinstance(node, (Fork, Round)):
            made += str(node)
            continue
        following = waiting[0] if waiting and isinstance(waiting[0], str) else "" if waiting else "\n"
        sides = [(guard, layout(side)) for guard, side in _sides(node)]
        before, line = made[: made.rfind("\n") + 1], made[made.rfind("\n") + 1 :]
        written = [text for _, text in sides if text]
        if line.strip() and written and following[:1] == "\n" and all(text[0] == "\n" for text in written):
            # The condition begins at the end of a line: the same as at the start of the next one.
            before, line = f"{made}\n", ""
            sides = [(guard, f"{text[1:]}\n" if text else "") for guard, text in sides]
            if waiting:
                waiting[0] = waiting[0][1:]
            following = "x"
        if not line.strip() and all(_whole_lines(text, line, following) for text in written):
            made = before + "".join(_entry(guard, text, line) for guard, text in sides) + line
        else:
            made += str(token(node))
    return made


def _whole_lines(text: str, line: str, following: str) -> bool:
    last = text[text.rfind("\n") + 1 :]
    return "\n" in text and (last == line or (not last.strip() and following[:1] == "\n"))


def _entry(guard: Guard, text: str, line: str) -> str:
    """Lines below a key that stands for what they are under."""
    lines = f"{line}{text}".rstrip(" ").removesuffix("\n").split("\n")
    told = [part for part in lines if part.strip() and part.lstrip()[0] != "#"]
    if not told:
        return ""
    first = told[0]
    depth = len(first) - len(first.lstrip(" "))
    if any(len(part) - len(part.lstrip(" ")) < depth for part in told):
        raise NotCarried("lines under a condition that end what began before it", *involved_in(guard))
    key = str(token(guard))
    listed = first.lstrip(" ").startswith("- ") or first.strip() == "-"
    head, lead = (f"- {key}:", "    ") if listed else (f"{key}:", "  ")
    return "".join([" " * depth, head, "\n", *(f"{lead}{part}\n" if part.strip() else "\n" for part in lines)])
