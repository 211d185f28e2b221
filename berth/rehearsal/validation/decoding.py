"""What the API server says of a body that it cannot read as an object of the kind, or only by looking away.

Source: sigs.k8s.io/json and the decoders of k8s.io/apimachinery/pkg/runtime/serializer/json. A body of the wrong type
is refused with the first mistake; unknown and repeated fields are told in the order of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import gotypes, schema
from berth.rehearsal.amounts import NotAQuantity, parse, text_of
from berth.rehearsal.gotypes import Form, Shape
from berth.rehearsal.kinds import Kind
from berth.rehearsal.validation.errors import quoted

#: Strict errors that the server collects of one body.
_MOST = 100
#: How Go shows what it looks for first in a body.
_HEAD = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
#: Versions that the server still reads, but not under the paths of today's.
_OLDER = {
    "StatefulSet": ("apps/v1beta1", "apps/v1beta2"),
    "ControllerRevision": ("apps/v1beta1", "apps/v1beta2"),
    "HorizontalPodAutoscaler": ("autoscaling/v1",),
    "EndpointSlice": ("discovery.k8s.io/v1beta1",),
    "PodDisruptionBudget": ("policy/v1beta1",),
    "StorageClass": ("storage.k8s.io/v1beta1",),
    "PriorityClass": ("scheduling.k8s.io/v1beta1",),
}
_MOST_32, _MOST_64 = 2**31 - 1, 2**63 - 1
_BASE64 = re.compile("[A-Za-z0-9+/]")
#: The parts of a time, as Go's layouts write them.
_TIME = (("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"), ("15", r"\d\d"))
_TIME_END = ((":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d"))
_ZONE = r"Z|[+-]\d\d:\d\d"


class _Stop(Exception):
    """Decoding ends here: what follows is not looked at."""


class _Pairs(list[tuple[str, Any]]):
    """A mapping as it stands in the text, keys that come twice among them."""


def decode_errors(kind: Kind, obj: Any) -> list[str]:
    """The message with which the server refuses the body (400), if it does."""
    if message := wrong_kind(kind, obj):
        return [message]
    found: list[str] = []
    named = str(obj.get("kind") or kind.kind)
    try:
        for message in _mistakes(gotypes.of(kind), obj, "", kind.kind):
            found.append(message)
    except _Stop as stop:
        # These break off the decoding, so that they are told in place of those before them.
        found = [str(stop)]
    if not found:
        return []
    return [f'{named} in version "{kind.version}" cannot be handled as a {kind.kind}: {found[0]}']


def wrong_kind(kind: Kind, obj: Any) -> str:
    """What the server says of a body that is an object of another kind, or none."""
    start = f"the object provided is unrecognized (must be of type {kind.kind}): "
    if not isinstance(obj, dict):
        what = f"cannot unmarshal {_what(obj)} into Go value of type {_HEAD}"
        return f"{start}couldn't get version/kind; json parse error: json: {what} ({json.dumps(obj).encode().hex()})"
    for key in ("apiVersion", "kind"):
        if not isinstance(obj.get(key, ""), str) and obj.get(key) is not None:
            what = f"cannot unmarshal {_what(obj[key])} into Go struct field .{key} of type string"
            return f"{start}couldn't get version/kind; json parse error: json: {what} ({_beginning(obj)})"
    version, named = obj.get("apiVersion") or kind.api_version, obj.get("kind") or kind.kind
    if version == kind.api_version and named == kind.kind:
        return ""
    if version.count("/") > 1:
        return f"{start}unexpected GroupVersion string: {version} ({_beginning(obj)})"
    if named == kind.kind and version in _OLDER.get(named, ()):
        return f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
    short = version.rpartition("/")[2]
    refusal = f'{named} in version "{short}" cannot be handled as a {kind.kind}: '
    if _is_registered(version, named):
        return f"{refusal}converting ({short}.{named}) to ({gotypes.package(kind)}.{kind.kind}): unknown conversion"
    return f'{refusal}no kind "{named}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'


def _is_registered(version: str, kind: str) -> bool:
    try:
        schema.named(version, kind)
    except KeyError:
        return version in _OLDER.get(kind, ())
    return True


def _beginning(obj: Json) -> str:
    text = json.dumps(obj)
    return f"{text[:30]} ..." if len(text) > 30 else text


def _what(value: Any) -> str:
    return {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value), "number")


def _mistakes(shape: Shape, value: Any, path: str, struct: str) -> Iterator[str]:
    """Every value of the wrong type, in the order of the text; ``struct`` is the Go type around the value."""
    if value is None:
        return
    form = shape.form
    if form is Form.STRUCT:
        if not isinstance(value, dict):
            yield _wrong(value, shape.go, struct, path)
            return
        name = shape.go.rpartition(".")[2] or struct
        fields = shape.fields
        for key, each in value.items():
            field = fields.get(key)
            if field is not None:
                at = f"{field.embedded}.{key}" if field.embedded else key
                yield from _mistakes(field.shape, each, f"{path}.{at}" if path else at, name)
    elif form is Form.LIST:
        if not isinstance(value, list):
            yield _wrong(value, shape.go, struct, path)
            return
        for each in value:
            yield from _mistakes(shape.item or gotypes.ANYTHING, each, path, struct)
    elif form is Form.MAP:
        if not isinstance(value, dict):
            yield _wrong(value, shape.go, struct, path)
            return
        for each in value.values():
            yield from _mistakes(shape.item or gotypes.ANYTHING, each, path, struct)
    elif message := _scalar(shape, value, path, struct):
        yield message


def _scalar(shape: Shape, value: Any, path: str, struct: str) -> str:
    match shape.form:
        case Form.STRING:
            return "" if isinstance(value, str) else _wrong(value, shape.go, struct, path)
        case Form.BOOLEAN:
            return "" if isinstance(value, bool) else _wrong(value, shape.go, struct, path)
        case Form.INT32 | Form.INT64:
            return _integer(shape, value, path, struct)
        case Form.FLOAT:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return "" if number else _wrong(value, shape.go, struct, path)
        case Form.BYTES:
            return _base64(value) if isinstance(value, str) else _wrong(value, shape.go, struct, path)
        case Form.QUANTITY:
            try:
                parse(text_of(value))
            except NotAQuantity as error:
                raise _Stop(str(error)) from None
        case Form.INT_OR_STRING:
            if not isinstance(value, str) and _whole(value, _MOST_32) is None:
                raise _Stop(_wrong(value, "int32", struct, path, numbers=True))
        case Form.TIME | Form.MICRO_TIME:
            if not isinstance(value, str):
                raise _Stop(_wrong(value, "string", struct, path))
            if message := _time(value, micro=shape.form is Form.MICRO_TIME):
                raise _Stop(message)
    return ""


def _integer(shape: Shape, value: Any, path: str, struct: str) -> str:
    most = _MOST_32 if shape.form is Form.INT32 else _MOST_64
    if _whole(value, most) is not None:
        return ""
    return _wrong(value, shape.go, struct, path, numbers=True)


def _whole(value: Any, most: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -most - 1 <= value <= most else None


def _wrong(value: Any, go: str, struct: str, path: str, *, numbers: bool = False) -> str:
    what = _what(value)
    if what == "number" and numbers:
        what = f"number {value!r}"
    return f"json: cannot unmarshal {what} into Go struct field {struct}.{path} of type {go}"


def _time(text: str, *, micro: bool) -> str:
    layout = f"2006-01-02T15:04:05{'.000000' if micro else ''}Z07:00"
    parts = [*_TIME, *_TIME_END, *((((".000000", r"\.\d{6}"),)) if micro else ()), ("Z07:00", _ZONE)]
    rest = text
    for name, pattern in parts:
        if name == "Z07:00" and not micro:
            rest = re.sub(r"^\.\d+", "", rest)
        found = re.match(pattern, rest)
        if not found:
            return f'parsing time {quoted(text)} as "{layout}": cannot parse {quoted(rest)} as "{name}"'
        rest = rest[found.end() :]
    return f"parsing time {quoted(text)}: extra text: {quoted(rest)}" if rest else ""


def _base64(text: str) -> str:
    """What Go says about text that is no base64."""
    position = group = 0
    while position < len(text):
        sign = text[position]
        if sign in "\r\n":
            position += 1
            continue
        if sign == "=":
            return _padding(text, position, group)
        if not _BASE64.fullmatch(sign):
            return f"illegal base64 data at input byte {position}"
        position, group = position + 1, (group + 1) % 4
    return f"illegal base64 data at input byte {position - group}" if group else ""


def _padding(text: str, position: int, group: int) -> str:
    words = "illegal base64 data at input byte"
    if group < 2:
        return f"{words} {position}"
    rest = [index for index in range(position + 1, len(text)) if text[index] not in "\r\n"]
    if group == 2:
        if not rest:
            return f"{words} {len(text)}"
        if text[rest[0]] != "=":
            return f"{words} {rest[0] - 1}"
        rest = rest[1:]
    return f"{words} {rest[0]}" if rest else ""


def unknown_fields(kind: Kind, obj: Json) -> list[str]:
    """Fields that the kind has not, as the server names them: ``unknown field "spec.foo"``."""
    return [f"unknown field {quoted(path)}" for path in _unknown(gotypes.of(kind), obj, "")][:_MOST]


def _unknown(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.form is Form.STRUCT and isinstance(value, dict):
        fields = shape.fields
        for key, each in value.items():
            at = f"{path}.{key}" if path else key
            if key not in fields:
                yield at
            elif isinstance(each, dict | list):
                yield from _unknown(fields[key].shape, each, at)
    elif shape.form is Form.LIST and isinstance(value, list):
        item = shape.item
        if item is not None and item.form in (Form.STRUCT, Form.LIST, Form.MAP):
            for index, each in enumerate(value):
                yield from _unknown(item, each, f"{path}[{index}]")


def strict_errors(kind: Kind, text: str | bytes) -> list[str]:
    """Unknown fields, and fields that come twice, of a body that is a JSON object; in the order of the text."""
    tree = json.loads(text, object_pairs_hook=_Pairs)
    return list(dict.fromkeys(_strict(gotypes.of(kind), tree, "")))[:_MOST]


def has_duplicates(text: str | bytes) -> bool:
    """Whether any mapping of the JSON text has a key twice; quick, for `strict_errors` need not be asked if not."""
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in items}) < len(items):
            found.append("")

    json.loads(text, object_pairs_hook=pairs)
    return bool(found)


def _strict(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        struct = shape.form is Form.STRUCT
        for key, each in value:
            at = f"{path}.{key}" if path else key
            if key in seen:
                yield f"duplicate field {quoted(at)}"
            seen.add(key)
            if struct and key not in shape.fields:
                yield f"unknown field {quoted(at)}"
            elif struct:
                yield from _strict(shape.fields[key].shape, each, at)
            elif shape.form is Form.MAP and shape.item is not None:
                yield from _strict(shape.item, each, at)
    elif isinstance(value, list) and shape.form is Form.LIST and shape.item is not None:
        for index, each in enumerate(value):
            yield from _strict(shape.item, each, f"{path}[{index}]")
