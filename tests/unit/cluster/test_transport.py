from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from berth.cluster.endpoint import Endpoint
from berth.cluster.transport import Broken, Stalled, Stream, Transport, Unreachable
from tests.unit.cluster.conftest import PKI
from tests.unit.cluster.fakeserver import FakeServer, Wire, answer, cut, hang, reset, stream

pytestmark = pytest.mark.unit
Make = Callable[[Endpoint], Transport]


def pem(name: str) -> str:
    return (PKI / name).read_text()


def test_a_connection_is_kept_for_the_next_request(server: FakeServer, transports: Make) -> None:
    server.default = answer({"a": 1})
    transport = transports(Endpoint(server.url))
    for _ in range(3):
        assert transport.send("GET", "/x", timeout=10).body == b'{"a": 1}'
    assert server.connections == 1


def test_a_large_body_leaves_the_connection_usable(server: FakeServer, transports: Make) -> None:
    server.default = answer("x" * 300_000)
    transport = transports(Endpoint(server.url))
    assert [len(transport.send("GET", "/x", timeout=10).body) for _ in range(2)] == [300_002] * 2
    assert server.connections == 1


def test_a_chunked_and_a_gzipped_body_are_read(server: FakeServer, transports: Make) -> None:
    transport = transports(Endpoint(server.url))
    server.play(stream({"a": 1}, {"b": 2}), answer({"c": 3}, compress=True))
    assert transport.send("GET", "/x", timeout=10).body == b'{"a": 1}\n{"b": 2}\n'
    assert transport.send("GET", "/x", timeout=10).body == b'{"c": 3}'
    assert server.connections == 1


def test_a_path_in_the_server_url_is_a_prefix(server: FakeServer, transports: Make) -> None:
    server.default = answer({})
    transports(Endpoint(server.url + "/k8s/clusters/c-1/")).send("GET", "/version", timeout=10)
    assert server.requests[0].path == "/k8s/clusters/c-1/version"


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again(server: FakeServer, transports: Make) -> None:
    closed = threading.Event()

    def answer_and_close(wire: Wire) -> None:
        answer({})(wire)
        wire.sock.shutdown(socket.SHUT_WR)
        closed.set()

    server.play(answer_and_close, answer({}))
    transport = transports(Endpoint(server.url))
    transport.send("GET", "/x", timeout=10)
    assert closed.wait(10)
    assert transport.send("GET", "/x", timeout=10).status == 200
    assert server.connections == 2


def test_a_request_that_outlives_the_transport_leaves_no_connection(server: FakeServer, transports: Make) -> None:
    transport = transports(Endpoint(server.url))

    def close_and_answer(wire: Wire) -> None:
        transport.close()
        answer({})(wire)

    server.play(close_and_answer, answer({}))
    assert [transport.send("GET", "/x", timeout=10).status for _ in range(2)] == [200, 200]
    assert server.connections == 2


@pytest.mark.parametrize("act", [reset, cut({"a": "b" * 100}, 10), lambda wire: wire.close()])
def test_a_connection_that_ends_early_is_broken(
    server: FakeServer, transports: Make, act: Callable[[Wire], None]
) -> None:
    server.play(act)
    with pytest.raises(Broken):
        transports(Endpoint(server.url)).send("GET", "/x", timeout=10)


def test_a_cut_large_body_is_broken(server: FakeServer, transports: Make) -> None:
    server.play(cut("x" * 500_000, 100_000))
    with pytest.raises(Broken, match="cut short"):
        transports(Endpoint(server.url)).send("GET", "/x", timeout=10)


def test_a_silent_server_is_stalled(server: FakeServer, transports: Make) -> None:
    server.play(hang)
    with pytest.raises(Stalled):
        transports(Endpoint(server.url)).send("GET", "/x", timeout=0.05)


