"""Identities of Kubernetes objects, manifests, and the names that a StatefulSet derives.

Identity is group, kind, namespace and name, without the version: an object stays the same one when its manifest
moves from ``v1beta1`` to ``v1``.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from berth.core.errors import Position

#: One Kubernetes object, or a part of one, as JSON has it.
Json = dict[str, Any]

#: Kinds that live outside namespaces, of those that profiles are likely to render.
CLUSTER_SCOPED = frozenset(
    {
        "APIService",
        "CSIDriver",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeSnapshotClass",
    }
)

#: The longest name of a StatefulSet whose pods can carry their revision label: 63 - len("-" + 10 hash characters).
#: Source: kubernetes pkg/controller/statefulset, and kubernetes/kubernetes#64023.
MAX_SET_NAME = 52

#: The oldest Kubernetes (major, minor) whose behaviour berth knows.
OLDEST_KUBERNETES = (1, 30)

#: Where a pod, claim or object says which release it belongs to.
INSTANCE_LABEL = "app.kubernetes.io/instance"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
#: Membership of an ApplySet (KEP-3659), by which kubectl understands the inventory.
PART_OF_LABEL = "applyset.kubernetes.io/part-of"
#: The checksum of the configuration that pods read; a change rolls them.
CHECKSUM_ANNOTATION = "berth.dev/config-checksum"
#: Comma-separated keys of a Secret that `up` makes once and never changes.
GENERATED_ANNOTATION = "berth.dev/generated-keys"
#: Set to "data" on a Secret that must live as long as the claims, for it opens what is inside them.
KEEP_ANNOTATION = "berth.dev/keep-with"
#: The uid of an object that existed before berth and that a profile takes over: `teardown` removes it like any other.
ADOPTS_ANNOTATION = "berth.dev/adopts"
#: On a claim that no pod may take again: why, and since when.
UNUSABLE_ANNOTATION = "berth.dev/unusable"
#: The name under which berth applies (server-side apply's field manager).
FIELD_MANAGER = "berth"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Which object: ``group`` is "" for the core API, ``namespace`` "" for cluster-scoped kinds."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """As people write it: StatefulSet/web in shop."""
        return f"{self.kind}/{self.name}" + (f" in {self.namespace}" if self.namespace else "")

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> ObjectRef:
        """The identity of an object as the API returns it or a manifest states it."""
        meta = body["metadata"]
        kind = str(body["kind"])
        namespace = "" if kind in CLUSTER_SCOPED else str(meta.get("namespace", ""))
        return cls(group_of(str(body["apiVersion"])), kind, namespace, str(meta["name"]))


def group_of(api_version: str) -> str:
    """The API group of an ``apiVersion``: "apps" of "apps/v1", "" of "v1"."""
    return api_version.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a field of a manifest came from: the template line, and the dotted paths of the values used in it."""

    template: Position
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object to be applied.

    ``origins`` maps a field path ("spec.template.spec.containers[0].image") to its origin; ``generated`` maps the keys
    of a Secret that are made at `up` to the number of characters, ``copied`` those whose value is that of another one:
    its name, and the key there. ``as_is`` marks a path whose value is one profile
    value untouched (the chart export uses it).
    """

    body: Json
    position: Position
    origins: Mapping[str, Origin] = field(default_factory=dict)
    generated: Mapping[str, int] = field(default_factory=dict)
    copied: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def ref(self) -> ObjectRef:
        """The object's identity."""
        return ObjectRef.of(self.body)

    def origin_of(self, path: str) -> Origin:
        """The origin of a field, else of the nearest field around it, else of the manifest as a whole."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return Origin(self.position)


def field_path(parts: tuple[str | int, ...]) -> str:
    """One written path of many parts: ("spec", "ports", 0, "name") -> "spec.ports[0].name"."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def dig(body: Any, *parts: str | int, default: Any = None) -> Any:
    """The value at a path of keys and indexes, or ``default`` where any step is missing."""
    for part in parts:
        if isinstance(part, int):
            if not isinstance(body, list) or not -len(body) <= part < len(body):
                return default
            body = body[part]
        else:
            # dict first: asking the abstract class takes four times as long, and this is asked all the time.
            if not isinstance(body, (dict, Mapping)) or part not in body:
                return default
            body = body[part]
    return body


def pod_name(set_name: str, ordinal: int) -> str:
    """The pod of an ordinal: web-0."""
    return f"{set_name}-{ordinal}"


def claim_name(template: str, set_name: str, ordinal: int) -> str:
    """The claim of an ordinal: www-web-0."""
    return f"{template}-{set_name}-{ordinal}"


def ordinal_of(name: str, set_name: str) -> int | None:
    """The ordinal in the name of a pod of the set, or None when the name is not of that form."""
    prefix, _, number = name.rpartition("-")
    return int(number) if prefix == set_name and number.isdecimal() and str(int(number)) == number else None


def claim_ordinal(name: str, template: str, set_name: str) -> int | None:
    """The ordinal in the name of a claim made from ``template`` for the set, or None when it is not one."""
    return ordinal_of(name, f"{template}-{set_name}")


def ordinals(statefulset: Mapping[str, Any]) -> range:
    """The ordinals that the set wants: ``spec.replicas`` (default 1) from ``spec.ordinals.start`` (default 0) on."""
    start = int(dig(statefulset, "spec", "ordinals", "start", default=0))
    replicas = dig(statefulset, "spec", "replicas", default=1)
    return range(start, start + int(1 if replicas is None else replicas))


def applyset_id(release: str, namespace: str) -> str:
    """The id of the ApplySet whose parent is the release's Secret.

    The form is KEP-3659's: base64url(sha256(name.namespace.kind.group)), of the parent object.
    """
    parent = f"{record_name(release)}.{namespace}.Secret."
    return "applyset-" + urlsafe_b64encode(sha256(parent.encode()).digest()).decode().rstrip("=") + "-v1"


def record_name(release: str) -> str:
    """The name of the Secret that records a release."""
    return f"berth.release.{release}"


def lease_name(release: str) -> str:
    """The name of the Lease that locks a release."""
    return f"berth.release.{release}"
