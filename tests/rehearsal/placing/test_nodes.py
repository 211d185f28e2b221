"""Nodes that are cordoned, lost, recovered or deleted, and their pods."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.core.objects import Json
from berth.rehearsal.controllers import nodes
from berth.rehearsal.controllers.conditions import found
from berth.rehearsal.kinds import CLASSES, NAMESPACES, NODES, PODS, PRIORITY_CLASSES, SERVICES
from berth.rehearsal.scenario import NodeSpec, Scenario
from berth.rehearsal.store import Store
from tests.rehearsal.placing.dock import Dock

pytestmark = pytest.mark.rehearsal

UNREACHABLE = "node.kubernetes.io/unreachable"


def taints(dock: Dock, node: str) -> list[tuple[str, str]]:
    return sorted((one["effect"], one["key"]) for one in dock.the(NODES, node)["spec"].get("taints") or ())


def ready(dock: Dock, node: str) -> Json:
    condition = found(dock.the(NODES, node), "Ready")
    assert condition is not None
    return condition


def on(dock: Dock, node: str, name: str = "web-0", **spec: object) -> None:
    dock.pod(name, nodeSelector={"kubernetes.io/hostname": node}, **spec)  # type: ignore[arg-type]
    dock.settle()
    assert dock.node_of(name) == node


def test_what_is_there_at_the_beginning(dock: Dock) -> None:
    names = [one["metadata"]["name"] for one in dock.client.list(NODES)]
    assert names == ["berth-node-1", "berth-node-2", "berth-node-3"]
    zones = [one["metadata"]["labels"]["topology.kubernetes.io/zone"] for one in dock.client.list(NODES)]
    assert zones == ["local-a", "local-b", "local-a"]
    node = dock.the(NODES, "berth-node-2")
    assert node["spec"] == {"podCIDR": "10.244.4.0/22", "podCIDRs": ["10.244.4.0/22"]}
    assert node["status"]["allocatable"] == {
        "cpu": "32",
        "ephemeral-storage": "1Ti",
        "memory": "256Gi",
        "pods": "500",
    }
    spaces = [one["metadata"]["name"] for one in dock.client.list(NAMESPACES)]
    assert spaces == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert [one["metadata"]["name"] for one in dock.client.list(CLASSES)] == ["fast-ssd", "local-path"]
    assert dock.the(CLASSES, "fast-ssd")["allowVolumeExpansion"] is True
    assert len(dock.client.list(PRIORITY_CLASSES)) == 2
    assert dock.the(SERVICES, "kubernetes")["spec"]["clusterIP"] == "10.96.0.1"
    registered = ("RegisteredNode", "Node berth-node-1 event: Registered Node berth-node-1 in Controller")
    assert dock.said("berth-node-1") == [registered]


def test_a_state_that_has_begun_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "state"
    dock = Dock(store=Store(file))
    dock.delete(NODES, "berth-node-3")
    dock.delete(CLASSES, "fast-ssd")
    dock.world.settle()
    version = dock.world.store.version
    dock.world.close()
    again = Dock(store=Store(file))
    assert again.gone(NODES, "berth-node-3") and again.gone(CLASSES, "fast-ssd")
    assert again.world.store.version == version
    again.world.close()


def test_the_scenario_has_other_nodes() -> None:
    dock = Dock(Scenario(nodes=(NodeSpec("big", zone="a", cpu="64", labels={"disk": "ssd"}),)))
    node = dock.the(NODES, "big")
    assert node["status"]["capacity"]["cpu"] == "64"
    assert node["metadata"]["labels"]["disk"] == "ssd"
    assert len(dock.client.list(NODES)) == 1


def test_cordon(dock: Dock) -> None:
    on(dock, "berth-node-1")
    nodes.cordon(dock.world, "berth-node-1")
    dock.settle()
    assert taints(dock, "berth-node-1") == [("NoSchedule", "node.kubernetes.io/unschedulable")]
    assert dock.the(NODES, "berth-node-1")["spec"]["unschedulable"] is True
    assert dock.phase(PODS, "web-0") == "Running"
    nodes.cordon(dock.world, "berth-node-1", unschedulable=False)
    dock.settle()
    assert taints(dock, "berth-node-1") == []
    assert "unschedulable" not in dock.the(NODES, "berth-node-1")["spec"]


def test_a_lost_node_is_noticed_after_the_grace(dock: Dock) -> None:
    on(dock, "berth-node-2")
    nodes.lose(dock.world, "berth-node-2")
    dock.world.advance(nodes.GRACE - 1)
    assert ready(dock, "berth-node-2")["status"] == "True"
    dock.world.advance(2)
    condition = ready(dock, "berth-node-2")
    assert (condition["status"], condition["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert condition["message"] == "Kubelet stopped posting node status."
    assert taints(dock, "berth-node-2") == [("NoExecute", UNREACHABLE), ("NoSchedule", UNREACHABLE)]
    assert dock.said("berth-node-2")[-1] == ("NodeNotReady", "Node berth-node-2 status is now: NodeNotReady")
    pod = dock.the(PODS, "web-0")
    unready = found(pod, "Ready")
    assert unready is not None and unready["status"] == "False"
    assert ("NodeNotReady", "Node is not ready") in dock.said("web-0")
    assert pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


def test_pods_of_a_lost_node_are_evicted_but_stay_terminating(dock: Dock) -> None:
    on(dock, "berth-node-2")
    nodes.lose(dock.world, "berth-node-2")
    dock.world.advance(nodes.GRACE + 299)
    assert "deletionTimestamp" not in dock.the(PODS, "web-0")["metadata"]
    dock.world.advance(2)
    pod = dock.the(PODS, "web-0")
    assert "deletionTimestamp" in pod["metadata"]
    assert ("TaintManagerEviction", "Marking for deletion Pod default/web-0") in dock.said("web-0")
    target = found(pod, "DisruptionTarget")
    assert target is not None and target["reason"] == "DeletionByTaintManager"
    assert target["message"] == "Taint manager: deleting due to NoExecute taint"
    dock.world.advance(3600)
    assert not dock.gone(PODS, "web-0")
    nodes.recover(dock.world, "berth-node-2")
    dock.settle()
    assert dock.gone(PODS, "web-0")
    assert ready(dock, "berth-node-2")["status"] == "True" and taints(dock, "berth-node-2") == []


def test_a_node_that_comes_back_in_time_keeps_its_pods(dock: Dock) -> None:
    on(dock, "berth-node-2")
    uid = dock.the(PODS, "web-0")["metadata"]["uid"]
    nodes.lose(dock.world, "berth-node-2")
    dock.world.advance(nodes.GRACE + 100)
    nodes.recover(dock.world, "berth-node-2")
    dock.world.advance(1000)
    pod = dock.the(PODS, "web-0")
    assert pod["metadata"]["uid"] == uid and "deletionTimestamp" not in pod["metadata"]
    again = found(pod, "Ready")
    assert again is not None and again["status"] == "True"
    assert ("TaintManagerEviction", "Cancelling deletion of Pod default/web-0") in dock.said("web-0")
    assert dock.said("berth-node-2")[-1] == ("NodeReady", "Node berth-node-2 status is now: NodeReady")


def test_a_short_absence_is_not_noticed(dock: Dock) -> None:
    nodes.lose(dock.world, "berth-node-2")
    dock.world.advance(20)
    nodes.recover(dock.world, "berth-node-2")
    dock.world.advance(600)
    assert ready(dock, "berth-node-2")["status"] == "True"
    assert [reason for reason, _ in dock.said("berth-node-2")] == ["RegisteredNode"]


def test_when_every_node_is_lost_nobody_is_evicted(dock: Dock) -> None:
    on(dock, "berth-node-1")
    for number in (1, 2, 3):
        nodes.lose(dock.world, f"berth-node-{number}")
    dock.world.advance(3600)
    assert "deletionTimestamp" not in dock.the(PODS, "web-0")["metadata"]
    for number in (1, 2, 3):
        assert taints(dock, f"berth-node-{number}") == [("NoSchedule", UNREACHABLE)]


def test_tolerations_decide_when_a_pod_leaves(dock: Dock) -> None:
    forever = [{"operator": "Exists"}]
    short = [{"key": "sick", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}]
    on(dock, "berth-node-1", "forever", tolerations=forever)
    on(dock, "berth-node-1", "short", tolerations=short)
    on(dock, "berth-node-1", "none")
    dock.taint("berth-node-1", "sick", "NoExecute")
    dock.world.advance(5)
    assert dock.gone(PODS, "none") and not dock.gone(PODS, "short")
    dock.world.advance(30)
    assert dock.gone(PODS, "short") and dock.phase(PODS, "forever") == "Running"


def test_pods_of_a_deleted_node_are_collected(dock: Dock) -> None:
    on(dock, "berth-node-3")
    nodes.lose(dock.world, "berth-node-3")
    dock.delete(NODES, "berth-node-3")
    dock.world.advance(30)
    assert not dock.gone(PODS, "web-0")
    dock.world.advance(60)
    assert dock.gone(PODS, "web-0")
    removed = ("RemovingNode", "Node berth-node-3 event: Removing Node berth-node-3 from Controller")
    assert dock.said("berth-node-3")[-1] == removed


def test_out_of_service_frees_what_is_stuck(dock: Dock) -> None:
    on(dock, "berth-node-3")
    nodes.lose(dock.world, "berth-node-3")
    dock.world.advance(nodes.GRACE + 301)
    assert not dock.gone(PODS, "web-0")
    dock.taint("berth-node-3", "node.kubernetes.io/out-of-service", "NoExecute", value="nodeshutdown")
    dock.settle()
    assert dock.gone(PODS, "web-0")


def test_a_loss_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "state"
    dock = Dock(store=Store(file))
    on(dock, "berth-node-2")
    nodes.lose(dock.world, "berth-node-2")
    dock.world.advance(10)
    dock.world.close()
    again = Dock(store=Store(file))
    assert nodes.is_lost(again.world, "berth-node-2")
    again.world.advance(nodes.GRACE + 400)
    assert "deletionTimestamp" in again.the(PODS, "web-0")["metadata"]
    again.world.close()


def test_an_idle_cluster_writes_nothing(dock: Dock) -> None:
    version = dock.world.store.version
    dock.world.advance(3000)
    assert dock.world.store.version == version
