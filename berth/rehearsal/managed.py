"""managedFields: who set which fields of an object, kept as the API server keeps it.

Updates are tracked by comparing the object before and after: whoever changes a field takes it from all others, and a
field that is gone belongs to nobody. Source: k8s.io/apimachinery, pkg/util/managedfields; structured-merge-diff, merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from berth.core.objects import Json
from berth.rehearsal import fieldsets, typed
from berth.rehearsal.fieldsets import Fields
from berth.rehearsal.schema import Node, named

UPDATE: Final = "Update"
APPLY: Final = "Apply"
#: Who has what was there before the first apply to an object whose fields nobody had kept track of.
BEFORE_FIRST_APPLY: Final = "before-first-apply"
#: Who has what those did whom the limit drops.
ANCIENT_CHANGES: Final = "ancient-changes"
#: How many entries updates may leave; the oldest are merged above that.
MOST_UPDATERS: Final = 10
_UNKNOWN: Final = "unknown"

#: What belongs to nobody: the names of the object, and what only the server writes.
_STRIPPED: Final[Fields] = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        **{
            f"f:{name}": {}
            for name in (
                *("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"),
                *("managedFields", "resourceVersion"),
            )
        },
    },
}
#: Kinds of which the main resource ignores what is said of the status.
#: Source: GetResetFields of kubernetes pkg/registry/*/*/strategy.go.
_WITH_STATUS: Final = frozenset(
    {"Pod", "Service", "Node", "Namespace", "PersistentVolume", "PersistentVolumeClaim", "ResourceQuota"}
    | {"StatefulSet", "Deployment", "ReplicaSet", "Job", "CronJob", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
)

#: The identity of an entry: manager, operation, apiVersion (of updates only), subresource.
Identity = tuple[str, str, str, str]
Entries = dict[Identity, Json]


def tracked(
    kind_schema: Node,
    old: Json | None,
    new: Json,
    manager: str,
    operation: str,
    subresource: str,
    now: str,
) -> list[Json]:
    """The entries after an update, patch or creation.

    ``new`` is the object as the request has it, decoded and with its defaults, before admission and before the server
    puts back what the request may not change: nobody owns what those fill in. ``old`` is None for a creation.

    The time of an entry moves only when it gains a field. ``managedFields: [{}]`` or ``[]`` ends the tracking until the
    first apply. Never raises.
    """
    if subresource == "scale" and old is not None and kind_schema.kind != "Scale":
        return _scaled(kind_schema, old, new, manager, operation, now)
    entries = _before(old, new, subresource)
    if not entries and old is not None:
        return []
    changed, removed = _compared(kind_schema, old, new, subresource)
    release(entries, fieldsets.union(changed, removed))
    gained = fieldsets.difference(changed, _STRIPPED)
    if gained:
        key = (manager or _UNKNOWN, operation, kind_schema.api_version if operation == UPDATE else "", subresource)
        held = entries[key]["fieldsV1"] if key in entries else {}
        entries[key] = entry(key, kind_schema.api_version, fieldsets.union(held, gained), now)
    _cap(entries)
    return encoded(entries)


def same_but_for_times(old: Iterable[Json], new: Iterable[Json]) -> bool:
    """Whether two lists of entries differ in their times at most.

    Where nothing else of the object differs either, the server keeps the old times, and writes nothing.
    """
    return [_timeless(one) for one in old] == [_timeless(one) for one in new]


def ignored(kind: str, subresource: str) -> Fields:
    """The fields that a request through this resource cannot set, whatever it says, and so never owns."""
    if subresource == "status":
        if kind == "Pod":
            return {"f:spec": {}, "f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}}}
        return {"f:spec": {}} if kind in _WITH_STATUS else {}
    return {"f:status": {}} if kind in _WITH_STATUS else {}


def decoded(managed_fields: Iterable[Json] | None) -> Entries | None:
    """The entries of a stored object by their identity; None where they are not as they have to be."""
    found: Entries = {}
    for one in managed_fields or ():
        if (
            one.get("operation") not in (APPLY, UPDATE)
            or not one.get("apiVersion")
            or one.get("fieldsType") != "FieldsV1"
        ):
            return None
        version = one["apiVersion"] if one["operation"] == UPDATE else ""
        key = (one.get("manager") or "", one["operation"], version, one.get("subresource") or "")
        found[key] = one if isinstance(one.get("fieldsV1"), dict) else {**one, "fieldsV1": {}}
    return found


def _brought(managed_fields: Iterable[Json | None], stored: Iterable[Json]) -> Entries | None:
    """The entries that a client sends; None where they cannot be read, so that those of the object count."""
    # Most send back what they have read, and comparing is quicker than reading.
    known = [*stored]
    read: list[Json] = []
    for one in managed_fields:
        if one is None:
            return None
        if one in known:
            read.append(one)
            continue
        try:
            read.append({**one, "fieldsV1": fieldsets.read(one.get("fieldsV1"))})
        except ValueError:
            return None
    return decoded(read)


def encoded(entries: Entries) -> list[Json]:
    """The entries in the server's order: those of applies first, older before newer."""
    return sorted(entries.values(), key=_rank)


