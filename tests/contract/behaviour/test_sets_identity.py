"""A StatefulSet's pods and claims have identities that survive them; what the set owns, and what it leaves alone."""

from __future__ import annotations

from berth.core.objects import Json
from tests.contract.behaviour.space import CLAIMS, PODS, REVISIONS, SETS, Space, pod_spec, stateful_set, turns
from tests.waiting import eventually


def controller_of(body: Json) -> str:
    """The name of the controller that owns an object, "" for one that nobody owns."""
    owners = body["metadata"].get("ownerReferences") or ()
    return next((owner["name"] for owner in owners if owner.get("controller")), "")


def orphaned(here: Space, body: Json) -> dict[str, str]:
    """Make a set, and take it away from above its pods; the pods' uids."""
    here.make(SETS, body)
    here.settled()
    uids = here.uids()
    here.delete(SETS, "web", "Orphan")
    here.gone(SETS, "web")
    return uids


def test_pods_are_named_labelled_and_addressed_by_ordinal(here: Space) -> None:
    body = here.make(SETS, stateful_set(2, claims=("data",)))
    revision = here.settled()["status"]["updateRevision"]
    for ordinal, (name, pod) in enumerate(here.named(PODS).items()):
        assert name == f"web-{ordinal}"
        assert pod["metadata"]["generateName"] == "web-"
        labels = pod["metadata"]["labels"]
        zone = {key: value for key, value in labels.items() if key.startswith("topology.kubernetes.io/")}
        assert set(zone) == {"topology.kubernetes.io/region", "topology.kubernetes.io/zone"}
        assert labels == zone | {
            "app": "web",
            "apps.kubernetes.io/pod-index": str(ordinal),
            "controller-revision-hash": revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == (name, "web")
        assert pod["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "apps/v1",
                "blockOwnerDeletion": True,
                "controller": True,
                "kind": "StatefulSet",
                "name": "web",
                "uid": body["metadata"]["uid"],
            }
        ]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}"}} in pod["spec"]["volumes"]


def test_claims_are_named_and_labelled_by_ordinal_and_belong_to_nobody(here: Space) -> None:
    here.make(SETS, stateful_set(2, claims=("data", "log")))
    here.settled()
    claims = here.named(CLAIMS)
    assert sorted(claims) == ["data-web-0", "data-web-1", "log-web-0", "log-web-1"]
    for claim in claims.values():
        assert claim["metadata"]["labels"] == {"app": "web"}
        assert "ownerReferences" not in claim["metadata"]
        assert claim["status"]["phase"] == "Bound"


def test_identity_and_claims_survive_a_restart_of_all_pods(here: Space) -> None:
    here.make(SETS, stateful_set(3, claims=("data",)))
    here.settled()
    pods, claims = here.uids(), {name: body["spec"]["volumeName"] for name, body in here.named(CLAIMS).items()}
    here.ask("DELETE", PODS, query={"labelSelector": "app=web"})

    def back() -> dict[str, str] | None:
        now = here.uids()
        return now if now.keys() == pods.keys() and not set(now.values()) & set(pods.values()) else None

    eventually(back)
    here.settled()
    assert {name: body["spec"]["volumeName"] for name, body in here.named(CLAIMS).items()} == claims


def test_a_deleted_pod_in_the_middle_comes_back_as_itself_and_the_others_stay(here: Space) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    before = here.uids()
    with here.log() as log:
        here.delete(PODS, "web-1")
        assert log.until("!web-1") == ["~web-1", "-web-1", "+web-1", "!web-1"]
    after = here.uids()
    assert after["web-1"] != before["web-1"]
    assert {name: uid for name, uid in after.items() if name != "web-1"} == {
        name: uid for name, uid in before.items() if name != "web-1"
    }


def test_claims_outlive_the_set_and_a_new_one_takes_them(here: Space) -> None:
    here.make(SETS, stateful_set(2, claims=("data",)))
    here.settled()
    claims = here.uids(CLAIMS)
    here.delete(SETS, "web", "Foreground")
    here.gone(SETS, "web")
    assert here.names(PODS) == []
    assert here.uids(CLAIMS) == claims
    here.make(SETS, stateful_set(2, claims=("data",)))
    here.settled()
    assert here.uids(CLAIMS) == claims


def test_claims_that_were_there_before_are_taken_as_they_are(here: Space) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    here.make(
        CLAIMS, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-web-0"}, "spec": spec}
    )
    here.make(SETS, stateful_set(1, claims=("data",)))
    here.settled()
    claim = here.read(CLAIMS, "data-web-0")
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert "labels" not in claim["metadata"]


