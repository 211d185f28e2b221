"""What becomes of claims when a set is deleted or scaled down, and of those that are missing."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import CLAIMS, PODS, SETS, Space, stateful_set
from tests.contract.behaviour.wire import JSON_PATCH
from tests.waiting import eventually

KEEP, DROP = "Retain", "Delete"


def retaining(deleted: str, scaled: str, replicas: int = 2, **more: Any) -> Json:
    """A set with this retention policy."""
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    return stateful_set(replicas, claims=("data",), persistentVolumeClaimRetentionPolicy=policy, **more)


def owners(here: Space) -> dict[str, list[str]]:
    """Who owns each claim, as Kind/name."""
    found = here.named(CLAIMS)
    return {
        name: [f"{owner['kind']}/{owner['name']}" for owner in body["metadata"].get("ownerReferences") or ()]
        for name, body in found.items()
    }


def owned(here: Space, wanted: dict[str, list[str]]) -> None:
    """Wait until the claims are owned so."""
    try:
        eventually(lambda: owners(here) == wanted or None)
    except AssertionError:
        assert owners(here) == wanted


def test_by_default_both_are_retained(here: Space) -> None:
    body = here.make(SETS, stateful_set(1, claims=("data",)))
    assert body["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": KEEP, "whenScaled": KEEP}
    here.settled()
    assert owners(here) == {"data-web-0": []}


@pytest.mark.parametrize("scaled", [KEEP, DROP])
@pytest.mark.parametrize("deleted", [KEEP, DROP])
def test_who_owns_the_claims_of_running_pods(here: Space, deleted: str, scaled: str) -> None:
    here.make(SETS, retaining(deleted, scaled))
    here.settled()
    expected = ["StatefulSet/web"] if deleted == DROP else []
    owned(here, {"data-web-0": expected, "data-web-1": expected})


def test_the_reference_to_the_owning_set(here: Space) -> None:
    body = here.make(SETS, retaining(DROP, KEEP, 1))
    here.settled()
    owned(here, {"data-web-0": ["StatefulSet/web"]})
    [reference] = here.read(CLAIMS, "data-web-0")["metadata"]["ownerReferences"]
    assert reference == {
        "apiVersion": "apps/v1",
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": "StatefulSet",
        "name": "web",
        "uid": body["metadata"]["uid"],
    }


@pytest.mark.parametrize(("deleted", "left"), [(KEEP, ["data-web-0", "data-web-1"]), (DROP, [])])
def test_deleting_the_set(here: Space, deleted: str, left: list[str]) -> None:
    here.make(SETS, retaining(deleted, KEEP))
    here.settled()
    expected = ["StatefulSet/web"] if deleted == DROP else []
    owned(here, {"data-web-0": expected, "data-web-1": expected})
    here.delete(SETS, "web", "Background")
    eventually(lambda: (here.names(PODS) == [] and here.names(CLAIMS) == left) or None)


@pytest.mark.parametrize(("deleted", "scaled"), list(product([KEEP, DROP], [KEEP, DROP])))
def test_scaling_down(here: Space, deleted: str, scaled: str) -> None:
    here.make(SETS, retaining(deleted, scaled, 3))
    here.settled()
    here.scale(1)
    here.settled()
    owner = ["StatefulSet/web"] if deleted == DROP else []
    kept = {f"data-web-{ordinal}": owner for ordinal in range(3 if scaled == KEEP else 1)}
    owned(here, kept)


def test_a_condemned_pod_owns_its_claim_while_it_goes(here: Space) -> None:
    here.make(SETS, retaining(KEEP, DROP, annotations={"berth.dev/stop-after": "1s"}))
    here.settled()
    with here.log(CLAIMS) as log:
        here.scale(1)
        log.until("-data-web-1")
    seen = [
        owner["kind"] + "/" + owner["name"]
        for _, body in log.objects
        for owner in body["metadata"].get("ownerReferences") or ()
    ]
    assert set(seen) == {"Pod/web-1"}
    assert here.names(CLAIMS) == ["data-web-0"]


def test_scaling_to_zero_and_back_makes_new_claims(here: Space) -> None:
    here.make(SETS, retaining(KEEP, DROP, 1))
    here.settled()
    before = here.uids(CLAIMS)
    here.scale(0)
    eventually(lambda: here.names(CLAIMS) == [] or None)
    here.scale(1)
    here.settled()
    assert here.names(CLAIMS) == ["data-web-0"]
    assert here.uids(CLAIMS) != before


def test_a_deleted_pod_is_not_scaled_down_and_its_claim_stays(here: Space) -> None:
    here.make(SETS, retaining(DROP, DROP, 1))
    here.settled()
    claims = here.uids(CLAIMS)
    with here.log() as log:
        here.delete(PODS, "web-0")
        log.until("!web-0")
    here.settled()
    assert here.uids(CLAIMS) == claims


def test_orphaning_the_set_orphans_the_claims(here: Space) -> None:
    here.make(SETS, retaining(DROP, KEEP))
    here.settled()
    owned(here, {"data-web-0": ["StatefulSet/web"], "data-web-1": ["StatefulSet/web"]})
    here.delete(SETS, "web", "Orphan")
    here.gone(SETS, "web")
    owned(here, {"data-web-0": [], "data-web-1": []})
    assert here.names(PODS) == ["web-0", "web-1"]


@pytest.mark.parametrize("to", [KEEP, DROP])
def test_the_policy_can_be_changed(here: Space, to: str) -> None:
    here.make(SETS, retaining(DROP if to == KEEP else KEEP, KEEP, 1))
    here.settled()
    owned(here, {"data-web-0": [] if to == DROP else ["StatefulSet/web"]})
    here.patch(SETS, "web", {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": to}}})
    owned(here, {"data-web-0": ["StatefulSet/web"] if to == DROP else []})


def foreign(here: Space, controller: bool) -> Json:
    """A reference to an owner that is not the set."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "boss"}}
    uid = here.make("configmaps", body)["metadata"]["uid"]
    owner: Json = {"apiVersion": "v1", "kind": "ConfigMap", "name": "boss", "uid": uid}
    return owner | ({"controller": True} if controller else {})


