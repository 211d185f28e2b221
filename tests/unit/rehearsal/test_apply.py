"""Server-side apply: against the recorded answers of a real API server, and at the edges."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import apply, kinds, managed, merging, schema, typed
from berth.rehearsal.refusal import ApiError
from tests.unit.rehearsal.replay import Recorded, entries_of, steps, without_entries

pytestmark = pytest.mark.unit

APPLIES = list(steps("apply"))
#: What defaults, admission and conversion do to an object is not this module's to say.
_ELSEWHERE = {"generation"}


def applied(one: Recorded) -> tuple[Json, list[Json]]:
    step = one.step
    return apply.apply(one.root, one.before, step.body, step.manager, step.force, one.now, step.subresource)


@pytest.mark.parametrize("one", [one for one in APPLIES if one.code < 400], ids=lambda one: one.name)
def test_an_apply_gives_the_api_servers_object_and_entries(one: Recorded) -> None:
    new, entries = applied(one)
    if one.wrote:
        assert entries == one.after_entries
    else:
        assert managed.same_but_for_times(one.before_entries, entries)
    assert list(_unlike(without_entries(new), without_entries(one.after), "")) == []
    left = set(_leaves(without_entries(one.before or {"metadata": {}}))) - set(_leaves(without_entries(one.after)))
    assert left.isdisjoint(_leaves(new))


# What is refused with 422 fits its types, and fails in the validation that comes afterwards.
@pytest.mark.parametrize("one", [one for one in APPLIES if one.code in (400, 409, 500)], ids=lambda one: one.name)
def test_a_refused_apply_gives_the_api_servers_status(one: Recorded) -> None:
    with pytest.raises(ApiError) as caught:
        applied(one)
    assert _sorted(caught.value.to_status()) == _sorted(one.after)


def test_the_recording_has_what_it_is_for() -> None:
    codes = [one.code for one in APPLIES]
    assert {code: codes.count(code) >= 4 for code in (200, 201, 400, 409, 500)} == dict.fromkeys(
        (200, 201, 400, 409, 500), True
    )
    assert any(len(one.after["details"]["causes"]) > 4 for one in APPLIES if one.code == 409)


def _sorted(status: Json) -> Json:
    """The API server gives the causes of several managers in no order."""
    details = status.get("details", {})
    if "causes" not in details:
        return status
    ordered = sorted(details["causes"], key=lambda cause: (cause["message"], cause["field"]))
    return {**status, "details": {**details, "causes": ordered}}


def _unlike(mine: Any, real: Any, path: str) -> Any:
    """Where what came of the apply is not in the real object, which has defaults besides."""
    if isinstance(mine, dict) and isinstance(real, dict):
        for key, value in mine.items():
            if key in _ELSEWHERE:
                continue
            if key in real:
                yield from _unlike(value, real[key], f"{path}.{key}")
            elif value not in ({}, [], "", 0, False):
                yield f"{path}.{key} is not there"
    elif isinstance(mine, list) and isinstance(real, list) and len(mine) == len(real):
        for one, other in zip(mine, real, strict=True):
            yield from _unlike(one, other, f"{path}[]")
    elif mine != real and (mine, real) not in (("1024Mi", "1Gi"), ("uid", "")):
        yield f"{path}: {mine!r} is {real!r}"


def _leaves(tree: Any, path: str = "") -> Any:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}")
    elif not isinstance(tree, list):
        yield path


CONFIG_MAP = schema.of(kinds.CONFIG_MAPS)
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


def config_map(data: Json | None = None, **meta: Any) -> Json:
    body: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **meta}}
    return body if data is None else {**body, "data": data}


def live(*applies: tuple[str, Json]) -> Json:
    """The object after applies by these managers, forced where need be."""
    body: Json | None = None
    for manager, config in applies:
        new, entries = apply.apply(CONFIG_MAP, body, config, manager, True, NOW)
        body = {**new, "metadata": {**new["metadata"], "uid": "u", "managedFields": entries}}
    assert body is not None
    return body


def test_applying_the_same_again_moves_no_time_and_gives_the_live_object() -> None:
    there = live(("one", config_map({"a": "1"})))
    new, entries = apply.apply(CONFIG_MAP, there, config_map({"a": "1"}), "one", False, LATER)
    assert entries == entries_of(there)
    assert new == without_entries(there)


def test_the_managers_own_update_is_another_managers_to_its_apply() -> None:
    there = config_map({"a": "1"}, uid="u")
    there["metadata"]["managedFields"] = managed.tracked(CONFIG_MAP, None, there, "one", "Update", "", NOW)
    with pytest.raises(ApiError, match=r'conflict with "one" using v1: \.data\.a'):
        apply.apply(CONFIG_MAP, there, config_map({"a": "2"}), "one", False, LATER)


def test_a_field_that_others_own_too_stays_when_it_is_no_longer_stated() -> None:
    there = live(("one", config_map({"a": "1", "b": "1"})), ("two", config_map({"a": "1"})))
    new, entries = apply.apply(CONFIG_MAP, there, config_map(), "one", False, LATER)
    assert new["data"] == {"a": "1"}
    assert [entry["manager"] for entry in entries] == ["two"]


def test_a_field_that_nobody_owns_is_not_taken_away() -> None:
    there = live(("one", config_map({"a": "1"})))
    there["data"] = {**there["data"], "unowned": "1"}
    new, _ = apply.apply(CONFIG_MAP, there, config_map({}), "one", False, LATER)
    assert new["data"] == {"unowned": "1"}


def test_null_is_the_empty_value_in_a_map_of_texts_and_nothing_in_a_struct() -> None:
    new, entries = apply.apply(CONFIG_MAP, None, {**config_map({"a": None}), "immutable": None}, "one", False, NOW)
    assert new == config_map({"a": ""})
    assert entries[0]["fieldsV1"] == {"f:data": {"f:a": {}}, "f:immutable": {}}


def test_the_live_object_and_the_config_are_never_changed() -> None:
    there, config = live(("one", config_map({"a": "1", "b": "2"}))), config_map({"a": "2", "c": None})
    before = repr((there, config))
    apply.apply(CONFIG_MAP, there, config, "one", False, LATER)
    assert repr((there, config)) == before


def test_entries_that_cannot_be_read_refuse_an_apply() -> None:
    there = config_map({"a": "1"}, uid="u", managedFields=[{"operation": "?"}])
    with pytest.raises(ApiError) as caught:
        apply.apply(CONFIG_MAP, there, config_map(), "one", False, LATER)
    assert caught.value.code == 500


_ENV = schema.field(kinds.PODS, "spec.containers[].env")
assert _ENV is not None
ENVIRONMENT = typed.type_of(_ENV)


@pytest.mark.parametrize(
    ("there", "wanted", "merged"),
    [
        ("abc", "abc", "abc"),
        ("abc", "cb", "acb"),
        ("abc", "ca", "bca"),
        ("abc", "dc", "abdc"),
        ("abc", "b", "abc"),
        ("ab", "cd", "abcd"),
        ("", "ba", "ba"),
        ("ab", "", "ab"),
        ("aab", "b", "aab"),
        ("aab", "ca", "cab"),
        ("aabb", "ab", "ab"),
        ("abcde", "eca", "bdeca"),
        ("abcde", "xdbya", "cxdebya"),
    ],
)
def test_items_take_the_wanted_order_and_the_live_ones_keep_their_places(there: str, wanted: str, merged: str) -> None:
    """The expectations are what a real API server made of the environment of a container."""
    lists = [[{"name": name} for name in names] for names in (there, wanted)]
    found = merging.merge(ENVIRONMENT, *lists)
    assert "".join(item["name"] for item in found) == merged
