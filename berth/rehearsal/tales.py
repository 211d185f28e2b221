"""What a change of an object means to people: the state that its lane shows, and the words that are told of it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from berth.core.objects import Json
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import CLAIMS, NODES, PODS, STATEFUL_SETS, VOLUMES


class State(StrEnum):
    """What a lane shows for a while."""

    PENDING = "pending"
    STARTING = "starting"
    UNREADY = "not ready"
    READY = "ready"
    FAILING = "failing"
    STOPPING = "stopping"
    BOUND = "bound"
    DELETING = "deleting"
    CORDONED = "cordoned"
    LOST = "lost"


#: What is told of a change: words, and whether they are bad news.
Tale = Iterable[tuple[str, bool]]

#: Why a container waits while all goes well.
_ON_ITS_WAY = ("ContainerCreating", "PodInitializing")
_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
#: Warnings whose news the objects themselves tell.
_TOLD_ELSEWHERE = ("BackOff", "Failed", "FailedScheduling", "NodeNotReady")


def pod_state(pod: Json) -> tuple[State, str]:
    """What a pod's lane shows: its state, and a reason, or the revision's hash."""
    if "deletionTimestamp" in pod["metadata"]:
        return State.STOPPING, ""
    why = failure(pod)
    if why:
        return State.FAILING, why
    if _ready(pod):
        return State.READY, revision(pod)
    if dig(pod, "status", "phase") == "Running":
        return State.UNREADY, revision(pod)
    return (State.STARTING if dig(pod, "spec", "nodeName") else State.PENDING), ""


def failure(pod: Json) -> str:
    """Why a pod fails: the reason that a container waits for, or how one ended; "" where none does."""
    for status in _containers(pod):
        reason = dig(status, "state", "waiting", "reason")
        if reason and reason not in _ON_ITS_WAY:
            return str(reason)
        ended = dig(status, "state", "terminated")
        if ended and ended.get("exitCode"):
            return _end(ended)
    return str(dig(pod, "status", "reason") or "Failed") if dig(pod, "status", "phase") == "Failed" else ""


def claim_state(claim: Json) -> tuple[State, str]:
    """What a claim's lane shows: its state and its size."""
    size = dig(claim, "status", "capacity", "storage") or ""
    if "deletionTimestamp" in claim["metadata"]:
        return State.DELETING, size
    return {"Bound": State.BOUND, "Lost": State.LOST}.get(dig(claim, "status", "phase"), State.PENDING), size


def node_state(node: Json) -> tuple[State, str]:
    """What a node's lane shows."""
    if not _ready(node):
        return State.LOST, ""
    return (State.CORDONED if dig(node, "spec", "unschedulable") else State.READY), ""


def revision(pod: Json) -> str:
    """The hash of the revision that a pod is of; "" where no set made it."""
    return str(dig(pod, "metadata", "labels", "controller-revision-hash") or "").rpartition("-")[2]


def images(pod: Json) -> str:
    """The images of a pod or a pod template, without the way to them: nginx:1.28."""
    found = [str(container.get("image", "")) for container in dig(pod, "spec", "containers") or ()]
    return ", ".join(image.rpartition("/")[2] for image in found)


def tell(kind: str, old: Json | None, new: Json | None) -> Tale:
    """What there is to say when an object of a kind (``apps/statefulsets``) came, changed or went."""
    teller = _TELLERS.get(kind)
    return teller(old, new) if teller is not None else ()


def warning(event: Json) -> str:
    """What an Event says that is worth telling; "" where the objects say it themselves."""
    if event.get("type") != "Warning" or event.get("reason") in _TOLD_ELSEWHERE:
        return ""
    return str(event.get("message", ""))


def _tell_pod(old: Json | None, new: Json | None) -> Tale:
    if new is None:
        yield "gone", False
        return
    if old is None:
        of = f", revision {revision(new)}" if revision(new) else ""
        yield f"created with {images(new)}{of}", False
        return
    if dig(new, "spec", "nodeName") != dig(old, "spec", "nodeName"):
        yield f"scheduled to {new['spec']['nodeName']}", False
    if "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]:
        yield "stopping", False
    unscheduled = _message(new, "PodScheduled", "False")
    if unscheduled not in (None, _message(old, "PodScheduled", "False")):
        yield f"not scheduled: {unscheduled}", True
    restarts = sum(status.get("restartCount", 0) for status in _containers(new))
    if restarts > sum(status.get("restartCount", 0) for status in _containers(old)):
        yield f"restart {restarts}{_last_end(new)}", True
    if "deletionTimestamp" in new["metadata"]:
        return
    why = failure(new)
    if why and why != failure(old):
        yield f"failing: {why}" + (f", {images(new)}" if why in _IMAGE_REASONS else ""), True
    if _ready(new) != _ready(old):
        yield ("ready", False) if _ready(new) else ("no longer ready", True)
    elif dig(new, "status", "phase") == "Running" != dig(old, "status", "phase"):
        yield "running, not ready yet", False


