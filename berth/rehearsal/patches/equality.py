"""When two values are the same."""

from __future__ import annotations

from typing import Any


def same(left: Any, right: Any) -> bool:
    """Equality as JSON text has it: 1, 1.0 and true are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
