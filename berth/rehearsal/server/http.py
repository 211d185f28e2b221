"""The server: its listening socket, who may ask, and what is left of an error.

A thread for each connection, from the standard library's socketserver and http.server; why these is in
docs/decisions/0009-rehearsal-http.md.
"""

from __future__ import annotations

import hmac
import logging
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from berth.core.errors import LocalError
from berth.rehearsal.faults import ApiFaults
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.server import routes
from berth.rehearsal.server.connection import Handler, refusal
from berth.rehearsal.server.messages import Answer, Request, Site

if TYPE_CHECKING:
    from berth.rehearsal.server.certificate import Certificate
    from berth.rehearsal.world import World

_log = logging.getLogger(__name__)

#: Seconds that a client has for its TLS handshake.
_HANDSHAKE = 10.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Server:
    """A server that answers until it is closed."""

    def __init__(self, world: World, *, host: str, port: int, token: str, certificate: Certificate | None) -> None:
        """See `berth.rehearsal.server.serve`."""
        if host not in _LOOPBACK:
            raise LocalError(f"a rehearsal listens on this machine alone, not on {host}", hint="127.0.0.1")
        if not token.isascii() or not token:
            raise LocalError("the token of a rehearsal must be ASCII text")
        self._world = world
        self._token = token.encode("ascii")
        self._context = _context(certificate) if certificate else None
        self._open = 0
        self._last_used = time.monotonic()
        self._counting = threading.Lock()
        try:
            self._sockets = _Sockets(self, host, port)
        except OSError as error:
            raise LocalError(
                f"port {port} is taken",
                where=f"{host}:{port}",
                why=error.strerror or str(error),
                hint="another port, or none: then a free one is chosen",
            ) from error
        self.host = host
        self._site = Site(world, ApiFaults(world), f"{host}:{self.port}")
        self._thread = threading.Thread(target=self._sockets.serve_forever, args=(0.05,), name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._sockets.server_address[1])

    @property
    def url(self) -> str:
        """Where it is, for a kubeconfig."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._context else 'http'}://{host}:{self.port}"

    @property
    def last_used(self) -> float:
        """When a request was last under way, an open watch among them, in the seconds of time.monotonic()."""
        with self._counting:
            return time.monotonic() if self._open else self._last_used

    @property
    def idle_seconds(self) -> float:
        """Seconds since a request, or a watch, was last under way."""
        return max(0.0, time.monotonic() - self.last_used)

    def close(self) -> None:
        """Stop listening, and end every connection, with the watches on them."""
        self._sockets.stop()
        self._sockets.server_close()
        self._sockets.hang_up()
        with self._world.lock:
            self._world.news.notify_all()
        self._thread.join()

    def secured(self, raw: socket.socket) -> socket.socket:
        """A connection after its TLS handshake; as it is where the server speaks plain HTTP."""
        if self._context is None:
            return raw
        raw.settimeout(_HANDSHAKE)
        secured = self._context.wrap_socket(raw, server_side=True)
        secured.settimeout(None)
        return secured

    def answer(self, request: Request) -> Answer:
        """Answer a request, whatever happens."""
        try:
            self._check_token(request)
            return routes.answer(self._site, request)
        except ApiError as error:
            return refusal(request, error)
        except LocalError as error:
            # A state that cannot be saved, mostly; the world logs when that begins, and not every request.
            _log.debug("%s %s: %s", request.method, request.path, error)
            return refusal(request, _internal(str(error)))
        except RecursionError:
            # A patch on top of a patch may go deeper than any body; nothing of it has been written yet.
            return refusal(request, bad_request("exceeded max depth"))
        except Exception as error:
            _log.exception("%s %s failed", request.method, request.path)
            return refusal(request, _internal(f"{type(error).__name__}: {error}"))

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.header("Authorization").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token):
            raise ApiError(401, "Unauthorized", "Unauthorized")

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request as under way."""
        with self._counting:
            self._open += 1
        try:
            yield
        finally:
            with self._counting:
                self._open -= 1
                self._last_used = time.monotonic()

    def date(self) -> str:
        """Now, for the Date header, in virtual time."""
        with self._world.lock:
            return formatdate(self._world.clock.now(), usegmt=True)


def _internal(words: str) -> ApiError:
    details = {"causes": [{"message": words}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {words}", details)


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate.certificate, certificate.key)
    except (OSError, ssl.SSLError) as error:
        raise LocalError(
            "the server's certificate cannot be read",
            where=str(certificate.certificate),
            why=str(error),
            hint="delete it and its key: they are made anew",
        ) from error
    return context


class _Sockets(socketserver.ThreadingTCPServer):
    """The listening socket, and the connections it has taken."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, server: Server, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.behind = server
        self.host = host
        self._stopping = False
        self._connections: set[socket.socket] = set()
        self._changing = threading.Lock()
        super().__init__((host, port), Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._changing:
            self._connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changing:
                self._connections.discard(request)

    def stop(self) -> None:
        """Take no more connections. The loop looks for that only now and then, or when one comes: so one comes."""
        self._stopping = True
        stopping = threading.Thread(target=self.shutdown, daemon=True)
        stopping.start()
        while stopping.is_alive():
            with suppress(OSError):
                socket.create_connection((self.host, int(self.server_address[1])), timeout=1.0).close()
            stopping.join(0.01)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is taken."""
        return not self._stopping

    def hang_up(self) -> None:
        """End every connection."""
        with self._changing:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or that speaks no TLS, is no event; what else gets here is a fault of ours."""
        error = sys.exception()
        if isinstance(error, (OSError, EOFError)):
            _log.debug("connection from %s: %s", client_address, error)
        else:
            _log.exception("connection from %s failed", client_address)
