"""Conditions in the status of pods and nodes."""

from __future__ import annotations

from collections.abc import Sequence

from berth.core.objects import Json


def found(body: Json, kind: str) -> Json | None:
    """The condition of a type; None where there is none."""
    conditions: Sequence[Json] = (body.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), None)


def with_condition(body: Json, now: str, kind: str, status: str, reason: str = "", message: str = "") -> Json:
    """A copy with a pod's condition as it is now; the same object when nothing changes.

    The time of the last transition moves with the status only (kubernetes pkg/api/v1/pod UpdatePodCondition).
    """
    before = found(body, kind)
    since = before.get("lastTransitionTime", now) if before and before["status"] == status else now
    entry: Json = {"type": kind}
    if body["metadata"].get("generation"):
        entry["observedGeneration"] = body["metadata"]["generation"]
    entry |= {"status": status, "lastProbeTime": None, "lastTransitionTime": since}
    entry |= {key: text for key, text in (("reason", reason), ("message", message)) if text}
    if entry == before:
        return body
    conditions = list((body.get("status") or {}).get("conditions") or ())
    if before is None:
        conditions.append(entry)
    else:
        conditions = [entry if one["type"] == kind else one for one in conditions]
    return {**body, "status": {**(body.get("status") or {}), "conditions": conditions}}
