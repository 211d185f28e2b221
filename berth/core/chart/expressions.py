"""Symbols written as expressions and text of Go templates.

The functions are those of Helm 3 (Go's text/template, Sprig, and Helm's own). Numbers from values are 64-bit floats
there, so that whole numbers go through `int64`. What is longer than an expression becomes a named template, a helper.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from berth.core.chart.golang import FORMS, ON_NUMBERS, ON_WHOLE, PLAIN, bare, helper_name, joined, literal
from berth.core.chart.helpers import LIBRARY
from berth.core.chart.symbols import (
    BOOLEAN,
    NULL,
    NUMBER,
    TEXT,
    WHOLE,
    Builtin,
    Choice,
    Combined,
    NotCarried,
    Op,
    Place,
    Repeat,
    Symbol,
    Text,
    Variable,
    Verbatim,
    inside,
    kinds_of,
)
from berth.core.strictyaml import OMIT
from berth.core.tokens import to_text

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Writer:
    """Writes the expressions of one chart, and collects the named templates that they need."""

    def __init__(self, chart: str) -> None:
        self.chart = chart
        self.helpers: dict[str, str] = {}
        self.library: set[str] = set()
        #: The helpers that hold the text of a file.
        self.texts: set[str] = set()
        #: How many loops are around; inside of one "." is the item.
        self.depth = 0

    @property
    def root(self) -> str:
        """What stands for everything that Helm hands to a template."""
        return "$" if self.depth else "."

    def helper(self, name: str) -> str:
        """The full name of a helper of `LIBRARY`, which the chart then gets."""
        self.library.add(name)
        return literal(f"{self.chart}.{name}")

    def arg(self, value: Any) -> str:
        """An expression where an argument stands."""
        made = self.expression(value)
        return f"({made.rstrip()})" if " " in made and made[0] != '"' else made

    def whole(self, value: Any) -> str:
        """A whole number as an argument."""
        if isinstance(value, int):
            return str(int(value))
        made = self.arg(value)
        ready = made.removeprefix("(").split(" ")[0] in ("int64", *ON_WHOLE)
        return made if ready else f"(int64 {made})"

    def number(self, value: Any) -> str:
        """A number with decimals as an argument."""
        if isinstance(value, (int, float)):
            return f"(float64 {value})" if value < 0 or "e" in repr(float(value)) else repr(float(value))
        ready = isinstance(value, Op) and value.kinds == NUMBER and value.name not in ("key", "text")
        return self.arg(value) if ready else f"(float64 {self.arg(value)})"

    def expression(self, value: Any) -> str:
        """An expression, without parentheses around it.

        Raises:
            NotCarried: Go has no expression for it.
        """
        if isinstance(value, Verbatim) and "\n" in value:
            return self._text(Text((str(value),), value.hint))
        if isinstance(value, str):
            return literal(value)
        if value is OMIT:
            return "nil"
        if value is None or isinstance(value, (bool, int, float)):
            return "nil" if value is None else json.dumps(value)
        if isinstance(value, (list, tuple, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                if kinds_of(item) & NULL:
                    raise NotCarried("a part of a list or mapping that may have to be left out", item)
            return self._mapping(value) if isinstance(value, dict) else " ".join(["list", *map(self.arg, value)])
        if isinstance(value, Place):
            return self._place(value)
        if isinstance(value, Builtin):
            return f"{self.root.removesuffix('.')}.Release.{value.name}"
        if isinstance(value, Choice):
            return self._choice(value)
        if isinstance(value, Text):
            return self._text(value)
        if isinstance(value, Combined):
            return f"{self.combined(value)} | fromYaml"
        if isinstance(value, Op):
            return self._operation(value)
        raise NotCarried("an expression that Go does not have", value)

    def _mapping(self, value: dict[str, Any]) -> str:
        parts = [part for key, item in value.items() for part in (literal(key), self.arg(item))]
        return " ".join(["dict", *(parts or [""])])

    def _place(self, value: Place) -> str:
        made = f"${value.base.name}" if value.base else f"{self.root.removesuffix('.')}.Values"
        for part in value.parts:
            made = f"{made}.{part}" if _IDENTIFIER.fullmatch(part) else f"(index {made} {literal(part)})"
        return bare(made) if made.count("(") == 1 else made

    def test(self, value: Any) -> str:
        """A condition."""
        return self.expression(value)

    def _choice(self, value: Choice) -> str:
        test = self.arg(value.test)
        if value.yes is value.test:
            return f"or {test} {self.arg(value.no)}"
        if value.no is value.test:
            return f"and {test} {self.arg(value.yes)}"
        if any(isinstance(part, Op) and part.name == "fail" for part in (*inside(value.yes), value.yes, value.no)):
            raise NotCarried("a failure inside of an expression", value)
        known = test if kinds_of(value.test) == BOOLEAN else f"(not (not {test}))"
        for side, other, one, opposite in (
            (value.yes, value.no, known, f"(not {test})"),
            (value.no, value.yes, f"(not {test})", known),
        ):
            if isinstance(side, bool) and kinds_of(other) == BOOLEAN:
                return f"or {one} {self.arg(other)}" if side else f"and {opposite} {self.arg(other)}"
        if any(map(asks_too_much, (value.yes, value.no))):
            # Go computes both sides of a function's arguments, and one of them may be an error.
            if value.kinds != TEXT or free(value):
                raise NotCarried("what stands on one side of a condition only", value)
            return self._text(Text((value,)))
        return f"ternary {self.arg(value.yes)} {self.arg(value.no)} {known}"

    def combined(self, value: Combined) -> str:
        """Combined mappings, as YAML."""
        name = helper_name(value.hint)
        if not name or free(value):
            shown = [f"({self._mapping(part)})" if isinstance(part, dict) else self.arg(part) for part in value.parts]
            return f"include {self.helper('combine')} (list {' '.join(shown)})"
        depth, self.depth = self.depth, 0
        parts = [self._lined(part) for part in value.parts]
        self.depth = depth
        body = "\n".join([f"{{{{- include {self.helper('combine')} (list", *parts, ") }}", "{{- "])
        return f"include {literal(self.hoist(name, body))} {self.root}"

    def _lined(self, part: Any) -> str:
        """An argument on lines of its own."""
        if not isinstance(part, dict):
            return f"  {self.arg(part)}"
        return "\n".join(["  (dict", *(f"    {literal(key)} {self.arg(item)}" for key, item in part.items()), "  )"])

    def hoist(self, name: str, body: str) -> str:
        """The name of a helper with this body, made if there is none."""
        for number in range(1, 1000):
            full = f"{self.chart}.{name}" + (f".{number}" if number > 1 else "")
            if full.removeprefix(f"{self.chart}.") in LIBRARY:
                continue
            if self.helpers.setdefault(full, body) == body:
                return full
        raise AssertionError

    def _text(self, value: Text) -> str:
        lines = any(isinstance(part, str) and "\n" in part for part in value.parts)
        if _straight(value) and not (lines and value.hint and not free(value)):
            if len(value.parts) == 1 and kinds_of(value.parts[0]) == TEXT:
                return self.expression(value.parts[0])
            form, args = "", []
            for part in value.parts:
                if isinstance(part, str):
                    form += part.replace("%", "%%")
                else:
                    form += "%d" if kinds_of(part) == WHOLE else "%v" if kinds_of(part) == BOOLEAN else "%s"
                    args.append(self.whole(part) if kinds_of(part) == WHOLE else self.as_text(part))
            return " ".join(["printf", literal(form), *args]) if args else literal(form.replace("%%", "%"))
        if free(value):
            raise NotCarried("a condition inside of a text that a loop makes", value)
        depth, self.depth = self.depth, 0
        body = self.text(value.parts)
        self.depth = depth
        name = self.hoist(helper_name(value.hint).removeprefix(f"{self.chart}.") or "joined", body)
        if value.hint.startswith("file "):
            self.texts.add(name)
        return f"include {literal(name)} {self.root}"

    def as_text(self, value: Any) -> str:
        """A value's text, as an argument."""
        kinds = kinds_of(value)
        if kinds == TEXT or kinds == BOOLEAN:
            return self.arg(value)
        if kinds == WHOLE:
            return f"(toString {self.whole(value)})"
        made = self.arg(value)
        return f"(include {self.helper('text')} {made})" if kinds & TEXT else f"(toJson {made})"

    def text(self, parts: tuple[Any, ...]) -> str:
        """Parts of a text as the body of a template that gives exactly that text."""
        made = ""
        for part in parts:
            if isinstance(part, str):
                made += part.replace("{{", '{{ "{{" }}')
            elif isinstance(part, Choice) and not _plain_choice(part):
                sides = [self.text(_parts(part.yes)), self.text(_parts(part.no))]
                silent = all(isinstance(inner, Op) and inner.name == "fail" for inner in _parts(part.yes))
                made = joined(made, f"if {self.test(part.test)}", sides, silent and not sides[1])
            elif isinstance(part, Text) and (not part.hint or free(part)):
                made += self.text(part.parts)
            elif isinstance(part, Repeat):
                made = joined(made, *self.repeat(part))
            elif isinstance(part, Op) and part.name == "fail":
                made += f"{{{{ {self.expression(part)} }}}}"
            else:
                shown = self.whole(part) if kinds_of(part) == WHOLE else self.as_text(part)
                made += f"{{{{ {bare(shown)} }}}}"
        return made

    def repeat(self, part: Repeat) -> tuple[str, list[str]]:
        """A loop: how it begins, and the text of a round."""
        head, _ = self.loop(part.names, part.over, bool(part.separator))
        self.depth += 1
        body = self.text(part.parts)
        self.depth -= 1
        if part.separator:
            body = f"{{{{ if $index }}}}{part.separator.replace('{{', '')}{{{{ end }}}}" + body
        return head, [body, ""]

    def loop(self, names: tuple[str, ...], over: Any, counted: bool = False) -> tuple[str, str]:
        """How a loop begins, and what it runs over."""
        shown = self.expression(over)
        variables = [f"${name}" for name in (("index", *names) if counted else names)]
        return f"range {', '.join(variables)} := {shown}", shown

    def _operation(self, value: Op) -> str:
        args = value.args
        if value.name in PLAIN:
            return " ".join([PLAIN[value.name], *map(self.arg, args)])
        if value.name in ON_WHOLE:
            return " ".join([ON_WHOLE[value.name], *map(self.whole, args)])
        if value.name in ON_NUMBERS:
            return " ".join([ON_NUMBERS[value.name], *map(self.number, args)])
        if value.name in FORMS:
            return FORMS[value.name].format(*map(self.arg, args))
        special: Callable[[Op], str] | None = getattr(self, f"_op_{value.name}", None)
        if special is None:
            raise NotCarried(f"the operation {value.name}", value)
        return special(value)

    def _op_order(self, value: Op) -> str:
        show = self.whole if kinds_of(value.args[0]) == WHOLE else self.arg
        return " ".join([value.name, *map(show, value.args)])

    _op_eq = _op_lt = _op_gt = _op_le = _op_ge = _op_order

    def _op_named(self, value: Op) -> str:
        return f"include {self.helper('named')} (list {self.root} {self.as_text(value.args[0])})"

    def _op_let(self, value: Op) -> str:
        name, inner = value.args
        made = self.expression(inner)
        if len(made) < 60 or free(inner):
            return made
        depth, self.depth = self.depth, 0
        body = f"{{{{- {self.expression(inner)} }}}}\n{{{{- "
        self.depth = depth
        convert = "int64" if value.kinds == WHOLE else "float64"
        return f"{convert} (include {literal(self.hoist(name, body))} {self.root})"

    def _op_int(self, value: Op) -> str:
        made, kinds = self.arg(value.args[0]), kinds_of(value.args[0])
        if kinds <= WHOLE | NUMBER:
            return f"int64 {made}"
        if kinds == BOOLEAN:
            return f"ternary 1 0 {made}"
        return f"int64 (include {self.helper('int')} {made})"

    def _op_quantity(self, value: Op) -> str:
        return f"float64 (include {self.helper('quantity')} {self.arg(value.args[0])})"

    def _op_shell(self, value: Op) -> str:
        return f"include {self.helper('shell')} {self.arg(value.args[0])}"

    def _op_text(self, value: Op) -> str:
        return bare(self.as_text(value.args[0]))

    def _op_until(self, value: Op) -> str:
        return f"until (int {self.arg(value.args[0])})"

    def _op_fail(self, value: Op) -> str:
        message = value.args[0]
        return f"fail {self.arg(message if isinstance(message, Symbol) else to_text(message))}"

    def _op_written(self, value: Op) -> str:
        """An expression that the chart itself needs; ROOT stands for what a template is handed."""
        return str(value.args[0]).replace("ROOT", self.root)


