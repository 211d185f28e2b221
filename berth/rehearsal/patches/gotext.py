"""How Go prints values and names types, which the API server's messages quote."""

from __future__ import annotations

from typing import Any


def go_text(value: Any) -> str:
    """A value as Go's ``%v`` prints it: map[a:1 b:[x y]]."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
        case list():
            return f"[{' '.join(map(go_text, value))}]"
    return str(value)


def json_type(value: Any) -> str:
    """What a value is in JSON, as Go's decoder says it."""
    names: dict[type, str] = {dict: "object", list: "array", str: "string", bool: "bool"}
    return names.get(type(value), "number")


def go_type(value: Any) -> str:
    """The type of a value as Go prints it."""
    names: dict[type, str] = {
        dict: "map[string]interface {}",
        list: "[]interface {}",
        str: "string",
        bool: "bool",
        int: "int64",
        float: "float64",
        type(None): "%!s(<nil>)",
    }
    return names[type(value)]


def go_kind(value: Any) -> str:
    """The kind of a value as Go's reflection names it."""
    names: dict[type, str] = {dict: "map", list: "slice", str: "string", bool: "bool", int: "int64"}
    return names.get(type(value), "float64")


def not_a_map(patch: Any) -> str:
    """What Go's decoder says of something that had to be a mapping."""
    return f"json: cannot unmarshal {json_type(patch)} into Go value of type map[string]interface {{}}"
