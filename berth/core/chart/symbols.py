"""Symbols: what stands for a value while a profile's templates run without knowing it.

Everything that the chart will compute is a tree of these. Besides them stand the data that templates always make:
text, numbers, lists and mappings, which may hold symbols inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jinja2.utils import Namespace
from markupsafe import Markup

from berth.core import schema as schemas
from berth.core.objects import Json
from berth.core.strictyaml import OMIT
from berth.core.tokens import SESSION, TOKEN
from berth.core.values import dotted

Kinds = frozenset[str]
TEXT: Kinds = frozenset({"string"})
WHOLE: Kinds = frozenset({"integer"})
NUMBER: Kinds = frozenset({"number"})
BOOLEAN: Kinds = frozenset({"boolean"})
LIST: Kinds = frozenset({"array"})
MAPPING: Kinds = frozenset({"object"})
NULL: Kinds = frozenset({"null"})
SCALAR = TEXT | WHOLE | NUMBER | BOOLEAN
ANY: Kinds = SCALAR | LIST | MAPPING | NULL


class NotCarried(Exception):
    """Something that a Go template cannot do the way the profile does; ``paths`` are the values that it depends on."""

    def __init__(self, reason: str, *involved: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        #: The template, where it is not the one that runs.
        self.where = ""
        self.paths = tuple(dict.fromkeys(path for part in involved for path in paths_in(part)))


#: What is not there at all; null is a value.
ABSENT = object()


class Symbol:
    """Anything that is computed by Helm; ``kinds`` are the JSON types that it can have."""

    __slots__ = ()
    kinds: Kinds


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """What a loop counts with; ``source`` is what it runs over."""

    name: str
    source: Any


@dataclass(frozen=True, slots=True, eq=False)
class Place(Symbol):
    """A value by its path, or a part of a loop's variable; ``schema`` is the part of the profile's schema for it.

    ``frail`` is whether it may be null or missing, whatever the conditions around; ``below_frail`` whether what it is a
    part of may be: asking for it is an error of Go then.
    """

    parts: tuple[str, ...]
    kinds: Kinds
    schema: Any
    base: Variable | None = None
    frail: bool = False
    below_frail: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Builtin(Symbol):
    """What Helm knows of the release: "Name" or "Namespace"."""

    name: str
    kinds: Kinds = TEXT


@dataclass(frozen=True, slots=True, eq=False)
class Op(Symbol):
    """An operation; ``expressions`` knows how each is written."""

    name: str
    args: tuple[Any, ...]
    kinds: Kinds


@dataclass(frozen=True, slots=True, eq=False)
class Text(Symbol):
    """Text made of parts; ``hint`` is the macro or file that made it, by which a helper of the chart is named."""

    parts: tuple[Any, ...]
    hint: str = ""
    kinds: Kinds = TEXT


class Verbatim(str):
    """The text of a file of the profile that needs no value; ``hint`` names it, as in `Text`."""

    hint = ""


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(Symbol):
    """Text for each item; ``separator`` stands between the items, not around them."""

    names: tuple[str, ...]
    over: Any
    parts: tuple[Any, ...]
    separator: str = ""
    kinds: Kinds = TEXT


@dataclass(frozen=True, slots=True, eq=False)
class Each(Symbol):
    """As an item of a list: what a loop appended."""

    names: tuple[str, ...]
    over: Any
    items: tuple[Any, ...]
    kinds: Kinds = LIST


@dataclass(frozen=True, slots=True, eq=False)
class Choice(Symbol):
    """One of two; where ``yes`` is ``test`` it is Jinja's `or`, where ``no`` is, its `and`."""

    test: Any
    yes: Any
    no: Any

    @property
    def kinds(self) -> Kinds:  # type: ignore[override]
        """Those of both sides; what a truthy test can be where it is the result."""
        yes = kinds_of(self.yes) - (NULL if self.yes is self.test else frozenset())
        return yes | kinds_of(self.no)


@dataclass(frozen=True, slots=True, eq=False)
class Combined(Symbol):
    """Mappings, later ones over earlier ones, none with a mapping in a mapping that another one has too."""

    parts: tuple[Any, ...]
    hint: str = ""
    kinds: Kinds = MAPPING


@dataclass(frozen=True, slots=True)
class Unsure:
    """In the place of a name that only one side of a condition gives a value."""

    test: Any


@dataclass(frozen=True, slots=True)
class Branch:
    """A mark in rendered text: a condition begins."""

    test: Any


