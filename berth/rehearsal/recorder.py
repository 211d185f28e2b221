"""Events, as client-go's two recorders write them.

Most controllers use the older one (client-go, tools/record): the same words again count up, and where more and more
different things are said about an object for one reason, the latest are combined. The scheduler uses the newer one
(tools/events), whose Events have no count but, from the second time on, a series.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from berth.core.objects import Json
from berth.rehearsal.kinds import EVENTS
from berth.rehearsal.registry import Options

if TYPE_CHECKING:
    from berth.rehearsal.world import World

#: Seconds that an Event is kept, as kube-apiserver's --event-ttl has it.
EVENT_TTL = 3600.0
#: Different messages for one reason from which on they are combined, and seconds without one after which that ends.
#: Source: client-go tools/record/events_cache.go, defaultAggregateMaxEvents and defaultAggregateIntervalInSeconds.
MOST_SIMILAR, SIMILAR_FOR = 10, 600.0
COMBINED = "(combined from similar events): "
#: Seconds without an equal one after which an Event of the newer form begins a new series (tools/events, finishTime).
SERIES_FOR = 360.0

_Identity = tuple[str, ...]


@dataclass(slots=True)
class _Similar:
    """What was said about an object for one reason, and when last."""

    last: float
    messages: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Series:
    """An Event of the newer form: how often it happened, and when last."""

    name: str
    last: float
    count: int = 1


class Events:
    """The Events of a world: equal ones are counted, similar ones combined, old ones forgotten."""

    def __init__(self, world: World) -> None:
        """Take up the Events that the store holds already."""
        self._world = world
        self._last_moment = 0
        self._known: dict[_Identity, str] = {}
        self._similar: dict[_Identity, _Similar] = {}
        self._series: dict[_Identity, _Series] = {}
        for body in world.store.list(EVENTS):
            if body.get("count"):
                self._known[_identity(body)] = body["metadata"]["name"]

    def record(self, about: Json, severity: str, reason: str, message: str, source: str) -> None:
        """Make an Event ("Normal" or "Warning"), or count up the equal one."""
        now = self._world.clock.timestamp()
        body = self._event(about, severity, reason, message, source) | {
            "source": {"component": source},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "eventTime": None,
            "reportingInstance": "",
        }
        kind = _kind_of(body)
        identity = (*kind, message)
        if self._is_one_too_many(kind, message):
            body["message"] = COMBINED + message
            # The latest words stand for all that are combined.
            identity = kind
        namespace, name = body["metadata"]["namespace"], self._known.get(identity)
        live = self._world.store.get(EVENTS, namespace, name) if name else None
        if live is None:
            self._known[identity] = self._made(body, source)
            self._forget_later(namespace, self._known[identity], identity)
        else:
            new = {"message": body["message"], "count": (live.get("count") or 0) + 1, "lastTimestamp": now}
            self._world.store.update(EVENTS, {**live, **new})

    def note(self, about: Json, severity: str, reason: str, message: str, source: str, action: str) -> None:
        """Make an Event of the newer form, or begin a series with the second one that is alike but for its words."""
        now = self._world.clock.now()
        body = self._event(about, severity, reason, message, source) | {
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "eventTime": self._world.clock.micro_timestamp(),
            "action": action,
            "reportingInstance": f"{source}-rehearsal",
        }
        namespace = body["metadata"]["namespace"]
        # Another version of the object is another series, too.
        identity = (*_kind_of(body), action, body["involvedObject"].get("resourceVersion", ""))
        series = self._series.get(identity)
        live = self._world.store.get(EVENTS, namespace, series.name) if series else None
        if series is None or live is None or now - series.last > SERIES_FOR:
            _make_room(self._series)
            self._series[identity] = _Series(self._made(body, source), now)
            self._forget_later(namespace, self._series[identity].name, identity)
            return
        series.last, series.count = now, series.count + 1
        if series.count == 2:
            # Later ones are only counted; the recorder writes them every half an hour.
            said = {"count": 2, "lastObservedTime": self._world.clock.micro_timestamp()}
            self._world.store.update(EVENTS, {**live, "series": said})

    def _event(self, about: Json, severity: str, reason: str, message: str, source: str) -> Json:
        """What both forms have."""
        meta = about["metadata"]
        involved = {"kind": about["kind"], "namespace": meta.get("namespace"), "name": meta["name"]}
        involved |= {"uid": meta["uid"], "apiVersion": about["apiVersion"]}
        involved |= {"resourceVersion": meta.get("resourceVersion")}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{meta['name']}.{self._moment():016x}",
                "namespace": meta.get("namespace") or "default",
            },
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": reason,
            "message": message,
            "type": severity,
            "reportingComponent": source,
        }

    def _made(self, body: Json, source: str) -> str:
        options = Options(manager=source, trusted=True)
        made = self._world.registry.create(EVENTS, body["metadata"]["namespace"], body, options)
        return str(made["metadata"]["name"])

    def _is_one_too_many(self, kind: _Identity, message: str) -> bool:
        """Whether so many different things have been said lately that this one is combined with the last."""
        now = self._world.clock.now()
        similar = self._similar.get(kind)
        if similar is None or now - similar.last > SIMILAR_FOR:
            _make_room(self._similar)
            similar = self._similar[kind] = _Similar(now)
        similar.last = now
        similar.messages[message] = None
        if len(similar.messages) < MOST_SIMILAR:
            return False
        # client-go forgets any one of them.
        del similar.messages[next(iter(similar.messages))]
        return True

    def _moment(self) -> int:
        """Nanoseconds, which client-go names Events by: lists, in order of names, then show first what came first."""
        self._last_moment = max(self._last_moment + 1, int(self._world.clock.now() * 1e9))
        return self._last_moment

    def _forget_later(self, namespace: str, name: str, identity: _Identity) -> None:
        def forget() -> None:
            if self._known.get(identity) == name:
                del self._known[identity]
            if self._world.store.get(EVENTS, namespace, name) is not None:
                self._world.store.delete(EVENTS, namespace, name)

        self._world.at(EVENT_TTL, forget, recurring=True)


def _make_room(remembered: dict[_Identity, Any]) -> None:
    """Forget the first where there are too many; client-go's caches hold as many (maxLruCacheEntries)."""
    if len(remembered) >= 4096:
        del remembered[next(iter(remembered))]


def _kind_of(body: Json) -> _Identity:
    """What Events have in common that are similar: all but their words."""
    about = body["involvedObject"]
    return about.get("uid", ""), body["reason"], body["type"], body.get("reportingComponent", "")


def _identity(body: Json) -> _Identity:
    kind = _kind_of(body)
    return kind if body["message"].startswith(COMBINED) else (*kind, body["message"])
