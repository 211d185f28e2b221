"""HTTP/1.1 to one API server: kept-alive connections, TLS with client certificates, proxies, deadlines, streams.

Built on the standard library's ``http.client``: importing urllib3 costs as much again as the whole of this, and twice
the processor time for each request (docs/decisions/0003-kubernetes-client.md has the numbers).

What can go wrong is told apart by one question that a retry has to answer, may the server have acted on the request?
``Unreachable``: no. ``Broken`` and ``Stalled``: nobody knows.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from berth import __version__
from berth.cluster.endpoint import Endpoint

#: Seconds to connect, TLS included.
CONNECT_TIMEOUT = 10.0
#: A connection that was idle for longer is not trusted again: load balancers drop idle flows without a word.
MAX_IDLE = 55.0
CHUNK = 1 << 16
#: What waits idle at most; more connections may be in use at a moment of high concurrency.
MAX_KEPT = 64


class WireError(Exception):
    """A request got no whole answer."""


class Unreachable(WireError):
    """No connection came to be, so the server never saw the request; ``kind``: refused, dns, tls, timeout, proxy."""

    def __init__(self, kind: str, text: str) -> None:
        """Say which step failed and how."""
        super().__init__(text)
        self.kind = kind


class Broken(WireError):
    """The connection ended before a whole answer; the server may have acted."""


class Stalled(WireError):
    """No byte for too long; the server may have acted, or still will."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)


class _Connection(http.client.HTTPConnection):
    """One connection; TLS only for https, and by the name that the kubeconfig tells."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, session: ssl.SSLSession | None) -> None:
        """Prepare; nothing is sent before the first request."""
        url = urlsplit(endpoint.server)
        self._tls, self._session = context, session
        self._server_name = endpoint.tls_server_name or url.hostname or ""
        self.idle_since = 0.0
        #: Whether it has answered at most once.
        self.fresh = True
        #: The socket, also after http.client has handed it over to a response that ends with the connection.
        self.raw: socket.socket | None = None
        self.default_port = 80 if context is None else 443
        host, port = url.hostname or "", url.port or self.default_port
        proxy = urlsplit(endpoint.proxy) if endpoint.proxy else None
        first = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        super().__init__(*first, timeout=CONNECT_TIMEOUT)
        if proxy:
            headers = {}
            if proxy.username is not None:
                pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
                headers["Proxy-Authorization"] = "Basic " + b64encode(pair.encode()).decode()
            self.set_tunnel(host, port, headers)

    def connect(self) -> None:
        """TCP, the proxy's tunnel if there is one, TLS."""
        super().connect()
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name, session=self._session)
        self.raw = self.sock

    def wait(self, seconds: float) -> None:
        """Let the next read or write take that long."""
        if self.raw is not None:
            self.raw.settimeout(seconds)

    @property
    def session(self) -> ssl.SSLSession | None:
        """The TLS session, with which the next connection needs half of the handshake."""
        return self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None

    def alive(self) -> bool:
        """Whether the server seems to hold its end: nothing may have arrived while nothing was asked."""
        if self.sock is None or time.monotonic() - self.idle_since > MAX_IDLE:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)


