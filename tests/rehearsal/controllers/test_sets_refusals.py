"""What the API server refuses, and what the controller says and does then; and a world that is opened again."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.core.objects import Json
from berth.rehearsal.kinds import PODS, QUOTAS, STATEFUL_SETS
from tests.rehearsal.controllers.quay import SPACE, Quay, web

pytestmark = pytest.mark.rehearsal


def quota(**hard: str) -> Json:
    meta = {"name": "q", "namespace": SPACE}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}, "status": {}}


def test_a_quota_of_pods_is_said_and_tried_again(quay: Quay) -> None:
    quay.make(quota(pods="1"))
    quay.settle()
    quay.make(web(2))
    quay.world.advance(5)
    said = [message for reason, message in quay.events("web") if reason == "FailedCreate"]
    assert len(said) == 1
    assert said[0].startswith(
        'Create Pod web-1 in StatefulSet web failed error: pods "web-1" is forbidden: exceeded quota'
    )
    assert quay.counts() == (1, 1, 1, 1, 1)
    quay.delete(QUOTAS, "q")
    quay.world.advance(60)
    assert quay.counts() == (2, 2, 2, 2, 2)


def test_a_quota_of_claims_is_said_twice(quay: Quay) -> None:
    quay.make(quota(persistentvolumeclaims="1"))
    quay.settle()
    quay.make(web(2))
    quay.world.advance(5)
    claim, pod = [message for reason, message in quay.events("web") if reason == "FailedCreate"]
    assert claim.startswith("Create Claim www-web-1 for Pod web-1 in StatefulSet web failed error: ")
    assert pod.startswith("Create Pod web-1 in StatefulSet web failed error: failed to create PVC www-web-1: ")
    assert quay.pods() == ["web-0"]


def test_a_pod_without_the_claims_of_the_set_is_adopted_but_cannot_be_corrected(quay: Quay) -> None:
    meta = {"name": "web-0", "namespace": SPACE, "labels": {"app": "web"}}
    spec = {"containers": [{"name": "a", "image": "a:1"}]}
    quay.make({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    quay.settle()
    quay.make(web(1))
    quay.world.advance(5)
    pod = quay.get(PODS, "web-0")
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"
    assert "controller-revision-hash" not in pod["metadata"]["labels"]
    said = [message for reason, message in quay.events("web") if reason == "FailedUpdate"]
    assert said[0].startswith(
        'Update Pod web-0 in StatefulSet web failed error: Pod "web-0" is invalid: spec: Forbidden: pod updates may not'
    )


def test_a_world_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state"
    before = Quay(path=path)
    before.make(web(3, minReadySeconds=10))
    before.world.advance(3)
    assert before.counts() == (1, 1, 0, 1, 1)
    before.world.close()
    after = Quay(path=path)
    after.settle()
    assert after.counts() == (3, 3, 3, 3, 3)
    after.delete(STATEFUL_SETS, "web", "Foreground")
    after.world.close()
    last = Quay(path=path)
    last.settle()
    assert last.find(STATEFUL_SETS, "web") is None
    assert last.pods() == []
    last.world.close()
