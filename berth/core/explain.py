"""What went wrong in a template, in words: file and line, the place, the chain of includes, and the values involved."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType

from jinja2 import TemplateNotFound, TemplateRuntimeError, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError

from berth.core.errors import BerthError, Position, Problem, TemplateError, did_you_mean
from berth.core.functions import FILTER_TABLE, INSTEAD, TEST_TABLE
from berth.core.provenance import NAMES
from berth.core.strictyaml import Rejected, caret
from berth.core.templating import Environment
from berth.core.values import Values

Frame = tuple[str, int]

_QUOTED = re.compile(r"'([^']{1,80})'")
_OPENING = re.compile(r"\{[{%]-?\s*")


class FailedOnPurpose(Exception):
    """What ``fail("...")`` in a template raises."""


def explain(error: Exception, environment: Environment, values: Values, name: str) -> TemplateError:
    """The error to show for one that came out of running the template ``name``."""
    frames = _frames(error.__traceback__) or [(name, 0)]
    what, hint = _words(error, environment)
    if isinstance(error, TemplateSyntaxError):
        at = (error.name or name, error.lineno)
        if frames[-1] != at:
            frames = frames if error.name != frames[-1][0] else frames[:-1]
            frames = [frame for frame in frames if frame[1]] + [at]
    template, line = frames[-1]
    where = str(Position(environment.file_of(template), line))
    for outer, outer_line in reversed(_shorten(frames[:-1])):
        where += f"\n     included from {Position(environment.file_of(outer), outer_line)}"
    source = environment.sources.get(template, "")
    excerpt = _excerpt(source, line, str(error)) if line else ""
    why = origins(environment.reads.get((template, line), ()), values)
    return TemplateError([hide(Problem(what, where, why, hint, excerpt), values)])


def origins(paths: Iterable[str], values: Values) -> str:
    """Where values come from, in a sentence; empty when there are none to name."""
    known = dict.fromkeys(filter(None, map(values.known, paths)))
    return "; ".join(f"values.{path} is set by {values.sources[path]}" for path in list(known)[:4])


def hide(problem: Problem, values: Values) -> Problem:
    """The problem without any secret value in its words."""
    fields = ("what", "where", "why", "hint", "excerpt")
    changes: dict[str, str] = {}
    for secret in values.secret_texts():
        for field in fields:
            text = changes.get(field, getattr(problem, field))
            if secret in text:
                changes[field] = text.replace(secret, "(hidden)")
    return replace(problem, **changes) if changes else problem


def _frames(trace: TracebackType | None) -> list[Frame]:
    """Template names and lines, outermost first."""
    frames: list[Frame] = []
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            frame = (template.name or "", template.get_corresponding_lineno(trace.tb_lineno))
            if not frames or frames[-1] != frame:
                frames.append(frame)
        trace = trace.tb_next
    return frames


def _shorten(frames: list[Frame]) -> list[Frame]:
    return frames if len(frames) <= 10 else frames[:5] + frames[-5:]


def _words(error: Exception, environment: Environment) -> tuple[str, str]:
    """The message and the hint."""
    if isinstance(error, Rejected):
        return error.what, error.hint
    if isinstance(error, FailedOnPurpose):
        return str(error), ""
    if isinstance(error, BerthError):
        first = error.problems[0]
        return first.what, first.hint
    if isinstance(error, TemplateSyntaxError):
        return _syntax(error)
    if isinstance(error, TemplateNotFound):
        names = environment.loader.list_templates() if environment.loader else []
        return f"there is no template {error.name!r}", did_you_mean(str(error.name), names)
    if isinstance(error, UndefinedError):
        return _undefined(str(error))
    if isinstance(error, RecursionError):
        return "the templates include or call one another without end", ""
    if isinstance(error, SecurityError):
        return f"templates may not do this: {error}", ""
    if isinstance(error, (ZeroDivisionError, OverflowError)):
        return f"this cannot be computed: {error}", ""
    message = str(error)
    for name, words in NAMES.items():
        message = message.replace(f"'{name}'", words)
    if isinstance(error, TypeError):
        message = message.replace("unsupported operand type(s) for", "these cannot be combined with")
        return message, ""
    if isinstance(error, TemplateRuntimeError):
        return message, ""
    return f"{type(error).__name__}: {message}", ""


def _syntax(error: TemplateSyntaxError) -> tuple[str, str]:
    message = error.message or "this is not a template"
    missing = re.fullmatch(r"No (filter|test) named '([^']+)'\.", message)
    if not missing:
        return f"template syntax: {message}", ""
    kind, name = missing.groups()
    if kind == "filter" and name in INSTEAD:
        return f"there is no filter {name!r} here", INSTEAD[name]
    table = FILTER_TABLE if kind == "filter" else TEST_TABLE
    return f"there is no {kind} {name!r}", did_you_mean(name, [known for known in table if " " not in known])


def _undefined(message: str) -> tuple[str, str]:
    named = re.fullmatch(r"'([^']+)' is undefined", message)
    if named:
        known = ("values", "release", "named", "generate", "omit", "include_text", "fail", "range", "dict", "namespace")
        hint = did_you_mean(named[1], known)
        return f"{named[1]!r} is not defined", hint if hint.startswith("did") else "import or set it, or take values.…"
    what, _, hint = message.partition("; ")
    return what, hint


def _excerpt(source: str, line: int, message: str) -> str:
    """The line, with carets under the first of the quoted words of the message that it holds."""
    lines = source.split("\n")
    if not 0 < line <= len(lines):
        return ""
    text = lines[line - 1]
    for word in _QUOTED.findall(message):
        found = re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", text)
        if found:
            return caret(source, line - 1, found.start(), len(word))
    opening = _OPENING.search(text)
    column = opening.end() if opening else len(text) - len(text.lstrip())
    return caret(source, line - 1, column)
