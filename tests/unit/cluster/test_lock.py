"""When the lock is ours, and when it no longer is. That two runs cannot both win is tested on a real API."""

from __future__ import annotations

import os
import subprocess
import sys
from time import monotonic
from typing import Any

import pytest

from berth.cluster.kube import Kube
from berth.cluster.lock import Lock, _machine, own_holder
from berth.core.errors import LockedError
from berth.core.objects import Json
from tests.unit.cluster.conftest import Time
from tests.unit.cluster.fakeserver import FakeServer, Wire, answer, hang, reset, status

pytestmark = pytest.mark.unit

DATE = {"Date": "Sat, 03 Jan 2026 10:00:00 GMT"}
MISSING = status(404, "NotFound")


def lease(renewed: str = "2026-01-03T09:59:50.000000Z", holder: str = "ann@laptop/1/abc/d", **spec: Any) -> Json:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "berth.release.web", "namespace": "shop", "resourceVersion": "5", "uid": "u"},
        "spec": {
            "holderIdentity": holder,
            "renewTime": renewed,
            "acquireTime": "2026-01-03T09:00:00.000000Z",
            "leaseDurationSeconds": 30,
            **spec,
        },
    }


def echo(wire: Wire) -> None:
    body = wire.server.requests[-1].json
    meta = {**body["metadata"], "resourceVersion": "6", "uid": "u"}
    answer({**body, "metadata": meta}, headers=DATE)(wire)


@pytest.fixture
def lock(kube: Kube, time: Time) -> Lock:
    return Lock(kube, "shop", "web", "bob@host/2/abc/e", renew=3600, clock=time.clock)


def test_a_free_lock_is_taken_by_the_servers_clock_and_given_back(server: FakeServer, lock: Lock) -> None:
    server.play(answer({"kind": "Status"}, 404, headers=DATE), echo, answer({"kind": "Status"}))
    with lock:
        lock.check()
        assert not lock.lost
    spec = server.requests[1].json["spec"]
    assert spec["holderIdentity"] == "bob@host/2/abc/e"
    assert spec["renewTime"].startswith("2026-01-03T10:00:00.")
    assert server.requests[2].method == "DELETE"
    assert server.requests[2].json["preconditions"] == {"uid": "u", "resourceVersion": "6"}


def test_a_held_lock_names_its_holder(server: FakeServer, lock: Lock) -> None:
    server.play(answer(lease(), headers=DATE))
    with pytest.raises(LockedError) as caught:
        lock.acquire()
    text = str(caught.value)
    assert "release web is locked by ann@laptop" in text
    assert "since" in text or "began at 2026-01-03 09:00:00 UTC" in text
    assert "expires in 22 s" in text
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("live", "free"),
    [
        (lease("2026-01-03T09:59:28.500000Z"), False),
        (lease("2026-01-03T09:59:27.000000Z"), True),
        (lease(holder=""), True),
        (lease(renewed=""), True),
        (lease("2026-01-03T09:59:00Z", leaseDurationSeconds=3600), False),
    ],
)
def test_what_has_expired_is_judged_by_the_servers_clock(
    server: FakeServer, lock: Lock, live: Json, free: bool
) -> None:
    server.play(answer(live, headers=DATE), echo, answer({}))
    if not free:
        with pytest.raises(LockedError):
            lock.acquire()
        return
    lock.acquire()
    taken = server.requests[1].json
    assert taken["metadata"]["resourceVersion"] == "5"
    assert taken["spec"]["leaseTransitions"] == 1
    lock.release()


def test_a_dead_process_of_this_machine_holds_nothing(server: FakeServer, kube: Kube, lock: Lock) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = f"ann@host/{child.pid}/{_machine()}/abcd"
    server.play(answer(lease(holder=dead), headers=DATE), echo, answer({}))
    lock.acquire()
    lock.release()
    for holder in (f"ann@host/{os.getppid()}/{_machine()}/abcd", f"ann@host/{child.pid}/{'f' * 12}/abcd"):
        server.play(answer(lease(holder=holder), headers=DATE))
        with pytest.raises(LockedError):
            Lock(kube, "shop", "web").acquire()


def test_losing_the_race_for_a_free_lock(server: FakeServer, lock: Lock) -> None:
    server.play(MISSING, status(409, "AlreadyExists"), answer(lease(), headers=DATE))
    with pytest.raises(LockedError, match="locked by ann"):
        lock.acquire()


def acquired(server: FakeServer, lock: Lock) -> None:
    server.play(MISSING, echo)
    lock.acquire()


def test_renewing_keeps_it(server: FakeServer, lock: Lock, time: Time) -> None:
    acquired(server, lock)
    time.now = 25
    server.play(echo)
    assert lock._renew_once()
    time.now = 50
    lock.check()
    renewed, first = server.requests[-1].json, server.requests[1].json
    assert renewed["metadata"]["resourceVersion"] == "6"
    assert renewed["spec"]["acquireTime"] == first["spec"]["acquireTime"]
    assert renewed["spec"]["leaseTransitions"] == 0


def test_not_renewing_loses_it(server: FakeServer, lock: Lock, time: Time) -> None:
    acquired(server, lock)
    time.now = 29.9
    lock.check()
    time.now = 30
    assert lock.lost
    with pytest.raises(LockedError, match="could not be renewed for 30 s"):
        lock.check()


def test_renewing_that_fails_is_tried_again(server: FakeServer, lock: Lock) -> None:
    acquired(server, lock)
    server.play(*[reset] * 4)
    assert lock._renew_once()
    lock.check()


def test_a_lock_that_another_run_took_is_lost_and_not_given_back(server: FakeServer, lock: Lock) -> None:
    acquired(server, lock)
    server.play(status(409, "Conflict", "modified"), answer(lease()))
    assert not lock._renew_once()
    with pytest.raises(LockedError, match="ann@laptop took it"):
        lock.check()
    before = len(server.requests)
    lock.release()
    assert len(server.requests) == before


def test_a_lock_that_was_deleted_is_lost(server: FakeServer, lock: Lock) -> None:
    acquired(server, lock)
    server.play(status(404, "NotFound"), MISSING)
    assert not lock._renew_once()
    with pytest.raises(LockedError, match="somebody deleted it"):
        lock.check()


def test_a_label_that_someone_set_on_the_lease_does_not_lose_it(server: FakeServer, lock: Lock) -> None:
    acquired(server, lock)
    ours = lease(holder="bob@host/2/abc/e")
    ours["metadata"]["resourceVersion"] = "9"
    server.play(status(409, "Conflict", "modified"), answer(ours), echo)
    assert lock._renew_once()
    lock.check()
    assert server.requests[-1].json["metadata"]["resourceVersion"] == "9"


def test_a_release_that_fails_is_left_to_expire(server: FakeServer, lock: Lock) -> None:
    acquired(server, lock)
    server.default = reset
    lock.release()


def test_holders_are_all_different() -> None:
    assert own_holder() != own_holder()
    assert f"/{os.getpid()}/" in own_holder()


def test_giving_back_does_not_wait_for_a_renewal_that_hangs(server: FakeServer, kube: Kube) -> None:
    lock = Lock(kube, "shop", "web", "bob@host/2/abc/e", renew=0.05)
    server.play(MISSING, echo, *[hang] * 5)
    lock.acquire()
    while len(server.requests) < 3:
        pass
    begun = monotonic()
    lock.release()
    assert monotonic() - begun < 5
