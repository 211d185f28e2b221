"""The records of the cluster's names, and the port that gives them."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import pytest

from berth.core.objects import Json
from berth.local import ports
from berth.rehearsal.dns import Answer, Code, answer, search
from berth.rehearsal.dns_server import DnsServer, StoreView
from berth.rehearsal.kinds import NAMESPACES, SERVICES, SLICES
from berth.rehearsal.store import Store
from berth.rehearsal.world import World

pytestmark = pytest.mark.rehearsal

WEB = {"name": "web", "port": 80, "protocol": "TCP"}


def service(name: str, *, ip: str = "None", ports: Sequence[Json] = (WEB,), **spec: Any) -> Json:
    addresses = [] if not ip else [ip]
    meta = {"name": name, "namespace": "shop"}
    return {"metadata": meta, "spec": {"clusterIP": ip, "clusterIPs": addresses, "ports": list(ports), **spec}}


def endpoint(address: str, hostname: str = "", ready: bool | None = True) -> Json:
    made: Json = {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}}
    return {**made, "hostname": hostname} if hostname else made


def slice_of(name: str, *endpoints: Json, ports: Sequence[Json] = (WEB,), suffix: str = "x") -> Json:
    labels = {"kubernetes.io/service-name": name}
    meta = {"name": f"{name}-{suffix}", "namespace": "shop", "labels": labels}
    return {"metadata": meta, "endpoints": list(endpoints), "ports": list(ports)}


@dataclass
class Cluster:
    """A namespace `shop` with these objects."""

    bodies: Sequence[Json]
    slices_: Sequence[Json] = field(default_factory=tuple)

    def has_namespace(self, name: str) -> bool:
        return name == "shop"

    def service(self, namespace: str, name: str) -> Json | None:
        return next((one for one in self.bodies if one["metadata"] == {"name": name, "namespace": namespace}), None)

    def slices(self, namespace: str, service: str) -> Sequence[Json]:
        return [one for one in self.slices_ if one["metadata"]["labels"]["kubernetes.io/service-name"] == service]

    def services(self) -> Iterable[Json]:
        return self.bodies

    def all_slices(self) -> Iterable[Json]:
        return self.slices_


SHOP = Cluster(
    [
        service("nginx"),
        service("front", ip="10.96.0.7", ports=[WEB, {"name": "dns", "port": 53, "protocol": "UDP"}]),
        service("empty"),
        service("six", ip="fd00::7"),
        service("elsewhere", ip="", type="ExternalName", externalName="db.example.com"),
        service("alias", ip="", type="ExternalName", externalName="nginx.shop.svc.cluster.local"),
        service("loop", ip="", type="ExternalName", externalName="pool.shop.svc.cluster.local"),
        service("pool", ip="", type="ExternalName", externalName="loop.shop.svc.cluster.local"),
        service("portless", ports=()),
    ],
    [
        slice_of("nginx", endpoint("10.244.1.5", "web-0"), endpoint("10.244.2.6", "web-1", None)),
        slice_of("nginx", endpoint("10.244.1.9", "web-2", False), endpoint("10.244.1.7"), suffix="y"),
        slice_of("front", endpoint("10.244.3.3")),
        slice_of("empty", endpoint("10.244.9.9", "empty-0", False)),
        slice_of("portless", endpoint("10.244.4.4", "p-0"), ports=()),
    ],
)


def ask(name: str, kind: str = "A", zone: str = ".svc.cluster.local") -> Answer:
    return answer(SHOP, name + zone, kind)


def data(found: Answer) -> list[str]:
    assert found.code is Code.NOERROR
    return [record.data for record in found.records]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web-0.nginx.shop", "A", ["10.244.1.5"]),
        ("web-1.nginx.shop", "A", ["10.244.2.6"]),
        ("10-244-1-7.nginx.shop", "A", ["10.244.1.7"]),
        ("nginx.shop", "A", ["10.244.1.5", "10.244.2.6", "10.244.1.7"]),
        ("front.shop", "A", ["10.96.0.7"]),
        ("10-244-3-3.front.shop", "A", ["10.244.3.3"]),
        ("six.shop", "AAAA", ["fd00::7"]),
        ("_web._tcp.front.shop", "A", ["10.96.0.7"]),
        ("portless.shop", "A", ["10.244.4.4"]),
        ("front.shop", "SRV", ["0 50 80 front.shop.svc.cluster.local.", "0 50 53 front.shop.svc.cluster.local."]),
        ("_dns._udp.front.shop", "SRV", ["0 100 53 front.shop.svc.cluster.local."]),
        ("elsewhere.shop", "A", ["db.example.com."]),
        ("elsewhere.shop", "CNAME", ["db.example.com."]),
        ("WEB-0.Nginx.SHOP", "A", ["10.244.1.5"]),
    ],
)
def test_names_and_their_records(name: str, kind: str, expected: list[str]) -> None:
    assert data(ask(name, kind)) == expected


def test_a_named_port_has_a_location_for_each_ready_endpoint_with_its_address() -> None:
    found = ask("_web._tcp.nginx.shop", "SRV")
    hosts = ("web-0", "web-1", "10-244-1-7")
    assert data(found) == [f"0 33 80 {host}.nginx.shop.svc.cluster.local." for host in hosts]
    assert {record.name for record in found.records} == {"_web._tcp.nginx.shop.svc.cluster.local."}
    assert [str(record) for record in found.additional] == [
        "web-0.nginx.shop.svc.cluster.local. 5 IN A 10.244.1.5",
        "web-1.nginx.shop.svc.cluster.local. 5 IN A 10.244.2.6",
        "10-244-1-7.nginx.shop.svc.cluster.local. 5 IN A 10.244.1.7",
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web-2.nginx.shop", "A"),  # not ready
        ("empty.shop", "A"),  # headless, and none is ready
        ("empty-0.empty.shop", "A"),
        ("nothing.shop", "A"),
        ("nothing.shop", "TXT"),
        ("front.nowhere", "A"),
        ("nowhere", "A"),
        ("_web._udp.nginx.shop", "SRV"),
        ("_ftp._tcp.front.shop", "SRV"),
        ("a.b.c.nginx.shop", "A"),
        ("web-0.elsewhere.shop", "A"),
        ("nothing.shop", "HTTPS"),
    ],
)
def test_what_does_not_exist(name: str, kind: str) -> None:
    found = ask(name, kind)
    assert (found.code, found.records) == (Code.NXDOMAIN, ())
    assert [str(record) for record in found.authority] == [
        "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5"
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web-0.nginx.shop", "AAAA"),
        ("six.shop", "A"),
        ("shop", "A"),
        ("front.shop", "TXT"),
        ("front.shop", "HTTPS"),
        ("front.shop", "MX"),
        ("elsewhere.shop", "SRV"),
        ("portless.shop", "SRV"),
        ("loop.shop", "A"),
    ],
)
def test_what_exists_without_such_a_record(name: str, kind: str) -> None:
    found = ask(name, kind)
    assert (found.code, found.records) == (Code.NOERROR, ())
    assert found.authority[0].type == "SOA"


def test_an_alias_of_a_name_in_the_cluster_comes_with_its_addresses() -> None:
    found = ask("alias.shop")
    assert [(record.type, record.data) for record in found.records] == [
        ("CNAME", "nginx.shop.svc.cluster.local."),
        ("A", "10.244.1.5"),
        ("A", "10.244.2.6"),
        ("A", "10.244.1.7"),
    ]
    assert found.records[1].name == "nginx.shop.svc.cluster.local."


def test_the_owner_keeps_the_case_of_the_question() -> None:
    assert ask("Web-0.nginx.shop").records[0].name == "Web-0.nginx.shop.svc.cluster.local."


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("dns-version.cluster.local", "TXT", '"1.1.0"'),
        ("cluster.local", "NS", "ns.dns.cluster.local."),
        ("10-244-1-5.shop.pod.cluster.local", "A", "10.244.1.5"),
        ("5.1.244.10.in-addr.arpa", "PTR", "web-0.nginx.shop.svc.cluster.local."),
        ("7.0.96.10.in-addr.arpa.", "PTR", "front.shop.svc.cluster.local."),
    ],
)
def test_names_beside_services(name: str, kind: str, expected: str) -> None:
    assert data(answer(SHOP, name, kind)) == [expected]


@pytest.mark.parametrize("name", ["1.1.1.1.in-addr.arpa", "x.in-addr.arpa", "nonsense.shop.pod.cluster.local"])
def test_addresses_that_lead_nowhere(name: str) -> None:
    assert answer(SHOP, name, "PTR" if "arpa" in name else "A").code is Code.NXDOMAIN


def test_nothing_outside_the_cluster_is_answered() -> None:
    assert answer(SHOP, "example.com", "A") == Answer(Code.REFUSED)
    assert answer(SHOP, "notcluster.local", "A") == Answer(Code.REFUSED)


def test_a_pods_search_path() -> None:
    assert search("web-0.nginx", "shop") == [
        "web-0.nginx.shop.svc.cluster.local.",
        "web-0.nginx.svc.cluster.local.",
        "web-0.nginx.cluster.local.",
        "web-0.nginx.",
    ]
    assert search("nginx.shop.svc.cluster.local", "other")[-1] == "nginx.shop.svc.cluster.local."
    assert search("web-0.nginx.shop.svc.cluster.local", "other")[0] == "web-0.nginx.shop.svc.cluster.local."
    assert search("a.b.c.d.e.f", "shop")[0] == "a.b.c.d.e.f."
    assert search("nginx.shop.svc.cluster.local.", "other") == ["nginx.shop.svc.cluster.local."]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A DNS port over a store with the same objects, and a Service with very many endpoints."""
    store = Store()
    store.create(NAMESPACES, {"metadata": {"name": "shop"}})
    for body in SHOP.bodies:
        store.create(SERVICES, body)
    many = slice_of("many", *(endpoint(f"10.1.{n // 250}.{n % 250 + 1}", f"many-{n}") for n in range(1000)))
    for body in (*SHOP.slices_, many):
        store.create(SLICES, body)
    store.create(SERVICES, service("many"))
    server = DnsServer(cast(World, SimpleNamespace(store=store, lock=threading.RLock())), ports.free(1)[0])
    yield server.port
    server.close()


