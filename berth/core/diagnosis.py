"""Why is an ordinal not there: pods, claims and events -> one root cause per ordinal.

Causes are of three weights. A terminal one cannot heal by waiting, a suspect one fails the run when it lasts, a
transient one is what every start looks like.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from berth.core.objects import Json, claim_name, dig, ordinals, pod_name
from berth.core.readiness import held, outdated, owned_pods, pod_ready, stale, trapped

#: A pod that is still there this long after its grace period has ended is not stopping, but stuck.
_OVERDUE = timedelta(seconds=60)

#: A container that runs again after fewer restarts than this has its chance to become ready.
_MANY_RESTARTS = 3


class Weight(StrEnum):
    """What a cause means for the run."""

    TERMINAL = "terminal"
    SUSPECT = "suspect"
    TRANSIENT = "transient"


@dataclass(frozen=True, slots=True)
class LogsOf:
    """Which container's last lines belong to a cause; ``previous`` means the run before the restart."""

    pod: str
    container: str
    previous: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an ordinal is not ready: a reason in one word, a line for people, what to try."""

    weight: Weight
    reason: str
    message: str
    hint: str = ""
    logs: LogsOf | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a diagnosis looks at, all of one namespace. ``claims`` and ``classes`` are by name.

    Without ``now`` a pod that does not stop cannot be told from one that takes its time. What an event said before
    ``since`` (RFC 3339, UTC) may have been mended in the meantime, outside of the set.
    """

    pods: Sequence[Json] = ()
    claims: Mapping[str, Json] = field(default_factory=dict)
    classes: Mapping[str, Json] | None = None
    events: Sequence[Json] = ()
    now: datetime | None = None
    since: str = ""


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
            causes[ordinal] = _missing(statefulset, ordinal, scene, causes)
        elif not pod_ready(pod):
            cause = _of_pod(statefulset, ordinal, pod, scene)
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
    for claim in _claim_names(statefulset, ordinal):
        if dig(scene.claims.get(claim), "metadata", "deletionTimestamp"):
            return _terminating_claim(claim)
    refused = _latest(scene.events, statefulset, ("FailedCreate",), f"Pod {name} ")
    made = _latest(scene.events, statefulset, ("SuccessfulCreate",), f"Create Pod {name} ")
    if refused and not (made and _event_time(made) > _event_time(refused)):
        message = str(refused.get("message", ""))
        cause = _refused(name, message.partition("failed error: ")[2] or message)
        spoken = _event_time(refused)
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
        return _stopping(pod, scene.now)
    return (
        _of_claims(statefulset, ordinal, scene)
        or _of_scheduling(pod, scene)
        or _of_containers(pod, scene)
        or _of_volumes(pod, scene)
        or _of_readiness(pod, scene)
    )


def _stopping(pod: Json, now: datetime | None) -> Cause:
    """A pod on its way out; its deletionTimestamp is when its grace period ends."""
    name, node = pod["metadata"]["name"], dig(pod, "spec", "nodeName", default="?")
    finalizers = ", ".join(dig(pod, "metadata", "finalizers", default=[]))
    said = f"{name} is stopping{f', held by {finalizers}' if finalizers else ''}"
    if now is None or now < datetime.fromisoformat(pod["metadata"]["deletionTimestamp"]) + _OVERDUE:
        return Cause(Weight.TRANSIENT, "Terminating", said)
    hint = "remove what the finalizer stands for" if finalizers else f"does node {node} still answer? "
    if not finalizers:
        hint += f"if it is gone for good: kubectl delete pod {name} -n {_namespace(pod)} --force"
    return Cause(Weight.SUSPECT, "Terminating", f"{said}, and its grace period is over", hint)


