"""Watches: what they begin with, what they show, and how they end."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal.kinds import CONFIG_MAPS
from berth.rehearsal.server.http import Server
from berth.rehearsal.world import World
from tests.rehearsal.server.calls import MAPS, TABLE, Caller, config_map

pytestmark = pytest.mark.rehearsal

MINE = f"{MAPS}?watch=1&labelSelector=mine"
SHORT = f"{MINE}&timeoutSeconds=1"


class Stream:
    """A watch that is read line by line."""

    def __init__(self, port: int, path: str, **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._connection.request("GET", path, headers={"Authorization": "Bearer a-token", **headers})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200

    def next(self) -> Json | None:
        line = self._answer.readline()
        found: Json | None = json.loads(line) if line else None
        return found

    def rest(self) -> list[Json]:
        return [json.loads(line) for line in self._answer.read().splitlines()]

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def events_of(call: Caller, path: str, count: int, **headers: str) -> list[Json]:
    """So many events of a watch."""
    stream = Stream(call.port, path, **headers)
    found = [stream.next() or {} for _ in range(count)]
    stream.close()
    return found


def seen(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events if event]


def version(call: Caller) -> str:
    found: str = call("GET", MAPS).json["metadata"]["resourceVersion"]
    return found


def labelled(name: str, **labels: str) -> Json:
    return config_map(name, labels=labels)


def test_without_a_version_a_watch_begins_with_what_is_there(server: Server, call: Caller) -> None:
    call("POST", MAPS, labelled("a", mine="1"))
    stream = Stream(server.port, MINE)
    first = stream.next()
    call("POST", MAPS, labelled("b", mine="1"))
    call("POST", MAPS, labelled("foreign"))
    call("DELETE", f"{MAPS}/a")
    events = [first, stream.next(), stream.next()]
    assert seen(events) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events if event]
    assert versions == sorted(versions)
    stream.close()


def test_after_a_version_it_shows_what_came_since(call: Caller) -> None:
    call("POST", MAPS, labelled("a", mine="1"))
    since = version(call)
    call("POST", MAPS, labelled("b", mine="1"))
    call("PUT", f"{MAPS}/a", {**labelled("a", mine="1"), "data": {"k": "2"}})
    events = events_of(call, f"{MINE}&resourceVersion={since}", 2)
    assert seen(events) == [("ADDED", "b"), ("MODIFIED", "a")]
    assert events[0]["object"]["kind"] == "ConfigMap"


def test_what_comes_to_be_selected_is_added_and_what_no_longer_is_goes(call: Caller) -> None:
    call("POST", MAPS, labelled("a", mine="1"))
    call("POST", MAPS, labelled("b"))
    since = version(call)
    call("PUT", f"{MAPS}/a", labelled("a"))
    call("PUT", f"{MAPS}/b", labelled("b", mine="1"))
    call("PUT", f"{MAPS}/b", labelled("b", mine="2"))
    call("DELETE", f"{MAPS}/a")
    events = events_of(call, f"{MINE}&resourceVersion={since}", 3)
    assert seen(events) == [("DELETED", "a"), ("ADDED", "b"), ("MODIFIED", "b")]
    # Gone is what it was, at the version at which it went.
    assert events[0]["object"]["metadata"]["labels"] == {"mine": "1"}
    assert int(events[0]["object"]["metadata"]["resourceVersion"]) > int(since)


def test_a_version_that_is_forgotten_is_an_error_event(call: Caller, world: World) -> None:
    call("POST", MAPS, labelled("a", mine="1"))
    with world.lock:
        world.store.forget()
        current = world.store.version
    reply = call("GET", f"{SHORT}&resourceVersion=1")
    (event,) = reply.lines
    assert (reply.code, event["type"]) == (200, "ERROR")
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"] == f"too old resource version: 1 ({current})"


def test_a_version_that_has_not_been_yet_shows_nothing_before_it(call: Caller) -> None:
    assert call("GET", f"{SHORT}&resourceVersion=99999").lines == []


def test_bookmarks(call: Caller) -> None:
    call("POST", MAPS, labelled("a", mine="1"))
    initial = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    events = events_of(call, f"{MINE}&allowWatchBookmarks=true{initial}", 2)
    assert seen(events) == [("ADDED", "a"), ("BOOKMARK", "")]
    meta = events[1]["object"]["metadata"]
    assert meta == {"resourceVersion": version(call), "annotations": {"k8s.io/initial-events-end": "true"}}
    assert events[1]["object"]["kind"] == "ConfigMap"
    assert seen(call("GET", f"{SHORT}{initial}").lines) == [("ADDED", "a")]
    none = "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
    assert call("GET", f"{SHORT}{none}").lines == []


def test_a_bookmark_tells_of_what_was_not_for_the_watch(call: Caller) -> None:
    since = version(call)
    call("POST", MAPS, labelled("foreign"))
    events = call("GET", f"{SHORT}&allowWatchBookmarks=true&resourceVersion={since}").lines
    assert seen(events) == [("BOOKMARK", "")]
    assert events[0]["object"]["metadata"]["resourceVersion"] == version(call)


def test_tables_have_their_columns_once(call: Caller) -> None:
    for name in "ab":
        call("POST", MAPS, labelled(name, mine="1"))
    events = events_of(call, MINE, 2, Accept=TABLE)
    assert [event["object"]["rows"][0]["cells"][0] for event in events] == ["a", "b"]
    assert [bool(event["object"]["columnDefinitions"]) for event in events] == [True, False]


def test_one_object_by_its_name(call: Caller) -> None:
    call("POST", MAPS, labelled("a"))
    call("POST", MAPS, labelled("b"))
    for name in "ab":
        events = events_of(call, f"{MAPS}?watch=1&fieldSelector=metadata.name%3D{name}", 1)
        assert seen(events) == [("ADDED", name)]
        old_form = MAPS.replace("/api/v1/", "/api/v1/watch/")
        assert events_of(call, f"{old_form}?fieldSelector=metadata.name%3D{name}", 1) == events


def test_a_watch_ends_with_its_time_and_the_connection_lives_on(call: Caller) -> None:
    began = time.monotonic()
    assert call("GET", SHORT).lines == []
    assert 0.9 < time.monotonic() - began < 3
    assert call("GET", "/version").code == 200


def test_a_watch_ends_with_the_server_and_with_the_world(world: World, server: Server) -> None:
    stream = Stream(server.port, MINE)
    assert server.idle_seconds == 0
    ended = threading.Event()

    def read() -> None:
        try:
            stream.rest()
        except (OSError, http.client.HTTPException):
            pass
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    server.close()
    reader.join(5)
    assert ended.is_set()
    stream.close()


def watched(world: World, before: int) -> None:
    """Return when a watch has begun to listen."""
    deadline = time.monotonic() + 5
    while len(world.store.listeners) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(world.store.listeners) == before + 1


def test_a_client_that_hangs_up_is_noticed(world: World, server: Server) -> None:
    before = len(world.store.listeners)
    stream = Stream(server.port, MINE)
    watched(world, before)
    stream.close()
    deadline = time.monotonic() + 5
    while len(world.store.listeners) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(world.store.listeners) == before
    time.sleep(0.05)
    assert server.idle_seconds > 0


def test_a_client_that_does_not_read_loses_its_watch(
    server: Server, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berth.rehearsal.server import watching

    monkeypatch.setattr(watching, "LONGEST_QUEUE", 3)
    before = len(world.store.listeners)
    stream = Stream(server.port, MINE)
    watched(world, before)
    with world.request():
        for name in "abcde":
            world.store.create(
                CONFIG_MAPS, {**labelled(name, mine="1"), "metadata": {"name": name, "namespace": "default"}}
            )
    assert stream.rest() == []
    stream.close()
