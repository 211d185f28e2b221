"""When is an object ready: (object, now) -> Verdict, one small function per kind.

Readiness is computed from the object's own status, and never from a stale one: a status whose observedGeneration
is behind says nothing, neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from berth.core.objects import INSTANCE_LABEL, Json, dig, ordinal_of, ordinals, pod_name


class Status(StrEnum):
    """How far an object is."""

    CURRENT = "current"
    IN_PROGRESS = "in progress"
    STUCK = "stuck"
    FAILED = "failed"
    TERMINATING = "terminating"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status, a reason in one word, a message for people, and what to try."""

    status: Status
    reason: str
    message: str
    hint: str = ""

    @property
    def current(self) -> bool:
        """Whether nothing remains to wait for."""
        return self.status is Status.CURRENT


def judge(body: Json, pods: Iterable[Json] = ()) -> Verdict:
    """The verdict on one object; ``pods`` are those of the namespace (only a StatefulSet looks at them)."""
    if dig(body, "metadata", "deletionTimestamp"):
        finalizers = ", ".join(dig(body, "metadata", "finalizers", default=[]))
        held = f"held by {finalizers}" if finalizers else "being deleted"
        return Verdict(Status.TERMINATING, "Terminating", held)
    rule = _RULES.get(body["kind"])
    if rule:
        return rule(body)
    if body["kind"] == "StatefulSet":
        return judge_set(body, pods)
    return Verdict(Status.CURRENT, "Exists", "exists")


def judge_set(body: Json, pods: Iterable[Json] = ()) -> Verdict:
    """When a StatefulSet is what its spec says.

    Ready and available replicas equal the wanted ones, no pod of the set is left over, and the pods that the update
    strategy covers are of the update revision. Under a partition only the ordinals at or above it need be; under
    OnDelete none need be, and the message counts those that await deletion. Where the set's pods are given, they
    must be those of the wanted ordinals, and none on its way out: the counters alone do not tell (raise
    ``ordinals.start``, and for a moment the status of the new generation still counts the old ordinals).

    Sources: kubernetes pkg/controller/statefulset/stateful_set_control.go (updateStatefulSet, computeReplicaStatus)
    and stateful_set_utils.go (completeRollingUpdate). currentRevision becomes updateRevision when every pod is of
    it, and not at all under OnDelete: equality is therefore required only without a partition.
    """
    spec, status = body["spec"], body.get("status") or {}
    if stale(body):
        return _waiting("Observed", "the controller has not seen the latest change yet")
    wanted = len(ordinals(body))
    total, ready = int(status.get("replicas", 0)), int(status.get("readyReplicas", 0))
    available, updated = int(status.get("availableReplicas", 0)), int(status.get("updatedReplicas", 0))
    if total > wanted:
        return _waiting("ScalingDown", f"{total} pods, {wanted} wanted")
    due = sum(not held(body, ordinal) for ordinal in ordinals(body))
    rolling = status.get("currentRevision") != status.get("updateRevision")
    if updated < due and rolling:
        return _waiting("Updating", f"{updated} of {due} pods are of the new revision")
    if total < wanted or ready < wanted:
        return _waiting("Starting", f"{ready} of {wanted} pods ready")
    if available < wanted:
        seconds = int(spec.get("minReadySeconds", 0))
        return _waiting("Settling", f"{available} of {wanted} pods ready for the {seconds}s of minReadySeconds")
    owned = owned_pods(body, pods)
    moving = _moving(body, owned)
    if moving:
        return moving
    if updated < due:
        return _waiting("Replacing", f"{due - updated} of {wanted} pods stopping, to be made anew")
    if dig(spec, "updateStrategy", "type") == "OnDelete":
        if updated < wanted:
            old = [owned[ordinal]["metadata"]["name"] for ordinal in sorted(owned) if outdated(body, owned[ordinal])]
            names = f": {', '.join(old)}" if old else ""
            return Verdict(Status.CURRENT, "OnDelete", f"{wanted} ready; {wanted - updated} await deletion{names}")
    elif rolling and not dig(spec, "updateStrategy", "rollingUpdate", "partition", default=0):
        return _waiting("Updating", "the rollout is not recorded as complete yet")
    elif rolling:
        return Verdict(Status.CURRENT, "Partitioned", f"{wanted} ready, {updated} of the new revision, held there")
    return Verdict(Status.CURRENT, "Ready", f"{wanted} ready")


