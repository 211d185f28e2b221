"""Whether what somebody applies fits the types of its fields, and how the API server says that it does not.

Source: sigs.k8s.io/structured-merge-diff, typed; the texts are those of a real API server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import fieldsets
from berth.rehearsal.patches.gotext import go_text
from berth.rehearsal.typed import ANYTHING, Shape, Type

#: A path as messages have it, and what is wrong there.
Violation = tuple[str, str]


def described(violations: list[Violation]) -> str:
    """All of them in one text."""
    lines = [f"{path}: {what}" if path else what for path, what in violations]
    return lines[0] if len(lines) == 1 else "\n".join(["errors:", *(f"  {line}" for line in lines)])


def violations(kind: Type, value: Json) -> list[Violation]:
    """What does not fit. Of fields that the schema does not know, the first one of each mapping."""
    return list(_check(kind, value, ""))


def fractions(kind: Type, value: Any) -> bool:
    """Whether there is a number with a fraction where only whole ones go, which the types above do not tell apart."""
    if isinstance(value, dict):
        return any(fractions(kind.child(key) or ANYTHING, inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(fractions(kind.element or ANYTHING, item) for item in value)
    return isinstance(value, float) and kind.node is not None and kind.node.type == "integer"


def _check(kind: Type, value: Any, path: str) -> Iterator[Violation]:
    if value is None or (kind.node is not None and kind.node.free):
        return
    type_ = kind.node.type if kind.node is not None else ""
    match type_:
        case "object":
            if isinstance(value, dict):
                yield from _check_map(kind, value, path)
            else:
                yield path, f"expected map, got &{{{go_text(value)}}}"
        case "array":
            if isinstance(value, list):
                yield from _check_list(kind, value, path)
            else:
                yield path, f"expected list, got &{{{go_text(value)}}}"
        case "integer" | "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                yield path, f"expected numeric (int or float), got {_go_type(value)}"
        case "string" if kind.shape is Shape.SCALAR and kind.node is not None and kind.node.format in ("", "byte"):
            if not isinstance(value, str):
                yield path, f"expected string, got &value.valueUnstructured{{Value:{_literal(value)}}}"
        case "boolean":
            if not isinstance(value, bool):
                yield path, f"expected boolean, got &{{{go_text(value)}}}"
        case _:
            if isinstance(value, dict | list) and kind is not ANYTHING:
                yield path, f"expected any scalar, got &{{{go_text(value)}}}"


def _check_map(kind: Type, value: Json, path: str) -> Iterator[Violation]:
    for key, inner in value.items():
        below = kind.child(key)
        if below is None:
            yield f"{path}.{key}", "field not declared in schema"
            return
        yield from _check(below, inner, f"{path}.{key}")


def _check_list(kind: Type, items: list[Any], path: str) -> Iterator[Violation]:
    below = kind.element or ANYTHING
    seen: set[str] = set()
    for index, item in enumerate(items):
        if kind.shape is Shape.ATOMIC:
            yield from _check(below, item, f"{path}[{index}]")
            continue
        misplaced = _unkeyed(kind, item)
        if misplaced:
            yield path, f"element {index}: {misplaced}"
            return
        element = kind.item(item)
        step = fieldsets.written((element,))
        if element in seen:
            yield path, f"duplicate entries for key {step}"
        seen.add(element)
        yield from _check(below, item, path + step)


def _unkeyed(kind: Type, item: Any) -> str:
    """Why an item of a list cannot be told from the others."""
    if kind.shape is Shape.SET:
        if isinstance(item, dict):
            return "associative list without keys has an element that's a map type"
        if isinstance(item, list):
            return "not supported: associative list with lists as elements"
        return "associative list without keys has an element that's an explicit null" if item is None else ""
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    if all(default is None and key not in item for key, default in zip(kind.keys, kind.defaults, strict=True)):
        listed = " ".join(json.dumps(key) for key in (kind.node.list_keys if kind.node else ()))
        return (
            f"associative list with keys has an element that omits all key fields [{listed}] "
            "(and doesn't have default values for any key fields)"
        )
    return ""


def _literal(value: Any) -> str:
    """As Go prints a value with %#v."""
    match value:
        case None:
            return "interface {}(nil)"
        case dict():
            pairs = ", ".join(f"{json.dumps(key)}:{_literal(inner)}" for key, inner in sorted(value.items()))
            return f"map[string]interface {{}}{{{pairs}}}"
        case list():
            return f"[]interface {{}}{{{', '.join(_literal(item) for item in value)}}}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "map[string]interface {}"
        case _:
            return "[]interface {}"
