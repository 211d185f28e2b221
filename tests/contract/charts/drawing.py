"""Values that a schema allows, drawn at random."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from berth.core import schema as schemas
from berth.core.objects import Json

_parser: Any = getattr(re, "_parser")  # noqa: B009 - the typeshed does not know it
_LETTERS = "abcXYZ019"
#: What breaks a template that does not quote.
_HOSTILE = (
    "a: b #c",
    "{{ .Values }}",
    "'\"`$(x)",
    "yes",
    "0x1f",
    " lead",
    "tab\there",
    "[a, {b",
    "ü%s%d",
    "two\nlines\n",
)


def draw(schema: Json, data: Json, random: Random, share: float) -> Json:
    """About this share of the values of ``data``, each another one that the schema allows."""
    made: Json = {}
    for key, held in data.items():
        part = schemas.descend(schema, schema, key)
        if isinstance(held, dict) and part.get("properties"):
            inner = draw_in(schema, part, held, random, share)
            if inner:
                made[key] = inner
        elif random.random() < share:
            made[key] = one(schema, part, random)
    return made


def draw_in(root: Json, part: Json, data: Json, random: Random, share: float) -> Json:
    """The same inside of a mapping."""
    made: Json = {}
    for key, held in data.items():
        inner = schemas.descend(root, part, key)
        if isinstance(held, dict) and inner.get("properties"):
            drawn = draw_in(root, inner, held, random, share)
            if drawn:
                made[key] = drawn
        elif random.random() < share:
            made[key] = one(root, inner, random)
    return made


def one(root: Json, part: Json, random: Random) -> Any:
    """One value."""
    if "const" in part:
        return part["const"]
    if "enum" in part:
        return random.choice(part["enum"])
    kind = random.choice(schemas.types_of(root, part) or ("string",))
    if kind == "null":
        return None
    if kind == "boolean":
        return random.random() < 0.5
    if kind in ("integer", "number"):
        return _number(part, kind, random)
    if kind == "string":
        return matching(part["pattern"], random) if "pattern" in part else random.choice(_HOSTILE)
    if kind == "array":
        return [one(root, part.get("items", {}), random) for _ in range(random.randint(0, 3))]
    return _mapping(root, part, random)


def _number(part: Json, kind: str, random: Random) -> Any:
    low, high = part.get("minimum", 1), part.get("maximum", 2_000_000)
    if kind == "number" and random.random() < 0.5:
        return random.choice((0.5, 1.25, 2.5))
    step = part.get("multipleOf", 1)
    return random.choice((low, high, random.randrange(low, high + 1, step), min(high, low + step)))


def _mapping(root: Json, part: Json, random: Random) -> Json:
    made: Json = {}
    for key, inner in part.get("properties", {}).items():
        if key in part.get("required", ()) or random.random() < 0.7:
            made[key] = one(root, inner, random)
    extra = part.get("additionalProperties", True)
    names = part.get("propertyNames", {}).get("pattern", "^[a-z]{1,8}(/[a-z.]{1,5}[a-z])?$")
    if extra is True:
        made["more"] = random.choice(({"deep": [1, {"x": "yes"}]}, "text", 1000000, True))
    elif isinstance(extra, dict):
        made |= {matching(names, random): one(root, extra, random) for _ in range(random.randint(0, 3))}
    return made


def matching(pattern: str, random: Random) -> str:
    """A text that a pattern matches."""
    made = "".join(_letters(_parser.parse(pattern), random))
    assert re.search(pattern, made), (pattern, made)
    return made


def _letters(parsed: Any, random: Random) -> list[str]:
    made: list[str] = []
    for operation, argument in parsed:
        name = str(operation)
        if name == "LITERAL":
            made.append(chr(argument))
        elif name == "IN":
            made.append(_member(argument, random))
        elif name == "NOT_LITERAL" or name == "ANY":
            made.append("x")
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, inner = argument
            for _ in range(random.randint(low, min(int(high), low + 4))):
                made += _letters(inner, random)
        elif name == "SUBPATTERN":
            made += _letters(argument[3], random)
        elif name == "BRANCH":
            made += _letters(random.choice(argument[1]), random)
        elif name != "AT":
            raise AssertionError(f"a pattern with {name}")
    return made


def _member(items: Any, random: Random) -> str:
    if str(items[0][0]) == "NEGATE":
        shut = re.compile(f"[{_class(items[1:])}]")
        return random.choice([letter for letter in _LETTERS + "'\\: #{}" if not shut.match(letter)])
    kind, argument = random.choice(items)
    if str(kind) == "RANGE":
        return chr(random.choice((argument[0], argument[1], random.randint(*argument))))
    return chr(argument)


def _class(items: Any) -> str:
    made = ""
    for kind, argument in items:
        if str(kind) == "LITERAL":
            made += re.escape(chr(argument))
        elif str(kind) == "CATEGORY":
            made += r"\s" if "SPACE" in str(argument) else r"\d"
        else:
            made += f"{chr(argument[0])}-{chr(argument[1])}"
    return made
