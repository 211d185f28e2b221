"""Rolling updates, partitions, OnDelete, revisions, rollback, and the trap of OrderedReady."""

from __future__ import annotations

import pytest

from berth.rehearsal.controllers import revisions
from berth.rehearsal.jsontree import graft
from berth.rehearsal.kinds import PODS, REVISIONS, STATEFUL_SETS
from tests.rehearsal.controllers.quay import SPACE, Quay, web

pytestmark = pytest.mark.rehearsal


def numbers(quay: Quay) -> list[int]:
    return sorted(body["revision"] for body in quay.client.list(REVISIONS, SPACE))


def test_the_name_of_a_revision_is_that_of_a_real_cluster() -> None:
    """Taken from a control plane of Kubernetes 1.36: the same template gives the same name everywhere."""
    container = {
        "image": "registry.k8s.io/nginx-slim:0.24",
        "imagePullPolicy": "IfNotPresent",
        "name": "nginx",
        "ports": [{"containerPort": 80, "name": "web", "protocol": "TCP"}],
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"mountPath": "/usr/share/nginx/html", "name": "www"}],
    }
    spec = {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 10,
    }
    template = {"metadata": {"annotations": {"a": "x<y&z"}, "labels": {"app": "nginx"}}, "spec": spec}
    assert revisions.hash_of(revisions.data_of({"spec": {"template": template}}), 0) == "7fc68447fc"


def test_rolling_update_goes_in_reverse(quay: Quay) -> None:
    quay.make(web(3))
    quay.settle()
    first = quay.status()["currentRevision"]
    log = quay.log()
    quay.image("nginx:2")
    quay.settle()
    assert log.entries == [entry for n in (2, 1, 0) for entry in (f"~web-{n}", f"-web-{n}", f"+web-{n}")]
    status = quay.status()
    assert status["currentRevision"] == status["updateRevision"] != first
    assert quay.counts() == (3, 3, 3, 3, 3)
    assert set(quay.images().values()) == {"2"}


def test_during_an_update_the_status_counts_both_revisions(quay: Quay) -> None:
    quay.make(web(3))
    quay.settle()
    quay.nodes.broken.add("web-2")
    quay.image("nginx:2")
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "1", "web-2": "2"}
    assert quay.counts() == (3, 2, 2, 2, 1)
    status = quay.status()
    assert status["currentRevision"] != status["updateRevision"]


def test_a_rollback_is_the_old_revision_with_a_new_number(quay: Quay) -> None:
    quay.make(web(2))
    quay.settle()
    first = quay.status()["currentRevision"]
    quay.image("nginx:2")
    quay.settle()
    assert numbers(quay) == [1, 2]
    quay.image("nginx:1")
    quay.settle()
    assert quay.status()["currentRevision"] == first
    assert numbers(quay) == [2, 3]
    assert quay.get(REVISIONS, first)["revision"] == 3
    assert quay.images() == {"web-0": "1", "web-1": "1"}


def test_partition(quay: Quay) -> None:
    quay.make(web(3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}))
    quay.settle()
    quay.image("nginx:2")
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "1", "web-2": "2"}
    assert quay.counts() == (3, 3, 3, 2, 1)
    # A deleted pod comes back at the revision that its ordinal has.
    for name in ("web-0", "web-2"):
        quay.delete(PODS, name)
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "1", "web-2": "2"}
    quay.change(STATEFUL_SETS, "web", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "2", "web-2": "2"}
    quay.change(STATEFUL_SETS, "web", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    quay.settle()
    assert set(quay.images().values()) == {"2"}
    status = quay.status()
    assert status["currentRevision"] == status["updateRevision"]


def test_on_delete(quay: Quay) -> None:
    quay.make(web(3, updateStrategy={"type": "OnDelete"}))
    quay.settle()
    quay.image("nginx:2")
    quay.settle()
    assert set(quay.images().values()) == {"1"}
    assert quay.counts() == (3, 3, 3, 3, 0)
    quay.delete(PODS, "web-1")
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "2", "web-2": "1"}
    for name in ("web-0", "web-2"):
        quay.delete(PODS, name)
    quay.settle()
    assert quay.counts() == (3, 3, 3, 0, 3)
    # Under OnDelete an update never completes: the revisions stay apart.
    assert quay.status()["currentRevision"] != quay.status()["updateRevision"]


