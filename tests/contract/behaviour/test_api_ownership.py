"""managedFields, conflicts of server-side apply, and garbage collection by ownerReferences."""

from __future__ import annotations

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import MAPS, SETS, Space, config, expect, stateful_set
from tests.contract.behaviour.wire import APPLY, MERGE, Answer
from tests.waiting import eventually


def entries(body: Json) -> list[tuple[str, str, str, Json]]:
    """Manager, operation, subresource and fields of each entry of managedFields."""
    found = body["metadata"].get("managedFields") or ()
    return sorted(
        (entry["manager"], entry["operation"], entry.get("subresource", ""), entry["fieldsV1"]) for entry in found
    )


def test_a_create_is_an_update_by_the_user_agent_s_name(here: Space) -> None:
    assert entries(here.make(MAPS, config(x="1"))) == [
        ("behaviour", "Update", "", {"f:data": {".": {}, "f:x": {}}}),
    ]


def test_a_manager_can_be_named(here: Space) -> None:
    assert entries(here.make(MAPS, config(x="1"), fieldManager="ann"))[0][0] == "ann"


def test_an_apply_owns_what_it_states(here: Space) -> None:
    body = expect(201, here.apply(MAPS, config(x="1"), "ann"))
    assert entries(body) == [("ann", "Apply", "", {"f:data": {"f:x": {}}})]


def test_two_managers_may_share_a_field_of_one_value(here: Space) -> None:
    here.apply(MAPS, config(x="1"), "ann")
    body = expect(200, here.apply(MAPS, config(x="1", y="2"), "bob"))
    assert entries(body) == [
        ("ann", "Apply", "", {"f:data": {"f:x": {}}}),
        ("bob", "Apply", "", {"f:data": {"f:x": {}, "f:y": {}}}),
    ]


def test_an_apply_that_no_longer_states_a_field_removes_it_if_nobody_else_has_it(here: Space) -> None:
    here.apply(MAPS, config(x="1", y="1", z="1"), "ann")
    here.apply(MAPS, config(y="1"), "bob")
    body = expect(200, here.apply(MAPS, config(x="1"), "ann"))
    assert body["data"] == {"x": "1", "y": "1"}


def conflicting(answer: Answer) -> tuple[str, list[tuple[str, str, str]]]:
    """Message and causes of a conflict."""
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    return answer.message, answer.causes


def test_a_conflict_names_manager_and_field(here: Space) -> None:
    here.apply(MAPS, config(x="1"), "ann")
    message, causes = conflicting(here.apply(MAPS, config(x="2"), "bob"))
    assert message == 'Apply failed with 1 conflict: conflict with "ann": .data.x'
    assert causes == [("FieldManagerConflict", ".data.x", 'conflict with "ann"')]
    assert here.read(MAPS, "a")["data"] == {"x": "1"}


def test_several_conflicts_are_listed_by_manager(here: Space) -> None:
    here.apply(MAPS, config(x="1", y="1"), "ann")
    here.patch(MAPS, "a", {"data": {"z": "1"}}, fieldManager="carl")
    message, causes = conflicting(here.apply(MAPS, config(x="2", y="2", z="2"), "bob"))
    assert message.startswith('Apply failed with 3 conflicts: conflicts with "ann":\n- .data.x\n- .data.y\n')
    assert sorted(field for _, field, _ in causes) == [".data.x", ".data.y", ".data.z"]
    assert 'conflict with "ann"' in {text for _, _, text in causes}
    assert any(text.startswith('conflict with "carl" using v1') for _, _, text in causes)


def test_a_forced_apply_takes_the_fields_over(here: Space) -> None:
    here.apply(MAPS, config(x="1", y="1"), "ann")
    body = expect(200, here.apply(MAPS, config(x="2"), "bob", force="true"))
    assert body["data"] == {"x": "2", "y": "1"}
    assert entries(body) == [
        ("ann", "Apply", "", {"f:data": {"f:y": {}}}),
        ("bob", "Apply", "", {"f:data": {"f:x": {}}}),
    ]


def test_an_update_takes_what_it_changes_without_asking(here: Space) -> None:
    here.apply(MAPS, config(x="1", y="1"), "ann")
    body = here.patch(MAPS, "a", {"data": {"x": "2"}}, fieldManager="bob")
    assert entries(body) == [
        ("ann", "Apply", "", {"f:data": {"f:y": {}}}),
        ("bob", "Update", "", {"f:data": {"f:x": {}}}),
    ]


def test_an_update_that_changes_nothing_owns_nothing(here: Space) -> None:
    before = expect(201, here.apply(MAPS, config(x="1"), "ann"))
    assert here.patch(MAPS, "a", {"data": {"x": "1"}}, fieldManager="bob")["metadata"] == before["metadata"]


