"""A root cause for each ordinal that is not ready."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from berth.core.diagnosis.containers import of_containers, of_readiness
from berth.core.diagnosis.model import Cause, Scene, Weight, event_time, held_by, latest, namespace_of
from berth.core.diagnosis.placing import force, node_trouble, of_node, of_scheduling
from berth.core.diagnosis.storage import claim_names, of_claims, of_volumes, terminating_claim
from berth.core.objects import Json, dig, ordinals, pod_name
from berth.core.readiness import held, outdated, owned_pods, pod_ready, stale, trapped

#: A pod that is still there this long after its grace period has ended is not stopping, but stuck.
_OVERDUE = timedelta(seconds=60)


def diagnose(statefulset: Json, scene: Scene) -> dict[int, Cause]:
    """A cause for each wanted ordinal that is not ready, lowest first; ready ordinals are left out.

    While the status is of an earlier spec, every cause is transient: the controller may be about to mend it.
    """
    pods = owned_pods(statefulset, scene.pods)
    blocking = trapped(statefulset, pods.values())
    causes: dict[int, Cause] = {}
    for ordinal in ordinals(statefulset):
        pod = pods.get(ordinal)
        if pod is None:
            causes[ordinal] = _after_eviction(
                statefulset, ordinal, None, scene, _missing(statefulset, ordinal, scene, causes)
            )
        elif not pod_ready(pod):
            cause = _after_eviction(statefulset, ordinal, pod, scene, _of_pod(statefulset, ordinal, pod, scene))
            causes[ordinal] = _of_revision(statefulset, ordinal, pod, cause, blocking)
    if stale(statefulset):
        return {ordinal: replace(cause, weight=Weight.TRANSIENT) for ordinal, cause in causes.items()}
    return causes


def _missing(statefulset: Json, ordinal: int, scene: Scene, before: Mapping[int, Cause]) -> Cause:
    set_name = statefulset["metadata"]["name"]
    name = pod_name(set_name, ordinal)
    ordered = statefulset["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    if ordered and before:
        return Cause(Weight.TRANSIENT, "Waits", f"{name} waits for {pod_name(set_name, min(before))} to be ready")
    for claim in claim_names(statefulset, ordinal):
        if dig(scene.claims.get(claim), "metadata", "deletionTimestamp"):
            return terminating_claim(scene.claims[claim], scene)
    refused = latest(scene.events, statefulset, ("FailedCreate",), f"Pod {name} ")
    made = latest(scene.events, statefulset, ("SuccessfulCreate",), f"Create Pod {name} ")
    if refused and not (made and event_time(made) > event_time(refused)):
        message = str(refused.get("message", ""))
        cause = _refused(name, message.partition("failed error: ")[2] or message)
        spoken = event_time(refused)
        if cause.weight is Weight.TERMINAL and (spoken < _last_changed(statefulset) or spoken < scene.since):
            # It was said of an earlier state. It may hold still, for the controller spares repeated events.
            return replace(cause, weight=Weight.SUSPECT)
        return cause
    return Cause(Weight.TRANSIENT, "NotCreated", f"{name} is not created yet")


def _refused(name: str, why: str) -> Cause:
    """Why the API server does not take the pod, or a claim that must come before it, from the controller's event."""
    said = f"{name} is refused: {why}"
    if "violates PodSecurity" in why:
        hint = "the namespace enforces Pod Security; `invoke lint` shows which rule the template breaks"
        return Cause(Weight.TERMINAL, "PodSecurity", said, hint)
    if "exceeded quota" in why:
        hint = "raise the quota, or ask for less with --set resources...; `kubectl describe quota` shows what is used"
        return Cause(Weight.SUSPECT, "Quota", said, hint)
    if "failed quota" in why:
        hint = "the quota wants every container to say how much it needs: --set resources..."
        return Cause(Weight.TERMINAL, "Quota", said, hint)
    if "is being deleted" in why:
        return Cause(Weight.SUSPECT, "ClaimTerminating", said, "the claim goes when no pod uses it")
    if "service account" in why:
        return Cause(Weight.SUSPECT, "NoAccount", said, "create the ServiceAccount, or name another one")
    if "admission webhook" in why:
        return Cause(Weight.SUSPECT, "Denied", said, "an admission policy of this cluster is against it")
    weight = Weight.TERMINAL if "is invalid" in why else Weight.SUSPECT
    return Cause(weight, "FailedCreate", said, "correct the pod template")


