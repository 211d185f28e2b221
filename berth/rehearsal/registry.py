"""What the API server does with an object between the request and the store.

Creation, update, the four kinds of patch, deletion with its three propagation policies, the status and scale
subresources: defaulting, admission, validation, generations, finalizers, preconditions and managed fields, in the
API server's order (kubernetes staging/src/k8s.io/apiserver/pkg/registry/rest and generic/registry/store.go).
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from berth.core.objects import Json
from berth.rehearsal import admission, apply, defaults, deletion, managed, patches, scale, schema, validation
from berth.rehearsal.clock import Clock
from berth.rehearsal.jsontree import dig, graft
from berth.rehearsal.kinds import EVENTS, NAMESPACES, NODES, Kind
from berth.rehearsal.refusal import (
    ApiError,
    FieldError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    method_not_allowed,
    not_found,
    unusable_patch,
)
from berth.rehearsal.store import Store

APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

#: Kinds whose objects carry metadata.generation; their specs are what it counts.
GENERATIONS = frozenset(
    {"pods", "apps/statefulsets", "policy/poddisruptionbudgets", "networking.k8s.io/networkpolicies"}
    | {"discovery.k8s.io/endpointslices", "scheduling.k8s.io/priorityclasses"}
)
#: Characters of the random part of generated names: no vowels, nothing that reads as another.
#: Source: kubernetes staging/src/k8s.io/apimachinery/pkg/util/rand.
NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
#: Where an object is.
_PLACE = ("name", "namespace")
#: What of an object's metadata only the server writes.
_SERVERS_OWN = ("uid", "creationTimestamp", "selfLink")
_DELETION = ("deletionTimestamp", "deletionGracePeriodSeconds")


@dataclass(slots=True)
class Options:
    """How a request is meant. ``warnings`` collects what the server has to say beside its answer."""

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    field_validation: str = "Warn"
    #: What controllers of the cluster itself write is not validated.
    trusted: bool = False
    warnings: list[str] = field(default_factory=list)


class Registry:
    """The verbs. Not thread-safe: the world's lock guards it. Every method may raise ApiError."""

    def __init__(self, store: Store, clock: Clock, random_source: random.Random) -> None:
        """Work on the store, with the clock's times and the source's names."""
        self._store = store
        self._clock = clock
        self._random = random_source

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """One object."""
        found = self._store.get(kind, namespace, name)
        if found is None:
            raise not_found(kind, name)
        return found

    def create(self, kind: Kind, namespace: str, body: Json, options: Options) -> Json:
        """Make an object; the answer is as it was stored, or would be."""
        body = self._decoded(kind, body, options)
        meta = dict(body.get("metadata") or {})
        if meta.get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        meta = self._placed(kind, namespace, meta)
        if not meta.get("name"):
            if not meta.get("generateName"):
                error = FieldError(
                    "FieldValueRequired", "metadata.name", "Required value: name or generateName is required"
                )
                raise invalid(kind, "", [error])
            meta["name"] = meta["generateName"][:58] + self.suffix()
        return self._create(kind, {**body, "metadata": meta}, options, None)

    def _create(self, kind: Kind, body: Json, options: Options, applied: list[Json] | None) -> Json:
        own = (*_SERVERS_OWN, *_DELETION, "resourceVersion", *(("generation",) if kind.key in GENERATIONS else ()))
        meta = {key: value for key, value in body["metadata"].items() if key not in own}
        meta["uid"] = str(UUID(int=self._random.getrandbits(128), version=4))
        meta["creationTimestamp"] = self._clock.timestamp()
        if kind.key in GENERATIONS:
            meta["generation"] = 1
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": meta}
        if "status" in kind.subresources and kind is not NODES and not options.trusted:
            body.pop("status", None)
        body = defaults.apply_defaults(kind, body)
        # Before admission: what that adds belongs to nobody.
        body = self._with_managers(kind, None, body, options, "", applied)
        body = self._mutated(kind, body, None)
        if not options.trusted:
            self._checked(kind, body, validation.check_create(kind, body))
        self._admit(kind, body, None, options)
        if not options.dry_run:
            return self._store.create(kind, body)
        if self._store.get(kind, meta.get("namespace", ""), meta["name"]) is not None:
            raise already_exists(kind, meta["name"])
        return body

    def update(
        self, kind: Kind, namespace: str, name: str, body: Json, options: Options, subresource: str = ""
    ) -> Json:
        """Replace an object, or the part of it that a subresource is."""
        old = self.get(kind, namespace, name)
        if subresource == "scale":
            body, subresource = scale.into(old, body, name), "scale"
        else:
            body = self._decoded(kind, body, options)
        return self._update(kind, old, body, options, subresource, None)

    def _update(
        self, kind: Kind, old: Json, body: Json, options: Options, subresource: str, applied: list[Json] | None
    ) -> Json:
        meta, old_meta = dict(body.get("metadata") or {}), old["metadata"]
        name = old_meta["name"]
        if meta.get("name", name) != name:
            raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
        meta["name"] = name
        meta = self._placed(kind, old_meta.get("namespace", ""), meta)
        if meta.get("uid", old_meta["uid"]) != old_meta["uid"]:
            place = f"{old_meta['namespace']}/{name}" if "namespace" in old_meta else name
            why = f"StorageError: invalid object, Code: 4, Key: /registry/{kind.plural}/{place}, ResourceVersion: 0, "
            why += "AdditionalErrorMsg: Precondition failed: "
            why += f"UID in precondition: {meta['uid']}, UID in object meta: {old_meta['uid']}"
            raise conflict(kind, name, why)
        if meta.get("resourceVersion") not in (None, "", "0", old_meta["resourceVersion"]):
            raise conflict(kind, name)
        for key in (*_SERVERS_OWN, "generation"):
            meta.pop(key, None)
        # A deletion cannot be undone; one that a client makes up stays, to be refused.
        meta |= {key: old_meta[key] for key in (*_SERVERS_OWN, *_DELETION, "generation") if key in old_meta}
        meta["resourceVersion"] = old_meta["resourceVersion"]
        if "managedFields" not in meta and "managedFields" in old_meta:
            meta["managedFields"] = old_meta["managedFields"]
        new: Json = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
        if not (options.trusted and subresource):
            new = defaults.apply_defaults(kind, new)
        new = self._with_managers(kind, old, new, options, subresource, applied)
        new = _part(kind, old, new, subresource)
        new = self._mutated(kind, new, old, subresource)
        if kind.key in GENERATIONS and _counted(old) != _counted(new):
            new = graft(new, old_meta.get("generation", 0) + 1, "metadata", "generation")
        if not options.trusted:
            self._checked(kind, new, validation.check_update(kind, new, old, subresource))
        self._admit(kind, new, old, options, subresource)
        if options.dry_run or _same(old, new):
            return new if options.dry_run else old
        if deletion.finished(kind, new):
            if _content_differs(old, new):
                self._store.update(kind, new)
            return self._store.delete(kind, new["metadata"].get("namespace", ""), name)
        return self._store.update(kind, new)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch_type: str,
        body: Any,
        options: Options,
        subresource: str = "",
    ) -> Json:
        """Change an object by one of the four kinds of patch; a server-side apply may make it."""
        live = self._store.get(kind, namespace, name)
        if patch_type == APPLY_PATCH:
            return self._apply(kind, namespace, name, live, body, options, subresource)
        if live is None:
            raise not_found(kind, name)
        base = scale.of(live) if subresource == "scale" else live
        if patch_type == JSON_PATCH:
            self._strict(kind, patches.unknown_in_operations(body), options)
            new = patches.json_patch(base, body)
        elif patch_type == MERGE_PATCH:
            new = patches.merge_patch(base, body)
        elif patch_type == STRATEGIC_PATCH:
            root = schema.of(kind)
            new = patches.strategic_merge(root, base, body)
        else:
            raise method_not_allowed()
        if subresource == "scale":
            new = scale.into(live, new, name)
        else:
            new = self._patched(kind, new, patch_type, body, options)
        return self._update(kind, live, new, options, subresource, None)

    def _patched(self, kind: Kind, new: Json, patch_type: str, body: Any, options: Options) -> Json:
        """What a patch made of an object, if it is one; the API server shows what is none as JSON, or the patch."""
        try:
            return self._decoded(kind, new, options)
        except ApiError as error:
            if error.code != 400:
                raise
            shown = patches.go_text(body) if patch_type == STRATEGIC_PATCH else json.dumps(new, separators=(",", ":"))
            why = error.message.partition(f" cannot be handled as a {kind.kind}: ")[2] or error.message
            raise unusable_patch(shown, why) from None

    def _apply(
        self, kind: Kind, namespace: str, name: str, live: Json | None, body: Json, options: Options, subresource: str
    ) -> Json:
        meta = body.get("metadata") or {}
        if meta.get("name", name) != name:
            raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
        place = {**self._placed(kind, namespace, dict(meta)), "name": name}
        if live is None:
            if subresource:
                raise not_found(kind, name)
            if meta.get("uid"):
                why = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
                raise conflict(kind, name, why)
        new, entries = apply.apply(
            schema.of(kind), live, body, options.manager, options.force, self._clock.timestamp(), subresource
        )
        # Fields and types were for the configuration to get right: what is left are values that no type tells.
        new = self._decoded(kind, new, replace(options, field_validation="Ignore"))
        if live is None:
            new = {**new, "metadata": {**new["metadata"], **{key: place[key] for key in _PLACE if key in place}}}
            return self._create(kind, new, options, entries)
        return self._update(kind, live, new, options, subresource, entries)

    def delete(
        self, kind: Kind, namespace: str, name: str, wish: Json | None = None, options: Options | None = None
    ) -> Json:
        """Delete an object, at once or when its grace period and finalizers have ended.

        ``wish`` is a DeleteOptions. The answer is the object while it lingers, and a Status when it is gone.
        """
        wish, options, now = wish or {}, options or Options(), self._clock.now()
        old = self.get(kind, namespace, name)
        meta = old["metadata"]
        deletion.preconditions(kind, meta, wish.get("preconditions") or {})
        finalizers = deletion.finalizers_for(meta.get("finalizers") or [], wish)
        grace = deletion.grace(kind, old, wish)
        if kind is NAMESPACES and name in deletion.KEPT_NAMESPACES:
            raise forbidden(kind, name, "this namespace may not be deleted")
        if finalizers or grace > 0 or (kind is NAMESPACES and dig(old, "spec", "finalizers")):
            new = deletion.marked(kind, deletion.with_finalizers(old, finalizers), grace, now)
            if options.dry_run:
                return new
            return old if _same(old, new) else self._store.update(kind, new)
        if options.dry_run:
            return deletion.gone(kind, old, now)
        if finalizers != (meta.get("finalizers") or []):
            self._store.update(kind, deletion.with_finalizers(old, finalizers))
        return deletion.gone(kind, self._store.delete(kind, namespace, name), now)

    def suffix(self) -> str:
        """The random end of a generated name."""
        return "".join(self._random.choices(NAME_CHARACTERS, k=5))

    def _decoded(self, kind: Kind, body: Json, options: Options) -> Json:
        if options.trusted:
            return body
        broken = validation.decode_errors(kind, body)
        if broken:
            raise bad_request(broken[0])
        self._strict(kind, validation.unknown_fields(kind, body), options)
        return body

    def _strict(self, kind: Kind, unknown: list[str], options: Options) -> None:
        """Refuse, or warn of, what is unknown, as the request wants it."""
        if unknown and options.field_validation == "Strict":
            raise bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
                f"strict decoding error: {', '.join(unknown)}"
            )
        elif options.field_validation != "Ignore":
            options.warnings += unknown

    def _placed(self, kind: Kind, namespace: str, meta: Json) -> Json:
        if not kind.namespaced:
            meta.pop("namespace", None)
            return meta
        if meta.get("namespace", namespace) not in (namespace, ""):
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta["namespace"] = namespace
        return meta

    def _mutated(self, kind: Kind, body: Json, old: Json | None, subresource: str = "") -> Json:
        """The object as the admission plug-ins complete it."""
        if kind is EVENTS:
            return body
        operation, space = "UPDATE" if old else "CREATE", self._space_of(body)
        return admission.mutate(self._store, kind, operation, body, old, space, self._random, subresource=subresource)

    def _admit(self, kind: Kind, body: Json, old: Json | None, options: Options, subresource: str = "") -> None:
        """Ask the admission plug-ins that only judge, which come after validation."""
        if kind is EVENTS:
            return
        operation, space = "UPDATE" if old else "CREATE", self._space_of(body)
        admission.check(
            self._store, kind, operation, body, old, space, subresource=subresource, warnings=options.warnings
        )

    def _space_of(self, body: Json) -> Json | None:
        return self._store.get(NAMESPACES, "", body["metadata"].get("namespace", ""))

    def _checked(self, kind: Kind, body: Json, errors: list[FieldError]) -> None:
        if errors:
            raise invalid(kind, body["metadata"].get("name", ""), errors)

    def _with_managers(
        self, kind: Kind, old: Json | None, new: Json, options: Options, subresource: str, applied: list[Json] | None
    ) -> Json:
        if kind is EVENTS:
            return new
        if applied is not None:
            return _managed(new, applied)
        entries = managed.tracked(
            schema.of(kind), old, new, options.manager, "Update", subresource, self._clock.timestamp()
        )
        return _managed(new, entries)


