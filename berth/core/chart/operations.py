"""What operators, tests and filters make of symbols.

Each function gives data or a symbol that Helm will compute to exactly what Jinja would have, or raises `NotCarried`.
Numbers are the reason for most refusals: Helm knows no whole numbers, and Go divides and rounds otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from berth.core.chart.symbols import (
    ABSENT,
    ANY,
    BOOLEAN,
    LIST,
    MAPPING,
    NULL,
    NUMBER,
    SCALAR,
    TEXT,
    WHOLE,
    Choice,
    Combined,
    Each,
    Kinds,
    NotCarried,
    Op,
    Place,
    Repeat,
    Space,
    Symbol,
    Text,
    entry_kinds,
    kinds_of,
    symbolic,
)
from berth.core.tokens import to_text

_NUMERIC = WHOLE | NUMBER
_ORDER = {"lt": "lt", "gt": "gt", "lteq": "le", "gteq": "ge"}
_COMPARING = {
    "eq": "eq", "equalto": "eq", "==": "eq", "ne": "ne", "!=": "ne", "lt": "lt", "lessthan": "lt", "<": "lt",
    "gt": "gt", "greaterthan": "gt", ">": "gt", "le": "lteq", "<=": "lteq", "ge": "gteq", ">=": "gteq", "in": "in",
}  # fmt: skip


def truth(value: Any) -> Any:
    """A condition: true or false where it is known, else the symbol itself."""
    return value if symbolic(value) and isinstance(value, Symbol) else bool(value)


def negation(value: Any) -> Any:
    """`not`."""
    if not isinstance(value, Symbol):
        return not value
    if isinstance(value, Op) and value.name == "not":
        return Op("bool", value.args, BOOLEAN) if kinds_of(value.args[0]) != BOOLEAN else value.args[0]
    return Op("not", (value,), BOOLEAN)


def binary(operator: str, left: Any, right: Any) -> Any:
    """An arithmetic operator."""
    kinds = kinds_of(left), kinds_of(right)
    if operator == "+" and kinds == (TEXT, TEXT):
        return text(left, right)
    if operator == "+" and kinds == (LIST, LIST):
        if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            return [*left, *right]
        return Op("concat", (left, right), LIST)
    if not (kinds[0] <= _NUMERIC and kinds[1] <= _NUMERIC):
        raise NotCarried(f"{operator} of what may not be numbers", left, right)
    whole = kinds == (WHOLE, WHOLE)
    if operator in ("+", "-", "*"):
        name = {"+": "add", "-": "sub", "*": "mul"}[operator]
        return Op(name if whole else f"{name}f", (left, right), WHOLE if whole else NUMBER)
    if not (isinstance(right, (int, float)) and right > 0):
        raise NotCarried(f"{operator} by a number that is not known", left, right)
    if operator == "/":
        return Op("divf", (left, right), NUMBER)
    if operator in ("//", "%") and whole and not negative(left):
        return Op("div" if operator == "//" else "mod", (left, right), WHOLE)
    raise NotCarried(f"{operator}, which Go rounds otherwise", left, right)


def negative(value: Any) -> bool:
    """Whether a number may be below zero."""
    if isinstance(value, (int, float)):
        return value < 0
    if isinstance(value, Place):
        return not (isinstance(value.schema, dict) and value.schema.get("minimum", -1) >= 0)
    if isinstance(value, Op):
        if value.name == "let":
            return negative(value.args[1])
        if value.name in ("add", "addf", "mul", "mulf", "div", "divf", "mod", "int", "float"):
            return any(negative(arg) for arg in value.args)
        if value.name == "max":
            return all(negative(arg) for arg in value.args)
        return value.name not in ("quantity", "len")
    return True


def compare(operator: str, left: Any, right: Any) -> Any:
    """One comparison."""
    if operator in ("in", "notin"):
        found = contains(right, left)
        return found if operator == "in" else negation(found)
    kinds = kinds_of(left), kinds_of(right)
    numeric = kinds[0] <= _NUMERIC and kinds[1] <= _NUMERIC
    if operator in ("eq", "ne"):
        if not numeric and not kinds[0] & kinds[1]:
            return operator == "ne"
        plain = kinds[0] == kinds[1] and kinds[0] in (TEXT, WHOLE, BOOLEAN)
        name = "eq" if plain else "eqnumber" if numeric else "eqjson"
        if name == "eqjson" and (kinds[0] | kinds[1]) & (LIST | MAPPING):
            raise NotCarried("a comparison of lists or mappings", left, right)
        made = Op(name, (left, right), BOOLEAN)
        return made if operator == "eq" else negation(made)
    if kinds == (TEXT, TEXT) or kinds == (WHOLE, WHOLE):
        return Op(_ORDER[operator], (left, right), BOOLEAN)
    if numeric:
        return Op(f"{_ORDER[operator]}number", (left, right), BOOLEAN)
    raise NotCarried("an order of what may be text or a number", left, right)


def contains(whole: Any, part: Any) -> Any:
    """`part in whole`."""
    kinds = kinds_of(whole)
    if kinds_of(part) == TEXT and kinds == TEXT:
        return Op("contains", (part, whole), BOOLEAN)
    if kinds_of(part) == TEXT and kinds == MAPPING and (not isinstance(whole, dict) or isinstance(part, str)):
        return Op("haskey", (whole, part), BOOLEAN)
    if isinstance(whole, dict):
        whole = list(whole)
    if isinstance(whole, (list, tuple)) and not symbolic(whole):
        whole = [item for item in whole if isinstance(item, str)] if kinds_of(part) == TEXT else whole
        if all(isinstance(item, str) for item in whole):
            return Op("has", (part, list(whole)), BOOLEAN)
    if isinstance(whole, Place) and kinds == LIST and kinds_of(part) == TEXT:
        return Op("has", (part, whole), BOOLEAN)
    raise NotCarried("a search for what may not be text", whole, part)


def attribute(space: Space, owner: Any, key: Any) -> Any:
    """`owner.key` or `owner[key]` of a symbol; `ABSENT` where there is no such thing."""
    if isinstance(key, str):
        if isinstance(owner, Place) and owner.kinds == MAPPING:
            return space.child(owner, key)
        if isinstance(owner, Combined):
            if isinstance(owner.parts[-1], dict) and key in owner.parts[-1]:
                return owner.parts[-1][key]
            last = space.child(owner.parts[-1], key) if isinstance(owner.parts[-1], Place) else ABSENT
            if last is not ABSENT and not isinstance(last, Op):
                return last
            return Op("key", (owner, key), entry_kinds(space, owner) - NULL)
    if isinstance(key, int) and owner.kinds == TEXT and key == -1 and _never_empty(owner):
        return Op("lastletter", (owner,), TEXT)
    raise NotCarried("a part that may not be there", owner, key)


def _never_empty(value: Any) -> bool:
    schema = value.schema if isinstance(value, Place) and isinstance(value.schema, dict) else {}
    return schema.get("minLength", 0) > 0 or ("pattern" in schema and not re.search(schema["pattern"], ""))


def piece(owner: Any, start: Any, stop: Any, step: Any) -> Any:
    """`owner[start:stop]` of text: from the first letter to the nth, or without the last one."""
    if kinds_of(owner) == TEXT and start in (None, 0) and step in (None, 1) and isinstance(stop, int):
        if 0 < stop <= 1000:
            return Op("firstletters", (owner, stop), TEXT)
        if stop == -1:
            return Op("butlast", (owner,), TEXT)
    raise NotCarried("this slice", owner, start, stop, step)


def text(*parts: Any, hint: str = "") -> Text:
    """Text of parts, each as `to_text` would write it."""
    made: list[Any] = []
    for part in parts:
        for inner in part.parts if isinstance(part, Text) and not _named(part) else [part]:
            plain = inner if isinstance(inner, Symbol) else to_text(inner)
            if isinstance(plain, Symbol):
                _in_text(plain)
            if isinstance(plain, str) and made and isinstance(made[-1], str):
                made[-1] += plain
            elif plain != "":
                made.append(str(plain) if isinstance(plain, str) else plain)
    return Text(tuple(made), hint)


def _named(part: Text) -> bool:
    """Whether a text is better told by its name than by what it is made of."""
    return bool(part.hint) and any(isinstance(inner, (Choice, Repeat)) for inner in part.parts)


def _in_text(part: Symbol) -> None:
    """Refuse what has no text, or another one in Go."""
    if isinstance(part, Op) and part.name == "fail":
        return
    if isinstance(part, Choice):
        for side in (part.yes, part.no):
            if isinstance(side, Symbol) and side is not part.test:
                _in_text(side)
            elif not isinstance(side, Symbol):
                to_text(side)
        if part.yes is not part.test:
            return
    if not part.kinds <= SCALAR:
        raise NotCarried("text of what may be null, a list or a mapping", part)
    if part.kinds & NUMBER and not isinstance(part, Place) and not (isinstance(part, Op) and part.name == "key"):
        raise NotCarried("text of a number with decimals that is computed", part)


def string(value: Any) -> Any:
    """`| string`."""
    if kinds_of(value) == TEXT:
        return value
    _in_text(value)
    return Op("text", (value,), TEXT)


def combine(space: Space, *mappings: Any) -> Any:
    """The filter combine."""
    parts: list[Any] = []
    for mapping in mappings:
        if isinstance(mapping, Place) and (closed := space.closed(mapping)) is not None:
            mapping = closed
        for part in mapping.parts if isinstance(mapping, Combined) else [mapping]:
            if isinstance(part, Symbol):
                if part.kinds != MAPPING or entry_kinds(space, part) & MAPPING:
                    raise NotCarried("combine of mappings that may hold mappings", part)
                parts.append(part)
            elif part is not None:
                if parts and isinstance(parts[-1], dict):
                    parts[-1] = _merged(parts[-1], part)
                else:
                    parts.append(dict(part))
    parts = [part for part in parts if part != {}] or [{}]
    return parts[0] if len(parts) == 1 and isinstance(parts[0], dict) else Combined(tuple(parts))


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in over.items():
        held = made.get(key)
        if isinstance(value, dict) and isinstance(held, dict):
            made[key] = _merged(held, value)
        elif kinds_of(value) & kinds_of(held) & MAPPING and key in made:
            raise NotCarried("combine of mappings that may hold mappings", value, held)
        else:
            made[key] = value
    return made


def join(value: Any, separator: Any = "") -> Any:
    """The filter join."""
    if not isinstance(separator, str):
        raise NotCarried("join by what is not known", value, separator)
    if isinstance(value, Place) and value.kinds == LIST and value.schema.get("items", {}).get("type") == "string":
        return Op("join", (str(separator), value), TEXT)
    if not isinstance(value, (list, tuple)):
        raise NotCarried("join of this", value)
    parts: list[Any] = []
    for index, item in enumerate(value):
        if isinstance(item, Each):
            if index > 0 or len(value) > 1 or len(item.items) > 1:
                raise NotCarried("join of a list that a loop and others make", value)
            return Text((Repeat(item.names, item.over, text(*item.items).parts, str(separator)),))
        parts += [separator, item] if index else [item]
    return text(*parts)


def whole(value: Any) -> Any:
    """`| int`."""
    kinds = kinds_of(value)
    if kinds == WHOLE:
        return value
    if kinds <= SCALAR:
        return Op("int", (value,), WHOLE)
    raise NotCarried("int of what may be no number", value)


def default(value: Any, other: Any = "", falsy: Any = False) -> Any:
    """The filter default."""
    if falsy:
        return Choice(value, value, other)
    if isinstance(value, Op) and value.name == "key":
        return Choice(Op("haskey", value.args, BOOLEAN), value, other)
    return value


def largest(name: str, values: Any) -> Any:
    """`| max` and `| min`."""
    if isinstance(values, (list, tuple)) and values and all(kinds_of(item) == WHOLE for item in values):
        return Op(name, tuple(values), WHOLE)
    raise NotCarried(f"{name} of what may not be whole numbers", values)


def _typed(name: str, takes: Kinds, gives: Kinds) -> Callable[..., Any]:
    def made(value: Any, *args: Any) -> Any:
        if args or not kinds_of(value) <= takes:
            raise NotCarried(f"the filter {name}", value, args)
        return Op(name, (value,), gives)

    return made


def _replace(value: Any, old: Any, new: Any) -> Any:
    if kinds_of(value) != TEXT or not isinstance(old, str) or not old or kinds_of(new) != TEXT:
        raise NotCarried("the filter replace", value, old, new)
    return Op("replace", (str(old), new, value), TEXT)


def _same(value: Any) -> Any:
    if kinds_of(value) != LIST:
        raise NotCarried("the filter list", value)
    return value


def _sorted_pairs(value: Any) -> Any:
    """Go sorts the keys of a mapping by their bytes, Jinja's dictsort without regard to case."""
    for part in value.parts if isinstance(value, Combined) else (value,):
        if isinstance(part, dict):
            capitals = any(key != key.lower() for key in part)
        else:
            schema = part.schema if isinstance(part, Place) and isinstance(part.schema, dict) else {}
            names = str(schema.get("propertyNames", {}).get("pattern", ""))
            capitals = not _LOWER.fullmatch(names)
        if capitals:
            raise NotCarried("dictsort of keys that may have capitals", value)
    return Op("pairs", (value,), LIST)


