"""Whole runs through a proxy that does harm: `up`, `up` of a change, and `teardown` of a release and its data.

What must hold: a run converges, or fails and names the object; nothing is made twice; a run without faults converges
then, and one more writes nothing; and teardown leaves nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from berth.cluster import kubeconfig, lock
from berth.cluster.endpoint import Endpoint
from berth.cluster.kube import Kube
from berth.cluster.release import load
from berth.cluster.retry import Retry
from berth.cluster.session import Exchange
from berth.cluster.transport import Transport
from berth.cluster.watch import Watcher
from berth.core.errors import BerthError
from berth.core.objects import ObjectRef, dig
from berth.core.render import Release
from tests.contract.support import bring_up, claims, done, leftovers, pods, release, take_down, versions
from tests.faults.conftest import PATIENCE
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.test_faults import FAULTS, conflict, stall
from tests.waiting import eventually

pytestmark = pytest.mark.controlplane

VERBS = ("GET", "LIST", "WATCH", "CREATE", "REPLACE", "APPLY", "DELETE")
SMALL = ("replicas=1",)
CHANGED = (*SMALL, "terminationGracePeriodSeconds=9")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stall costs a second, not the many that a real network is granted."""
    monkeypatch.setattr(lock, "RENEW", 2 * PATIENCE)
    monkeypatch.setitem(Watcher.__init__.__kwdefaults__, "silence", 1.0)
    monkeypatch.setitem(Watcher.__init__.__kwdefaults__, "poll", 0.05)


@contextmanager
def harmful(plane: Path, patience: float = 10.0) -> Iterator[tuple[FaultProxy, Kube]]:
    """A proxy, and a client that goes through it and never really sleeps between tries."""
    config = kubeconfig.load([plane])
    proxy = FaultProxy(Transport(kubeconfig.endpoint(config, config.current, {})))
    client = Kube(
        Transport(Endpoint(proxy.url)),
        "the faulty cluster",
        retry=Retry(sleep=lambda seconds: None),
        read_timeout=patience,
        write_timeout=patience,
    )
    try:
        yield proxy, client
    finally:
        client.close()
        proxy.close()


Run = Callable[[Kube, str], object]


def fresh(kube: Kube, space: str) -> object:
    return bring_up(kube, release("nginx", space, *SMALL))


def change(kube: Kube, space: str) -> object:
    return bring_up(kube, release("nginx", space, *CHANGED))


def down(kube: Kube, space: str) -> object:
    return take_down(kube, space, "nginx", data=True) if load(kube, space, "nginx") else None


RUNS: tuple[Run, ...] = (fresh, change, down)


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


def writes_of(kube: Kube, run: Callable[[], object]) -> list[str]:
    """The exchanges of a run that change something."""
    seen: list[Exchange] = []
    kube.session.observe = seen.append
    try:
        run()
    finally:
        kube.session.observe = None
    return [
        f"{exchange.method} {exchange.path}"
        for exchange in seen
        if exchange.method in ("POST", "PUT", "PATCH", "DELETE")
        and "dryRun=All" not in exchange.path
        and "selfsubjectaccessreviews" not in exchange.path
    ]


def settled(kube: Kube, wanted: Release) -> None:
    """Another run writes nothing, and nothing changes. Controllers may still be at their statuses: then look again."""

    def still() -> bool | None:
        before = versions(kube, wanted)
        assert writes_of(kube, lambda: bring_up(kube, wanted)) == []
        return True if versions(kube, wanted) == before else None

    assert eventually(still)


def volumes(kube: Kube, space: str) -> list[str]:
    """The volumes of the claims of a namespace."""
    items = kube.list("", "PersistentVolume").items
    return [body["metadata"]["name"] for body in items if dig(body, "spec", "claimRef", "namespace") == space]


def secrets(kube: Kube, space: str) -> list[str]:
    return [body["metadata"]["name"] for body in kube.list("", "Secret", space).items]


def leases(kube: Kube, space: str) -> list[str]:
    return [body["metadata"]["name"] for body in kube.list("coordination.k8s.io", "Lease", space).items]


def single(kube: Kube, space: str) -> str:
    """There is one of everything, and no lock; the claim's uid."""
    assert list(pods(kube, space)) == ["web-0"]
    assert secrets(kube, space) == ["berth.release.nginx"]
    assert leases(kube, space) == []
    found = claims(kube, space)
    assert list(found) == ["www-web-0"]
    return str(found["www-web-0"]["metadata"]["uid"])


def nothing(kube: Kube, space: str) -> None:
    assert leftovers(kube, space) == []
    assert volumes(kube, space) == []


def named(error: BerthError, space: str) -> bool:
    """Whether an error says what it is about: an object, or the objects of a kind."""
    one = rf"[A-Z]\w+/[\w.*-]+|release nginx in {space}|our access to |the server's version"
    return bool(re.search(rf"{one}|[a-z]+ in {space}|(nodes|storageclasses|persistentvolumes) ", str(error)))


def place(count: int, which: int) -> int:
    """The number of the first, a middle or the last of so many calls."""
    return (1, (count + 1) // 2, count)[which]


@pytest.mark.parametrize("turn", (0, 1, 2))
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_lifecycle(
    plane: Path, kube: Kube, space: str, usual: dict[Run, Counter[str]], fault: Fault, verb: str, turn: int
) -> None:
    """The fault comes at the first call of one run, a middle one of the next and the last of the third, in turns."""

    def through_harm(run: Run, which: int) -> None:
        with harmful(plane, PATIENCE if fault is stall else 10.0) as (proxy, client):
            number = place(usual[run][verb], which)
            proxy.faults[verb, number] = fault
            proxy.lines = 1
            try:
                run(client, space)
            except BerthError as error:
                # A 409 to a read or a create is no race between writers, which is what a run waits for.
                assert fault is conflict and verb != "WATCH", error
                assert named(error, space), error
                run(kube, space)
            assert proxy.harmed or which == 2, (dict(proxy.calls), number)

    through_harm(fresh, turn)
    before = single(kube, space)
    settled(kube, release("nginx", space, *SMALL))
    through_harm(change, (turn + 1) % 3)
    assert single(kube, space) == before
    settled(kube, release("nginx", space, *CHANGED))
    through_harm(down, (turn + 2) % 3)
    nothing(kube, space)