def _of_revision(statefulset: Json, ordinal: int, pod: Json, cause: Cause, blocking: Collection[str]) -> Cause:
    """The cause as it weighs for a pod of an old revision, which an update may or may not replace."""
    if cause.weight is Weight.TRANSIENT or not outdated(statefulset, pod):
        return cause
    name = pod["metadata"]["name"]
    command = f"kubectl delete pod {name} -n {_namespace(pod)}"
    if name in blocking:
        return replace(cause, hint=f"it is of an old revision and blocks its own fix; delete it: {command}")
    if dig(statefulset, "spec", "updateStrategy", "type") == "OnDelete":
        return replace(cause, hint=f"it is of an old revision, and OnDelete leaves it so; delete it: {command}")
    if held(statefulset, ordinal):
        return cause
    hint = f"it is of an old revision and about to be replaced; if that does not happen: {command}"
    return replace(cause, weight=Weight.SUSPECT, hint=hint)


def _claim_names(statefulset: Json, ordinal: int) -> list[str]:
    templates = statefulset["spec"].get("volumeClaimTemplates") or []
    return [claim_name(t["metadata"]["name"], statefulset["metadata"]["name"], ordinal) for t in templates]


def _terminating_claim(name: str) -> Cause:
    return Cause(Weight.SUSPECT, "ClaimTerminating", f"claim {name} is being deleted", "it goes when no pod uses it")


def _of_claims(statefulset: Json, ordinal: int, scene: Scene) -> Cause | None:
    for name in _claim_names(statefulset, ordinal):
        claim = scene.claims.get(name)
        if claim is None:
            continue
        if dig(claim, "metadata", "deletionTimestamp"):
            return _terminating_claim(name)
        phase = dig(claim, "status", "phase", default="Pending")
        if phase == "Lost":
            hint = "restore the volume, or delete the claim if its data is not needed"
            return Cause(Weight.TERMINAL, "ClaimLost", f"claim {name} has lost its volume", hint)
        if phase == "Pending":
            cause = _pending_claim(name, claim, scene)
            if cause:
                return cause
    return None


def _pending_claim(name: str, claim: Json, scene: Scene) -> Cause | None:
    class_name = dig(claim, "spec", "storageClassName")
    if class_name == "":
        hint = "make a volume that fits it, or name a class"
        return Cause(Weight.SUSPECT, "NoVolume", f"claim {name} wants a volume made by hand, and none fits", hint)
    if class_name is None:
        hint = "name a class with --set storage.className=..., or make one the default"
        return Cause(Weight.SUSPECT, "NoClass", f"claim {name} has no class, and there is no default", hint)
    if scene.classes is not None and class_name not in scene.classes:
        hint = f"create the class, or choose one of: {', '.join(sorted(scene.classes)) or 'none exist'}"
        return Cause(Weight.SUSPECT, "NoClass", f"claim {name} asks for class {class_name}, which does not exist", hint)
    failed = _latest(scene.events, claim, ("ProvisioningFailed", "FailedBinding"))
    if failed:
        hint = f"look at the provisioner of class {class_name}"
        return Cause(Weight.SUSPECT, "Provisioning", f"claim {name} is not provisioned: {failed.get('message')}", hint)
    waiting = _latest(scene.events, claim, ("ExternalProvisioning",))
    if waiting:
        provisioner = dig(scene.classes or {}, class_name, "provisioner", default="?")
        return Cause(
            Weight.SUSPECT,
            "Provisioning",
            f"claim {name} waits for provisioner {provisioner}, which has not answered",
            f"is {provisioner} running in this cluster?",
        )
    return None


#: What the cluster autoscaler and Karpenter say of a pod that they bring a node for.
_NODE_COMING = ("TriggeredScaleUp", "Nominated")


def _of_scheduling(pod: Json, scene: Scene) -> Cause | None:
    for condition in dig(pod, "status", "conditions", default=[]):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            message = str(condition.get("message", "no node fits"))
            hint = "add nodes, or relax what the message names (resources, spread, taints, the volume's zone)"
            if condition.get("reason") == "SchedulingGated":
                return Cause(Weight.SUSPECT, "SchedulingGated", f"{pod['metadata']['name']}: {message}")
            coming = _latest(scene.events, pod, _NODE_COMING)
            if coming:
                said = f"{pod['metadata']['name']}: a node for it is being added ({coming.get('message', '')})"
                return Cause(Weight.TRANSIENT, "NodeComing", said)
            if "unbound immediate PersistentVolumeClaims" in message:
                hint = "its claim is not bound; `kubectl describe pvc` says why"
            return Cause(Weight.SUSPECT, "Unschedulable", f"{pod['metadata']['name']}: {message}", hint)
    return None


