"""The managedFields of the scale subresource, which is an object of its own that shares one field with its parent.

Source: k8s.io/apimachinery, pkg/util/managedfields/scalehandler.go. What comes of it is odd, and real: entries made
through scale have no time, whoever updated ``spec.replicas`` before loses it to an entry of the same name, and what is
scaled to nothing belongs to nobody, because a Scale leaves a zero out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from berth.core.objects import Json
from berth.rehearsal import fieldsets, managed
from berth.rehearsal.fieldsets import Fields

SCALE: Final = "scale"
API_VERSION: Final = "autoscaling/v1"
_PATH: Final = ("f:spec", "f:replicas")
_REPLICAS: Final[Fields] = fieldsets.of_path(_PATH)


def to_scale(entries: Iterable[Json]) -> list[Json]:
    """The entries of a Scale: who of the parent's managers has its number of replicas."""
    found: managed.Entries = {}
    for key, one in (managed.decoded(entries) or {}).items():
        if fieldsets.has(one["fieldsV1"], _PATH):
            found[key] = managed.entry(key, API_VERSION, _REPLICAS, one.get("time"))
    return managed.encoded(found)


def to_parent(entries: Iterable[Json], scale_entries: Iterable[Json], api_version: str) -> list[Json]:
    """The parent's entries after its Scale was changed; ``api_version`` is the parent's."""
    theirs = managed.decoded(scale_entries) or {}
    found: managed.Entries = {}
    for key, one in (managed.decoded(entries) or {}).items():
        if not fieldsets.has(one["fieldsV1"], _PATH):
            found[key] = one
        elif key in theirs:
            found[key] = one
            del theirs[key]
        else:
            left = fieldsets.difference(one["fieldsV1"], _REPLICAS)
            if left:
                found[key] = {**one, "fieldsV1": left}
    for key, one in theirs.items():
        if fieldsets.has(one["fieldsV1"], _PATH):
            found[key] = managed.entry(key, api_version, _REPLICAS, None)
    return managed.encoded(found)


def scale_of(body: Json, entries: list[Json]) -> Json:
    """As much of the Scale as its managedFields are made of; it leaves a zero out."""
    replicas = (body.get("spec") or {}).get("replicas")
    meta = {"uid": body.get("metadata", {}).get("uid", ""), "managedFields": entries}
    return {"metadata": meta, "spec": {"replicas": replicas} if replicas else {}}
