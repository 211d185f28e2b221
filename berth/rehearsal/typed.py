"""Values under the types of their fields: which of them differ, and which are stated.

Everything is a function of JSON and a `Type`, which is a schema's node seen as structured-merge-diff sees it. Source:
sigs.k8s.io/structured-merge-diff, typed; k8s.io/kube-openapi, schemaconv.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Final

from berth.core.objects import Json
from berth.rehearsal import fieldsets
from berth.rehearsal.fieldsets import SELF, Fields
from berth.rehearsal.schema import Node

#: In the place of a value that is not there at all, which is not the same as null.
MISSING: Final = object()
_NO_ZEROS: Final[Mapping[str, Any]] = {}
#: Types of which the schema says that a field is "" or 0 by default, and which leave it out all the same.
_OMITTING: Final = frozenset(
    {"AzureDiskVolumeSource", "ConfigMapEnvSource", "ConfigMapKeySelector", "ConfigMapProjection"}
    | {"ConfigMapVolumeSource", "FileKeySelector", "GRPCAction", "LocalObjectReference", "NodeRuntimeHandler"}
    | {"ScaleSpec", "SecretEnvSource", "SecretKeySelector", "SecretProjection"}
)


class Shape(Enum):
    """How a value is compared and merged."""

    #: A scalar.
    SCALAR = "scalar"
    #: A list or mapping that is one value.
    ATOMIC = "atomic"
    #: A mapping, field by field or key by key.
    MAP = "map"
    #: A list whose items have keys.
    ITEMS = "items"
    #: A list of scalars, each there once.
    SET = "set"
    #: Whatever the value is: scalars, lists as one value, mappings key by key.
    ANY = "any"


class Type:
    """A node of the schema, seen as its values are merged.

    Attributes:
        node: the schema's node; None for values of which the schema says nothing.
        shape: how values are compared and merged.
        keys: of `Shape.ITEMS`, the fields that tell items apart, sorted.
        zeros: of a struct, the fields that the API server writes also when nobody has set them, and their values.
    """

    __slots__ = ("_children", "_element", "defaults", "keys", "node", "shape", "zeros")

    def __init__(self, node: Node | None) -> None:
        """Of a node; None is anything."""
        self.node = node
        self.shape = _shape(node)
        self.keys: tuple[str, ...] = ()
        self.defaults: tuple[Any, ...] = ()
        self.zeros: Mapping[str, Any] = _NO_ZEROS
        self._children: dict[str, Type | None] = {}
        self._element: Type | None = None
        if node is None:
            return
        if self.shape is Shape.MAP:
            self.zeros = _zeros(node)
        if self.shape is Shape.ITEMS and node.items is not None:
            self.keys = tuple(sorted(node.list_keys))
            fields = node.items.fields
            self.defaults = tuple(fields[key].default if key in fields else None for key in self.keys)

    def child(self, key: str) -> Type | None:
        """The type under a key of a mapping; None where the schema has no such field."""
        try:
            return self._children[key]
        except KeyError:
            return self._found(key)

    def _found(self, key: str) -> Type | None:
        if self.node is None or self.node.free or self.shape is Shape.ANY:
            return ANYTHING
        if key not in self.node.fields:
            # Not remembered by its key: the keys of maps are without end.
            return self.element
        found = self._children[key] = type_of(self.node.fields[key])
        return found

    @property
    def element(self) -> Type | None:
        """The type of a list's items, or of the keys of a mapping that the schema does not name."""
        if self._element is None and self.node is not None:
            below = self.node.items or self.node.additional
            self._element = type_of(below) if below is not None else None
        return self._element

    def declares(self, key: str) -> bool:
        """Whether the key is a field that the schema names."""
        return self.node is not None and key in self.node.fields

    def item(self, item: Any) -> str:
        """The element of a path that leads to an item of this list."""
        if self.shape is Shape.SET:
            return fieldsets.item_value(item)
        item = item if isinstance(item, dict) else {}
        if len(self.keys) == 1:
            key = self.keys[0]
            value = item.get(key, self.defaults[0])
            return fieldsets.item_key(self.keys, (value,)) if value is not None or key in item else "k:{}"
        names, values = [], []
        for key, default in zip(self.keys, self.defaults, strict=True):
            value = item.get(key, default)
            if value is not None or key in item:
                names.append(key)
                values.append(value)
        return fieldsets.item_key(tuple(names), tuple(values))


