"""What a strategic merge patch has made: whether the values are of the types that their fields take."""

from __future__ import annotations

from typing import Any

from berth.rehearsal.patches.gotext import go_kind, go_text
from berth.rehearsal.refusal import unusable_patch
from berth.rehearsal.schema import INT_OR_STRING, QUANTITY, Node

#: Formats of which the decoder reads the text itself, and complains of it.
_DECODED = frozenset({QUANTITY, INT_OR_STRING, "date-time", "byte"})


def restored(node: Node, value: Any, patch: Any) -> Any:
    """The result of a strategic merge patch, decimals that stand for whole numbers written as such.

    Raises:
        ApiError: 422, a value is of a type that its field cannot take.
    """
    try:
        return _restored(node, value)
    except _Unfit as unfit:
        raise unusable_patch(go_text(patch), str(unfit)) from None


class _Unfit(ValueError):
    """Said in the words of the converter (apimachinery pkg/runtime/converter.go)."""


def _restored(node: Node | None, value: Any) -> Any:
    if value is None or node is None or node.free or node.format in _DECODED:
        return value
    if node.fields or node.additional is not None:
        if not isinstance(value, dict):
            raise _Unfit(f"cannot restore {'struct from:' if node.fields else 'map from'} {go_kind(value)}")
        return {key: _restored(node.child(key), one) for key, one in value.items()}
    match node.type:
        case "array":
            if not isinstance(value, list):
                raise _Unfit(f"cannot restore slice from {go_kind(value)}")
            return [_restored(node.items, one) for one in value]
        case "string":
            return _scalar(value, str, "string")
        case "boolean":
            return _scalar(value, bool, "bool")
        case "integer":
            if isinstance(value, float) and value.is_integer():
                return int(value)
            return _scalar(value, int, node.format or "int64")
    return value


def _scalar(value: Any, wanted: type, name: str) -> Any:
    if type(value) is wanted:
        return value
    if type(value) in (int, float) and name != "bool":
        raise _Unfit(f"cannot convert {go_kind(value)} to {name}")
    raise _Unfit(f"unrecognized type: {name}")