class Transport:
    """Sends requests from any number of threads, at most ``concurrency`` at a time; streams are not counted."""

    def __init__(self, endpoint: Endpoint, *, concurrency: int = 32) -> None:
        """Prepare the TLS context; nothing is sent."""
        self.endpoint = endpoint
        url = urlsplit(endpoint.server)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise Unreachable("server", f"{endpoint.server!r} is not an http(s) URL with a host")
        if endpoint.proxy and urlsplit(endpoint.proxy).scheme not in ("http", ""):
            raise Unreachable("proxy", "only http:// proxies are supported (the traffic inside is TLS all the same)")
        self._prefix = url.path.rstrip("/")
        self._common = [("Accept", "application/json"), ("User-Agent", f"berth/{__version__}"), *endpoint.identity]
        if not url.hostname.startswith("127.") and url.hostname != "localhost":
            # The API server compresses answers over 128 KiB; on the loopback that costs more than it saves.
            self._common.append(("Accept-Encoding", "gzip"))
        self._tls = endpoint.tls() if url.scheme == "https" else None
        self._session: ssl.SSLSession | None = None
        self._idle: list[_Connection] = []
        self._closed = False
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(concurrency)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float,
    ) -> Response:
        """One request, one whole answer, whatever its status; ``timeout`` seconds bound all of it.

        Raises:
            Unreachable, Broken, Stalled: see the module.
        """
        with self._slots:
            deadline = time.monotonic() + timeout
            connection = self._connection()
            try:
                response = self._begin(connection, method, path, body, headers, timeout)
                data = _read_all(connection, response, deadline)
            except BaseException:
                connection.close()
                raise
            if response.will_close:
                connection.close()
            else:
                self._keep(connection)
            return Response(response.status, response.headers, data)

    def stream(self, path: str, *, read_timeout: float, headers: Mapping[str, str] | None = None) -> Stream:
        """Begin a GET whose answer is read line by line; ``read_timeout`` seconds without a byte end it.

        With headers that ask for it, the answer may switch protocols: then ``Stream.bare`` is what is left.

        Raises:
            Unreachable, Broken, Stalled: see the module.
        """
        connection = self._connection()
        try:
            response = self._begin(connection, "GET", path, None, headers, read_timeout)
        except BaseException:
            connection.close()
            raise
        return Stream(connection, response)

    def close(self) -> None:
        """Close what is idle now, and from now on what becomes idle: a thread may still be at its last request."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connection(self) -> _Connection:
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            if kept is None:
                return _Connection(self.endpoint, self._tls, self._session)
            if kept.alive():
                return kept
            kept.close()

    def _keep(self, connection: _Connection) -> None:
        connection.idle_since = time.monotonic()
        if connection.fresh:  # Reading the session costs as much as a request.
            connection.fresh = False
            self._session = connection.session or self._session
        with self._lock:
            if len(self._idle) < MAX_KEPT and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _begin(
        self,
        connection: _Connection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        timeout: float,
    ) -> http.client.HTTPResponse:
        if connection.sock is None:
            _connect(connection, min(CONNECT_TIMEOUT, timeout))
        connection.wait(timeout)
        try:
            connection.putrequest(method, self._prefix + path, skip_accept_encoding=True)
            for name, value in self._common:
                if headers is None or name not in headers:
                    connection.putheader(name, value)
            for name, value in (*self.endpoint.credentials.headers().items(), *(headers or {}).items()):
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return connection.getresponse()
        except TimeoutError as error:
            raise Stalled(f"no answer for {timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise Broken(_words(error)) from error


def _connect(connection: _Connection, timeout: float) -> None:
    connection.timeout = timeout
    try:
        connection.connect()
    except socket.gaierror as error:
        raise Unreachable("dns", f"the name does not resolve: {error.strerror}") from error
    except ssl.SSLCertVerificationError as error:
        raise Unreachable("tls", f"its certificate cannot be trusted: {error.verify_message}") from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        raise Unreachable("network", "the server closed the connection during the TLS handshake") from error
    except ssl.SSLError as error:
        raise Unreachable("tls", f"TLS failed: {error.reason or error}") from error
    except TimeoutError as error:
        raise Unreachable("timeout", f"no connection within {timeout:g} s") from error
    except ConnectionRefusedError as error:
        raise Unreachable("refused", "nothing listens there (connection refused)") from error
    except OSError as error:
        kind = "proxy" if str(error).startswith("Tunnel connection failed") else "network"
        raise Unreachable(kind, _words(error)) from error
    except http.client.HTTPException as error:
        raise Unreachable("network", _words(error)) from error


def _words(error: Exception) -> str:
    """An exception of the network in words, never empty."""
    if isinstance(error, http.client.RemoteDisconnected):
        return "the server closed the connection without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut short"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


def _read_all(connection: _Connection, response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole body, unpacked; a server that sends a byte now and then cannot go on past the deadline."""
    parts = []
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Stalled("the answer took too long to arrive")
            connection.wait(left)
            part = response.read1(CHUNK) if response.length is None or response.length > CHUNK else response.read()
            if not part:
                break
            parts.append(part)
            if response.isclosed():
                break
        if response.length:
            raise Broken("the answer was cut short")
        response.close()
    except TimeoutError as error:
        raise Stalled("the answer stopped in the middle") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Broken(_words(error)) from error
    data = b"".join(parts)
    if response.headers.get("Content-Encoding") == "gzip":
        try:
            return zlib.decompress(data, wbits=31)
        except zlib.error as error:
            raise Broken("the answer was cut short") from error
    return data


class Stream:
    """The lines of an endless answer. ``close`` may be called from any thread and ends a read under way."""

    def __init__(self, connection: _Connection, response: http.client.HTTPResponse) -> None:
        """Take over a connection whose answer has begun."""
        self._connection = connection
        self._response = response
        self._socket = connection.raw
        self.status = response.status
        self.headers = response.headers

    def __enter__(self) -> Stream:
        """For ``with``, which closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def read(self, timeout: float = 10.0) -> bytes:
        """All of it, for an answer that turned out to be an error."""
        return _read_all(self._connection, self._response, time.monotonic() + timeout)

    def bare(self) -> tuple[socket.socket, bytes]:
        """The connection below an answer that switched protocols, and what has come in over it behind that answer."""
        if self._socket is None:
            raise Broken("the connection is closed")
        self._socket.setblocking(False)
        try:
            return self._socket, self._response.fp.peek()
        except ssl.SSLWantReadError:
            return self._socket, b""
        except OSError as error:
            raise Broken(_words(error)) from error

    def lines(self, *, last: bool = False) -> Iterator[bytes]:
        """Whole lines without their end, as they arrive; ``last``: also a last one that has no end.

        Raises:
            Broken, Stalled: the stream ended other than by the server's will.
        """
        unpack: Callable[[bytes], bytes] | None = None
        if self.headers.get("Content-Encoding") == "gzip":
            unpack = zlib.decompressobj(wbits=31).decompress
        rest = b""
        try:
            while part := self._response.read1(CHUNK):
                *whole, rest = (rest + (unpack(part) if unpack else part)).split(b"\n")
                yield from whole
            if last and rest:
                yield rest
        except TimeoutError as error:
            raise Stalled("the stream fell silent") from error
        except (OSError, http.client.HTTPException, ValueError, AttributeError, zlib.error) as error:
            # ValueError and AttributeError: close() took the connection away under the read.
            raise Broken(_words(error)) from error

    def close(self) -> None:
        """End it; a thread that waits in ``lines`` wakes at once."""
        sock = self._socket
        if sock is not None:
            try:
                # close() alone would leave a thread that is blocked in recv where it is.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass
        self._connection.close()
        self._response.close()
