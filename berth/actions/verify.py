"""`verify`: reads what shows the guarantees of a release's sets, and judges it.

Nothing here writes; what `--disruptive` does is in `replace`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace as changed
from typing import Any

from berth.actions.asking import ask
from berth.actions.clock import Clock
from berth.actions.replace import replace_one
from berth.cluster.kube import Kube
from berth.cluster.mirror import rest
from berth.cluster.record import ReleaseRecord
from berth.cluster.runner import all_of
from berth.cluster.waiting import Patience
from berth.core.errors import ClusterError, DeniedError
from berth.core.events import Event
from berth.core.objects import Json, ObjectRef, dig, pod_name
from berth.core.report import DOWN
from berth.core.status import by_controller
from berth.core.verify import Check, Facts, Outcome, Replaced, dns, names
from berth.core.verify_claims import claims
from berth.core.verify_order import creation, deletion

#: How long a failure may be one of reads that are not of the same moment, in seconds; between two looks; and how long
#: resolvers may give a former address: CoreDNS keeps answers for 30 s as kubeadm and others configure it.
_SETTLES, _EVERY, _CACHED = 5.0, 1.0, 35.0

_SERVICE_NAME = "kubernetes.io/service-name"
#: The one domain that the rules of DNS know; under another one the records are the same.
_ZONE = "cluster.local"


class View:
    """What the rules of DNS ask, of one namespace, from what was read."""

    def __init__(self, services: Sequence[Json], slices: Sequence[Json]) -> None:
        """Take what was read."""
        self._services = {str(body["metadata"]["name"]): body for body in services}
        self._slices = slices

    def has_namespace(self, name: str) -> bool:
        """Whether there is such a namespace: no other one is asked for."""
        return True

    def service(self, namespace: str, name: str) -> Json | None:
        """The Service of this name."""
        return self._services.get(name)

    def slices(self, namespace: str, service: str) -> Sequence[Json]:
        """The EndpointSlices of a Service."""
        return [one for one in self._slices if dig(one, "metadata", "labels", _SERVICE_NAME) == service]

    def services(self) -> Iterable[Json]:
        """Every Service."""
        return self._services.values()

    def all_slices(self) -> Iterable[Json]:
        """Every EndpointSlice."""
        return self._slices


#: The data of the records of a name (whole, without a dot at its end) and type, as the cluster's DNS would give them.
Resolve = Callable[[View, str, str], Sequence[str]]


def verify(
    kube: Kube,
    record: ReleaseRecord,
    resolve: Resolve,
    *,
    disruptive: bool = False,
    patience: Patience | None = None,
    clock: Clock | None = None,
    say: Callable[[Event], None] = lambda event: None,
) -> list[Check]:
    """The checks of every set of a release; with ``disruptive``, one pod of it is deleted first.

    ``resolve`` knows the rules of the cluster's DNS. ``say`` is told what happens meanwhile.

    Raises:
        ClusterError: the release was taken down, or has no set.
        DeniedError: what there is no check without may not be read: sets, pods, claims.
        BerthError: of the deletion, see `replace_one`.
    """
    patience, clock = patience or Patience(), clock or Clock()
    if record.status in ("removing", *DOWN):
        said = f"release {record.name} in {record.namespace} was taken down"
        raise ClusterError(said, hint="`invoke up` brings it back, and `invoke status` shows which claims it left")
    if not disruptive:
        return _look(kube, record, resolve, patience, clock)
    before = read(kube, record, resolve)
    chosen, replaced = replace_one(kube, record, before, patience, clock, say)
    # What the order is told by is the history before, not the pod that we have just had made.
    return _look(kube, record, resolve, patience, clock, {chosen: replaced}, before)


def _look(
    kube: Kube,
    record: ReleaseRecord,
    resolve: Resolve,
    patience: Patience,
    clock: Clock,
    replaced: dict[str, Replaced] | None = None,
    before: Sequence[Facts] = (),
) -> list[Check]:
    """The checks, once nothing fails, or does for so long that it is no matter of moments."""
    history = {facts.name: facts for facts in before}
    begun = clock.monotonic()
    while True:
        seen = [ask(kube, record.namespace, facts) for facts in read(kube, record, resolve)]
        found = [
            check
            for facts in seen
            for check in (
                names(facts),
                dns(facts),
                creation(history.get(facts.name, facts)),
                deletion(history.get(facts.name, facts)),
                claims(facts, (replaced or {}).get(facts.name)),
            )
        ]
        failed = {check.guarantee for check in found if check.outcome is Outcome.FAILED}
        asked = any(one.said is not None for facts in seen for one in facts.resolved.values())
        longest = min(patience.timeout, _CACHED if failed == {"dns"} and asked else _SETTLES)
        if not failed or clock.monotonic() - begun >= longest:
            return found
        rest(_EVERY, clock.monotonic, lambda: None)


def read(kube: Kube, record: ReleaseRecord, resolve: Resolve) -> list[Facts]:
    """What the API tells of the sets of a release, by one list for each kind.

    Raises:
        ClusterError: it has no set, or one of them is not there.
        DeniedError: sets, pods or claims may not be read.
    """
    space = record.namespace
    refs = [ObjectRef.of(body) for body in record.manifests if body.get("kind") == "StatefulSet"]
    if not refs:
        raise ClusterError(f"release {record.name} in {space} has no StatefulSet", hint="there is nothing to verify")

    def optional(group: str, kind: str, fields: str | None = None) -> list[Json] | None:
        try:
            return kube.list(group, kind, space, field_selector=fields).items
        except DeniedError:
            return None

    work: list[Callable[[], Any]] = [
        lambda: kube.list("apps", "StatefulSet", space).items,
        lambda: kube.list("", "Pod", space).items,
        lambda: kube.list("", "PersistentVolumeClaim", space).items,
        lambda: optional("", "Service"),
        lambda: optional("discovery.k8s.io", "EndpointSlice"),
        lambda: optional("", "Event", "involvedObject.kind=StatefulSet"),
    ]
    sets, pods, own_claims, services, slices, events = all_of(work, lambda task: task())
    live = {ObjectRef.of(body): body for body in sets}
    if gone := [str(ref) for ref in refs if ref not in live]:
        raise ClusterError(f"not there: {', '.join(gone)}", hint="`invoke up` makes it again, and its claims are kept")
    by_set = by_controller(pods)
    domain = str(dig(record.values, "clusterDomain", default=_ZONE))
    view = None if services is None or slices is None else View(services, slices)
    found = []
    for ref in refs:
        uid = live[ref]["metadata"]["uid"]
        facts = Facts(
            live[ref],
            by_set.get(uid, ()),
            {str(claim["metadata"]["name"]): claim for claim in own_claims},
            view.service(space, str(dig(live[ref], "spec", "serviceName", default=""))) if view else None,
            None if events is None else [one for one in events if dig(one, "involvedObject", "uid") == uid],
            None,
            domain,
        )
        found.append(changed(facts, records=_records(facts, view, resolve)) if view and facts.zone else facts)
    return found


def _records(facts: Facts, view: View, resolve: Resolve) -> dict[tuple[str, str], tuple[str, ...]]:
    """The records of the set's names, as CoreDNS would make them."""
    pods = [f"{pod_name(facts.name, ordinal)}.{facts.zone}" for ordinal in facts.wanted]
    ports = dig(facts.service, "spec", "ports", default=[]) or []
    asked = [(name, kind) for name in (facts.zone, *pods) for kind in ("A", "AAAA")]
    asked += [
        (f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{facts.zone}", "SRV")
        for port in ports
        if port.get("name")
    ]
    found = {}
    for name, kind in asked:
        records = resolve(view, name.removesuffix(facts.domain) + _ZONE, kind)
        found[name, kind] = tuple(data.replace(f".{_ZONE}.", f".{facts.domain}.") for data in records)
    return found
