"""Bodies as Go's typed clients send them: protobuf, read into the JSON that says the same.

Answers are never protobuf: those clients accept JSON beside it. ``data/protobuf.json`` has the numbers of the fields.

Source: kubernetes staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf (the envelope), and the types that
read differently in JSON: meta/v1 Time, MicroTime, Duration and FieldsV1, Quantity, IntOrString, RawExtension.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from berth.core.objects import Json

MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS = ("int32", "int64", "bool")
#: Messages in messages that are read at most; Kubernetes objects stay below 30.
_DEEPEST = 100


class Malformed(ValueError):
    """Bytes that are no message of this type."""


def read(data: bytes, default: str) -> Json:
    """The object in an envelope; ``default`` ("apps/v1 StatefulSet") is what it is taken for when it does not say.

    Raises:
        Malformed: these bytes are none, or of a kind that is not known here.
    """
    if not data.startswith(MAGIC):
        raise Malformed("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    said, raw = {1: "", 2: ""}, b""
    for number, value in _fields(data[len(MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            said |= {part: _text(text) for part, text in _fields(value) if isinstance(text, bytes)}
        elif number == 2 and isinstance(value, bytes):
            raw = value
    version, kind = (said[1], said[2]) if said[2] else default.split(" ")
    name = "meta.DeleteOptions" if kind == "DeleteOptions" else _table()["kinds"].get(f"{version} {kind}")
    if name is None:
        raise Malformed(f'no kind "{kind}" is registered for version "{version}"')
    return {"apiVersion": version, "kind": kind, **_message(name, raw, 0)}


@cache
def _table() -> Json:
    path = resources.files("berth.rehearsal").joinpath("data/protobuf.json")
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def _type(name: str) -> dict[int, tuple[str, str]]:
    """The fields of a message by number: JSON name, and type."""
    split = {int(number): said.partition(":") for number, said in _table()["types"][name].items()}
    return {number: (label, kind) for number, (label, _, kind) in split.items()}


def _message(name: str, data: bytes, depth: int) -> Json:
    if depth > _DEEPEST:
        raise Malformed("proto: message is nested too deeply")
    found: Json = {}
    known = _type(name)
    for number, value in _fields(data):
        if number in known:
            label, kind = known[number]
            _put(found, label, kind, value, depth)
    return found


def _put(found: Json, label: str, kind: str, value: int | bytes, depth: int) -> None:
    if not label:
        found.update(_message(kind, _bytes(value), depth + 1))
    elif kind.startswith("map "):
        key, inner = _entry(kind[4:], _bytes(value), depth)
        found.setdefault(label, {})[key] = inner
    elif kind.startswith("[]"):
        found.setdefault(label, []).extend(_items(kind[2:], value, depth))
    else:
        inner = _value(kind.lstrip("*"), value, depth)
        # What Go writes of a struct it writes of its empty fields, too, unless they are pointers.
        if kind.startswith("*") or not _is_empty(inner):
            found[label] = inner


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ("", {}) or (type(value) is int and value == 0)


def _entry(kind: str, data: bytes, depth: int) -> tuple[str, Any]:
    key, value = "", b"" if kind not in _INTEGERS else 0
    for number, part in _fields(data):
        if number == 1:
            key = _text(_bytes(part))
        elif number == 2:
            value = part
    if kind == "[]string":
        # Such a value is a message of its own, with one field of many.
        return key, [_text(_bytes(part)) for _, part in _fields(_bytes(value))]
    return key, _value(kind, value, depth)


def _items(kind: str, value: int | bytes, depth: int) -> Iterator[Any]:
    if kind in _INTEGERS and isinstance(value, bytes):
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            yield _value(kind, number, depth)
    else:
        yield _value(kind, value, depth)


def _value(kind: str, value: int | bytes, depth: int) -> Any:
    if kind in _INTEGERS:
        if isinstance(value, bytes):
            raise Malformed("proto: wrong wireType")
        if kind == "bool":
            return bool(value)
        bits = 64 if kind == "int64" else 32
        value &= (1 << bits) - 1
        return value - (1 << bits) if value >> (bits - 1) else value
    if kind == "float64":
        if isinstance(value, bytes):
            raise Malformed("proto: wrong wireType")
        return struct.unpack("<d", struct.pack("<Q", value))[0]
    data = _bytes(value)
    if kind == "string":
        return _text(data)
    if kind == "bytes":
        return base64.b64encode(data).decode("ascii")
    special = _SPECIAL.get(kind)
    return special(data) if special else _message(kind, data, depth + 1)


def _time(data: bytes) -> str | None:
    seconds, _ = _instant(data)
    return seconds.strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


def _micro_time(data: bytes) -> str | None:
    seconds, micros = _instant(data)
    return f"{seconds:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z" if seconds else None


def _instant(data: bytes) -> tuple[datetime | None, int]:
    """A time to the second, and microseconds; Go's zero time is none."""
    parts = {1: 0, 2: 0} | {number: value for number, value in _fields(data) if isinstance(value, int)}
    seconds = _value("int64", parts[1], 0)
    if not data or seconds == -62135596800:
        return None, 0
    try:
        return _EPOCH + timedelta(seconds=seconds), _value("int32", parts[2], 0) // 1000
    except OverflowError:
        raise Malformed("a time is out of range") from None


def _duration(data: bytes) -> str:
    nanos = next((_value("int64", value, 0) for _, value in _fields(data)), 0)
    return f"{nanos / 1e9:g}s"


def _quantity(data: bytes) -> str:
    return next((_text(_bytes(value)) for number, value in _fields(data) if number == 1), "") or "0"


def _int_or_string(data: bytes) -> int | str:
    parts: dict[int, Any] = {1: 0, 2: 0, 3: b""} | dict(_fields(data))
    return _text(parts[3]) if parts[1] == 1 else int(_value("int32", parts[2], 0))


def _raw_json(data: bytes) -> Any:
    raw = next((_bytes(value) for number, value in _fields(data) if number == 1), b"")
    try:
        return json.loads(raw) if raw else None
    except ValueError as error:
        raise Malformed(str(error)) from None


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "meta.Time": _time,
    "meta.MicroTime": _micro_time,
    "meta.Duration": _duration,
    "meta.FieldsV1": _raw_json,
    "resource.Quantity": _quantity,
    "intstr.IntOrString": _int_or_string,
    "runtime.RawExtension": _raw_json,
}


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Malformed("proto: wrong wireType")
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("proto: invalid UTF-8") from None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field in a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise Malformed(f"proto: illegal wireType {wire}")
        end = at + length
        if end > len(data):
            raise Malformed("unexpected EOF")
        part = data[at:end]
        yield number, part if wire == _BYTES else int.from_bytes(part, "little")
        at = end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise Malformed("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise Malformed("proto: integer overflow")
