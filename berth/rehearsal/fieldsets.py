"""Sets of fields, in the form in which managedFields has them.

A set is a tree of JSON, ``fieldsV1``: ``f:NAME`` is a field, ``k:{...}`` and ``v:...`` are items of lists, and what is
``{}`` or has a ``.`` in it belongs to the set itself. The whole object never does: ``{}`` is also the empty set. Trees
are shared and never changed. Source: sigs.k8s.io/structured-merge-diff, fieldpath.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

#: A set of fields. Every value is such a tree again.
Fields = dict[str, Any]

#: The key by which a tree with children says that it belongs to the set, too.
SELF: Final = "."


def read(tree: Any) -> Fields:
    """The set that a client has written down; elements of a kind that nobody knows are left out, as the server does.

    Raises:
        ValueError: it is none.
    """
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ValueError("a set of fields is an object")
    found: Fields = {}
    for key, below in tree.items():
        if key == SELF:
            found[key] = {}
            continue
        if len(key) < 2 or key[1] != ":":
            raise ValueError(f"{key} is no element of a path")
        if key[0] in "fkvi":
            _order(key)
            found[key] = read(below)
    return found


def union(one: Fields, other: Fields) -> Fields:
    """What is in either."""
    if not one or not other:
        return one or other
    found = dict(one)
    for key, theirs in other.items():
        ours = found.get(key)
        if ours is None:
            found[key] = theirs
        elif ours is not theirs and (ours or theirs):
            if not ours:
                found[key] = {SELF: {}, **theirs}
            elif not theirs:
                found[key] = {SELF: {}, **ours}
            else:
                found[key] = union(ours, theirs)
    return found


def difference(one: Fields, other: Fields) -> Fields:
    """What is in the first and not in the second; that a field is in the second says nothing of what is below it."""
    if not one or not other:
        return one
    found: Fields = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None:
            found[key] = ours
        elif not ours:
            if theirs and SELF not in theirs:
                found[key] = ours
        elif not theirs:
            rest = {name: value for name, value in ours.items() if name != SELF}
            if rest:
                found[key] = rest
        else:
            _put(found, key, difference(ours, theirs))
    return found


def intersection(one: Fields, other: Fields) -> Fields:
    """What is in both."""
    found: Fields = {}
    if not one or not other:
        return found
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None:
            continue
        if ours and theirs:
            _put(found, key, intersection(ours, theirs))
        elif (not ours or SELF in ours) and (not theirs or SELF in theirs):
            found[key] = {}
    return found


def without(one: Fields, other: Fields) -> Fields:
    """What is neither in the second nor below anything that is."""
    if not one or not other:
        return one
    found: Fields = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None:
            found[key] = ours
        elif theirs and SELF not in theirs:
            if ours:
                _put(found, key, without(ours, theirs))
            else:
                found[key] = ours
    return found


def _put(found: Fields, key: str, tree: Fields) -> None:
    """Keep a subtree, unless nothing is left of it."""
    if len(tree) == 1 and SELF in tree:
        found[key] = {}
    elif tree:
        found[key] = tree


def has(fields: Fields, path: Sequence[str]) -> bool:
    """Whether the field at the path is in the set."""
    here: Fields | None = fields
    for element in path:
        here = here.get(element) if here is not None else None
    return here is not None and bool(path) and (not here or SELF in here)


def paths(fields: Fields, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of the set as its path, in the order in which the API server goes through them.

    The fields of one level come before those below any of them.
    """
    ordered = sorted((key for key in fields if key != SELF), key=_order)
    for key in ordered:
        if not fields[key] or SELF in fields[key]:
            yield (*prefix, key)
    for key in ordered:
        yield from paths(fields[key], (*prefix, key))


def of_path(path: Sequence[str]) -> Fields:
    """The set of one field."""
    found: Fields = {}
    for element in reversed(path):
        found = {element: found}
    return found


def written(path: Sequence[str]) -> str:
    """A path as messages have it: ``.spec.containers[name="web"].image``."""
    return "".join(_written_element(element) for element in path)


def item_key(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """The element for an item of a list that its fields tell apart; names and values in the order of the names."""
    try:
        return _remembered_key(names, values)
    except TypeError:
        # A key that is a list or a mapping, which is about to be refused.
        return _key(names, values)


def _key(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    pairs = ",".join(f"{_quoted(name)}:{_quoted(value)}" for name, value in zip(names, values, strict=True))
    return f"k:{{{pairs}}}"


_remembered_key = lru_cache(maxsize=4096, typed=True)(_key)


def item_value(value: Any) -> str:
    """The element for an item of a list that is a set."""
    return "v:" + _quoted(value)


def _quoted(value: Any) -> str:
    """JSON as Go's encoder writes it, which hides what HTML would read."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        if character in text:
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@lru_cache(maxsize=4096)
def _order(element: str) -> tuple[int, Any]:
    """Fields come before keys, keys before values, values before indices."""
    kind, _, rest = element.partition(":")
    match kind:
        case "f":
            return 0, rest
        case "k":
            pairs = json.loads(rest)
            if not isinstance(pairs, dict):
                raise ValueError(f"{element} is no key of an item")
            return 1, [(name, _value_order(value)) for name, value in sorted(pairs.items())]
        case "v":
            return 2, _value_order(json.loads(rest))
        case _:
            return 3, int(rest)


def _value_order(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 1, value
    return 3, json.dumps(value, sort_keys=True)


@lru_cache(maxsize=4096)
def _written_element(element: str) -> str:
    kind, _, rest = element.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            pairs = sorted(json.loads(rest).items())
            return f"[{','.join(f'{name}={_shown(value)}' for name, value in pairs)}]"
        case "v":
            return f"[={_shown(json.loads(rest))}]"
        case _:
            return f"[{rest}]"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return ";".join(f"{key}={_shown(inner)}" for key, inner in sorted(value.items()))
    return json.dumps(value, ensure_ascii=False)
