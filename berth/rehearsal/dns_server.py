"""The cluster's DNS server, on a loopback port, over UDP and TCP: the wire around `berth.rehearsal.dns`."""

from __future__ import annotations

import logging
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.local.ports import LOOPBACK
from berth.rehearsal import dns as names
from berth.rehearsal.kinds import NAMESPACES, SERVICES, SLICES

if TYPE_CHECKING:
    import dns.message

    from berth.rehearsal.store import Store
    from berth.rehearsal.world import World

_log = logging.getLogger(__name__)

#: What a client without EDNS can take in one datagram (RFC 1035), and what is offered to others (as CoreDNS does).
_PLAIN, _LARGE = 512, 1232
#: Seconds that a client may stay silent on a TCP connection.
_SILENCE = 10.0
_SERVICE_NAME = "kubernetes.io/service-name"


class StoreView:
    """What `berth.rehearsal.dns` asks, from a store. Hold the world's lock meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def has_namespace(self, name: str) -> bool:
        """Whether there is such a namespace."""
        return self._store.get(NAMESPACES, "", name) is not None

    def service(self, namespace: str, name: str) -> Json | None:
        """The Service of this name."""
        return self._store.get(SERVICES, namespace, name)

    def slices(self, namespace: str, service: str) -> Sequence[Json]:
        """The EndpointSlices whose label names the Service."""
        return [
            one
            for one in self._store.list(SLICES, namespace)
            if (one["metadata"].get("labels") or {}).get(_SERVICE_NAME) == service
        ]

    def services(self) -> Iterable[Json]:
        """Every Service."""
        return self._store.list(SERVICES)

    def all_slices(self) -> Iterable[Json]:
        """Every EndpointSlice."""
        return self._store.list(SLICES)


class DnsServer:
    """Answers until it is closed. ``last_used`` is the monotonic time of the last question."""

    def __init__(self, world: World, port: int) -> None:
        """Listen on the port, for UDP and TCP; OSError where one of the two is taken."""
        self._world = world
        self.last_used = time.monotonic()
        self._udp, self._tcp = _listen(port, self._reply)
        self.port: int = self._udp.server_address[1]
        for server in (self._udp, self._tcp):
            threading.Thread(target=server.serve_forever, args=(0.05,), name="dns", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()

    def _reply(self, data: bytes, limit: int) -> bytes:
        """The answer to a question on the wire, within so many bytes (0: any number); empty for what is none."""
        self.last_used = time.monotonic()
        # Not at the start of the process: it would make every start slower for a port that few ever ask.
        import dns.exception
        import dns.flags
        import dns.message
        import dns.opcode
        import dns.rcode
        import dns.rdataclass
        import dns.rdatatype

        try:
            query = dns.message.from_wire(data, ignore_trailing=True)
        except dns.exception.DNSException:
            return _format_error(data)
        if query.flags & dns.flags.QR:
            return b""
        reply = dns.message.make_response(query, our_payload=_LARGE)
        if query.opcode() != dns.opcode.QUERY:
            reply.set_rcode(dns.rcode.NOTIMP)
        elif len(query.question) != 1:
            reply.set_rcode(dns.rcode.FORMERR)
        else:
            [question] = query.question
            kind = dns.rdatatype.to_text(question.rdtype)
            if question.rdclass != dns.rdataclass.IN or kind in ("AXFR", "IXFR"):
                reply.set_rcode(dns.rcode.REFUSED)
            else:
                with self._world.lock:
                    serial = self._world.store.version & 0xFFFFFFFF
                    view = StoreView(self._world.store)
                    found = names.answer(view, question.name.to_text(), kind, serial=serial)
                _fill(reply, found)
        if limit:
            limit = min(max(_PLAIN, query.payload), _LARGE) if query.edns >= 0 else _PLAIN
        return reply.to_wire(max_size=limit or 65535, prefer_truncation=True)


def _fill(reply: dns.message.Message, found: names.Answer) -> None:
    import dns.flags
    import dns.rcode
    import dns.rrset

    reply.set_rcode(dns.rcode.from_text(found.code))
    if found.code != names.Code.REFUSED:
        reply.flags |= dns.flags.AA
    sections = ((reply.answer, found.records), (reply.additional, found.additional), (reply.authority, found.authority))
    for section, records in sections:
        grouped: dict[tuple[str, int, str], list[str]] = {}
        for record in records:
            grouped.setdefault((record.name, record.ttl, record.type), []).append(record.data)
        section += [dns.rrset.from_text(name, ttl, "IN", kind, *data) for (name, ttl, kind), data in grouped.items()]


def _format_error(data: bytes) -> bytes:
    """FORMERR to what has at least the header of a question."""
    if len(data) < 12 or data[2] & 0x80:
        return b""
    return data[:2] + bytes((0x80 | data[2] & 0x79, 1)) + bytes(8)


_Reply = Callable[[bytes, int], bytes]


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    reply: _Reply


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    reply: _Reply


class _Datagram(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        data, channel = self.request
        if reply := self.server.reply(data, _PLAIN):
            channel.sendto(reply, self.client_address)


class _Stream(socketserver.StreamRequestHandler):
    server: _Tcp
    timeout = _SILENCE

    def handle(self) -> None:
        try:
            while len(head := self.rfile.read(2)) == 2:
                [length] = struct.unpack("!H", head)
                reply = self.server.reply(self.rfile.read(length), 0)
                if not reply:
                    return
                self.wfile.write(struct.pack("!H", len(reply)) + reply)
        except OSError:
            _log.debug("a client of the DNS port went away")


def _listen(port: int, reply: _Reply) -> tuple[_Udp, _Tcp]:
    """Both servers on one port."""
    tcp = _Tcp((LOOPBACK, port), _Stream)
    try:
        udp = _Udp((LOOPBACK, tcp.server_address[1]), _Datagram)
    except OSError:
        tcp.server_close()
        raise
    udp.reply = tcp.reply = reply
    # Many questions at once are no reason to lose some.
    udp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    return udp, tcp
