from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from berth.cluster.kube import Kube
from berth.cluster.retry import Pace
from berth.cluster.watch import Changed, Gone, Synced, Trouble, Watcher, WatchEvent
from berth.core.objects import Json
from tests.unit.cluster.fakeserver import Act, FakeServer, answer, hang, reset, status, stream

pytestmark = pytest.mark.unit

Start = Callable[..., "queue.SimpleQueue[WatchEvent]"]


def pod(name: str, version: int, uid: str = "") -> Json:
    meta = {"name": name, "namespace": "shop", "resourceVersion": str(version), "uid": uid or f"uid-{name}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


def listed(version: int, *pods: Json) -> Act:
    return answer({"metadata": {"resourceVersion": str(version)}, "items": list(pods)})


def event(kind: str, body: Json) -> Json:
    return {"type": kind, "object": body}


def bookmark(version: int) -> Json:
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


def gone_410() -> Json:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


@pytest.fixture
def start(server: FakeServer, kube: Kube) -> Iterator[Start]:
    """Start a watcher over a script; whatever comes after the script hangs."""
    watchers: list[Watcher] = []
    server.default = stream(end=hang)

    def begin(*acts: Act, **options: Any) -> queue.SimpleQueue[WatchEvent]:
        server.play(*acts)
        events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()
        settings = {"silence": 5.0, "poll": 0.01, "pace": Pace(first=0.001, longest=0.002), **options}
        watchers.append(Watcher(kube, "", "Pod", "shop", events.put, **settings))
        watchers[-1].start()
        return events

    yield begin
    for watcher in watchers:
        watcher.stop()
        watcher.join(2)


def versions(server: FakeServer) -> list[str]:
    """Each request: "list", or the resourceVersion that a watch began from."""
    queries = [parse_qs(urlsplit(request.path).query) for request in server.requests]
    return [query["resourceVersion"][0] if "watch" in query else "list" for query in queries]


def take(events: queue.SimpleQueue[WatchEvent], count: int) -> list[WatchEvent]:
    return [events.get(timeout=20) for _ in range(count)]


def wait_for_requests(server: FakeServer, count: int) -> None:
    for _ in range(20_000):
        if len(server.requests) >= count:
            return
        server.released.wait(0.001)
    raise AssertionError(f"only {versions(server)}")


def test_all_that_exists_and_all_that_happens(server: FakeServer, start: Start) -> None:
    a, b, b2 = pod("a", 1), pod("b", 6), pod("b", 7)
    lines = [event("ADDED", b), event("MODIFIED", b2), event("DELETED", {**b2})]
    events = start(listed(5, a), stream(*lines, end=hang), label_selector="app=x")
    assert take(events, 4) == [Synced((a,)), Changed(b), Changed(b2), Gone(b2)]
    query = parse_qs(urlsplit(server.requests[1].path).query)
    assert query["allowWatchBookmarks"] == ["true"]
    assert query["labelSelector"] == ["app=x"]
    assert "timeoutSeconds" in query


@pytest.mark.parametrize("end", [None, reset, lambda wire: wire.close()])
def test_a_stream_that_ends_or_drops_goes_on_from_the_last_version(
    server: FakeServer, start: Start, end: Act | None
) -> None:
    changes = [pod("a", 6), pod("a", 9)]
    first = stream(event("MODIFIED", changes[0]), bookmark(8), end=end)
    events = start(listed(5), first, stream(event("MODIFIED", changes[1]), end=hang))
    assert take(events, 3) == [Synced(()), Changed(changes[0]), Changed(changes[1])]
    assert versions(server)[:3] == ["list", "5", "8"]


def test_a_line_that_was_cut_is_told_again(server: FakeServer, start: Start) -> None:
    change = pod("a", 6)
    for broken in (b'{"type":"MODIFIED","obj', b'{"type":"MODIFIED","object"}\n'):
        server.requests.clear()
        events = start(listed(5), stream(broken), stream(event("MODIFIED", change), end=hang))
        assert take(events, 2) == [Synced(()), Changed(change)]
        assert versions(server)[:3] == ["list", "5", "5"]


def test_a_silent_server_is_asked_again(server: FakeServer, start: Start) -> None:
    change = pod("a", 6)
    events = start(listed(5), stream(bookmark(5), end=hang), silence=0.1)
    # Whatever comes after the script: on a busy machine a try may be given up before it is answered.
    server.default = stream(event("MODIFIED", change), end=hang)
    assert take(events, 2) == [Synced(()), Changed(change)]
    assert versions(server)[:3] == ["list", "5", "5"]


@pytest.mark.parametrize("expired", [status(410, "Expired", "too old"), stream(gone_410())])
def test_a_version_that_is_too_old_leads_to_a_new_list_which_tells_missed_deletions(
    server: FakeServer, start: Start, expired: Act
) -> None:
    a, b, c = pod("a", 1), pod("b", 2), pod("c", 7)
    events = start(listed(5, a, b), expired, listed(9, b, c), stream(end=hang))
    assert take(events, 3) == [Synced((a, b)), Gone(a), Synced((b, c))]
    wait_for_requests(server, 4)
    assert versions(server)[:4] == ["list", "5", "list", "9"]


def test_an_object_made_anew_while_nobody_looked_was_gone_first(start: Start) -> None:
    old, new = pod("a", 1, "uid-1"), pod("a", 8, "uid-2")
    events = start(listed(5, old), status(410, "Expired"), listed(9, new), stream(end=hang))
    assert take(events, 3) == [Synced((old,)), Gone(old), Synced((new,))]


def test_only_bookmarks_move_the_version(server: FakeServer, start: Start) -> None:
    start(listed(5), stream(bookmark(100)), stream(end=hang))
    wait_for_requests(server, 3)
    assert versions(server)[:3] == ["list", "5", "100"]


def test_where_only_listing_is_allowed_it_lists_again_and_again(server: FakeServer, start: Start) -> None:
    a, a2, b = pod("a", 1), pod("a", 6), pod("b", 7)
    denied = status(403, "Forbidden", 'User "me" cannot watch resource "pods" in API group "" in the namespace "shop"')
    events = start(listed(5, a), denied, listed(5, a), listed(6, a2, b), listed(7, b))
    first = take(events, 2)
    assert first[0] == Synced((a,))
    assert isinstance(first[1], Trouble) and not first[1].final
    assert "not allowed to watch pods in namespace shop" in first[1].message
    assert take(events, 3) == [Synced((a2, b)), Gone(a2), Synced((b,))]


def test_where_nothing_is_allowed_it_says_so_and_ends(start: Start) -> None:
    denied = status(403, "Forbidden", 'User "me" cannot list resource "pods" in API group "" in the namespace "shop"')
    [trouble] = take(start(denied), 1)
    assert isinstance(trouble, Trouble) and trouble.final
    assert "not allowed to list pods" in trouble.message


def test_trouble_that_lasts_is_told_once_and_survived(start: Start) -> None:
    change = pod("a", 6)
    events = start(listed(5), *[reset] * 5, stream(event("ADDED", change), end=hang))
    found = take(events, 3)
    assert isinstance(found[1], Trouble) and not found[1].final
    assert found[2] == Changed(change)


@pytest.mark.parametrize(
    "error", [status(500, "InternalError", "x"), status(429), stream(event("ERROR", {"code": 500}))]
)
def test_other_errors_of_a_watch_are_survived(start: Start, error: Act) -> None:
    change = pod("a", 6)
    events = start(listed(5), error, stream(event("ADDED", change), end=hang))
    # An ERROR event leads to a new list, which here is the default's endless stream: only the others go on watching.
    assert take(events, 1) == [Synced(())]


def test_stop_is_prompt_and_final(server: FakeServer, kube: Kube) -> None:
    server.play(listed(5), stream(bookmark(6), end=hang))
    events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()
    watcher = Watcher(kube, "", "Pod", "shop", events.put, silence=60)
    watcher.start()
    assert take(events, 1) == [Synced(())]
    wait_for_requests(server, 2)
    watcher.stop()
    watcher.join(5)
    assert not watcher._thread.is_alive()
    assert events.empty()


def test_a_callback_that_raises_is_told_as_final_trouble(server: FakeServer, kube: Kube) -> None:
    server.play(listed(5))
    events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()

    def deliver(happening: WatchEvent) -> None:
        if isinstance(happening, Synced):
            raise RuntimeError("bug")
        events.put(happening)

    watcher = Watcher(kube, "", "Pod", "shop", deliver)
    watcher.start()
    [trouble] = take(events, 1)
    assert isinstance(trouble, Trouble) and trouble.final
    assert "RuntimeError: bug" in trouble.message
    watcher.stop()
    watcher.join(1)


def test_a_server_that_never_begins_to_answer_is_told(server: FakeServer, start: Start) -> None:
    server.default = hang
    events = start(listed(5), silence=0.02)
    assert take(events, 1) == [Synced(())]
    [trouble] = take(events, 1)
    assert isinstance(trouble, Trouble) and not trouble.final
    assert "no answer" in trouble.message
