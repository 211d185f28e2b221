"""Nodes: cordon, loss and recovery, and what becomes of the pods of a node that is lost or deleted.

Source: kubernetes pkg/controller/nodelifecycle, tainteviction and podgc. A node that is well writes nothing: no
heartbeats tell it from one that is lost, it is lost when somebody says so (`lose`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from berth.core.objects import Json
from berth.rehearsal import bootstrap
from berth.rehearsal.clock import seconds_of
from berth.rehearsal.controllers.conditions import found, with_condition
from berth.rehearsal.controllers.orphans import OrphanCollector
from berth.rehearsal.controllers.taints import TaintEviction
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import NODES, PODS
from berth.rehearsal.scenario import NodeSpec
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

#: Seconds without a heartbeat until a node counts as gone (kube-controller-manager --node-monitor-grace-period).
GRACE = 50.0
#: Seconds between two nodes of a zone that are tainted for eviction (--node-eviction-rate 0.1).
EVICTION_INTERVAL = 10.0
#: The share of lost nodes from which a zone's loss is taken for a fault of the network (--unhealthy-zone-threshold).
UNHEALTHY_SHARE = 0.55

UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_OURS = frozenset(_BY_CONDITION.values()) | {UNSCHEDULABLE}


def lose(world: World, name: str) -> None:
    """Cut a node off: its kubelet does nothing any more and posts nothing. The cluster notices after the grace."""
    if is_lost(world, name):
        return
    world.store.remember(_fact(name), repr(world.clock.now()))
    _controller(world).lost(name)


def recover(world: World, name: str) -> None:
    """Bring a lost node back: it posts that it is ready, and its kubelet goes on."""
    if not is_lost(world, name):
        return
    world.store.remember(_fact(name), "")
    for controller in world.controllers:
        if isinstance(controller, _Interested):
            controller.recovered(name)


def is_lost(world: World, name: str) -> bool:
    """Whether the node is cut off at this moment, noticed or not."""
    return bool(world.store.fact(_fact(name)))


def cordon(world: World, name: str, *, unschedulable: bool = True) -> None:
    """Keep new pods away from a node, or let them come again, as `kubectl cordon` and `uncordon` do."""
    client = world.client("kubectl-cordon")
    node = client.get(NODES, "", name)
    if node is None or bool(node["spec"].get("unschedulable")) == unschedulable:
        return
    spec = {key: value for key, value in node["spec"].items() if key != "unschedulable"}
    client.update(NODES, {**node, "spec": {**spec, **({"unschedulable": True} if unschedulable else {})}})


def _fact(name: str) -> str:
    return f"lost/{name}"


def _controller(world: World) -> NodeController:
    return next(one for one in world.controllers if isinstance(one, NodeController))


@runtime_checkable
class _Interested(Protocol):
    def recovered(self, node: str) -> None:
        """A node posts again."""
        ...


class NodeController:
    """Keeps the nodes' conditions and taints true, and evicts what runs on nodes where it may not.

    Keys are ("", node) and (namespace, pod).
    """

    name = "nodes"

    def __init__(self, world: World) -> None:
        """Watch over the nodes of a world."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._eviction = TaintEviction(world)
        self._orphans = OrphanCollector(world)
        #: When the next node of a zone may be tainted for eviction.
        self._next: dict[str, float] = {}

    def interested(self, change: Change) -> Iterable[Key]:
        """Every node that changes; pods that come to a node, or begin to end on one."""
        if change.kind is NODES:
            if change.type == "DELETED":
                self._say(change.object, "RemovingNode", "Removing Node {} from Controller")
                self._world.store.remember(_fact(change.object["metadata"]["name"]), "")
                self._orphans.node_gone(change.object["metadata"]["name"])
            return self._with_neighbours(change)
        if change.kind is PODS and self._concerns(change):
            return (change.key,)
        return ()

    def _concerns(self, change: Change) -> bool:
        pod, old = change.object, change.old
        if change.type == "DELETED":
            self._eviction.forget(pod)
            return False
        if not pod["spec"].get("nodeName"):
            return False
        if old is None or not old["spec"].get("nodeName"):
            return True
        if ("deletionTimestamp" in pod["metadata"]) != ("deletionTimestamp" in old["metadata"]):
            return True
        return bool(pod["spec"].get("tolerations") != old["spec"].get("tolerations"))

    def _with_neighbours(self, change: Change) -> Iterator[Key]:
        yield change.key
        old, new = change.old, change.object
        if change.type == "DELETED" or old is None or found(old, "Ready") != found(new, "Ready"):
            # Whether a node's pods are evicted depends on how many other nodes are gone.
            for node in self._world.store.each(NODES):
                if (found(node, "Ready") or {}).get("status") != "True":
                    yield "", node["metadata"]["name"]

    def sync(self, key: Key) -> None:
        """Bring one node, or one pod, to what it should be."""
        namespace, name = key
        if namespace:
            pod = self._client.get(PODS, namespace, name)
            if pod is not None:
                self._pod(pod)
            return
        node = self._client.get(NODES, "", name)
        if node is None:
            return
        if self._world.clock.now() - seconds_of(node["metadata"]["creationTimestamp"]) < 1.5:
            self._register(node)
        node = self._observe(node)
        node = self._taint(node)
        self._eviction.node_changed(node)
        self._orphans.node_changed(node)

    def lost(self, name: str) -> None:
        """A node posts nothing any more."""
        self._world.at(GRACE, lambda: self._world.enqueue(self, ("", name)))

    def recovered(self, node: str) -> None:
        """A node posts again."""
        self._world.enqueue(self, ("", node))

    def _register(self, node: Json) -> None:
        seen = f"registered/{node['metadata']['uid']}"
        if self._world.store.fact(seen) is None:
            self._world.store.remember(seen, "yes")
            self._say(node, "RegisteredNode", "Registered Node {} in Controller")

    def _observe(self, node: Json) -> Json:
        """Note what the node posts, or that it posts nothing."""
        name, now = node["metadata"]["name"], self._world.clock.timestamp()
        since = self._world.store.fact(_fact(name))
        ready = (found(node, "Ready") or {}).get("status")
        if not since:
            if ready == "True":
                return node
            before = node.get("status", {}).get("conditions") or ()
            posted = bootstrap.posted(NodeSpec(name), now)
            stated = {key: value for key, value in node.get("status", {}).items() if value}
            # A node that a client made has said nothing yet, and its nodeInfo is empty: its kubelet starts now.
            if not dig(stated, "nodeInfo", "kubeletVersion"):
                stated.pop("nodeInfo", None)
            status = {**posted, **stated, "conditions": bootstrap.conditions(now, before)}
            kubelet = self._world.client("kubelet")
            node = kubelet.update_status(NODES, {**node, "status": status})
            kubelet.event(node, "Normal", "NodeReady", f"Node {name} status is now: NodeReady")
            return node
        left = float(since) + GRACE - self._world.clock.now()
        if left > 0:
            # After a restart nobody else remembers to look again.
            self._world.at(left, lambda: self._world.enqueue(self, ("", name)))
            return node
        if ready == "Unknown":
            return node
        conditions = [_unknown(one, now) for one in node.get("status", {}).get("conditions") or ()]
        node = self._client.update_status(NODES, {**node, "status": {**node["status"], "conditions": conditions}})
        text = f"Node {name} status is now: NodeNotReady"
        self._client.event(node, "Normal", "NodeNotReady", text, "node-controller")
        for pod in self._pods_on(name):
            self._unready(pod)
        return node

    def _unready(self, pod: Json) -> None:
        ready = found(pod, "Ready")
        if ready is None or ready["status"] == "False":
            return
        now = self._world.clock.timestamp()
        reason, message = ready.get("reason", ""), ready.get("message", "")
        pod = self._client.update_status(PODS, with_condition(pod, now, "Ready", "False", reason, message))
        self._client.event(pod, "Warning", "NodeNotReady", "Node is not ready", "node-controller")

    def _taint(self, node: Json) -> Json:
        """Give the node the taints that its conditions and its cordon call for."""
        old: list[Json] = node["spec"].get("taints") or []
        status = {one["type"]: one["status"] for one in node.get("status", {}).get("conditions") or ()}
        keys = [key for (kind, value), key in _BY_CONDITION.items() if status.get(kind) == value]
        if node["spec"].get("unschedulable"):
            keys.append(UNSCHEDULABLE)
        evicting = self._evicting(node, status.get("Ready", "Unknown"))
        now = self._world.clock.timestamp()
        wanted = [("NoSchedule", key) for key in keys] + [("NoExecute", key) for key in evicting]
        kept = [one for one in old if one["key"] not in _OURS or (one["effect"], one["key"]) in wanted]
        have = {(one["effect"], one["key"]) for one in kept}
        added = [
            {"key": key, "effect": effect, "timeAdded": now} for effect, key in wanted if (effect, key) not in have
        ]
        if not added and len(kept) == len(old):
            return node
        spec = {key: value for key, value in node["spec"].items() if key != "taints"}
        if kept or added:
            spec["taints"] = kept + added
        return self._client.update(NODES, {**node, "spec": spec})

    def _evicting(self, node: Json, ready: str) -> list[str]:
        """The NoExecute taint of a node that is not ready; none when so many are gone that it must be the network.

        Source: ComputeZoneState and handleDisruption. Of a zone, only one node in ten seconds is tainted.
        """
        if ready == "True":
            return []
        zones: dict[str, list[bool]] = {}
        for one in self._world.store.each(NODES):
            up = (found(one, "Ready") or {}).get("status") == "True"
            zones.setdefault(_zone(one), []).append(up)
        if not any(any(ups) for ups in zones.values()):
            return []
        key = UNREACHABLE if ready == "Unknown" else NOT_READY
        if any(one["effect"] == "NoExecute" and one["key"] == key for one in node["spec"].get("taints") or ()):
            return [key]
        ups = zones[_zone(node)]
        down = len(ups) - sum(ups)
        if down > 2 and any(ups) and down / len(ups) >= UNHEALTHY_SHARE:
            return []
        now, name = self._world.clock.now(), node["metadata"]["name"]
        due = self._next.get(_zone(node), 0.0)
        if due > now:
            self._world.at(due - now, lambda: self._world.enqueue(self, ("", name)))
            return []
        self._next[_zone(node)] = now + EVICTION_INTERVAL
        return [key]

    def _pod(self, pod: Json) -> None:
        node = self._client.get(NODES, "", pod["spec"]["nodeName"])
        if node is None:
            self._orphans.node_gone(pod["spec"]["nodeName"])
            return
        if (found(node, "Ready") or {}).get("status") != "True":
            self._unready(pod)
            pod = self._client.get(PODS, *_key(pod)) or pod
        self._eviction.pod_changed(pod, node)
        self._orphans.pod_changed(pod, node)

    def _pods_on(self, name: str) -> list[Json]:
        return [pod for pod in self._world.store.list(PODS) if pod["spec"].get("nodeName") == name]

    def _say(self, node: Json, reason: str, text: str) -> None:
        name = node["metadata"]["name"]
        message = f"Node {name} event: {text.format(name)}"
        self._client.event(node, "Normal", reason, message, "node-controller")


def _key(body: Json) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _zone(node: Json) -> str:
    labels = node["metadata"].get("labels") or {}
    return f"{labels.get('topology.kubernetes.io/region', '')}/{labels.get('topology.kubernetes.io/zone', '')}"


def _unknown(condition: Json, now: str) -> Json:
    """A condition of a node that posts nothing; that of the network is the control plane's own."""
    if condition["type"] == "NetworkUnavailable" or condition["status"] == "Unknown":
        return condition
    return {
        **condition,
        "status": "Unknown",
        "lastTransitionTime": now,
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
    }
