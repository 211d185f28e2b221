"""OpenAPI v3, as far as clients read it: the types with their patch strategies, and which verbs take which options.

Descriptions of fields are not carried along, so `kubectl explain` shows types alone. Of OpenAPI v2 there is an empty
document: kubectl asks for it only where there is no v3.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.kinds import KINDS, Kind
from berth.rehearsal.server import discovery, negotiation
from berth.rehearsal.server.messages import JSON, Answer, Request

_REF = "#/components/schemas/"
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2"
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_LIST = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion"),
    *("resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"),
)
_DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_PATCHES = ("apply-patch+yaml", "json-patch+json", "merge-patch+json", "strategic-merge-patch+json")


def index(request: Request) -> Answer:
    """``/openapi/v3``: where the document of each version is; the hash in its address lets clients keep it."""
    found = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_document(path)[1]}"} for path in _paths()}
    return Answer(200, negotiation.for_errors(request).encode({"paths": found}))


def document(path: str) -> Answer | None:
    """``/openapi/v3/apis/apps/v1``: one version's document; None where there is no such version."""
    if path not in _paths():
        return None
    body, stamp = _document(path)
    return Answer(200, body, JSON, [("Etag", f'"{stamp}"'), ("Cache-Control", "public, immutable"), ("Vary", "Accept")])


def v2(request: Request, version: str) -> Answer:
    """``/openapi/v2``, without any types; kubectl asks for it when it looks for a kind that no version has."""
    info = {"title": "Kubernetes", "version": version}
    if _V2_PROTOBUF in request.header("Accept"):
        # A gnostic openapi.v2.Document: its swagger (1), info (2: title and version), paths (8) and definitions (9).
        about = b"".join(_field(number, text.encode()) for number, text in enumerate(info.values(), 1))
        parts = {1: b"2.0", 2: about, 8: b"", 9: b""}
        body = b"".join(_field(number, part) for number, part in parts.items())
        return Answer(200, body, f"{_V2_PROTOBUF}.v1.0+protobuf")
    return Answer(200, negotiation.encode({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}))


def _field(number: int, data: bytes) -> bytes:
    """A short field of a protobuf message."""
    return bytes([number << 3 | 2, len(data)]) + data


def _paths() -> list[str]:
    return ["api/v1", *(f"apis/{group}/{version}" for group, version in discovery.versions())]


@cache
def _document(path: str) -> tuple[bytes, str]:
    """The document of a version as it is sent, and its hash."""
    from berth.rehearsal import schema

    group, _, version = path.removeprefix("apis/").removeprefix("api/").rpartition("/")
    types = schema.definitions()
    names = {_identity(one): name for name, one in types.items() for one in _identities(name, types)}
    paths: Json = {}
    used: set[str] = set()
    for kind in KINDS:
        if (kind.group, kind.version) != (group, version):
            continue
        name = _name(kind, types)
        if name:
            used |= set(_reached(name, types, used))
        paths |= _operations(kind, name)
    for review in discovery.REVIEWS:
        name = names.get((review.group, review.version, review.kind), "")
        if (review.group, review.version) == (group, version) and name:
            used |= set(_reached(name, types, used))
            about = {"group": review.group, "version": review.version, "kind": review.kind}
            where = f"/apis/{group}/{version}/{review.plural}"
            paths[where] = {"post": _operation("post", about, name, _WRITE)}
    tree = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": _minor(schema.release())},
        "paths": paths,
        "components": {"schemas": {name: types[name] for name in sorted(used)}},
    }
    body = negotiation.encode(tree)
    return body, hashlib.sha512(body).hexdigest().upper()


def _minor(version: str) -> str:
    return ".".join(version.lstrip("v").split(".")[:2])


def _identities(name: str, types: Mapping[str, Json]) -> list[Json]:
    found: list[Json] = types[name].get("x-kubernetes-group-version-kind", [])
    return found


def _identity(one: Json) -> tuple[str, str, str]:
    return one["group"], one["version"], one["kind"]


def _name(kind: Kind, types: Mapping[str, Json]) -> str:
    wanted = (kind.group, kind.version, kind.kind)
    return next((name for name in types if any(_identity(one) == wanted for one in _identities(name, types))), "")


def _reached(name: str, types: Mapping[str, Json], known: set[str]) -> Iterator[str]:
    """A type and all that it refers to."""
    waiting, seen = [name], set(known)
    while waiting:
        one = waiting.pop()
        if one in seen or one not in types:
            continue
        seen.add(one)
        yield one
        waiting += re.findall(rf'{_REF}([^"\']+)', repr(types[one]))


def _operations(kind: Kind, name: str) -> Json:
    """The paths of a resource, with the verbs that each takes."""
    about = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    space = "/namespaces/{namespace}" if kind.namespaced else ""
    every = _operation("get", about, name, _LIST)
    collection: Json = {"get": every, "post": _operation("post", about, name, _WRITE)}
    if "deletecollection" in discovery.verbs(kind):
        collection["delete"] = _operation("deletecollection", about, name, (*_DELETE, *_LIST))
    one = {
        "get": _operation("get", about, name, ()),
        "put": _operation("put", about, name, _WRITE),
        "patch": _operation("patch", about, name, (*_WRITE, "force")),
        "delete": _operation("delete", about, name, _DELETE),
    }
    parameters = [_parameter("namespace", "path")] if kind.namespaced else []
    base = f"{root}{space}/{kind.plural}"
    found: Json = {
        base: {**collection, "parameters": parameters},
        f"{base}/{{name}}": {**one, "parameters": [_parameter("name", "path"), *parameters]},
    }
    if kind.namespaced:
        found[f"{root}/{kind.plural}"] = {"get": every}
    return found


def _operation(verb: str, about: Json, name: str, options: tuple[str, ...]) -> Json:
    schema: Json = {"$ref": _REF + name} if name else {}
    content: Any = {JSON: {"schema": schema}}
    operation: Json = {
        "operationId": f"{verb}{about['kind']}",
        "parameters": [_parameter(option, "query") for option in options],
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": about,
    }
    if verb == "patch":
        operation["requestBody"] = {"content": {f"application/{form}": {"schema": {}} for form in _PATCHES}}
    elif verb in ("post", "put"):
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _parameter(name: str, where: str) -> Json:
    one: Json = {"name": name, "in": where, "schema": {"type": "string", "uniqueItems": True}}
    return {**one, "required": True} if where == "path" else one
