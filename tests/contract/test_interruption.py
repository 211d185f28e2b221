"""A run that is stopped anywhere: it says what stands, the next one goes on from there, and teardown leaves nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from berth.actions import teardown as teardowns
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.cluster.release import load
from berth.cluster.session import Exchange
from berth.cluster.target import resolve
from berth.core.errors import BerthError, ExitCode, InterruptedRunError, LockedError
from berth.core.events import OrdinalState
from tests.contract.support import PATIENCE, bring_up, done, leftovers, pods, release, take_down, versions

# Threads die where they stand, as at a SIGKILL.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours gets to handle it, no lock is given back, no record is finished."""


class Tripwire:
    """Raises at the Nth exchange with the API server, in whichever thread makes it, and at every later one."""

    def __init__(self, at: int, error: type[BaseException]) -> None:
        self.at, self.error, self.seen = at, error, 0
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        with self._lock:
            self.seen += 1
            if self.seen >= self.at and exchange.method != "WATCH":
                raise self.error


def tripping(plane: Path, at: int, error: type[BaseException]) -> tuple[Kube, Tripwire]:
    client = resolve(None, str(plane), {}).connect()
    wire = Tripwire(at, error)
    client.session.observe = wire
    return client, wire


#: `up` of a fresh nginx takes about 50 exchanges; past the last one nothing trips.
@pytest.mark.parametrize("at", [1, 5, 12, 20, 25, 28, 30, 32, 34, 36, 38, 40, 45, 50])
def test_killed_at_any_call_then_up_converges(plane: Path, kube: Kube, space: str, at: int) -> None:
    wanted = release("nginx", space)
    client, wire = tripping(plane, at, Killed)
    try:
        bring_up(client, wanted)
    except (Killed, BerthError):
        assert wire.seen >= at
    finally:
        client.close()
    assert wire.seen
    expire_lock(kube, space)
    assert done(bring_up(kube, wanted)).succeeded
    before = versions(kube, wanted)
    assert done(bring_up(kube, wanted)).changed == 0
    assert versions(kube, wanted) == before
    take_down(kube, space, "nginx", data=True)
    assert leftovers(kube, space) == []


@pytest.mark.parametrize("at", [3, 8, 12, 16, 20, 24, 28, 32, 36])
def test_killed_in_teardown_then_teardown_finishes(plane: Path, kube: Kube, space: str, at: int) -> None:
    bring_up(kube, release("nginx", space))
    client, wire = tripping(plane, at, Killed)
    try:
        take_down(client, space, "nginx", data=True)
    except (Killed, BerthError):
        pass
    finally:
        client.close()
    assert wire.seen
    expire_lock(kube, space)
    if load(kube, space, "nginx") is not None:
        take_down(kube, space, "nginx", data=True)
    assert leftovers(kube, space) == []


def test_an_interrupted_up_says_what_stands(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "minReadySeconds=2", quick=False)
    run = up(kube, [wanted], Options(PATIENCE), Clock())
    for event in run:
        if isinstance(event, OrdinalState) and event.ordinal == 0:
            with pytest.raises(InterruptedRunError) as caught:
                run.throw(KeyboardInterrupt)
                list(run)
            break
    assert caught.value.exit_code is ExitCode.INTERRUPTED
    assert "StatefulSet/web created" in str(caught.value)
    record = load(kube, space, "nginx")
    assert record is not None and record.status == "interrupted"
    assert not kube.list("coordination.k8s.io", "Lease", space).items, "the lock is given back"
    assert done(bring_up(kube, wanted)).succeeded


def test_two_runs_cannot_interleave(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "minReadySeconds=3", quick=False)
    first = up(kube, [wanted], Options(PATIENCE), Clock())
    for event in first:
        if isinstance(event, OrdinalState):
            break
    with pytest.raises(LockedError):
        bring_up(kube, release("nginx", space, "replicas=3"))
    record = load(kube, space, "nginx")
    assert record is not None
    seen = teardowns.inspect(kube, record, True, False)
    with pytest.raises(LockedError):
        list(teardowns.teardown(kube, seen, teardowns.Options(True), Clock(), ""))
    list(first)
    assert set(pods(kube, space)) == {"web-0", "web-1"}


def expire_lock(kube: Kube, space: str) -> None:
    """Let the dead holder's lock run out, without waiting for it."""
    for lease in kube.list("coordination.k8s.io", "Lease", space).items:
        lease["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
        kube.replace(lease)