def query(name: str, kind: str = "A", **options: Any) -> dns.message.QueryMessage:
    return dns.message.make_query(f"{name}.svc.cluster.local.", kind, **options)


def test_the_port_answers_over_udp_and_tcp(port: int) -> None:
    for send in (dns.query.udp, dns.query.tcp):
        reply = send(query("_web._tcp.nginx.shop", "SRV"), "127.0.0.1", port=port, timeout=5)
        assert reply.rcode() == dns.rcode.NOERROR
        assert reply.flags & dns.flags.AA
        assert sum(map(len, reply.answer)) == 3
        assert sum(map(len, reply.additional)) == 3


def test_an_unknown_name_on_the_wire(port: int) -> None:
    reply = dns.query.udp(query("nothing.shop"), "127.0.0.1", port=port, timeout=5)
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert "SOA" in reply.authority[0].to_text()
    assert (
        dns.query.udp(dns.message.make_query("example.com", "A"), "127.0.0.1", port=port, timeout=5).rcode()
        == dns.rcode.REFUSED
    )


@pytest.mark.parametrize(("options", "limit"), [({}, 512), ({"use_edns": 0, "payload": 4096}, 1232)])
def test_an_answer_that_is_too_long_says_so_and_comes_whole_over_tcp(
    port: int, options: dict[str, Any], limit: int
) -> None:
    asked = query("many.shop", **options)
    short = dns.query.udp(asked, "127.0.0.1", port=port, timeout=5)
    assert short.flags & dns.flags.TC
    assert len(short.to_wire()) <= limit
    reply, tcp = dns.query.udp_with_fallback(asked, "127.0.0.1", port=port, timeout=5)
    assert tcp
    assert sum(map(len, reply.answer)) == 1000


