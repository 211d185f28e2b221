"""The API server's errors about fields, in its words. Source: k8s.io/apimachinery/pkg/util/validation/field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from berth.rehearsal.refusal import FieldError

#: Every check returns the errors that it finds, in the order in which the server reports them.
Errors = list[FieldError]

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than zero"
#: The upper bound of an int32.
MAX_INT32 = 2**31 - 1


def quoted(text: str) -> str:
    """A text between quotes, as Go's %q writes it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def shown(value: Any) -> str:
    """A value as the server prints it in its errors."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float):
        return str(value)
    return go_json(value)


def go_json(value: Any) -> str:
    """JSON as Go writes it: no blanks, the keys of mappings in order, and signs that HTML knows escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=isinstance(value, dict))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def required(path: str, detail: str = "") -> FieldError:
    """There is no value."""
    return FieldError("FieldValueRequired", path, _with("Required value", detail))


def invalid(path: str, value: Any, detail: str) -> FieldError:
    """The value is not of the form that it must have."""
    return FieldError("FieldValueInvalid", path, _with(f"Invalid value: {shown(value)}", detail))


def invalid_as(path: str, written: str, detail: str) -> FieldError:
    """The same, of a value that is already in the server's words."""
    return FieldError("FieldValueInvalid", path, _with(f"Invalid value: {written}", detail))


def forbidden(path: str, detail: str) -> FieldError:
    """The value would be right elsewhere."""
    return FieldError("FieldValueForbidden", path, _with("Forbidden", detail))


def not_supported(path: str, value: Any, values: Iterable[str]) -> FieldError:
    """The value is none of those that there are; they are given in the server's order."""
    supported = ", ".join(quoted(each) for each in values)
    detail = f"supported values: {supported}" if supported else ""
    return FieldError("FieldValueNotSupported", path, _with(f"Unsupported value: {shown(value)}", detail))


def duplicate(path: str, value: Any, detail: str = "") -> FieldError:
    """The value is there already."""
    return FieldError("FieldValueDuplicate", path, _with(f"Duplicate value: {shown(value)}", detail))


def duplicate_as(path: str, written: str, detail: str = "") -> FieldError:
    """The same, of a value that is already in the server's words."""
    return FieldError("FieldValueDuplicate", path, _with(f"Duplicate value: {written}", detail))


def not_found(path: str, value: Any, detail: str = "") -> FieldError:
    """The value names something that is not there."""
    return FieldError("FieldValueNotFound", path, _with(f"Not found: {shown(value)}", detail))


def too_long(path: str, most: int) -> FieldError:
    """The value has more bytes than it may have."""
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {most} bytes")


def too_many(path: str, number: int, most: int) -> FieldError:
    """The list has more items than it may have."""
    return FieldError("FieldValueTooMany", path, f"Too many: {number}: must have at most {most} items")


def all_invalid(path: str, value: Any, messages: Iterable[str]) -> Errors:
    """One error for each thing that is wrong with the value."""
    return [invalid(path, value, message) for message in messages]


def not_negative(path: str, number: Any) -> Errors:
    """The number must be zero or more; nothing is zero."""
    return [invalid(path, number, NOT_NEGATIVE)] if (number or 0) < 0 else []


def positive(path: str, number: Any) -> Errors:
    """The number must be above zero; nothing is zero."""
    return [invalid(path, number or 0, POSITIVE)] if (number or 0) <= 0 else []


def immutable(path: str, new: Any, old: Any, written: str | None = None) -> Errors:
    """The value may not change. An absent value is printed as Go prints a nil pointer, null."""
    if new == old:
        return []
    return [invalid_as(path, written if written is not None else shown(new), IMMUTABLE)]


def between(least: int, most: int) -> str:
    """The range that a number must be in."""
    return f"must be between {least} and {most}, inclusive"


def _with(words: str, detail: str) -> str:
    return f"{words}: {detail}" if detail else words
