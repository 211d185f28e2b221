"""Bodies of requests: JSON and YAML, read as the API server reads them, and refused in its words.

The words are those of Go's encoding/json, which reads a body once for its kind and once for the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import validation
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.registry import Options
from berth.rehearsal.server import yamltext
from berth.rehearsal.server.messages import JSON, Request
from berth.rehearsal.server.yamltext import DEEPEST, NotReadable

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
#: The formats of bodies.
_ACCEPTED = (JSON, YAML, PROTOBUF)
_UNMARSHAL = "yaml: unmarshal errors:"

_WORDS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
}


def media_type(request: Request) -> str:
    """The media type of a request's body, without its parameters; "" when none is given."""
    return request.header("Content-Type").partition(";")[0].strip().lower()


def read_object(request: Request, api_version: str, kind: str) -> tuple[Json, list[str]]:
    """The object in a request for a kind, and what is to be said of keys that it has twice.

    Raises:
        ApiError: 415 for another format, 400 for what is no object.
    """
    form = media_type(request) or JSON
    if form == PROTOBUF:
        return _read_protobuf(request.body, api_version, kind), []
    if form not in (JSON, YAML):
        words = f"accepted media types include: {', '.join(_ACCEPTED)}"
        raise ApiError(415, "UnsupportedMediaType", f"the body of the request was in an unknown format - {words}")
    try:
        body, twice = loads(request.body) if form == JSON else yamltext.read(request.body)
        if not isinstance(body, dict):
            fields = 'APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\""'
            raise NotReadable(f"json: cannot unmarshal {go_type(body)} into Go value of type struct {{ {fields} }}")
    except NotReadable as error:
        words = f"couldn't get version/kind; json parse error: {error}" if form == JSON else str(error)
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): {words} ({_excerpt(request.body)})"
        ) from None
    return body, twice


def _read_protobuf(data: bytes, api_version: str, kind: str) -> Json:
    from berth.rehearsal.server import protobuf

    try:
        return protobuf.read(data, f"{api_version} {kind}")
    except protobuf.Malformed as error:
        words = f"the object provided is unrecognized (must be of type {kind}): {error} ({data[:1024].hex()})"
        raise bad_request(words) from None


def read_apply(data: bytes, *, strict: bool) -> tuple[Json, list[str]]:
    """A configuration to be applied, JSON or YAML, and what is to be said of keys that it has twice.

    Raises:
        ApiError: it is neither, or no object, or no key may be there twice.
    """
    try:
        body, twice = loads(data) if data.lstrip()[:1] == b"{" else yamltext.read(data)
        if twice:
            # JSON is YAML, and by that the API server reads it here.
            body, twice = yamltext.read(data)
    except NotReadable:
        try:
            body, twice = yamltext.read(data)
        except NotReadable as error:
            raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from None
    if strict and twice:
        words = _UNMARSHAL + "".join(f"\n  {one}" for one in twice)
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: {words}")
    if not isinstance(body, dict):
        words = f"json: cannot unmarshal {go_type(body)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: {words}")
    return body, twice


def go_type(value: Any) -> str:
    """What encoding/json calls a value that it cannot use."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "null"


def loads(data: bytes) -> tuple[Any, list[str]]:
    """JSON, and what is to be said of keys that it has twice (the last one counts).

    Raises:
        NotReadable: it is none, or holds what no number of Go's can hold.
    """
    repeated = False

    def pairs(found: list[tuple[str, Any]]) -> Json:
        nonlocal repeated
        made = dict(found)
        if len(made) != len(found):
            repeated = True
        return made

    tree = _loads(data, pairs)
    return tree, list(dict.fromkeys(_repeated(_loads(data, _Pairs), ""))) if repeated else []


def _loads(data: bytes, pairs: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        tree = json.loads(text, object_pairs_hook=pairs, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise NotReadable(_as_go_says(text, error)) from None
    except RecursionError:
        raise NotReadable("exceeded max depth") from None
    except ValueError as error:
        raise NotReadable(str(error)) from None
    if pairs is not _Pairs and data.count(b"{") + data.count(b"[") > DEEPEST and _is_too_deep(tree):
        raise NotReadable("exceeded max depth")
    # A half of a surrogate pair is text to Python, until it is to be sent or stored; Go puts U+FFFD in its place.
    return _whole_text(tree) if "\\ud" in text.lower() else tree


def _is_too_deep(tree: Any) -> bool:
    level = [tree] if isinstance(tree, (dict, list)) else []
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with its keys as they were written."""


