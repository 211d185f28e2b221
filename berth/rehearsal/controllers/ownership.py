"""Who owns what: ownerReferences, and an index of the dependents of every object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from berth.core.objects import Json
from berth.rehearsal.kinds import EVENTS, KINDS, PODS, REVISIONS, Kind
from berth.rehearsal.store import Change, Store

#: Where an object is: its kind, namespace and name.
Place = tuple[Kind, str, str]
#: The kinds of which controllers adopt orphans.
_ADOPTABLE = (PODS, REVISIONS)


def references(body: Json) -> list[Json]:
    """The ownerReferences of an object."""
    return body["metadata"].get("ownerReferences") or []


def controller_of(body: Json) -> Json | None:
    """The reference to the one owner that manages an object; None for an orphan."""
    for reference in body["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Json = reference
            return found
    return None


def controller_reference(owner: Json) -> Json:
    """The reference by which an owner manages an object, as the controllers write it."""
    meta = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def with_references(body: Json, kept: list[Json]) -> Json:
    """The object with these ownerReferences."""
    meta = {key: value for key, value in body["metadata"].items() if key != "ownerReferences"}
    if kept:
        meta["ownerReferences"] = kept
    return {**body, "metadata": meta}


class Ownership:
    """The dependents of every owner by its UID, and the pods and revisions of a namespace that nobody manages.

    It follows the store, so that a sync costs what the set has, not what the cluster has. ``of`` gives all controllers
    of one store the same index.
    """

    def __init__(self, store: Store) -> None:
        self._dependents: dict[str, dict[Place, None]] = {}
        self._unmanaged: dict[tuple[str, str], dict[str, None]] = {}
        self._store = store
        for kind in KINDS:
            if kind is not EVENTS:
                for body in store.each(kind):
                    self._add(kind, body)
        store.listeners.append(self._follow)

    @classmethod
    def of(cls, store: Store) -> Ownership:
        """The index of a store; the first who asks makes it."""
        return store.follower(cls) or cls(store)

    def dependents(self, uid: str, kind: Kind | None = None) -> list[Json]:
        """The objects (of one kind) with a reference to this owner, by name within the kind."""
        places = [place for place in self._dependents.get(uid, ()) if kind is None or place[0] is kind]
        places.sort(key=lambda place: (place[0].key, place[1], place[2]))
        found = (self._store.get(*place) for place in places)
        return [body for body in found if body is not None]

    def places(self, uid: str) -> list[Place]:
        """Where the dependents of an owner are."""
        return list(self._dependents.get(uid, ()))

    def unmanaged(self, kind: Kind, namespace: str) -> Iterator[Json]:
        """The pods, or the revisions, of a namespace without a managing owner, by name."""
        for name in sorted(self._unmanaged.get((kind.key, namespace), ())):
            body = self._store.get(kind, namespace, name)
            if body is not None:
                yield body

    def _follow(self, change: Change) -> None:
        if change.kind is EVENTS:
            return
        old, new = change.old, change.object
        if (
            change.type == "MODIFIED"
            and old is not None
            and old["metadata"].get("ownerReferences") == new["metadata"].get("ownerReferences")
        ):
            return
        if old is not None:
            self._remove(change.kind, old)
        if change.type != "DELETED":
            self._add(change.kind, new)

    def _add(self, kind: Kind, body: Json) -> None:
        meta = body["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        managed = False
        for reference in meta.get("ownerReferences") or ():
            self._dependents.setdefault(reference["uid"], {})[kind, namespace, name] = None
            managed = managed or bool(reference.get("controller"))
        if kind in _ADOPTABLE and not managed:
            self._unmanaged.setdefault((kind.key, namespace), {})[name] = None

    def _remove(self, kind: Kind, body: Json) -> None:
        meta: Mapping[str, Json] = body["metadata"]
        namespace, name = str(meta.get("namespace", "")), str(meta["name"])
        for reference in references(body):
            places = self._dependents.get(reference["uid"])
            if places is not None:
                places.pop((kind, namespace, name), None)
                if not places:
                    del self._dependents[reference["uid"]]
        self._unmanaged.get((kind.key, namespace), {}).pop(name, None)
