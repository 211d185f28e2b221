"""The store as the scheduling rules see it (`scheduling.storage.View`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from berth.core.objects import Json
from berth.rehearsal.controllers.claim_users import ClaimUsers
from berth.rehearsal.controllers.volumes import class_of
from berth.rehearsal.kinds import CLAIMS, CLASSES, VOLUMES
from berth.rehearsal.store import Change, Store


class StorageView:
    """Claims, classes and volumes; which pods use a claim, and which volumes of a class are free."""

    def __init__(self, store: Store) -> None:
        """Look at a store; `observe` must be given every change."""
        self._store = store
        self._users = ClaimUsers(store)
        #: Volumes that may still be bound to anything, by class. Bound ones are many, and none of them can be chosen.
        self._free: dict[str, dict[str, None]] = {}

    def observe(self, change: Change) -> None:
        """Take note of a change."""
        self._users.observe(change)
        if change.kind is not VOLUMES:
            return
        name, shelf = change.key[1], self._free.setdefault(class_of(change.object), {})
        if change.type != "DELETED" and (change.object.get("status") or {}).get("phase") != "Bound":
            shelf[name] = None
        else:
            shelf.pop(name, None)

    def claim(self, namespace: str, name: str) -> Json | None:
        """A claim."""
        return self._store.get(CLAIMS, namespace, name)

    def volume(self, name: str) -> Json | None:
        """A volume."""
        return self._store.get(VOLUMES, "", name)

    def storage_class(self, name: str) -> Json | None:
        """A StorageClass."""
        return self._store.get(CLASSES, "", name) if name else None

    def volumes_of(self, class_name: str) -> Iterable[Json]:
        """The volumes of a class that are not bound."""
        found = (self.volume(name) for name in list(self._free.get(class_name, ())))
        return [volume for volume in found if volume is not None]

    def unbound(self) -> Iterator[Json]:
        """The volumes of all classes that are not bound."""
        for class_name in list(self._free):
            yield from self.volumes_of(class_name)

    def users(self, namespace: str, claim: str) -> list[Json]:
        """The pods that use a claim."""
        return self._users.of(namespace, claim)

    def pods_of(self, claim: tuple[str, str]) -> list[tuple[str, str]]:
        """The keys of the pods that use a claim."""
        return [(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in self._users.of(*claim)]
