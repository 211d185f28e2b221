"""ResourceQuota: what a namespace may use in all, and what it uses.

Use is counted from the objects that there are, at the moment of the question: the status that a real cluster's
controller keeps, without its delay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from berth.core.objects import Json
from berth.rehearsal.admission.quota_use import Amount, counts, use_of
from berth.rehearsal.admission.view import CREATE, View, refuse
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import KINDS, PODS, QUOTAS, Kind
from berth.rehearsal.qos import class_of

#: Kinds of which an update can change what is used.
_GROWING = frozenset({"persistentvolumeclaims", "services"})


def check(view: View, kind: Kind, operation: str, obj: Json, old: Json | None) -> None:
    """Let an object pass.

    Raises:
        ApiError: 403, a quota of its namespace would be exceeded, or asks for requests or limits that it has not.
    """
    if operation != CREATE and kind.key not in _GROWING:
        return
    quotas = [one for one in view.list(QUOTAS, str(obj["metadata"].get("namespace", ""))) if _concerns(one, kind, obj)]
    if not quotas:
        return
    if kind.key == PODS.key:
        for quota in quotas:
            missing = _unspecified(obj, set(_hard(quota)))
            if missing:
                raise refuse(kind, obj, f"failed quota: {quota['metadata']['name']}: must specify {missing}")
    wanted = use_of(kind, obj)
    for name, amount in (use_of(kind, old) if old is not None and operation != CREATE else {}).items():
        wanted[name] = wanted.get(name, Amount()) - amount
    wanted = {name: amount for name, amount in wanted.items() if amount.number > 0}
    for quota in quotas:
        _check_one(view, quota, kind, obj, wanted)


def status_of(view: View, quota: Json) -> Json:
    """The status of a quota as it has to be: ``hard`` of its spec, and ``used`` of what there is."""
    hard = _hard(quota)
    used = _used(view, quota, hard)
    return {
        "hard": {name: str(Amount.parse(value)) for name, value in sorted(hard.items())},
        "used": {name: str(used.get(name, Amount())) for name in sorted(hard)},
    }


def _hard(quota: Json) -> Mapping[str, str]:
    return dig(quota, "spec", "hard") or {}


def _check_one(view: View, quota: Json, kind: Kind, obj: Json, wanted: Mapping[str, Amount]) -> None:
    hard = {name: Amount.parse(value) for name, value in _hard(quota).items()}
    asked = {name: amount for name, amount in wanted.items() if name in hard}
    if not asked:
        return
    used = _used(view, quota, asked)
    over = [name for name in sorted(asked) if used.get(name, Amount()).number + asked[name].number > hard[name].number]
    if over:
        words = f"requested: {_pairs(over, asked)}, used: {_pairs(over, used)}, limited: {_pairs(over, hard)}"
        raise refuse(kind, obj, f"exceeded quota: {quota['metadata']['name']}, {words}")


def _pairs(names: Iterable[str], amounts: Mapping[str, Amount]) -> str:
    return ",".join(f"{name}={amounts.get(name, Amount())}" for name in names)


def _used(view: View, quota: Json, names: Iterable[str]) -> dict[str, Amount]:
    wanted, total = set(names), dict[str, Amount]()
    for kind in KINDS:
        if not kind.namespaced or not any(counts(kind, name) for name in wanted):
            continue
        for one in view.list(kind, quota["metadata"]["namespace"]):
            if kind.key == PODS.key and not _in_scope(quota, one):
                continue
            for name, amount in use_of(kind, one).items():
                if name in wanted:
                    total[name] = total.get(name, Amount()) + amount
    return total


def _concerns(quota: Json, kind: Kind, obj: Json) -> bool:
    scoped = dig(quota, "spec", "scopes") or dig(quota, "spec", "scopeSelector", "matchExpressions")
    if kind.key != PODS.key:
        return not scoped
    return _in_scope(quota, obj)


def _in_scope(quota: Json, pod: Json) -> bool:
    scopes = [{"scopeName": name, "operator": "Exists"} for name in dig(quota, "spec", "scopes") or []]
    return all(
        _matches(one, pod) for one in [*scopes, *(dig(quota, "spec", "scopeSelector", "matchExpressions") or [])]
    )


def _matches(scope: Json, pod: Json) -> bool:
    spec = pod.get("spec") or {}
    match scope["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return class_of(spec) == "BestEffort"
        case "NotBestEffort":
            return class_of(spec) != "BestEffort"
        case "PriorityClass":
            name, values = spec.get("priorityClassName") or "", scope.get("values") or []
            return {"In": name in values, "NotIn": name not in values, "Exists": bool(name)}.get(
                scope["operator"], not name
            )
    return False


def _unspecified(pod: Json, hard: set[str]) -> str:
    """The compute resources that a quota limits and that a container says nothing of."""
    wanted = {name for name in hard if name.partition(".")[0] in ("requests", "limits") or name in ("cpu", "memory")}
    missing: dict[str, list[str]] = {}
    spec = pod.get("spec") or {}
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        resources = container.get("resources") or {}
        for name in wanted:
            group, _, resource = name.rpartition(".") if name.startswith(("requests.", "limits.")) else ("", "", name)
            if resource in ("cpu", "memory") and resource not in (resources.get(group or "requests") or {}):
                missing.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(missing[name])}" for name in sorted(missing))
