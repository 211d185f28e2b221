"""Volumes and classes of storage. Source: kubernetes pkg/apis/core/validation and pkg/apis/storage/validation.

As with pods, sources of volumes that Kubernetes no longer serves by itself are checked only for being there once.
"""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.kinds import CLASSES, VOLUMES
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.claims import VOLUME_MODES, access_modes
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    forbidden,
    go_json,
    immutable,
    invalid,
    invalid_as,
    not_supported,
    required,
    too_long,
)
from berth.rehearsal.validation.internal import compact, difference
from berth.rehearsal.validation.pod_volumes import driver_name, host_path, nfs, no_backsteps
from berth.rehearsal.validation.resources import above_zero, basic
from berth.rehearsal.validation.selectors import node_selector, topology_terms

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
#: Sources of volumes in the order in which the server looks for them.
SOURCES = (
    *("hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte"),
    *("cephfs", "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk"),
    *("portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi"),
)
_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")
#: Where a volume named its mount options before there was a field for them, and the sources that took them.
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_MOUNTED = (
    *("gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "nfs", "rbd", "quobyte", "iscsi", "cinder", "cephfs"),
    *("azureFile", "vsphereVolume", "azureDisk", "photonPersistentDisk"),
)
#: Parameters that a class may have, and the bytes of all of them.
_MOST_PARAMETERS, _MOST_BYTES = 512, 256 * 1024


def create_volume(new: Json) -> Errors:
    """A new volume."""
    wrong = metadata.created(VOLUMES, new["metadata"], formats.subdomain) + _volume_spec(new["spec"])
    options = _MOUNT_OPTIONS in (new["metadata"].get("annotations") or {})
    if options and not any(new["spec"].get(key) is not None for key in _MOUNTED):
        at = f"metadata.annotations.{_MOUNT_OPTIONS}"
        wrong.append(forbidden(at, "may not specify mount options for this volume type"))
    return wrong


def _volume_spec(spec: Json) -> Errors:
    wrong: Errors = []
    modes, capacity = spec.get("accessModes") or [], spec.get("capacity") or {}
    if not modes:
        wrong.append(required("spec.accessModes"))
    wrong += access_modes("spec.accessModes", modes)
    if not capacity:
        wrong.append(required("spec.capacity"))
    if set(capacity) != {"storage"}:
        error = not_supported("spec.capacity", None, ("storage",))
        written = go_json(capacity) if capacity else "null"
        wrong.append(type(error)(error.reason, error.path, error.detail.replace("null", written, 1)))
    for name, text in capacity.items():
        wrong += basic(text, f"spec.capacity[{name}]") + above_zero(text, f"spec.capacity[{name}]")
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    if policy and policy not in RECLAIM_POLICIES:
        wrong.append(not_supported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is None:
            wrong.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            wrong += node_selector("spec.nodeAffinity.required", affinity["required"])
    wrong += _sources(spec, placed=affinity is not None)
    name = spec.get("storageClassName", "")
    if name:
        wrong += all_invalid("spec.storageClassName", name, formats.subdomain(name))
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        wrong.append(not_supported("spec.volumeMode", mode, VOLUME_MODES))
    return wrong + _volume_attributes(spec)


def _volume_attributes(spec: Json) -> Errors:
    name, at = spec.get("volumeAttributesClassName"), "spec.volumeAttributesClassName"
    if name is None:
        return []
    wrong = all_invalid(at, name, formats.subdomain(name)) if name else [required(at, "an empty string is disallowed")]
    if spec.get("csi") is None:
        wrong.append(required("spec.csi", "has to be specified when using volumeAttributesClassName"))
    return wrong


def _sources(spec: Json, *, placed: bool) -> Errors:
    wrong: Errors = []
    taken = False
    for key in SOURCES:
        source = spec.get(key)
        if source is None:
            continue
        if taken:
            wrong.append(forbidden(f"spec.{key}", "may not specify more than 1 volume type"))
            continue
        taken = True
        wrong += _source(f"spec.{key}", key, source, placed)
    if not taken:
        wrong.append(required("spec", "must specify a volume type"))
    root = (spec.get("hostPath") or {}).get("path", "").rstrip("/") == "" and spec.get("hostPath") is not None
    if root and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        wrong.append(forbidden("spec.persistentVolumeReclaimPolicy", detail))
    return wrong


def _source(path: str, key: str, source: Json, placed: bool) -> Errors:
    match key:
        case "hostPath":
            return host_path(path, source)
        case "nfs":
            return nfs(path, source)
        case "local":
            where = source.get("path", "")
            wrong = no_backsteps(f"{path}.path", where) if where else [required(f"{path}.path")]
            return wrong if placed else [*wrong, required("spec.nodeAffinity", "Local volume requires node affinity")]
        case "csi":
            wrong = driver_name(f"{path}.driver", source.get("driver", ""))
            wrong += [] if source.get("volumeHandle") else [required(f"{path}.volumeHandle")]
            for reference in _SECRETS:
                if source.get(reference) is not None:
                    keys = [each for each in ("name", "namespace") if not source[reference].get(each)]
                    wrong += [required(f"{path}.{reference}.{each}") for each in keys]
            return wrong
    return []


def update_volume(new: Json, old: Json) -> Errors:
    """A volume that is there already: what it is stays what it is."""
    # The server looks at it twice, and says it twice.
    wrong = create_volume(new) + create_volume(new)
    sources = [{key: each["spec"][key] for key in SOURCES if key in each["spec"]} for each in (new, old)]
    driver, before = (each.get("csi") for each in sources)
    if driver and before and "controllerExpandSecretRef" in driver and "controllerExpandSecretRef" not in before:
        kept = {key: value for key, value in driver.items() if key != "controllerExpandSecretRef"}
        sources[0] = {**sources[0], "csi": kept}
    if sources[0] != sources[1]:
        changed = difference("core.PersistentVolumeSource", sources[1], sources[0])
        detail = f"spec.persistentvolumesource is immutable after creation\n{changed}"
        wrong.append(forbidden("spec.persistentvolumesource", detail))
    spec, older = new["spec"], old["spec"]
    wrong += immutable("volumeMode", spec.get("volumeMode"), older.get("volumeMode"))
    if older.get("nodeAffinity") is not None and spec.get("nodeAffinity") != older["nodeAffinity"]:
        found = spec.get("nodeAffinity")
        written = "null" if found is None else compact("core.VolumeNodeAffinity", found)
        detail = "field is immutable, except for updating from beta label to GA"
        wrong.append(invalid_as("nodeAffinity", written, detail))
    if older.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        detail = "update from non-nil value to nil is forbidden"
        wrong.append(forbidden("spec.volumeAttributesClassName", detail))
    return wrong


def create_class(new: Json) -> Errors:
    """A new class of storage."""
    wrong = metadata.created(CLASSES, new["metadata"], formats.subdomain)
    provisioner = new.get("provisioner", "")
    if not provisioner:
        wrong.append(required("provisioner"))
    else:
        wrong += all_invalid("provisioner", provisioner.lower(), formats.label_key(provisioner.lower()))
    wrong += _parameters(new.get("parameters") or {})
    policy = new.get("reclaimPolicy")
    if policy and policy not in ("Delete", "Retain"):
        wrong.append(not_supported("reclaimPolicy", policy, ("Delete", "Retain")))
    mode = new.get("volumeBindingMode")
    if mode is None:
        wrong.append(required("volumeBindingMode"))
    elif mode not in BINDING_MODES:
        wrong.append(not_supported("volumeBindingMode", mode, BINDING_MODES))
    return wrong + topology_terms("allowedTopologies", new.get("allowedTopologies") or ())


def _parameters(found: dict[str, str]) -> Errors:
    if len(found) > _MOST_PARAMETERS:
        return [too_long("parameters", _MOST_PARAMETERS)]
    wrong: Errors = [invalid("parameters", key, "field can not be empty.") for key in found if not key]
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > _MOST_BYTES:
        wrong.append(too_long("parameters", _MOST_BYTES))
    return wrong


def update_class(new: Json, old: Json) -> Errors:
    """A class that is there already: only whether its volumes may grow, and its mount options, can change."""
    wrong = create_class(new) + metadata.changed(new, old)
    parameters = new.get("parameters")
    wrong += immutable("parameters", parameters, old.get("parameters"), go_json(parameters) if parameters else "null")
    for key in ("provisioner", "reclaimPolicy", "volumeBindingMode"):
        wrong += immutable(key, new.get(key), old.get(key))
    return wrong