def _managed(body: Json, entries: list[Json]) -> Json:
    """The object with these managedFields; the key is left out where there are none."""
    return {
        **body,
        "metadata": {**_without(body["metadata"], "managedFields"), **({"managedFields": entries} if entries else {})},
    }


def _part(kind: Kind, old: Json, new: Json, subresource: str) -> Json:
    """What of an update counts: the main resource leaves the status alone, and a subresource everything else."""
    if subresource == "status":
        kept = {**old, "metadata": {**old["metadata"], "managedFields": new["metadata"].get("managedFields", [])}}
        return {**kept, "status": new["status"]} if "status" in new else _without(kept, "status")
    if subresource == "finalize":
        return {**old, "spec": new.get("spec", {})}
    if "status" in kind.subresources:
        return {**new, "status": old["status"]} if "status" in old else _without(new, "status")
    return new


def _without(tree: Json, key: str) -> Json:
    return {name: value for name, value in tree.items() if name != key}


def _counted(body: Json) -> Json:
    """What a generation counts the versions of: everything but metadata and status."""
    return {key: value for key, value in body.items() if key not in ("metadata", "status", "apiVersion", "kind")}


def _same(old: Json, new: Json) -> bool:
    """Whether nothing would be written: an apply or update that changes no field does not even move its own time."""
    if _content_differs(old, new):
        return False
    return _timeless(old["metadata"]) == _timeless(new["metadata"])


def _timeless(meta: Json) -> Json:
    entries = [{key: value for key, value in entry.items() if key != "time"} for entry in meta.get("managedFields", ())]
    return {**{key: value for key, value in meta.items() if value not in ([], {})}, "managedFields": entries}


def _content_differs(old: Json, new: Json) -> bool:
    return bool({**old, "metadata": None} != {**new, "metadata": None})
