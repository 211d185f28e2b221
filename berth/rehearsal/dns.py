"""The records that the cluster's DNS server would give: pure, from Services and EndpointSlices alone.

What is answered follows the `kubernetes` plugin of CoreDNS, with `pods insecure` as kubeadm configures it, and the
specification behind it (https://github.com/kubernetes/dns/blob/master/docs/specification.md). Three of its ways
surprise people: a headless Service none of whose endpoints is ready does not exist (NXDOMAIN); whether unready pods
have records is decided by the EndpointSlice (`publishNotReadyAddresses` makes its endpoints ready), not by the Service;
and the Service itself has SRV records, too, one for each port. Two things differ: the order of the records is that of
the EndpointSlices (CoreDNS shuffles), and nothing outside the cluster's domain is known.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from berth.core.objects import Json

ZONE = "cluster.local"
TTL = 5
SCHEMA_VERSION = "1.1.0"
SCHEMA_TTL = 28800
#: Of names that lie in each other, as ExternalName Services can: CoreDNS gives up after so many.
LONGEST_CHAIN = 10
#: What a name server that runs here is called, and where it is.
SERVER_NAME = f"ns.dns.{ZONE}"
SERVER_ADDRESS = "127.0.0.1"


class View(Protocol):
    """What is asked of the cluster; names are in lower case."""

    def has_namespace(self, name: str) -> bool:
        """Whether there is such a namespace."""

    def service(self, namespace: str, name: str) -> Json | None:
        """The Service of this name."""

    def slices(self, namespace: str, service: str) -> Sequence[Json]:
        """The EndpointSlices whose label names the Service."""

    def services(self) -> Iterable[Json]:
        """Every Service; asked for reverse lookups only."""

    def all_slices(self) -> Iterable[Json]:
        """Every EndpointSlice; asked for reverse lookups only."""


class Code(StrEnum):
    """How an answer begins. NOERROR without records is what is called NODATA."""

    NOERROR = "NOERROR"
    NXDOMAIN = "NXDOMAIN"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record; ``data`` is its presentation form, as zone files and `dig` have it."""

    name: str
    ttl: int
    type: str
    data: str

    def __str__(self) -> str:
        """The line of a zone file; names end with a dot."""
        return f"{self.name} {self.ttl} IN {self.type} {self.data}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The three sections of an answer; ``authority`` holds the zone's SOA where there is nothing else to say."""

    code: Code
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What a name leads to: an address, or with ``alias`` another name. ``port`` -1 means that there is none."""

    host: str
    port: int
    owner: str
    alias: bool = False


class _NoSuchName(Exception):
    """There is no such name, of any type."""


def answer(view: View, name: str, kind: str, *, serial: int = 1) -> Answer:
    """What the cluster's DNS server says to a question, such as ("web-0.nginx.shop.svc.cluster.local", "A").

    ``name`` is absolute, with or without a dot at its end, and its case is kept in the answer. ``kind`` is the name of
    a type in capitals; those without records here give NODATA or NXDOMAIN like any other.
    """
    shown = name.rstrip(".") + "."
    plain = shown[:-1].lower()
    if plain.endswith((".in-addr.arpa", ".ip6.arpa")):
        return _reverse(view, plain, shown, kind, serial)
    if plain != ZONE and not plain.endswith(f".{ZONE}"):
        return Answer(Code.REFUSED)
    authority = (_soa(ZONE, serial),)
    try:
        records, additional = _forward(view, plain, kind, serial)
    except _NoSuchName:
        return Answer(Code.NXDOMAIN, authority=authority)
    if not records:
        return Answer(Code.NOERROR, authority=authority)
    # The owner's name comes back as it was asked for; resolvers compare it, some of them with its case.
    return Answer(
        Code.NOERROR,
        tuple(replace(record, name=shown) if record.name.lower() == f"{plain}." else record for record in records),
        tuple(additional),
    )


def search(name: str, namespace: str) -> list[str]:
    """The absolute names that a pod of the namespace would try, in order: `search` and `ndots:5` of its resolv.conf.

    Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#namespaces-of-services
    """
    if name.endswith("."):
        return [name]
    suffixes = (f"{namespace}.svc.{ZONE}", f"svc.{ZONE}", ZONE)
    longer = [f"{name}.{suffix}." for suffix in suffixes]
    return [f"{name}.", *longer] if name.count(".") >= 5 else [*longer, f"{name}."]


def _forward(view: View, name: str, kind: str, serial: int) -> tuple[list[Record], list[Record]]:
    owner = f"{name}."
    match kind:
        case "A" | "AAAA":
            return _addresses(view, name, kind, ()), []
        case "SRV":
            return _locations(owner, [found for found in _find(view, name) if not found.alias])
        case "CNAME":
            first = next(iter(_find(view, name)), None)
            return ([Record(owner, TTL, "CNAME", first.host)] if first and first.alias else []), []
        case "TXT":
            if name == f"dns-version.{ZONE}":
                return [Record(owner, SCHEMA_TTL, "TXT", f'"{SCHEMA_VERSION}"')], []
            if not _find(view, name):
                raise _NoSuchName
            return [], []
        case "NS" if name == ZONE:
            glue = Record(f"{SERVER_NAME}.", TTL, "A", SERVER_ADDRESS)
            return [Record(owner, TTL, "NS", f"{SERVER_NAME}.")], [glue]
        case "SOA":
            return ([_soa(ZONE, serial)] if name == ZONE else []), []
        case _:
            _find(view, name)
            return [], []


def _addresses(view: View, name: str, kind: str, before: tuple[Record, ...]) -> list[Record]:
    records: dict[str, Record] = {}
    chained: list[Record] = []
    for found in _find(view, name):
        if not found.alias:
            if (":" in found.host) == (kind == "AAAA"):
                records.setdefault(found.host, Record(f"{name}.", TTL, kind, found.host))
            continue
        target = found.host.rstrip(".").lower()
        link = Record(f"{name}.", TTL, "CNAME", found.host)
        if target == name or len(before) > LONGEST_CHAIN or link in before:
            continue
        if not target.endswith(f".{ZONE}"):
            chained.append(link)  # Whoever asks resolves the rest elsewhere.
            continue
        try:
            rest = _addresses(view, target, kind, (*before, link))
        except _NoSuchName:
            continue
        if rest:
            chained += [link, *rest]
    return [*records.values(), *chained]


def _locations(owner: str, found: Sequence[_Found]) -> tuple[list[Record], list[Record]]:
    """SRV records with the addresses of their targets; the weights share a hundred."""
    records: dict[tuple[str, int], Record] = {}
    addresses: dict[tuple[str, str], Record] = {}
    weight = max(1, 100 // len(found)) if found else 0
    for one in found:
        if one.port == -1:
            continue
        target = f"{one.owner}."
        records.setdefault((target, one.port), Record(owner, TTL, "SRV", f"0 {weight} {one.port} {target}"))
        kind = "AAAA" if ":" in one.host else "A"
        addresses.setdefault((target, one.host), Record(target, TTL, kind, one.host))
    return list(records.values()), list(addresses.values())


def _find(view: View, name: str) -> list[_Found]:
    """What the name leads to; empty when it exists and has nothing.

    Raises:
        _NoSuchName: it does not exist.
    """
    if name == SERVER_NAME:
        return [_Found(SERVER_ADDRESS, -1, name)]
    labels = name.removesuffix(ZONE).rstrip(".").split(".")
    if labels in ([""], ["svc"], ["pod"]):
        return []
    if labels[-1] not in ("svc", "pod") or len(labels) > 5 or not view.has_namespace(labels[-2]):
        raise _NoSuchName
    if len(labels) == 2:
        return []
    *head, service, namespace, branch = labels
    if branch == "pod":
        return [_Found(_address_of(service), 0, name)]
    return _find_service(view, namespace, service, head)


def _address_of(label: str) -> str:
    """The address in 10-244-1-5.NAMESPACE.pod; whether a pod has it is not asked."""
    four = label.count("-") == 3 and "--" not in label
    try:
        return str(ipaddress.ip_address(label.replace("-", "." if four else ":")))
    except ValueError:
        raise _NoSuchName from None


def _find_service(view: View, namespace: str, name: str, head: Sequence[str]) -> list[_Found]:
    body = view.service(namespace, name)
    if body is None:
        raise _NoSuchName
    hostname = head[0] if len(head) == 1 else ""
    port, protocol = (label.removeprefix("_") for label in head) if len(head) == 2 else ("", "")
    spec = body.get("spec") or {}
    owner = f"{name}.{namespace}.svc.{ZONE}"
    if spec.get("type") == "ExternalName":
        if head or _is_address(str(spec.get("externalName") or "")):
            raise _NoSuchName
        return [_Found(str(spec["externalName"]).rstrip(".") + ".", -1, owner, alias=True)]
    if spec.get("clusterIP") == "None" or hostname:
        found = [
            _Found(address, number, f"{host}.{owner}")
            for slice_ in view.slices(namespace, name)
            for host, address in _endpoints(slice_)
            if hostname in ("", host.lower())
            for number in _ports(slice_.get("ports") or (), port, protocol)
        ]
    else:
        found = [
            _Found(address, number, owner)
            for number in _ports(spec.get("ports") or (), port, protocol)
            for address in spec.get("clusterIPs") or [spec.get("clusterIP")]
            if address
        ]
        if not found and any(_ports(spec.get("ports") or (), port, protocol)):
            return []
    if not found:
        raise _NoSuchName
    return found


def _ports(ports: Sequence[Json], name: str, protocol: str) -> list[int]:
    """The numbers of the ports that were asked for; a slice without ports counts as one without a number."""
    listed = ports or [{"port": -1, "name": "", "protocol": ""}]
    return [
        int(port.get("port") or -1)
        for port in listed
        if name in ("", str(port.get("name") or "").lower())
        and protocol in ("", str(port.get("protocol") or "").lower())
    ]


def _endpoints(slice_: Json) -> Iterator[tuple[str, str]]:
    """The host name and address of each endpoint that is ready; a missing condition counts as ready."""
    for endpoint in slice_.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready") is False:
            continue
        for address in endpoint.get("addresses") or ():
            yield str(endpoint.get("hostname") or "") or _hostname_of(str(address)), str(address)


def _hostname_of(address: str) -> str:
    text = address.replace(".", "-").replace(":", "-")
    return f"{text}0" if text.endswith("-") else text


def _reverse(view: View, name: str, shown: str, kind: str, serial: int) -> Answer:
    zone = "in-addr.arpa" if name.endswith(".in-addr.arpa") else "ip6.arpa"
    hosts = list(_names_at(view, _address_in(name))) if kind == "PTR" else []
    if not hosts:
        return Answer(Code.NXDOMAIN, authority=(_soa(zone, serial),))
    return Answer(Code.NOERROR, tuple(Record(shown, TTL, "PTR", f"{host}.") for host in dict.fromkeys(hosts)))


def _address_in(name: str) -> str:
    if name.endswith(".in-addr.arpa"):
        text = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
    else:
        digits = "".join(reversed(name.removesuffix(".ip6.arpa").split(".")))
        text = ":".join(digits[start : start + 4] for start in range(0, len(digits), 4))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _names_at(view: View, address: str) -> Iterator[str]:
    """The Service with this address, else the endpoints with it."""
    if not address:
        return
    for service in view.services():
        if address in (service.get("spec") or {}).get("clusterIPs", ()):
            meta = service["metadata"]
            yield f"{meta['name']}.{meta['namespace']}.svc.{ZONE}"
            return
    for slice_ in view.all_slices():
        meta = slice_["metadata"]
        service_name = (meta.get("labels") or {}).get("kubernetes.io/service-name", "")
        for host, known in _endpoints(slice_):
            if known == address:
                yield f"{host}.{service_name}.{meta['namespace']}.svc.{ZONE}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _soa(zone: str, serial: int) -> Record:
    return Record(f"{zone}.", TTL, "SOA", f"ns.dns.{zone}. hostmaster.{zone}. {serial} 7200 1800 86400 {TTL}")