def owned_pods(statefulset: Json, pods: Iterable[Json]) -> dict[int, Json]:
    """The set's pods by ordinal: those whose controller it is and whose name is of its form."""
    name, uid = statefulset["metadata"]["name"], statefulset["metadata"].get("uid")
    found: dict[int, Json] = {}
    for pod in pods:
        ordinal = ordinal_of(pod["metadata"]["name"], name)
        if ordinal is None:
            continue
        owner = controller_of(pod)
        if owner is not None and (uid is None or owner.get("uid") == uid):
            found[ordinal] = pod
    return found


def controller_of(body: Json) -> Mapping[str, Any] | None:
    """The owner reference that controls an object."""
    return next((ref for ref in dig(body, "metadata", "ownerReferences", default=[]) if ref.get("controller")), None)


def pod_ready(pod: Json) -> bool:
    """Whether the pod's Ready condition holds and it is not on its way out."""
    conditions = dig(pod, "status", "conditions", default=[])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not dig(pod, "metadata", "deletionTimestamp")


def pod_revision(pod: Json) -> str:
    """The revision of the StatefulSet that the pod was made from."""
    return str(dig(pod, "metadata", "labels", "controller-revision-hash", default=""))


def stale(statefulset: Json) -> bool:
    """Whether the status is of an earlier spec, and so says nothing of this one."""
    observed = int(dig(statefulset, "status", "observedGeneration", default=0))
    return observed < int(dig(statefulset, "metadata", "generation", default=0))


def outdated(statefulset: Json, pod: Json) -> bool:
    """Whether the pod was made from another revision than the set's newest; False where either is unknown."""
    update = dig(statefulset, "status", "updateRevision")
    return bool(update) and not stale(statefulset) and pod_revision(pod) not in ("", update)


def held(statefulset: Json, ordinal: int) -> bool:
    """Whether the update strategy leaves the pod of an ordinal as it is: OnDelete, or below the partition.

    The controller counts the partition from the first ordinal, not from zero. Source: newVersionedStatefulSetPod
    (getStartOrdinal + partition) and updateStatefulSet (an index into the replicas) in
    kubernetes pkg/controller/statefulset.
    """
    strategy = dig(statefulset, "spec", "updateStrategy", default={})
    if strategy.get("type", "RollingUpdate") == "OnDelete":
        return True
    return ordinal < ordinals(statefulset).start + int(dig(strategy, "rollingUpdate", "partition", default=0))


def trapped(statefulset: Json, pods: Iterable[Json]) -> list[str]:
    """Names of pods in the OrderedReady trap: not ready, of an old revision, and so blocking their own fix.

    The controller waits for such a pod to become ready before it would update it, which it never will. A pod that is
    only starting looks the same: whether it can still become ready is for a diagnosis to say. Pods below the
    partition are left out, for they would come back at their old revision. Under OnDelete nobody but the user replaces
    such a pod, so that it is in no better place. Source: kubernetes/kubernetes#67250, "Forced rollback" in the
    StatefulSet documentation, and processReplica in stateful_set_control.go.
    """
    owned = owned_pods(statefulset, pods)
    old = {pod["metadata"]["name"] for pod in owned.values() if outdated(statefulset, pod)}
    return [name for name in would_trap(statefulset, owned.values()) if name in old]


def would_trap(statefulset: Json, pods: Iterable[Json]) -> list[str]:
    """Names of pods that would be in the trap after a change of the template; see `trapped`."""
    on_delete = dig(statefulset, "spec", "updateStrategy", "type") == "OnDelete"
    ordered = statefulset["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    return [
        pod["metadata"]["name"]
        for ordinal, pod in sorted(owned_pods(statefulset, pods).items())
        if on_delete or (ordered and not held(statefulset, ordinal))
        if not pod_ready(pod) and not dig(pod, "metadata", "deletionTimestamp")
    ]


def pod_selector(release: str, manifests: Iterable[Json]) -> str | None:
    """The label selector by which the pods of a release are found, and the claims of its sets.

    It is the release's name, which selectors hold. That of a set that ran before berth may not, and cannot be changed:
    then it is that selector itself, whose labels the controller puts on claims, too; or None, all of the namespace,
    where one list is not enough.
    """
    sets = [body for body in manifests if body.get("kind") == "StatefulSet"]
    selectors = [dig(body, "spec", "selector", default={}) for body in sets]
    labels = [selector.get("matchLabels") or {} for selector in selectors]
    if all(one.get(INSTANCE_LABEL) == release for one in labels):
        return f"{INSTANCE_LABEL}={release}"
    if len(sets) > 1 or selectors[0].get("matchExpressions"):
        return None
    return ",".join(f"{key}={value}" for key, value in sorted(labels[0].items())) or None


