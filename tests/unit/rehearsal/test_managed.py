"""Who owns which fields after updates: against the recorded answers of a real API server, and at the edges."""

from __future__ import annotations

import pytest

from berth.core.objects import Json
from berth.rehearsal import fieldsets, kinds, managed, schema
from tests.unit.rehearsal.replay import Recorded, steps, without_entries

pytestmark = pytest.mark.unit

UPDATES = [one for one in steps("create", "put", "merge", "strategic", "json") if one.code < 400]
NOW = "2026-01-01T00:00:00Z"
CONFIG_MAP = schema.of(kinds.CONFIG_MAPS)


def config_map(data: Json | None = None, **meta: object) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **meta}, "data": data or {}}


def tracked(old: Json | None, new: Json, manager: str = "one", subresource: str = "", now: str = NOW) -> list[Json]:
    return managed.tracked(CONFIG_MAP, old, new, manager, "Update", subresource, now)


@pytest.mark.parametrize("one", UPDATES, ids=lambda one: one.name)
def test_an_update_is_tracked_as_the_api_server_tracks_it(one: Recorded) -> None:
    new = without_entries(one.after)
    brought = one.step.brings if one.step.brings is not None else one.before_entries
    if brought or one.step.brings is not None:
        new = {**new, "metadata": {**new["metadata"], "managedFields": brought}}
    found = managed.tracked(one.root, one.before if one.step.verb != "create" else None, new, *_who(one), one.now)
    if one.wrote:
        assert found == one.after_entries
    else:
        assert managed.same_but_for_times(one.before_entries, found)


def _who(one: Recorded) -> tuple[str, str, str]:
    return one.step.manager, "Update", one.step.subresource


def test_the_recording_has_what_it_is_for() -> None:
    assert len(UPDATES) > 40
    managers = {entry["manager"] for one in UPDATES for entry in one.after_entries}
    assert {managed.ANCIENT_CHANGES, "kube-controller-manager"} <= managers


def test_a_manager_without_a_name_is_unknown() -> None:
    assert [entry["manager"] for entry in tracked(None, config_map({"a": "1"}), "")] == ["unknown"]


def test_what_only_the_server_writes_belongs_to_nobody() -> None:
    assert tracked(None, config_map(uid="u", generation=1, resourceVersion="1", creationTimestamp=NOW)) == [
        managed.entry(("one", "Update", "v1", ""), "v1", {"f:data": {}}, NOW)
    ]
    assert tracked(None, {"metadata": {"name": "c", "namespace": "n"}}) == []


def test_an_update_that_changes_nothing_keeps_every_entry_as_it_is() -> None:
    entries = tracked(None, config_map({"a": "1"}))
    live = config_map({"a": "1"}, uid="u", managedFields=entries)
    after = tracked(live, config_map({"a": "1"}, uid="u"), "two", now="2026-01-01T00:00:09Z")
    assert after == entries


def test_inputs_are_never_changed() -> None:
    live = config_map({"a": "1"}, uid="u")
    live["metadata"]["managedFields"] = tracked(None, config_map({"a": "1"}))
    before = repr(live)
    tracked(live, config_map({"b": "1"}, uid="u"), "two")
    assert repr(live) == before


def test_entries_that_cannot_be_read_are_as_none_at_all() -> None:
    entries = tracked(None, config_map({"a": "1"}))
    for spoilt in ({"operation": "Patch"}, {"apiVersion": ""}, {"fieldsType": "V2"}):
        assert managed.decoded([{**entries[0], **spoilt}]) is None
    assert managed.decoded([{**entries[0], "fieldsV1": None}]) == {
        ("one", "Update", "v1", ""): {**entries[0], "fieldsV1": {}}
    }


def test_an_object_without_entries_stays_untracked() -> None:
    assert tracked(config_map({"a": "1"}, uid="u"), config_map({"a": "2"}, uid="u")) == []


