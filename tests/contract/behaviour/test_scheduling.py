"""Which nodes pods get, and why they get none."""

from __future__ import annotations

import re
from typing import Any

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import PODS, SETS, Space, pod_spec, stateful_set

MAPS = "configmaps"


def pod(name: str = "p", labels: dict[str, str] | None = None, **spec: Any) -> Json:
    """A pod."""
    meta: Json = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod_spec(**spec)}


def unschedulable(here: Space, name: str = "p") -> str:
    """Why a pod has no node."""
    body = here.until(PODS, name, lambda found: found["status"].get("conditions"))
    [condition] = body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    return str(condition["message"])


def running(body: Json) -> bool:
    """Whether a pod runs."""
    return bool(body["status"].get("phase") == "Running")


NO_HELP = (
    "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)


def test_a_node_selector(here: Space) -> None:
    here.make(PODS, pod(nodeSelector={"topology.kubernetes.io/zone": "local-b"}))
    assert here.until(PODS, "p", running)["spec"]["nodeName"] == "berth-node-2"


def test_a_node_selector_that_fits_nowhere(here: Space) -> None:
    here.make(PODS, pod(nodeSelector={"no": "where"}))
    assert unschedulable(here) == (
        f"0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. {NO_HELP}"
    )


def test_more_than_any_node_has(here: Space) -> None:
    body = pod()
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    here.make(PODS, body)
    message = unschedulable(here)
    assert message.startswith("0/3 nodes are available: 3 Insufficient cpu. ")
    assert here.read(PODS, "p")["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1m"}}, "Burstable"),
        ({"limits": {"cpu": "1m", "memory": "1Mi"}}, "Guaranteed"),
    ],
)
def test_qos_classes(here: Space, resources: Json, qos: str) -> None:
    body = pod()
    body["spec"]["containers"][0]["resources"] = resources
    made = here.make(PODS, body)
    assert made["status"]["qosClass"] == qos
    if qos == "Guaranteed":
        assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1m", "memory": "1Mi"}


def test_pods_of_a_set_are_spread_over_nodes(here: Space) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    here.make(SETS, stateful_set(4, pod={"affinity": affinity}))
    message = (
        unschedulable(here, "web-3")
        if here.until(PODS, "web-3", lambda found: found["status"].get("conditions"))
        else ""
    )
    # Beside the three there may be cordoned nodes of other tests.
    assert re.match(r"0/\d nodes are available: (.+, )?3 node\(s\) didn't match pod anti-affinity rules\.", message)
    nodes = {body["spec"].get("nodeName") for body in here.all(PODS)}
    assert nodes == {"berth-node-1", "berth-node-2", "berth-node-3", None}


def test_pods_are_spread_over_zones(here: Space) -> None:
    rule = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    here.make(SETS, stateful_set(4, pod={"topologySpreadConstraints": [rule]}))
    here.settled()
    zones = [body["metadata"]["labels"]["topology.kubernetes.io/zone"] for body in here.all(PODS)]
    assert sorted(zones) == ["local-a", "local-a", "local-b", "local-b"]


def test_a_pod_with_a_gate_is_not_scheduled(here: Space) -> None:
    here.make(PODS, pod(schedulingGates=[{"name": "berth.dev/gate"}]))
    body = here.until(PODS, "p", lambda found: found["status"].get("conditions"))
    [condition] = body["status"]["conditions"]
    assert (condition["reason"], condition["message"]) == (
        "SchedulingGated",
        "Scheduling is blocked due to non-empty scheduling gates",
    )
    here.patch(PODS, "p", {"spec": {"schedulingGates": None}})
    here.until(PODS, "p", running)


def test_a_pod_of_another_scheduler_waits(here: Space) -> None:
    here.make(PODS, pod(schedulerName="other"))
    here.make(PODS, pod("q"))
    here.until(PODS, "q", running)
    body = here.read(PODS, "p")
    assert "nodeName" not in body["spec"] and body["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_the_binding_subresource_gives_a_node(here: Space) -> None:
    here.make(PODS, pod(schedulerName="other"))
    target = {"apiVersion": "v1", "kind": "Node", "name": "berth-node-3"}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": target}
    assert here.ask("POST", PODS, "p", body, sub="binding").status == 201
    assert here.until(PODS, "p", running)["spec"]["nodeName"] == "berth-node-3"
    again = here.ask("POST", PODS, "p", body, sub="binding")
    assert (again.status, again.body["reason"]) == (409, "Conflict")
    assert again.message == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "berth-node-3"'
    )
