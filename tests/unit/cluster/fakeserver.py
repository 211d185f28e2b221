"""A scripted HTTP server: each request takes the next act of a script, be it an answer or a fault.

It knows nothing of Kubernetes: what the API does is tested against a real one (tests/contract). Here it is about what
a connection can do.
"""

from __future__ import annotations

import gzip
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Act = Callable[["Wire"], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """The server's end of one connection, for acts."""

    def __init__(self, sock: socket.socket, server: FakeServer) -> None:
        self.sock, self.server, self.open = sock, server, True

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.open = False

    def close(self) -> None:
        self.open = False

    def hang(self) -> None:
        """Say nothing until the client goes away or the test ends."""
        self.server.released.wait(10)
        self.open = False


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None, *, compress: bool = False) -> Act:
    """A whole answer; a body of bytes as it is, any other as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = dict(headers or {})
    if compress:
        data = gzip.compress(data)
        headers["Content-Encoding"] = "gzip"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    raw = f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
    return lambda wire: wire.send(raw)


def status(
    code: int,
    reason: str = "",
    message: str = "",
    causes: Iterable[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Act:
    """A Status, as the API server refuses."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": {"causes": list(causes)}}
    return answer(body, code, headers)


def cut(body: object, keep: int) -> Act:
    """An answer that promises its whole length, and ends after ``keep`` bytes of the body."""
    data = json.dumps(body).encode()

    def act(wire: Wire) -> None:
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:keep])
        wire.close()

    return act


def reset(wire: Wire) -> None:
    wire.reset()


def hang(wire: Wire) -> None:
    wire.hang()


def stream(*parts: object, end: Act | None = None, chunked: bool = True) -> Act:
    """A watch: each part a JSON line (bytes as they are); ``end`` instead of a proper end."""

    def act(wire: Wire) -> None:
        coding = "Transfer-Encoding: chunked" if chunked else "Connection: close"
        wire.send(f"HTTP/1.1 200 OK\r\n{coding}\r\n\r\n".encode())
        for part in parts:
            data = part if isinstance(part, bytes) else json.dumps(part).encode() + b"\n"
            wire.send(f"{len(data):x}\r\n".encode() + data + b"\r\n" if chunked else data)
        if end is not None:
            end(wire)
        elif chunked:
            wire.send(b"0\r\n\r\n")
        else:
            wire.close()

    return act


@dataclass
class FakeServer:
    """Listens on a free port of the loopback. When the script is empty, ``default`` acts."""

    default: Act = field(default_factory=lambda: answer({"kind": "Status", "code": 599}, 599))
    tls: ssl.SSLContext | None = None
    script: deque[Act] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    #: The header lines of the last request, as they were.
    lines: list[str] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        fake = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def setup(self) -> None:
                if fake.tls is not None:
                    self.request = fake.tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle(self) -> None:
                fake.connections += 1
                wire = Wire(self.request, fake)
                while wire.open and (request := _read(self.rfile, fake.lines)):
                    fake.requests.append(request)
                    act = fake.script.popleft() if fake.script else fake.default
                    act(wire)

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    pass
                self.request.close()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that went away is what these tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def play(self, *acts: Act) -> None:
        """Append to the script."""
        self.script.extend(acts)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


def _read(file: Any, lines: list[str]) -> Request | None:
    lines.clear()
    try:
        line = file.readline().decode()
        if not line.strip():
            return None
        method, path, _ = line.split(" ", 2)
        headers: dict[str, str] = {}
        while (head := file.readline().decode().strip()) != "":
            lines.append(head)
            name, _, value = head.partition(":")
            headers[name.lower()] = value.strip()
        return Request(method, path, headers, file.read(int(headers.get("content-length", 0))))
    except (OSError, ValueError):
        return None
