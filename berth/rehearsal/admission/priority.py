"""Priority: the number that a pod's priority class stands for."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.admission.view import CREATE, View, refuse, refuse_early
from berth.rehearsal.kinds import PODS, PRIORITY_CLASSES

_FIELDS = ("priority", "preemptionPolicy")


def resolved(view: View, pod: Json) -> Json:
    """The pod with the priority and preemption policy of its class, or of the default one.

    Raises:
        ApiError: 403 for an unknown class, and for a number or policy that differs from its class's.
    """
    spec = pod["spec"]
    name = spec.get("priorityClassName") or ""
    found: Json | None
    if name:
        found = view.get(PRIORITY_CLASSES, "", name)
        if found is None:
            raise refuse_early(PODS, pod, f"no PriorityClass with name {name} was found")
    else:
        found = _default(view)
    priority, policy = (0, "PreemptLowerPriority") if found is None else (found["value"], found.get("preemptionPolicy"))
    stated: Any = spec.get("priority")
    if stated is not None and stated != priority:
        why = f"the integer value of priority ({stated}) must not be provided in pod spec; priority admission "
        raise refuse_early(PODS, pod, f"{why}controller computed {priority} from the given PriorityClass name")
    new = {**spec, "priority": priority}
    if found is not None:
        new["priorityClassName"] = found["metadata"]["name"]
    if policy is not None:
        stated = spec.get("preemptionPolicy")
        if stated is not None and stated != policy:
            why = (
                f"the string value of PreemptionPolicy ({stated}) must not be provided in pod spec; priority admission "
            )
            raise refuse_early(PODS, pod, f"{why}controller computed {policy} from the given PriorityClass name")
        new["preemptionPolicy"] = policy
    return {**pod, "spec": new}


def kept(pod: Json, old: Json) -> Json:
    """The pod with the numbers that it had: a client that leaves them out does not mean to take them away."""
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    missing = {key: before[key] for key in _FIELDS if key in before and key not in spec}
    return {**pod, "spec": {**spec, **missing}} if missing else pod


def check_class(view: View, operation: str, obj: Json) -> None:
    """Let a priority class pass.

    Raises:
        ApiError: 403, it would be the second default.
    """
    if not obj.get("globalDefault"):
        return
    default = _default(view)
    if default is None:
        return
    name = default["metadata"]["name"]
    if operation == CREATE or name != obj["metadata"]["name"]:
        why = f"PriorityClass {name} is already marked as default. Only one default can exist"
        raise refuse(PRIORITY_CLASSES, obj, why)


def _default(view: View) -> Json | None:
    defaults = [one for one in view.list(PRIORITY_CLASSES) if one.get("globalDefault")]
    return min(defaults, key=lambda one: one.get("value", 0), default=None)
