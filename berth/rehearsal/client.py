"""What the controllers of the simulated cluster use: the registry's verbs under a manager's name, and Events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import EVENTS, Kind
from berth.rehearsal.registry import Options

if TYPE_CHECKING:
    from berth.rehearsal.world import World

#: Seconds that an Event is kept, as kube-apiserver's --event-ttl has it.
EVENT_TTL = 3600.0


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

    def event(self, about: Json, severity: str, reason: str, message: str, source: str = "") -> None:
        """Say something about an object; the same words again only count up, as client-go's recorder does it."""
        self._world.events.record(about, severity, reason, message, source or self._manager)

    def _options(self) -> Options:
        return Options(manager=self._manager, trusted=True)


class Events:
    """The Events of a world: equal ones are counted, old ones forgotten."""

    def __init__(self, world: World) -> None:
        """Take up the Events that the store holds already."""
        self._world = world
        self._last_moment = 0
        self._known: dict[tuple[str, ...], str] = {}
        for body in world.store.list(EVENTS):
            self._known[_identity(body)] = body["metadata"]["name"]

    def record(self, about: Json, severity: str, reason: str, message: str, source: str) -> None:
        """Make an Event ("Normal" or "Warning"), or count up the equal one."""
        world, meta = self._world, about["metadata"]
        namespace = meta.get("namespace") or "default"
        now = world.clock.timestamp()
        involved = {"kind": about["kind"], "namespace": meta.get("namespace"), "name": meta["name"]}
        involved |= {"uid": meta["uid"], "apiVersion": about["apiVersion"]}
        involved |= {"resourceVersion": meta.get("resourceVersion")}
        body: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{self._moment():016x}", "namespace": namespace},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": severity,
            "eventTime": None,
            "reportingComponent": source,
            "reportingInstance": "",
        }
        identity = _identity(body)
        name = self._known.get(identity)
        live = world.store.get(EVENTS, namespace, name) if name else None
        if live is None:
            made = world.registry.create(EVENTS, namespace, body, Options(manager=source, trusted=True))
            self._known[identity] = made["metadata"]["name"]
            self._forget_later(namespace, made["metadata"]["name"], identity)
        else:
            world.store.update(EVENTS, {**live, "count": live["count"] + 1, "lastTimestamp": now})

    def _moment(self) -> int:
        """Nanoseconds, which client-go names Events by: lists, in order of names, then show what came first at the top."""
        self._last_moment = max(self._last_moment + 1, int(self._world.clock.now() * 1e9))
        return self._last_moment

    def _forget_later(self, namespace: str, name: str, identity: tuple[str, ...]) -> None:
        def forget() -> None:
            self._known.pop(identity, None)
            if self._world.store.get(EVENTS, namespace, name) is not None:
                self._world.store.delete(EVENTS, namespace, name)

        self._world.at(EVENT_TTL, forget, recurring=True)


def _identity(body: Json) -> tuple[str, ...]:
    about = body["involvedObject"]
    return (
        about.get("uid", ""),
        body["reason"],
        body["message"],
        body["type"],
        (body.get("source") or {}).get("component", ""),
    )
