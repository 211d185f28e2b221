"""The types that the API server decodes objects into, and what an object looks like when it has gone through them.

The tree of types is that of the OpenAPI schemas (`berth.rehearsal.schema`). ``data/gotypes.json`` adds what the schemas
do not say and what shows in the server's answers: which fields are pointers (an explicit zero is kept), which are
written although they are empty, and how Go names a type (see ``tests/checks/rehearsal_gotypes.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import schema
from berth.rehearsal.amounts import NotAQuantity, canonical, text_of
from berth.rehearsal.kinds import Kind
from berth.rehearsal.timestamps import micro, seconds

#: What fills in a struct after its fields have been read; it may change the mapping, which is new.
Hook = Callable[[Json], None]

#: Lists of resources, whose amounts the server rounds up to thousandths.
_RESOURCE_LIST = "v1.ResourceList"


class Form(IntEnum):
    """What a type holds."""

    STRUCT = 0
    LIST = 1
    MAP = 2
    STRING = 3
    BOOLEAN = 4
    INT32 = 5
    INT64 = 6
    FLOAT = 7
    QUANTITY = 8
    INT_OR_STRING = 9
    TIME = 10
    MICRO_TIME = 11
    BYTES = 12
    ANY = 13


_SCALARS = frozenset({Form.STRING, Form.BOOLEAN, Form.INT32, Form.INT64, Form.FLOAT})


class Shape:
    """A type.

    Attributes:
        form: what it holds.
        go: what Go calls it in its messages: ``int32``, ``v1.Protocol``, ``[]v1.Container``.
        item: the type of a list's or a map's values.
        fields: the fields of a struct, by JSON name.
    """

    __slots__ = ("_fields", "_home", "_node", "_plan", "_written", "form", "go", "hook", "item", "name")

    def __init__(self, node: schema.Node, home: str, said: str = "") -> None:
        """Of a schema's node; ``home`` is the package of the kind, ``said`` what the table has about the field."""
        self._node = node
        self._home = home
        self._fields: dict[str, Field] | None = None
        self._plan: dict[str, tuple[int, Shape]] = {}
        self._written: list[tuple[str, Any]] = []
        self.hook: Hook | None = None
        self.form = _form(node)
        self.item: Shape | None = None
        self.go: str
        self.name = f"{home_of(node.name, home)}.{node.name.partition('.')[2]}" if node.name else ""
        named = said.strip("*!")
        if self.form is Form.LIST:
            inner = node.items
            self.item = shape_of(inner, home, named) if inner is not None else ANYTHING
            self.go = f"[]{self.item.go}"
        elif self.form is Form.MAP:
            inner = node.additional
            self.item = shape_of(inner, home) if inner is not None else ANYTHING
            self.go = named or f"map[string]{self.item.go}"
        elif self.form is Form.BYTES:
            self.go = "[]uint8"
        else:
            self.go = named or node.name or _BASIC.get(self.form, "")

    @property
    def fields(self) -> dict[str, Field]:
        """The fields of a struct; empty for other types."""
        if self._fields is None:
            table = unsaid().get(self.name, {})
            self._fields = {
                key: Field(child, self._home, table.get(key, "")) for key, child in self._node.fields.items()
            }
            self._compile()
        return self._fields

    def _compile(self) -> None:
        """Two tables for `through`: how each field is read, and what is written for fields that are not there."""
        for key, field in (self._fields or {}).items():
            shape = field.shape
            if shape.form in _SCALARS or shape.form is Form.INT_OR_STRING:
                way = (
                    _KEEP
                    if field.pointer or (field.zero is not None and not field.zero) or field.written
                    else _DROP_ZERO
                )
            elif shape.form is Form.LIST:
                plain = shape.item is not None and shape.item.form in _SCALARS
                way = (_LIST if plain else _READ) if field.written else (_DROP_EMPTY if plain else _READ_DROP_EMPTY)
            elif shape.form is Form.MAP:
                way = _READ if field.written else _READ_DROP_EMPTY
            else:
                way = _READ
            self._plan[key] = (way, shape)
            if field.zero is not None:
                self._written.append((key, shape if shape.form is Form.STRUCT else field.zero))
            elif field.written:
                self._written.append((key, _EMPTY.get(shape.form)))

    def through(self, value: Any) -> Any:
        """The value as it comes out again: unknown fields gone, empty ones too where Go leaves them out.

        What is not of the type (`decoding.first_error` finds it) stays as it is.
        """
        # A chain of identities, most frequent first: this runs for every value of every object that is written.
        form = self.form
        if form is Form.STRUCT:
            return self._struct(value) if isinstance(value, dict) else value
        if form is Form.LIST:
            item = self.item or ANYTHING
            if not isinstance(value, list):
                return value
            if None in value:
                value = [item.nothing() if each is None else each for each in value]
            return value if item.form in _SCALARS else [item.through(each) for each in value]
        if form is Form.MAP:
            return self._map(value) if isinstance(value, dict) else value
        if form is Form.QUANTITY:
            return quantity(value)
        if form is Form.TIME:
            return seconds(value)
        return micro(value) if form is Form.MICRO_TIME else value

    def nothing(self) -> Any:
        """What a null in a list or map is read as: a struct of which nothing is said, an empty text, a zero."""
        return {} if self.form is Form.STRUCT else _NOTHING.get(self.form)

    def _map(self, value: Json) -> Json:
        item = self.item or ANYTHING
        if item.form is Form.QUANTITY:
            return {key: quantity(each, milli=self.go == _RESOURCE_LIST) for key, each in value.items()}
        if item.form is Form.STRING or item.form is Form.BYTES:
            return (
                {key: "" if each is None else each for key, each in value.items()} if None in value.values() else value
            )
        return {key: item.through(item.nothing() if each is None else each) for key, each in value.items()}

    def _struct(self, value: Json) -> Json:
        if self._fields is None:
            _ = self.fields
        plan = self._plan
        new: Json = {}
        for key, each in value.items():
            found = plan.get(key)
            if each is None or found is None:
                continue
            way, shape = found
            if (way == _LIST or way == _DROP_EMPTY) and None in each:
                each = shape.through(each)
            if way == _DROP_ZERO or way == _DROP_EMPTY:
                if each:
                    new[key] = each
            elif way == _KEEP or way == _LIST:
                new[key] = each
            else:
                each = shape.through(each)
                if way == _READ or each:
                    new[key] = each
        for key, empty in self._written:
            if key not in new:
                new[key] = empty._struct({}) if type(empty) is Shape else empty
        if self.hook is not None:
            self.hook(new)
        return new


