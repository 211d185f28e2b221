"""Strategic merge patches, with the directives that kubectl puts into them.

As k8s.io/apimachinery/pkg/util/strategicpatch does with MergeParallelList and IgnoreUnmatchedNulls.
"""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.jsontree import clone
from berth.rehearsal.patches.equality import same
from berth.rehearsal.patches.gotext import go_text, go_type, not_a_map
from berth.rehearsal.patches.results import restored
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.schema import Node

_ABSENT = object()

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder"
_DELETE = "$deleteFromPrimitiveList"


def strategic_merge(schema: Node, live: Json, patch: Any) -> Json:
    """The object after a strategic merge patch, with the directives that patches of kubectl carry.

    ``schema`` is the type of the kind's objects: its patch strategies and merge keys decide how lists are merged.

    Raises:
        ApiError: 400, 500 without a reason for most contradictions in the patch, 422 for a result of wrong types.
    """
    if patch is None:
        return live
    if not isinstance(patch, dict):
        raise bad_request(not_a_map(patch))
    merged: Json = restored(schema, _merge_maps(live, clone(patch), schema), patch)
    # What the patch says of the kind and its version is not looked at.
    return {**merged, **{key: live[key] for key in ("apiVersion", "kind") if key in live}}


def _merge_maps(live: Json, patch: Json, schema: Node) -> Json:
    if _PATCH in patch:
        directive = patch[_PATCH]
        if directive == "replace":
            return {key: _without_nulls(value) for key, value in patch.items() if key != _PATCH and value is not None}
        if directive == "delete":
            return {}
        raise _contradiction(f"unknown patch type: {go_text(directive)} in map: {go_text(patch)}")
    result, patch = _retained(dict(live), patch)
    for key in [key for key in patch if key.startswith(_ORDER)]:
        order, field = patch.pop(key), _field(key, _ORDER, "setElementOrder list")
        ordered = _merge_ordered(result.get(field, _ABSENT), patch.get(field, _ABSENT), order, field, schema)
        if ordered is not None:
            result[field] = ordered
            patch.pop(field, None)
    # Deletions last: Go's order is by chance where both are given, and kubectl means the deletion of what is there.
    for key in sorted(patch, key=lambda key: key.startswith(_DELETE)):
        value = patch[key]
        if key.startswith(_DELETE):
            field = _field(key, _DELETE, "primitive list")
            if isinstance(result.get(field), list) and isinstance(value, list):
                result[field] = [one for one in result[field] if not any(same(one, other) for other in value)]
        elif value is None:
            result.pop(key, None)
        else:
            merged = _merge_value(result.get(key, _ABSENT), value, key, schema)
            if merged is _ABSENT:
                result.pop(key, None)
            else:
                result[key] = merged
    return result


def _retained(live: Json, patch: Json) -> tuple[Json, Json]:
    if _RETAIN not in patch:
        return live, patch
    patch = dict(patch)
    retained = patch.pop(_RETAIN)
    stated = {key for key, value in patch.items() if value is not None and not key.startswith((_DELETE, _ORDER))}
    if not isinstance(retained, list) or not stated <= {key for key in retained if isinstance(key, str)}:
        raise bad_request("invalid patch format of retainKeys")
    return {key: value for key, value in live.items() if key in retained}, patch


def _merge_value(live: Any, value: Any, key: str, schema: Node) -> Any:
    if live is _ABSENT or type(live) is not type(value) or not isinstance(value, (dict, list)):
        return _plain(value)
    node = _child(schema, key)
    strategies = _strategies(node)
    if isinstance(value, dict):
        return _without_nulls(value) if "replace" in strategies else _merge_maps(live, value, node)
    return _merge_lists(list(live), value, node) if "merge" in strategies else _without_nulls(value)


def _merge_lists(live: list[Any], patch: list[Any], node: Node) -> list[Any]:
    """The merged list. What becomes of ``live`` meanwhile is what Go makes of the array below its slice.

    Deletions move the rest down in it, and leave the end doubled; additions fill the end up. A given order of the
    elements is kept by what is then in that array, so that an element which takes a deleted one's place comes last.
    """
    items = node.items
    if items is None or not (live or patch):
        return live
    of_maps = _element_type(live, patch) is dict
    merge_key = node.patch_merge_key
    if not of_maps:
        merged = [*live, *(one for one in _unique(patch) if not any(same(one, other) for other in live))]
    elif not merge_key:
        raise _contradiction(f"cannot merge lists without merge key for {_go_kind(items)}")
    else:
        array = live
        live, patch = _without_directives(array, patch, merge_key)
        merged = list(live)
        for one in patch:
            _key_of(one, merge_key)
            at = _find(merged, merge_key, one[merge_key])
            if at is None:
                if len(merged) < len(array):
                    array[len(merged)] = one
                merged.append(_without_nulls(one))
            else:
                merged[at] = _merge_maps(merged[at], one, items)
    return _in_order(merged, patch, live, merge_key if of_maps else "")


