"""JSON Schema 2020-12 for values: what is wrong, in words for people, and what type a path has.

The checking is done by the ``jsonschema_rs`` library, which is imported only when something is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from berth.core.errors import InputError, did_you_mean
from berth.core.objects import Json
from berth.core.quantities import parse_duration, parse_quantity
from berth.core.strictyaml import Path

_TYPE_WORDS = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A value that its schema does not allow. ``path`` is where the value is, or would have to be."""

    path: Path
    what: str
    hint: str = ""


def _is_quantity(text: Any) -> bool:
    try:
        return parse_quantity(text) >= 0
    except InputError:
        return False


def _is_duration(text: Any) -> bool:
    try:
        parse_duration(text)
    except InputError:
        return False
    return True


#: Formats of our own, beside those of JSON Schema.
FORMATS: dict[str, Callable[[Any], bool]] = {"quantity": _is_quantity, "duration": _is_duration}
_FORMAT_WORDS = {
    "quantity": "a quantity such as 500m, 2Gi or 20Gi",
    "duration": "a duration such as 90s, 2m or 1h30m",
}


def close(schema: Any) -> Any:
    """The schema with ``additionalProperties: false`` wherever an object declares properties and does not say."""
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    for key in ("properties", "patternProperties", "$defs"):
        if isinstance(made.get(key), dict):
            made[key] = {name: close(part) for name, part in made[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = close(made[key])
    if "properties" in made and "additionalProperties" not in made and "unevaluatedProperties" not in made:
        made["additionalProperties"] = False
    return made


@cache
def _validator(text: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(json.loads(text), formats=FORMATS, validate_formats=True)


def flaw(schema: Any) -> str:
    """Why this is no JSON Schema, or "" when it is one."""
    import jsonschema_rs

    try:
        jsonschema_rs.Draft202012Validator(schema, formats=FORMATS, validate_formats=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        path = "/".join(str(part) for part in getattr(error, "instance_path", ()))
        message = getattr(error, "message", None) or str(error).splitlines()[0]
        return f"{message}" + (f" at {path}" if path else "")
    return ""


def has_secrets(schema: Json) -> bool:
    """Whether any value may be marked ``x-secret``."""
    return '"x-secret"' in json.dumps(schema)


def check(schema: Json, data: Any, hidden: Collection[Path] = ()) -> list[Violation]:
    """Everything about ``data`` that a closed schema does not allow, in the order of the data.

    Values at the paths of ``hidden`` are not quoted, as those that the schema marks as secret are not.
    """
    validator = _validator(json.dumps(schema, sort_keys=True))
    if validator.is_valid(data):
        return []
    found: dict[tuple[Path, str], Violation] = {}
    for error in validator.iter_errors(data):
        path = tuple(error.instance_path)
        for violation in _violations(error, schema, path, path in hidden or is_secret(schema, path)):
            found.setdefault((violation.path, violation.what), violation)
    return list(found.values())


def _violations(error: Any, schema: Json, path: Path, secret: bool) -> Iterator[Violation]:
    kind = error.kind.name
    steps = tuple(error.schema_path)
    # The keyword that failed comes last, but for names of properties, where their own schema's keyword follows.
    end = len(steps) - 1 - (steps[::-1].index(kind) if kind in steps else 0)
    part = _follow(schema, steps[:end])
    value = error.instance
    if kind == "additionalProperties" or kind == "unevaluatedProperties":
        known = list(part.get("properties", ())) if isinstance(part, dict) else []
        for name in error.kind.unexpected:
            yield Violation((*path, name), "there is no such value", did_you_mean(name, known))
    elif kind == "propertyNames":
        name = str(error.kind.error.instance)
        names = resolve(schema, part.get("propertyNames", {}))
        form = f"text that matches {names['pattern']}" if "pattern" in names else describe(names)
        yield Violation((*path, name), f"this key is not possible; expected {form}", str(names.get("description", "")))
    elif kind == "required":
        yield Violation((*path, error.kind.property), "a value is required")
    else:
        got = "a value that is secret" if secret else show(value)
        expected = _expected(kind, error, part)
        yield Violation(path, f"expected {expected}, got {got}", _hint(kind, value, part))


def _hint(kind: str, value: Any, part: Any) -> str:
    if not isinstance(part, dict):
        return ""
    types = _types(part)
    if kind == "pattern":
        # A pattern is for machines; what people need is what the value is for.
        return str(part.get("description", ""))
    if "string" in types and isinstance(value, (int, float)) and not isinstance(value, bool):
        return "put it in quotes"
    return ""


def _expected(kind: str, error: Any, part: Any) -> str:
    if kind == "enum":
        return "one of " + ", ".join(show(option) for option in error.kind.options)
    if kind == "const":
        return show(part.get("const"))
    if kind == "pattern":
        return f"text that matches {error.kind.pattern}"
    if kind == "format":
        return _FORMAT_WORDS.get(error.kind.format, f"the format {error.kind.format}")
    if kind in ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf") or kind in _LENGTHS:
        return describe(part)
    if kind == "falseSchema":
        return "nothing here"
    if kind == "uniqueItems":
        return "a list without duplicates"
    if kind in ("anyOf", "oneOf", "oneOfNotValid", "oneOfMultipleValid"):
        options = part.get("anyOf") or part.get("oneOf") or []
        return " or ".join(dict.fromkeys(describe(option) for option in options)) or "something else"
    return f"something else ({error.message})"


_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


def describe(part: Any) -> str:
    """What a schema wants, in a few words: "an integer from 0 to 99"."""
    if not isinstance(part, dict):
        return "something"
    if "enum" in part:
        return "one of " + ", ".join(show(option) for option in part["enum"])
    words = [_describe_type(name, part) for name in _types(part)]
    return " or ".join(dict.fromkeys(words)) or "something"


def _describe_type(name: str, part: Mapping[str, Any]) -> str:
    words = _TYPE_WORDS.get(name, name)
    if name == "string" and part.get("format") in _FORMAT_WORDS:
        return _FORMAT_WORDS[part["format"]]
    if name in ("integer", "number"):
        if "exclusiveMinimum" in part:
            words += f" above {part['exclusiveMinimum']}"
        if "exclusiveMaximum" in part:
            words += f" below {part['exclusiveMaximum']}"
        words += _range(part, "minimum", "maximum")
        if "multipleOf" in part:
            words += f" that is a multiple of {part['multipleOf']}"
    for kind, low, high, unit in _SIZES:
        if name == kind and (low in part or high in part):
            words += f" of{_range(part, low, high).replace(' from', '')} {unit}"
    return words


_SIZES = (
    ("string", "minLength", "maxLength", "characters"),
    ("array", "minItems", "maxItems", "items"),
    ("object", "minProperties", "maxProperties", "entries"),
)


def _range(part: Mapping[str, Any], low: str, high: str) -> str:
    if low in part and high in part:
        return f" from {part[low]} to {part[high]}"
    if low in part:
        return f" from {part[low]} up" if low == "minimum" else f" at least {part[low]}"
    return f" up to {part[high]}" if high in part else ""


def show(value: Any) -> str:
    """A value as a message quotes it, at most 60 characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return json.dumps(value)


def _follow(schema: Any, path: tuple[str | int, ...]) -> Any:
    """The part of a schema that a schema path leads to, through local references."""
    here = schema
    for step in path:
        if step == "$ref" and isinstance(here, dict):
            here = resolve(schema, here)
        elif isinstance(here, dict):
            here = here.get(str(step), {})
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            return {}
    return here


def resolve(root: Json, part: Any) -> Any:
    """A part of a schema with a local ``$ref`` followed; its other keywords win."""
    for _ in range(20):
        if not isinstance(part, dict) or not str(part.get("$ref", "")).startswith("#"):
            return part
        here: Any = root
        for step in part["$ref"].lstrip("#").strip("/").split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            here = here.get(step, {}) if isinstance(here, dict) else {}
        rest = {key: value for key, value in part.items() if key != "$ref"}
        part = {**here, **rest} if isinstance(here, dict) else rest
    return part


def _types(part: Mapping[str, Any]) -> tuple[str, ...]:
    written = part.get("type", ())
    return (written,) if isinstance(written, str) else tuple(written)


def branches(root: Json, part: Any, depth: int = 0) -> Iterator[Json]:
    """A part of a schema and its alternatives, those of alternatives too."""
    part = resolve(root, part)
    if isinstance(part, dict):
        yield part
        if depth < 5:
            for key in ("anyOf", "oneOf", "allOf"):
                for option in part.get(key, ()):
                    yield from branches(root, option, depth + 1)


def types_of(root: Json, part: Any) -> tuple[str, ...]:
    """The JSON types that a part of a schema allows, in its order; empty when it does not say."""
    return tuple(dict.fromkeys(name for branch in branches(root, part) for name in _types(branch)))


def descend(root: Json, part: Any, step: str | int) -> Any:
    """The schema of an entry or item; None when nothing may be there, {} when anything may."""
    open_ended = False
    for branch in branches(root, part):
        if isinstance(step, str):
            if step in branch.get("properties", {}):
                return resolve(root, branch["properties"][step])
            for pattern, inner in branch.get("patternProperties", {}).items():
                if re.search(pattern, step):
                    return resolve(root, inner)
            extra = branch.get("additionalProperties", "properties" not in branch)
        else:
            extra = branch.get("items", True)
        if isinstance(extra, dict):
            return resolve(root, extra)
        types = _types(branch)
        fits = not types or ("object" if isinstance(step, str) else "array") in types
        open_ended = open_ended or (bool(extra) and fits)
    return {} if open_ended else None


def at(root: Json, path: Path) -> Any:
    """The schema of a path; None when nothing may be there."""
    part: Any = resolve(root, root)
    for step in path:
        part = descend(root, part, step)
        if part is None:
            return None
    return part


def is_secret(root: Json, path: Path) -> bool:
    """Whether a path is, or is inside, a value that is never printed."""
    part: Any = resolve(root, root)
    for step in path:
        part = descend(root, part, step)
        if part is None:
            return False
        if any(branch.get("x-secret") is True for branch in branches(root, part)):
            return True
    return False
