"""JSON patches (RFC 6902), as the API server applies them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.jsontree import clone
from berth.rehearsal.patches.equality import same
from berth.rehearsal.patches.gotext import json_type
from berth.rehearsal.refusal import ApiError, bad_request

#: Operations that one JSON patch may have (apiserver's maxJSONPatchOperations).
MOST_OPERATIONS = 10_000

_INDEX = re.compile(r"[+-]?\d+")


def json_patch(live: Json, patch: Any) -> Json:
    """The object after a JSON patch (RFC 6902).

    As in the API server: ``replace`` of a key that is not there adds it, a negative index counts from the end,
    ``copy`` of a key that is not there writes null, and what stands before the first slash of a path is not looked at.

    Raises:
        ApiError: 400 for a patch of the wrong shape, 413 for too many operations, 422 for one that does not apply.
    """
    operations = _operations(patch)
    if len(operations) > MOST_OPERATIONS:
        words = f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {words}")
    document: Any = clone(live)
    for operation in operations:
        try:
            document = _OPERATIONS[str(operation.get("op"))](document, operation)
        except (LookupError, ValueError):
            # The API server answers 422 without saying which operation, or why.
            raise _rejected() from None
    if not isinstance(document, dict):
        raise _rejected()
    return document


def unknown_in_operations(patch: Any) -> list[str]:
    """What strict field validation says of a JSON patch: its own keys that do not exist, as warnings word them."""
    known = ("op", "path", "from", "value")
    return [
        f'json patch unknown field "[{number}].{key}"'
        for number, operation in enumerate(patch if isinstance(patch, list) else [])
        for key in (operation if isinstance(operation, dict) else {})
        if key not in known
    ]


def _operations(patch: Any) -> list[Mapping[str, Any]]:
    if patch is None:
        return []
    if not isinstance(patch, list):
        words = f"cannot unmarshal {json_type(patch)} into Go value of type []handlers.jsonPatchOp"
        raise bad_request(f"error decoding patch: json: {words}")
    for operation in patch:
        if operation is not None and not isinstance(operation, dict):
            words = f"cannot unmarshal {json_type(operation)} into Go value of type handlers.jsonPatchOp"
            raise bad_request(f"error decoding patch: json: {words}")
        for key in ("op", "path", "from"):
            value = (operation or {}).get(key)
            if value is not None and not isinstance(value, str):
                words = f"cannot unmarshal {json_type(value)} into Go struct field jsonPatchOp.{key} of type string"
                raise bad_request(f"error decoding patch: json: {words}")
    return [operation or {} for operation in patch]


def _rejected() -> ApiError:
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _holder(document: Any, path: Any) -> tuple[Any, str]:
    """The mapping or list that a path ends in, and its last step. LookupError where the path leads nowhere."""
    if not isinstance(path, str) or "/" not in path:
        raise LookupError(path)
    *steps, last = (step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:])
    for step in steps:
        if not isinstance(document, (dict, list)):
            raise LookupError(path)
        document = _get(document, step)
    # An operation before this one may have put anything in the place of the whole object.
    if not isinstance(document, (dict, list)):
        raise LookupError(path)
    return document, last


def _place(holder: list[Any], step: str, length: int) -> int:
    if not _INDEX.fullmatch(step):
        raise ValueError(step)
    index = int(step)
    if not -length <= index < length:
        raise LookupError(step)
    return index + length if index < 0 else index


def _get(holder: Any, step: str) -> Any:
    """None for a key that is not there, as for one that is null."""
    return holder.get(step) if isinstance(holder, dict) else holder[_place(holder, step, len(holder))]


def _put(holder: Any, step: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[step] = value
    elif step == "-":
        holder.append(value)
    else:
        holder.insert(_place(holder, step, len(holder) + 1), value)


def _drop(holder: Any, step: str) -> None:
    del holder[step if isinstance(holder, dict) else _place(holder, step, len(holder))]


def _add(document: Any, operation: Mapping[str, Any]) -> Any:
    _put(*_holder(document, operation.get("path")), clone(operation.get("value")))
    return document


def _remove(document: Any, operation: Mapping[str, Any]) -> Any:
    _drop(*_holder(document, operation.get("path")))
    return document


def _replace(document: Any, operation: Mapping[str, Any]) -> Any:
    path, value = operation.get("path"), clone(operation.get("value"))
    if path == "":
        return value
    holder, step = _holder(document, path)
    holder[step if isinstance(holder, dict) else _place(holder, step, len(holder))] = value
    return document


def _move(document: Any, operation: Mapping[str, Any]) -> Any:
    holder, step = _holder(document, operation.get("from"))
    value = _get(holder, step)
    _drop(holder, step)
    _put(*_holder(document, operation.get("path")), value)
    return document


def _copy(document: Any, operation: Mapping[str, Any]) -> Any:
    value = _get(*_holder(document, operation.get("from")))
    _put(*_holder(document, operation.get("path")), clone(value))
    return document


def _test(document: Any, operation: Mapping[str, Any]) -> Any:
    path = operation.get("path")
    found = document if path == "" else _get(*_holder(document, path))
    if not same(found, operation.get("value")):
        raise ValueError(path)
    return document


_OPERATIONS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