def entry(key: Identity, api_version: str, fields: Fields, time: str | None) -> Json:
    """One entry of managedFields, its keys in the server's order."""
    manager, operation, _, subresource = key
    found: Json = {"manager": manager, "operation": operation, "apiVersion": api_version}
    if time is not None:
        found["time"] = time
    found |= {"fieldsType": "FieldsV1", "fieldsV1": fields}
    if subresource:
        found["subresource"] = subresource
    return found


def release(entries: Entries, taken: Fields, keep: Identity | None = None) -> None:
    """Take fields away from all entries but one; what is left with nothing is no more."""
    if not taken:
        return
    for key, one in list(entries.items()):
        if key == keep:
            continue
        left = fieldsets.difference(one["fieldsV1"], taken)
        if not left:
            del entries[key]
        elif left != one["fieldsV1"]:
            entries[key] = {**one, "fieldsV1": left}


def stripped(fields: Fields) -> Fields:
    """The set without what belongs to nobody."""
    return fieldsets.difference(fields, _STRIPPED)


def _compared(kind_schema: Node, old: Json | None, new: Json, subresource: str) -> tuple[Fields, Fields]:
    left, right = without_entries(old or {}), without_entries(new)
    changed, removed = typed.compare(typed.type_of(kind_schema), left, right)
    unseen = ignored(kind_schema.kind, subresource)
    return fieldsets.without(changed, unseen), fieldsets.without(removed, unseen)


def without_entries(body: Json) -> Json:
    """The object without its managedFields."""
    meta = body.get("metadata")
    if not meta or "managedFields" not in meta:
        return body
    return {**body, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}


def _scaled(kind_schema: Node, old: Json, new: Json, manager: str, operation: str, now: str) -> list[Json]:
    """What an update through the scale subresource does to its parent's entries."""
    from berth.rehearsal import scalefields

    parents: list[Json] = old.get("metadata", {}).get("managedFields") or []
    before = scalefields.scale_of(old, scalefields.to_scale(parents))
    after = scalefields.scale_of(new, [])
    root = named(scalefields.API_VERSION, "Scale")
    entries = tracked(root, before, after, manager, operation, scalefields.SCALE, now)
    return scalefields.to_parent(parents, entries, kind_schema.api_version)


def _before(old: Json | None, new: Json, subresource: str) -> Entries:
    """The entries that a request starts from: those that it brings, or those of the object."""
    stored = decoded((old or {}).get("metadata", {}).get("managedFields")) or {}
    if subresource:
        return stored
    brought = new.get("metadata", {}).get("managedFields")
    if brought is not None and (not brought or brought == [{}]):
        return {}
    return _brought(brought or (), stored.values()) or stored


def _cap(entries: Entries) -> None:
    """Merge the oldest updaters of a version into one entry until there are not too many of them."""
    updaters = [key for key in entries if key[1] == UPDATE]
    excess = len(updaters) - MOST_UPDATERS
    if excess <= 0:
        return
    updaters.sort(key=lambda key: (entries[key].get("time") or "", identifier(key)))
    first: dict[str, Identity] = {}
    for key in updaters:
        if excess <= 0:
            return
        version = entries[key]["apiVersion"]
        if version not in first:
            first[version] = key
            continue
        bucket: Identity = (ANCIENT_CHANGES, UPDATE, version, "")
        held = entries[bucket] if bucket in entries else entries.pop(first[version])
        merged = fieldsets.union(entries[key]["fieldsV1"], held["fieldsV1"])
        time = entries.pop(key).get("time")
        entries[bucket] = entry(bucket, version, merged, time)
        excess -= 1


@cache
def identifier(key: Identity) -> str:
    """The text by which the server sorts managers."""
    names = ("manager", "operation", "apiVersion", "subresource")
    return json.dumps({name: value for name, value in zip(names, key, strict=True) if value}, separators=(",", ":"))


def _rank(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        one["operation"],
        one.get("time") or "",
        one.get("manager", ""),
        one["apiVersion"],
        one.get("subresource", ""),
    )


def _timeless(one: Json) -> Json:
    return {key: value for key, value in one.items() if key != "time"}
