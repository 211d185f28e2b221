"""The scale and status subresources, deletecollection, and what the status counts."""

from __future__ import annotations

from berth.core.objects import Json
from tests.contract.behaviour.space import CLAIMS, PODS, REVISIONS, SETS, Space, expect, stateful_set
from tests.contract.behaviour.wire import JSON_PATCH, STRATEGIC
from tests.waiting import eventually


def test_the_scale_of_a_set(here: Space) -> None:
    body = here.make(SETS, stateful_set(2))
    here.settled()
    scale = here.read(SETS, "web", "scale")
    meta = scale.pop("metadata")
    assert scale == {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "spec": {"replicas": 2},
        "status": {"replicas": 2, "selector": "app=web"},
    }
    assert set(meta) == {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}
    assert meta["uid"] == body["metadata"]["uid"]


def test_the_scale_can_be_replaced_and_is_compared_and_swapped(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    here.settled()
    scale = here.read(SETS, "web", "scale")
    assert here.put(SETS, {**scale, "spec": {"replicas": 1}}, sub="scale")["spec"] == {"replicas": 1}
    here.settled()
    stale = here.ask("PUT", SETS, "web", {**scale, "spec": {"replicas": 2}}, sub="scale")
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    assert here.read(SETS, "web")["spec"]["replicas"] == 1


def test_the_scale_can_be_patched_in_every_way(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    assert here.patch(SETS, "web", {"spec": {"replicas": 1}}, sub="scale")["spec"] == {"replicas": 1}
    step = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    assert here.patch(SETS, "web", step, JSON_PATCH, sub="scale")["spec"] == {"replicas": 2}
    assert here.patch(SETS, "web", {"spec": {"replicas": 0}}, STRATEGIC, sub="scale")["spec"] == {}
    assert here.read(SETS, "web")["metadata"]["generation"] == 4


def test_a_scale_below_zero_is_refused(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    answer = here.ask(
        "PATCH", SETS, "web", {"spec": {"replicas": -1}}, sub="scale", type="application/merge-patch+json"
    )
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.causes == [
        ("FieldValueInvalid", "spec.replicas", "Invalid value: -1: must be greater than or equal to 0")
    ]
    assert here.read(SETS, "web")["spec"]["replicas"] == 1


def test_a_scale_changes_the_generation_and_nothing_else_of_the_spec(here: Space) -> None:
    before = here.make(SETS, stateful_set(0))
    here.scale(1)
    after = here.read(SETS, "web")
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert {**after["spec"], "replicas": 0} == before["spec"]


def test_the_status_is_read_by_its_subresource(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    whole = here.settled()
    assert here.read(SETS, "web", "status")["status"] == whole["status"]


def test_a_status_that_is_written_changes_no_spec_and_no_generation(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    before = here.settled()
    condition = {"type": "Tested", "status": "True", "reason": "E2E", "message": "set from a test"}
    body = {**before, "spec": {**before["spec"], "replicas": 5}}
    after = here.put(SETS, {**body, "status": {**before["status"], "conditions": [condition]}}, sub="status")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    [found] = after["status"]["conditions"]
    assert found == {**condition, "lastTransitionTime": None}


def test_a_status_in_the_spec_s_own_request_is_ignored(here: Space) -> None:
    made = here.make(SETS, {**stateful_set(0), "status": {"replicas": 7}})
    assert made["status"] == {"availableReplicas": 0, "replicas": 0}
    before = here.settled()
    after = here.put(
        SETS, {**before, "status": {"replicas": 9}, "metadata": {**before["metadata"], "labels": {"x": "y"}}}
    )
    assert after["status"] == before["status"]


def test_a_status_can_be_patched(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    here.settled()
    condition = {"type": "Patched", "status": "False"}
    found = here.patch(SETS, "web", {"status": {"conditions": [condition]}}, sub="status")
    assert [entry["type"] for entry in found["status"]["conditions"]] == ["Patched"]


def test_conditions_that_others_set_are_dropped_by_the_controller(here: Space) -> None:
    """It writes the whole status, and knows of no conditions."""
    here.make(SETS, stateful_set(0))
    here.settled()
    here.patch(SETS, "web", {"status": {"conditions": [{"type": "Mine", "status": "True"}]}}, sub="status")
    here.scale(1)
    assert "conditions" not in here.settled()["status"]


def test_a_negative_status_is_refused(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    body = here.settled()
    answer = here.ask("PUT", SETS, "web", {**body, "status": {"replicas": -1}}, sub="status")
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert (
        "FieldValueInvalid",
        "status.replicas",
        "Invalid value: -1: must be greater than or equal to 0",
    ) in answer.causes


def test_the_whole_status_of_a_settled_set(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    body = here.settled()
    [revision] = here.names(REVISIONS)
    assert body["status"] == {
        "availableReplicas": 2,
        "collisionCount": 0,
        "currentReplicas": 2,
        "currentRevision": revision,
        "observedGeneration": 1,
        "readyReplicas": 2,
        "replicas": 2,
        "updateRevision": revision,
        "updatedReplicas": 2,
    }


def test_the_whole_status_of_an_empty_set(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    body = here.settled()
    [revision] = here.names(REVISIONS)
    assert body["status"] == {
        "availableReplicas": 0,
        "collisionCount": 0,
        "currentRevision": revision,
        "observedGeneration": 1,
        "replicas": 0,
        "updateRevision": revision,
    }


def test_deletecollection_takes_those_that_the_label_selects(here: Space) -> None:
    for name, team in (("a", "red"), ("b", "red"), ("c", "blue")):
        body = stateful_set(1, name=name)
        body["metadata"]["labels"]["team"] = team
        here.make(SETS, body)
    for name in "abc":
        here.settled(name)
    gone = expect(200, here.ask("DELETE", SETS, query={"labelSelector": "team=red"}))
    assert gone["kind"] == "StatefulSetList"
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "b"]
    assert here.names(SETS) == ["c"]
    eventually(lambda: here.names(PODS) == ["c-0"] or None)


def test_deletecollection_by_field_takes_one(here: Space) -> None:
    for name in "ab":
        here.make(SETS, stateful_set(0, name=name))
    expect(200, here.ask("DELETE", SETS, query={"fieldSelector": "metadata.name=a"}))
    assert here.names(SETS) == ["b"]


def test_deletecollection_on_a_dry_run_takes_nothing(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    expect(200, here.ask("DELETE", SETS, query={"dryRun": "All"}))
    assert here.names(SETS) == ["web"]


def test_the_list_update_and_patch_of_sets_by_label(here: Space) -> None:
    """The life of a set as conformance has it: made, listed, patched, replaced, deleted with a collection."""
    body = stateful_set(1)
    body["metadata"]["labels"] |= {"test": "statefulset"}
    here.make(SETS, body)
    here.settled()
    assert here.names(SETS, labelSelector="test=statefulset") == ["web"]
    patch: Json = {
        "metadata": {"labels": {"test": "patched"}},
        "spec": {
            "replicas": 2,
            "template": {
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "web:2"}]}
            },
        },
    }
    patched = here.patch(SETS, "web", patch, STRATEGIC)
    assert patched["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 0
    here.settled()
    assert set(here.images().values()) == {"web:2"}
    assert here.names(SETS, labelSelector="test=patched") == ["web"]
    expect(200, here.ask("DELETE", SETS, query={"labelSelector": "test=patched"}))
    eventually(lambda: here.names(PODS) == [] or None)
    assert here.names(CLAIMS) == []
