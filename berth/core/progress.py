"""How far one ordinal is: (set, pod, claims) -> stage. What the live line of an ordinal shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from berth.core.events import OrdinalState
from berth.core.objects import Json, claim_name, dig, pod_name
from berth.core.readiness import held, outdated, pod_ready

#: The stages in the order in which a pod goes through them.
STAGES = ("waiting", "claim", "scheduling", "image", "init", "start", "settling", "ready")


def ordinal_state(
    statefulset: Json, ordinal: int, pod: Json | None, claims: Mapping[str, Json], now: datetime
) -> OrdinalState:
    """The stage of an ordinal, with a detail for people."""
    set_name = statefulset["metadata"]["name"]
    name = pod_name(set_name, ordinal)

    def state(stage: str, detail: str = "", done: bool = False) -> OrdinalState:
        return OrdinalState(set_name, ordinal, name, stage, detail, done)

    if pod is None:
        return state("waiting", "not created yet")
    if dig(pod, "metadata", "deletionTimestamp"):
        return state("stopping", f"up to {dig(pod, 'metadata', 'deletionGracePeriodSeconds', default=30)}s")
    if pod_ready(pod):
        if outdated(statefulset, pod) and not held(statefulset, ordinal):
            return state("ready", "old revision, to be replaced")
        rest = _settling(statefulset, pod, now)
        if rest > 0:
            return state("settling", f"{rest:.0f}s of minReadySeconds left")
        node = str(dig(pod, "spec", "nodeName", default=""))
        return state("ready", f"{node}, old revision" if outdated(statefulset, pod) else node, done=True)
    if not dig(pod, "spec", "nodeName"):
        unfit = _unschedulable(pod)
        if unfit and "PersistentVolumeClaim" not in unfit:
            # A claim that waits for its first consumer is pending only because the pod is.
            return state("scheduling", unfit)
        for template in statefulset["spec"].get("volumeClaimTemplates") or []:
            wanted = claim_name(template["metadata"]["name"], set_name, ordinal)
            phase = dig(claims.get(wanted) or {}, "status", "phase", default="absent")
            if phase != "Bound":
                return state("claim", f"{wanted} is {phase.lower()}")
        return state("scheduling", "no node yet")
    return state(*_containers(pod))


def _containers(pod: Json) -> tuple[str, str]:
    status = pod.get("status") or {}
    sidecars = {
        container["name"]
        for container in dig(pod, "spec", "initContainers", default=[]) or []
        if container.get("restartPolicy") == "Always"
    }
    for container in status.get("initContainerStatuses") or []:
        if container["name"] in sidecars and container.get("started"):
            continue
        if dig(container, "state", "terminated", "exitCode") != 0:
            return "init", f"{container['name']} ({_doing(container)})"
    containers = status.get("containerStatuses") or []
    for container in containers:
        if dig(container, "state", "running") is None:
            doing = _doing(container)
            return ("image" if "Pull" in doing or doing == "ContainerCreating" else "start"), doing
    return ("start", "runs, not ready yet") if containers else ("image", f"on {pod['spec']['nodeName']}")


def _unschedulable(pod: Json) -> str:
    """Why the scheduler has no node for the pod; empty when it has not said."""
    for condition in dig(pod, "status", "conditions", default=[]):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", "")).partition(". ")[0]
    return ""


def _doing(container: Json) -> str:
    waiting = dig(container, "state", "waiting", "reason")
    if waiting:
        return str(waiting)
    return "running" if dig(container, "state", "running") is not None else "ended"


def _settling(statefulset: Json, pod: Json, now: datetime) -> float:
    """The seconds of minReadySeconds that a ready pod still has before it."""
    needed = int(statefulset["spec"].get("minReadySeconds", 0))
    for condition in dig(pod, "status", "conditions", default=[]):
        if needed and condition["type"] == "Ready" and condition.get("lastTransitionTime"):
            since = datetime.fromisoformat(str(condition["lastTransitionTime"]))
            # Never more than all of it: the cluster's clock may be ahead of the one that we go by.
            return min(needed, needed - (now - since).total_seconds())
    return 0
