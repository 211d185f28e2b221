"""The garbage collector: what becomes of the dependents of a deleted owner, and of objects whose owners are no more.

Background: the owner goes at once, then its dependents. Foreground: the owner stays, with the finalizer
``foregroundDeletion``, until the dependents that block it have gone. Orphan: the dependents lose their reference first.
Source: kubernetes pkg/controller/garbagecollector.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.controllers.ownership import Ownership, references, with_references
from berth.rehearsal.kinds import EVENTS, Kind, by_key, of
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def _finalizers(body: Json) -> list[str]:
    return body["metadata"].get("finalizers") or []


def _deleting(body: Json) -> bool:
    return "deletionTimestamp" in body["metadata"]


def _waits_for_dependents(body: Json) -> bool:
    return _deleting(body) and FOREGROUND in _finalizers(body)


def _key(kind: Kind, namespace: str, name: str) -> Key:
    return f"{kind.key} {namespace}", name


class GarbageCollector:
    """Deletes what has no owner left, and ends the deletions that wait for dependents.

    A key names a kind and namespace, separated by a space, and a name.
    """

    name = "garbage-collector"

    def __init__(self, world: World) -> None:
        """Work on a world."""
        self._client = world.client("kube-controller-manager")
        self._owned = Ownership.of(world.store)

    def interested(self, change: Change) -> Iterable[Key]:
        """Objects with owners, owners that wait for their dependents, and the dependents of what has gone."""
        kind, body = change.kind, change.object
        if kind is EVENTS:
            return ()
        meta = body["metadata"]
        owners, keys = meta.get("ownerReferences"), []
        if change.type == "DELETED":
            keys = [_key(*place) for place in self._owned.places(meta["uid"])]
        elif _deleting(body):
            if FOREGROUND in _finalizers(body) or ORPHAN in _finalizers(body):
                keys = [_key(kind, *change.key)]
                keys += [_key(*place) for place in self._owned.places(meta["uid"])]
        elif owners and (change.old is None or change.old["metadata"].get("ownerReferences") != owners):
            keys = [_key(kind, *change.key)]
        # An owner may wait for this object, or have waited for it until now.
        former = references(change.old) if change.old is not None else []
        for reference in (*former, *(owners or ())) if change.type == "DELETED" or former != (owners or []) else ():
            keys += self._waiting(reference, change.key[0])
        return keys

    def _waiting(self, reference: Json, namespace: str) -> list[Key]:
        owner_kind = of(reference)
        if owner_kind is None:
            return []
        place = (owner_kind, namespace if owner_kind.namespaced else "", reference["name"])
        owner = self._client.get(*place)
        return [_key(*place)] if owner is not None and _waits_for_dependents(owner) else []

    def sync(self, key: Key) -> None:
        """Look at one object. Raises ApiError where that has to be done again."""
        kind_key, _, namespace = key[0].partition(" ")
        kind = by_key(kind_key)
        body = self._client.get(kind, namespace, key[1])
        if body is None:
            return
        if _deleting(body):
            if ORPHAN in _finalizers(body):
                self._orphan(kind, body)
            elif FOREGROUND in _finalizers(body):
                self._end_foreground(kind, body)
            return
        if references(body):
            self._collect(kind, body)

    def _collect(self, kind: Kind, body: Json) -> None:
        """Delete an object that no owner holds any more; of several owners, forget those that are gone."""
        namespace, name = body["metadata"].get("namespace", ""), body["metadata"]["name"]
        solid: list[Json] = []
        lost: list[Json] = []
        waiting: list[Json] = []
        for reference in references(body):
            owner_kind = of(reference)
            if owner_kind is None or (owner_kind.namespaced and not namespace):
                return  # An owner of a kind that is not served here, or out of reach: nothing is known about it.
            owner = self._client.get(owner_kind, namespace if owner_kind.namespaced else "", reference["name"])
            if owner is None or owner["metadata"]["uid"] != reference["uid"]:
                lost.append(reference)
            elif _waits_for_dependents(owner):
                waiting.append(reference)
            else:
                solid.append(reference)
        if solid:
            if lost or waiting:
                self._client.update(kind, with_references(body, solid))
            return
        uid = body["metadata"]["uid"]
        policy = "Background"
        if waiting and self._owned.places(uid):
            policy = "Foreground"
        elif ORPHAN in _finalizers(body):
            policy = "Orphan"
        elif FOREGROUND in _finalizers(body):
            policy = "Foreground"
        self._client.delete(kind, namespace, name, policy, uid)

    def _end_foreground(self, kind: Kind, body: Json) -> None:
        """Let an owner go when no dependent blocks it any more."""
        uid = body["metadata"]["uid"]
        for dependent in self._owned.dependents(uid):
            if any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in references(dependent)):
                return
        self._without_finalizer(kind, body, FOREGROUND)

    def _orphan(self, kind: Kind, body: Json) -> None:
        """Take an owner out of the references of its dependents, then let it go."""
        uid = body["metadata"]["uid"]
        for dependent_kind, namespace, name in self._owned.places(uid):
            dependent = self._client.get(dependent_kind, namespace, name)
            if dependent is not None:
                kept = [reference for reference in references(dependent) if reference["uid"] != uid]
                self._client.update(dependent_kind, with_references(dependent, kept))
        self._without_finalizer(kind, body, ORPHAN)

    def _without_finalizer(self, kind: Kind, body: Json, finalizer: str) -> None:
        meta = dict(body["metadata"])
        meta["finalizers"] = [name for name in _finalizers(body) if name != finalizer]
        self._client.update(kind, {**body, "metadata": meta})
