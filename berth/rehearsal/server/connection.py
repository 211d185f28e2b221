"""One connection: requests read whole, answers written whole, in pieces, or not to the end."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import struct
from contextlib import AbstractContextManager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, unquote

from berth.rehearsal.refusal import ApiError
from berth.rehearsal.server import negotiation
from berth.rehearsal.server.messages import Answer, Request

_log = logging.getLogger(__name__)

#: Bytes of a body (the API server's own limit), and how many of a longer one are read before the refusal is sent:
#: a client that is still writing when its connection is closed does not see why.
LONGEST_BODY = 3 * 1024 * 1024
_DRAINED = 64 * 1024 * 1024
#: Seconds between two pieces of a request that a client has begun.
_STALLED = 60.0


class Behind(Protocol):
    """What is behind a connection."""

    def secured(self, raw: socket.socket) -> socket.socket:
        """A connection after its TLS handshake; as it is where the server speaks plain HTTP."""
        ...

    def counted(self) -> AbstractContextManager[None]:
        """Count a request as under way."""
        ...

    def answer(self, request: Request) -> Answer:
        """Answer a request, whatever happens."""
        ...

    def date(self) -> str:
        """Now, for the Date header."""
        ...


class Listener(Protocol):
    """The listening socket that a connection came from."""

    behind: Behind


def refusal(request: Request, error: ApiError) -> Answer:
    """The answer that an error is."""
    form = negotiation.for_errors(request)
    return Answer(error.code, form.encode(error.to_status()), form.media_type, list(error.headers.items()))


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Without these two, every answer waits some 40 ms for the client's acknowledgement of its first half.
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    @property
    def _behind(self) -> Behind:
        return cast("Listener", self.server).behind

    def setup(self) -> None:
        """Shake hands."""
        self.request = self._behind.secured(self.request)
        super().setup()

    def finish(self) -> None:
        """Send what is left, to those who are still there."""
        with suppress(OSError, ValueError):
            super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self.request.close()

    def handle_one_request(self) -> None:
        """Read a request and answer it."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        self.connection.settimeout(_STALLED)
        if not self.parse_request():
            self.wfile.flush()
            return
        with self._behind.counted():
            self._serve()
        if not self.close_connection:
            self.connection.settimeout(None)

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        if path.startswith(("http://", "https://")):
            path = "/" + path.partition("://")[2].partition("/")[2]
        found = parse_qs(query, keep_blank_values=True, errors="replace")
        headers = cast("Any", self.headers)
        request = Request(self.command, unquote(path, errors="replace"), found, headers)
        try:
            body = self._body()
        except ApiError as error:
            self.close_connection = True
            self._send(refusal(request, error))
            return
        request = Request(request.method, request.path, found, headers, body)
        self._send(self._behind.answer(request))

    def _body(self) -> bytes:
        """The body of the request, none where it has none.

        Raises:
            ApiError: it is too long, or its length is not to be understood.
        """
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunked()
        text = self.headers.get("Content-Length", "0").strip()
        if not text.isdecimal():
            raise ApiError(400, "BadRequest", f'bad Content-Length "{text}"')
        length = int(text)
        if length > LONGEST_BODY:
            self._drain(length)
            raise _too_large()
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            raise ConnectionError("the client has gone in the middle of a body")
        return body

    def _chunked(self) -> bytes:
        parts: list[bytes] = []
        total = 0
        while True:
            size = self.rfile.readline(1024).partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                raise ApiError(400, "BadRequest", "invalid byte in chunk length") from None
            if length < 0 or total + length > LONGEST_BODY:
                self._drain(_DRAINED)
                raise _too_large()
            if length == 0:
                while self.rfile.readline(65537).strip():
                    pass
                return b"".join(parts)
            part = self.rfile.read(length)
            if len(part) < length:
                raise ConnectionError("the client has gone in the middle of a body")
            parts.append(part)
            total += length
            self.rfile.readline(1024)

    def _drain(self, length: int) -> None:
        """Read what the client is sending, up to a bound: only then does it look at the answer."""
        left = min(length, _DRAINED)
        self.connection.settimeout(1.0)
        with suppress(OSError):
            while left > 0:
                part = self.rfile.read1(min(left, 1 << 16))
                if not part:
                    return
                left -= len(part)
        self.connection.settimeout(_STALLED)

    def _send(self, answer: Answer) -> None:
        if answer.cut in ("before", "after"):
            self._break()
            return
        self.send_response_only(answer.code)
        self.send_header("Date", self.date_time_string())
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.upgrade is not None:
            self.end_headers()
            self.wfile.flush()
            self.close_connection = True
            self.connection.settimeout(None)
            answer.upgrade(_Channel(self))
            return
        self.send_header("Content-Type", answer.content_type)
        if not any(name == "Cache-Control" for name, _ in answer.headers):
            self.send_header("Cache-Control", "no-cache, private")
        if answer.stream is not None:
            self._stream(answer)
            return
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if answer.cut:
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.wfile.flush()
            self._break()
            return
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _break(self) -> None:
        """Reset the connection, as a network does that fails."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _stream(self, answer: Answer) -> None:
        chunked = self.request_version >= "HTTP/1.1"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        pieces = _Pieces(self, chunked, cut=bool(answer.cut))
        try:
            assert answer.stream is not None
            answer.stream(pieces)
        except OSError:
            self.close_connection = True
            return
        except Exception:
            # The head is out: all that can be done is to end the connection, so that nobody takes this for the end.
            self.close_connection = True
            _log.exception("%s %s failed", self.command, self.path)
            return
        pieces.end()

    def handle_expect_100(self) -> bool:
        """Let the client send its body."""
        found = super().handle_expect_100()
        self.wfile.flush()
        return found

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP request that can be read, with a Status like all other errors."""
        words = message or HTTPStatus(code).phrase
        self.close_connection = True
        request = Request(self.command or "GET", "", {}, {})
        self._send(refusal(request, ApiError(int(code), "BadRequest" if code == 400 else "", words)))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The time of the world."""
        return self._behind.date()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""

    def gone(self) -> bool:
        """Whether the client of a stream has hung up: it sends nothing while it reads, but the end."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN | select.POLLHUP | select.POLLERR)
        if not poll.poll(0):
            return False
        self.connection.setblocking(False)
        try:
            return not self.connection.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(_STALLED)


class _Pieces:
    """An answer that is sent in pieces."""

    def __init__(self, handler: Handler, chunked: bool, *, cut: bool) -> None:
        self._handler = handler
        self._chunked = chunked
        self._cut = cut

    def send(self, data: bytes) -> None:
        """Send one, now."""
        if not data:
            return
        wfile = self._handler.wfile
        if self._cut:
            wfile.write(b"%x\r\n%b" % (len(data), data[: len(data) // 2]))
            wfile.flush()
            raise ConnectionError("the connection is to break here")
        wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        wfile.flush()

    def gone(self) -> bool:
        """Whether nobody reads any more."""
        return self._handler.gone()

    def end(self) -> None:
        """Say that this was all."""
        if self._chunked:
            with suppress(OSError):
                self._handler.wfile.write(b"0\r\n\r\n")
                self._handler.wfile.flush()


class _Channel:
    """A connection that speaks no HTTP any more."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        data = self._handler.rfile.read(count)
        if len(data) < count:
            raise ConnectionError("the client has gone")
        return data

    def write(self, data: bytes) -> None:
        """Send them now."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()


def _too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LONGEST_BODY}")