def _shape(node: Node | None) -> Shape:
    if node is None:
        return Shape.ANY
    match node.type:
        case "object":
            # What may hold anything at all (a RawExtension, such as a ControllerRevision's data) is one value.
            return Shape.ATOMIC if node.map_type == "atomic" or node.free else Shape.MAP
        case "array":
            if node.list_type == "map":
                return Shape.ITEMS
            return Shape.SET if node.list_type == "set" else Shape.ATOMIC
        case "":
            return Shape.ANY
        case _:
            return Shape.SCALAR


@cache
def type_of(node: Node) -> Type:
    """The type of a node's values."""
    return Type(node)


ANYTHING: Final = Type(None)


@cache
def _zeros(node: Node) -> Mapping[str, Any]:
    """What Go writes of a struct that holds nothing: it leaves out only what is marked so, and never a struct."""
    found: dict[str, Any] = {}
    omitting = node.name.rpartition(".")[2] in _OMITTING
    for name, field in node.fields.items():
        if omitting and name not in node.required:
            continue
        if field.type == "object" and field.default == {}:
            found[name] = dict(_zeros(field))
        elif field.default in ("", 0) and field.type in ("string", "integer", "number", "boolean"):
            found[name] = field.default
        elif name in node.required and field.default is None and field.type in ("array", "object"):
            found[name] = None
    return found


def compare(kind: Type, old: Json, new: Json) -> tuple[Fields, Fields]:
    """The fields that are new or changed, and those that are gone."""
    changed: Fields = {}
    removed: Fields = {}
    _compare_maps(kind, old, new, changed, removed, kind.zeros, kind.zeros)
    return changed, removed


def _compare_maps(
    kind: Type,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    changed: Fields,
    removed: Fields,
    old_zeros: Mapping[str, Any],
    new_zeros: Mapping[str, Any],
) -> None:
    for key, right in new.items():
        left = old.get(key, MISSING)
        if left is MISSING:
            left = old_zeros.get(key, MISSING)
        if left is not right and left != right:
            _compare(kind.child(key) or ANYTHING, left, right, f"f:{key}", changed, removed)
    for key, left in old.items():
        if key not in new:
            right = new_zeros.get(key, MISSING)
            if left != right:
                _compare(kind.child(key) or ANYTHING, left, right, f"f:{key}", changed, removed)
    if old_zeros is new_zeros:
        return
    for key, zero in (new_zeros or old_zeros).items():
        if key not in old and key not in new:
            left, right = (MISSING, zero) if new_zeros else (zero, MISSING)
            _compare(kind.child(key) or ANYTHING, left, right, f"f:{key}", changed, removed)


def _compare(kind: Type, old: Any, new: Any, element: str, changed: Fields, removed: Fields) -> None:
    if old is MISSING:
        changed[element] = _whole(kind, new)
        return
    if new is MISSING:
        removed[element] = _whole(kind, old)
        return
    shape = kind.shape
    if shape is Shape.ANY:
        both_maps = all(isinstance(value, dict) or value is None for value in (old, new))
        shape = Shape.MAP if both_maps else Shape.SCALAR
    if shape is Shape.SCALAR or shape is Shape.ATOMIC or not (old or new):
        if old != new:
            changed[element] = {}
        return
    more: Fields = {}
    less: Fields = {}
    if shape is Shape.MAP:
        left, right = (value if isinstance(value, dict) else {} for value in (old, new))
        old_zeros = kind.zeros if isinstance(old, dict) else _NO_ZEROS
        new_zeros = kind.zeros if isinstance(new, dict) else _NO_ZEROS
        _compare_maps(kind, left, right, more, less, old_zeros, new_zeros)
    else:
        _compare_lists(kind, old, new, more, less)
    if more:
        changed[element] = more
    if less:
        removed[element] = less


