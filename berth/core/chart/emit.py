"""Objects written as YAML with Go templates in it, the way people write charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from berth.core.chart.expressions import Writer, asks_too_much
from berth.core.chart.golang import literal
from berth.core.chart.regions import region
from berth.core.chart.scalars import Fork, Guard, Round, Token, as_text, involved_in
from berth.core.chart.symbols import (
    BOOLEAN,
    LIST,
    MAPPING,
    NULL,
    SCALAR,
    TEXT,
    WHOLE,
    Choice,
    Combined,
    NotCarried,
    Op,
    Symbol,
    Text,
    kinds_of,
)
from berth.core.strictyaml import OMIT
from berth.core.tokens import TOKEN
from berth.core.yamltext import dump

Lines = list[str]


class Emitter:
    """Writes trees as lines."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        #: The conditions around the present line, as they are written.
        self.known: list[str] = []

    def entries(self, mapping: dict[str, Any], indent: int) -> Lines:
        """The entries of a mapping."""
        made: Lines = []
        items = list(mapping.items())
        for index, (key, value) in enumerate(items):
            guard = region(key)
            if guard is None:
                made += self.field(key, value, indent)
                continue
            if not guard.holds and index and _pairs(region(items[index - 1][0]), guard):
                continue
            other = items[index + 1] if index + 1 < len(items) else (None, None)
            otherwise = other[1] if _pairs(guard, region(other[0])) else None
            made += self._guarded(guard, value, otherwise, indent, self.entries)
        return made

    def _guarded(self, guard: Guard, value: Any, otherwise: Any, indent: int, write: Any) -> Lines:
        lead = " " * indent
        kind = dict if write == self.entries else list
        if not isinstance(value, kind) or not isinstance(otherwise, (kind, type(None))):
            raise NotCarried("a condition among the parts of one line", *involved_in(guard))
        if guard.loop is not None:
            head, _ = self.writer.loop(guard.loop.names, guard.loop.over)
            self.writer.depth += 1
            inner = write(value, indent)
            self.writer.depth -= 1
            return [f"{lead}{{{{- {head} }}}}", *inner, f"{lead}{{{{- end }}}}"]
        test = self.test(guard.test, guard.holds)
        with self.knowing(test):
            made = [f"{lead}{{{{- if {test} }}}}", *write(value, indent)]
        if otherwise is not None:
            made += [f"{lead}{{{{- else }}}}", *write(otherwise, indent)]
        return [*made, f"{lead}{{{{- end }}}}"]

    def test(self, value: Any, holds: bool = True) -> str:
        """A condition, or its opposite."""
        return self.writer.test(value) if holds else f"not {self.writer.arg(value)}"

    @contextmanager
    def knowing(self, test: str) -> Iterator[None]:
        """Inside of a condition."""
        self.known.append(test)
        yield
        self.known.pop()

    def field(self, key: str, value: Any, indent: int) -> Lines:
        """One entry of a mapping."""
        lead = " " * indent
        if value is OMIT or value is None:
            return []
        shown = self._key(key)
        if isinstance(value, Symbol):
            several = self._either(value, indent, lambda side: self.field(key, side, indent))
            if several is not None:
                return several
            if value.kinds <= SCALAR:
                if isinstance(value, Text) and any("\n" in part for part in value.parts if isinstance(part, str)):
                    made = f"dict {literal(key)} {self.writer.arg(_hinted(value, key))} | toYaml"
                    return [f"{lead}{{{{- {made} | nindent {indent} }}}}" if indent else f"{{{{ {made} }}}}"]
                return [f"{lead}{shown}: {self.scalar(_hinted(value, key))}"]
            return [f"{lead}{shown}:", f"{lead}  {{{{- {self.whole(value)} | nindent {indent + 2} }}}}"]
        if isinstance(value, (dict, list)) and value:
            return self._under(f"{lead}{shown}:", value, indent)
        first, *rest = self.plain(value)
        return [f"{lead}{shown}: {first}", *(f"{lead}{line}" if line else "" for line in rest)]

    def _key(self, key: str) -> str:
        if TOKEN.search(key):
            return f"{{{{ {self.writer.expression(as_text(Markup(key)))} | quote }}}}"
        return self.plain(key)[0]

    def _either(self, value: Symbol, indent: int, write: Any) -> Lines | None:
        """A value that may not be there, or whose sides are written differently; None for another."""
        lead = " " * indent
        if isinstance(value, Choice):
            if not value.kinds & (NULL | MAPPING | LIST) and not _fails(value):
                return None
            yes: Any = value.yes
            test = self.test(value.test)
            if kinds_of(value.yes) == NULL:
                return [
                    f"{lead}{{{{- if not {self.writer.arg(value.test)} }}}}",
                    *write(value.no),
                    f"{lead}{{{{- end }}}}",
                ]
            with self.knowing(test):
                made = [f"{lead}{{{{- if {test} }}}}", *write(_present(yes))]
            if kinds_of(value.no) != NULL:
                made += [f"{lead}{{{{- else }}}}", *self._failing(value.no, indent, write)]
            return [*made, f"{lead}{{{{- end }}}}"]
        if value.kinds & NULL:
            test = f'not (kindIs "invalid" {self.writer.arg(value)})'
            return [f"{lead}{{{{- if {test} }}}}", *write(_present(value)), f"{lead}{{{{- end }}}}"]
        return None

    def _failing(self, value: Any, indent: int, write: Any) -> Lines:
        if isinstance(value, Op) and value.name == "fail":
            return [f"{' ' * indent}{{{{- {self.writer.expression(value)} }}}}"]
        made: Lines = write(value)
        return made

    def _under(self, head: str, value: Any, indent: int) -> Lines:
        """A list or mapping below its key or dash; what may turn out to be nothing is not left standing alone."""
        parts = [region(key) for key in value] if isinstance(value, dict) else [_region_of(item) for item in value]
        write = self.entries if isinstance(value, dict) else self.items
        tests = self._conditions(value)
        if tests is None:
            return [head, *write(value, indent + 2)]
        test = tests[0] if len(tests) == 1 else "or " + " ".join(f"({test})" if " " in test else test for test in tests)
        if test in self.known:
            return [head, *write(value, indent + 2)]
        if None not in parts:
            # Nothing below a key is null, which a profile leaves away.
            with self.knowing(test):
                lines = [head, *write(value, indent + 2)]
            return [f"{' ' * indent}{{{{- if {test} }}}}", *lines, f"{' ' * indent}{{{{- end }}}}"]
        empty = "{}" if isinstance(value, dict) else "[]"
        return [f"{head}{{{{ if not ({test}) }}}} {empty}{{{{ end }}}}", *write(value, indent + 2)]

    def _conditions(self, value: Any) -> list[str] | None:
        """The conditions under which any part is written; None where one always is."""
        tests: list[str] = []
        parts: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else []
        for item in value if isinstance(value, list) else []:
            parts += item.items() if _region_of(item) else [(None, item)]
        for key, part in parts:
            guard = region(key)
            if guard is not None:
                tests.append(self.writer.test(guard.loop.over) if guard.loop else self.test(guard.test, guard.holds))
            elif isinstance(part, Symbol) and part.kinds & NULL:
                if isinstance(part, Choice) and kinds_of(part.no) == NULL:
                    tests.append(self.test(part.test))
                elif isinstance(part, Choice):
                    return None
                else:
                    tests.append(f'not (kindIs "invalid" {self.writer.arg(part)})')
            elif part is not OMIT:
                return None
        return tests

    def items(self, listed: Sequence[Any], indent: int) -> Lines:
        """The items of a list."""
        made: Lines = []
        lead = " " * indent
        for index, item in enumerate(listed):
            guard = _region_of(item)
            if guard is not None:
                earlier = _region_of(listed[index - 1]) if index else None
                if not guard.holds and _pairs(earlier, guard):
                    continue
                following = listed[index + 1] if index + 1 < len(listed) else None
                paired = _pairs(guard, _region_of(following))
                otherwise = _only(following) if paired else None
                made += self._guarded(guard, _only(item), otherwise, indent, self.items)
            elif isinstance(item, Symbol):
                made += self._symbol_item(item, indent)
            elif isinstance(item, (dict, list)) and item:
                inner = self.entries(item, indent + 2) if isinstance(item, dict) else self.items(item, indent + 2)
                if inner[0].lstrip().startswith("{{-"):
                    made += self._under(f"{lead}-", item, indent)
                else:
                    made += [f"{lead}- {inner[0][indent + 2 :]}", *inner[1:]]
            else:
                first, *rest = self.plain(item)
                made += [f"{lead}- {first}", *(f"{lead}{line}" if line else "" for line in rest)]
        return made

    def _symbol_item(self, item: Symbol, indent: int) -> Lines:
        several = self._either(item, indent, lambda side: self.items([side], indent))
        if several is not None:
            return several
        lead = " " * indent
        if item.kinds <= SCALAR:
            return [f"{lead}- {self.scalar(item)}"]
        return [f"{lead}- {{{{- {self.whole(item)} | nindent {indent + 2} }}}}"]

    def whole(self, value: Any) -> str:
        """An expression that gives the YAML of a list or mapping."""
        if isinstance(value, Combined):
            return self.writer.combined(value)
        return f"toYaml {self.writer.arg(value)}"

    def scalar(self, value: Any) -> str:
        """A scalar as an action."""
        kinds = kinds_of(value)
        if isinstance(value, Choice) and all(not isinstance(side, Symbol) for side in (value.yes, value.no)):
            sides = [self.plain(side)[0] for side in (value.yes, value.no)]
            return f"{{{{ if {self.test(value.test)} }}}}{sides[0]}{{{{ else }}}}{sides[1]}{{{{ end }}}}"
        shown = self.writer.expression(value)
        if kinds == TEXT:
            return f"{{{{ {shown} | quote }}}}"
        if kinds == WHOLE:
            bare = self.writer.whole(value)
            return f"{{{{ {bare[1:-1] if bare.startswith('(') else bare} }}}}"
        return f"{{{{ {shown} }}}}" if kinds == BOOLEAN else f"{{{{ {shown} | toJson }}}}"

    def plain(self, value: Any) -> Lines:
        """Data as YAML, the first line and those below it, with nothing in it that Go would run."""
        if isinstance(value, str) and "\n" in value and value.endswith("\n\n"):
            made = [literal(value)]  # A template would eat the blank lines at the end.
        else:
            made = (
                dump(str(value) if isinstance(value, str) else value)
                .removesuffix("\n")
                .removesuffix("\n...")
                .split("\n")
            )
        return [line.replace("{{", '{{ "{{" }}') for line in made]

    def checks(self, checks: Sequence[Any]) -> Lines:
        """Conditions under which the chart refuses its values."""
        made: Lines = []
        for check in checks:
            if isinstance(check, Fork):
                made += self._check(f"if {self.test(check.test)}", check.yes, check.no)
            elif isinstance(check, Round):
                head, _ = self.writer.loop(check.loop.names, check.loop.over)
                self.writer.depth += 1
                made += self._check(head, check.body, [])
                self.writer.depth -= 1
            elif isinstance(check, Token):
                made.append(f"{{{{- {self.writer.expression(check.value)} }}}}")
        return made

    def _check(self, head: str, yes: Sequence[Any], no: Sequence[Any]) -> Lines:
        otherwise = ["{{- else }}", *self.checks(no)] if no else []
        return [f"{{{{- {head} }}}}", *self.checks(yes), *otherwise, "{{- end }}"]

    def guarded(self, guards: Sequence[Guard], lines: Lines) -> Lines:
        """Lines under the conditions that hold for a whole object."""
        for guard in reversed(guards):
            if guard.loop is not None:
                raise NotCarried("a loop that makes objects", guard.loop.over)
            lines = [f"{{{{- if {self.test(guard.test, guard.holds)} }}}}", *lines, "{{- end }}"]
        return lines