def test_an_apply_that_changes_nothing_writes_nothing(here: Space) -> None:
    here.apply(MAPS, config(x="1"), "ann")
    before = here.read(MAPS, "a")
    assert expect(200, here.apply(MAPS, config(x="1"), "ann"))["metadata"] == before["metadata"]


def test_lists_are_owned_by_key(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    side = stateful_set(0)
    container = {"name": "side", "image": "side:1"}
    side["spec"] = {"template": {"spec": {"containers": [container]}}}
    del side["metadata"]["labels"]
    body = expect(200, here.apply(SETS, side, "bob"))
    assert [entry["name"] for entry in body["spec"]["template"]["spec"]["containers"]] == ["web", "side"]
    [mine] = [fields for manager, _, _, fields in entries(body) if manager == "bob"]
    inner = mine["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert inner == {'k:{"name":"side"}': {".": {}, "f:image": {}, "f:name": {}}}


def test_the_replicas_of_a_scaler_are_its_own(here: Space) -> None:
    here.apply(SETS, stateful_set(0), "ann")
    here.patch(SETS, "web", {"spec": {"replicas": 1}}, sub="scale", fieldManager="scaler")
    body = here.read(SETS, "web")
    [found] = [entry for entry in entries(body) if entry[0] == "scaler"]
    assert found == ("scaler", "Update", "scale", {"f:spec": {"f:replicas": {}}})
    message, _ = conflicting(here.apply(SETS, stateful_set(0), "ann"))
    assert message == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas'
    )
    without = stateful_set(0)
    del without["spec"]["replicas"]
    assert expect(200, here.apply(SETS, without, "ann"))["spec"]["replicas"] == 1


def test_the_status_has_a_manager_of_its_own(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    found = [(manager, operation, sub) for manager, operation, sub, _ in entries(here.settled())]
    assert found == [("behaviour", "Update", ""), ("kube-controller-manager", "Update", "status")]


def test_an_unknown_field_is_no_apply(here: Space) -> None:
    answer = here.apply(SETS, {**stateful_set(0), "spec": {**stateful_set(0)["spec"], "boats": 1}})
    assert answer.status == 500
    assert answer.message == (
        "failed to create typed patch object (/web; apps/v1, Kind=StatefulSet): .spec.boats: field not "
        "declared in schema"
    )


def test_an_apply_with_managed_fields_is_refused(here: Space) -> None:
    made = here.make(MAPS, config(x="1"))
    answer = here.apply(MAPS, made)
    assert (answer.status, answer.message) == (400, "metadata.managedFields must be nil")


def test_an_apply_of_another_version_than_the_live_one(here: Space) -> None:
    here.make(MAPS, config(x="1"))
    body = config(x="2")
    body["metadata"]["resourceVersion"] = "1"
    answer = here.apply(MAPS, body, force="true")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


def test_an_apply_of_text_that_is_no_yaml(here: Space) -> None:
    answer = here.ask("PATCH", MAPS, "a", b"a: [", type=APPLY, query={"fieldManager": "ann"})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message.startswith("error decoding YAML: ")


def test_managed_fields_can_be_cleared(here: Space) -> None:
    here.make(MAPS, config(x="1"))
    body = here.patch(MAPS, "a", {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in body["metadata"]


# Owners and what they own --------------------------------------------------------------------------------------------


def owned(here: Space, name: str, *owners: Json, blocking: bool = False) -> Json:
    """A ConfigMap of these owners."""
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **({"blockOwnerDeletion": True} if blocking else {}),
        }
        for owner in owners
    ]
    body = config(name)
    body["metadata"]["ownerReferences"] = references
    return here.make(MAPS, body)


def absent(here: Space, *names: str) -> None:
    """Wait until these ConfigMaps are gone."""
    eventually(lambda: not set(names) & set(here.names(MAPS)) or None)


def test_in_the_background_the_owner_goes_first(here: Space) -> None:
    owner = here.make(MAPS, config("owner"))
    owned(here, "child", owner)
    here.delete(MAPS, "owner", "Background")
    assert here.get(MAPS, "owner") is None
    absent(here, "child")


def test_in_the_foreground_the_owner_waits_for_those_that_block_it(here: Space) -> None:
    owner = here.make(MAPS, config("owner"))
    child = config("child")
    here.make(MAPS, child)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    meta = {"finalizers": ["berth.dev/held"], "ownerReferences": [{**reference, "blockOwnerDeletion": True}]}
    here.patch(MAPS, "child", {"metadata": meta})
    body = here.delete(MAPS, "owner", "Foreground")
    assert body["metadata"]["finalizers"] == ["foregroundDeletion"]
    here.until(MAPS, "child", lambda found: "deletionTimestamp" in found["metadata"])
    assert here.get(MAPS, "owner") is not None
    here.patch(MAPS, "child", {"metadata": {"finalizers": None}})
    absent(here, "owner", "child")


def test_in_the_foreground_the_owner_does_not_wait_for_those_that_do_not_block_it(here: Space) -> None:
    owner = here.make(MAPS, config("owner"))
    owned(here, "child", owner)
    here.patch(MAPS, "child", {"metadata": {"finalizers": ["berth.dev/held"]}})
    here.delete(MAPS, "owner", "Foreground")
    absent(here, "owner")
    here.until(MAPS, "child", lambda found: "deletionTimestamp" in found["metadata"])
    here.patch(MAPS, "child", {"metadata": {"finalizers": None}})
    absent(here, "child")


def test_orphans_lose_the_reference_and_stay(here: Space) -> None:
    owner = here.make(MAPS, config("owner"))
    owned(here, "child", owner)
    body = here.delete(MAPS, "owner", "Orphan")
    assert body["metadata"]["finalizers"] == ["orphan"]
    absent(here, "owner")
    assert "ownerReferences" not in here.read(MAPS, "child")["metadata"]


def test_a_child_of_two_owners_goes_with_the_last(here: Space) -> None:
    first, second = here.make(MAPS, config("first")), here.make(MAPS, config("second"))
    owned(here, "child", first, second)
    here.delete(MAPS, "first", "Background")
    here.until(MAPS, "child", lambda found: len(found["metadata"]["ownerReferences"]) == 1)
    here.delete(MAPS, "second", "Background")
    absent(here, "child")


def test_a_child_of_an_owner_that_never_was_goes(here: Space) -> None:
    ghost = {**config("ghost"), "metadata": {"name": "ghost", "uid": "11111111-2222-3333-4444-555555555555"}}
    owned(here, "child", ghost)
    absent(here, "child")


def test_a_child_of_a_namesake_of_its_owner_goes(here: Space) -> None:
    here.make(MAPS, config("owner"))
    other = {**config("owner"), "metadata": {"name": "owner", "uid": "11111111-2222-3333-4444-555555555555"}}
    owned(here, "child", other)
    absent(here, "child")
    assert here.get(MAPS, "owner") is not None


def test_grandchildren_go_too(here: Space) -> None:
    owner = here.make(MAPS, config("owner"))
    child = owned(here, "child", owner)
    owned(here, "grandchild", child)
    here.delete(MAPS, "owner", "Background")
    absent(here, "child", "grandchild")


def test_the_pods_of_a_set_go_with_it_in_the_foreground(here: Space) -> None:
    here.make(SETS, stateful_set(2, annotations={"berth.dev/stop-after": "1s"}))
    here.settled()
    with here.log() as log:
        here.delete(SETS, "web", "Foreground")
        log.until("-web-0", "-web-1")
    here.gone(SETS, "web")
    assert set(log.entries[:2]) == {"~web-0", "~web-1"}


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_a_set_that_is_deleted_makes_no_pods_again(here: Space, policy: str) -> None:
    here.make(SETS, stateful_set(2))
    here.settled()
    with here.log() as log:
        here.delete(SETS, "web", policy)
        here.gone(SETS, "web")
        log.until("-web-0", "-web-1")
    assert [entry for entry in log.entries if entry.startswith("+")] == []


def test_two_controllers_are_one_too_many(here: Space) -> None:
    first, second = here.make(MAPS, config("first")), here.make(MAPS, config("second"))
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": body["metadata"]["uid"], "controller": True}
        for name, body in (("first", first), ("second", second))
    ]
    body = config("child")
    body["metadata"]["ownerReferences"] = references
    answer = here.ask("POST", MAPS, body=body)
    assert answer.status == 422
    assert answer.causes[0][:2] == ("FieldValueInvalid", "metadata.ownerReferences")
    assert answer.causes[0][2].endswith(
        'Only one reference can have Controller set to true. Found "true" in references for ConfigMap/first and '
        "ConfigMap/second"
    )


def test_a_merge_patch_of_another_kind_s_field_is_dropped(here: Space) -> None:
    here.make(MAPS, config(x="1"))
    answer = here.ask("PATCH", MAPS, "a", {"spec": {"replicas": 1}}, type=MERGE)
    assert answer.status == 200 and "spec" not in answer.body
    assert answer.warnings == ['299 - "unknown field \\"spec\\""']
