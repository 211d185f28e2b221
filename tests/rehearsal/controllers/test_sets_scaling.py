"""Creation, scaling, identity: the behaviours of Kubernetes' end-to-end tests of StatefulSets."""

from __future__ import annotations

import pytest

from berth.rehearsal.kinds import CLAIMS, PODS
from tests.rehearsal.controllers.quay import Quay, web

pytestmark = pytest.mark.rehearsal


def test_pods_come_one_after_the_other(quay: Quay) -> None:
    log = quay.log()
    quay.make(web(3))
    quay.settle()
    assert log.entries == ["+web-0", "+web-1", "+web-2"]
    assert quay.claims() == ["www-web-0", "www-web-1", "www-web-2"]
    assert quay.counts() == (3, 3, 3, 3, 3)
    assert quay.events("web") == [
        ("SuccessfulCreate", f"Create {what}")
        for n in range(3)
        for what in (
            f"Claim www-web-{n} Pod web-{n} in StatefulSet web success",
            f"Pod web-{n} in StatefulSet web successful",
        )
    ]


def test_identity(quay: Quay) -> None:
    quay.make(web(2))
    quay.settle()
    pod, claim = quay.get(PODS, "web-1"), quay.get(CLAIMS, "www-web-1")
    revision = quay.status()["currentRevision"]
    assert pod["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-1",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": revision,
    }
    assert (pod["metadata"]["generateName"], pod["spec"]["hostname"], pod["spec"]["subdomain"]) == (
        "web-",
        "web-1",
        "nginx",
    )
    assert pod["spec"]["volumes"][0] == {"name": "www", "persistentVolumeClaim": {"claimName": "www-web-1"}}
    assert claim["metadata"]["labels"] == {"tier": "data", "app": "web"}
    assert "ownerReferences" not in claim["metadata"]


def test_a_pod_that_is_not_ready_holds_up_those_after_it(quay: Quay) -> None:
    quay.nodes.broken.add("web-1")
    quay.make(web(3))
    quay.settle()
    assert quay.pods() == ["web-0", "web-1"]
    assert quay.counts() == (2, 1, 1, 2, 2)
    quay.nodes.set_ready("web-1", True)
    quay.settle()
    assert quay.counts() == (3, 3, 3, 3, 3)


def test_scale_down_goes_in_reverse_one_at_a_time_and_keeps_claims(quay: Quay) -> None:
    quay.make(web(3))
    quay.settle()
    log = quay.log()
    quay.scale(0)
    quay.settle()
    assert log.entries == ["~web-2", "-web-2", "~web-1", "-web-1", "~web-0", "-web-0"]
    assert quay.claims() == ["www-web-0", "www-web-1", "www-web-2"]
    assert quay.counts() == (0, 0, 0, 0, 0)


def test_scale_down_halts_on_an_unhealthy_predecessor(quay: Quay) -> None:
    quay.make(web(3))
    quay.settle()
    quay.nodes.set_ready("web-0", False)
    quay.scale(1)
    quay.settle()
    assert quay.pods() == ["web-0", "web-1", "web-2"]
    quay.nodes.set_ready("web-0", True)
    quay.settle()
    assert quay.pods() == ["web-0"]


def test_a_condemned_pod_that_is_the_first_unhealthy_one_goes(quay: Quay) -> None:
    quay.make(web(3))
    quay.settle()
    quay.nodes.set_ready("web-2", False)
    quay.scale(2)
    quay.settle()
    assert quay.pods() == ["web-0", "web-1"]


def test_parallel_does_not_wait(quay: Quay) -> None:
    quay.nodes.broken |= {"web-0", "web-2"}
    quay.make(web(4, podManagementPolicy="Parallel"))
    quay.settle()
    assert quay.counts() == (4, 2, 2, 4, 4)
    quay.scale(1)
    quay.settle()
    assert quay.pods() == ["web-0"]


def test_a_failed_or_ended_pod_is_made_again(quay: Quay) -> None:
    quay.make(web(2))
    quay.settle()
    for phase in ("Failed", "Succeeded"):
        before = quay.get(PODS, "web-1")["metadata"]["uid"]
        quay.nodes.set_ready("web-1", False, phase)
        quay.settle()
        assert quay.get(PODS, "web-1")["metadata"]["uid"] != before
        assert quay.counts() == (2, 2, 2, 2, 2)


def test_a_deleted_pod_comes_back_with_its_claim(quay: Quay) -> None:
    quay.make(web(2))
    quay.settle()
    pod, claim = quay.get(PODS, "web-0")["metadata"]["uid"], quay.get(CLAIMS, "www-web-0")["metadata"]["uid"]
    quay.delete(PODS, "web-0")
    quay.settle()
    assert quay.get(PODS, "web-0")["metadata"]["uid"] != pod
    assert quay.get(CLAIMS, "www-web-0")["metadata"]["uid"] == claim


def test_a_failed_predecessor_is_no_deadlock(quay: Quay) -> None:
    """A later pod that is deleted while an earlier one is broken comes back once that one is healthy."""
    quay.make(web(2))
    quay.settle()
    quay.nodes.set_ready("web-0", False)
    quay.delete(PODS, "web-1")
    quay.settle()
    assert quay.pods() == ["web-0"]
    quay.nodes.set_ready("web-0", True)
    quay.settle()
    assert quay.counts() == (2, 2, 2, 2, 2)


def test_a_missing_claim_of_a_waiting_pod_is_made(quay: Quay) -> None:
    quay.nodes.broken.add("web-0")
    quay.make(web(1))
    quay.settle()
    quay.nodes.set_ready("web-0", False, "Pending")
    claim = quay.get(CLAIMS, "www-web-0")
    quay.update(CLAIMS, {**claim, "metadata": {**claim["metadata"], "finalizers": []}})
    quay.delete(CLAIMS, "www-web-0")
    quay.settle()
    quay.nodes.set_ready("web-0", False, "Pending")
    quay.settle()
    assert quay.get(CLAIMS, "www-web-0")["metadata"]["uid"] != claim["metadata"]["uid"]


def test_ordinals_start(quay: Quay) -> None:
    from berth.rehearsal.kinds import STATEFUL_SETS

    quay.make(web(2, ordinals={"start": 2}))
    quay.settle()
    assert quay.pods() == ["web-2", "web-3"]
    quay.change(STATEFUL_SETS, "web", ordinals={"start": 3})
    quay.settle()
    assert quay.pods() == ["web-3", "web-4"]
    quay.change(STATEFUL_SETS, "web", ordinals={"start": 1})
    quay.settle()
    assert quay.pods() == ["web-1", "web-2"]
    quay.change(STATEFUL_SETS, "web", ordinals=None)
    quay.settle()
    assert quay.pods() == ["web-0", "web-1"]
    assert quay.counts() == (2, 2, 2, 2, 2)


def test_min_ready_seconds(quay: Quay) -> None:
    log = quay.log()
    quay.make(web(2, minReadySeconds=10))
    quay.world.advance(5)
    assert log.entries == ["+web-0"]
    assert quay.counts() == (1, 1, 0, 1, 1)
    quay.world.advance(7)
    assert log.entries == ["+web-0", "+web-1"]
    quay.settle()
    assert quay.counts() == (2, 2, 2, 2, 2)


def test_min_ready_seconds_parallel(quay: Quay) -> None:
    quay.make(web(3, minReadySeconds=30, podManagementPolicy="Parallel"))
    quay.world.advance(5)
    assert quay.counts() == (3, 3, 0, 3, 3)
    quay.world.advance(30)
    assert quay.counts() == (3, 3, 3, 3, 3)
