"""Claims and volumes: the default class, protection from deletion while in use, and which claims may grow."""

from __future__ import annotations

from decimal import Decimal

from berth.core.objects import Json
from berth.rehearsal.admission.view import View, refuse
from berth.rehearsal.amounts import NotAQuantity, parse, text_of
from berth.rehearsal.clock import seconds_of
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import CLAIMS, CLASSES, Kind

PROTECTION = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}

_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def class_of(claim: Json) -> str:
    """The name of a claim's storage class; "" where it has none."""
    annotated = (claim["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION)
    return str(annotated if annotated is not None else dig(claim, "spec", "storageClassName") or "")


def default_class(view: View) -> Json | None:
    """The class that is marked as default; of several the newest, then the first by name."""
    marked = [
        one
        for one in view.list(CLASSES)
        if any((one["metadata"].get("annotations") or {}).get(key) == "true" for key in _DEFAULT)
    ]
    return min(marked, key=lambda one: (-_made(one), one["metadata"]["name"]), default=None)


def _made(one: Json) -> float:
    stamp = one["metadata"].get("creationTimestamp")
    return seconds_of(stamp) if stamp else 0.0


def with_default_class(view: View, claim: Json) -> Json:
    """The claim with the default class, if it says nothing of one ("" says that it wants none)."""
    annotated = _CLASS_ANNOTATION in (claim["metadata"].get("annotations") or {})
    if annotated or dig(claim, "spec", "storageClassName") is not None:
        return claim
    found = default_class(view)
    if found is None:
        return claim
    return {**claim, "spec": {**(claim.get("spec") or {}), "storageClassName": found["metadata"]["name"]}}


def with_protection(kind: Kind, obj: Json) -> Json:
    """The claim or volume with the finalizer that outlasts its use (StorageObjectInUseProtection)."""
    finalizer = PROTECTION[kind.key]
    finalizers = obj["metadata"].get("finalizers") or []
    if finalizer in finalizers:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "finalizers": [*finalizers, finalizer]}}


def check_resize(view: View, claim: Json, old: Json) -> None:
    """Let an update of a claim pass.

    Raises:
        ApiError: 403, it grows and is not bound, or its class does not allow it.
    """
    before, after = (_size(one) for one in (old, claim))
    if before is None or after is None or after <= before:
        return
    if dig(old, "status", "phase") != "Bound":
        raise refuse(CLAIMS, claim, "Only bound persistent volume claims can be expanded")
    name = class_of(claim)
    found = view.get(CLASSES, "", name) if name and name == class_of(old) else None
    if not (found or {}).get("allowVolumeExpansion"):
        why = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
        )
        raise refuse(CLAIMS, claim, f"{why}resize")


def _size(claim: Json) -> Decimal | None:
    value = dig(claim, "spec", "resources", "requests", "storage")
    try:
        return None if value is None else parse(text_of(value))
    except NotAQuantity:
        return None