#: Patterns of plain letters and classes, none of which lets a capital in.
_LOWER = re.compile(r"\^(?:[a-z0-9_-]|\[[a-z0-9_.-]+\]|[*+?]|\{[0-9,]+\})+\$")

FILTERS: dict[str, Callable[..., Any]] = {
    "int": whole,
    "string": string,
    "default": default,
    "d": default,
    "join": join,
    "max": lambda values: largest("max", values),
    "min": lambda values: largest("min", values),
    "quantity": _typed("quantity", TEXT | _NUMERIC, NUMBER),
    "float": _typed("float", _NUMERIC | TEXT, NUMBER),
    "length": _typed("len", LIST | MAPPING, WHOLE),
    "count": _typed("len", LIST | MAPPING, WHOLE),
    "b64encode": _typed("b64encode", TEXT, TEXT),
    "sha256": _typed("sha256", TEXT, TEXT),
    "shell": _typed("shell", TEXT, TEXT),
    "replace": _replace,
    "list": _same,
    "dictsort": _sorted_pairs,
}


def test(name: str, value: Any, args: tuple[Any, ...]) -> Any:
    """`value is name`."""
    if name in ("defined", "undefined"):
        if isinstance(value, Op) and value.name == "key":
            found = Op("haskey", value.args, BOOLEAN)
            return found if name == "defined" else negation(found)
        return name == "defined"
    if name in _COMPARING:
        return compare(_COMPARING[name], value, args[0])
    if name in ("divisibleby", "even", "odd"):
        by = args[0] if args else 2
        rest = compare("eq", binary("%", value, by), 0)
        return negation(rest) if name == "odd" else rest
    kinds = {"none": NULL, "boolean": BOOLEAN, "string": TEXT, "mapping": MAPPING, "number": _NUMERIC | BOOLEAN}
    if name not in kinds:
        raise NotCarried(f"the test {name}", value, args)
    held = kinds_of(value)
    if held <= kinds[name]:
        return True
    if not held & kinds[name]:
        return False
    if held == ANY and name == "number":
        raise NotCarried("the test number", value)
    return Op(f"is{name}", (value,), BOOLEAN)