def _repeated(tree: Any, path: str) -> Iterator[str]:
    if isinstance(tree, _Pairs):
        seen = set()
        for key, value in tree:
            inner = f"{path}.{key}" if path else key
            if key in seen:
                yield f'duplicate field "{inner}"'
            seen.add(key)
            yield from _repeated(value, inner)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _repeated(value, f"{path}[{index}]")


def _whole_text(tree: Any) -> Any:
    if isinstance(tree, str):
        return tree.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(tree, _Pairs):
        return _Pairs((_whole_text(key), _whole_text(value)) for key, value in tree)
    if isinstance(tree, dict):
        return {_whole_text(key): _whole_text(value) for key, value in tree.items()}
    return [_whole_text(value) for value in tree] if isinstance(tree, list) else tree


def _no_constant(word: str) -> Any:
    raise NotReadable(f"invalid character '{word[0]}' looking for beginning of value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotReadable(f"json: cannot unmarshal number {text} into Go value of type float64")
    return value


def _as_go_says(text: str, error: json.JSONDecodeError) -> str:
    at = error.pos
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    if at >= len(text) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    char = {"'": "'\\''", '"': "'\"'"}.get(text[at], repr(text[at]))
    return f"invalid character {char} {_WORDS.get(error.msg, 'in literal')}"


def _excerpt(data: bytes) -> str:
    """The beginning of a body that could not be read, as the API server shows it."""
    if not data:
        return "<empty>"
    shown = data[:1024]
    return shown.decode("utf-8", "replace") if data.lstrip()[:1] == b"{" else shown.hex()


def check_kind(body: Json, kind: Kind) -> None:
    """See that an object is of the kind that a path is for; none at all is taken for it.

    Raises:
        ApiError: 400, it is of another.
    """
    if why := validation.wrong_kind(kind, body):
        raise bad_request(why)


def read_typed(request: Request, kind: Kind, options: Options) -> Json:
    """An object in a request that is of no kind that is kept: a Scale, an Eviction, a review.

    Raises:
        ApiError: it is none, or of another kind, or has values of the wrong type, or fields that it should not have.
    """
    body, twice = read_object(request, kind.api_version, kind.kind)
    check_kind(body, kind)
    broken = validation.decode_errors(kind, body)
    if broken:
        raise bad_request(broken[0])
    if options.field_validation == "Ignore":
        return body
    tell_odd_fields(request, kind, body, twice, options)
    return body


def tell_odd_fields(request: Request, kind: Kind, body: Json, twice: list[str], options: Options) -> None:
    """Warn of fields that are there twice and of unknown ones, as the server does in the order of the text.

    Raises:
        ApiError: 400, and none are wanted.
    """
    strict = options.field_validation == "Strict"
    if not twice or media_type(request) == PROTOBUF:
        said = validation.unknown_fields(kind, body)
    elif media_type(request) == YAML:
        repeated = [_UNMARSHAL + "".join(f"\n  {one}" for one in twice)] if strict else twice
        said = [*repeated, *validation.unknown_fields(kind, body)]
    else:
        said = validation.strict_errors(kind, request.body) or twice
    if said and strict:
        refusal = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        raise bad_request(f"{refusal}strict decoding error: {', '.join(said)}")
    options.warnings += said


def unregistered(version: Any, kind: Any) -> str:
    """What the API server says of a kind that it does not know."""
    return f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'


def internal(message: str) -> ApiError:
    """A refusal without a reason, as the API server makes of an error that it does not expect."""
    return ApiError(500, "", message)
