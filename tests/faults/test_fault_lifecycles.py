"""Whole runs through a proxy that does harm: `up`, `up` of a change, and `teardown` of a release and its data.

What must hold: a run converges, or fails and names the object; nothing is made twice; a run without faults converges
then, and one more writes nothing; and teardown leaves nothing.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from berth.cluster import lock
from berth.cluster.kube import Kube
from berth.cluster.watch import Watcher
from berth.core.errors import BerthError, ClusterError
from berth.core.events import Notice
from berth.core.objects import ObjectRef, dig
from tests.contract.support import bring_up, claims, done, pods, release, take_down
from tests.faults.conftest import PATIENCE
from tests.faults.proxy import Call, Fault
from tests.faults.runs import (
    CHANGED,
    SMALL,
    Run,
    change,
    down,
    fresh,
    harmful,
    named,
    nothing,
    settled,
    single,
)
from tests.faults.test_faults import (
    FAULTS,
    bookmarks_only,
    broken,
    broken_after,
    conflict,
    denied,
    expired,
    expired_event,
    json_line,
    leader_changed,
    reset_after,
    stall,
    throttled,
    throttled_until,
    truncated,
    unavailable,
)
from tests.waiting import eventually

READS = ("GET", "LIST", "WATCH")
WRITES = ("CREATE", "REPLACE", "APPLY", "DELETE")
VERBS = (*READS, *WRITES)
#: A 409 is the one fault that may fail a call, so reads and writes have it in turn: no two calls in a row are lost.
CASES = [(fault, VERBS) for fault in FAULTS if fault is not conflict] + [(conflict, READS), (conflict, WRITES)]
#: These say no and do nothing, whatever the call: one order of places is enough for each.
PLAIN = (throttled, throttled_until, broken, unavailable, leader_changed)
TURNS = [
    (*case, turn) for number, case in enumerate(CASES) for turn in ((number % 3,) if case[0] in PLAIN else (0, 1, 2))
]
RUNS: tuple[Run, ...] = (fresh, change, down)


def name_of(fault: Fault) -> str:
    return fault.__name__


def case_name(part: Fault | tuple[str, ...] | int) -> str:
    if isinstance(part, int):
        return str(part)
    if isinstance(part, tuple):
        return "all" if part == VERBS else "reads" if part == READS else "writes"
    return name_of(part)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stall costs a second, not the many that a real network is granted."""
    monkeypatch.setattr(lock, "RENEW", 2 * PATIENCE)
    defaults = Watcher.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "silence", 1.0)
    monkeypatch.setitem(defaults, "poll", 0.05)


@pytest.fixture(scope="session")
def usual(plane: Path, kube: Kube) -> dict[Run, Counter[str]]:
    """How many calls of each verb the runs make when nothing goes wrong."""
    space = f"t-{uuid4().hex[:8]}"
    counts: dict[Run, Counter[str]] = {}
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    for run in RUNS:
        with harmful(plane) as (proxy, client):
            run(client, space)
            counts[run] = proxy.calls
    kube.delete(ObjectRef("", "Namespace", "", space), propagation="Background")
    return counts