#: Waiting reasons of a container, from kubernetes pkg/kubelet/images, pkg/kubelet/kuberuntime and
#: k8s.io/cri-api/pkg/errors, with what to try.
_IMAGE_TERMINAL = {"InvalidImageName": "correct the image's name", "ErrImageNeverPull": "load the image onto the node"}
_IMAGE_SUSPECT = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_CONFIGURATION = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "RunContainerError",
)


def _of_containers(pod: Json, scene: Scene) -> Cause | None:
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            cause = _of_container(pod, container, "init container" if kind.startswith("init") else "container", scene)
            if cause:
                return cause
    if status.get("phase") == "Failed":
        reason = str(status.get("reason", "Failed"))
        hint = "the node was short of a resource" if reason == "Evicted" else ""
        return Cause(Weight.SUSPECT, reason, f"{pod['metadata']['name']}: {status.get('message', reason)}", hint)
    return None


def _of_container(pod: Json, container: Mapping[str, Any], noun: str, scene: Scene) -> Cause | None:
    pod_label, name = pod["metadata"]["name"], container["name"]
    waiting = dig(container, "state", "waiting", default={})
    reason, said = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    image = container.get("image", "?")
    if reason in _IMAGE_TERMINAL:
        return Cause(Weight.TERMINAL, reason, f"{pod_label}: image {image}: {said or reason}", _IMAGE_TERMINAL[reason])
    if reason in _IMAGE_SUSPECT:
        # The container only says that it backs off; the event that names the image says why.
        pulled = _latest(scene.events, pod, ("Failed",), image.split("/")[-1])
        text = str(pulled.get("message")) if pulled else said
        hint = "does the tag exist, and may the node pull it? (image.repository, image.tag, imagePullSecrets)"
        return Cause(Weight.SUSPECT, reason, f"{pod_label}: image {image} cannot be pulled: {text or reason}", hint)
    if reason in _CONFIGURATION:
        hint = "what the container refers to is missing or wrong (a Secret's or ConfigMap's key, a command)"
        return Cause(Weight.SUSPECT, reason, f"{pod_label}: {noun} {name}: {said or reason}", hint)
    return _crashed(pod, container, noun, reason)


def _crashed(pod: Json, container: Mapping[str, Any], noun: str, reason: str) -> Cause | None:
    """A container that ended and should not have; one that runs again is only suspect after some restarts."""
    ended = dig(container, "state", "terminated") or dig(container, "lastState", "terminated") or {}
    restarts, running = int(container.get("restartCount", 0)), _running(container)
    failing = ended.get("exitCode", 0) != 0 and (restarts > 0 or noun.startswith("init"))
    if container.get("ready") or not (failing or reason == "CrashLoopBackOff"):
        return None
    pod_label, name = pod["metadata"]["name"], container["name"]
    why, hint = f"ended with exit code {ended.get('exitCode', '?')}", "its last lines say why"
    if ended.get("reason") == "OOMKilled":
        why, hint = "ran out of memory", "raise resources.limits.memory"
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        why, hint = f"does not start: {ended.get('message', '')}", "is its command right, and in the image?"
    weight = Weight.TRANSIENT if running and restarts < _MANY_RESTARTS else Weight.SUSPECT
    logs = LogsOf(pod_label, name, previous=dig(container, "state", "terminated") is None)
    counted = f", {restarts} restart{'' if restarts == 1 else 's'}"
    return Cause(weight, reason or "Crashed", f"{pod_label}: {noun} {name} {why}{counted}", hint, logs)


