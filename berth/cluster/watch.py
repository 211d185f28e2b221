"""List, then watch: everything that happens to the objects of one kind and selection, without a gap.

Whatever breaks, the loop goes on: a stream that ends, drops, falls silent or is cut in the middle of a line is resumed
from the last resourceVersion seen; a resourceVersion that is too old leads to a new list, which also tells the
deletions that were missed. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import TypeAlias

from berth.cluster.kube import Kube
from berth.cluster.refusals import ExpiredError
from berth.cluster.retry import Pace
from berth.cluster.transport import Stalled, Stream, WireError
from berth.core.errors import BerthError, DeniedError
from berth.core.objects import Json, dig

#: Seconds after which the server ends a watch by itself.
WATCH_TIME = 300
#: Seconds of silence after which a watch is resumed: a hung server costs no more. Bookmarks come once a minute at most.
SILENCE = 20.0
#: Seconds between two lists where watching is not allowed.
POLL = 2.0


@dataclass(frozen=True, slots=True)
class Synced:
    """All that exists, by a list: at the beginning, and again whenever the watch had a gap."""

    items: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was made or changed."""

    object: Json


@dataclass(frozen=True, slots=True)
class Gone:
    """An object was deleted; its last known state."""

    object: Json


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something a user may want to know; the watcher goes on unless it is ``final``."""

    message: str
    final: bool = False


WatchEvent: TypeAlias = Synced | Changed | Gone | Trouble


class _Relist(Exception):
    """What is known is too old to go on from."""


class Watcher:
    """Watches the objects of one kind in a namespace (None: in all), in a thread of its own.

    ``deliver`` is called in that thread, one event at a time, and never again once ``stop`` has returned.
    """

    def __init__(
        self,
        kube: Kube,
        group: str,
        kind: str,
        namespace: str | None,
        deliver: Callable[[WatchEvent], object],
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        silence: float = SILENCE,
        poll: float = POLL,
        pace: Pace | None = None,
        chance: Callable[[], float] = random,
    ) -> None:
        """Prepare; ``start`` begins. ``silence`` and ``poll`` are seconds, ``pace`` how failures are spaced."""
        self._kube, self._group, self._kind, self._namespace = kube, group, kind, namespace
        self._deliver = deliver
        self._labels, self._fields = label_selector, field_selector
        self._silence, self._poll, self._pace, self._chance = silence, poll, pace or Pace(longest=2.0), chance
        self._what = f"{kind} objects" + (f" in {namespace}" if namespace else "")
        self._known: dict[tuple[str, str], Json] = {}
        self._version = ""
        self._failures = 0
        self._stream: Stream | None = None
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {kind}", daemon=True)

    def start(self) -> None:
        """Begin to list and watch."""
        self._thread.start()

    def stop(self) -> None:
        """End it at once, a read that is under way included."""
        self._stopped.set()
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout)

    def _run(self) -> None:
        watch = True
        try:
            while not self._stopped.is_set():
                listed = False
                try:
                    self._list()
                    listed = True
                    while watch and not self._stopped.is_set():
                        self._follow()
                except _Relist:
                    self._fail(None)  # At first a tenth of a second; a server that always says so must not be flooded.
                except DeniedError as error:
                    if not self._version:
                        raise  # Listing was never allowed.
                    if not listed:
                        self._fail(error)
                    elif watch:
                        watch = False
                        why = f"{error.problems[0].what}; they are listed every {self._poll:g} s instead"
                        self._emit(Trouble(why))
                except (BerthError, WireError) as error:
                    self._fail(error)
                if not watch:
                    self._stopped.wait(self._poll)
        except DeniedError as error:
            self._emit(Trouble(str(error), final=True))
        except Exception as error:  # A thread that dies silently would leave its owner waiting forever.
            self._emit(Trouble(f"watching {self._what} ended: {type(error).__name__}: {error}", final=True))

    def _list(self) -> None:
        """Learn all that exists; deletions and replacements that were missed are told first."""
        first = not self._version
        items, self._version = self._kube.list(
            self._group, self._kind, self._namespace, label_selector=self._labels, field_selector=self._fields
        )
        before, self._known = self._known, {_key(item): item for item in items}
        for key, item in before.items():
            now = self._known.get(key)
            if now is None or now["metadata"].get("uid") != item["metadata"].get("uid"):
                self._emit(Gone(item))
        if first or before != self._known:
            self._emit(Synced(tuple(items)))

    def _follow(self) -> None:
        """One watch, until it ends in whatever way; after a failure, wait as the pace says.

        Raises:
            _Relist: the resourceVersion is too old.
            DeniedError: watching is not allowed.
        """
        begun, before = time.monotonic(), self._version
        stream: Stream | None = None
        try:
            stream = self._kube.watch(
                self._group,
                self._kind,
                self._namespace,
                resource_version=self._version,
                timeout=WATCH_TIME,
                read_timeout=self._silence,
                label_selector=self._labels,
                field_selector=self._fields,
            )
            with self._lock:
                self._stream = stream
            try:
                if not self._stopped.is_set():
                    self._consume(stream)
            finally:
                stream.close()
        except ExpiredError as error:
            raise _Relist from error
        except DeniedError:
            raise
        except Stalled as error:
            if stream is None:
                self._fail(error)
            else:
                self._failures = 0  # Silence after the beginning is the normal state of a cluster at rest.
            return
        except (BerthError, WireError) as error:
            self._fail(error)
            return
        if self._version == before and time.monotonic() - begun < 1.0:
            self._fail(None)
        else:
            self._failures = 0

    def _consume(self, stream: Stream) -> None:
        for line in stream.lines():
            if not line.strip():
                continue
            try:
                event = json.loads(line)
                kind, body = event["type"], event["object"]
            except (ValueError, KeyError, TypeError):
                return  # Cut short. What the rest of the line said comes again after the last version.
            if kind == "ERROR":
                raise _Relist  # Mostly a 410; after any other error a new list is right as well.
            version = str(dig(body, "metadata", "resourceVersion", default=""))
            if kind in ("ADDED", "MODIFIED"):
                self._known[_key(body)] = body
                self._emit(Changed(body))
            elif kind == "DELETED":
                self._known.pop(_key(body), None)
                self._emit(Gone(body))
            self._version = version or self._version

    def _fail(self, error: Exception | None) -> None:
        """Wait longer after each failure in a row, and say so from the third on."""
        self._failures += 1
        if self._stopped.is_set():
            return
        if error is not None and self._failures == 3:
            why = error.problems[0].why or error.problems[0].what if isinstance(error, BerthError) else str(error)
            self._emit(Trouble(f"watching {self._what} keeps failing: {why}"))
        self._stopped.wait(self._pace.wait(min(self._failures, 16), self._chance()))

    def _emit(self, event: WatchEvent) -> None:
        with self._lock:
            if not self._stopped.is_set():
                self._deliver(event)


def _key(body: Json) -> tuple[str, str]:
    meta = body["metadata"]
    return str(meta.get("namespace", "")), str(meta["name"])