@pytest.mark.parametrize("controller", [False, True], ids=["owner", "controller"])
def test_a_claim_that_somebody_else_owns(here: Space, controller: bool) -> None:
    """Another owner beside the set is no hindrance; another controller keeps the set away."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "data-web-0", "labels": {"app": "web"}, "ownerReferences": [foreign(here, controller)]}
    here.make(CLAIMS, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec})
    here.make(SETS, retaining(DROP, KEEP))
    here.settled()
    first = ["ConfigMap/boss"] if controller else ["ConfigMap/boss", "StatefulSet/web"]
    owned(here, {"data-web-0": first, "data-web-1": ["StatefulSet/web"]})
    here.delete(SETS, "web", "Background")
    eventually(lambda: here.names(CLAIMS) == ["data-web-0"] or None)


def test_a_foreign_owner_keeps_a_scaled_claim(here: Space) -> None:
    here.make(SETS, retaining(KEEP, DROP))
    here.settled()
    references = [foreign(here, controller=True)]
    here.patch(CLAIMS, "data-web-1", {"metadata": {"ownerReferences": references}})
    here.scale(1)
    here.settled()
    owned(here, {"data-web-0": [], "data-web-1": ["ConfigMap/boss"]})


def test_a_claim_that_is_missing_for_a_pending_pod_is_made_again(here: Space) -> None:
    """Once something makes the controller look at its pods: it does not watch claims."""
    here.make(SETS, stateful_set(1, claims=("data",), pod={"nodeSelector": {"no": "where"}}))
    here.until(PODS, "web-0", lambda pod: "conditions" in pod["status"])
    before = here.uids(CLAIMS)["data-web-0"]
    with here.log() as log:
        # No node has the pod, so nothing holds the claim.
        here.delete(CLAIMS, "data-web-0")
        here.gone(CLAIMS, "data-web-0")
        # What the scheduler says does not change, for it does not look again.
        here.patch(PODS, "web-0", {"metadata": {"labels": {"looked": "at"}}})
        here.until(CLAIMS, "data-web-0", lambda claim: claim["metadata"]["uid"] != before)
    assert log.entries == []
    assert here.read(PODS, "web-0")["status"]["phase"] == "Pending"


def test_a_running_pod_gets_no_new_claim(here: Space) -> None:
    here.make(SETS, stateful_set(1, claims=("data",)))
    here.settled()
    here.delete(CLAIMS, "data-web-0")
    here.patch(CLAIMS, "data-web-0", {"metadata": {"finalizers": None}})
    here.gone(CLAIMS, "data-web-0")
    here.patch(PODS, "web-0", {"metadata": {"labels": {"looked": "at"}}})
    here.scale(2)
    here.settled()
    # A running pod whose claim is gone is none of those whose claims are made again.
    assert here.names(CLAIMS) == ["data-web-1"]


def test_a_claim_is_held_until_its_pod_is_gone_and_then_made_again(here: Space) -> None:
    here.make(SETS, stateful_set(1, claims=("data",)))
    here.settled()
    before = here.uids(CLAIMS)["data-web-0"]
    here.delete(CLAIMS, "data-web-0")
    held = here.read(CLAIMS, "data-web-0")
    assert held["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert "deletionTimestamp" in held["metadata"]
    here.delete(PODS, "web-0")
    here.until(CLAIMS, "data-web-0", lambda claim: claim["metadata"]["uid"] != before)
    here.settled()


def test_a_policy_that_is_none_is_refused(here: Space) -> None:
    answer = here.ask("POST", SETS, body=retaining("Sometimes", KEEP))
    assert answer.status == 422
    assert answer.causes == [
        (
            "FieldValueNotSupported",
            "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
            'Unsupported value: "Sometimes": supported values: "Retain", "Delete"',
        )
    ]


def test_the_claim_templates_as_the_server_stores_them(here: Space) -> None:
    [template] = here.make(SETS, stateful_set(0, claims=("data",)))["spec"]["volumeClaimTemplates"]
    assert template == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending"},
    }


def test_claim_templates_cannot_be_changed(here: Space) -> None:
    here.make(SETS, stateful_set(0, claims=("data",)))
    step = [{"op": "replace", "path": "/spec/volumeClaimTemplates/0/spec/resources/requests/storage", "value": "2Gi"}]
    answer = here.ask("PATCH", SETS, "web", step, type=JSON_PATCH)
    assert answer.status == 422
    assert answer.causes == [
        (
            "FieldValueForbidden",
            "spec",
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
            "are forbidden",
        )
    ]