def _region_of(item: Any) -> Guard | None:
    return region(next(iter(item))) if isinstance(item, dict) and len(item) == 1 else None


def _only(item: Any) -> Any:
    """What stands under the one key of a mapping."""
    return next(iter(item.values()))


def _pairs(first: Guard | None, second: Guard | None) -> bool:
    """Whether two regions are the sides of one condition."""
    return (
        first is not None and second is not None and first.test is not None
        and first.test is second.test and first.holds and not second.holds
    )  # fmt: skip


def _present(value: Any) -> Any:
    """A symbol where it is known to be there."""
    if isinstance(value, Symbol) and value.kinds & NULL and not isinstance(value, Choice):
        return replace(value, kinds=value.kinds - NULL)  # type: ignore[type-var]
    return value


def _fails(value: Choice) -> bool:
    return any(isinstance(side, Op) and side.name == "fail" for side in (value.yes, value.no))


def _hinted(value: Any, key: str) -> Any:
    """A text without a name takes that of its field."""
    if isinstance(value, Text) and not value.hint:
        return Text(value.parts, key)
    if isinstance(value, Choice) and value.kinds == TEXT and any(map(asks_too_much, (value.yes, value.no))):
        return value if value.test in (value.yes, value.no) else Text((value,), key)
    return value
