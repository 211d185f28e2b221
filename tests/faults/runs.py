"""Whole runs of nginx through the proxy, and what must hold after them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from berth.actions import teardown as teardowns
from berth.actions.clock import Clock
from berth.cluster import kubeconfig
from berth.cluster.endpoint import Endpoint
from berth.cluster.kube import Kube
from berth.cluster.release import load
from berth.cluster.retry import Retry
from berth.cluster.session import Exchange
from berth.cluster.transport import Transport
from berth.cluster.waiting import Patience
from berth.core.errors import BerthError
from berth.core.events import Event
from berth.core.objects import dig
from berth.core.render import Release
from tests.contract.support import PATIENCE, bring_up, claims, leftovers, pods, release, versions
from tests.faults.proxy import Call, Fault, FaultProxy
from tests.waiting import eventually

SMALL = ("replicas=1",)
CHANGED = (*SMALL, "terminationGracePeriodSeconds=9")

Run = Callable[[Kube, str], list[Event]]


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
    assert not proxy.mistakes, proxy.mistakes


def meanwhile(act: Callable[[], object]) -> Fault:
    """No harm to the call: only, somebody does something just before it."""

    def fault(call: Call) -> None:
        act()
        response = call.forward()
        call.answer(response.status, response.body)

    return fault


def fresh(kube: Kube, space: str) -> list[Event]:
    return bring_up(kube, release("nginx", space, *SMALL))


def change(kube: Kube, space: str) -> list[Event]:
    return bring_up(kube, release("nginx", space, *CHANGED))


def down(kube: Kube, space: str, patience: Patience = PATIENCE, data: bool = True) -> list[Event]:
    """Tear down what there is; nothing when there is no record."""
    record = load(kube, space, "nginx")
    if record is None:
        return []
    seen = teardowns.inspect(kube, record, data, False)
    return list(teardowns.teardown(kube, seen, teardowns.Options(data, patience=patience), Clock(), ""))


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
    """Another run writes nothing, and nothing changes; where controllers are still at their statuses, look again."""

    def still() -> bool | None:
        before = versions(kube, wanted)
        assert writes_of(kube, lambda: bring_up(kube, wanted)) == []
        return True if versions(kube, wanted) == before else None

    assert eventually(still)


def single(kube: Kube, space: str) -> str:
    """There is one of everything, and no lock; the claim's uid."""
    assert list(pods(kube, space)) == ["web-0"]
    assert [body["metadata"]["name"] for body in kube.list("", "Secret", space).items] == ["berth.release.nginx"]
    assert kube.list("coordination.k8s.io", "Lease", space).items == []
    found = claims(kube, space)
    assert list(found) == ["www-web-0"]
    return str(found["www-web-0"]["metadata"]["uid"])


def nothing(kube: Kube, space: str) -> None:
    """No object of berth's is left, and no volume of the namespace's claims."""
    assert leftovers(kube, space) == []

    def look() -> bool | None:
        """The provisioner deletes a volume in its own time."""
        volumes = kube.list("", "PersistentVolume").items
        return None if any(dig(body, "spec", "claimRef", "namespace") == space for body in volumes) else True

    eventually(look)


def named(error: BerthError, space: str) -> bool:
    """Whether an error says what it is about: an object, or the objects of a kind."""
    one = rf"[A-Z]\w+/[\w.*-]+|release nginx in {space}|our access to |the server's version"
    return bool(re.search(rf"{one}|[a-z]+ in {space}|list (nodes|storageclasses|persistentvolumes)", str(error)))
