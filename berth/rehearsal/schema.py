"""The types of Kubernetes' objects, as the API server publishes them, for all who read or merge objects.

``data/kubernetes.json`` holds the schemas of a real control plane's ``/openapi/v3``, without the descriptions (see
``tests/checks/rehearsal_schema.py``). Nodes are built when they are first asked for, and once: comparing them by
identity, and remembering things by node, is safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind

#: The format of `Node.format` for resource quantities, which the API server publishes without one.
QUANTITY: Final = "quantity"
#: The format of values that are whole numbers or text.
INT_OR_STRING: Final = "int-or-string"

_QUANTITY_TYPE = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_REF = "#/components/schemas/"
_NOTHING: Mapping[str, Node] = MappingProxyType({})
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


class Node:
    """The type of one value: of an object, or of what is at a path of it.

    Attributes:
        name: the type's name as Go has it, with its package's version: ``v1.PodSpec``; "" for unnamed types.
        type: ``object``, ``array``, ``string``, ``integer``, ``number``, ``boolean``, or "" where several are taken.
        format: ``int32``, ``date-time``, ``byte``, `INT_OR_STRING`, `QUANTITY`, ...
        default: what the API server's schema says; None where it says nothing. A default of ``{}`` marks a struct that
            the server always writes.
        enum: the values that are taken; empty where any is.
        required: the fields of an object that must be there.
        list_type: ``atomic``, ``set``, ``map``, or "" (which is atomic, too).
        list_keys: the fields that tell the items of a ``map`` list apart.
        map_type: ``atomic``, ``granular`` or "" (which is granular, too).
        patch_strategy: ``merge``, ``replace``, ``retainKeys``, ``merge,retainKeys`` or "".
        patch_merge_key: the key that strategic merge patches use for the list.
        free: whether anything may be in it: an object of which the schema names no field.
    """

    __slots__ = (
        "_additional",
        "_fields",
        "_items",
        "_raw",
        "_target",
        "default",
        "enum",
        "format",
        "free",
        "list_keys",
        "list_type",
        "map_type",
        "name",
        "patch_merge_key",
        "patch_strategy",
        "required",
        "type",
    )

    def __init__(self, raw: Json, name: str = "") -> None:
        """Of a schema as OpenAPI writes it; what a field says of its own goes before what its type says."""
        reference = _reference(raw)
        target = _named(reference) if reference else None
        said = {**target._raw, **raw} if target else raw
        self._raw: Json = said
        self._target = target
        self._fields: Mapping[str, Node] | None = None
        self._items: Node | None = None
        self._additional: Node | None = None
        self.name: str = target.name if target else _short(name)
        self.type: str = said.get("type", "")
        self.format: str = QUANTITY if _QUANTITY_TYPE in (reference, name) else said.get("format", "")
        self.default: Any = raw.get("default")
        self.enum: tuple[Any, ...] = tuple(said.get("enum", ()))
        self.required: frozenset[str] = frozenset(said.get("required", ()))
        self.list_type: str = said.get("x-kubernetes-list-type", "")
        self.list_keys: tuple[str, ...] = tuple(said.get("x-kubernetes-list-map-keys", ()))
        self.map_type: str = said.get("x-kubernetes-map-type", "")
        self.patch_strategy: str = said.get("x-kubernetes-patch-strategy", "")
        self.patch_merge_key: str = said.get("x-kubernetes-patch-merge-key", "")
        self.free: bool = self.type == "object" and not said.get("properties") and "additionalProperties" not in said

    def __repr__(self) -> str:
        return f"<{self.name or self.type or 'any'}>"

    @property
    def fields(self) -> Mapping[str, Node]:
        """The fields that the schema names; empty for scalars, lists and maps."""
        if self._fields is None:
            if self._target is not None:
                self._fields = self._target.fields
            else:
                found = self._raw.get("properties")
                self._fields = {key: Node(raw) for key, raw in found.items()} if found else _NOTHING
        return self._fields

    @property
    def items(self) -> Node | None:
        """The type of a list's items."""
        if self._items is None and "items" in self._raw:
            self._items = self._target.items if self._target is not None else Node(self._raw["items"])
        return self._items

    @property
    def additional(self) -> Node | None:
        """The type of a map's values: of keys that the schema does not name."""
        if self._additional is None and isinstance(self._raw.get("additionalProperties"), dict):
            if self._target is not None:
                self._additional = self._target.additional
            else:
                self._additional = Node(self._raw["additionalProperties"])
        return self._additional

    @property
    def unions(self) -> tuple[Json, ...]:
        """The unions of an object's fields: of each one, ``discriminator`` and ``fields-to-discriminateBy``."""
        return tuple(self._raw.get("x-kubernetes-unions", ()))

    @property
    def api_version(self) -> str:
        """Of a kind's root: what its objects say as their apiVersion; "" for other types."""
        group = self._identity().get("group", "")
        version: str = self._identity().get("version", "")
        return f"{group}/{version}" if group else version

    @property
    def kind(self) -> str:
        """Of a kind's root: what its objects say as their kind; "" for other types."""
        found: str = self._identity().get("kind", "")
        return found

    def child(self, key: str) -> Node | None:
        """The type of what is under a key of a mapping; None where the schema knows no such key."""
        return self.fields.get(key) or self.additional

    def _identity(self) -> Json:
        identities = self._raw.get("x-kubernetes-group-version-kind")
        return identities[0] if identities else {}


@cache
def load() -> Json:
    """The schemas by name, as OpenAPI version 3 writes them: shared, never to be changed."""
    text = resources.files("berth.rehearsal").joinpath("data/kubernetes.json").read_text(encoding="utf-8")
    found: Json = json.loads(text)
    return found


def release() -> str:
    """The version of Kubernetes whose schemas these are: v1.36.3."""
    found: str = load()["version"]
    return found


def definitions() -> Mapping[str, Json]:
    """The schemas by their full name (``io.k8s.api.core.v1.Pod``); for what is published under /openapi."""
    found: Mapping[str, Json] = load()["schemas"]
    return found


def of(kind: Kind) -> Node:
    """The type of a kind's objects; KeyError where there is no schema of it."""
    return named(kind.api_version, kind.kind)


def named(api_version: str, kind: str) -> Node:
    """The type of the objects with this apiVersion and kind; KeyError where there is no schema of it."""
    return _named(_identities()[api_version, kind])


def field(kind: Kind, path: str) -> Node | None:
    """The type of what is at a path of a kind's objects; None where there is no such field.

    ``path`` is written as in the API server's messages; brackets may hold anything, or nothing:
    ``spec.template.spec.containers[].image``, ``metadata.labels[app]``, ``.data.key``.
    """
    node: Node | None = of(kind)
    for step in _STEP.findall(path):
        if node is None:
            return None
        if step.startswith("["):
            node = node.items or node.additional
        else:
            node = node.child(step)
    return node


@cache
def _identities() -> Mapping[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name, raw in definitions().items():
        for identity in raw.get("x-kubernetes-group-version-kind", ()):
            group, version = identity["group"], identity["version"]
            found[f"{group}/{version}" if group else version, identity["kind"]] = name
    return found


@cache
def _named(name: str) -> Node:
    return Node(definitions()[name], name)


def _reference(raw: Json) -> str:
    whole = raw.get("$ref")
    if whole is None and len(raw.get("allOf", ())) == 1:
        whole = raw["allOf"][0].get("$ref")
    return whole.removeprefix(_REF) if whole else ""


def _short(name: str) -> str:
    return ".".join(name.rsplit(".", 2)[1:])
