"""How an object is deleted: at once, or when its grace period, its finalizers and its dependents let it go.

Source: kubernetes staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go and generic/registry/store.go.
"""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.clock import timestamp
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import NAMESPACES, PODS, Kind
from berth.rehearsal.refusal import ApiError

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
#: Namespaces that stay, whoever asks (the admission plugin NamespaceLifecycle).
KEPT_NAMESPACES = frozenset({"default", "kube-public", "kube-system"})
#: Kinds whose deletion answers with the object itself (ReturnDeletedObject of their stores).
_TOLD_WHOLE = frozenset(
    {"pods", "persistentvolumeclaims", "persistentvolumes", "resourcequotas", "serviceaccounts", "services"}
    | {"storage.k8s.io/storageclasses"}
)


def finished(kind: Kind, body: Json) -> bool:
    """Whether nothing holds a deleted object any more."""
    meta = body["metadata"]
    if "deletionTimestamp" not in meta or meta.get("finalizers"):
        return False
    if kind is NAMESPACES:
        return not dig(body, "spec", "finalizers")
    return int(meta.get("deletionGracePeriodSeconds") or 0) == 0


def preconditions(kind: Kind, meta: Json, wanted: Json) -> None:
    """Raise ApiError where the object is not the one that was meant."""
    for key, label, fate in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        if wanted.get(key) and wanted[key] != meta[key]:
            why = (
                f"the {label} in the precondition ({wanted[key]}) does not match the {label} in record ({meta[key]}). "
                f"The object might have been {fate}"
            )
            # Here, unlike everywhere else, the kind is named by itself and not by its plural.
            details: Json = {"name": meta["name"], **({"group": kind.group} if kind.group else {}), "kind": kind.kind}
            message = f'Operation cannot be fulfilled on {kind.qualified_kind} "{meta["name"]}": {why}'
            raise ApiError(409, "Conflict", message, details)


def finalizers_for(finalizers: list[str], wish: Json) -> list[str]:
    """The finalizers that the propagation policy asks for, those of the others taken away."""
    policy = wish.get("propagationPolicy")
    if policy not in (None, "Background", "Foreground", "Orphan"):
        raise ApiError(
            422,
            "Invalid",
            f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "{policy}": must be one of '
            '"Background", "Foreground", "Orphan", null',
        )
    if policy is None and wish.get("orphanDependents") is not None:
        policy = "Orphan" if wish["orphanDependents"] else "Background"
    if policy is None:
        return finalizers
    kept = [name for name in finalizers if name not in (FOREGROUND, ORPHAN)]
    return kept + {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])


def with_finalizers(body: Json, finalizers: list[str]) -> Json:
    """The object with these finalizers, and no others."""
    meta = {key: value for key, value in body["metadata"].items() if key != "finalizers"}
    if finalizers:
        meta["finalizers"] = finalizers
    return {**body, "metadata": meta}


def grace(kind: Kind, body: Json, wish: Json) -> int:
    """Seconds that a pod is given to stop; only pods are. One that never ran, or has ended, gets none."""
    if kind is not PODS:
        return 0
    asked = wish.get("gracePeriodSeconds")
    if asked is None:
        asked = body["metadata"].get("deletionGracePeriodSeconds")
    grace = int(dig(body, "spec", "terminationGracePeriodSeconds") if asked is None else asked)
    if not dig(body, "spec", "nodeName") or dig(body, "status", "phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if grace < 0 else grace


def success(kind: Kind, meta: Json) -> Json:
    """The answer when an object is gone."""
    details: Json = {"name": meta["name"]}
    if kind.group:
        details["group"] = kind.group
    details |= {"kind": kind.plural, "uid": meta["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def marked(kind: Kind, body: Json, grace: int, now: float) -> Json:
    """The object as it is while it lingers: when it will be gone is written on it, and may only come nearer."""
    meta = body["metadata"]
    stamp: Json = {"deletionTimestamp": timestamp(now + grace)}
    if kind is not NAMESPACES:
        stamp["deletionGracePeriodSeconds"] = grace
    if "deletionTimestamp" in meta:
        sooner = grace < meta.get("deletionGracePeriodSeconds", 0)
        return {**body, "metadata": {**meta, **stamp}} if sooner else body
    if "generation" in meta:
        stamp["generation"] = meta["generation"] + 1
    body = {**body, "metadata": {**meta, **stamp}}
    return {**body, "status": {**body.get("status", {}), "phase": "Terminating"}} if kind is NAMESPACES else body


def gone(kind: Kind, old: Json, now: float) -> Json:
    """What is told of an object that is gone: of most kinds that it is, of some its last state."""
    if kind.key not in _TOLD_WHOLE:
        return success(kind, old["metadata"])
    if kind is not PODS:
        return old
    stamp: Json = {"deletionTimestamp": timestamp(now), "deletionGracePeriodSeconds": 0}
    if "generation" in old["metadata"] and "deletionTimestamp" not in old["metadata"]:
        stamp["generation"] = old["metadata"]["generation"] + 1
    return {**old, "metadata": {**old["metadata"], **stamp}}
