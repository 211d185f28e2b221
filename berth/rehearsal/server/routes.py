"""Which path and method leads where."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.faults import Call
from berth.rehearsal.refusal import method_not_allowed, no_such_path
from berth.rehearsal.server import discovery, negotiation, objects
from berth.rehearsal.server.messages import TEXT, Address, Answer, Request, Site

if TYPE_CHECKING:
    from berth.rehearsal.world import World

_HEALTH = ("/healthz", "/livez", "/readyz")
_CHECKS = ("ping", "store", "controllers")
_PATHS = ("/api", "/api/v1", "/apis", *_HEALTH, "/openapi/v2", "/openapi/v3", "/version")

_Verb = Callable[["World", Request, Address], Answer]
_COLLECTION: dict[str, tuple[str, _Verb]] = {
    "GET": ("list", objects.collection),
    "POST": ("create", objects.create),
    "DELETE": ("deletecollection", objects.delete_collection),
}
_OBJECT: dict[str, tuple[str, _Verb]] = {
    "GET": ("get", objects.get),
    "PUT": ("update", objects.update),
    "PATCH": ("patch", objects.patch),
    "DELETE": ("delete", objects.delete),
}
_PART: dict[str, tuple[str, _Verb]] = {
    "GET": ("get", objects.get),
    "PUT": ("update", objects.update),
    "PATCH": ("patch", objects.patch),
}
#: Subresources that are no part of the object but do something.
_DOING = ("attach", "binding", "eviction", "exec", "log", "portforward")


def answer(site: Site, request: Request) -> Answer:
    """Answer a request.

    Raises:
        ApiError: what was asked for is refused.
    """
    parts = request.path.split("/")[1:] or [""]
    if parts[0] in ("api", "apis") and "" not in parts[:-1]:
        if parts[-1] == "":
            parts = parts[:-1]
        return _api(site, request, parts)
    return _other(site.world, request, parts)


def not_found() -> Answer:
    """What the API server says where it knows no path at all."""
    return Answer(404, b"404 page not found\n", TEXT, [("X-Content-Type-Options", "nosniff")])


def _api(site: Site, request: Request, parts: list[str]) -> Answer:
    if parts == ["api"]:
        _only(request, "GET")
        return discovery.core_versions(request, site.address)
    if parts == ["apis"]:
        _only(request, "GET")
        return discovery.groups(request)
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], "", parts[2:])
    if parts[0] == "apis":
        if not group or not discovery.knows(group):
            return not_found()
        if not rest:
            _only(request, "GET")
            return discovery.group(request, group)
        version, rest = rest[0], rest[1:]
    if not discovery.knows(group, version):
        raise no_such_path()
    if not rest:
        _only(request, "GET")
        return discovery.resources(request, group, version)
    return _resource(site, request, group, version, rest)


def _resource(site: Site, request: Request, group: str, version: str, rest: list[str]) -> Answer:
    if rest[0] == "watch" and len(rest) > 1:
        # The oldest form of a watch, which clients no longer use but the API server still knows.
        _only(request, "GET")
        rest = rest[1:]
        query = {**request.query, "watch": ["true"]}
        request = Request(request.method, request.path, query, request.headers, request.body)
    review = discovery.review(group, version, rest[0]) if len(rest) == 1 else None
    if review is not None:
        _only(request, "POST")
        from berth.rehearsal.server import review as reviews

        return reviews.create(site.world, request, review)
    at = _address(group, version, rest)
    if at is None:
        raise no_such_path()
    return _act(site, request, at)


def _address(group: str, version: str, rest: list[str]) -> Address | None:
    """What a path names; None where there is no such resource."""
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2:
        below = kinds.find(group, version, rest[2])
        if below is not None and below.namespaced:
            namespace, rest = rest[1], rest[2:]
    kind = kinds.find(group, version, rest[0])
    if kind is None or len(rest) > 3:
        return None
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if kind.namespaced and namespace is None and name:
        return None
    if subresource and subresource not in kind.subresources:
        return None
    return Address(kind, namespace, name, subresource)


def _act(site: Site, request: Request, at: Address) -> Answer:
    """Do what is asked of a resource, or what the scenario has happen instead.

    Raises:
        ApiError: it is refused, or made to fail.
    """
    verb, act = _verb(request, at)
    with site.world.lock:
        call = Call(
            verb=verb,
            kind=at.kind,
            namespace=at.namespace or "",
            name=at.name,
            subresource=at.subresource,
            agent=request.header("User-Agent"),
        )
        failure = site.faults.of(call)
    if failure is None:
        return act(site.world, request, at)
    time.sleep(failure.delay)
    if failure.error is not None:
        raise failure.error
    if failure.cut == "before":
        return Answer(0, cut=failure.cut)
    return replace(act(site.world, request, at), cut=failure.cut)


def _verb(request: Request, at: Address) -> tuple[str, _Verb]:
    """What a method is to a resource, and who does it.

    Raises:
        ApiError: the resource has no such verb.
    """
    if at.subresource in _DOING:
        if request.method not in _methods(at):
            raise method_not_allowed()
        return "get" if at.subresource == "log" else "create", _do
    verbs = _PART if at.subresource else _OBJECT if at.name else _COLLECTION
    if request.method not in verbs:
        raise method_not_allowed()
    verb, act = verbs[request.method]
    known = discovery.subresource_verbs(at.subresource) if at.subresource else discovery.verbs(at.kind)
    if verb not in known or (verb == "create" and at.kind.namespaced and at.namespace is None):
        raise method_not_allowed()
    return "watch" if verb == "list" and request.flag("watch") else verb, act


def _do(world: World, request: Request, at: Address) -> Answer:
    from berth.rehearsal.server import doing

    return doing.answer(world, request, at)


def _methods(at: Address) -> set[str]:
    return {{"create": "POST", "get": "GET"}[verb] for verb in discovery.subresource_verbs(at.subresource)}


def _other(world: World, request: Request, parts: list[str]) -> Answer:
    path = "/" + "/".join(parts).rstrip("/")
    if path == "/":
        _only(request, "GET")
        return discovery.root(request, [*_PATHS, *(f"/apis/{group}/{version}" for group, version in _versions())])
    if path == "/version":
        _only(request, "GET")
        return Answer(200, negotiation.encode(_version(), pretty=True))
    if path in _HEALTH or any(path.startswith(f"{one}/") for one in _HEALTH):
        _only(request, "GET")
        return _health(world, request, path)
    if parts[0] == "openapi":
        _only(request, "GET")
        return _openapi(request, path)
    return not_found()


def _versions() -> tuple[tuple[str, str], ...]:
    return discovery.versions()


def _version() -> Json:
    from berth.rehearsal import schema

    release = schema.release()
    major, minor = release.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"{release}+rehearsal",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "berth",
        "platform": "rehearsal",
    }


def _health(world: World, request: Request, path: str) -> Answer:
    """Whether the engine lives: it must let go of the world within a while."""
    began = time.monotonic()
    well = world.lock.acquire(timeout=5)
    if well:
        world.lock.release()
    name = path.strip("/").partition("/")[2]
    if name and name not in _CHECKS:
        return not_found()
    headers = [("X-Content-Type-Options", "nosniff")]
    if not well:
        waited = time.monotonic() - began
        return Answer(500, f"[-]controllers failed: no answer for {waited:.0f} s\n".encode(), TEXT, headers)
    if "verbose" in request.query and not name:
        lines = [f"[+]{check} ok" for check in _CHECKS] + [f"{path.strip('/')} check passed", ""]
        return Answer(200, "\n".join(lines).encode(), TEXT, headers)
    return Answer(200, b"ok", TEXT, headers)


def _openapi(request: Request, path: str) -> Answer:
    from berth.rehearsal.server import openapi

    if path == "/openapi/v2":
        return openapi.v2(request, str(_version()["gitVersion"]))
    if path == "/openapi/v3":
        return openapi.index(request)
    found = openapi.document(path.removeprefix("/openapi/v3/"))
    return not_found() if found is None else found


def _only(request: Request, method: str) -> None:
    if request.method != method:
        raise method_not_allowed()
