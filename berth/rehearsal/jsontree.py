"""Trees of JSON: what the store hands out is shared, so whoever wants another one builds it."""

from __future__ import annotations

from typing import Any


def clone(tree: Any) -> Any:
    """A deep copy of mappings and lists; several times as fast as ``copy.deepcopy``."""
    if type(tree) is dict:
        return {key: clone(value) for key, value in tree.items()}
    if type(tree) is list:
        return [clone(value) for value in tree]
    return tree


def dig(tree: Any, *path: str | int) -> Any:
    """What is at a path; None where a step leads nowhere."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(tree, list) or not -len(tree) <= step < len(tree):
                return None
            tree = tree[step]
        else:
            if not isinstance(tree, dict):
                return None
            tree = tree.get(step)
    return tree


def graft(tree: dict[str, Any], value: Any, *path: str) -> dict[str, Any]:
    """A copy of the tree with the value at a path of keys; what lies beside the path is shared with the original."""
    head, *rest = path
    inner = graft(tree.get(head) or {}, value, *rest) if rest else value
    return {**tree, head: inner}
