"""Watches: what happens to the objects of a collection, as it happens.

A watch gets the changes of its kind in a queue of its own, which the store fills as it writes; it takes them out when
they are safe in the file (the world says so), so that no client sees what a crash could undo.

Source: kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/watch.go and pkg/storage/cacher.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.server import listing, presenting
from berth.rehearsal.server.listing import Selection
from berth.rehearsal.server.messages import Answer, Connection, Request
from berth.rehearsal.server.negotiation import METADATA, METADATA_LIST, TABLE, Form, encode
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import World

_log = logging.getLogger(__name__)

#: Seconds between two bookmarks, and before the end of a watch that one more is sent.
BOOKMARKS = 60.0
LAST_BOOKMARK = 2.0
#: Seconds between two looks whether the client is still there.
LOOK = 1.0
#: Changes that may wait for a client that does not read; then its watch ends, and it lists anew.
LONGEST_QUEUE = 50_000
#: A watch without a limit of its own lasts this long, or up to twice as long (--min-request-timeout).
SHORTEST = 1800.0

INITIAL_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a watch is for."""

    kind: Kind
    namespace: str | None
    chosen: Selection
    form: Form
    include: str
    bookmarks: bool
    #: Whether the objects that are there come first, and whether a bookmark says where they end.
    initial: bool
    initial_end: bool
    #: The version after which it begins; None is now.
    since: int | None
    seconds: float


def read(request: Request, kind: Kind, namespace: str | None, form: Form) -> Wanted:
    """What a request wants to watch.

    Raises:
        ApiError: an option cannot be read, or contradicts another.
    """
    seconds = request.number("timeoutSeconds")
    listing.check(request, watch=True)
    bookmarks = request.flag("allowWatchBookmarks")
    since = listing.version_of(request.text("resourceVersion"))
    asked = "sendInitialEvents" in request.query
    # Without a version, a watch begins with what is there, unless it says that it wants none of it.
    initial = request.flag("sendInitialEvents") if asked else not since
    return Wanted(
        kind=kind,
        namespace=namespace,
        chosen=listing.selection(request, kind),
        form=form,
        include=request.text("includeObject") or "Metadata",
        bookmarks=bookmarks,
        initial=initial,
        initial_end=initial and bookmarks,
        since=None if not since else since,
        seconds=float(seconds) if seconds and seconds > 0 else SHORTEST * (1 + random.random()),
    )


def answer(world: World, wanted: Wanted) -> Answer:
    """A stream of events, one JSON object a line."""
    return Answer(200, stream=lambda connection: Watch(world, wanted).run(connection))