@dataclass(frozen=True, slots=True)
class Loop:
    """A mark in rendered text: a loop begins."""

    names: tuple[str, ...]
    over: Any


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark in rendered text: "else" or "end"."""

    word: str


CONTROLS = (Branch, Loop, Mark)


@dataclass(frozen=True, slots=True)
class Space:
    """The values of a profile as symbols.

    ``fixed`` are the paths whose values are taken as they are.
    """

    schema: Json
    data: Json
    fixed: frozenset[tuple[str, ...]] = frozenset()
    #: Places that are there and not null under the conditions around the present line.
    present: set[str] = field(default_factory=set)

    def root(self) -> Place:
        """`values`."""
        return Place((), MAPPING, schemas.resolve(self.schema, self.schema))

    def kinds(self, part: Any, default: Any = OMIT) -> Kinds:
        """The types that a part of the schema allows; where it is silent, that of the default."""
        types = set(schemas.types_of(self.schema, part))
        if not types and isinstance(part, dict):
            listed = part.get("enum", [part["const"]] if "const" in part else [])
            types = {kind for option in listed for kind in kinds_of(option)}
        if not types:
            types = set(ANY if default is None or default is OMIT else kinds_of(default))
        return frozenset(types | {"null"} if default is None else types)

    def child(self, place: Place, key: str) -> Any:
        """A part of a place; `ABSENT` where the schema knows none.

        A key that may be missing is the operation "key".
        """
        part = schemas.descend(self.schema, place.schema, key)
        if part is None:
            return ABSENT
        full = (*place.parts, key)
        default: Any = OMIT
        if place.base is None:
            held: Any = dig(self.data, place.parts)
            sure = isinstance(held, dict) and key in held
            default = held[key] if sure else OMIT
            if sure and full in self.fixed:
                return default
        else:
            sure = key in place.schema.get("required", ())
        kinds = self.kinds(part, default)
        frail = place.frail or not sure or "null" in kinds
        made = Place(full, kinds, part, place.base, frail, place.frail)
        if name_of(made) in self.present:
            return replace(made, kinds=kinds - NULL)
        return made if sure else Op("key", (place, key), kinds)

    def closed(self, place: Place) -> dict[str, Any] | None:
        """The entries of a mapping that always has the same ones; None for another."""
        part = place.schema
        if place.base is not None or place.kinds != MAPPING or part.get("additionalProperties") is not False:
            return None
        held = dig(self.data, place.parts)
        if not isinstance(held, dict) or set(held) != set(part.get("properties", ())):
            return None
        return {key: self.child(place, key) for key in held}

    def item(self, names: str, source: Any, key: bool = False) -> Place:
        """The variable of a loop over a list or mapping; ``key``: over the names of a mapping."""
        variable = Variable(names, source)
        if key:
            return Place((), TEXT, {}, variable)
        if isinstance(source, Op) and source.name == "until":
            return Place((), WHOLE, {"minimum": 0}, variable)
        if isinstance(source, Place):
            step: str | int = 0 if source.kinds == LIST else "\0"
            part = schemas.descend(self.schema, source.schema, step)
            return Place((), self.kinds(part), part if isinstance(part, dict) else {}, variable)
        return Place((), ANY if source.kinds != MAPPING else entry_kinds(self, source), {}, variable)


def dig(data: Any, parts: tuple[str, ...]) -> Any:
    """The value at a path of keys; None where there is none."""
    for part in parts:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def entry_kinds(space: Space, mapping: Any) -> Kinds:
    """What the entries of a mapping can be."""
    if isinstance(mapping, Combined):
        return frozenset().union(*(entry_kinds(space, part) for part in mapping.parts))
    if isinstance(mapping, dict):
        return frozenset().union(*(kinds_of(item) for item in mapping.values()))
    if not isinstance(mapping, Place):
        return ANY
    known = mapping.schema.get("properties", {}) if isinstance(mapping.schema, dict) else {}
    parts = [*known, "\0"] if mapping.schema.get("additionalProperties") is not False else [*known]
    found = [schemas.descend(space.schema, mapping.schema, key) for key in parts]
    return frozenset().union(*(space.kinds(part) for part in found if part is not None))


def kinds_of(value: Any) -> Kinds:
    """The JSON types that a value can have."""
    if isinstance(value, Symbol):
        return value.kinds
    if value is None or value is OMIT:
        return NULL
    if isinstance(value, bool):
        return BOOLEAN
    for known, kinds in ((str, TEXT), (int, WHOLE), (float, NUMBER), (dict, MAPPING), (list, LIST), (tuple, LIST)):
        if isinstance(value, known):
            return kinds
    return ANY


def name_of(place: Place, *more: str) -> str:
    """What tells one place, or a part of it, from another."""
    return f"{place.base.name if place.base else 'values'}.{dotted((*place.parts, *more))}"


def inside(value: Any) -> Iterator[Any]:
    """The parts of a value that may be or hold symbols."""
    if isinstance(value, Markup):
        tokens = SESSION.get().tokens
        for found in TOKEN.finditer(value):
            yield tokens[int(found[1])][0]
    elif isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, (list, tuple)):
        yield from value
    elif isinstance(value, Op):
        yield from value.args
    elif isinstance(value, (Text, Combined)):
        yield from value.parts
    elif isinstance(value, Repeat):
        yield value.over
        yield from value.parts
    elif isinstance(value, Each):
        yield value.over
        yield from value.items
    elif isinstance(value, Choice):
        yield from (value.test, value.yes, value.no)
    elif isinstance(value, Branch):
        yield value.test
    elif isinstance(value, Loop):
        yield value.over
    elif isinstance(value, Namespace):
        yield from attributes(value).values()


def attributes(namespace: Namespace) -> dict[str, Any]:
    """What Jinja keeps in a `namespace()`."""
    held: dict[str, Any] = object.__getattribute__(namespace, "_Namespace__attrs")
    return held


def symbolic(value: Any) -> bool:
    """Whether a value is, or holds, a symbol or a mark."""
    if isinstance(value, (Symbol, *CONTROLS)):
        return True
    return any(symbolic(part) for part in inside(value))


def paths_in(value: Any) -> Iterator[str]:
    """The dotted paths of the values in a value."""
    if isinstance(value, Place):
        if value.base is None:
            yield dotted(value.parts)
        else:
            yield from paths_in(value.base.source)
        return
    for part in inside(value):
        yield from paths_in(part)
