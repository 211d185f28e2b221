"""What must hold of every object's metadata. Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    forbidden,
    go_json,
    immutable,
    invalid,
    invalid_as,
    not_negative,
    required,
    too_long,
)

#: What is wrong with a name.
Naming = Callable[[str], formats.Messages]

#: Bytes that all annotations of an object may have.
MOST_ANNOTATIONS = 256 * 1024
#: Finalizers that need no domain in front.
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def created(kind: Kind, meta: Json, naming: Naming, *, standard_finalizers: bool = True) -> Errors:
    """The metadata of a new object. ``standard_finalizers`` is off for the few kinds that take any finalizer."""
    found: Errors = []
    if meta.get("generateName"):
        wrong = naming(formats.prefix_of(meta["generateName"]))
        found += all_invalid("metadata.generateName", meta["generateName"], wrong)
    if not meta.get("name"):
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        found += all_invalid("metadata.name", meta["name"], naming(meta["name"]))
    found += _common(kind, meta)
    return found + finalizers(meta) if standard_finalizers else found


def _common(kind: Kind, meta: Json) -> Errors:
    found: Errors = []
    if kind.namespaced:
        if not meta.get("namespace"):
            found.append(required("metadata.namespace"))
        else:
            found += all_invalid("metadata.namespace", meta["namespace"], formats.label(meta["namespace"]))
    elif meta.get("namespace"):
        found.append(forbidden("metadata.namespace", "not allowed on this type"))
    found += not_negative("metadata.generation", meta.get("generation"))
    found += labels("metadata.labels", meta.get("labels"))
    found += annotated("metadata.annotations", meta.get("annotations"))
    found += owners("metadata.ownerReferences", meta.get("ownerReferences") or [])
    for name in meta.get("finalizers") or ():
        found += all_invalid("metadata.finalizers", name, formats.label_key(name))
    if {"orphan", "foregroundDeletion"} <= set(meta.get("finalizers") or ()):
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        found.append(invalid("metadata.finalizers", meta["finalizers"], detail))
    return found


def common(kind: Kind, new: Json, old: Json) -> Errors:
    """What the server checks of every update before the kind's own rules, which mostly check it again."""
    meta = new["metadata"]
    found: Errors = []
    if meta.get("generateName"):
        wrong = formats.path_segment(formats.prefix_of(meta["generateName"]))
        found += all_invalid("metadata.generateName", meta["generateName"], wrong)
    if not meta.get("name"):
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        found += all_invalid("metadata.name", meta["name"], formats.path_segment(meta["name"]))
    return found + _common(kind, meta) + changed(new, old, standard_finalizers=False)


def changed(new: Json, old: Json, *, standard_finalizers: bool = True) -> Errors:
    """The metadata of an object that is updated."""
    meta, before = new["metadata"], old["metadata"]
    found: Errors = []
    if before.get("deletionTimestamp"):
        extra = sorted(set(meta.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if extra:
            listed = "[]string{" + ", ".join(go_json(name) for name in extra) + "}"
            detail = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
            found.append(forbidden("metadata.finalizers", detail))
    if not meta.get("resourceVersion"):
        found.append(invalid("metadata.resourceVersion", "", "must be specified for an update"))
    if meta.get("generation", 0) < before.get("generation", 0):
        found.append(invalid("metadata.generation", meta.get("generation", 0), "must not be decremented"))
    for key in ("name", "namespace", "uid"):
        found += immutable(f"metadata.{key}", meta.get(key, ""), before.get(key, ""))
    for key in ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        found += immutable(f"metadata.{key}", meta.get(key), before.get(key))
    found += labels("metadata.labels", meta.get("labels"))
    found += annotated("metadata.annotations", meta.get("annotations"))
    found += owners("metadata.ownerReferences", meta.get("ownerReferences") or [])
    return found + finalizers(meta) if standard_finalizers else found


def finalizers(meta: Json) -> Errors:
    """A finalizer without a domain must be one that Kubernetes knows."""
    words = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"metadata.finalizers[{index}]", name, words)
        for index, name in enumerate(meta.get("finalizers") or ())
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]


def labels(path: str, found: Mapping[str, str] | None) -> Errors:
    """Labels, or a selector by equality."""
    wrong: Errors = []
    for key, value in (found or {}).items():
        wrong += all_invalid(path, key, formats.label_key(key))
        wrong += all_invalid(path, value, formats.label_value(value))
    return wrong


def annotated(path: str, found: Mapping[str, str] | None) -> Errors:
    """Annotations: any text under a key that, but for its case, is a label's."""
    wrong: Errors = []
    if not found:
        return wrong
    for key in found:
        wrong += all_invalid(path, key, formats.label_key(key.lower()))
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > MOST_ANNOTATIONS:
        wrong.append(too_long(path, MOST_ANNOTATIONS))
    return wrong


def owners(path: str, found: Iterable[Json]) -> Errors:
    """Owner references: whole, no Event, and at most one controller."""
    wrong: Errors = []
    references = list(found)
    controller = ""
    for each in references:
        group, _, version = str(each.get("apiVersion", "")).rpartition("/")
        if not version:
            wrong.append(invalid(f"{path}.apiVersion", each.get("apiVersion", ""), "version must not be empty"))
        for key in ("kind", "name", "uid"):
            if not each.get(key):
                wrong.append(invalid(f"{path}.{key}", "", "must not be empty"))
        if not group and version == "v1" and each.get("kind") == "Event":
            wrong.append(invalid_as(path, _owner(each), "/v1, Kind=Event is disallowed from being an owner"))
        if each.get("controller"):
            name = f"{each.get('kind', '')}/{each.get('name', '')}"
            if controller:
                detail = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {name}'
                )
                written = "[" + ",".join(_owner(reference) for reference in references) + "]"
                wrong.append(invalid_as(path, written, detail))
            else:
                controller = name
    return wrong


def _owner(reference: Json) -> str:
    """A reference with its fields in Go's order."""
    order = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    fields: list[tuple[str, Any]] = [(key, reference.get(key, "")) for key in order[:4]]
    fields += [(key, reference[key]) for key in order[4:] if key in reference]
    return "{" + ",".join(f"{go_json(key)}:{go_json(value)}" for key, value in fields) + "}"