def test_a_status_is_only_the_status_subresources() -> None:
    root = schema.of(kinds.STATEFUL_SETS)
    live: Json = {"metadata": {"uid": "u"}, "spec": {"replicas": 1}, "status": {"replicas": 0}}
    live["metadata"]["managedFields"] = managed.tracked(root, None, live, "one", "Update", "", NOW)
    new = {**live, "spec": {"replicas": 2}, "status": {"replicas": 2}}
    main, status = (managed.tracked(root, live, new, "two", "Update", part, NOW)[-1] for part in ("", "status"))
    assert (main["manager"], main["fieldsV1"]) == ("two", {"f:spec": {"f:replicas": {}}})
    assert (status["subresource"], status["fieldsV1"]) == ("status", {"f:status": {"f:replicas": {}}})


def test_what_go_writes_of_empty_structs_is_no_change() -> None:
    root = schema.of(kinds.SERVICES)
    short: Json = {"metadata": {"uid": "u"}, "spec": {"type": "ClusterIP"}}
    entries = managed.tracked(root, None, short, "one", "Update", "", NOW)
    whole = {**short, "status": {"loadBalancer": {}}, "metadata": {"uid": "u", "managedFields": entries}}
    assert managed.tracked(root, whole, short, "two", "Update", "status", NOW) == entries


LEAF: Json = {"f:a": {}}
BELOW: Json = {"f:a": {"f:b": {}}}
BOTH: Json = {"f:a": {".": {}, "f:b": {}}}
ASIDE: Json = {"f:c": {}}


@pytest.mark.parametrize(
    ("one", "other", "both", "left", "shared"),
    [
        (LEAF, BELOW, BOTH, LEAF, {}),
        (BELOW, LEAF, BOTH, BELOW, {}),
        (BOTH, LEAF, BOTH, BELOW, LEAF),
        (BOTH, BELOW, BOTH, LEAF, BELOW),
        (BELOW, BOTH, BOTH, {}, BELOW),
        (BOTH, BOTH, BOTH, {}, BOTH),
        (LEAF, ASIDE, {**LEAF, **ASIDE}, LEAF, {}),
        ({}, LEAF, LEAF, {}, {}),
    ],
)
def test_a_field_and_what_is_below_it_are_in_a_set_each_by_itself(
    one: Json, other: Json, both: Json, left: Json, shared: Json
) -> None:
    assert fieldsets.union(one, other) == both
    assert fieldsets.difference(one, other) == left
    assert fieldsets.intersection(one, other) == shared


def test_a_field_can_be_taken_away_with_all_that_is_below_it() -> None:
    fields: Json = {"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}}
    assert fieldsets.without(fields, {"f:a": {}}) == {"f:d": {}}
    assert fieldsets.without(fields, {"f:a": {"f:b": {}}}) == {"f:a": {".": {}, "f:c": {}}, "f:d": {}}
    assert fieldsets.without(fields, {"f:d": {"f:x": {}}}) == fields


def test_paths_are_written_and_ordered_as_the_api_server_does_it() -> None:
    fields: Json = {
        'v:"b"': {},
        "f:z": {".": {}, "f:y": {}},
        'k:{"containerPort":443,"protocol":"TCP"}': {".": {}, "f:name": {}},
        'k:{"containerPort":80,"protocol":"TCP"}': {},
        "f:a": {},
    }
    assert [fieldsets.written(path) for path in fieldsets.paths(fields)] == [
        ".a",
        ".z",
        '[containerPort=80,protocol="TCP"]',
        '[containerPort=443,protocol="TCP"]',
        '[="b"]',
        ".z.y",
        '[containerPort=443,protocol="TCP"].name',
    ]


def test_keys_are_json_as_go_writes_it() -> None:
    assert fieldsets.item_key(("name",), ('<é&"',)) == 'k:{"name":"\\u003cé\\u0026\\""}'
    assert fieldsets.item_value("a>b") == 'v:"a\\u003eb"'
    assert fieldsets.has({"f:a": {"f:b": {}}}, ("f:a", "f:b"))
    assert not fieldsets.has({"f:a": {"f:b": {}}}, ("f:a",))
