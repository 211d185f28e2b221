"""Every fault at the first, a middle and the last call of every verb, in front of a real API server.

What must hold: the verb converges, or fails and names the object; nothing is made twice; and running it again writes
nothing.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.release import load, save
from berth.cluster.retry import Pace
from berth.cluster.watch import Changed, Gone, Synced, Trouble, Watcher, WatchEvent
from berth.core.errors import BerthError
from berth.core.objects import Json, ObjectRef
from tests.contract.cluster.samples import record
from tests.faults.proxy import Call, Fault, FaultProxy, pass_on

NAMES = ("a", "b", "c")


def config(space: str, name: str) -> Json:
    meta = {"name": name, "namespace": space, "labels": {"mine": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"name": name}}


def ref(space: str, name: str) -> ObjectRef:
    return ObjectRef("", "ConfigMap", space, name)


def conflict(call: Call) -> None:
    call.refuse(409, "Conflict", "the object has been modified; please apply your changes to the latest version")


def throttled(call: Call) -> None:
    call.refuse(429, "TooManyRequests", "too many requests")


def throttled_until(call: Call) -> None:
    call.refuse(429, "TooManyRequests", "too many requests", {"Retry-After": "1"})


def broken(call: Call) -> None:
    call.refuse(500, "InternalError", "Internal error occurred")


def broken_after(call: Call) -> None:
    if call.verb != "WATCH":
        call.forward()
    call.refuse(500, "InternalError", "Internal error occurred")


def unavailable(call: Call) -> None:
    call.refuse(503, "ServiceUnavailable", "the server is currently unable to handle the request")


def leader_changed(call: Call) -> None:
    call.refuse(500, "", "etcdserver: leader changed")


def reset_before(call: Call) -> None:
    call.reset()


def reset_after(call: Call) -> None:
    if call.verb == "WATCH":
        for _ in pass_on(call, 1):
            pass
    else:
        call.forward()
    call.reset()


def stall(call: Call) -> None:
    if call.verb == "WATCH":
        call.begin_stream()
    else:
        call.forward()
    call.stall()


def truncated(call: Call) -> None:
    if call.verb == "WATCH":
        with call.watch() as stream:
            call.proxy.streams.append(stream)
            call.begin_stream()
            for line in stream.lines():
                call.chunk(line[: len(line) // 2])
                call.chunk(b"")
                return
    response = call.forward()
    call.answer(response.status, response.body, cut=len(response.body) // 2)


FAULTS = (
    conflict,
    throttled,
    throttled_until,
    broken,
    broken_after,
    unavailable,
    leader_changed,
    reset_before,
    reset_after,
    stall,
    truncated,
)
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
every_call = pytest.mark.parametrize("number", (1, 2, 3))


def converges(run: Callable[[], object], names: str, may_fail: bool) -> None:
    """Run it; it may fail at most once, and then names the object, and the next run does it."""
    try:
        run()
    except BerthError as error:
        assert may_fail, error
        assert names in str(error)
        run()


def mine(kube: Kube, space: str) -> dict[str, str]:
    """What exists: name to resourceVersion."""
    items = kube.list("", "ConfigMap", space, label_selector="mine=yes").items
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}


@every_call
@every_fault
def test_get(kube: Kube, client: Kube, proxy: FaultProxy, space: str, fault: Fault, number: int) -> None:
    made = {name: kube.create(config(space, name)) for name in NAMES}
    proxy.faults["GET", number] = fault
    # A 409 to a read is no race of writers: it is not one of the faults that a read waits for.
    converges(lambda: [client.get(ref(space, name)) for name in NAMES], "ConfigMap/", fault is conflict)
    assert {name: client.get(ref(space, name)) for name in NAMES} == made


@every_call
@every_fault
def test_apply(kube: Kube, client: Kube, proxy: FaultProxy, space: str, fault: Fault, number: int) -> None:
    proxy.faults["APPLY", number] = fault
    for name in NAMES:
        client.apply(config(space, name))
    before = mine(kube, space)
    assert sorted(before) == list(NAMES)
    for name in NAMES:
        client.apply(config(space, name))
    assert mine(kube, space) == before


@every_call
@every_fault
def test_delete(kube: Kube, client: Kube, proxy: FaultProxy, space: str, fault: Fault, number: int) -> None:
    uids = {name: kube.create(config(space, name))["metadata"]["uid"] for name in (*NAMES, "kept")}
    proxy.faults["DELETE", number] = fault
    for name in NAMES:
        client.delete(ref(space, name), uid=uids[name])
    assert list(mine(kube, space)) == ["kept"]
    assert [client.delete(ref(space, name), uid=uids[name]) for name in NAMES] == [None] * 3


@every_call
@every_fault
def test_list(kube: Kube, client: Kube, proxy: FaultProxy, space: str, fault: Fault, number: int) -> None:
    for name in NAMES:
        kube.create(config(space, name))
    found: list[str] = []

    def read() -> None:
        items = client.list("", "ConfigMap", space, label_selector="mine=yes", limit=1).items
        found[:] = [item["metadata"]["name"] for item in items]

    proxy.faults["LIST", number] = fault
    converges(read, f"configmaps in {space}", fault is conflict)
    assert found == list(NAMES)


@every_call
@every_fault
def test_create_and_replace(kube: Kube, client: Kube, proxy: FaultProxy, space: str, fault: Fault, number: int) -> None:
    """By the record of a release, which is created once and then swapped."""
    proxy.faults["CREATE", 1] = fault
    proxy.faults["REPLACE", number] = fault
    held = record(space)

    def write(status: str) -> None:
        before = load(client, space, "web")
        version = before.resource_version if before else ""
        saved = save(client, record(space, status=status, resource_version=version))
        assert saved.status == status

    for status in ("pending", "deployed", "failed", "removing"):
        converges(lambda status=status: write(status), "release web", fault is conflict)  # type: ignore[misc]
    final = load(kube, space, "web")
    assert final is not None and final.status == "removing"
    assert final.inventory == held.inventory


@every_fault
def test_lock(kube: Kube, client: Kube, proxy: FaultProxy, space: str, fault: Fault) -> None:
    """Taking, renewing and giving back; a lost answer never makes us think that somebody else has our lock."""
    for verb in ("GET", "CREATE", "REPLACE", "DELETE"):
        proxy.faults[verb, 1] = fault

    def cycle() -> None:
        with Lock(client, space, "web", "u@h/1/x/y", renew=3600) as lock:
            assert lock._renew_once()
            lock.check()

    converges(cycle, "Lease/berth.release.web", fault is conflict)
    assert kube.get(Lock(kube, space, "web").ref) is None


class Seen:
    """The world as a watcher told it."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()
        self.world: dict[str, str] = {}
        self.notes: list[str] = []

    def until(self, wanted: dict[str, str]) -> None:
        """Take events until the world is as wanted."""
        while self.world != wanted:
            match self.events.get(timeout=20):
                case Synced(items=items):
                    self.world = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
                case Changed(object=body):
                    self.world[body["metadata"]["name"]] = body["metadata"]["resourceVersion"]
                case Gone(object=body):
                    self.world.pop(body["metadata"]["name"], None)
                case Trouble(message=message, final=final):
                    assert not final, message
                    self.notes.append(message)


