"""Creating, replacing, patching and deleting on the wire: status codes, and Status bodies word for word."""

from __future__ import annotations

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import MAPS, PODS, SETS, Space, config, expect, pod_spec, stateful_set
from tests.contract.behaviour.wire import JSON_PATCH, MERGE, STRATEGIC
from tests.waiting import eventually


def test_a_create_answers_201_with_the_object(here: Space) -> None:
    answer = here.ask("POST", MAPS, body=config(x="1"))
    assert answer.status == 201
    meta = answer.body["metadata"]
    assert answer.body == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": {"x": "1"}}
    assert set(meta) == {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "managedFields"}


def test_an_apply_answers_201_when_it_creates_and_200_when_it_does_not(here: Space) -> None:
    assert here.apply(MAPS, config(x="1")).status == 201
    assert here.apply(MAPS, config(x="1")).status == 200
    assert here.apply(MAPS, config(x="2")).status == 200


def test_a_second_create_is_a_conflict(here: Space) -> None:
    here.make(MAPS, config())
    assert here.ask("POST", MAPS, body=config()).refusal == {
        "message": 'configmaps "a" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 409,
    }


def test_what_is_not_there(here: Space) -> None:
    for method in ("GET", "DELETE"):
        assert here.ask(method, SETS, "no").refusal == {
            "message": 'statefulsets.apps "no" not found',
            "reason": "NotFound",
            "details": {"name": "no", "group": "apps", "kind": "statefulsets"},
            "code": 404,
        }


def test_a_resource_that_is_not_served(here: Space) -> None:
    assert here.wire.call("GET", f"/apis/apps/v1/namespaces/{here.name}/boats").refusal == {
        "message": "the server could not find the requested resource",
        "reason": "NotFound",
        "details": {},
        "code": 404,
    }


def test_a_group_that_is_not_served(here: Space) -> None:
    answer = here.wire.call("GET", "/apis/acme.example/v1/boats")
    assert (answer.status, answer.body) == (404, "404 page not found\n")


def test_a_create_in_a_namespace_that_is_not_there(here: Space) -> None:
    answer = here.wire.call("POST", "/api/v1/namespaces/no-such/configmaps", config())
    assert answer.refusal == {
        "message": 'namespaces "no-such" not found',
        "reason": "NotFound",
        "details": {"name": "no-such", "kind": "namespaces"},
        "code": 404,
    }


def test_a_create_that_names_another_namespace(here: Space) -> None:
    body = config()
    body["metadata"]["namespace"] = "other"
    answer = here.ask("POST", MAPS, body=body)
    assert answer.refusal == {
        "message": "the namespace of the provided object does not match the namespace sent on the request",
        "reason": "BadRequest",
        "code": 400,
    }


def test_a_replacement_that_names_another_object(here: Space) -> None:
    here.make(MAPS, config())
    answer = here.ask("PUT", MAPS, "a", config("b"))
    assert answer.refusal == {
        "message": "the name of the object (b) does not match the name on the URL (a)",
        "reason": "BadRequest",
        "code": 400,
    }


def test_a_replacement_of_what_is_not_there(here: Space) -> None:
    answer = here.ask("PUT", MAPS, "a", config())
    assert answer.status == 404


def test_compare_and_swap(here: Space) -> None:
    first = here.make(MAPS, config(x="1"))
    second = here.put(MAPS, {**first, "data": {"x": "2"}})
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert here.ask("PUT", MAPS, "a", {**first, "data": {"x": "3"}}).refusal == {
        "message": 'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your '
        "changes to the latest version and try again",
        "reason": "Conflict",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 409,
    }


def test_a_replacement_without_a_version_wins(here: Space) -> None:
    here.make(MAPS, config(x="1"))
    assert here.put(MAPS, config(x="2"))["data"] == {"x": "2"}


def test_a_replacement_that_changes_nothing_keeps_the_version(here: Space) -> None:
    first = here.make(MAPS, config(x="1"))
    assert here.put(MAPS, first)["metadata"] == first["metadata"]


