"""The volumes of pods, and how containers mount them. Source: kubernetes pkg/apis/core/validation.

The sources that profiles and clusters of today use are checked in full; those that Kubernetes no longer serves by
itself (the in-tree drivers of clouds and vendors) only for being there once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from berth.core.objects import Json
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.claims import claim_spec
from berth.rehearsal.validation.environment import VOLUME_FIELDS, field_reference, resource_reference
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_long,
)
from berth.rehearsal.validation.metadata import annotated, labels
from berth.rehearsal.validation.resources import number

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
#: Types of a hostPath, in the server's order.
_HOST_PATHS = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
#: Sources of volumes in the order in which the server looks for them.
SOURCES = (
    *("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi"),
    *("glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc"),
    *("flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk"),
    *("storageos", "scaleIO", "projected", "csi", "ephemeral", "image"),
)
#: What a pod's template for a claim may say of its metadata.
_TEMPLATE_META = ("annotations", "labels")


def volumes(path: str, found: Sequence[Json], pod_name: str, *, is_pod: bool) -> tuple[dict[str, Json], Errors]:
    """The volumes by name, those without mistakes, and the mistakes. ``pod_name`` is "" for templates."""
    wrong: Errors = []
    good: dict[str, Json] = {}
    made = {f"{pod_name}-{each.get('name', '')}" for each in found if pod_name and each.get("ephemeral") is not None}
    for index, each in enumerate(found):
        at, name = f"{path}[{index}]", each.get("name", "")
        errors = _source(at, each, is_pod)
        errors += all_invalid(f"{at}.name", name, formats.label(name)) if name else [required(f"{at}.name")]
        if name in good:
            errors.append(duplicate(f"{at}.name", name))
        if errors:
            wrong += errors
        else:
            good[name] = each
        claim = (each.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in made:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            wrong.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim, detail))
    return good, wrong


def _source(path: str, volume: Json, is_pod: bool) -> Errors:
    wrong: Errors = []
    taken = False
    for key in SOURCES:
        source = volume.get(key)
        if source is None:
            continue
        if taken:
            wrong.append(forbidden(f"{path}.{key}", "may not specify more than 1 volume type"))
            continue
        taken = True
        wrong += _one(f"{path}.{key}", key, source, is_pod)
    return wrong if taken else [*wrong, required(path, "must specify a volume type")]


def _one(path: str, key: str, source: Json, is_pod: bool) -> Errors:
    match key:
        case "emptyDir":
            if number(source.get("sizeLimit")) < 0:
                return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
            return []
        case "hostPath":
            return host_path(path, source)
        case "secret" | "configMap":
            name = "secretName" if key == "secret" else "name"
            wrong: Errors = [] if source.get(name) else [required(f"{path}.{name}")]
            return wrong + _mode(f"{path}.defaultMode", source.get("defaultMode")) + _items(f"{path}.items", source)
        case "nfs":
            return nfs(path, source)
        case "persistentVolumeClaim":
            return [] if source.get("claimName") else [required(f"{path}.claimName")]
        case "downwardAPI":
            wrong = _mode(f"{path}.defaultMode", source.get("defaultMode"))
            return wrong + [error for each in source.get("items") or () for error in _file(path, each)]
        case "projected":
            return _mode(f"{path}.defaultMode", source.get("defaultMode")) + _projections(path, source)
        case "csi":
            return _inline_driver(path, source)
        case "ephemeral":
            return _ephemeral(path, source)
        case "image":
            wrong = [required(f"{path}.reference")] if is_pod and not source.get("reference") else []
            return wrong + pull_policy(f"{path}.pullPolicy", source.get("pullPolicy", ""))
    return []


def pull_policy(path: str, policy: str) -> Errors:
    """When an image is fetched."""
    if not policy:
        return [required(path)]
    return [] if policy in PULL_POLICIES else [not_supported(path, policy, PULL_POLICIES)]


def host_path(path: str, source: Json) -> Errors:
    """A directory of the node."""
    wrong = no_backsteps(f"{path}.path", source.get("path", ""))
    if not source.get("path"):
        return [required(f"{path}.path")]
    if source.get("type") is not None and source["type"] not in _HOST_PATHS:
        wrong.append(not_supported(f"{path}.type", source["type"], _HOST_PATHS))
    return wrong


def nfs(path: str, source: Json) -> Errors:
    """An NFS export."""
    wrong = [required(f"{path}.{key}") for key in ("server", "path") if not source.get(key)]
    if not source.get("path", "").startswith("/"):
        wrong.append(invalid(f"{path}.path", source.get("path", ""), "must be an absolute path"))
    return wrong


def driver_name(path: str, name: str) -> Errors:
    """The name of a CSI driver."""
    if not name:
        return [required(path)]
    wrong: Errors = [too_long(path, 63)] if len(name) > 63 else []
    return wrong + all_invalid(path, name, formats.subdomain(name.lower()))


def _inline_driver(path: str, source: Json) -> Errors:
    wrong = driver_name(f"{path}.driver", source.get("driver", ""))
    reference = source.get("nodePublishSecretRef")
    if reference is not None:
        name = reference.get("name", "")
        if not name:
            wrong.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            wrong += all_invalid(f"{path}.name", name, formats.subdomain(name))
    return wrong


def _ephemeral(path: str, source: Json) -> Errors:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [required(f"{path}.volumeClaimTemplate")]
    at, meta = f"{path}.volumeClaimTemplate", template.get("metadata") or {}
    wrong = annotated(f"{at}.metadata.annotations", meta.get("annotations"))
    wrong += labels(f"{at}.metadata.labels", meta.get("labels"))
    wrong += [forbidden(f"{at}.metadata.{key}", "cannot be set") for key in meta if key not in _TEMPLATE_META]
    return wrong + claim_spec(f"{at}.spec", template.get("spec") or {})


def _mode(path: str, mode: int | None) -> Errors:
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(path, mode, FILE_MODE)]


def _items(path: str, source: Json) -> Errors:
    return [
        error
        for index, each in enumerate(source.get("items") or ())
        for error in _key_to_path(f"{path}[{index}]", each)
    ]


def _key_to_path(path: str, each: Json) -> Errors:
    wrong = [required(f"{path}.{key}") for key in ("key", "path") if not each.get(key)]
    wrong += local_path(f"{path}.path", each.get("path", ""))
    return wrong + _mode(f"{path}.mode", each.get("mode"))


def _file(path: str, each: Json) -> Errors:
    wrong: Errors = [] if each.get("path") else [required(f"{path}.path")]
    wrong += local_path(f"{path}.path", each.get("path", ""))
    field, resource = each.get("fieldRef"), each.get("resourceFieldRef")
    if field is not None:
        wrong += field_reference(f"{path}.fieldRef", field, VOLUME_FIELDS)
        if resource is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            wrong.append(invalid(path, "resource", detail))
    elif resource is not None:
        wrong += resource_reference(f"{path}.resourceFieldRef", resource, volume=True)
    else:
        wrong.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return wrong + _mode(f"{path}.mode", each.get("mode"))


def _projections(path: str, source: Json) -> Errors:
    wrong: Errors = []
    taken: set[str] = set()
    for index, each in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        for key in ("secret", "configMap"):
            part = each.get(key)
            if part is None:
                continue
            wrong += [] if part.get("name") else [required(f"{at}.{key}.name")]
            for number_, item in enumerate(part.get("items") or ()):
                wrong += _key_to_path(f"{at}.{key}.items[{number_}]", item)
                wrong += _once(path, item.get("path", ""), taken, part.get("name", ""))
        for item in (each.get("downwardAPI") or {}).get("items") or ():
            wrong += _file(f"{at}.downwardAPI", item)
            wrong += _once(path, item.get("path", ""), taken, item.get("path", ""))
        if (token := each.get("serviceAccountToken")) is not None:
            wrong += _token(path, at, token)
        if sum(each.get(key) is not None for key in each) > 1:
            wrong.append(forbidden(at, "may not specify more than 1 volume type per source"))
    return wrong


def _once(path: str, file: str, taken: set[str], shown: str) -> Errors:
    if not file:
        return []
    if file in taken:
        return [invalid(path, shown, "conflicting duplicate paths")]
    taken.add(file)
    return []


def _token(path: str, at: str, token: Json) -> Errors:
    wrong: Errors = []
    seconds, where = token.get("expirationSeconds", 0), f"{at}.serviceAccountToken.expirationSeconds"
    if seconds < 600:
        wrong.append(invalid(where, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > 2**32:
        wrong.append(invalid(where, seconds, "may not specify a duration larger than 2^32 seconds"))
    if not token.get("path"):
        return [*wrong, required(f"{path}.path")]
    return wrong + local_path(f"{path}.path", token["path"])


def local_path(path: str, text: str) -> Errors:
    """A file inside a volume."""
    wrong = descending(path, text)
    if text.startswith("..") and not text.startswith("../"):
        wrong.append(invalid(path, text, "must not start with '..'"))
    return wrong


def descending(path: str, text: str) -> Errors:
    """A path that does not leave its directory."""
    wrong: Errors = [invalid(path, text, "must be a relative path")] if text.startswith("/") else []
    return wrong + no_backsteps(path, text)


def no_backsteps(path: str, text: str) -> Errors:
    """A path without steps upwards."""
    return [invalid(path, text, "must not contain '..'")] if ".." in text.split("/") else []


def mounts(path: str, container: Json, known: Mapping[str, Json]) -> Errors:
    """``volumeMounts``."""
    wrong: Errors = []
    devices = {each.get("name", ""): each.get("devicePath", "") for each in container.get("volumeDevices") or ()}
    taken: set[str] = set()
    for index, each in enumerate(container.get("volumeMounts") or ()):
        at, name, target = f"{path}[{index}]", each.get("name", ""), each.get("mountPath", "")
        wrong += [] if name else [required(f"{at}.name")]
        wrong += [] if name in known else [not_found(f"{at}.name", name)]
        wrong += [] if target else [required(f"{at}.mountPath")]
        if target in taken:
            wrong.append(invalid(f"{at}.mountPath", target, "must be unique"))
        taken.add(target)
        if name in devices:
            wrong.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if target in devices.values():
            wrong.append(invalid(f"{at}.mountPath", target, "must not already exist as a path in volumeDevices"))
        # The server names the list here, not the item.
        if each.get("subPath"):
            wrong += descending(f"{path}.subPath", each["subPath"])
        if each.get("subPathExpr"):
            if each.get("subPath"):
                detail = "subPathExpr and subPath are mutually exclusive"
                wrong.append(invalid(f"{at}.subPathExpr", each["subPathExpr"], detail))
            wrong += descending(f"{path}.subPathExpr", each["subPathExpr"])
        wrong += _propagation(path, each, container)
    return wrong


def _propagation(path: str, mount: Json, container: Json) -> Errors:
    wrong: Errors = []
    mode = mount.get("mountPropagation")
    if mode is not None:
        if mode not in ("Bidirectional", "HostToContainer", "None"):
            wrong.append(not_supported(f"{path}.mountPropagation", mode, ("Bidirectional", "HostToContainer", "None")))
        if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            detail = "Bidirectional mount propagation is available only to privileged containers"
            wrong.append(forbidden(f"{path}.mountPropagation", detail))
    recursive, at = mount.get("recursiveReadOnly"), f"{path}.recursiveReadOnly"
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            wrong.append(forbidden(at, "may only be specified when readOnly is true"))
        if mode not in (None, "None"):
            wrong.append(forbidden(at, "may only be specified when mountPropagation is None or not specified"))
    elif recursive not in (None, "Disabled"):
        wrong.append(not_supported(at, recursive, ("Disabled", "Enabled", "IfPossible")))
    return wrong


def devices(path: str, container: Json, known: Mapping[str, Json]) -> Errors:
    """``volumeDevices``."""
    wrong: Errors = []
    mounted = {each.get("name", ""): each.get("mountPath", "") for each in container.get("volumeMounts") or ()}
    names: set[str] = set()
    paths: set[str] = set()
    for index, each in enumerate(container.get("volumeDevices") or ()):
        at, name, target = f"{path}[{index}]", each.get("name", ""), each.get("devicePath", "")
        wrong += _device_name(at, name, names, known)
        wrong += [] if target else [required(f"{at}.devicePath")]
        if target in paths:
            wrong.append(invalid(f"{at}.devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            wrong.append(invalid(f"{at}.devicePath", target, "can not contain backsteps ('..')"))
        else:
            paths.add(target)
        if name in mounted:
            wrong.append(invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if target in mounted.values():
            wrong.append(invalid(f"{at}.devicePath", target, "must not already exist as a path in volumeMounts"))
        names.add(name)
    return wrong


def _device_name(path: str, name: str, names: Collection[str], known: Mapping[str, Json]) -> Errors:
    wrong: Errors = [] if name else [required(f"{path}.name")]
    if name in names:
        wrong.append(invalid(f"{path}.name", name, "must be unique"))
    source = known.get(name)
    if source is None:
        wrong.append(not_found(f"{path}.name", name))
    elif source.get("persistentVolumeClaim") is None and source.get("ephemeral") is None:
        detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        wrong.append(invalid(f"{path}.name", name, detail))
    return wrong


def file_references(path: str, spec: Json, containers: Iterable[tuple[str, Json]]) -> Errors:
    """Variables that come from files of a volume: it must be an emptyDir of the pod."""
    del path
    found = {each.get("name", ""): each for each in spec.get("volumes") or ()}
    wrong: Errors = []
    for at, container in containers:
        for index, variable in enumerate(container.get("env") or ()):
            reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if reference is None:
                continue
            name, where = reference.get("volumeName", ""), f"{at}.env[{index}].valueFrom.fileKeyRef.volumeName"
            if name not in found:
                wrong.append(not_found(where, name))
            elif found[name].get("emptyDir") is None:
                wrong.append(invalid(where, name, "referenced volume must be of type emptyDir"))
    return wrong
