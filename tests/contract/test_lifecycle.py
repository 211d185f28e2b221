"""The life of a release on a real API server: up, again, scaled, a pod lost, a canary, down, up again, gone."""

from __future__ import annotations

import pytest

from berth.cluster.kube import Kube
from berth.core.objects import ObjectRef, applyset_id, dig
from berth.core.readiness import Status, judge, pod_ready, pod_revision
from tests.contract.support import (
    PROFILES,
    bring_up,
    claims,
    done,
    leftovers,
    pods,
    release,
    stages,
    statefulset,
    steps,
    take_down,
    versions,
)
from tests.waiting import eventually


@pytest.mark.parametrize("profile", PROFILES)
def test_whole_life(kube: Kube, space: str, profile: str) -> None:
    """Fresh, unchanged, down with the data kept, up on the kept claims, and down for good."""
    wanted = release(profile, space)
    recap = done(bring_up(kube, wanted))
    count, shared = len(wanted.manifests), sum(m.ref.kind == "StorageClass" for m in wanted.manifests)
    assert recap.succeeded and recap.failed == 0
    assert count - shared <= recap.changed <= count, "only a class may be there already, of another namespace's release"
    replicas = wanted.values.data["replicas"]
    assert [row.stage for row in recap.pods] == ["ready"] * replicas

    before = versions(kube, wanted)
    again = done(bring_up(kube, wanted))
    assert again.succeeded and again.changed == 0
    assert versions(kube, wanted) == before, "a second run writes nothing"

    kept = {name: dig(claim, "spec", "volumeName") for name, claim in claims(kube, space).items()}
    assert kept and all(kept.values())
    events = take_down(kube, space, wanted.name)
    assert sorted(stages(events, "gone")) == list(range(replicas))
    if wanted.values.data["podManagementPolicy"] == "OrderedReady":
        assert stages(events, "stopping") == sorted(stages(events, "stopping"), reverse=True)
    assert not pods(kube, space)
    assert {n: dig(c, "spec", "volumeName") for n, c in claims(kube, space).items()} == kept
    secrets = {m.ref.name for m in wanted.manifests if m.generated}
    assert secrets <= {body["metadata"]["name"] for body in kube.list("", "Secret", space).items}

    assert done(bring_up(kube, wanted)).succeeded
    assert {n: dig(c, "spec", "volumeName") for n, c in claims(kube, space).items()} == kept

    take_down(kube, space, wanted.name, data=True, volumes=True)
    assert leftovers(kube, space) == []
    names = set(kept.values())
    assert not names & {body["metadata"]["name"] for body in kube.list("", "PersistentVolume").items}


