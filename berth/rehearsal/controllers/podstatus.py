"""What a kubelet says of a pod: phase, conditions and the states of containers, from what its containers do.

Pure functions over the API's own structures. Source: kubernetes pkg/kubelet/kubelet_pods.go (getPhase,
generateAPIPodStatus) and pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from berth.core.objects import Json

#: Conditions that a kubelet writes; it leaves all others to those who set them.
OWN_CONDITIONS = frozenset({"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"})


def waiting(reason: str, message: str = "") -> Json:
    """The state of a container that does not run yet, or is held back."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running(started: str) -> Json:
    """The state of a container that runs."""
    return {"running": {"startedAt": started}}


def terminated(
    exit_code: int, reason: str, started: str, finished: str, container_id: str = "", message: str = ""
) -> Json:
    """The state of a container that has ended."""
    state: Json = {"exitCode": exit_code, "reason": reason, "startedAt": started, "finishedAt": finished}
    state |= {"containerID": container_id} if container_id else {}
    return {"terminated": state | ({"message": message} if message else {})}


def kind_of(state: Mapping[str, Any]) -> str:
    """Which of the three states it is: waiting, running or terminated."""
    return next(iter(state), "waiting")


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Whether an init container goes on running beside the others."""
    return container.get("restartPolicy") == "Always"


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a container that ended so is started again."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def phase(spec: Mapping[str, Any], inits: Sequence[Json], mains: Sequence[Json], *, ending: bool = False) -> str:
    """The phase that follows from the containers' states; ``ending`` for a pod that is being deleted."""
    policy = spec.get("restartPolicy", "Always")
    begun = any(kind_of(entry["state"]) != "waiting" or entry.get("lastState") for entry in mains)
    entries = {entry["name"]: entry for entry in inits}
    for container in spec.get("initContainers") or ():
        entry = entries[container["name"]]
        if is_sidecar(container):
            if not begun and not entry.get("started"):
                return "Pending"
            continue
        ended = entry["state"].get("terminated") or (entry.get("lastState") or {}).get("terminated")
        if ended and ended["exitCode"] != 0 and policy == "Never":
            return "Failed"
        if not ended or "running" in entry["state"]:
            return "Pending"
    kinds = [kind_of(entry["state"]) for entry in mains]
    fresh = [entry for entry in mains if kind_of(entry["state"]) == "waiting" and not entry.get("lastState")]
    if fresh:
        return "Pending"
    if "running" in kinds:
        return "Running"
    codes = [_last_code(entry) for entry in mains]
    if not ending and any(restarts(policy, code) for code in codes):
        return "Running"
    return "Succeeded" if all(code == 0 for code in codes) else "Failed"


def _last_code(entry: Mapping[str, Any]) -> int:
    ended = entry["state"].get("terminated") or (entry.get("lastState") or {}).get("terminated") or {}
    return int(ended.get("exitCode", 0))


def conditions(
    pod: Json, inits: Sequence[Json], mains: Sequence[Json], phase: str, sandbox: bool, now: str
) -> list[Json]:
    """The conditions, those of others first; one whose status stays keeps the time of its transition."""
    generation = pod["metadata"].get("generation", 1)
    before = {entry["type"]: entry for entry in pod.get("status", {}).get("conditions") or ()}
    made = [entry for kind, entry in before.items() if kind not in OWN_CONDITIONS]
    containers = _containers_ready(pod["spec"], inits, mains, phase)
    wanted: list[tuple[str, str, str, str]] = [
        ("PodReadyToStartContainers", str(sandbox), "", ""),
        ("Initialized", *_initialized(pod["spec"], inits, mains, phase)),
        ("Ready", *(_gates(pod["spec"], made) if containers[0] == "True" else containers)),
        ("ContainersReady", *containers),
        ("PodScheduled", "True", "", ""),
    ]
    for kind, status, reason, message in wanted:
        old = before.get(kind)
        since = old["lastTransitionTime"] if old and old["status"] == status and old.get("lastTransitionTime") else now
        entry: Json = {"lastProbeTime": None, "lastTransitionTime": since}
        entry |= {"message": message} if message else {}
        entry |= {"observedGeneration": generation}
        entry |= {"reason": reason} if reason else {}
        made.append(entry | {"status": status, "type": kind})
    return made


def _containers_ready(
    spec: Mapping[str, Any], inits: Sequence[Json], mains: Sequence[Json], phase: str
) -> tuple[str, str, str]:
    if phase == "Failed":
        return "False", "PodFailed", ""
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    ready = {entry["name"]: entry["ready"] for entry in (*inits, *mains)}
    names = [one["name"] for one in spec.get("initContainers") or () if is_sidecar(one)]
    names += [one["name"] for one in spec["containers"]]
    unready = [name for name in names if not ready[name]]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _initialized(
    spec: Mapping[str, Any], inits: Sequence[Json], mains: Sequence[Json], phase: str
) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if any(entry.get("started") or kind_of(entry["state"]) != "waiting" or entry.get("lastState") for entry in mains):
        return "True", "", ""
    missing = incomplete(spec.get("initContainers") or (), inits)
    if missing:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(missing)}]"
    return "True", "", ""


def incomplete(containers: Iterable[Mapping[str, Any]], inits: Sequence[Json]) -> list[str]:
    """The init containers that still have to do their part, in order."""
    entries = {entry["name"]: entry for entry in inits}
    return [
        one["name"]
        for one in containers
        if not (entries[one["name"]].get("started") if is_sidecar(one) else entries[one["name"]]["ready"])
    ]


def _gates(spec: Mapping[str, Any], others: Sequence[Json]) -> tuple[str, str, str]:
    """What the pod's readiness gates make of containers that are all ready."""
    known = {entry["type"]: entry["status"] for entry in others}
    said = []
    for gate in spec.get("readinessGates") or ():
        name = gate["conditionType"]
        if name not in known:
            said.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif known[name] != "True":
            said.append(f'the status of pod readiness gate "{name}" is not "True", but {known[name]}')
    return ("False", "ReadinessGatesNotReady", ", ".join(said)) if said else ("True", "", "")
