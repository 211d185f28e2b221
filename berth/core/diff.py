"""Differences between two states of one object, field by field, and the fields that cannot be changed in place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import ndiff
from hashlib import sha256
from typing import Any

from berth.core.errors import InputError
from berth.core.objects import Json, dig, field_path
from berth.core.quantities import parse_quantity

#: Stands where an old or new value does not exist.
ABSENT = "(absent)"
#: Stands where a value is secret.
MASKED = "(hidden)"

#: Metadata that the server keeps for itself.
_SERVER_METADATA = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "deletionTimestamp"}
)

#: Keys by which people tell the elements of a list apart, most telling first. All are among the
#: x-kubernetes-list-map-keys and patch merge keys of the core and apps schemas, but for "key" (of tolerations and
#: selectors); where the API server has a longer key (a port and its protocol), equal ones fall back to the index.
_LIST_KEYS = ("name", "mountPath", "containerPort", "port", "key", "topologyKey", "uid", "ip")

#: spec fields of a StatefulSet that may change; all others are immutable. Source: ValidateStatefulSetUpdate in
#: kubernetes pkg/apis/apps/validation.
_MUTABLE_SET_FIELDS = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
#: Immutable spec fields of a StatefulSet that say something also when a manifest leaves them out: what they are then.
_SET_DEFAULTS: Mapping[str, Any] = {
    "podManagementPolicy": "OrderedReady",
    "serviceName": "",
    "volumeClaimTemplates": [],
}

#: Fields of other kinds that cannot be changed once they are set. Source: ValidateStorageClassUpdate,
#: ValidateSecretUpdate, ValidateRoleBindingUpdate, ValidateDeploymentUpdate and ValidateJobUpdate in
#: kubernetes pkg/apis/*/validation.
_IMMUTABLE_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "StorageClass": (("provisioner",), ("parameters",), ("reclaimPolicy",), ("volumeBindingMode",)),
    "Secret": (("type",),),
    "RoleBinding": (("roleRef",),),
    "ClusterRoleBinding": (("roleRef",),),
    "Deployment": (("spec", "selector"),),
    "DaemonSet": (("spec", "selector"),),
    "Job": (("spec", "template"), ("spec", "completionMode")),
}

#: kubectl writes the whole manifest into this annotation, the data of a Secret included: never shown.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: its path, what it is and what it would become; secret values are masked."""

    path: str
    old: Any
    new: Any


def manifest_hash(body: Json) -> str:
    """A digest of a manifest that is equal exactly when the JSON is."""
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]


def changes(live: Json, after: Json) -> tuple[Change, ...]:
    """What a server-side dry run says would change, in the order of the fields, without what the server keeps."""
    secret = live.get("kind") == "Secret"
    found: list[Change] = []
    for key in sorted({*live, *after} - {"status", "apiVersion", "kind"}):
        old, new = live.get(key, ABSENT), after.get(key, ABSENT)
        if key == "metadata":
            old, new = _plain_metadata(old), _plain_metadata(new)
        for change in _walk((key,), old, new):
            masked = secret and key in ("data", "stringData")
            found.append(Change(change.path, _masked(change.old), _masked(change.new)) if masked else change)
    return tuple(found)


def _masked(value: Any) -> str:
    """Tells only whether there is a value."""
    return ABSENT if value == ABSENT else MASKED


def immutable_changes(live: Json, desired: Json) -> tuple[Change, ...]:
    """The changes that the API server would refuse because the field cannot be changed once it is set.

    The server's own message never names the field of a StatefulSet (kubectl#1531); this does. Only what ``desired``
    says is compared, for the server has filled in defaults since.
    """
    kind = desired["kind"]
    if kind == "StatefulSet":
        old_spec, new_spec = {**_SET_DEFAULTS, **live["spec"]}, {**_SET_DEFAULTS, **desired["spec"]}
        return tuple(
            change
            for key in sorted(set(new_spec) - _MUTABLE_SET_FIELDS)
            for change in _differs(("spec", key), old_spec.get(key, ABSENT), new_spec[key])
        )
    if kind == "Service" and "ExternalName" not in (dig(live, "spec", "type"), dig(desired, "spec", "type")):
        old, new = dig(live, "spec", "clusterIP"), dig(desired, "spec", "clusterIP")
        # A Service that says nothing keeps the address it has, also when that is none: it would stay headless.
        if old != new and (new or old == "None"):
            return (Change("spec.clusterIP", old or ABSENT, new or ABSENT),)
    if kind == "PersistentVolumeClaim":
        return tuple(
            change
            for key in sorted(set(desired["spec"]) - {"resources", "volumeAttributesClassName"})
            for change in _differs(("spec", key), dig(live, "spec", key, default=ABSENT), desired["spec"][key])
        )
    return tuple(
        change
        for path in _IMMUTABLE_FIELDS.get(kind, ())
        if dig(desired, *path) is not None
        for change in _differs(path, dig(live, *path, default=ABSENT), dig(desired, *path))
    )


