"""Where pods go."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from berth.rehearsal.kinds import CLAIMS, EVENTS, NODES, PODS, SERVICES
from berth.rehearsal.scenario import NodeSpec, Scenario, Taint
from berth.rehearsal.store import Store
from tests.rehearsal.placing.dock import Dock

pytestmark = pytest.mark.rehearsal

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
HARD, SOFT = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"


def apart(app: str, key: str = HOST) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    return {"podAntiAffinity": {HARD: [term]}}


def zone_of(dock: Dock, pod: str) -> str:
    return str(dock.the(NODES, dock.node_of(pod))["metadata"]["labels"][ZONE])


def test_a_pod_gets_a_node_and_everything_that_comes_with_it(dock: Dock) -> None:
    dock.pod("web-0", nodeSelector={HOST: "berth-node-2"})
    dock.settle()
    pod = dock.the(PODS, "web-0")
    assert pod["spec"]["nodeName"] == "berth-node-2"
    assert pod["metadata"]["labels"] == {"topology.kubernetes.io/region": "local", ZONE: "local-b"}
    assert pod["metadata"]["generation"] == 1
    assert dock.scheduled("web-0")["status"] == "True"
    scheduler = dock.said("web-0", "default-scheduler")
    assert scheduler == [("Scheduled", "Successfully assigned default/web-0 to berth-node-2")]


def test_pods_are_spread_over_nodes_and_zones_unasked(dock: Dock) -> None:
    selector = {"app": "web"}
    dock.make(SERVICES, "web", spec={"clusterIP": "None", "selector": selector, "ports": [{"port": 80}]})
    for number in range(9):
        dock.pod(f"web-{number}", labels=selector)
        dock.settle()
    nodes = Counter(dock.node_of(f"web-{number}") for number in range(9))
    assert set(nodes) == {"berth-node-1", "berth-node-2", "berth-node-3"} and max(nodes.values()) <= 5


def test_pods_that_must_be_apart_are_until_there_is_no_room(dock: Dock) -> None:
    for number in range(4):
        dock.pod(f"db-{number}", labels={"app": "db"}, affinity=apart("db"))
    dock.settle()
    placed = [dock.node_of(f"db-{number}") for number in range(4)]
    assert len(set(placed[:3])) == 3 and placed[3] == ""
    dock.delete(PODS, "db-1")
    dock.settle()
    assert dock.node_of("db-3") == placed[1]


def test_a_pod_that_is_there_keeps_others_away(dock: Dock) -> None:
    dock.pod("lonely", affinity=apart("crowd", ZONE), labels={"app": "lonely"})
    dock.settle()
    for number in range(3):
        dock.pod(f"crowd-{number}", labels={"app": "crowd"})
    dock.settle()
    assert {zone_of(dock, f"crowd-{number}") for number in range(3)}.isdisjoint({zone_of(dock, "lonely")})


def test_affinity_brings_pods_together_and_the_first_starts_anywhere(dock: Dock) -> None:
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "herd"}}}
    for number in range(4):
        dock.pod(f"herd-{number}", labels={"app": "herd"}, affinity={"podAffinity": {HARD: [term]}})
        dock.settle()
    assert len({zone_of(dock, f"herd-{number}") for number in range(4)}) == 1


@pytest.mark.parametrize("number", range(1, 4))
def test_preferences_decide_between_nodes_that_would_do(dock: Dock, number: int) -> None:
    term = {"matchExpressions": [{"key": HOST, "operator": "In", "values": [f"berth-node-{number}"]}]}
    dock.pod("mine", affinity={"nodeAffinity": {SOFT: [{"weight": 10, "preference": term}]}})
    dock.settle()
    assert dock.node_of("mine") == f"berth-node-{number}"


def test_hard_spread_holds_and_skew_is_bounded(dock: Dock) -> None:
    rule = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"}
    rule["labelSelector"] = {"matchLabels": {"app": "web"}}
    for number in range(6):
        dock.pod(f"web-{number}", labels={"app": "web"}, topologySpreadConstraints=[rule])
        dock.settle()
        zones = Counter(zone_of(dock, f"web-{one}") for one in range(number + 1))
        assert max(zones.values()) - min(zones.get("local-a", 0), zones.get("local-b", 0)) <= 1
    dock.change(NODES, "berth-node-2", unschedulable=True)
    for number in (6, 7):
        dock.pod(f"web-{number}", labels={"app": "web"}, topologySpreadConstraints=[rule])
    dock.settle()
    assert sum(bool(dock.node_of(f"web-{number}")) for number in (6, 7)) == 1
    waiting = next(name for name in ("web-6", "web-7") if not dock.node_of(name))
    assert "2 node(s) didn't match pod topology spread constraints" in dock.said(waiting)[-1][1]


def test_resources_are_counted_and_given_back(dock: Dock) -> None:
    for number in range(7):
        dock.pod(f"big-{number}", cpu="16")
    dock.settle()
    assert sum(bool(dock.node_of(f"big-{number}")) for number in range(7)) == 6
    waiting = next(f"big-{number}" for number in range(7) if not dock.node_of(f"big-{number}"))
    assert dock.said(waiting)[-1][1].startswith("0/3 nodes are available: 3 Insufficient cpu. no new")
    victim = next(f"big-{number}" for number in range(7) if dock.node_of(f"big-{number}"))
    place = dock.node_of(victim)
    dock.delete(PODS, victim)
    dock.settle()
    assert dock.node_of(waiting) == place


def test_a_pod_that_ended_takes_nothing_any_more(dock: Dock) -> None:
    for number in range(3):
        dock.pod(f"job-{number}", cpu="32", restartPolicy="Never")
    dock.settle()
    dock.pod("next", cpu="1")
    dock.settle()
    assert not dock.node_of("next")
    done = dock.the(PODS, "job-1")
    dock.client.update_status(PODS, {**done, "status": {**done["status"], "phase": "Succeeded"}})
    dock.settle()
    assert dock.node_of("next") == dock.node_of("job-1")


def test_the_worst_moment_of_init_containers_counts(dock: Dock) -> None:
    asks = {"name": "first", "image": "busybox", "resources": {"requests": {"cpu": "33"}}}
    dock.pod("mine", cpu="1", initContainers=[asks])
    dock.settle()
    assert not dock.node_of("mine")


def test_a_node_takes_only_so_many_pods() -> None:
    dock = Dock(Scenario(nodes=(NodeSpec("small", pods=2),)))
    for number in range(3):
        dock.pod(f"web-{number}")
    dock.settle()
    waiting = [name for name in ("web-0", "web-1", "web-2") if not dock.node_of(name)]
    assert len(waiting) == 1
    assert dock.said(waiting[0])[-1][1].startswith("0/1 nodes are available: 1 Too many pods. no new claims")


def test_taints_of_the_scenario_and_tolerations() -> None:
    taint = Taint("dedicated", "NoSchedule", "db")
    dock = Dock(Scenario(nodes=(NodeSpec("one", taints=(taint,)), NodeSpec("two", labels={"disk": "ssd"}))))
    dock.pod("plain")
    tolerated = [{"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}]
    dock.pod("db", tolerations=tolerated, nodeSelector={HOST: "one"})
    dock.settle()
    assert (dock.node_of("plain"), dock.node_of("db")) == ("two", "one")


def test_an_uncordoned_node_takes_what_was_waiting(dock: Dock) -> None:
    for number in (1, 2, 3):
        dock.change(NODES, f"berth-node-{number}", unschedulable=True)
    dock.pod("mine")
    dock.settle()
    assert dock.said("mine")[0][1].startswith("0/3 nodes are available: 3 node(s) were unschedulable.")
    dock.change(NODES, "berth-node-3", unschedulable=False)
    dock.settle()
    assert dock.node_of("mine") == "berth-node-3"


def test_host_ports_are_taken_once_a_node(dock: Dock) -> None:
    container = {"name": "main", "image": "nginx", "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]}
    for number in range(4):
        dock.pod(f"edge-{number}", containers=[container])
    dock.settle()
    assert len({dock.node_of(f"edge-{number}") for number in range(4)} - {""}) == 3
    waiting = next(f"edge-{number}" for number in range(4) if not dock.node_of(f"edge-{number}"))
    assert "3 node(s) didn't have free ports for the requested pod ports" in dock.said(waiting)[-1][1]


def test_a_volume_in_one_zone_draws_its_pod_there(dock: Dock) -> None:
    topology = [{"matchLabelExpressions": [{"key": ZONE, "values": ["local-b"]}]}]
    dock.storage_class("zonal", allowedTopologies=topology)
    dock.claim("data", class_name="zonal")
    dock.settle()
    dock.pod("mine", "data")
    dock.pod("lost", "data", nodeSelector={HOST: "berth-node-1"})
    dock.settle()
    assert dock.node_of("mine") == "berth-node-2"
    assert dock.said("lost")[-1][1].startswith(
        "0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, "
        "2 node(s) didn't match Pod's node affinity/selector."
    )


def test_a_zonal_class_that_waits_for_its_pod_restricts_the_nodes(dock: Dock) -> None:
    topology = [{"matchLabelExpressions": [{"key": ZONE, "values": ["local-b"]}]}]
    dock.storage_class("zonal", allowedTopologies=topology, volumeBindingMode="WaitForFirstConsumer")
    dock.claim("data", class_name="zonal")
    dock.pod("mine", "data")
    dock.settle()
    assert dock.node_of("mine") == "berth-node-2"
    dock.claim("other", class_name="zonal")
    dock.pod("lost", "other", nodeSelector={ZONE: "local-a"})
    dock.settle()
    message = dock.said("lost")[-1][1]
    assert "2 node(s) didn't find available persistent volumes to bind" in message


def test_a_claim_of_one_pod_alone(dock: Dock) -> None:
    dock.storage_class("disk")
    dock.claim("data", class_name="disk", accessModes=["ReadWriteOncePod"])
    dock.settle()
    dock.pod("first", "data")
    dock.settle()
    dock.pod("second", "data")
    dock.settle()
    assert dock.node_of("first") and not dock.node_of("second")
    assert "ReadWriteOncePod access mode already in-use by another pod" in dock.said("second")[-1][1]
    dock.delete(PODS, "first")
    dock.settle()
    assert dock.node_of("second")


def test_a_claim_that_is_going_starts_no_pod(dock: Dock) -> None:
    dock.storage_class("disk")
    dock.claim("data", class_name="disk")
    dock.settle()
    dock.pod("first", "data")
    dock.settle()
    dock.delete(CLAIMS, "data")
    dock.pod("second", "data")
    dock.settle()
    expected = '0/3 nodes are available: persistentvolumeclaim "data" is being deleted. not found'
    assert dock.said("second") == [("FailedScheduling", expected)]


def test_a_waiting_pod_is_tried_again_when_its_claim_appears(dock: Dock) -> None:
    dock.pod("mine", "late")
    dock.settle()
    assert not dock.node_of("mine")
    dock.claim("late")
    dock.settle()
    assert dock.node_of("mine")


def test_the_same_seed_places_the_same() -> None:
    def places() -> list[str]:
        dock = Dock()
        for number in range(12):
            dock.pod(f"web-{number}", labels={"app": "web"}, cpu="100m")
        dock.settle()
        return [dock.node_of(f"web-{number}") for number in range(12)]

    assert places() == places()


def test_a_claim_says_which_pod_it_waits_for(dock: Dock) -> None:
    dock.claim("data")
    dock.settle()
    dock.pod("web-0", "data", nodeSelector={"nosuch": "label"})
    dock.world.advance(14)
    assert [reason for reason, _ in dock.said("data")] == ["WaitForFirstConsumer"]
    dock.world.advance(2)
    assert dock.said("data")[-1] == ("WaitForPodScheduled", "waiting for pod web-0 to be scheduled")


def test_a_restart_in_the_middle_of_binding_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state"
    dock = Dock(store=Store(file))
    dock.claim("data")
    dock.pod("web-0", "data")
    dock.world.advance(0.05)
    node = dock.the(PODS, "web-0")["status"]["nominatedNodeName"]
    dock.world.close()
    again = Dock(store=Store(file))
    assert again.node_of("web-0") == node
    assert again.phase(CLAIMS, "data") == "Bound" and again.phase(PODS, "web-0") == "Running"
    again.world.close()


def test_back_off_grows_and_nothing_is_said_while_nothing_changes(dock: Dock) -> None:
    dock.pod("mine", "gone")
    dock.settle()
    version = dock.world.store.version
    dock.world.advance(600)
    assert dock.world.store.version == version
    for number in range(3):
        dock.volume(f"unrelated-{number}")
        dock.world.advance(0.5)
    # The second is about another version of the pod, whose status then says so; from the third on they are a series.
    assert _series(dock) == [None, None]
    dock.world.advance(2)
    assert _series(dock) == [None, 2]


def _series(dock: Dock) -> list[int | None]:
    events = [one for one in dock.client.list(EVENTS) if one["involvedObject"]["name"] == "mine"]
    return [one["series"]["count"] if "series" in one else None for one in events]