def test_a_server_that_drips_cannot_go_past_the_deadline(server: FakeServer, transports: Make) -> None:
    def drip(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not wire.server.released.wait(0.02):
            wire.send(b"x" * 100)

    server.play(drip)
    begun = time.monotonic()
    with pytest.raises(Stalled):
        transports(Endpoint(server.url)).send("GET", "/x", timeout=0.2)
    assert time.monotonic() - begun < 5


def test_nobody_listens(transports: Make) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        transports(Endpoint(f"http://127.0.0.1:{port}")).send("GET", "/x", timeout=10)
    assert caught.value.kind == "refused"


def test_a_name_that_does_not_resolve(transports: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", fail)
    transport = transports(Endpoint("https://nowhere.invalid", insecure=True))
    monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(Unreachable) as caught:
        transport.send("GET", "/x", timeout=10)
    assert caught.value.kind == "dns"


def test_tls_by_the_kubeconfigs_authority_and_with_a_client_certificate(
    tls_server: FakeServer, transports: Make
) -> None:
    seen: list[object] = []

    def look(wire: Wire) -> None:
        seen.append(wire.sock.getpeercert())  # type: ignore[attr-defined]
        answer({})(wire)

    tls_server.default = look
    endpoint = Endpoint(tls_server.url, authority=pem("ca.pem"), certificate=pem("client.pem"), key=pem("client.key"))
    transport = transports(endpoint)
    assert transport.send("GET", "/x", timeout=10).status == 200
    assert "test user" in str(seen[0])
    assert "PRIVATE" not in repr(endpoint)


def test_the_next_connection_resumes_the_tls_session(tls_server: FakeServer, transports: Make) -> None:
    reused: list[bool] = []

    def look(wire: Wire) -> None:
        reused.append(wire.sock.session_reused)  # type: ignore[attr-defined]
        answer({})(wire)

    tls_server.default = look
    transport = transports(Endpoint(tls_server.url, authority=pem("ca.pem")))
    transport.send("GET", "/x", timeout=10)
    transport.close()
    transport.send("GET", "/x", timeout=10)
    assert reused == [False, True]


@pytest.mark.parametrize(
    ("change", "works"),
    [
        ({"authority": pem("other-ca.pem")}, False),
        ({"tls_server_name": "wrong.example"}, False),
        ({"tls_server_name": "api.example"}, True),
        ({"authority": pem("other-ca.pem"), "insecure": True}, True),
    ],
)
def test_who_the_server_must_be(
    tls_server: FakeServer, transports: Make, change: dict[str, object], works: bool
) -> None:
    tls_server.default = answer({})
    transport = transports(Endpoint(**{"server": tls_server.url, "authority": pem("ca.pem"), **change}))  # type: ignore[arg-type]
    if works:
        assert transport.send("GET", "/x", timeout=10).status == 200
    else:
        with pytest.raises(Unreachable, match="certificate") as caught:
            transport.send("GET", "/x", timeout=10)
        assert caught.value.kind == "tls"


def test_an_encrypted_key_never_asks_on_the_terminal(tls_server: FakeServer) -> None:
    endpoint = Endpoint(
        tls_server.url, authority=pem("ca.pem"), certificate=pem("client.pem"), key=pem("client-encrypted.key")
    )
    with pytest.raises(OSError):
        Transport(endpoint)


def test_the_key_leaves_no_file(tls_server: FakeServer, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr("os.memfd_create", raising=False)
    modes: list[int] = []
    import os
    import ssl

    load = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, certfile: str, password: str = "") -> None:
        modes.append(os.stat(certfile).st_mode & 0o777)
        load(self, certfile, password=password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    Endpoint(tls_server.url, certificate=pem("client.pem"), key=pem("client.key"), authority=pem("ca.pem")).tls()
    assert modes == [0o600]
    assert os.listdir(str(tmp_path)) == []


def test_through_a_proxy(tls_server: FakeServer, transports: Make) -> None:
    tls_server.default = answer({"through": "proxy"})
    proxy = FakeServer()

    def tunnel(wire: Wire) -> None:
        upstream = socket.create_connection(("127.0.0.1", tls_server.port))
        wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def pump(source: socket.socket, sink: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
            except OSError:
                pass

        thread = threading.Thread(target=pump, args=(upstream, wire.sock), daemon=True)
        thread.start()
        pump(wire.sock, upstream)
        upstream.close()
        thread.join(1)
        wire.close()

    proxy.play(tunnel)
    via = f"http://user:p%40ss@127.0.0.1:{proxy.port}"
    transport = transports(Endpoint(tls_server.url, authority=pem("ca.pem"), proxy=via))
    assert transport.send("GET", "/x", timeout=10).body == b'{"through": "proxy"}'
    assert proxy.requests[0].method == "CONNECT"
    assert proxy.requests[0].path == f"127.0.0.1:{tls_server.port}"
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwQHNz"
    transport.close()
    proxy.close()


def test_a_proxy_that_refuses(server: FakeServer, transports: Make) -> None:
    server.play(answer({}, 407))
    transport = transports(Endpoint("https://api.example:6443", authority=pem("ca.pem"), proxy=server.url))
    with pytest.raises(Unreachable) as caught:
        transport.send("GET", "/x", timeout=10)
    assert caught.value.kind == "proxy"


def test_a_stream_gives_whole_lines_however_they_are_cut(server: FakeServer, transports: Make) -> None:
    for chunked in (True, False):
        server.play(stream(b'{"a":', b' 1}\n{"b": 2}\n{"c"', chunked=chunked))
        with transports(Endpoint(server.url)).stream("/watch", read_timeout=10) as opened:
            assert list(opened.lines()) == [b'{"a": 1}', b'{"b": 2}']


@pytest.mark.parametrize("chunked", [True, False])
def test_closing_a_stream_wakes_its_reader(server: FakeServer, transports: Make, chunked: bool) -> None:
    server.play(stream({"a": 1}, end=hang, chunked=chunked))
    opened: Stream = transports(Endpoint(server.url)).stream("/watch", read_timeout=30)
    got: list[bytes] = []
    first = threading.Event()

    def read() -> None:
        try:
            for line in opened.lines():
                got.append(line)
                first.set()
        except Broken:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    assert first.wait(10)
    opened.close()
    reader.join(10)
    assert not reader.is_alive()
    assert got == [b'{"a": 1}']


def test_a_silent_stream_is_stalled_and_a_reset_one_broken(server: FakeServer, transports: Make) -> None:
    server.play(stream({"a": 1}, end=hang), stream({"a": 1}, end=reset))
    transport = transports(Endpoint(server.url))
    with transport.stream("/watch", read_timeout=0.05) as opened, pytest.raises(Stalled):
        list(opened.lines())
    with transport.stream("/watch", read_timeout=10) as opened, pytest.raises(Broken):
        list(opened.lines())


def test_no_more_requests_in_flight_than_allowed(server: FakeServer) -> None:
    lock, most, now = threading.Lock(), [0], [0]

    def slow(wire: Wire) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        wire.server.released.wait(0.02)
        with lock:
            now[0] -= 1
        answer({})(wire)

    server.default = slow
    transport = Transport(Endpoint(server.url), concurrency=3)
    threads = [threading.Thread(target=transport.send, args=("GET", "/x"), kwargs={"timeout": 20}) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transport.close()
    assert most[0] == 3
    assert server.connections <= 3


def test_answers_are_compressed_only_on_the_way_from_afar(server: FakeServer, transports: Make) -> None:
    server.default = answer({"a": 1}, compress=True)
    transport = transports(Endpoint(server.url))
    transport.send("GET", "/x", timeout=10)
    assert "accept-encoding" not in server.requests[0].headers
    afar = transports(Endpoint("http://api.example", proxy=server.url))
    assert ("Accept-Encoding", "gzip") in afar._common
