"""The environment of containers, and the fields and resources that it and volumes refer to.

Source: kubernetes pkg/apis/core/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from berth.core.objects import Json
from berth.rehearsal.amounts import canonical
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import Errors, all_invalid, invalid, not_supported, required
from berth.rehearsal.validation.resources import number

#: Fields of a pod that an environment variable may hold, in order.
ENVIRONMENT_FIELDS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
#: Fields of a pod that a file may hold, in order.
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
#: Every field that the downward API knows at all.
_KNOWN = frozenset({*ENVIRONMENT_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "status.phase"})
_RESOURCES = tuple(
    f"{side}.{name}" for side in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_DIVISORS = ("1", *(f"1{unit}" for unit in "kMGTPE"), *(f"1{unit}i" for unit in "KMGTPE"))
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def variables(path: str, found: Iterable[Json]) -> Errors:
    """``env``."""
    wrong: Errors = []
    for index, each in enumerate(found):
        name = each.get("name", "")
        if not name:
            wrong.append(required(f"{path}[{index}].name"))
        else:
            wrong += all_invalid(f"{path}[{index}].name", name, formats.environment_name(name))
        if each.get("valueFrom") is not None:
            wrong += _value_from(f"{path}[{index}].valueFrom", each)
    return wrong


def _value_from(path: str, variable: Json) -> Errors:
    wrong: Errors = []
    source = variable["valueFrom"]
    if (found := source.get("fieldRef")) is not None:
        wrong += field_reference(f"{path}.fieldRef", found, ENVIRONMENT_FIELDS)
    if (found := source.get("resourceFieldRef")) is not None:
        wrong += resource_reference(f"{path}.resourceFieldRef", found, volume=False)
    for key in ("configMapKeyRef", "secretKeyRef"):
        if (found := source.get(key)) is not None:
            wrong += _key_reference(f"{path}.{key}", found)
    if (found := source.get("fileKeyRef")) is not None:
        wrong += _file_reference(f"{path}.fileKeyRef", found)
    many = sum(source.get(key) is not None for key in _SOURCES)
    if many == 0:
        named = ", ".join(f"`{key}`" for key in _SOURCES[:-1])
        wrong.append(invalid(path, "", f"must specify one of: {named} or `{_SOURCES[-1]}`"))
    elif variable.get("value"):
        wrong.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif many > 1:
        wrong.append(invalid(path, "", "may not have more than one field specified at a time"))
    return wrong


def _key_reference(path: str, found: Json) -> Errors:
    wrong = all_invalid(f"{path}.name", found.get("name", ""), formats.subdomain(found.get("name", "")))
    if not found.get("key"):
        return [*wrong, required(f"{path}.key")]
    return wrong + all_invalid(f"{path}.key", found["key"], formats.config_key(found["key"]))


def _file_reference(path: str, found: Json) -> Errors:
    wrong: Errors = []
    if not found.get("key"):
        wrong.append(required(f"{path}.key"))
    else:
        wrong += all_invalid(f"{path}.key", found["key"], formats.environment_name(found["key"]))
    if not found.get("volumeName"):
        wrong.append(required(f"{path}.volumeName"))
    else:
        wrong += all_invalid(f"{path}.volumeName", found["volumeName"], formats.label(found["volumeName"]))
    if not found.get("path"):
        wrong.append(required(f"{path}.path"))
    elif ".." in found["path"].split("/"):
        wrong.append(invalid(f"{path}.path", found["path"], "must not contain '..'"))
    return wrong


def sources(path: str, found: Iterable[Json]) -> Errors:
    """``envFrom``."""
    wrong: Errors = []
    for index, each in enumerate(found):
        if each.get("prefix"):
            wrong += all_invalid(f"{path}[{index}].prefix", each["prefix"], formats.environment_name(each["prefix"]))
        many = 0
        for key in ("configMapRef", "secretRef"):
            if (source := each.get(key)) is None:
                continue
            many += 1
            name, at = source.get("name", ""), f"{path}[{index}].{key}.name"
            wrong += all_invalid(at, name, formats.subdomain(formats.prefix_of(name))) if name else [required(at)]
        if many == 0:
            wrong.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif many > 1:
            wrong.append(invalid(path, "", "may not have more than one field specified at a time"))
    return wrong


def field_reference(path: str, found: Json, allowed: Sequence[str]) -> Errors:
    """A field of the pod."""
    wrong: Errors = []
    version, field = found.get("apiVersion", ""), found.get("fieldPath", "")
    if not version:
        return [required(f"{path}.apiVersion")]
    if not field:
        return [required(f"{path}.fieldPath")]
    name, subscript = _split(field)
    known = name in _KNOWN if subscript is None else name in ("metadata.labels", "metadata.annotations")
    if not known or version != "v1":
        why = f"field label not supported: {field}" if version == "v1" else f"unsupported pod version: {version}"
        return [invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {why}")]
    if subscript is not None:
        key = subscript.lower() if name == "metadata.annotations" else subscript
        wrong += all_invalid(path, key, formats.label_key(key))
    elif name not in allowed:
        wrong.append(not_supported(f"{path}.fieldPath", name, allowed))
    return wrong


def _split(field: str) -> tuple[str, str | None]:
    found = re.fullmatch(r"(.*?)\['(.*)'\]", field)
    return (found[1], found[2]) if found else (field, None)


def resource_reference(path: str, found: Json, *, volume: bool) -> Errors:
    """A request or a limit of a container."""
    wrong: Errors = []
    name = found.get("resource", "")
    huge = name.startswith(("limits.hugepages-", "requests.hugepages-"))
    if volume and not found.get("containerName"):
        wrong.append(required(f"{path}.containerName"))
    elif not name:
        wrong.append(required(f"{path}.resource"))
    elif name not in _RESOURCES and not huge:
        wrong.append(not_supported(f"{path}.resource", name, _RESOURCES))
    return wrong + _divisor(f"{path}.divisor", name, found.get("divisor", "0"))


def _divisor(path: str, name: str, divisor: str) -> Errors:
    if number(divisor) == 0:
        return []
    written = canonical(divisor)
    kind = name.partition(".")[2]
    if kind == "cpu":
        if written not in ("1m", "1"):
            return [invalid(path, name, "only divisor's values 1m and 1 are supported with the cpu resource")]
        return []
    words = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind)
    words = "hugepages" if kind.startswith("hugepages-") else words
    if words and written not in _DIVISORS:
        listed = ", ".join(_DIVISORS)
        return [invalid(path, name, f"only divisor's values {listed} are supported with the {words} resource")]
    return []