def watcher_of(client: Kube, space: str, seen: Seen) -> Watcher:
    pace = Pace(first=0.001, longest=0.002)
    return Watcher(
        client,
        "",
        "ConfigMap",
        space,
        seen.events.put,
        label_selector="mine=yes",
        silence=0.5,
        poll=0.02,
        pace=pace,
    )


def expired(call: Call) -> None:
    call.refuse(410, "Expired", "too old resource version")


def expired_event(call: Call) -> None:
    call.begin_stream()
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    call.chunk(json_line({"type": "ERROR", "object": status}))
    call.chunk(b"")


def bookmarks_only(call: Call) -> None:
    """Bookmarks at the version that the watch began from, then the end."""
    call.begin_stream()
    version = parse_qs(urlsplit(call.handler.path).query)["resourceVersion"][0]
    bookmark = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": version}}
    for _ in range(3):
        call.chunk(json_line({"type": "BOOKMARK", "object": bookmark}))
    call.chunk(b"")


def denied(call: Call) -> None:
    call.refuse(403, "Forbidden", 'User "u" cannot watch resource "configmaps" in API group "" in the namespace "n"')


def json_line(body: Json) -> bytes:
    return json.dumps(body).encode() + b"\n"


@every_call
@pytest.mark.parametrize(
    "fault", (*FAULTS, expired, expired_event, bookmarks_only, denied), ids=lambda fault: fault.__name__
)
def test_watch(kube: Kube, client: Kube, proxy: FaultProxy, space: str, fault: Fault, number: int) -> None:
    """Objects come, change and go while the watch breaks; what was told in the end is what is."""
    kube.create(config(space, "a"))
    proxy.faults["WATCH", number] = fault
    proxy.lines = 1
    seen = Seen()
    watcher = watcher_of(client, space, seen)
    watcher.start()
    try:
        seen.until(mine(kube, space))
        kube.create(config(space, "b"))
        seen.until(mine(kube, space))
        kube.patch(ref(space, "b"), {"data": {"more": "x"}})
        kube.delete(ref(space, "a"))
        seen.until(mine(kube, space))
        kube.create(config(space, "c"))
        kube.delete(ref(space, "b"))
        seen.until(mine(kube, space))
    finally:
        watcher.stop()
        watcher.join(5)
    assert bool(seen.notes) == (fault is denied and proxy.calls["WATCH"] >= number)


def test_a_deletion_that_the_watch_never_told(kube: Kube, client: Kube, proxy: FaultProxy, space: str) -> None:
    kube.create(config(space, "a"))
    kube.create(config(space, "b"))

    def lose_then_expire(call: Call) -> None:
        kube.delete(ref(space, "a"))
        expired(call)

    proxy.faults["WATCH", 1] = lose_then_expire
    seen = Seen()
    watcher = watcher_of(client, space, seen)
    watcher.start()
    try:
        assert isinstance(seen.events.get(timeout=10), Synced)
        gone = seen.events.get(timeout=10)
        assert isinstance(gone, Gone) and gone.object["metadata"]["name"] == "a"
        seen.until(mine(kube, space))
    finally:
        watcher.stop()
        watcher.join(5)


def test_an_outage_that_lasts_names_the_object(client: Kube, proxy: FaultProxy, space: str) -> None:
    for number in range(1, 100):
        proxy.faults["APPLY", number] = unavailable
    with pytest.raises(BerthError, match=f"cannot apply ConfigMap/a in {space} after 10 tries"):
        client.apply(config(space, "a"))
    assert proxy.calls["APPLY"] == 10


def test_two_creators_and_a_lost_answer(kube: Kube, client: Kube, proxy: FaultProxy, space: str) -> None:
    """Our create is lost before it acts, and another's comes first: theirs must not pass for ours."""

    def other_first(call: Call) -> None:
        kube.create({**config(space, "a"), "data": {"name": "theirs"}})
        call.reset()

    proxy.faults["CREATE", 1] = other_first
    with pytest.raises(BerthError, match=f"cannot create ConfigMap/a in {space}"):
        client.create(config(space, "a"))
    live = kube.get(ref(space, "a"))
    assert live is not None and live["data"] == {"name": "theirs"}
