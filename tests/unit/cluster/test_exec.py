"""Commands in containers: what is said over the WebSocket, and what can go wrong with it."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from berth.cluster.endpoint import Endpoint
from berth.cluster.exec import (
    HEAD,
    TAIL,
    ExecError,
    ExecTimedOut,
    Executed,
    NothingRunsError,
    NotRunningError,
    execute,
    nothing_runs,
)
from berth.cluster.kube import Kube
from berth.cluster.refusals import InvalidError, MissingError
from berth.cluster.transport import Transport
from berth.core.errors import ClusterError, DeniedError, TargetError
from berth.core.objects import Json
from tests.unit.cluster.conftest import PKI
from tests.unit.cluster.fakeserver import Act, FakeServer, Wire, answer, hang, reset, status

pytestmark = pytest.mark.unit

SUCCESS = b"\x03" + json.dumps({"metadata": {}, "status": "Success"}).encode()
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


def failure(message: str, reason: str = "InternalError", causes: tuple[Json, ...] = (), code: int = 500) -> bytes:
    """A message that tells of an end other than success."""
    body = {"status": "Failure", "message": message, "reason": reason, "details": {"causes": causes}, "code": code}
    return b"\x03" + json.dumps(body).encode()


def exited(code: int) -> bytes:
    return failure("command terminated", "NonZeroExitCode", ({"reason": "ExitCode", "message": str(code)},))


def frame(data: bytes, sort: int = BINARY, *, final: bool = True) -> bytes:
    """A frame as a server sends it."""
    size = len(data)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = struct.pack("!BH", 126, size)
    else:
        length = struct.pack("!BQ", 127, size)
    return bytes([(0x80 if final else 0) | sort]) + length + data


#: The end of what a server says.
BYE = frame(b"", CLOSE)


def accepted(wire: Wire, others: dict[str, str]) -> bytes:
    """The head that switches protocols."""
    headers = wire.server.requests[-1].headers
    stamp = hashlib.sha1(f"{headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    said = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(stamp).decode(),
        "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
        **others,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items() if value)
    return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode()


def switch(*frames: bytes, apart: bool = False, end: Act = Wire.hang, headers: dict[str, str] | None = None) -> Act:
    """Switch protocols and send frames, with the head in one piece or apart from it; then ``end``."""

    def act(wire: Wire) -> None:
        head = accepted(wire, headers or {})
        if apart:
            wire.send(head)
            for each in frames:
                wire.send(each)
        else:
            wire.send(head + b"".join(frames))
        end(wire)

    return act


def run(kube: Kube, *command: str, timeout: float = 10, container: str = "web") -> Executed:
    return execute(kube, "shop", "web-0", container, command or ("true",), timeout)


def test_what_is_asked_for(kube: Kube, server: FakeServer) -> None:
    server.play(switch(frame(SUCCESS), BYE))
    assert run(kube, "sh", "-c", "echo a & b=1; é") == Executed(0, "", "")
    (request,) = server.requests
    url = urlsplit(request.path)
    assert (request.method, url.path) == ("GET", "/api/v1/namespaces/shop/pods/web-0/exec")
    asked = {"container": ["web"], "stdout": ["true"], "stderr": ["true"], "command": ["sh", "-c", "echo a & b=1; é"]}
    assert parse_qs(url.query) == asked
    assert request.headers["sec-websocket-protocol"] == "v5.channel.k8s.io, v4.channel.k8s.io"
    accepts = [line for line in server.lines if line.lower().startswith("accept:")]
    assert accepts == ["Accept: */*"], "the API server answers a wish for JSON with 406"


def test_without_a_container_the_pod_s_only_one_is_meant(kube: Kube, server: FakeServer) -> None:
    server.play(switch(frame(SUCCESS), BYE))
    run(kube, container="")
    assert "container" not in parse_qs(urlsplit(server.requests[0].path).query)


@pytest.mark.parametrize("apart", [False, True], ids=["with the head", "apart"])
def test_outputs_are_kept_apart(kube: Kube, server: FakeServer, apart: bool) -> None:
    # The first message of each channel is empty: by it a server says that the channel is there.
    frames = [b"\x01", b"\x02", b"\x03", b"\x01one\n", b"\x02bad\n", b"\x01two\n", exited(3)]
    server.play(switch(*map(frame, frames), BYE, apart=apart))
    assert run(kube) == Executed(3, "one\ntwo\n", "bad\n")


def test_messages_of_every_length(kube: Kube, server: FakeServer) -> None:
    for size in (1, 124, 125, 126, 40_000):
        server.play(switch(frame(b"\x01" + b"x" * size), frame(SUCCESS), BYE))
        assert len(run(kube).out) == size


def test_a_message_in_parts_with_a_ping_between(kube: Kube, server: FakeServer) -> None:
    heard: list[bytes] = []

    def listen(wire: Wire) -> None:
        head = wire.sock.recv(1, 0) + wire.sock.recv(1)
        mask, data = wire.sock.recv(4), wire.sock.recv(head[1] & 0x7F)
        heard.extend([head, bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))])
        wire.send(frame(SUCCESS) + BYE)
        wire.hang()

    parts = [frame(b"\x01on", final=False), frame(b"hello", PING), frame(b"e", 0)]
    server.play(switch(*parts, end=listen))
    assert run(kube).out == "one"
    assert heard == [bytes([0x80 | PONG, 0x80 | 5]), b"hello"], "masked, as a client's frames must be"


def test_over_tls(tls_server: FakeServer) -> None:
    authority = (PKI / "ca.pem").read_text()
    for apart in (False, True):
        tls_server.play(switch(frame(b"\x01" + b"x" * 40_000), frame(exited(1)), BYE, apart=apart))
        client = Kube(Transport(Endpoint(tls_server.url, authority=authority)))
        assert run(client) == Executed(1, "x" * 40_000, "")
        client.close()


def test_what_comes_after_the_status_still_counts(kube: Kube, server: FakeServer) -> None:
    server.play(switch(frame(SUCCESS), frame(b"\x01late"), BYE))
    assert run(kube).out == "late"


def test_a_server_that_does_not_close_is_not_waited_for(kube: Kube, server: FakeServer) -> None:
    server.play(switch(frame(SUCCESS), end=Wire.close), switch(frame(exited(2)), end=Wire.reset))
    assert [run(kube).code, run(kube).code] == [0, 2]


def test_a_long_output_loses_its_middle(kube: Kube, server: FakeServer) -> None:
    piece = b"\x01" + b"a" * 30_000
    server.play(switch(*[frame(piece)] * 5, frame(b"\x01END\n"), frame(SUCCESS), BYE))
    out = run(kube).out
    assert out.startswith("aaa") and out.endswith("aEND\n")
    assert f"\n... {150_004 - HEAD - TAIL} bytes left out ...\n" in out
    assert len(out) < HEAD + TAIL + 100


def test_bytes_that_are_no_text_are_replaced(kube: Kube, server: FakeServer) -> None:
    server.play(switch(frame(b"\x01\xff\xc3"), frame(b"\x01\xa9"), frame(SUCCESS), BYE))
    assert run(kube).out == "\ufffd\u00e9"


def test_a_command_that_takes_too_long(kube: Kube, server: FakeServer) -> None:
    server.play(switch(frame(b"\x01so far"), frame(b"\x02oops")))
    with pytest.raises(ExecTimedOut, match=r"container web of Pod/web-0 in shop did not end in 0\.3 s") as caught:
        run(kube, timeout=0.3)
    assert (caught.value.out, caught.value.err) == ("so far", "oops")


def test_a_command_that_does_not_even_begin_in_time(kube: Kube, server: FakeServer) -> None:
    server.play(hang)
    with pytest.raises(ExecTimedOut):
        run(kube, timeout=0.3)
    assert len(server.requests) == 1


def test_an_api_server_that_is_not_there(kube: Kube, server: FakeServer) -> None:
    server.close()
    with pytest.raises(TargetError, match="cannot be reached"):
        run(kube)


def test_silence_is_broken_by_pings(kube: Kube, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth.cluster.websocket.PING", 0.05)
    heard = threading.Event()

    def listen(wire: Wire) -> None:
        assert wire.sock.recv(1)[0] == 0x80 | PING
        heard.set()
        wire.send(frame(SUCCESS) + BYE)
        wire.hang()

    server.play(switch(end=listen))
    assert run(kube).code == 0 and heard.is_set()


INTERNAL = "Internal error occurred: "


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (status(404, "NotFound", 'pods "web-0" not found'), MissingError, "not found"),
        (status(400, "BadRequest", "container web is not valid for pod web-0"), InvalidError, "not valid for pod"),
        (status(400, "BadRequest", "pod web-0 does not have a host assigned"), NotRunningError, "does not run"),
        (status(500, "InternalError", f'{INTERNAL}container not found ("web")'), NotRunningError, "does not run"),
        (status(500, "InternalError", f"{INTERNAL}error dialing backend: timeout"), ClusterError, "dialing backend"),
        (answer({}), ClusterError, "run a command in"),
        (reset, ExecError, "nobody knows whether"),
        (switch(frame(failure(f'{INTERNAL}container not found ("web")')), BYE), NotRunningError, "does not run"),
        (
            switch(frame(failure(f"{INTERNAL}{INTERNAL}x: unable to start container process: no sh"))),
            ExecError,
            "no sh",
        ),
        (switch(frame(failure("gone", "Timeout")), BYE), ExecError, "because gone"),
        (switch(frame(failure("odd", "NonZeroExitCode")), BYE), ExecError, "because odd"),
        (switch(frame(b"\x03not json")), ExecError, "is not known"),
        (switch(frame(b"\x03[]")), ExecError, "is not known"),
        (switch(frame(b"\x01half"), end=Wire.close), ExecError, "nobody knows whether"),
        (switch(frame(b"\x01half"), end=Wire.reset), ExecError, "was lost"),
        (switch(frame(b"\x01half"), BYE), ExecError, "closed it before"),
        (switch(b"\x82\x81mask"), ExecError, "masks"),
        (switch(b"\x82\x7f" + struct.pack("!Q", 1 << 40)), ExecError, "too long"),
        (switch(headers={"Sec-WebSocket-Accept": "other"}), ExecError, "proxy in between"),
        (switch(headers={"Upgrade": ""}), ExecError, "proxy in between"),
        (switch(headers={"Sec-WebSocket-Protocol": "v4.base64.channel.k8s.io"}), ExecError, "speaks v4.base64"),
        (switch(headers={"Sec-WebSocket-Protocol": ""}), ExecError, "speaks no protocol"),
    ],
)
def test_what_can_go_wrong(kube: Kube, server: FakeServer, act: Act, error: type[Exception], words: str) -> None:
    server.default = act
    with pytest.raises(error) as caught:
        run(kube)
    assert words in str(caught.value)
    assert "Internal error occurred: Internal" not in str(caught.value)
    assert len(server.requests) == 1, "a command is not sent twice"


def test_a_missing_permission_is_named(kube: Kube, server: FakeServer) -> None:
    words = 'User "me" cannot create resource "pods/exec" in API group "" in the namespace "shop"'
    server.play(status(403, "Forbidden", words))
    with pytest.raises(
        DeniedError, match="not allowed to create pods/exec in namespace shop, needed to run a command in"
    ):
        run(kube)


def test_a_server_that_is_busy_is_asked_again(kube: Kube, server: FakeServer) -> None:
    busy = status(429, "TooManyRequests", "later", headers={"Retry-After": "1"})
    server.play(busy, switch(frame(SUCCESS), BYE))
    assert run(kube).code == 0


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_rehearsal_says_that_nothing_runs(kube: Kube, server: FakeServer, everywhere: bool) -> None:
    causes = ({"reason": "NoAnswers"},) if everywhere else ()
    message = f"{INTERNAL}nothing runs in a rehearsal: the scenario has no answer"
    server.play(switch(frame(failure(message, causes=causes)), BYE))
    with pytest.raises(NothingRunsError) as caught:
        run(kube)
    assert caught.value.everywhere is everywhere
    assert caught.value.why == "nothing runs in a rehearsal" + ("" if everywhere else ": the scenario has no answer")


@pytest.mark.parametrize(
    ("identity", "state", "simulated"),
    [
        ("containerd://4f2a", "running", False),
        ("cri-o://4f2a", "running", False),
        ("kwok://uid/web/0", "running", True),
        ("", "running", True),
        # Nothing is known of one that does not run: an attempt says why.
        ("kwok://uid/web/0", "terminated", False),
        ("", "waiting", False),
    ],
)
def test_a_pod_of_a_simulated_node_is_known_by_its_container_s_id(identity: str, state: str, simulated: bool) -> None:
    pod: Json = {
        "status": {"containerStatuses": [{"name": "web", "containerID": identity, "state": {state: {"a": 1}}}]}
    }
    assert bool(nothing_runs(pod, "web")) is simulated
    assert bool(nothing_runs(pod)) is simulated
    assert not nothing_runs(pod, "other")
    assert not nothing_runs({})