def _of_pod(statefulset: Json, ordinal: int, pod: Json, scene: Scene) -> Cause:
    if dig(pod, "metadata", "deletionTimestamp"):
        return _stopping(pod, scene)
    return (
        of_claims(statefulset, ordinal, scene)
        or of_scheduling(statefulset, ordinal, pod, scene)
        or of_node(pod, scene)
        or of_containers(pod, scene)
        or of_volumes(statefulset, ordinal, pod, scene)
        or of_readiness(pod, scene)
    )


def _stopping(pod: Json, scene: Scene) -> Cause:
    """A pod on its way out; its deletionTimestamp is when its grace period ends."""
    name, node = pod["metadata"]["name"], dig(pod, "spec", "nodeName", default="?")
    holders, now = held_by(pod), scene.now
    said = f"{name} is stopping{f', held by {holders}' if holders else ''}"
    if now is None or now < datetime.fromisoformat(pod["metadata"]["deletionTimestamp"]) + _OVERDUE:
        return Cause(Weight.TRANSIENT, "Terminating", said)
    said += ", and its grace period is over"
    if holders:
        return Cause(Weight.SUSPECT, "Terminating", said, "remove what the finalizer stands for")
    trouble = node_trouble(pod, scene)
    if trouble:
        hint = f"bring {node} back; if it is gone for good: {force(pod)}"
        return Cause(Weight.SUSPECT, "Terminating", f"{said}; {trouble}", hint)
    hint = f"does node {node} still answer? if it is gone for good: {force(pod)}"
    return Cause(Weight.SUSPECT, "Terminating", said, hint)


def _after_eviction(statefulset: Json, ordinal: int, pod: Json | None, scene: Scene, cause: Cause) -> Cause:
    """The cause with what became of the pod before: one that was evicted is gone, and only an event tells."""
    if cause.weight is not Weight.TRANSIENT or cause.reason in ("Waits", "Terminating"):
        return cause
    before = {"kind": "Pod", "metadata": {"name": pod_name(statefulset["metadata"]["name"], ordinal)}}
    uid = dig(pod, "metadata", "uid")
    events = [event for event in scene.events if uid is None or dig(event, "involvedObject", "uid") != uid]
    evicted = latest(events, before, ("Evicted",))
    if evicted is None or event_time(evicted) < scene.since:
        return cause
    said = str(evicted.get("message", "")).strip()
    return replace(cause, reason="Evicted", message=f"{cause.message}; the one before it was evicted: {said}")


def _of_revision(statefulset: Json, ordinal: int, pod: Json, cause: Cause, blocking: Collection[str]) -> Cause:
    """The cause as it weighs for a pod of an old revision, which an update may or may not replace."""
    if cause.weight is Weight.TRANSIENT or not outdated(statefulset, pod):
        return cause
    name = pod["metadata"]["name"]
    command = f"kubectl delete pod {name} -n {namespace_of(pod)}"
    if dig(statefulset, "spec", "updateStrategy", "type") == "OnDelete":
        hint = f"it is of an old revision, and OnDelete leaves it so; delete it: {command}, or `up --unstick`"
        return replace(cause, hint=hint)
    if name in blocking:
        hint = f"it is of an old revision and blocks its own fix; delete it: {command}, or `up --unstick`"
        return replace(cause, hint=hint)
    if held(statefulset, ordinal):
        return cause
    hint = f"it is of an old revision and about to be replaced; if that does not happen: {command}"
    return replace(cause, weight=Weight.SUSPECT, hint=hint)


def _last_changed(body: Json) -> str:
    """When somebody last wrote to the object other than to its status; empty where that is not kept."""
    writes = [e for e in dig(body, "metadata", "managedFields", default=[]) if not e.get("subresource")]
    return max((str(entry.get("time", "")) for entry in writes), default="")