def test_a_pod_that_lost_its_owner_is_adopted_again(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    uid = here.uids()["web-0"]
    here.patch(PODS, "web-0", {"metadata": {"ownerReferences": None}})
    here.until(PODS, "web-0", lambda body: controller_of(body) == "web")
    assert here.uids()["web-0"] == uid


def test_a_pod_whose_labels_no_longer_match_is_released_and_adopted_when_they_do(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    uid = here.uids()["web-0"]
    here.patch(PODS, "web-0", {"metadata": {"labels": {"app": "other"}}})
    here.until(PODS, "web-0", lambda body: "ownerReferences" not in body["metadata"])
    here.patch(PODS, "web-0", {"metadata": {"labels": {"app": "web"}}})
    here.until(PODS, "web-0", lambda body: controller_of(body) == "web")
    assert here.uids()["web-0"] == uid
    here.settled()


def test_a_released_pod_stands_in_the_way_of_its_successor_until_it_goes(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    uid = here.uids()["web-0"]
    here.patch(PODS, "web-0", {"metadata": {"labels": {"app": "other"}}})
    here.until(SETS, "web", lambda body: body["status"].get("readyReplicas", 0) == 0)
    assert here.uids() == {"web-0": uid}
    here.delete(PODS, "web-0")
    here.settled()
    assert here.uids()["web-0"] != uid


def test_orphans_are_adopted_without_a_restart(here: Space) -> None:
    uids = orphaned(here, stateful_set(3))
    assert here.uids() == uids
    assert [controller_of(pod) for pod in here.all(PODS)] == ["", "", ""]
    here.make(SETS, stateful_set(3))
    here.settled()
    assert here.uids() == uids
    assert [controller_of(pod) for pod in here.all(PODS)] == ["web", "web", "web"]


def test_the_revisions_of_an_orphaning_delete_are_adopted_and_used_again(here: Space) -> None:
    orphaned(here, stateful_set(1))
    [before] = here.all(REVISIONS)
    assert controller_of(before) == ""
    here.make(SETS, stateful_set(1))
    here.settled()
    [after] = here.all(REVISIONS)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert controller_of(after) == "web"


def test_orphans_of_another_template_are_adopted_and_then_rolled(here: Space) -> None:
    uids = orphaned(here, stateful_set(2))
    with here.log() as log:
        here.make(SETS, stateful_set(2, "web:2"))
        here.settled()
        entries = log.until("!web-0")
    # Adoption comes first, and is no entry.
    assert turns(entries) == ["web-1", "web-0"]
    assert not set(here.uids().values()) & set(uids.values())
    assert set(here.images().values()) == {"web:2"}


def test_an_orphan_beyond_the_replicas_is_adopted_and_removed(here: Space) -> None:
    uids = orphaned(here, stateful_set(3))
    here.make(SETS, stateful_set(1))
    eventually(lambda: here.names(PODS) == ["web-0"] or None)
    here.settled()
    assert here.uids()["web-0"] == uids["web-0"]


def stray(name: str, **labels: str) -> Json:
    """A pod that no set made."""
    meta = {"name": name, "labels": {"app": "web", **labels}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod_spec()}


def test_a_matching_pod_of_a_foreign_name_is_not_adopted(here: Space) -> None:
    here.make(PODS, stray("stranger"))
    here.make(PODS, stray("web-x"))
    here.make(SETS, stateful_set(1))
    here.settled()
    assert [controller_of(here.read(PODS, name)) for name in ("stranger", "web-x", "web-0")] == ["", "", "web"]


def test_a_matching_pod_of_an_ordinal_beyond_is_adopted_and_removed(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    with here.log() as log:
        here.make(PODS, stray("web-7"))
        log.until("-web-7")
    assert here.names(PODS) == ["web-0"]


def test_a_matching_pod_of_an_ordinal_within_is_adopted_and_replaced(here: Space) -> None:
    """It carries no revision, so it is not of the current one and is rolled."""
    uid = here.make(PODS, stray("web-0"))["metadata"]["uid"]
    here.make(SETS, stateful_set(1))
    here.settled()
    pod = here.read(PODS, "web-0")
    assert controller_of(pod) == "web"
    assert pod["metadata"]["uid"] != uid


def test_a_pod_of_another_controller_keeps_its_owner_and_its_name(here: Space) -> None:
    meta = {"name": "boss"}
    boss = here.make("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "boss",
        "uid": boss["metadata"]["uid"],
        "controller": True,
    }
    body = stray("web-0")
    body["metadata"]["ownerReferences"] = [owner]
    here.make(PODS, body)
    here.make(SETS, stateful_set(1))
    status = here.until(SETS, "web", lambda body: "observedGeneration" in body.get("status", {}))["status"]
    assert (status["replicas"], status["availableReplicas"]) == (0, 0)
    assert controller_of(here.read(PODS, "web-0")) == "boss"
    here.delete(PODS, "web-0")
    here.settled()
    assert controller_of(here.read(PODS, "web-0")) == "web"


def test_changed_labels_of_identity_are_put_right(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    uid = here.uids()["web-0"]
    labels = {"statefulset.kubernetes.io/pod-name": "web-9"}
    here.patch(PODS, "web-0", {"metadata": {"labels": labels}})
    here.until(PODS, "web-0", lambda body: body["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "web-0")
    assert here.uids()["web-0"] == uid


def test_two_sets_whose_names_begin_alike_keep_apart(here: Space) -> None:
    here.make(SETS, stateful_set(2, name="web"))
    here.make(SETS, stateful_set(2, name="web-1"))
    here.settled("web")
    here.settled("web-1")
    owners = {name: controller_of(pod) for name, pod in here.named(PODS).items()}
    assert owners == {"web-0": "web", "web-1": "web", "web-1-0": "web-1", "web-1-1": "web-1"}
