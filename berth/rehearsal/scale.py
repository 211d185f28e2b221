"""The scale subresource of a StatefulSet: an object of its own that shows and sets the number of replicas."""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal import validation
from berth.rehearsal.jsontree import dig, graft
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import FieldError, bad_request, invalid

SCALE = Kind("autoscaling", "v1", "Scale", "scales")
_FROM_SET = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def of(body: Json) -> Json:
    """The Scale of a StatefulSet."""
    meta = {key: body["metadata"][key] for key in _FROM_SET if key in body["metadata"]}
    labels = dig(body, "spec", "selector", "matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        # A Scale leaves a zero out.
        "spec": {"replicas": wanted} if (wanted := dig(body, "spec", "replicas")) else {},
        "status": {
            "replicas": dig(body, "status", "replicas") or 0,
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def into(body: Json, wanted: Json, name: str) -> Json:
    """The StatefulSet with the replicas, and the preconditions, of a Scale.

    Raises:
        ApiError: it is no Scale, or not of this set.
    """
    if wanted.get("kind") not in (None, "Scale"):
        raise bad_request(f"expected input object type to be Scale, but {wanted.get('kind')}")
    broken = validation.decode_errors(SCALE, {**wanted, "kind": "Scale"})
    if broken:
        raise bad_request(broken[0])
    meta = wanted.get("metadata") or {}
    if meta.get("name", name) != name:
        raise bad_request(f"name in URL does not match name in Scale object: {name!r}, {meta['name']!r}")
    replicas = dig(wanted, "spec", "replicas") or 0
    if replicas < 0:
        detail = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(SCALE, name, [FieldError("FieldValueInvalid", "spec.replicas", detail)])
    new = graft(body, replicas, "spec", "replicas")
    for key in ("resourceVersion", "uid"):
        if meta.get(key):
            new = graft(new, meta[key], "metadata", key)
    return new