@pytest.mark.parametrize("junk", [b"", b"\x00", bytes(11), b"\xff" * 30, bytes(12) + b"\xc0\x0c" * 20])
def test_junk_does_no_harm(port: int, junk: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(junk, ("127.0.0.1", port))
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        stream.sendall(struct.pack("!H", len(junk)) + junk)
        stream.shutdown(socket.SHUT_WR)
        stream.recv(512)
    assert dns.query.udp(query("front.shop"), "127.0.0.1", port=port, timeout=5).rcode() == dns.rcode.NOERROR


def test_what_is_no_query_of_the_internet_is_refused(port: int) -> None:
    update = query("front.shop")
    update.set_opcode(dns.opcode.NOTIFY)
    assert dns.query.udp(update, "127.0.0.1", port=port, timeout=5).rcode() == dns.rcode.NOTIMP
    chaos = dns.message.make_query("version.bind.", "TXT", "CH")
    assert dns.query.udp(chaos, "127.0.0.1", port=port, timeout=5).rcode() == dns.rcode.REFUSED


def test_a_taken_port_is_an_error_for_both_halves(port: int) -> None:
    with pytest.raises(OSError):
        DnsServer(cast(World, SimpleNamespace(store=Store(), lock=threading.RLock())), port)


def test_a_store_is_seen_by_service() -> None:
    store = Store()
    for body in SHOP.slices_:
        store.create(SLICES, body)
    assert len(StoreView(store).slices("shop", "nginx")) == 2
