"""The verbs on objects: a request becomes one call of the registry, its outcome an answer.

Each function holds the world still (``World.request``) for what it does, and encodes its answer afterwards: what the
store hands out is never changed, so it can be read without the lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from berth.core.objects import Json
from berth.rehearsal import scale, validation
from berth.rehearsal.kinds import ENDPOINTS, EVENTS, LEASES, SERVICES, Kind
from berth.rehearsal.refusal import ApiError, bad_request, unusable_patch
from berth.rehearsal.registry import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Options
from berth.rehearsal.server import bodies, listing, negotiation, presenting, watching, wishes
from berth.rehearsal.server.listing import Page
from berth.rehearsal.server.messages import Address, Answer, Request
from berth.rehearsal.server.negotiation import Form
from berth.rehearsal.server.yamltext import NotReadable

if TYPE_CHECKING:
    from berth.rehearsal.world import World

#: Kinds of which a PUT to a name that is not there makes the object (AllowCreateOnUpdate of their strategies).
_MADE_BY_PUT = (LEASES, SERVICES, EVENTS, ENDPOINTS)
#: What the API server says beside every answer about a kind.
_WARNINGS = {ENDPOINTS.key: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"}
#: Characters of warnings in one answer, and of each once there are more: --max-warnings are the API server's own.
_ALL_WARNINGS, _ONE_WARNING = 4096, 256


def get(world: World, request: Request, at: Address) -> Answer:
    """One object, or its scale."""
    form = negotiation.wanted(request)
    with world.request():
        body = world.registry.get(at.kind, at.namespace or "", at.name)
        _check_version(request, world.store.version)
        now = world.clock.now()
    return _answer(200, _shown(at, body), at, request, form, now)


def _check_version(request: Request, current: int) -> None:
    version = listing.version_of(request.text("resourceVersion"))
    if version is not None and version > current:
        raise listing.too_new(version, current)


def collection(world: World, request: Request, at: Address) -> Answer:
    """A list, or a watch."""
    if request.flag("watch"):
        form = negotiation.wanted(request, watch=True)
        return watching.answer(world, watching.read(request, at.kind, at.namespace, form))
    form = negotiation.wanted(request)
    with world.request():
        page = listing.page(world.store, at.kind, at.namespace, request)
        now = world.clock.now()
    tree = presenting.many(at.kind, page, form, now, request.text("includeObject") or "Metadata")
    return Answer(200, form.encode(tree), form.media_type, _warnings(at.kind, []))


def create(world: World, request: Request, at: Address) -> Answer:
    """A new object."""
    form = negotiation.wanted(request)
    options = wishes.options(request, "CreateOptions")
    body = _object(request, at, options)
    with _telling(at.kind, options), world.request():
        made = world.registry.create(at.kind, at.namespace or "", body, options)
        now = world.clock.now()
    return _answer(201, made, at, request, form, now, options)


def update(world: World, request: Request, at: Address) -> Answer:
    """An object replaced, or one of its subresources; of some kinds, an object made."""
    form = negotiation.wanted(request)
    options = wishes.options(request, "UpdateOptions")
    body = _object(request, at, options)
    _check_name(body, at)
    with _telling(at.kind, options), world.request():
        code = 200
        if at.kind in _MADE_BY_PUT and not at.subresource and _missing(world, at):
            made, code = world.registry.create(at.kind, at.namespace or "", body, options), 201
        else:
            made = world.registry.update(at.kind, at.namespace or "", at.name, body, options, at.subresource)
        now = world.clock.now()
    return _answer(code, _shown(at, made), at, request, form, now, options)


def _missing(world: World, at: Address) -> bool:
    return world.store.get(at.kind, at.namespace or "", at.name) is None


def _check_name(body: Json, at: Address) -> None:
    meta = body.get("metadata") or {}
    name = meta.get("name") if isinstance(meta, dict) else None
    if not name:
        raise bad_request(f"the name of the object ({at.name} based on URL) was undeterminable: name must be provided")
    if name != at.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({at.name})")
    version = meta.get("resourceVersion")
    if isinstance(version, str) and version and not version.isdigit():
        raise bodies.internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')


def _object(request: Request, at: Address, options: Options) -> Json:
    """The object in a create or update, seen to be of the path's kind."""
    if at.subresource == "scale":
        return bodies.read_typed(request, scale.SCALE, options)
    body, twice = bodies.read_object(request, at.kind.api_version, at.kind.kind)
    bodies.check_kind(body, at.kind)
    if "metadata" in body and not isinstance(body["metadata"], (dict, type(None))):
        words = (
            f"json: cannot unmarshal {bodies.go_type(body['metadata'])} into Go struct field {at.kind.kind}.metadata"
        )
        refusal = f'{at.kind.kind} in version "{at.kind.version}" cannot be handled as a {at.kind.kind}: '
        raise bad_request(f"{refusal}{words} of type v1.ObjectMeta")
    if twice and options.field_validation != "Ignore":
        broken = validation.decode_errors(at.kind, body)
        if broken:
            # Values that cannot be read are told before keys that are odd.
            raise bad_request(broken[0])
        bodies.tell_odd_fields(request, at.kind, body, twice, options)
    return body