def test_a_patch_with_a_stale_version_is_a_conflict(here: Space) -> None:
    first = here.make(MAPS, config(x="1"))
    here.patch(MAPS, "a", {"data": {"x": "2"}})
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"x": "3"}}
    answer = here.ask("PATCH", MAPS, "a", stale, type=MERGE)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


def test_another_uid_in_a_replacement_is_a_conflict(here: Space) -> None:
    first = here.make(MAPS, config())
    other = {**first["metadata"], "uid": "11111111-2222-3333-4444-555555555555"}
    answer = here.ask("PUT", MAPS, "a", {**first, "metadata": other})
    assert answer.refusal == {
        "message": 'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: '
        f"/registry/configmaps/{here.name}/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in "
        f"precondition: 11111111-2222-3333-4444-555555555555, UID in object meta: {first['metadata']['uid']}",
        "reason": "Conflict",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 409,
    }


def test_the_generation_counts_changes_of_the_spec_only(here: Space) -> None:
    numbers = [here.make(SETS, stateful_set(0))["metadata"]["generation"]]
    for patch in (
        {"metadata": {"labels": {"more": "yes"}}},
        {"metadata": {"annotations": {"more": "yes"}}},
        {"spec": {"minReadySeconds": 1}},
        {"spec": {"minReadySeconds": 1}},
        {"spec": {"template": {"metadata": {"annotations": {"x": "y"}}}}},
    ):
        numbers.append(here.patch(SETS, "web", patch)["metadata"]["generation"])
    assert numbers == [1, 1, 1, 2, 2, 3]


def test_what_the_server_sets_is_not_the_client_s_to_set(here: Space) -> None:
    body = config(x="1")
    body["metadata"] |= {"uid": "11111111-2222-3333-4444-555555555555", "creationTimestamp": "2020-01-01T00:00:00Z"}
    made = here.make(MAPS, body)["metadata"]
    assert made["uid"] != body["metadata"]["uid"]
    assert not made["creationTimestamp"].startswith("2020")


def test_an_object_of_which_nobody_owns_a_field_has_no_managed_fields(here: Space) -> None:
    assert "managedFields" not in here.make(MAPS, config())["metadata"]


def test_a_dry_run_answers_as_if_and_does_nothing(here: Space) -> None:
    made = expect(201, here.ask("POST", MAPS, body=config(x="1"), query={"dryRun": "All"}))
    assert made["metadata"]["uid"] and "resourceVersion" not in made["metadata"]
    assert here.get(MAPS, "a") is None
    live = here.make(MAPS, config(x="1"))
    assert here.patch(MAPS, "a", {"data": {"x": "2"}}, dryRun="All")["data"] == {"x": "2"}
    assert here.put(MAPS, config(x="3"), dryRun="All")["data"] == {"x": "3"}
    expect(200, here.ask("DELETE", MAPS, "a", query={"dryRun": "All"}))
    assert here.read(MAPS, "a") == live


def test_a_dry_run_is_validated_and_admitted(guarded: Space) -> None:
    body: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod_spec()}
    answer = guarded.ask("POST", PODS, body=body, query={"dryRun": "All"})
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    answer = guarded.ask("POST", SETS, body=stateful_set(-1), query={"dryRun": "All"})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")


@pytest.mark.parametrize(
    ("type", "body"),
    [
        (MERGE, {"data": {"x": None, "y": "2"}}),
        (STRATEGIC, {"data": {"x": None, "y": "2"}}),
        (JSON_PATCH, [{"op": "remove", "path": "/data/x"}, {"op": "add", "path": "/data/y", "value": "2"}]),
    ],
    ids=["merge", "strategic", "json"],
)
def test_the_three_patches(here: Space, type: str, body: object) -> None:
    here.make(MAPS, config(x="1"))
    assert here.patch(MAPS, "a", body, type)["data"] == {"y": "2"}