class Field:
    """A field of a struct.

    Attributes:
        shape: its type.
        pointer: whether it is a pointer, so that an explicit zero is not the same as nothing.
        zero: the value it has when nothing is said; None where it is then left out.
        written: whether it is written although it is empty.
        embedded: the Go struct that it is a field of, where that is embedded in the one whose field it is in JSON.
    """

    __slots__ = ("embedded", "pointer", "shape", "written", "zero")

    def __init__(self, node: schema.Node, home: str, said: str) -> None:
        """Of a schema's node and what the table has about the field."""
        said, _, self.embedded = said.partition("~")
        self.shape = shape_of(node, home, said)
        self.pointer = said.startswith("*")
        self.zero: Any = node.default
        self.written = said.endswith("!")


_KEEP, _DROP_ZERO, _LIST, _DROP_EMPTY, _READ, _READ_DROP_EMPTY = range(6)
#: What encoding/json leaves of a null: the zero of the type.
_NOTHING: Mapping[Form, Any] = {
    **{Form.STRING: "", Form.BOOLEAN: False, Form.INT32: 0, Form.INT64: 0, Form.FLOAT: 0, Form.INT_OR_STRING: 0},
    Form.QUANTITY: "0",
}
#: What is written for an empty value that has no default.
_EMPTY: Mapping[Form, Any] = {Form.QUANTITY: "0", Form.INT_OR_STRING: 0}
_BASIC = {
    Form.STRING: "string",
    Form.BOOLEAN: "bool",
    Form.INT32: "int32",
    Form.INT64: "int64",
    Form.FLOAT: "float64",
}
_FORMATS = {
    "int32": Form.INT32,
    "int64": Form.INT64,
    "byte": Form.BYTES,
    schema.QUANTITY: Form.QUANTITY,
    schema.INT_OR_STRING: Form.INT_OR_STRING,
}
_TYPES = {
    "string": Form.STRING,
    "boolean": Form.BOOLEAN,
    "integer": Form.INT32,
    "number": Form.FLOAT,
    "array": Form.LIST,
}