#: What the kubelet and the attach controller say of volumes and of the sandbox, and what comes only after both.
_VOLUME_FAILED = ("FailedMount", "FailedMapVolume", "FailedAttachVolume", "FailedCreatePodSandBox")
_VOLUMES_DONE = ("Pulling", "Pulled", "Created", "Started")


def _of_volumes(pod: Json, scene: Scene) -> Cause | None:
    name = pod["metadata"]["name"]
    failed = _latest(scene.events, pod, (*_VOLUME_FAILED, *_VOLUMES_DONE))
    started = any(_running(container) for container in dig(pod, "status", "containerStatuses", default=[]))
    if not failed or failed.get("reason") not in _VOLUME_FAILED or started:
        return None
    message = str(failed.get("message", ""))
    if "Multi-Attach" in message:
        hint = "the volume is still attached to another node: is the old pod, or its node, really gone?"
        return Cause(Weight.SUSPECT, "MultiAttach", f"{name}: {message}", hint)
    return Cause(Weight.SUSPECT, str(failed.get("reason")), f"{name}: {message}", "`kubectl describe pod` has more")


def _of_readiness(pod: Json, scene: Scene) -> Cause:
    name = pod["metadata"]["name"]
    containers = dig(pod, "status", "containerStatuses", default=[])
    running = [container for container in containers if _running(container)]
    if running and len(running) == len(containers):
        probe = _latest(scene.events, pod, ("Unhealthy",))
        unready = next((c["name"] for c in containers if not c.get("ready")), containers[0]["name"])
        text = f": {str(probe.get('message')).splitlines()[0]}" if probe and probe.get("message") else ""
        hint = "its log says what it waits for" if probe else ""
        logs = LogsOf(name, unready, previous=False) if probe else None
        return Cause(Weight.TRANSIENT, "NotReady", f"{name} runs and is not ready yet{text}", hint, logs)
    initial = [c["name"] for c in dig(pod, "status", "initContainerStatuses", default=[]) if not c.get("ready")]
    if initial and dig(pod, "spec", "nodeName"):
        logs = LogsOf(name, initial[0], previous=False)
        return Cause(Weight.TRANSIENT, "Initializing", f"{name} is in its init container {initial[0]}", logs=logs)
    if dig(pod, "spec", "nodeName"):
        return Cause(Weight.TRANSIENT, "Creating", f"{name} is being created on {pod['spec']['nodeName']}")
    return Cause(Weight.TRANSIENT, "Pending", f"{name} is not scheduled yet")


def _running(container: Mapping[str, Any]) -> bool:
    return dig(container, "state", "running") is not None


def _latest(events: Iterable[Json], about: Json, reasons: Sequence[str], says: str = "") -> Json | None:
    """The newest event about this very object with one of the reasons, and with some words in its message.

    A pod comes back under its name, and events outlive what they are about by an hour: the uid tells them apart.
    """
    uid = dig(about, "metadata", "uid")
    matching = [
        event
        for event in events
        if event.get("reason") in reasons
        and dig(event, "involvedObject", "kind") == about.get("kind", dig(event, "involvedObject", "kind"))
        and dig(event, "involvedObject", "name") == about["metadata"]["name"]
        and (uid is None or dig(event, "involvedObject", "uid", default=uid) == uid)
        and says in str(event.get("message", ""))
    ]
    # Times are whole seconds: of equal ones the event that is listed last was made last.
    return max(reversed(matching), key=_event_time, default=None)


def _event_time(event: Json) -> str:
    times = (event.get("lastTimestamp"), event.get("eventTime"), dig(event, "series", "lastObservedTime"))
    return max((str(time) for time in times if time), default="")


def _last_changed(body: Json) -> str:
    """When somebody last wrote to the object other than to its status; empty where that is not kept."""
    writes = [e for e in dig(body, "metadata", "managedFields", default=[]) if not e.get("subresource")]
    return max((str(entry.get("time", "")) for entry in writes), default="")


def _namespace(body: Json) -> str:
    return str(dig(body, "metadata", "namespace", default="default"))
