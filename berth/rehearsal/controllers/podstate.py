"""What a pod's status says, as Kubernetes' own controllers ask it.

Source: kubernetes pkg/api/v1/pod and pkg/controller/statefulset.
"""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.clock import seconds_of


def condition(pod: Json, kind: str) -> Json | None:
    """The condition of a type; None where the pod has none."""
    for entry in pod.get("status", {}).get("conditions") or ():
        if entry["type"] == kind:
            found: Json = entry
            return found
    return None


def phase(pod: Json) -> str:
    """The phase; "" for a pod that was only thought of, never created."""
    return str(pod.get("status", {}).get("phase", ""))


def is_ready(pod: Json) -> bool:
    """Whether its Ready condition is true."""
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def is_running_and_ready(pod: Json) -> bool:
    """Whether it runs and is ready."""
    return phase(pod) == "Running" and is_ready(pod)


def available_at(pod: Json, min_ready_seconds: int) -> float | None:
    """When it counts as available, in virtual seconds; None while it is not ready, 0 where no time is asked of it."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = ready.get("lastTransitionTime")
    return seconds_of(since) + min_ready_seconds if since else None


def is_available(pod: Json, min_ready_seconds: int, now: float) -> bool:
    """Whether it has been ready for so many seconds."""
    due = available_at(pod, min_ready_seconds)
    return due is not None and due <= now


def is_terminating(pod: Json) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def is_terminal(pod: Json) -> bool:
    """Whether it has ended, well or badly, and will never run again."""
    return phase(pod) in ("Failed", "Succeeded")
