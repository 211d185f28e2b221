"""A local picture of some kinds of one namespace, kept up to date by watches."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from berth.cluster.kube import Kube
from berth.cluster.watch import Changed, Gone, Synced, Trouble, Watcher, WatchEvent
from berth.core.errors import ClusterError
from berth.core.objects import Json, ObjectRef

#: How long `take` waits for something to arrive, in seconds: how often a caller gets to look at its clock.
TICK = 0.5
#: How long `take` gathers news before it folds them in, in seconds for each object held. Whoever takes looks at all
#: objects then, and a hundred sets that start send thousands of news.
GATHER = 0.0005
#: How long nothing must have arrived until `pass_time` is called, in seconds.
QUIET = 0.005
#: Lets a simulated cluster's time pass, in place of waiting for it; None: time passes by itself. It is told which
#: version was seen last of each kind, 0 where nothing has changed since the list; None while not all is listed.
pass_time: Callable[[Mapping[str, int] | None], None] | None = None


def rest(seconds: float, monotonic: Callable[[], float], alive: Callable[[], None]) -> None:
    """Let so many seconds of a clock go by, without looking at the cluster; ``alive`` may raise to end it."""
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        alive()
        if pass_time is None:
            time.sleep(min(left, TICK))
        else:
            pass_time({})


class Mirror:
    """Follows kinds until it is closed; what it holds changes only inside `take`, so one thread may use it freely."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._queue: queue.SimpleQueue[tuple[str, WatchEvent]] = queue.SimpleQueue()
        self._watchers: dict[tuple[str, str], Watcher] = {}
        self._objects: dict[str, dict[str, Json]] = {}
        self._synced: set[str] = set()
        self._seen: dict[str, int] = {}

    def __enter__(self) -> Mirror:
        """Nothing is watched yet: `follow` begins."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all watches."""
        for watcher in self._watchers.values():
            watcher.stop()

    def follow(self, group: str, kind: str, selector: str | None = None) -> None:
        """Begin to follow a kind, all of the namespace or those that a label selector picks; once per kind."""
        if (group, kind) in self._watchers:
            return
        # A cluster-scoped kind is watched where it lives; the client leaves the namespace out.
        watcher = Watcher(
            self._kube,
            group,
            kind,
            self._namespace,
            lambda event: self._queue.put((kind, event)),
            label_selector=selector,
        )
        self._watchers[group, kind] = watcher
        watcher.start()

    def take(self) -> tuple[bool, list[str]]:
        """Wait a tick for news, fold in all that is there; say whether anything changed, and what troubles a watch.

        Raises:
            ClusterError: a watch has ended for good, so that waiting for its objects would last for ever.
        """
        changed, troubles = False, []
        try:
            kind, event = self._next()
            time.sleep(min(GATHER * sum(map(len, self._objects.values())), TICK))
            while True:
                if isinstance(event, Trouble):
                    if event.final:
                        raise ClusterError(
                            f"{kind} objects in {self._namespace} can no longer be followed", why=event.message
                        )
                    troubles.append(event.message)
                else:
                    self._fold(kind, event)
                    changed = True
                kind, event = self._queue.get_nowait()
        except queue.Empty:
            return changed, troubles

    def _next(self) -> tuple[str, WatchEvent]:
        if pass_time is None:
            return self._queue.get(timeout=TICK)
        try:
            return self._queue.get(timeout=QUIET)
        except queue.Empty:
            pass_time(self._seen if self.complete else None)
            return self._queue.get(timeout=QUIET)

    def synced(self, kind: str) -> bool:
        """Whether the kind has been listed once, so that an absent object is really absent."""
        return kind in self._synced

    @property
    def complete(self) -> bool:
        """Whether every kind that is followed has been listed once."""
        return all(kind in self._synced for _, kind in self._watchers)

    def get(self, ref: ObjectRef) -> Json | None:
        """The object as last seen."""
        return self._objects.get(ref.kind, {}).get(ref.name)

    def all(self, kind: str) -> dict[str, Json]:
        """All objects of a kind by name."""
        return self._objects.get(kind, {})

    def _fold(self, kind: str, event: Synced | Changed | Gone) -> None:
        store = self._objects.setdefault(kind, {})
        if not isinstance(event, Synced):
            self._seen[kind] = int(event.object["metadata"].get("resourceVersion") or 0) if pass_time else 0
        match event:
            case Synced(items=items):
                self._synced.add(kind)
                self._seen[kind] = 0
                store.clear()
                store.update({body["metadata"]["name"]: body for body in items})
            case Changed(object=body):
                store[body["metadata"]["name"]] = body
            case Gone(object=body):
                store.pop(body["metadata"]["name"], None)
