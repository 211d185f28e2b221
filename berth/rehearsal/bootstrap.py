"""What is there when a cluster begins: namespaces, nodes, StorageClasses, PriorityClasses, and the API's own Service.

The same as the local control plane has (berth/controlplane/manifests/cluster.yaml and kwok/node.yaml), so that whatever
runs on one runs on the other; the scenario may have other nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.kinds import CLASSES, NAMESPACES, NODES, PRIORITY_CLASSES, SERVICES, Kind
from berth.rehearsal.registry import Options
from berth.rehearsal.scenario import NodeSpec

if TYPE_CHECKING:
    from berth.rehearsal.world import World

SPACES = ("default", "kube-system", "kube-public", "kube-node-lease")

#: The nodes of a scenario that names none.
NODE_SPECS = (
    NodeSpec("berth-node-1", zone="local-a"),
    NodeSpec("berth-node-2", zone="local-b"),
    NodeSpec("berth-node-3", zone="local-a"),
)

#: What a node says of itself while all is well: type, status, reason, message.
CONDITIONS = (
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("NetworkUnavailable", "False", "RouteCreated", "RouteController created a route"),
)

#: The address of the Service `kubernetes`: the first of the range that Services get theirs from.
API_ADDRESS = "10.96.0.1"

#: The Kubernetes that is simulated.
KUBELET_VERSION = "v1.36.3"

#: The fact that says when the rehearsal began, in virtual seconds since the epoch.
BEGAN = "began"


def populate(world: World) -> None:
    """Fill an empty store; one that has begun before is left as it is, deleted nodes and classes stay deleted."""
    if world.store.fact(BEGAN) is not None:
        return
    world.store.remember(BEGAN, repr(world.clock.now()))
    for name in SPACES:
        _make(world, NAMESPACES, _namespace(name))
    for body in _priority_classes():
        _make(world, PRIORITY_CLASSES, body)
    _make(world, SERVICES, _api_service())
    for body in _storage_classes():
        _make(world, CLASSES, body, "unknown")
    now = world.clock.timestamp()
    for body in nodes(world.scenario.nodes or NODE_SPECS, now):
        _make(world, NODES, body, "kubelet")


def began(world: World) -> float:
    """When the rehearsal began, in virtual seconds since the epoch; what scenarios count their times from."""
    return float(world.store.fact(BEGAN) or world.clock.now())


def nodes(specs: Sequence[NodeSpec], now: str) -> list[Json]:
    """The nodes, ready since ``now``."""
    return [_node(index, spec, now) for index, spec in enumerate(specs)]


def posted(spec: NodeSpec, now: str) -> Json:
    """What the kubelet of a node posts of it: the status of the node, healthy since ``now``."""
    has = {"cpu": spec.cpu, "memory": spec.memory, "pods": str(spec.pods), "ephemeral-storage": "1Ti"}
    return {
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": spec.name},
        ],
        "allocatable": has,
        "capacity": has,
        "conditions": conditions(now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "rehearsal://1",
            "kernelVersion": "simulated",
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "simulated",
            "systemUUID": "",
        },
    }


def conditions(now: str, before: Sequence[Json] = ()) -> list[Json]:
    """The conditions of a healthy node; what was so ``before`` keeps the time since when it is."""
    since = {(one["type"], one["status"]): one["lastTransitionTime"] for one in before}
    return [
        {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": since.get((kind, status), now),
            "reason": reason,
            "message": message,
        }
        for kind, status, reason, message in CONDITIONS
    ]


def _make(world: World, kind: Kind, body: Json, manager: str = "kube-apiserver") -> None:
    options = Options(manager=manager, trusted=True)
    world.registry.create(kind, body["metadata"].get("namespace", ""), body, options)


def _namespace(name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _priority_classes() -> list[Json]:
    head = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    tail = {"preemptionPolicy": "PreemptLowerPriority"}
    cluster = (
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
    )
    node = "Used for system critical pods that must not be moved from their current node."
    return [
        {**head, "metadata": {"name": name, "generation": 1}, "value": value, "description": text, **tail}
        for name, value, text in (
            ("system-node-critical", 2000001000, node),
            ("system-cluster-critical", 2000000000, cluster),
        )
    ]


def _storage_classes() -> list[Json]:
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    tail = {
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return [
        {**head, "metadata": {"name": "local-path", "annotations": default}, **tail},
        {**head, "metadata": {"name": "fast-ssd"}, **tail, "allowVolumeExpansion": True},
    ]


def _api_service() -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": API_ADDRESS,
            "clusterIPs": [API_ADDRESS],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


def _node(index: int, spec: NodeSpec, now: str) -> Json:
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
    }
    if spec.region:
        labels["topology.kubernetes.io/region"] = spec.region
    if spec.zone:
        labels["topology.kubernetes.io/zone"] = spec.zone
    # Each node has 1,024 addresses for its pods, as on the local control plane.
    third, second = (index * 4) % 256, 244 + (index * 4) // 256
    block = f"10.{second}.{third}.0/22"
    body: Json = {"podCIDR": block, "podCIDRs": [block]}
    if spec.taints:
        body["taints"] = [
            {"key": one.key, **({"value": one.value} if one.value else {}), "effect": one.effect} for one in spec.taints
        ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": {**labels, **spec.labels}},
        "spec": body,
        "status": posted(spec, now),
    }