def of(kind: Kind) -> Shape:
    """The type of a kind's objects, or of another object that the schemas know."""
    return _root(kind)


@cache
def _root(kind: Kind) -> Shape:
    return shape_of(schema.of(kind), package(kind))


def package(kind: Kind) -> str:
    """What the table calls the package of a kind: core, apps, storage, ..."""
    return kind.group.partition(".")[0] or "core"


def home_of(name: str, home: str) -> str:
    """The package of a type by its short name: the kind's own, or the core's, or that of the metadata."""
    short = name.partition(".")[2]
    for each in (home, "core"):
        if f"{each}.{short}" in unsaid():
            return each
    return "meta" if f"meta.{short}" in unsaid() else "core"


_STRUCTS: dict[tuple[str, str], Shape] = {}
#: Hooks by the name of the struct that they fill in; `berth.rehearsal.defaults` registers them. Where two packages
#: have a struct of the name, it says the package of the kind: ``PodSpec``, ``discovery.EndpointPort``.
HOOKS: dict[str, Hook] = {}


def shape_of(node: schema.Node, home: str, said: str = "") -> Shape:
    """The type of a node; the same one for the same struct."""
    if not node.name or _form(node) is not Form.STRUCT:
        return Shape(node, home, said)
    key = (node.name, home)
    if key not in _STRUCTS:
        shape = _STRUCTS[key] = Shape(node, home)
        short = node.name.partition(".")[2]
        shape.hook = HOOKS.get(f"{home}.{short}") or HOOKS.get(short)
    return _STRUCTS[key]


def quantity(value: Any, *, milli: bool = False) -> Any:
    """An amount as the server writes it; what is none stays as it is."""
    if value is None:
        return "0"
    try:
        return canonical(text_of(value), milli=milli)
    except NotAQuantity:
        return value


def _form(node: schema.Node) -> Form:
    if node.format in _FORMATS:
        return _FORMATS[node.format]
    if node.format == "date-time":
        return Form.MICRO_TIME if node.name == "v1.MicroTime" else Form.TIME
    if node.type in _TYPES:
        return _TYPES[node.type]
    if node.fields:
        return Form.STRUCT
    if node.type == "object" and node.additional is not None:
        return Form.MAP
    if node.type == "object" and node.name not in ("v1.FieldsV1", "runtime.RawExtension"):
        return Form.STRUCT
    return Form.ANY


@cache
def _table() -> Json:
    text = resources.files("berth.rehearsal").joinpath("data/gotypes.json").read_text(encoding="utf-8")
    found: Json = json.loads(text)
    return found


def unsaid() -> Mapping[str, Mapping[str, str]]:
    """What the schemas leave out, by struct and field."""
    found: Mapping[str, Mapping[str, str]] = _table()["fields"]
    return found


def internal(name: str) -> list[str]:
    """The fields of one of the server's internal structs, each as "GoName jsonName type"; KeyError for others."""
    found: list[str] = _table()["internal"][name]
    return found


class _Anything(schema.Node):
    """The type of what nothing is known of."""


ANYTHING = Shape(_Anything({}), "core")