def _tell_claim(old: Json | None, new: Json | None) -> Tale:
    if new is None:
        yield "deleted", False
        return
    if old is None:
        wanted = dig(new, "spec", "resources", "requests", "storage")
        yield f"created, {wanted} of class {dig(new, 'spec', 'storageClassName') or 'none'}", False
        return
    phase, size = dig(new, "status", "phase"), dig(new, "status", "capacity", "storage")
    before = dig(old, "status", "capacity", "storage")
    if phase != dig(old, "status", "phase"):
        yield (f"bound to a volume of {size}", False) if phase == "Bound" else (str(phase).lower(), phase == "Lost")
    if before and size != before:
        yield f"grown from {before} to {size}", False
    if "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]:
        yield "to be deleted when no pod uses it", False


def _tell_volume(old: Json | None, new: Json | None) -> Tale:
    if new is None:
        yield "deleted, and the data with it", False
    elif old is not None and dig(new, "status", "phase") != dig(old, "status", "phase"):
        phase = dig(new, "status", "phase")
        keeps = dig(new, "spec", "persistentVolumeReclaimPolicy") == "Retain"
        if phase == "Failed" or (phase == "Released" and keeps):
            yield f"{phase.lower()}: the data is still in it", phase == "Failed"


def _tell_set(old: Json | None, new: Json | None) -> Tale:
    if new is None:
        yield "deleted", False
        return
    wanted = dig(new, "spec", "replicas")
    if old is None:
        yield f"created, {_pods(wanted)}", False
        return
    if wanted != dig(old, "spec", "replicas"):
        yield f"scaled from {dig(old, 'spec', 'replicas')} to {wanted}", False
    template = dig(new, "spec", "template")
    if template != dig(old, "spec", "template"):
        yield f"a new template, with {images(template)}", False
    partition = dig(new, "spec", "updateStrategy", "rollingUpdate", "partition")
    if partition != dig(old, "spec", "updateStrategy", "rollingUpdate", "partition"):
        yield f"partition {partition}", False
    if wanted and _complete(new) and not _complete(old):
        yield f"complete: {_pods(wanted)}", False


def _tell_node(old: Json | None, new: Json | None) -> Tale:
    if new is None or old is None:
        yield ("gone" if new is None else "joined"), new is None
        return
    if _ready(new) != _ready(old):
        yield ("ready", False) if _ready(new) else ("lost: its kubelet does not answer", True)
    if dig(new, "spec", "unschedulable") != dig(old, "spec", "unschedulable"):
        yield ("cordoned" if dig(new, "spec", "unschedulable") else "uncordoned"), False


_TELLERS = {
    PODS.key: _tell_pod,
    CLAIMS.key: _tell_claim,
    VOLUMES.key: _tell_volume,
    STATEFUL_SETS.key: _tell_set,
    NODES.key: _tell_node,
}


def _pods(number: int) -> str:
    return f"{number} pod" + ("" if number == 1 else "s")


def _complete(body: Json) -> bool:
    """Whether all pods of a set are available and of its newest revision."""
    status, wanted = body.get("status") or {}, dig(body, "spec", "replicas")
    return (
        status.get("observedGeneration") == body["metadata"].get("generation")
        and status.get("replicas") == wanted == status.get("availableReplicas", 0)
        and status.get("currentRevision") == status.get("updateRevision")
    )


def _containers(pod: Json) -> list[Json]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _last_end(pod: Json) -> str:
    """How the container ended that was restarted last."""
    ends = [(status["name"], end) for status in _containers(pod) if (end := dig(status, "lastState", "terminated"))]
    if not ends:
        return ""
    name, end = max(ends, key=lambda found: str(found[1].get("finishedAt", "")))
    return f": {name} ended with {_end(end)}"


def _end(terminated: Json) -> str:
    reason = terminated.get("reason")
    code = f"exit code {terminated.get('exitCode', 0)}"
    return code if reason in (None, "Error", "Completed") else f"{reason}, {code}"


def _condition(body: Json, name: str) -> Json:
    conditions = dig(body, "status", "conditions") or ()
    return next((condition for condition in conditions if condition["type"] == name), {})


def _ready(body: Json) -> bool:
    return _condition(body, "Ready").get("status") == "True"


def _message(body: Json, name: str, status: str) -> str | None:
    condition = _condition(body, name)
    return condition.get("message") if condition.get("status") == status else None