def patch(world: World, request: Request, at: Address) -> Answer:
    """An object changed by a patch, or made by an apply."""
    form = negotiation.wanted(request)
    patch_type = bodies.media_type(request)
    if patch_type not in (APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    options = wishes.options(request, "PatchOptions", patch_type)
    body = _patch_body(request, patch_type, options)
    if patch_type == APPLY_PATCH:
        _check_applied(body, at)
    with _telling(at.kind, options), world.request():
        missing = _missing(world, at)
        made = world.registry.patch(at.kind, at.namespace or "", at.name, patch_type, body, options, at.subresource)
        now = world.clock.now()
    return _answer(201 if missing else 200, _shown(at, made), at, request, form, now, options)


def _patch_body(request: Request, patch_type: str, options: Options) -> Any:
    strict = options.field_validation == "Strict"
    if patch_type == APPLY_PATCH:
        body, twice = bodies.read_apply(request.body, strict=strict)
        options.warnings += twice if options.field_validation == "Warn" else []
        return body
    try:
        body, twice = bodies.loads(request.body)
        if patch_type == JSON_PATCH and not isinstance(body, list):
            raise NotReadable(
                f"json: cannot unmarshal {bodies.go_type(body)} into Go value of type []handlers.jsonPatchOp"
            )
        if patch_type != JSON_PATCH and not isinstance(body, dict):
            raise NotReadable(
                f"json: cannot unmarshal {bodies.go_type(body)} into Go value of type map[string]interface {{}}"
            )
    except NotReadable as error:
        words = str(error) if patch_type == STRATEGIC_PATCH else f"error decoding patch: {error}"
        raise bad_request(words) from None
    if twice and strict:
        raise unusable_patch(request.body.decode("utf-8", "replace"), f"strict decoding error: {', '.join(twice)}")
    options.warnings += twice if options.field_validation == "Warn" else []
    return body


def _check_applied(body: Json, at: Address) -> None:
    version, kind = body.get("apiVersion", ""), body.get("kind", "")
    if (version, kind) != (at.kind.api_version, at.kind.kind):
        group, _, number = str(version).rpartition("/")
        raise bad_request(f"invalid object type: {group}/{number}, Kind={kind}")
    meta = body.get("metadata") or {}
    if not isinstance(meta, dict):
        words = (
            f"failed to create typed patch object (/; {_group_version(at.kind)}, Kind={kind}): .metadata: expected map"
        )
        raise bodies.internal(f"{words}, got &{{{meta}}}")
    _check_name({"metadata": {key: meta[key] for key in ("name",) if key in meta}}, at)


def _group_version(kind: Kind) -> str:
    return kind.api_version if kind.group else f"/{kind.version}"


def delete(world: World, request: Request, at: Address) -> Answer:
    """An object deleted, or told to go."""
    form = negotiation.wanted(request)
    wish = wishes.deletion(request, at.kind)
    options = _deletion_options(request, wish)
    with world.request():
        gone = world.registry.delete(at.kind, at.namespace or "", at.name, wish, options)
        now = world.clock.now()
    return _answer(200, gone, at, request, form, now, options)


def delete_collection(world: World, request: Request, at: Address) -> Answer:
    """The objects of a collection that are selected deleted, each as if alone."""
    form = negotiation.wanted(request)
    wish = wishes.deletion(request, at.kind)
    options = _deletion_options(request, wish)
    with world.request():
        listing.check(request, watch=False)
        chosen = listing.selection(request, at.kind).of(world.store.list(at.kind, at.namespace))
        limit = request.number("limit")
        if limit and limit > 0:
            chosen = chosen[:limit]
        for body in chosen:
            meta = body["metadata"]
            try:
                world.registry.delete(at.kind, meta.get("namespace", ""), meta["name"], wish, options)
            except ApiError as error:
                # Deleted meanwhile, by the deletion of another one: what was wanted.
                if error.code != 404:
                    raise
        page = Page(chosen, world.store.version)
        now = world.clock.now()
    tree = presenting.many(at.kind, page, form, now, request.text("includeObject") or "Metadata")
    return Answer(200, form.encode(tree), form.media_type, _warnings(at.kind, options.warnings))


def _deletion_options(request: Request, wish: Json) -> Options:
    manager = wishes.manager_of(request.header("User-Agent"))
    return Options(manager=manager, dry_run=bool(wish.get("dryRun")), field_validation="Ignore")


def _shown(at: Address, body: Json) -> Json:
    if at.subresource == "scale" and body.get("kind") == at.kind.kind:
        return scale.of(body)
    return body


def _answer(
    code: int, body: Json, at: Address, request: Request, form: Form, now: float, options: Options | None = None
) -> Answer:
    if body.get("kind") == at.kind.kind:
        body = presenting.one(at.kind, body, form, now, request.text("includeObject") or "Metadata")
    elif at.subresource == "scale":
        body = presenting.scale(body, form, now)
    headers = _warnings(at.kind, options.warnings if options else [])
    return Answer(code, form.encode(body), form.media_type, headers)


def _warnings(kind: Kind, said: list[str]) -> list[tuple[str, str]]:
    """The Warning headers of an answer; once they are long in all, each is cut, and the last are dropped."""
    words = list(dict.fromkeys([*([_WARNINGS[kind.key]] if kind.key in _WARNINGS else []), *said]))
    if sum(map(len, words)) > _ALL_WARNINGS:
        words = [word[:_ONE_WARNING] for word in words][: _ALL_WARNINGS // _ONE_WARNING]
    return [("Warning", f'299 - "{_quoted(word)}"') for word in words]


@contextmanager
def _telling(kind: Kind, options: Options) -> Iterator[None]:
    """A refusal carries the warnings that came before it."""
    try:
        yield
    except ApiError as error:
        said = [value for _, value in _warnings(kind, options.warnings)]
        if said:
            error.headers["Warning"] = ", ".join(said)
        raise


def _quoted(text: str) -> str:
    """Text of one line, in quotes, in characters that a header can carry."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if " " <= char <= "~" else "?" for char in text)