def asks_too_much(value: Any) -> bool:
    """Whether a side of a condition is an error of Go where the condition does not hold."""
    if isinstance(value, Place):
        return value.below_frail
    return any(isinstance(part, Place) and (part.frail or part.below_frail) for part in _places(value))


def _places(value: Any) -> Iterator[Place]:
    """The values by their paths in a symbol."""
    if isinstance(value, Place):
        yield value
    for part in inside(value):
        yield from _places(part)


def _parts(value: Any) -> tuple[Any, ...]:
    return value.parts if isinstance(value, Text) else (value if isinstance(value, Symbol) else to_text(value),)


def _plain_choice(value: Choice) -> bool:
    """Whether `or` says it."""
    return value.yes is value.test and kinds_of(value) == TEXT and not isinstance(value.no, (Text, Choice))


def _straight(value: Text) -> bool:
    """Whether a text is parts one after the other."""
    return all(
        not isinstance(part, (Repeat, Text, Choice, Op))
        or (isinstance(part, Text) and bool(part.hint) and not free(part))
        or (isinstance(part, Choice) and _plain_choice(part))
        or (isinstance(part, Op) and part.name != "fail")
        for part in value.parts
    )


def free(value: Any, bound: frozenset[int] = frozenset()) -> bool:
    """Whether a value needs the variable of a loop that is around it."""
    return any(id(variable) not in bound for variable in _variables(value))


def _variables(value: Any) -> Iterator[Variable]:
    if isinstance(value, Place) and value.base is not None:
        yield value.base
        return
    if isinstance(value, Repeat):
        yield from _variables(value.over)
        yield from (found for part in value.parts for found in _variables(part) if found.name not in value.names)
        return
    for part in inside(value):
        yield from _variables(part)
