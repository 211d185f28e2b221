"""Adoption, release, orphans, retention of claims, and what deletion does."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal.kinds import CLAIMS, CONFIG_MAPS, PODS, REVISIONS, STATEFUL_SETS
from tests.rehearsal.controllers.quay import SPACE, Quay, web

pytestmark = pytest.mark.rehearsal


def owners(quay: Quay, claim: str) -> list[tuple[str, str]]:
    return [(ref["kind"], ref["name"]) for ref in quay.get(CLAIMS, claim)["metadata"].get("ownerReferences", ())]


def with_meta(body: Json, **fields: Any) -> Json:
    return {**body, "metadata": {**body["metadata"], **fields}}


def policy(deleted: str = "Retain", scaled: str = "Retain") -> Json:
    return {"whenDeleted": deleted, "whenScaled": scaled}


def test_orphans_are_adopted_and_strangers_released(quay: Quay) -> None:
    quay.make(web(1))
    quay.settle()
    pod = quay.get(PODS, "web-0")
    quay.update(PODS, with_meta(pod, ownerReferences=[]))
    quay.settle()
    (reference,) = quay.get(PODS, "web-0")["metadata"]["ownerReferences"]
    assert reference["controller"] and reference["name"] == "web"
    pod = quay.get(PODS, "web-0")
    quay.update(PODS, with_meta(pod, labels={**pod["metadata"]["labels"], "app": "else"}))
    # The stranger keeps the name, so that its successor cannot be made; the attempts go on, further and further apart.
    quay.world.advance(5)
    assert "ownerReferences" not in quay.get(PODS, "web-0")["metadata"]
    assert quay.counts() == (0, 0, 0, 0, 0)
    pod = quay.get(PODS, "web-0")
    quay.update(PODS, with_meta(pod, labels={**pod["metadata"]["labels"], "app": "web"}))
    quay.world.advance(5)
    assert quay.get(PODS, "web-0")["metadata"]["uid"] == pod["metadata"]["uid"]
    assert quay.counts() == (1, 1, 1, 1, 1)


def test_pods_of_an_orphaning_deletion_are_adopted_by_the_next_set(quay: Quay) -> None:
    quay.make(web(3))
    quay.settle()
    before = {name: quay.get(PODS, name)["metadata"]["uid"] for name in quay.pods()}
    revision = quay.status()["currentRevision"]
    quay.delete(STATEFUL_SETS, "web", "Orphan")
    quay.settle()
    assert quay.find(STATEFUL_SETS, "web") is None
    assert len(before) == 3 and all("ownerReferences" not in quay.get(PODS, name)["metadata"] for name in before)
    assert "ownerReferences" not in quay.get(REVISIONS, revision)["metadata"]
    log = quay.log()
    quay.make(web(3))
    quay.settle()
    assert log.entries == []
    assert {name: quay.get(PODS, name)["metadata"]["uid"] for name in quay.pods()} == before
    assert quay.status()["currentRevision"] == revision
    assert (
        quay.get(REVISIONS, revision)["metadata"]["ownerReferences"][0]["uid"]
        == (quay.get(STATEFUL_SETS, "web")["metadata"]["uid"])
    )
    assert quay.counts() == (3, 3, 3, 3, 3)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_deletion_takes_pods_and_revisions_and_leaves_claims(quay: Quay, propagation: str) -> None:
    quay.make(web(3))
    quay.settle()
    quay.delete(STATEFUL_SETS, "web", propagation)
    if propagation == "Foreground":
        assert quay.get(STATEFUL_SETS, "web")["metadata"]["finalizers"] == ["foregroundDeletion"]
    else:
        assert quay.find(STATEFUL_SETS, "web") is None
    quay.settle()
    assert quay.find(STATEFUL_SETS, "web") is None
    assert quay.pods() == [] and quay.client.list(REVISIONS, SPACE) == []
    assert quay.claims() == ["www-web-0", "www-web-1", "www-web-2"]


def test_a_foreground_deletion_waits_for_the_last_pod(quay: Quay) -> None:
    quay.make(web(2))
    quay.settle()
    quay.nodes.held.add("web-0")
    quay.delete(STATEFUL_SETS, "web", "Foreground")
    quay.settle()
    assert quay.pods() == ["web-0"]
    assert quay.counts()[0] == 1
    quay.delete(PODS, "web-0", grace=0)
    quay.settle()
    assert quay.find(STATEFUL_SETS, "web") is None


def test_when_deleted(quay: Quay) -> None:
    quay.make(web(2, persistentVolumeClaimRetentionPolicy=policy(deleted="Delete")))
    quay.settle()
    assert owners(quay, "www-web-1") == [("StatefulSet", "web")]
    quay.scale(1)
    quay.settle()
    assert quay.claims() == ["www-web-0", "www-web-1"]
    quay.delete(STATEFUL_SETS, "web")
    quay.settle()
    assert quay.claims() == []


def test_when_scaled(quay: Quay) -> None:
    quay.make(web(3, persistentVolumeClaimRetentionPolicy=policy(scaled="Delete")))
    quay.settle()
    assert owners(quay, "www-web-2") == []
    quay.scale(1)
    quay.settle()
    assert quay.claims() == ["www-web-0"]
    quay.delete(STATEFUL_SETS, "web")
    quay.settle()
    assert quay.claims() == ["www-web-0"]


def test_both(quay: Quay) -> None:
    quay.make(web(3, persistentVolumeClaimRetentionPolicy=policy("Delete", "Delete")))
    quay.settle()
    assert owners(quay, "www-web-2") == [("StatefulSet", "web")]
    quay.nodes.held.add("web-2")
    quay.scale(2)
    quay.settle()
    assert owners(quay, "www-web-2") == [("Pod", "web-2")]
    quay.delete(PODS, "web-2", grace=0)
    quay.settle()
    assert quay.claims() == ["www-web-0", "www-web-1"]


def test_a_policy_that_changes_is_followed(quay: Quay) -> None:
    quay.make(web(1))
    quay.settle()
    quay.change(STATEFUL_SETS, "web", persistentVolumeClaimRetentionPolicy=policy(deleted="Delete"))
    quay.settle()
    assert owners(quay, "www-web-0") == [("StatefulSet", "web")]
    assert ("SuccessfulUpdate", "Update Pod web-0 in StatefulSet web successful") in quay.events("web")
    quay.change(STATEFUL_SETS, "web", persistentVolumeClaimRetentionPolicy=policy())
    quay.settle()
    assert owners(quay, "www-web-0") == []


def test_a_claim_of_another_controller_is_left_alone(quay: Quay) -> None:
    quay.make(web(3))
    quay.make({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": SPACE}})
    quay.settle()
    uid = quay.get(CONFIG_MAPS, "other")["metadata"]["uid"]
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": uid, "controller": True}
    quay.update(CLAIMS, with_meta(quay.get(CLAIMS, "www-web-1"), ownerReferences=[foreign]))
    quay.change(STATEFUL_SETS, "web", persistentVolumeClaimRetentionPolicy=policy(scaled="Delete"))
    quay.settle()
    quay.scale(0)
    quay.settle()
    assert quay.claims() == ["www-web-1"]
    quay.update(CLAIMS, with_meta(quay.get(CLAIMS, "www-web-1"), ownerReferences=[]))
    quay.scale(2)
    quay.settle()
    assert quay.claims() == ["www-web-0", "www-web-1"]
    quay.scale(1)
    quay.settle()
    assert quay.claims() == ["www-web-0"]


def test_an_owner_that_is_no_controller_stays_beside_ours(quay: Quay) -> None:
    quay.make(web(1))
    quay.make({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": SPACE}})
    quay.settle()
    uid = quay.get(CONFIG_MAPS, "other")["metadata"]["uid"]
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": uid}
    quay.update(CLAIMS, with_meta(quay.get(CLAIMS, "www-web-0"), ownerReferences=[foreign]))
    quay.change(STATEFUL_SETS, "web", persistentVolumeClaimRetentionPolicy=policy(deleted="Delete"))
    quay.settle()
    assert owners(quay, "www-web-0") == [("ConfigMap", "other"), ("StatefulSet", "web")]
    quay.delete(STATEFUL_SETS, "web")
    quay.settle()
    assert owners(quay, "www-web-0") == [("ConfigMap", "other")]


def test_scaled_down_and_up_again_at_once(quay: Quay) -> None:
    """The claim of the pod before goes with it; the new pod waits for that, and gets a claim of its own."""
    quay.make(web(2, persistentVolumeClaimRetentionPolicy=policy(scaled="Delete")))
    quay.settle()
    before = quay.get(CLAIMS, "www-web-1")["metadata"]["uid"]
    quay.nodes.held.add("web-1")
    quay.scale(1)
    quay.settle()
    quay.scale(2)
    quay.settle()
    quay.delete(PODS, "web-1", grace=0)
    quay.settle()
    assert quay.get(CLAIMS, "www-web-1")["metadata"]["uid"] != before
    assert quay.counts() == (2, 2, 2, 2, 2)