def test_order_of_creation_and_deletion(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=4")
    bring_up(kube, wanted)
    made = [pods(kube, space)[f"web-{ordinal}"]["metadata"]["creationTimestamp"] for ordinal in range(4)]
    assert made == sorted(made)
    events = take_down(kube, space, "nginx", data=True)
    assert stages(events, "stopping") == [3, 2, 1, 0]


def test_scaling_keeps_and_takes_claims(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=3"))
    volumes = {name: dig(claim, "spec", "volumeName") for name, claim in claims(kube, space).items()}
    recap = done(bring_up(kube, release("nginx", space, "replicas=1")))
    assert recap.succeeded and set(pods(kube, space)) == {"web-0"}
    assert set(claims(kube, space)) == {"www-web-0", "www-web-1", "www-web-2"}
    bring_up(kube, release("nginx", space, "replicas=3"))
    assert {name: dig(claim, "spec", "volumeName") for name, claim in claims(kube, space).items()} == volumes
    # The ledger knows the claims of ordinals that were scaled away long ago.
    bring_up(kube, release("nginx", space, "replicas=1"))
    events = take_down(kube, space, "nginx", data=True)
    assert {f"PersistentVolumeClaim/{name}" for name in volumes} <= set(steps(events, "deleted"))


def test_a_deleted_pod_comes_back_as_itself(kube: Kube, space: str) -> None:
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    before = pods(kube, space)["web-1"]
    volume = dig(claims(kube, space)["www-web-1"], "spec", "volumeName")
    kube.delete(ObjectRef("", "Pod", space, "web-1"), uid=before["metadata"]["uid"])
    after = eventually(
        lambda: next((p for n, p in pods(kube, space).items() if n == "web-1" and pod_ready(p)
                      and p["metadata"]["uid"] != before["metadata"]["uid"]), None)
    )  # fmt: skip
    assert after["spec"]["hostname"] == "web-1" and after["spec"]["subdomain"] == "nginx"
    assert dig(claims(kube, space)["www-web-1"], "spec", "volumeName") == volume


def test_a_canary_is_current_where_it_is_held(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=3"))
    old = statefulset(kube, release("nginx", space))["status"]["updateRevision"]
    held = ("replicas=3", "updateStrategy.partition=2", "podAnnotations.canary=yes")
    recap = done(bring_up(kube, release("nginx", space, *held)))
    assert recap.succeeded and "held there" in recap.verdict
    assert [pod_revision(pod) == old for _, pod in sorted(pods(kube, space).items())] == [True, True, False]
    # Steady under a partition: a second run neither waits nor writes.
    assert done(bring_up(kube, release("nginx", space, *held))).changed == 0
    rolled = done(bring_up(kube, release("nginx", space, *held, "updateStrategy.partition=0")))
    assert rolled.succeeded
    assert not any(pod_revision(pod) == old for pod in pods(kube, space).values())


def test_on_delete_says_what_awaits_deletion(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "updateStrategy.type=OnDelete"))
    changed = release("nginx", space, "updateStrategy.type=OnDelete", "podAnnotations.a=b")
    recap = done(bring_up(kube, changed))
    assert recap.succeeded and "2 await deletion: web-0, web-1" in recap.verdict


def test_orphaned_pods_are_adopted_without_a_restart(kube: Kube, space: str) -> None:
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    events = take_down(kube, space, "nginx", orphan=True)
    assert steps(events, "deleted") == ["StatefulSet/web"]
    assert {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()} == before
    assert done(bring_up(kube, wanted)).succeeded
    assert {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()} == before


def test_one_profile_twice_in_a_namespace(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    bring_up(kube, release("nginx", space, name="blue"))
    assert set(pods(kube, space)) == {"web-0", "web-1", "blue-web-0", "blue-web-1"}
    take_down(kube, space, "blue", data=True)
    assert set(pods(kube, space)) == {"web-0", "web-1"}
    assert set(claims(kube, space)) == {"www-web-0", "www-web-1"}


def test_what_is_no_longer_rendered_goes(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    events = bring_up(kube, release("nginx", space, "disruptionBudget.enabled=false"))
    assert steps(events, "deleted") == ["PodDisruptionBudget/web"]
    again = done(bring_up(kube, release("nginx", space, "disruptionBudget.enabled=false")))
    assert again.changed == 0


def test_a_changed_configuration_rolls_the_pods(kube: Kube, space: str) -> None:
    bring_up(kube, release("postgres", space))
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    recap = done(bring_up(kube, release("postgres", space, "settings.work_mem=8MB")))
    assert recap.succeeded
    after = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    assert set(after) == set(before) and not set(after.values()) & set(before.values())


def test_the_inventory_is_an_applyset(kube: Kube, space: str) -> None:
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    parent = kube.get(ObjectRef("", "Secret", space, "berth.release.nginx"))
    assert parent is not None
    wanted_id = applyset_id("nginx", space)
    assert parent["metadata"]["labels"]["applyset.kubernetes.io/id"] == wanted_id
    for manifest in wanted.manifests:
        body = kube.get(manifest.ref)
        assert dig(body, "metadata", "labels", "applyset.kubernetes.io/part-of") == wanted_id


def test_the_class_is_kept_while_somebody_uses_it(kube: Kube, space: str) -> None:
    """Two releases share the class of the httpd profile; it goes with the last of them."""
    first, second = (
        release("httpd", space, f"storage.className=fast-{space}", name=name) for name in ("httpd", "other")
    )
    ref = ObjectRef("storage.k8s.io", "StorageClass", "", f"fast-{space}")
    bring_up(kube, first)
    bring_up(kube, second)
    take_down(kube, space, "httpd", data=True, volumes=True)
    assert kube.get(ref) is not None
    take_down(kube, space, "other", data=True, volumes=True)
    assert kube.get(ref) is None


def test_retain_leaves_volumes_until_told(kube: Kube, space: str) -> None:
    wanted = release("httpd", space, f"storage.className=kept-{space}")
    bring_up(kube, wanted)
    names = {dig(claim, "spec", "volumeName") for claim in claims(kube, space).values()}
    events = take_down(kube, space, "httpd", data=True)
    assert {f"PersistentVolume/{name}" for name in names} <= set(steps(events, "kept"))
    released = {v["metadata"]["name"]: v for v in kube.list("", "PersistentVolume").items}
    assert {dig(released[name], "status", "phase") for name in names} == {"Released"}
    take_down(kube, space, "httpd", data=True, volumes=True)
    assert not names & {v["metadata"]["name"] for v in kube.list("", "PersistentVolume").items}
    assert leftovers(kube, space) == []


def test_current_again_after_everything(kube: Kube, space: str) -> None:
    wanted = release("zookeeper", space, "spread.hostname=soft")
    bring_up(kube, wanted)
    body = statefulset(kube, wanted)
    assert judge(body, pods(kube, space).values()).status is Status.CURRENT


def test_data_that_is_kept_outlives_a_set_that_would_delete_it(kube: Kube, space: str) -> None:
    """Somebody set the retention policy to Delete: the ledger's word "kept" holds all the same."""
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    ref = ObjectRef("apps", "StatefulSet", space, "web")
    kube.patch(ref, {"spec": {"persistentVolumeClaimRetentionPolicy": policy}}, field_manager="somebody")
    eventually(lambda: all(dig(c, "metadata", "ownerReferences") for c in claims(kube, space).values()) or None)
    before = {name: claim["metadata"]["uid"] for name, claim in claims(kube, space).items()}
    take_down(kube, space, "nginx")
    after = {name: claim["metadata"] for name, claim in claims(kube, space).items()}
    assert {name: meta["uid"] for name, meta in after.items()} == before
    assert not any("deletionTimestamp" in meta for meta in after.values())


def test_what_berth_did_not_create_stays(kube: Kube, space: str) -> None:
    """A set, and a ServiceAccount, that were there before; their claims are nobody's to delete."""
    wanted = release("nginx", space)
    for manifest in wanted.manifests:
        if manifest.ref.kind in ("StatefulSet", "ServiceAccount", "ConfigMap"):
            meta = {**manifest.body["metadata"]}
            meta["labels"] = {k: v for k, v in meta["labels"].items() if not k.startswith("applyset")}
            kube.create({**manifest.body, "metadata": meta}, field_manager="somebody")
    bring_up(kube, wanted, force=True)
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    events = take_down(kube, space, "nginx", data=True, volumes=True)
    assert {"StatefulSet/web", "ServiceAccount/web"} <= set(steps(events, "kept"))
    assert {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()} == before
    assert set(claims(kube, space)) == {"www-web-0", "www-web-1"}
    assert not any("deletionTimestamp" in body["metadata"] for body in claims(kube, space).values())
