"""Whether a pod may run on a node, asked of one rule after the other; the first that says no gives the reason.

The rules stand in the order of kube-scheduler's default profile (pkg/scheduler/apis/config/v1/default_plugins.go): it
decides what a node is rejected for that would be rejected for several things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from berth.rehearsal.controllers.scheduling import selecting
from berth.rehearsal.controllers.scheduling.attachment import required_affinity, selected
from berth.rehearsal.controllers.scheduling.neighbours import Neighbours
from berth.rehearsal.controllers.scheduling.snapshot import Cluster, NodeInfo, PodInfo
from berth.rehearsal.controllers.scheduling.spreading import Spreading
from berth.rehearsal.controllers.scheduling.storage import PodStorage
from berth.rehearsal.controllers.scheduling.verdicts import Rejection

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to find a node: the pod, and what was found out about the whole cluster beforehand."""

    pod: PodInfo
    cluster: Cluster
    storage: PodStorage
    spreading: Spreading
    neighbours: Neighbours


Filter = Callable[[Attempt, NodeInfo], Rejection | None]


def named(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """Node affinity by name leaves the other nodes out before anything else is asked."""
    required = required_affinity(attempt.pod)
    names = selecting.named_nodes(required) if required else None
    if names is None or node.name in names:
        return None
    return Rejection(("node(s) didn't satisfy plugin(s) [NodeAffinity]",), final=True)


def unschedulable(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """The node is cordoned."""
    if not node.body.get("spec", {}).get("unschedulable"):
        return None
    if selecting.tolerates(attempt.pod.body["spec"].get("tolerations") or [], UNSCHEDULABLE_TAINT):
        return None
    return Rejection(("node(s) were unschedulable",), final=True)


def taints(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """The node has a taint that the pod does not tolerate; PreferNoSchedule is only a preference."""
    tolerations = attempt.pod.body["spec"].get("tolerations") or []
    for taint in node.taints:
        if taint["effect"] in ("NoSchedule", "NoExecute") and not selecting.tolerates(tolerations, taint):
            return Rejection(("node(s) had untolerated taint(s)",), final=True)
    return None


def affinity(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """The pod's nodeSelector and required node affinity."""
    return (
        None if selected(attempt.pod, node) else Rejection(("node(s) didn't match Pod's node affinity/selector",), True)
    )


def ports(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """The host ports that the pod wants."""
    wanted = attempt.pod.ports
    if not wanted:
        return None
    for other in node.pods.values():
        for protocol, number, address in other.ports:
            for one in wanted:
                same_address = "0.0.0.0" in (one[2], address) or one[2] == address
                if one[:2] == (protocol, number) and same_address:
                    return Rejection(("node(s) didn't have free ports for the requested pod ports",))
    return None


def room(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """The number of pods, and every resource that the pod requests."""
    reasons, final = [], False
    if len(node.pods) + 1 > node.allocatable.get("pods", 0):
        reasons.append("Too many pods")
    for name, wanted in attempt.pod.requests.items():
        has = node.allocatable.get(name, 0)
        if wanted > 0 and wanted > has - node.requested.get(name, 0):
            reasons.append(f"Insufficient {name}")
            final = final or wanted > has
    return Rejection(tuple(reasons), final) if reasons else None


def volumes(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """The claims: bound volumes that live elsewhere, unbound ones for which there is no volume here."""
    return attempt.storage.rejection(node)


def spread(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """The topology spread constraints that must hold."""
    return attempt.spreading.rejection(node)


def neighbours(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """Required pod affinity and anti-affinity, the pod's own and those of pods that are there."""
    return attempt.neighbours.rejection(node)


FILTERS: tuple[Filter, ...] = (*(named, unschedulable, taints, affinity, ports, room, volumes, spread, neighbours),)


def rejection(attempt: Attempt, node: NodeInfo) -> Rejection | None:
    """Why the node will not do; None when it will."""
    for rule in FILTERS:
        found = rule(attempt, node)
        if found is not None:
            return found
    return None
