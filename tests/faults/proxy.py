"""A proxy in front of a real API server that does harm: at chosen calls, in chosen ways.

It speaks plain HTTP to the client and the client's own TLS to the server, so that it sees each request. A fault comes
before or after the server has carried the request out: the client cannot tell which, and must end well either way.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from berth.cluster.transport import Response, Stream, Transport, WireError

Fault = Callable[["Call"], None]

#: The namespace is its own only when nothing follows it: /namespaces/x/pods is a list.
_OBJECT = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/[^/]+(?:/[^/]+/[^/]+(?:/.*)?)?|/(?!namespaces/)[^/]+/[^/]+(?:/.*)?)"
)
_VERBS = {"POST": "CREATE", "PUT": "REPLACE", "PATCH": "APPLY", "DELETE": "DELETE"}


def verb_of(method: str, path: str) -> str:
    """GET, LIST, WATCH, CREATE, REPLACE, APPLY, DELETE; or EXEC, which cannot be passed on: it needs an upgrade."""
    url = urlsplit(path)
    if url.path.endswith("/exec"):
        return "EXEC"
    if method != "GET":
        return _VERBS[method]
    if "watch" in parse_qs(url.query):
        return "WATCH"
    return "GET" if _OBJECT.fullmatch(url.path) else "LIST"


@dataclass
class Call:
    """One request under way, for faults to answer."""

    proxy: FaultProxy
    handler: BaseHTTPRequestHandler
    verb: str
    body: bytes | None

    def forward(self) -> Response:
        """Have the server carry it out."""
        headers = {"Content-Type": self.handler.headers.get("Content-Type", "")} if self.body else {}
        return self.proxy.upstream.send(self.handler.command, self.handler.path, self.body, headers, timeout=30)

    def watch(self) -> Stream:
        """Begin the watch on the server."""
        return self.proxy.upstream.stream(self.handler.path, read_timeout=30)

    def answer(
        self, status: int, body: bytes, cut: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer; with ``cut``, promise all and give that many bytes."""
        self.handler.send_response_only(status)
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.handler.close_connection = True

    def refuse(self, status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a Status."""
        body = {"kind": "Status", "code": status, "reason": reason, "message": message}
        self.answer(status, json.dumps(body).encode(), headers=headers)

    def reset(self) -> None:
        """RST."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()
        self.handler.close_connection = True

    def stall(self) -> None:
        """Say nothing more until the client goes away."""
        self.handler.connection.settimeout(30)
        try:
            while self.handler.connection.recv(1024):
                pass
        except OSError:
            pass
        self.handler.close_connection = True

    def begin_stream(self) -> None:
        """The head of a chunked answer."""
        self.handler.send_response_only(200)
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()

    def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the answer."""
        self.handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def pass_on(call: Call, lines: int | None = None) -> Iterator[bytes]:
    """Pass a watch on line by line, and give each; at most ``lines`` that are no bookmark."""
    with call.watch() as stream:
        call.proxy.streams.append(stream)
        call.begin_stream()
        passed = 0
        for line in stream.lines():
            call.chunk(line + b"\n")
            yield line
            passed += b'"BOOKMARK"' not in line
            if passed == lines:
                return


@dataclass
class FaultProxy:
    """``faults`` maps (verb, number of the call from 1) to what happens then."""

    upstream: Transport
    faults: dict[tuple[str, int], Fault] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    #: Watches before the last faulty one end after this many lines, so that there is another one.
    lines: int | None = None
    streams: list[Stream] = field(default_factory=list)
    #: What was done harm to, in order.
    harmed: list[tuple[str, int]] = field(default_factory=list)
    #: What went wrong in the faults themselves.
    mistakes: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that went away is what a fault leads to."""

        self._lock = threading.Lock()
        self._awaited: list[tuple[str, re.Pattern[str], Fault]] = []
        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def once(self, verb: str, pattern: str, fault: Fault) -> None:
        """Let a fault come at the next call of a verb whose path and query the pattern is found in."""
        self._awaited.append((verb, re.compile(pattern), fault))

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """End it and the watches that go through it."""
        self._server.shutdown()
        self._server.server_close()
        for stream in self.streams:
            stream.close()
        self.upstream.close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        verb = verb_of(handler.command, handler.path)
        with self._lock:
            self.calls[verb] += 1
            number = self.calls[verb]
            fault = self.faults.get((verb, number))
            due = next((one for one in self._awaited if one[0] == verb and one[1].search(handler.path)), None)
            if due is not None:
                self._awaited.remove(due)
                fault = due[2]
        call = Call(self, handler, verb, body)
        last = max((other for known, other in self.faults if known == verb), default=0)
        try:
            if fault is not None:
                self.harmed.append((verb, number))
                fault(call)
            elif verb == "WATCH":
                for _ in pass_on(call, self.lines if number < last else None):
                    pass
                call.chunk(b"")
            else:
                response = call.forward()
                call.answer(response.status, response.body)
        except (OSError, WireError):
            handler.close_connection = True
        except Exception as error:
            self.mistakes.append(error)
            handler.close_connection = True