def test_lists_of_a_merge_patch_replace_and_of_a_strategic_one_merge(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    more = {"name": "side", "image": "side:1"}
    body = {"spec": {"template": {"spec": {"containers": [more]}}}}
    strategic = here.patch(SETS, "web", body, STRATEGIC)
    assert [entry["name"] for entry in strategic["spec"]["template"]["spec"]["containers"]] == ["side", "web"]
    merged = here.patch(SETS, "web", body, MERGE)
    assert [entry["name"] for entry in merged["spec"]["template"]["spec"]["containers"]] == ["side"]


def test_a_patch_of_what_is_not_there(here: Space) -> None:
    assert here.ask("PATCH", MAPS, "a", {"data": {}}, type=MERGE).status == 404


def test_a_json_patch_whose_test_fails(here: Space) -> None:
    here.make(MAPS, config(x="1"))
    steps = [{"op": "test", "path": "/data/x", "value": "2"}, {"op": "remove", "path": "/data/x"}]
    answer = here.ask("PATCH", MAPS, "a", steps, type=JSON_PATCH)
    assert answer.status == 422
    assert answer.message == ("the server rejected our request due to an error in our request")
    assert here.read(MAPS, "a")["data"] == {"x": "1"}


def test_deleting_preconditions(here: Space) -> None:
    first = here.make(MAPS, config())
    uid = first["metadata"]["uid"]
    other = {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}
    assert here.ask("DELETE", MAPS, "a", other).refusal == {
        "message": 'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition '
        f"(11111111-2222-3333-4444-555555555555) does not match the UID in record ({uid}). The object might have been "
        "deleted and then recreated",
        "reason": "Conflict",
        "details": {"name": "a", "kind": "ConfigMap"},
        "code": 409,
    }
    version = first["metadata"]["resourceVersion"]
    here.patch(MAPS, "a", {"data": {"x": "1"}})
    stale = here.ask("DELETE", MAPS, "a", {"preconditions": {"resourceVersion": version}})
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    assert here.ask("DELETE", MAPS, "a", {"preconditions": {"uid": uid}}).status == 200


def test_a_delete_answers_with_a_status_or_with_the_object(here: Space) -> None:
    made = here.make(MAPS, config())
    answer = expect(200, here.ask("DELETE", MAPS, "a"))
    assert answer == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }
    body: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod_spec()}
    here.make(PODS, body)
    here.until(PODS, "p", lambda pod: pod["status"]["phase"] == "Running")
    found = expect(200, here.ask("DELETE", PODS, "p"))
    assert (found["kind"], found["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 30)


def test_a_propagation_policy_that_is_none(here: Space) -> None:
    here.make(MAPS, config())
    answer = here.ask("DELETE", MAPS, "a", {"propagationPolicy": "Sideways"})
    assert answer.status == 422
    assert [cause[:2] for cause in answer.causes] == [("FieldValueNotSupported", "propagationPolicy")]


def test_finalizers_hold_an_object_until_they_are_gone(here: Space) -> None:
    body = config()
    body["metadata"]["finalizers"] = ["berth.dev/held"]
    here.make(MAPS, body)
    answer = expect(200, here.ask("DELETE", MAPS, "a"))
    assert answer["kind"] == "ConfigMap"
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 0 and answer["metadata"]["deletionTimestamp"]
    here.patch(MAPS, "a", {"data": {"x": "1"}})
    more = here.ask("PATCH", MAPS, "a", {"metadata": {"finalizers": ["berth.dev/held", "berth.dev/new"]}}, type=MERGE)
    assert more.status == 422
    assert more.causes[0][:2] == ("FieldValueForbidden", "metadata.finalizers")
    assert more.causes[0][2] == (
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
        '[]string{"berth.dev/new"}'
    )
    here.patch(MAPS, "a", {"metadata": {"finalizers": None}})
    eventually(lambda: here.get(MAPS, "a") is None or None)