def _walk(path: tuple[str | int, ...], old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _walk((*path, key), old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _walk_lists(path, old, new)
    else:
        yield Change(field_path(path), old, new)


def _walk_lists(path: tuple[str | int, ...], old: list[Any], new: list[Any]) -> Iterator[Change]:
    key = list_key(old, new)
    if key is None:
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else ABSENT
            after = new[index] if index < len(new) else ABSENT
            yield from _walk((*path, index), before, after)
        return
    by_old, by_new = {item[key]: item for item in old}, {item[key]: item for item in new}
    base = field_path(path)
    for name in [*by_old, *(name for name in by_new if name not in by_old)]:
        for change in _walk((), by_old.get(name, ABSENT), by_new.get(name, ABSENT)):
            rest = change.path if change.path.startswith("[") or not change.path else f".{change.path}"
            yield Change(f"{base}[{key}={name}]{rest}", change.old, change.new)


def list_key(old: list[Any], new: list[Any]) -> str | None:
    """The key that names the elements of both lists, when every element has it and none has it twice."""
    items = old + new
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for key in _LIST_KEYS:
        if all(isinstance(item.get(key), (str, int)) for item in items):
            if len({item[key] for item in old}) == len(old) and len({item[key] for item in new}) == len(new):
                return key
    return None


def _differs(path: tuple[str | int, ...], old: Any, new: Any) -> Iterator[Change]:
    """Fields that ``new`` states and ``old`` has otherwise; what only ``old`` has is a default, and no difference.

    Except for what no server fills in: labels and the like, and the class of a claim template.
    """
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        exact = path[-1] in ("matchLabels", "parameters") or (path[-1] == "labels" and "volumeClaimTemplates" in path)
        dropped = [key for key in old if key not in new and (exact or key in ("storageClassName", "matchExpressions"))]
        for key in [*new, *dropped]:
            yield from _differs((*path, key), old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differs((*path, index), before, after)
    elif not same_value(path, old, new):
        yield Change(field_path(path), old, new)


def same_value(path: Sequence[object], old: Any, new: Any) -> bool:
    """Whether two scalars mean the same: amounts of resources may be written in several ways."""
    if old == new:
        return True
    if tuple(path[-2:-1]) in (("requests",), ("limits",)) and ABSENT not in (old, new):
        try:
            return parse_quantity(old) == parse_quantity(new)
        except InputError:
            return False
    return False


def _plain_metadata(meta: Any) -> Any:
    """Metadata without what the server keeps, and without kubectl's copy of the manifest."""
    if not isinstance(meta, Mapping):
        return meta
    kept = {key: value for key, value in meta.items() if key not in _SERVER_METADATA}
    if _LAST_APPLIED in (kept.get("annotations") or {}):
        kept["annotations"] = {key: value for key, value in kept["annotations"].items() if key != _LAST_APPLIED}
    return kept


def change_lines(change: Change, longest: int) -> list[str]:
    """A change for people: in one line, or of texts with several lines those that differ, at most 20."""
    old, new = change.old, change.new
    if not (isinstance(old, str) and isinstance(new, str) and "\n" in old.strip() and "\n" in new.strip()):
        return [f"{change.path}: {shown_value(old, longest)} -> {shown_value(new, longest)}"]
    found = [line for line in ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"]
    lines = ["".join(c if c.isprintable() else repr(c)[1:-1] for c in line)[:longest] for line in found]
    rest = [f"... and {len(lines) - 20} lines more"] if len(lines) > 20 else []
    return [f"{change.path}:", *(f"  {line}" for line in (*lines[:20], *rest))]


def shown_value(value: Any, longest: int) -> str:
    """A value of a field in at most so many characters; what stands in for one, in brackets, is shown as it is."""
    text = value if isinstance(value, str) and value.startswith("(") else repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
