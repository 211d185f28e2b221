"""nodeSelector and required node affinity, which several rules ask for."""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.controllers.scheduling import selecting
from berth.rehearsal.controllers.scheduling.snapshot import NodeInfo, PodInfo


def required_affinity(pod: PodInfo) -> Json | None:
    """The NodeSelector of the pod's required node affinity."""
    found = ((pod.body["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return found if isinstance(found, dict) else None


def selected(pod: PodInfo, node: NodeInfo) -> bool:
    """Whether nodeSelector and required node affinity allow the node."""
    for key, value in (pod.body["spec"].get("nodeSelector") or {}).items():
        if node.labels.get(key) != value:
            return False
    required = required_affinity(pod)
    return required is None or selecting.node_selector_matches(required, node.labels, node.name)
