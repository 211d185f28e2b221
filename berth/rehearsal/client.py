"""What the controllers of the simulated cluster use: the registry's verbs under a manager's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import Kind
from berth.rehearsal.registry import Options

if TYPE_CHECKING:
    from berth.rehearsal.world import World


class Client:
    """Reads the store, writes through the registry as one field manager; unvalidated, but defaulted and admitted."""

    def __init__(self, world: World, manager: str) -> None:
        """Speak for a manager: "kube-controller-manager", "kube-scheduler", "kubelet"."""
        self._world = world
        self._manager = manager

    def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """One object, shared: never to be changed; None where there is none."""
        return self._world.store.get(kind, namespace, name)

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Json]:
        """The objects of a kind that carry all these labels."""
        found = self._world.store.list(kind, namespace)
        if not labels:
            return found
        wanted = labels.items()
        return [body for body in found if wanted <= (dig(body, "metadata", "labels") or {}).items()]

    def create(self, kind: Kind, body: Json) -> Json:
        """Make an object; raises ApiError."""
        namespace = body["metadata"].get("namespace", "")
        return self._world.registry.create(kind, namespace, body, self._options())

    def update(self, kind: Kind, body: Json) -> Json:
        """Replace an object; raises ApiError 409 where it has changed since the body's resourceVersion."""
        meta = body["metadata"]
        return self._world.registry.update(kind, meta.get("namespace", ""), meta["name"], body, self._options())

    def update_status(self, kind: Kind, body: Json) -> Json:
        """Replace an object's status; raises ApiError."""
        meta = body["metadata"]
        registry = self._world.registry
        return registry.update(kind, meta.get("namespace", ""), meta["name"], body, self._options(), "status")

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        propagation: str | None = "Background",
        uid: str | None = None,
        grace: int | None = None,
    ) -> Json:
        """Delete an object; raises ApiError. ``uid`` makes sure that it is the one that was meant."""
        wish: Json = {"propagationPolicy": propagation}
        if uid is not None:
            wish["preconditions"] = {"uid": uid}
        if grace is not None:
            wish["gracePeriodSeconds"] = grace
        return self._world.registry.delete(kind, namespace, name, wish, self._options())

    def event(
        self, about: Json, severity: str, reason: str, message: str, source: str = "", *, action: str = ""
    ) -> None:
        """Say something about an object; with an ``action`` in the newer form, which the scheduler uses."""
        if action:
            self._world.events.note(about, severity, reason, message, source or self._manager, action)
        else:
            self._world.events.record(about, severity, reason, message, source or self._manager)

    def _options(self) -> Options:
        return Options(manager=self._manager, trusted=True)
