"""Ports forwarded over a WebSocket, and a terminal at its end: what is said, and what can go wrong with it."""

from __future__ import annotations

import os
import pty
import socket
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from berth.cluster.exec import ExecError
from berth.cluster.forward import PortForward, relay
from berth.cluster.kube import Kube
from berth.cluster.terminal import interact
from berth.cluster.transport import Broken
from berth.cluster.websocket import WebSocket, open_socket
from berth.core.errors import BerthError, InputError, LocalError
from berth.core.reach import Ports
from tests.unit.cluster.fakeserver import FakeServer, Wire, status
from tests.unit.cluster.test_exec import BYE, accepted, exited, frame

pytestmark = pytest.mark.unit

V4 = {"Sec-WebSocket-Protocol": "v4.channel.k8s.io"}
#: How the channels of port 80 begin.
HEADS = frame(b"\x00P\x00") + frame(b"\x01P\x00")


def read_frame(wire: Wire) -> tuple[int, bytes]:
    """A frame of the client, unmasked: its first byte, and the data."""

    def take(size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = wire.sock.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    first, size = take(2)
    assert size & 0x80, "a client masks"
    size &= 0x7F
    if size > 125:
        size = int.from_bytes(take(2 if size == 126 else 8))
    mask, data = take(4), take(size)
    pad = int.from_bytes((mask * (size // 4 + 1))[:size])
    return first, (int.from_bytes(data) ^ pad).to_bytes(size)


@contextmanager
def forwarded(kube: Kube) -> Iterator[tuple[WebSocket, socket.socket, socket.socket]]:
    """The way to the pod, our end of a client's connection, and the client's."""
    opened = open_socket(kube, "/forward", ("v4.channel.k8s.io",), "forward a port of", "Pod/web-0", 10)
    assert isinstance(opened, WebSocket)
    with opened, socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()) as client:
            ours, _ = listening.accept()
            with ours:
                client.settimeout(10)
                yield opened, ours, client


def hang_up(client: socket.socket) -> None:
    """End a connection with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_both_directions_at_once_and_more_than_any_buffer_holds(kube: Kube, server: FakeServer) -> None:
    size = 12_000_000

    def echo(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + HEADS)
        heard = 0
        while heard < size:
            first, data = read_frame(wire)
            assert (first, data[0]) == (0x82, 0)
            heard += len(data) - 1
            wire.send(frame(data))
        wire.send(BYE)
        wire.hang()

    server.play(echo)
    sent = os.urandom(1000) * (size // 1000)
    with forwarded(kube) as (remote, ours, client):
        said: list[str] = []
        carrier = threading.Thread(target=lambda: said.append(relay(remote, ours)))
        carrier.start()
        sender = threading.Thread(target=client.sendall, args=(sent,))
        sender.start()
        got = bytearray()
        while len(got) < size:
            got += client.recv(1 << 16)
        sender.join(10)
        carrier.join(10)
        assert bytes(got) == sent and said == [""]


def test_a_client_that_takes_all_at_once_gets_all_without_another_word_from_the_server(
    kube: Kube, server: FakeServer
) -> None:
    """What was read from the connection, and is more than is kept for a client, is seen by no poll."""
    size = 300_000  # Just more than what is kept for a client.

    def act(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + HEADS + frame(b"\x00" + b"x" * 30_000) * (size // 30_000))
        sent.set()
        wire.hang()

    sent = threading.Event()
    server.play(act)
    with forwarded(kube) as (remote, ours, client):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        assert sent.wait(10)
        carrier = threading.Thread(target=relay, args=(remote, ours))
        carrier.start()
        got = 0
        try:
            while got < size:
                got += len(client.recv(1 << 16))
        finally:
            hang_up(client)
            carrier.join(10)


def test_the_port_s_number_may_come_in_pieces_and_empty_messages_with_it(kube: Kube, server: FakeServer) -> None:
    pieces = [b"\x00", b"\x00P", b"\x01P\x00", b"\x00\x00on", b"\x00e", b"\x07other"]

    def act(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + b"".join(map(frame, pieces)) + BYE)
        wire.hang()

    server.play(act)
    with forwarded(kube) as (remote, ours, client):
        assert relay(remote, ours) == ""
        ours.close()
        assert client.recv(100) == b"one" and client.recv(100) == b""


def test_a_client_that_has_sent_all_still_gets_the_answer(kube: Kube, server: FakeServer) -> None:
    def act(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + HEADS)
        assert read_frame(wire)[1] == b"\x00ask"
        wire.send(frame(b"\x00answer") + BYE)
        wire.hang()

    server.play(act)
    with forwarded(kube) as (remote, ours, client):
        client.sendall(b"ask")
        client.shutdown(socket.SHUT_WR)
        assert relay(remote, ours) == ""
        assert client.recv(100) == b"answer"


def test_a_client_that_is_gone_without_a_word_is_given_up(
    kube: Kube, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("berth.cluster.forward.LINGER", 0.05)

    def act(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + HEADS)
        wire.hang()

    server.play(act)
    with forwarded(kube) as (remote, ours, client):
        client.close()
        assert relay(remote, ours) == ""


def test_a_client_that_resets(kube: Kube, server: FakeServer) -> None:
    def act(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + HEADS)
        wire.hang()

    server.play(act)
    with forwarded(kube) as (remote, ours, client):
        hang_up(client)
        assert relay(remote, ours) == ""


def test_what_the_kubelet_says_and_a_way_that_is_lost(kube: Kube, server: FakeServer) -> None:
    def refuse(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + HEADS + frame(b"\x01connection refused"))
        wire.hang()

    def lose(wire: Wire) -> None:
        wire.send(accepted(wire, V4) + HEADS + frame(b"\x00half"))
        wire.close()

    server.play(refuse, lose)
    with forwarded(kube) as (remote, ours, _):
        assert relay(remote, ours) == "connection refused"
    with forwarded(kube) as (remote, ours, client):
        with pytest.raises(Broken):
            relay(remote, ours)
        assert client.recv(100) == b"half"


def test_a_port_that_cannot_be_had(kube: Kube, server: FakeServer) -> None:
    server.default = status(400, "BadRequest", 'query parameter "ports" is required')

    def listen(port: int, address: str = "127.0.0.1") -> BerthError:
        with pytest.raises(BerthError) as caught:
            PortForward(kube, "shop", "web-0", "u", [Ports(0, 80), Ports(port, 80)], address, print)
        return caught.value

    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        error = listen(taken)
    assert isinstance(error, LocalError) and f"cannot listen on 127.0.0.1 port {taken}" in str(error)
    assert "another program listens there" in str(error) and "--port :REMOTE" in str(error)
    for address in ("203.0.113.7", "no such name"):
        assert isinstance(listen(0, address), InputError)
    assert len(server.requests) == 3, "it is only asked whether it may be"
    assert all(request.path.endswith("/pods/web-0/portforward") for request in server.requests)


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    try:
        termios.tcsetwinsize(theirs, (30, 100))
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_gets_the_size_the_keys_and_the_output_and_is_restored(kube: Kube, server: FakeServer) -> None:
    heard: list[bytes] = []

    def act(wire: Wire) -> None:
        wire.send(accepted(wire, {}))
        heard.append(read_frame(wire)[1])
        os.write(ours, b"\x03\x04q")
        while b"q" not in b"".join(heard[1:]):
            heard.append(read_frame(wire)[1])
        wire.send(frame(b"\x01bye\r\n") + frame(exited(3)) + BYE)
        wire.hang()

    server.play(act)
    with terminal() as (ours, theirs):
        before = termios.tcgetattr(theirs)
        assert interact(kube, "shop", "web-0", "web", ["sh"], theirs, theirs) == 3
        assert termios.tcgetattr(theirs) == before
        assert os.read(ours, 100) == b"bye\r\n"
    assert heard[0] == b'\x04{"Width": 100, "Height": 30}'
    assert b"".join(part[1:] for part in heard[1:]) == b"\x03\x04q" and all(part[0] == 0 for part in heard[1:])


def test_a_terminal_is_restored_when_the_connection_is_lost(kube: Kube, server: FakeServer) -> None:
    def act(wire: Wire) -> None:
        wire.send(accepted(wire, {}) + frame(b"\x01half"))
        read_frame(wire)
        wire.close()

    server.play(act)
    with terminal() as (_, theirs):
        before = termios.tcgetattr(theirs)
        with pytest.raises(ExecError, match="was lost"):
            interact(kube, "shop", "web-0", "web", ["sh"], theirs, theirs)
        assert termios.tcgetattr(theirs) == before