def place(count: int, which: int) -> int:
    """The number of the first, a middle or the last of so many calls."""
    return (1, (count + 1) // 2, count)[which]


@pytest.mark.parametrize(("fault", "verbs", "turn"), TURNS, ids=case_name)
def test_a_lifecycle(
    plane: Path,
    kube: Kube,
    space: str,
    usual: dict[Run, Counter[str]],
    fault: Fault,
    verbs: tuple[str, ...],
    turn: int,
) -> None:
    """The fault comes to each verb: at its first call in one run, a middle one in the next, its last in the third."""

    def through_harm(run: Run, which: int) -> None:
        with harmful(plane, PATIENCE if fault is stall else 10.0) as (proxy, client):
            proxy.faults.update({(verb, place(usual[run][verb], which)): fault for verb in verbs})
            proxy.lines = 1
            # Each failure is followed by a run that goes through the faults that are left.
            while proxy.faults:
                harmed = len(proxy.harmed)
                try:
                    run(client, space)
                    break
                except BerthError as error:
                    # A 409 to a read or a create is no race between writers, which is what a run waits for.
                    assert fault is conflict and len(proxy.harmed) > harmed, error
                    assert named(error, space), error
                    for hit in proxy.harmed:
                        proxy.faults.pop(hit, None)
                    proxy.calls.clear()
            assert {verb for verb, _ in proxy.harmed} >= {"GET", "CREATE"} & set(verbs)
        run(kube, space)

    through_harm(fresh, turn)
    before = single(kube, space)
    settled(kube, release("nginx", space, *SMALL))
    through_harm(change, (turn + 1) % 3)
    assert single(kube, space) == before
    settled(kube, release("nginx", space, *CHANGED))
    through_harm(down, (turn + 2) % 3)
    nothing(kube, space)


@pytest.mark.parametrize("fault", (leader_changed, reset_after, truncated), ids=name_of)
def test_a_namespace_of_ours(plane: Path, kube: Kube, space: str, fault: Fault) -> None:
    """Made by `up`, gone after `teardown`, with a fault at the first call of every verb, and at the namespace's own."""
    new = f"{space}-new"
    for run in (fresh, down):
        with harmful(plane) as (proxy, client):
            proxy.faults.update({(verb, 1): fault for verb in VERBS})
            proxy.once("APPLY", r"/namespaces/[^/?]+\?", fault)
            proxy.once("DELETE", r"/namespaces/[^/?]+$", fault)
            run(client, new)
        if run is fresh:
            single(kube, new)
            settled(kube, release("nginx", new, *SMALL))
    live = kube.get(ObjectRef("", "Namespace", "", new))
    assert live is None or live["metadata"]["deletionTimestamp"]


@pytest.mark.parametrize("fault", (expired, expired_event, bookmarks_only), ids=name_of)
def test_watches_that_have_to_begin_anew(plane: Path, kube: Kube, space: str, fault: Fault) -> None:
    for run in RUNS:
        with harmful(plane) as (proxy, client):
            proxy.lines = 1
            proxy.faults.update({("WATCH", number): fault for number in range(1, 7)})
            run(client, space)
            assert proxy.harmed
    nothing(kube, space)


def test_deletions_that_no_watch_tells(plane: Path, kube: Kube, space: str) -> None:
    """The watch of the pods is silent until what it should have told has happened, and is then too old."""
    fresh(kube, space)
    first = pods(kube, space)["web-0"]["metadata"]["uid"]

    def rolled() -> bool | None:
        found = pods(kube, space).get("web-0", {})
        return (dig(found, "status", "phase") == "Running" and found["metadata"]["uid"] != first) or None

    def gone() -> bool | None:
        return not pods(kube, space) or None

    def missing(until: Callable[[], bool | None]) -> Fault:
        def fault(call: Call) -> None:
            call.begin_stream()
            eventually(until)
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            call.chunk(json_line({"type": "ERROR", "object": status}))
            call.chunk(b"")

        return fault

    for run, until in ((change, rolled), (down, gone)):
        with harmful(plane) as (proxy, client):
            proxy.once("WATCH", "/pods", missing(until))
            run(client, space)
            assert proxy.harmed
    nothing(kube, space)


def test_watching_is_not_allowed(plane: Path, kube: Kube, space: str) -> None:
    """Then objects are listed now and then instead, and that is said."""
    for run in RUNS:
        with harmful(plane) as (proxy, client):
            proxy.faults.update({("WATCH", number): denied for number in range(1, 20)})
            said = [event.message for event in run(client, space) if isinstance(event, Notice)]
            assert {verb for verb, _ in proxy.harmed} == {"WATCH"}
            # The other runs may be over before the second look, which is when it is said.
            assert run is not fresh or any("they are listed every" in text for text in said)
    nothing(kube, space)


def test_neither_watching_nor_listing_is_allowed(plane: Path, kube: Kube, space: str) -> None:
    """Permission is lost in the middle of the wait: that is an error at once, and no wait until the timeout."""
    with harmful(plane) as (proxy, client):
        for _ in range(3):
            proxy.once("LIST", "/pods", denied)
        with pytest.raises(ClusterError, match=rf"Pod objects in {space} can no longer be followed"):
            fresh(client, space)
    assert done(fresh(kube, space)).succeeded
    single(kube, space)


@pytest.mark.parametrize("fault", (reset_after, broken_after, stall, truncated), ids=name_of)
def test_passwords_are_made_once(plane: Path, kube: Kube, space: str, fault: Fault) -> None:
    """What the first create stored stays, through lost answers, a change, and a teardown that keeps the data."""
    sent: list[str] = []

    def heard(call: Call) -> None:
        body = json.loads(call.body or b"{}")
        sent.append(b64decode(body["data"]["password"]).decode())
        fault(call)

    with harmful(plane, PATIENCE if fault is stall else 10.0) as (proxy, client):
        wanted = release("postgres", space, *SMALL)
        (secret,) = (manifest for manifest in wanted.manifests if manifest.generated)
        proxy.faults.update({("CREATE", number): fault for number in (1, 2, 6)})
        proxy.faults.update({("APPLY", number): fault for number in (1, 15, 22)})
        proxy.once("CREATE", r"/secrets\?.*Manager=berth-generate", heard)
        proxy.once("APPLY", rf"/secrets/{secret.ref.name}\?(?!.*dryRun)", fault)
        bring_up(client, wanted)
        keys = passwords(kube, secret.ref)
        assert sent == [keys["password"]]
        bring_up(client, release("postgres", space, *CHANGED))
        assert passwords(kube, secret.ref) == keys
        proxy.faults.update({("DELETE", proxy.calls["DELETE"] + number): fault for number in (1, 3, 6)})
        take_down(client, space, "postgres")
        assert passwords(kube, secret.ref) == keys and list(claims(kube, space)) == ["data-postgres-0"]
        bring_up(client, wanted)
        assert passwords(kube, secret.ref) == keys
        settled(kube, wanted)
        take_down(client, space, "postgres", data=True)
    nothing(kube, space)


def passwords(kube: Kube, ref: ObjectRef) -> dict[str, str]:
    live = kube.get(ref)
    assert live is not None
    return {key: b64decode(text).decode() for key, text in live["data"].items()}