def belongs(body: Json, release: str) -> bool:
    """Whether an object's labels name the release."""
    return bool(dig(body, "metadata", "labels", INSTANCE_LABEL) == release)


def _moving(statefulset: Json, owned: Mapping[int, Json]) -> Verdict | None:
    """What of the pods the counters do not tell; None when no pod is known, or all is as it should be."""
    wanted, name = ordinals(statefulset), statefulset["metadata"]["name"]
    missing = [pod_name(name, ordinal) for ordinal in wanted if ordinal not in owned]
    if owned and missing:
        return _waiting("Starting", f"{', '.join(missing)} not created yet")
    condemned = [pod_name(name, ordinal) for ordinal in sorted(owned) if ordinal not in wanted]
    if condemned:
        return _waiting("ScalingDown", f"{', '.join(condemned)} not wanted any more")
    stopping = [pod_name(name, o) for o in wanted if o in owned and dig(owned[o], "metadata", "deletionTimestamp")]
    if stopping:
        return _waiting("Replacing", f"{', '.join(stopping)} stopping, to be made anew")
    return None


def _waiting(reason: str, message: str) -> Verdict:
    return Verdict(Status.IN_PROGRESS, reason, message)


def _namespace(body: Json) -> Verdict:
    phase = dig(body, "status", "phase", default="Active")
    if phase == "Terminating":
        return Verdict(Status.TERMINATING, "Terminating", "the namespace is being deleted")
    return Verdict(Status.CURRENT, "Active", "exists")


def _claim(body: Json) -> Verdict:
    phase = dig(body, "status", "phase", default="Pending")
    if phase == "Bound":
        return Verdict(Status.CURRENT, "Bound", "bound")
    if phase == "Lost":
        return Verdict(Status.FAILED, "Lost", "its volume is gone", "restore the volume, or delete the claim")
    # A claim of a WaitForFirstConsumer class binds only when a pod wants it: never something to wait for by itself.
    return Verdict(Status.CURRENT, "Pending", "waits for a pod")


def _job(body: Json) -> Verdict:
    for condition in dig(body, "status", "conditions", default=[]):
        if condition["status"] == "True" and condition["type"] == "Complete":
            return Verdict(Status.CURRENT, "Complete", "completed")
        if condition["status"] == "True" and condition["type"] == "Failed":
            return Verdict(Status.FAILED, "Failed", str(condition.get("message", "failed")), "read the job's pod logs")
    return _waiting("Running", "not complete yet")


def _deployment(body: Json) -> Verdict:
    status, wanted = body.get("status") or {}, int(dig(body, "spec", "replicas", default=1))
    if int(status.get("observedGeneration", 0)) < int(dig(body, "metadata", "generation", default=0)):
        return _waiting("Observed", "the controller has not seen the latest change yet")
    for condition in status.get("conditions", []):
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Verdict(Status.FAILED, "ProgressDeadlineExceeded", str(condition.get("message", "")))
    done = min(int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0)))
    if done < wanted or int(status.get("replicas", 0)) > wanted:
        return _waiting("Progressing", f"{done} of {wanted} pods updated and available")
    return Verdict(Status.CURRENT, "Available", f"{wanted} available")


def _daemonset(body: Json) -> Verdict:
    status = body.get("status") or {}
    if int(status.get("observedGeneration", 0)) < int(dig(body, "metadata", "generation", default=0)):
        return _waiting("Observed", "the controller has not seen the latest change yet")
    wanted = int(status.get("desiredNumberScheduled", 0))
    done = min(int(status.get("updatedNumberScheduled", 0)), int(status.get("numberAvailable", 0)))
    if done < wanted:
        return _waiting("Progressing", f"{done} of {wanted} pods updated and available")
    return Verdict(Status.CURRENT, "Available", f"{wanted} available")


def _custom_resource_definition(body: Json) -> Verdict:
    for condition in dig(body, "status", "conditions", default=[]):
        if condition["type"] == "Established" and condition["status"] == "True":
            return Verdict(Status.CURRENT, "Established", "established")
    return _waiting("Establishing", "not served yet")


_RULES: dict[str, Callable[[Json], Verdict]] = {
    "Namespace": _namespace,
    "PersistentVolumeClaim": _claim,
    "Job": _job,
    "Deployment": _deployment,
    "DaemonSet": _daemonset,
    "CustomResourceDefinition": _custom_resource_definition,
}
