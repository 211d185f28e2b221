"""Bodies of requests: JSON and YAML, read as the API server reads them, and refused in its words.

The words are those of Go's encoding/json, which reads a body once for its kind and once for the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.server.messages import JSON, Request

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
#: The formats of bodies.
_ACCEPTED = (JSON, YAML, PROTOBUF)
#: Values that a YAML document may unfold to by its aliases; a body of 3 MiB has no more of its own.
_MAX_NODES = 1_500_000
#: Levels of lists and mappings in a body. The API server takes 10,000, of which no object has a use for 50.
_DEEPEST = 128
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


class NotReadable(ValueError):
    """A body that is no JSON or YAML; the text is what Go would say of it."""


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
        body, twice = loads(request.body) if form == JSON else yaml(request.body)
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


def twice_in(request: Request, twice: list[str]) -> str:
    """What the API server says where no key may be there twice, of an object in JSON or YAML."""
    if media_type(request) == YAML:
        return _UNMARSHAL + "".join(f"\n  {one}" for one in twice)
    return ", ".join(twice)


def read_apply(data: bytes, *, strict: bool) -> tuple[Json, list[str]]:
    """A configuration to be applied, JSON or YAML, and what is to be said of keys that it has twice.

    Raises:
        ApiError: it is neither, or no object, or no key may be there twice.
    """
    try:
        body, twice = loads(data) if data.lstrip()[:1] == b"{" else yaml(data)
        if twice:
            # JSON is YAML, and by that the API server reads it here.
            body, twice = yaml(data)
    except NotReadable:
        try:
            body, twice = yaml(data)
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
    if data.count(b"{") + data.count(b"[") > _DEEPEST and _is_too_deep(tree):
        raise NotReadable("exceeded max depth")
    # A half of a surrogate pair is text to Python, until it is to be sent or stored; Go puts U+FFFD in its place.
    return _whole_text(tree) if "\\ud" in text.lower() else tree


def _is_too_deep(tree: Any) -> bool:
    level = [tree]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list, tuple))
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


def yaml(data: bytes) -> tuple[Any, list[str]]:
    """YAML as the API server takes it (YAML 1.1, one document, no dates), as JSON has it; and of keys twice in it.

    Raises:
        NotReadable: it is none, is no JSON, or unfolds to more than a body can hold.
    """
    import yaml as pyyaml

    try:
        loader = _loader()(data)
        try:
            tree = loader.get_single_data()
        finally:
            loader.dispose()
    except (pyyaml.YAMLError, ValueError, RecursionError) as error:
        raise NotReadable(f"yaml: {_line(error)}{getattr(error, 'problem', None) or error}") from None
    _count(tree, {})
    return _plain(tree), [words for _, words in sorted(loader.twice)]


def _line(error: Exception) -> str:
    """Where the API server's YAML library says that the fault is: what is being read began there."""
    marks = [getattr(error, name, None) for name in ("context_mark", "problem_mark")]
    line = next((mark.line for mark in marks if mark is not None and mark.line), 0)
    if line and type(error).__name__ == "ScannerError":
        line += 1
    return f"line {line}: " if line else ""


_loaders: list[Any] = []


def _loader() -> Any:
    """The loader without times: "2026-11-21" is text to the API server."""
    import yaml as pyyaml

    if not _loaders:
        base: Any = getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader)
        loader: Any = type("Loader", (base,), {"construct_mapping": _construct_mapping, "__init__": _begin})
        loader.yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
            for first, found in base.yaml_implicit_resolvers.items()
        }
        _loaders.append(loader)
    return _loaders[0]


def _begin(loader: Any, data: bytes) -> None:
    super(type(loader), loader).__init__(data)
    loader.twice = []


def _construct_mapping(loader: Any, node: Any, deep: bool = False) -> Any:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key.value, str) and key.value in seen:
            line = key.start_mark.line + 1
            loader.twice.append((line, f'line {line}: key "{key.value}" already set in map'))
        elif isinstance(key.value, str):
            seen.add(key.value)
    return super(type(loader), loader).construct_mapping(node, deep)


def _count(tree: Any, known: dict[int, int]) -> int:
    """How many values a tree unfolds to."""
    if not isinstance(tree, (dict, list)):
        return 1
    if id(tree) in known:
        if known[id(tree)] == 0:
            raise NotReadable("yaml: anchor contains itself")
        return known[id(tree)]
    known[id(tree)] = 0
    total = 1 + sum(_count(value, known) for value in (tree.values() if isinstance(tree, dict) else tree))
    if total > _MAX_NODES:
        raise NotReadable("yaml: document contains excessive aliasing")
    known[id(tree)] = total
    return total


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {_key(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    if tree is None or isinstance(tree, (str, bool, int)):
        return tree
    if isinstance(tree, float) and math.isfinite(tree):
        return tree
    raise NotReadable(f"json: unsupported value: {tree}")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, (str, int)):
        return str(key)
    raise NotReadable(f"unsupported map key of type: {type(key).__name__}")


def check_kind(body: Json, api_version: str, kind: str) -> None:
    """See that an object is of the kind that a path is for; none at all is taken for it.

    Raises:
        ApiError: 400, it is of another.
    """
    said_version, said_kind = body.get("apiVersion") or api_version, body.get("kind") or kind
    if (said_version, said_kind) == (api_version, kind):
        return
    version = str(said_version).rpartition("/")[2]
    why = unregistered(said_version, said_kind)
    if kinds.of({"apiVersion": said_version, "kind": said_kind}) is not None:
        group = api_version.rpartition("/")[0].partition(".")[0] or "core"
        why = f"converting ({version}.{said_kind}) to ({group}.{kind}): unknown conversion"
    raise bad_request(f'{said_kind} in version "{version}" cannot be handled as a {kind}: {why}')


def unregistered(version: Any, kind: Any) -> str:
    """What the API server says of a kind that it does not know."""
    return f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'


def internal(message: str) -> ApiError:
    """A refusal without a reason, as the API server makes of an error that it does not expect."""
    return ApiError(500, "", message)
