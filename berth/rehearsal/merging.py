"""Merging values under their types, and taking fields out of them, as server-side apply does.

Source: sigs.k8s.io/structured-merge-diff, typed.
"""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.fieldsets import SELF, Fields
from berth.rehearsal.typed import ANYTHING, MISSING, Shape, Type, indexed, is_empty


def with_named_fields(kind: Type | None, fields: Fields) -> Fields:
    """The set and, of each field of a struct below which it has something, the field itself."""
    found: Fields = {}
    for key, below in fields.items():
        if not below:
            found[key] = below
            continue
        inner: Type | None = None
        if kind is not None:
            inner = kind.child(key[2:]) if key.startswith("f:") else kind.element if key.startswith("k:") else None
        named = key.startswith("f:") and kind is not None and kind.declares(key[2:])
        deeper = with_named_fields(inner, below)
        found[key] = {SELF: {}, **deeper} if named else deeper
    return found


def remove(kind: Type, value: Any, fields: Fields) -> Any:
    """The value without the fields of the set; None where nothing is left of it."""
    if isinstance(value, dict) and kind.shape in (Shape.MAP, Shape.ANY):
        kept = {}
        for key, inner in value.items():
            gone = fields.get(f"f:{key}")
            if gone is None:
                kept[key] = inner
            elif gone and SELF not in gone:
                kept[key] = remove(kind.child(key) or ANYTHING, inner, gone)
        return kept or None
    if isinstance(value, list) and kind.shape in (Shape.ITEMS, Shape.SET):
        items = []
        for item in value:
            gone = fields.get(kind.item(item))
            if gone is None:
                items.append(item)
            elif gone and SELF not in gone:
                items.append(remove(kind.element or ANYTHING, item, gone))
        return items or None
    return None if isinstance(value, dict | list) else value


def merge(kind: Type, live: Any, wanted: Any) -> Any:
    """The live value with what is wanted in it; `MISSING` where neither says anything."""
    if wanted is MISSING or live is MISSING:
        return live if wanted is MISSING else wanted
    shape = kind.shape
    if shape is Shape.ANY:
        shape = Shape.MAP if isinstance(live, dict) and isinstance(wanted, dict) else Shape.SCALAR
    if shape is Shape.SCALAR or shape is Shape.ATOMIC or (is_empty(live) and is_empty(wanted)):
        return wanted
    if shape is Shape.MAP:
        return _merge_maps(kind, live or {}, wanted or {}) or MISSING
    return _merge_lists(kind, live or [], wanted or []) or MISSING


def _merge_maps(kind: Type, live: Json, wanted: Json) -> Json:
    merged = {}
    for key in {**live, **wanted}:
        value = merge(kind.child(key) or ANYTHING, live.get(key, MISSING), wanted.get(key, MISSING))
        if value is not MISSING:
            merged[key] = value
    return merged


def _merge_lists(kind: Type, live: list[Any], wanted: list[Any]) -> list[Any]:
    """The items of both, in the order that is wanted; those that are only live keep their places between them."""
    theirs, ours = indexed(kind, live), indexed(kind, wanted)
    left, right = [kind.item(item) for item in live], list(ours)
    shared = iter([element for element in right if element in theirs])
    awaited = next(shared, None)
    merged: list[Any] = []
    done: set[str] = set()
    below = kind.element or ANYTHING

    def take(element: str) -> None:
        items = theirs.get(element, ())
        # Items that are there twice are not merged with what is wanted, but replaced by it.
        found = merge(below, MISSING if not items else items[0] if len(items) == 1 else None, ours[element][0])
        done.add(element)
        if found is not MISSING:
            merged.append(found)

    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            if left[i] == right[j]:
                take(right[j])
                i, j, awaited = i + 1, j + 1, next(shared, None)
                continue
            if left[i] in ours and awaited is not None and awaited != left[i]:
                i += 1
                continue
        if i < len(left):
            if left[i] not in ours:
                merged.append(live[i])
                i += 1
                continue
            if left[i] in done:
                i += 1
        if j < len(right):
            take(right[j])
            if awaited == right[j]:
                awaited = next(shared, None)
            j += 1
    return merged