def _without_directives(array: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    live = list(array)
    plain, replace = [], False
    for one in patch:
        match one.get(_PATCH, _ABSENT):
            case "delete":
                _key_of(one, merge_key)
                while (at := _find(live, merge_key, one[merge_key])) is not None:
                    del live[at]
                    array[: len(live)] = live
            case "replace":
                replace = True
            case "merge":
                raise _contradiction("merging lists cannot yet be specified in the patch")
            case directive if directive is not _ABSENT:
                raise _contradiction(f"unknown patch type: {go_text(directive)} in map: {go_text(one)}")
            case _:
                plain.append(one)
    return (plain, []) if replace else (live, plain)


def _merge_ordered(live: Any, patch: Any, order: Any, field: str, schema: Node) -> list[Any] | None:
    """The list of a field that the patch gives an order for; None where there is no list at all."""
    for value in (order, *(value for value in (live, patch) if value is not _ABSENT)):
        if not isinstance(value, list):
            raise _contradiction(f"expected a []interface {{}}, but received a {go_type(value)}")
    node = _child(schema, field)
    merge_key = node.patch_merge_key
    _check_order([] if patch is _ABSENT else patch, order, merge_key)
    if live is _ABSENT and patch is _ABSENT:
        return None
    if patch is _ABSENT:
        merged = live
    elif live is _ABSENT:
        merged, live = _plain(patch), []
    else:
        live = list(live)
        merged = _merge_lists(live, patch, node) if "merge" in _strategies(node) else patch
    for number, one in enumerate(order if merge_key else []):
        if not isinstance(one, dict):
            raise _contradiction(f"value for key {number} is not a map")
        _key_of(one, merge_key)
    return _in_order(merged, order, live, merge_key)


def _check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    if not patch or not order:
        return
    stated = [one for one in patch if not (isinstance(one, dict) and _PATCH in one)]
    rest = iter(order)
    for one in stated:
        for other in rest:
            left, right = (_key_of(one, merge_key), _key_of(other, merge_key)) if merge_key else (one, other)
            if same(left, right):
                break
        else:
            lists = f"{go_text(patch)}\n doesn't match {_ORDER} list:\n{go_text(order)}\n"
            raise _contradiction(f"The order in patch list:\n{lists}")


def _in_order(merged: list[Any], order: list[Any], live: list[Any], merge_key: str) -> list[Any]:
    """The elements that ``order`` names in its order; among them the others, each before what it stood before."""

    def position(items: list[Any], one: Any) -> int:
        key = _key_of(one, merge_key) if merge_key else one
        found = _find(items, merge_key, key) if merge_key else _index(items, one)
        return -1 if found is None else found

    named = _arranged([(position(order, one), one) for one in merged if position(order, one) >= 0])
    others = _arranged([(position(live, one), one) for one in merged if position(order, one) < 0])
    result: list[Any] = []
    while named and others:
        left, right = position(live, others[0]), position(live, named[0])
        result.append((others if left >= 0 and right >= 0 and left < right else named).pop(0))
    return result + named + others


def _arranged(ranked: list[tuple[int, Any]]) -> list[Any]:
    """By rank; a rank below zero is none, and comes before and after all others, so that Go's way of sorting counts."""
    for end in range(1, len(ranked)):
        for at in range(end, 0, -1):
            left, right = ranked[at - 1][0], ranked[at][0]
            if left >= 0 and right >= 0 and left <= right:
                break
            ranked[at - 1], ranked[at] = ranked[at], ranked[at - 1]
    return [one for _, one in ranked]


def _find(items: list[Any], merge_key: str, value: Any) -> int | None:
    for number, one in enumerate(items):
        if not isinstance(one, dict):
            raise _contradiction(f"value for key {number} is not a map")
        if merge_key in one and same(one[merge_key], value):
            return number
    return None


def _index(items: list[Any], value: Any) -> int | None:
    return next((number for number, one in enumerate(items) if same(one, value)), None)


def _unique(items: list[Any]) -> list[Any]:
    return [one for number, one in enumerate(items) if _index(items, one) == number]


def _key_of(one: Any, merge_key: str) -> Any:
    if not isinstance(one, dict):
        raise _contradiction(f"expected a map[string]interface {{}}, but received a {go_type(one)}")
    if merge_key not in one:
        raise _contradiction(f"map: {go_text(one)} does not contain declared merge key: {merge_key}")
    return one[merge_key]


def _element_type(*lists: list[Any]) -> type:
    kinds = list(dict.fromkeys(type(one) for items in lists for one in items))
    if kinds[0] is list:
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})
    if len(kinds) > 1:
        raise _contradiction(f"list element types are not identical: {go_text(list(lists))}")
    return kinds[0]


def _plain(value: Any) -> Any:
    """A value of the patch that stands for itself: without nulls in mappings, and without what carries a directive."""
    if isinstance(value, dict):
        if _PATCH in value:
            return _ABSENT
        pairs = ((key, _plain(one)) for key, one in value.items() if one is not None)
        return {key: one for key, one in pairs if one is not _ABSENT}
    if isinstance(value, list):
        return [one for one in map(_plain, value) if one is not _ABSENT]
    return value


def _without_nulls(value: Any) -> Any:
    """A value that is taken as it is: a null in a mapping means nothing to an object of a declared kind."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _field(key: str, prefix: str, what: str) -> str:
    head, slash, field = key.partition("/")
    if not slash or head != prefix:
        raise bad_request(f"invalid patch format of {what}")
    return field


def _child(schema: Node, key: str) -> Node:
    node = schema.child(key)
    if node is None:
        name = schema.name.rpartition(".")[2]
        raise _contradiction(f'unable to find api field in struct {name} for the json field "{key}"')
    return node


def _strategies(node: Node) -> list[str]:
    return node.patch_strategy.split(",")


def _contradiction(message: str) -> ApiError:
    return ApiError(500, "", message)


def _go_kind(node: Node) -> str:
    return "struct" if node.fields else "map"