def _whole(kind: Type, value: Any) -> Fields:
    """The set of a value that is there on one side only: itself, and everything below."""
    shape = kind.shape
    if shape is Shape.SCALAR or shape is Shape.ATOMIC or not value:
        return {}
    if shape is Shape.ANY:
        shape = Shape.MAP if isinstance(value, dict) else Shape.SCALAR
    found: Fields = {SELF: {}}
    if shape is Shape.MAP and isinstance(value, dict):
        for key, inner in value.items():
            found[f"f:{key}"] = _whole(kind.child(key) or ANYTHING, inner)
        for key, zero in kind.zeros.items():
            if key not in value:
                found[f"f:{key}"] = _whole(kind.child(key) or ANYTHING, zero)
    elif isinstance(value, list):
        below = kind.element or ANYTHING
        for item in value:
            element = kind.item(item)
            # What is there twice is in the set as itself, without what is below.
            found[element] = {} if element in found else _whole(below, item)
    return found if len(found) > 1 else {}


def is_empty(value: Any) -> bool:
    """Whether a list or mapping has nothing in it, or is not there."""
    return value is MISSING or not value


def _compare_lists(kind: Type, old: Any, new: Any, changed: Fields, removed: Fields) -> None:
    lefts, rights = indexed(kind, old), indexed(kind, new)
    below = kind.element or ANYTHING
    for element in {**lefts, **rights}:
        left, right = lefts.get(element, ()), rights.get(element, ())
        if len(left) <= 1 and len(right) <= 1:
            one, other = left[0] if left else MISSING, right[0] if right else MISSING
            if one is not other and one != other:
                _compare(below, one, other, element, changed, removed)
        elif len(left) > 1 and len(right) > 1:
            if left != right:
                changed[element] = {}
        elif len(left) > 1:
            if right:
                _compare(below, MISSING, right[0], element, changed, removed)
            removed[element] = {}
        else:
            if left:
                _compare(below, left[0], MISSING, element, changed, removed)
            changed[element] = {}


def indexed(kind: Type, items: Any) -> dict[str, list[Any]]:
    """The items of a list by the elements that lead to them; more than one where they are not told apart."""
    found: dict[str, list[Any]] = {}
    for item in items if isinstance(items, list) else ():
        found.setdefault(kind.item(item), []).append(item)
    return found


def stated(kind: Type, value: Json) -> Fields:
    """Every field that the value states: its leaves, the items of its lists, and what it sets to nothing."""
    found: Fields = {}
    _state_map(kind, value, found)
    return found


def _state_map(kind: Type, value: Json, found: Fields) -> None:
    for key, inner in value.items():
        below: Fields = {}
        leaf = _state(kind.child(key) or ANYTHING, inner, below)
        if inner is None or inner == {} or not kind.declares(key):
            leaf = True
        _put_stated(found, f"f:{key}", leaf, below)


def _state(kind: Type, value: Any, found: Fields) -> bool:
    """Fill in what is below; the answer is whether the value itself is stated."""
    shape = kind.shape
    if shape is Shape.ANY:
        shape = Shape.MAP if isinstance(value, dict) else Shape.SCALAR
    if shape is Shape.SCALAR or shape is Shape.ATOMIC:
        return True
    if shape is Shape.MAP:
        if isinstance(value, dict):
            _state_map(kind, value, found)
        return False
    below = kind.element or ANYTHING
    for element, items in indexed(kind, value).items():
        inner: Fields = {}
        if len(items) == 1:
            _state(below, items[0], inner)
        _put_stated(found, element, True, inner)
    return False


def _put_stated(found: Fields, element: str, leaf: bool, below: Fields) -> None:
    if below:
        found[element] = {SELF: {}, **below} if leaf else below
    elif leaf:
        found[element] = {}
