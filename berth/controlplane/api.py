"""A small client of the API server: JSON over HTTPS with a client certificate, nothing but the standard library.

The components of this room must not import `berth.cluster` (imports point one way), and need only these few verbs.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON = "application/json"


class ApiError(Exception):
    """The API server answered with an error; ``code`` is the HTTP status, ``reason`` the one word that names it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        """Keep what the server said."""
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason


class Unreachable(Exception):
    """The API server does not answer, or stopped in the middle of an answer."""


@dataclass(slots=True)
class Client:
    """One connection, kept open between requests; not for use by two threads at once."""

    server: str
    authority: Path
    certificate: Path
    key: Path
    timeout: float = 10.0
    _connection: http.client.HTTPSConnection | None = field(default=None, repr=False)
    _context: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def of(cls, server: str, pki: Path, identity: str, *, timeout: float = 10.0) -> Client:
        """A client that is ``identity``, a name of `berth.controlplane.pki`."""
        return cls(server, pki / "ca.crt", pki / f"{identity}.crt", pki / f"{identity}.key", timeout)

    def get(self, path: str, **query: str) -> Object:
        """The object or list at the path."""
        return self.request("GET", path, query=query)

    def create(self, path: str, body: Object) -> Object:
        """Create the object in the collection at the path."""
        return self.request("POST", path, body=body)

    def merge(self, path: str, body: Object) -> Object:
        """Merge the body into the object at the path."""
        return self.request("PATCH", path, body=body, kind=MERGE)

    def delete(self, path: str, body: Object | None = None) -> Object:
        """Delete the object at the path."""
        return self.request("DELETE", path, body=body)

    def ready(self) -> bool:
        """Whether the API server says that it is ready; False also when it does not answer at all."""
        try:
            return self.raw("GET", "/readyz")[0] == 200
        except Unreachable:
            return False

    def raw(self, method: str, target: str) -> tuple[int, bytes]:
        """Status and body of an answer that is no JSON, such as a log. Raises Unreachable."""
        return self._exchange(method, target, None, JSON)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        kind: str = JSON,
    ) -> Object:
        """Send one request and give its answer. Raises ApiError or Unreachable."""
        target = f"{path}?{urlencode(query)}" if query else path
        status, payload = self._exchange(method, target, body, kind)
        try:
            answer: Object = json.loads(payload)
        except ValueError as error:
            if status >= 400:
                raise ApiError(status, "", payload[:200].decode(errors="replace")) from error
            raise Unreachable(f"{method} {path}: an answer that is no JSON") from error
        if status >= 400:
            raise ApiError(status, str(answer.get("reason", "")), str(answer.get("message", "")))
        return answer

    def watch(self, path: str, version: str, *, seconds: int = 300) -> Iterator[Object]:
        """Events of the collection since ``version`` until the server ends the stream, which is no error.

        Raises ApiError (410 when the version is too old) or Unreachable, also when the stream falls silent for longer
        than the server may keep it open.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        connection = self._connect(timeout=seconds + 30.0)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}", headers={"Accept": JSON})
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(response.status, response.reason, response.read(300).decode(errors="replace"))
            while line := response.readline():
                event: Object = json.loads(line)
                if event.get("type") == "ERROR":
                    status = event.get("object", {})
                    raise ApiError(int(status.get("code", 500)), status.get("reason", ""), status.get("message", ""))
                yield event
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"watch {path}: {error}") from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, method: str, target: str, body: Object | None, kind: str) -> tuple[int, bytes]:
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Accept": JSON, "Content-Type": kind}
        for attempt in (1, 2):
            kept = self._connection is not None
            try:
                if self._connection is None:
                    self._connection = self._connect(self.timeout)
                self._connection.request(method, target, payload, headers)
                response = self._connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # A kept connection that the server closed meanwhile says nothing about the server: try once more.
                if attempt == 1 and kept and isinstance(error, http.client.RemoteDisconnected | ConnectionError):
                    continue
                raise Unreachable(f"{method} {target}: {error}") from error
        raise AssertionError("unreachable")

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        try:
            if self._context is None:
                self._context = ssl.create_default_context(cafile=str(self.authority))
                self._context.load_cert_chain(self.certificate, self.key)
            url = urlsplit(self.server)
            # Straight to the loopback address: proxies of the environment have no business here.
            connection = http.client.HTTPSConnection(
                url.hostname or "", url.port, timeout=timeout, context=self._context
            )
            connection.connect()
            # Header and body go out in two writes; Nagle's algorithm would hold the second back for 40 ms.
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.server}: {error}") from error
