"""A pod gets its node: what the API server writes for the binding subresource, which the scheduler uses.

Source: kubernetes pkg/registry/core/pod/storage (assignPod) and plugin/pkg/admission/podtopologylabels. A binding
leaves no trace in the managed fields and does not count as a new generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.admission import topology_labels
from berth.rehearsal.controllers.conditions import found
from berth.rehearsal.kinds import NODES, PODS
from berth.rehearsal.refusal import conflict

if TYPE_CHECKING:
    from berth.rehearsal.world import World


def bind(world: World, pod: Json, node_name: str) -> Json:
    """Write a pod's node.

    Raises:
        ApiError: it has one already, or is being deleted, or its node was never promised to it (scheduling gates).
    """
    meta, spec = pod["metadata"], pod["spec"]
    if "deletionTimestamp" in meta:
        raise conflict(PODS, meta["name"], f"pod {meta['name']} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise conflict(PODS, meta["name"], f'pod {meta["name"]} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise conflict(PODS, meta["name"], f"pod {meta['name']} has non-empty .spec.schedulingGates")
    node = world.store.get(NODES, "", node_name)
    labels = {**(meta.get("labels") or {}), **(topology_labels(node) if node else {})}
    status = {key: value for key, value in (pod.get("status") or {}).items() if key != "nominatedNodeName"}
    conditions = [one for one in status.get("conditions") or () if one["type"] != "PodScheduled"]
    before = found(pod, "PodScheduled")
    now = world.clock.timestamp()
    since = before["lastTransitionTime"] if before and before["status"] == "True" else now
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": since}
    status["conditions"] = [*conditions, scheduled]
    return world.store.update(
        PODS,
        {
            **pod,
            "metadata": {**meta, **({"labels": labels} if labels else {})},
            "spec": {**spec, "nodeName": node_name},
            "status": status,
        },
    )
