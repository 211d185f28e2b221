"""The row of a pod: its status is put together from phase, reasons, containers and deletion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.tables.text import age, since

_ENDED = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


def pod_conditions(pod: Json) -> list[Json]:
    """The row's conditions: kubectl leaves out the rows of pods that have completed when asked to."""
    phase = (pod.get("status") or {}).get("phase")
    if phase not in _ENDED:
        return []
    reason, message = _ENDED[phase]
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]


def pod_cells(pod: Json, now: float) -> list[Any]:
    """The cells. Source of the rules: kubernetes pkg/printers/internalversion, printPod."""
    spec, status, meta = pod.get("spec") or {}, pod.get("status") or {}, pod["metadata"]
    count = _counted(spec, status)
    reason = count.reason
    if meta.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Failed", "Succeeded"):
            reason = "Terminating"
    restarts = str(count.restarts)
    if count.restarts and count.last:
        restarts = f"{restarts} ({since(count.last, now)} ago)"
    addresses = status.get("podIPs") or [{}]
    return [
        meta["name"],
        f"{count.ready}/{count.total}",
        reason,
        restarts,
        age(pod, now),
        addresses[0].get("ip") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _gates(spec, status),
    ]


@dataclass(slots=True)
class _Count:
    """What was found so far; ``last`` is the time of the last restart that has one."""

    reason: str
    total: int
    ready: int = 0
    restarts: int = 0
    last: str = ""
    sidecars: frozenset[str] = field(default_factory=frozenset)

    def restarted(self, container: Json) -> None:
        """Count the restarts of a container."""
        self.restarts += container.get("restartCount") or 0
        ended = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, ended)


def _counted(spec: Json, status: Json) -> _Count:
    reason = status.get("reason") or status.get("phase") or ""
    conditions = status.get("conditions") or []
    if any(one["type"] == "PodScheduled" and one.get("reason") == "SchedulingGated" for one in conditions):
        reason = "SchedulingGated"
    inits = spec.get("initContainers") or []
    sidecars = frozenset(one["name"] for one in inits if one.get("restartPolicy") == "Always")
    count = _Count(reason, len(spec.get("containers") or []) + len(sidecars), sidecars=sidecars)
    initializing = _initializing(count, status, len(inits))
    if not initializing or _is_true(conditions, "Initialized"):
        _running(count, status)
    return count


def _initializing(count: _Count, status: Json, inits: int) -> bool:
    """Count the init containers; whether one of them is not done, which is then the reason."""
    for number, container in enumerate(status.get("initContainerStatuses") or []):
        count.restarted(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container["name"] in count.sidecars and container.get("started"):
            count.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            count.reason = "Init:" + _end(terminated)
        elif waiting and waiting.get("reason", "PodInitializing") not in ("", "PodInitializing"):
            count.reason = f"Init:{waiting['reason']}"
        else:
            count.reason = f"Init:{number}/{inits}"
        return True
    return False


def _running(count: _Count, status: Json) -> None:
    count.restarts, count.last = 0, ""
    for container in status.get("initContainerStatuses") or []:
        if container["name"] in count.sidecars:
            count.restarted(container)
    running, error = False, ""
    for container in reversed(status.get("containerStatuses") or []):
        count.restarted(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if waiting and waiting.get("reason"):
            count.reason = waiting["reason"]
        elif terminated is not None:
            count.reason = _end(terminated)
            error = count.reason if terminated.get("exitCode") else error
        elif container.get("ready") and state.get("running") is not None:
            running = True
            count.ready += 1
    if count.reason == "Completed":
        if running and _is_true(status.get("conditions") or [], "Ready"):
            count.reason = "Running"
        elif error:
            count.reason = error
        elif running:
            count.reason = "NotReady"


def _end(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


def _gates(spec: Json, status: Json) -> str:
    gates = spec.get("readinessGates") or []
    passed = sum(_is_true(status.get("conditions") or [], gate["conditionType"]) for gate in gates)
    return f"{passed}/{len(gates)}" if gates else "<none>"


def _is_true(conditions: list[Json], kind: str) -> bool:
    return any(one["type"] == kind and one.get("status") == "True" for one in conditions)
