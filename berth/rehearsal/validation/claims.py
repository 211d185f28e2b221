"""Claims. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.amounts import canonical
from berth.rehearsal.kinds import CLAIMS
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.errors import (
    POSITIVE,
    Errors,
    all_invalid,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
)
from berth.rehearsal.validation.internal import difference
from berth.rehearsal.validation.resources import basic, number
from berth.rehearsal.validation.selectors import label_selector

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
#: Where a claim named its class before there was a field for it.
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_FORBIDDEN = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def create_claim(new: Json) -> Errors:
    """A new claim."""
    return metadata.created(CLAIMS, new["metadata"], formats.subdomain) + claim_spec("spec", new["spec"])


def claim_spec(path: str, spec: Json) -> Errors:
    """What a claim asks for; of templates, too."""
    wrong: Errors = []
    modes = spec.get("accessModes") or []
    if not modes:
        wrong.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    wrong += label_selector(f"{path}.selector", spec.get("selector"))
    wrong += access_modes(f"{path}.accessModes", modes)
    at = f"{path}.resources[storage]"
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is None:
        wrong.append(required(at))
    elif number(asked) <= 0:
        wrong.append(invalid(at, canonical(asked), POSITIVE))
    for key in ("storageClassName",):
        if spec.get(key):
            wrong += all_invalid(f"{path}.{key}", spec[key], formats.subdomain(spec[key]))
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        wrong.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))
    for key in ("dataSource", "dataSourceRef"):
        if spec.get(key) is not None:
            wrong += _source(f"{path}.{key}", spec[key])
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is not None:
        # The server prints a field's name as the value here.
        if reference.get("namespace"):
            detail = "may not be specified when dataSourceRef.namespace is specified"
            wrong.append(invalid(path, {}, detail))
        elif any(source.get(key) != reference.get(key) for key in ("apiGroup", "kind", "name")):
            wrong.append(invalid(path, {}, "must match dataSourceRef"))
    attributes = spec.get("volumeAttributesClassName")
    if attributes:
        wrong += all_invalid(f"{path}.volumeAttributesClassName", attributes, formats.subdomain(attributes))
    return wrong


def access_modes(path: str, modes: list[str]) -> Errors:
    """How nodes may mount the volume."""
    wrong = [not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    once = "ReadWriteOncePod"
    if once in modes and any(mode != once and mode in ACCESS_MODES for mode in modes):
        wrong.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return wrong


def _source(path: str, found: Json) -> Errors:
    wrong = [required(f"{path}.{key}") for key in ("name", "kind") if not found.get(key)]
    group = found.get("apiGroup") or ""
    if not group and found.get("kind") != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        wrong.append(invalid(path, found.get("kind", ""), detail))
    if group:
        wrong += all_invalid(f"{path}.apiGroup", group, formats.subdomain(group))
    if found.get("namespace"):
        wrong += all_invalid(f"{path}.namespace", found["namespace"], formats.label(found["namespace"]))
    return wrong


def update_claim(new: Json, old: Json) -> Errors:
    """A claim that is there already: once it is bound, it may grow."""
    wrong = metadata.changed(new, old) + create_claim(new)
    spec, before = dict(new["spec"]), dict(old["spec"])
    bound = (new.get("status") or {}).get("phase") == "Bound"
    if not before.get("volumeName") and spec.get("volumeName"):
        before["volumeName"] = spec["volumeName"]
    notes, older_notes = new["metadata"].get("annotations") or {}, old["metadata"].get("annotations") or {}
    at = f"metadata.annotations.{BETA_CLASS}"
    wrong += immutable(at, notes.get(BETA_CLASS, ""), older_notes.get(BETA_CLASS, ""))
    if before.get("storageClassName") is None and spec.get("storageClassName") is not None:
        if BETA_CLASS not in older_notes or spec["storageClassName"] == older_notes[BETA_CLASS]:
            spec.pop("storageClassName")
    requests = ((spec.get("resources") or {}).get("requests")) or {}
    older = ((before.get("resources") or {}).get("requests")) or {}
    if bound and requests:
        spec["resources"] = {**spec["resources"], "requests": {**requests, "storage": older.get("storage", "0")}}
    if bound:
        spec.pop("volumeAttributesClassName", None)
        if "volumeAttributesClassName" in before:
            spec["volumeAttributesClassName"] = before["volumeAttributesClassName"]
    if _plain(spec) != _plain(before):
        changed = difference("core.PersistentVolumeClaimSpec", before, spec)
        wrong.append(forbidden("spec", f"{_FORBIDDEN}\n{changed}"))
    if number(requests.get("storage")) < number(older.get("storage")):
        status = (old.get("status") or {}).get("capacity") or {}
        if number(requests.get("storage")) <= number(status.get("storage")):
            detail = "field can not be less than status.capacity"
            wrong.append(forbidden("spec.resources.requests.storage", detail))
    wrong += immutable("volumeMode", new["spec"].get("volumeMode"), old["spec"].get("volumeMode"))
    return wrong + _attributes(new, old)


def _plain(spec: Json) -> Json:
    """The spec with amounts as numbers: 1Gi is the same as 1024Mi."""
    resources = spec.get("resources") or {}
    plain = {side: {name: number(text) for name, text in (found or {}).items()} for side, found in resources.items()}
    return {**spec, "resources": plain}


def _attributes(new: Json, old: Json) -> Errors:
    wanted, before = (each["spec"].get("volumeAttributesClassName") for each in (new, old))
    if wanted == before or (old.get("status") or {}).get("currentVolumeAttributesClassName") is None:
        return []
    if wanted:
        return []
    what = "nil" if wanted is None else "empty string"
    detail = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
    return [forbidden("spec.volumeAttributesClassName", detail)]


def update_claim_status(new: Json, old: Json) -> Errors:
    """The status of a claim."""
    wrong = metadata.changed(new, old)
    for name, text in ((new.get("status") or {}).get("capacity") or {}).items():
        wrong += basic(text, f"status.capacity[{name}]")
    return wrong