def test_the_trap_of_ordered_ready(quay: Quay) -> None:
    """A broken pod blocks its own fix until somebody deletes it (kubernetes/kubernetes#67250)."""
    quay.make(web(2))
    quay.settle()
    quay.image("nginx:broken")
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "broken"}
    quay.image("nginx:2")
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "broken"}
    quay.delete(PODS, "web-1")
    quay.settle()
    assert quay.images() == {"web-0": "2", "web-1": "2"}


def test_under_parallel_a_broken_pod_is_replaced(quay: Quay) -> None:
    quay.make(web(2, podManagementPolicy="Parallel"))
    quay.settle()
    quay.image("nginx:broken")
    quay.settle()
    assert quay.images() == {"web-0": "1", "web-1": "broken"}
    quay.image("nginx:2")
    quay.settle()
    assert quay.images() == {"web-0": "2", "web-1": "2"}


def test_a_scale_goes_before_an_update(quay: Quay) -> None:
    quay.make(web(2))
    quay.settle()
    log = quay.log()
    quay.image("nginx:2")
    quay.scale(3)
    quay.settle()
    assert log.entries[0] == "+web-2"
    assert set(quay.images().values()) == {"2"}


def test_history_is_limited(quay: Quay) -> None:
    quay.make(web(1, revisionHistoryLimit=2))
    quay.settle()
    for version in range(2, 7):
        quay.image(f"nginx:{version}")
        quay.settle()
    # Two of the past, and the one that lives.
    assert numbers(quay) == [4, 5, 6]


def test_a_collision_of_names_is_counted(quay: Quay) -> None:
    made = quay.make(web(1))
    wanted = revisions.new_revision(made, 1, 0)
    stranger = {**wanted, "data": {"spec": {}}}
    stranger["metadata"] = {"name": wanted["metadata"]["name"], "namespace": SPACE}
    quay.make(stranger)
    quay.settle()
    status = quay.status()
    assert status["collisionCount"] == 1
    assert status["currentRevision"] == "web-" + revisions.hash_of(wanted["data"], 1)


def test_a_label_of_the_set_is_no_new_revision(quay: Quay) -> None:
    made = quay.make(web(1))
    quay.settle()
    live = quay.get(STATEFUL_SETS, "web")
    quay.update(STATEFUL_SETS, {**live, "metadata": {**live["metadata"], "labels": {"app": "web", "x": "y"}}})
    quay.settle()
    assert numbers(quay) == [1]
    assert quay.get(STATEFUL_SETS, "web")["metadata"]["uid"] == made["metadata"]["uid"]


def test_max_unavailable_when_the_cluster_has_it(quay: Quay) -> None:
    for controller in quay.world.controllers:
        if controller.name == "statefulset":
            controller.max_unavailable = True  # type: ignore[attr-defined]
    quay.make(web(4))
    quay.settle()
    log = quay.log()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 2}}
    live = quay.get(STATEFUL_SETS, "web")
    template = graft(live["spec"]["template"], [{"name": "nginx", "image": "nginx:2"}], "spec", "containers")
    # An API server without the feature takes the field away from what is written to it.
    spec = {**live["spec"], "updateStrategy": strategy, "template": template}
    quay.world.store.update(STATEFUL_SETS, {**live, "spec": spec})
    quay.settle()
    assert log.entries[:2] == ["~web-3", "~web-2"]
    assert set(quay.images().values()) == {"2"}


def test_max_unavailable_is_ignored_by_default(quay: Quay) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 2}}
    quay.make(web(4, updateStrategy=strategy))
    quay.settle()
    log = quay.log()
    quay.image("nginx:2")
    quay.settle()
    assert log.entries[:3] == ["~web-3", "-web-3", "+web-3"]


def test_min_ready_seconds_slow_an_update_down(quay: Quay) -> None:
    quay.make(web(2, minReadySeconds=20))
    quay.settle()
    log = quay.log()
    quay.image("nginx:2")
    quay.world.advance(10)
    assert log.entries == ["~web-1", "-web-1", "+web-1"]
    quay.settle()
    assert log.entries[3:] == ["~web-0", "-web-0", "+web-0"]


def test_status_of_a_generation_is_observed(quay: Quay) -> None:
    quay.make(web(1))
    quay.settle()
    quay.scale(2)
    assert quay.status()["observedGeneration"] < quay.get(STATEFUL_SETS, "web")["metadata"]["generation"]
    quay.settle()
    assert quay.status()["observedGeneration"] == quay.get(STATEFUL_SETS, "web")["metadata"]["generation"]