class Watch:
    """One watch, for as long as its client stays."""

    def __init__(self, world: World, wanted: Wanted) -> None:
        """Watch a world."""
        self._world = world
        self._wanted = wanted
        self._queue: deque[Change] = deque()
        self._slow = False
        #: The version up to which everything has been sent, and that after which the watch began.
        self._last = self._after = 0
        self._headers_sent = False
        #: Whether something was taken from the queue that has not been sent; and the version of what was sent last.
        self._sending = False
        self._sent = 0

    @property
    def listens_to(self) -> str:
        """The kind of the objects that it follows."""
        return self._wanted.kind.kind

    def has_told(self, version: int) -> bool:
        """Whether all that happened was sent, and nothing of it is later than this version; for the world's lock."""
        return not self._queue and not self._sending and self._sent <= version

    def run(self, connection: Connection) -> None:
        """Send events until the client goes, the time is over, or the world ends."""
        world, wanted = self._world, self._wanted
        ends = time.monotonic() + wanted.seconds
        try:
            with world.lock:
                first = self._begin()
            if first:
                connection.send(b"".join(first))
            self._follow(connection, ends)
        finally:
            with world.lock:
                if self._heard in world.store.listeners:
                    world.store.listeners.remove(self._heard)
                    world.audience.remove(self)

    def _begin(self) -> list[bytes]:
        """The first events; from now on the queue is filled."""
        store, wanted = self._world.store, self._wanted
        found: list[bytes] = []
        self._last = store.version if wanted.since is None else wanted.since
        if wanted.initial:
            self._last = max(self._last, store.version)
            present = wanted.chosen.of(store.list(wanted.kind, wanted.namespace))
            found += [self._event("ADDED", body) for body in present]
            if wanted.initial_end:
                found.append(self._bookmark({INITIAL_END: "true"}))
        else:
            try:
                changes = store.changes_since(self._last, wanted.kind, wanted.namespace)
            except ApiError as error:
                self._slow = True
                return [_line("ERROR", error.to_status())]
            self._queue.extend(changes)
        self._after = self._last
        store.listeners.append(self._heard)
        self._world.audience.append(self)
        return found

    def _heard(self, change: Change) -> None:
        wanted = self._wanted
        if change.kind is not wanted.kind or self._slow:
            return
        if wanted.namespace is not None and change.key[0] != wanted.namespace:
            return
        self._queue.append(change)
        if len(self._queue) > LONGEST_QUEUE:
            _log.warning("a watch of %s does not read; it ends", wanted.kind.plural)
            self._queue.clear()
            self._slow = True

    def _follow(self, connection: Connection, ends: float) -> None:
        world, wanted = self._world, self._wanted
        next_bookmark = time.monotonic() + min(BOOKMARKS, max(0.0, wanted.seconds - LAST_BOOKMARK))
        while not self._slow:
            now = time.monotonic()
            with world.lock:
                if not self._queue and not world.closed:
                    world.news.wait(max(0.0, min(LOOK, ends - now)))
                changes = list(self._queue)
                self._queue.clear()
                current = world.store.version
                self._sending = bool(changes)
            told = [(change.version, line) for change in changes for line in self._lines(change)]
            events = [line for _, line in told]
            # All that has happened up to now has been seen, also where nothing of it was for this watch.
            self._last = max(self._last, current)
            now = time.monotonic()
            if wanted.bookmarks and now >= next_bookmark and ends - now > 0:
                events.append(self._bookmark({}))
                next_bookmark = now + BOOKMARKS
            if events:
                connection.send(b"".join(events))
            elif connection.gone():
                return
            # In this order: who asks meanwhile is told to wait.
            self._sent = told[-1][0] if told else self._sent
            self._sending = False
            if now >= ends or world.closed:
                return

    def _lines(self, change: Change) -> Iterator[bytes]:
        """What a change is to this watch: what it selects from now on is added, what it no longer selects is gone."""
        if change.version <= self._after:
            return
        chosen = self._wanted.chosen
        is_in = change.type != "DELETED" and chosen.matches(change.object)
        was_in = change.type != "ADDED" and change.old is not None and chosen.matches(change.old)
        if is_in:
            yield self._event("MODIFIED" if was_in else "ADDED", change.object)
        elif was_in:
            body = change.object
            if change.type != "DELETED" and change.old is not None:
                version = change.object["metadata"]["resourceVersion"]
                body = {**change.old, "metadata": {**change.old["metadata"], "resourceVersion": version}}
            yield self._event("DELETED", body)

    def _event(self, sort: str, body: Json) -> bytes:
        wanted = self._wanted
        if wanted.form.shape == TABLE:
            about = {"resourceVersion": body["metadata"].get("resourceVersion", "")}
            now = self._world.clock.now()
            headers = not self._headers_sent
            self._headers_sent = True
            body = presenting.table(wanted.kind, [body], wanted.form, now, wanted.include, about, headers=headers)
        elif wanted.form.shape in (METADATA, METADATA_LIST):
            version = f"meta.k8s.io/{wanted.form.version}"
            body = {"kind": METADATA, "apiVersion": version, "metadata": body["metadata"]}
        return _line(sort, body)

    def _bookmark(self, annotations: Json) -> bytes:
        kind = self._wanted.kind
        meta: Json = {"resourceVersion": str(self._last)}
        if annotations:
            meta["annotations"] = annotations
        body: Json = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
        if self._wanted.form.shape:
            version = f"meta.k8s.io/{self._wanted.form.version}"
            body = {"kind": METADATA, "apiVersion": version, "metadata": meta}
        if self._wanted.form.shape == TABLE:
            body = {
                "kind": TABLE,
                "apiVersion": version,
                "metadata": {"resourceVersion": meta["resourceVersion"]},
                "columnDefinitions": None,
                "rows": [{"cells": [], "object": body}],
            }
        return _line("BOOKMARK", body)


def _line(sort: str, body: Json) -> bytes:
    return encode({"type": sort, "object": body})
