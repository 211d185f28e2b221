"""Requests to one API server with all that surrounds them: credentials, retries, warnings, and errors in words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from berth.cluster.refusals import Status, read_status, refusal
from berth.cluster.retry import GivenUp, Outcome, Retry
from berth.cluster.transport import Broken, Response, Stream, Transport, Unreachable, WireError
from berth.core.errors import BerthError, ClusterError, TargetError
from berth.core.objects import Json

#: Seconds for one try. Writes may wait for admission webhooks, which the API server gives up to 30 s.
READ_TIMEOUT = 30.0
WRITE_TIMEOUT = 40.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One try on the wire, for counting and debugging: never a body; status 0 when no answer came."""

    method: str
    path: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The JSON (or text) of a success, or the Status of a refusal."""

    body: Any
    refused: Status | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """A try to switch protocols: the connection, or the refusal twice over, for whoever retries."""

    result: Stream | Status
    refused: Status | None


class Session:
    """What ``Kube`` speaks through. ``observe`` is called with every Exchange, from any thread."""

    def __init__(
        self,
        transport: Transport,
        description: str = "",
        *,
        retry: Retry | None = None,
        observe: Callable[[Exchange], None] | None = None,
        read_timeout: float = READ_TIMEOUT,
        write_timeout: float = WRITE_TIMEOUT,
    ) -> None:
        """Take the transport; nothing is sent."""
        self.description = description or transport.endpoint.server
        self.retry = retry or Retry()
        self.observe = observe
        self._transport = transport
        self._timeouts = {True: read_timeout, False: write_timeout}
        self._warnings: dict[str, None] = {}
        self._date: tuple[str, float] = ("", 0.0)
        self._lock = threading.Lock()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server warned of (deprecated versions and the like), each once."""
        with self._lock:
            return tuple(self._warnings)

    def server_time(self) -> datetime:
        """What the server's clock says now, by the Date of its last answer, to the second; ours when it never spoke."""
        date, heard = self._date
        if not date:
            return datetime.now(UTC)
        return parsedate_to_datetime(date) + timedelta(seconds=time.monotonic() - heard)

    def close(self) -> None:
        """Stop waiting for retries and close idle connections; a call under way ends with its last failure."""
        self.retry.stopped.set()
        self._transport.close()

    def checked(self, reply: Reply, verb: str, what: str, sent: Json | None = None) -> Any:
        """The body of a reply, or the error that its refusal means."""
        if reply.refused is not None:
            raise refusal(reply.refused, verb, what, self.description, sent)
        return reply.body

    def ask(
        self,
        method: str,
        path: str,
        verb: str,
        what: str,
        body: Json | Sequence[Json] | None = None,
        content_type: str = "application/json",
        *,
        repeatable: bool = True,
        contended: bool = False,
        text: bool = False,
    ) -> Outcome[Reply]:
        """Send, again and again where that may help; refusals are given back, so that the verb can tell what they mean.

        Raises:
            TargetError: no answer.
            ClusterError: the server kept saying that it is in trouble.
        """
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        renewed = False

        def once() -> Reply:
            nonlocal renewed
            response = self._send(method, path, data, headers)
            if response.status == 401 and not renewed:
                renewed = True
                if self._transport.endpoint.credentials.renew():
                    response = self._send(method, path, data, headers)
            return _read_reply(response, text)

        try:
            return self.retry.run(once, repeatable=repeatable, contended=contended)
        except GivenUp as error:
            raise self._gave_up(error, verb, what) from error.wire

    def open(self, path: str, verb: str, what: str, *, read_timeout: float) -> Stream:
        """Begin a stream, once; the caller repeats.

        Raises:
            WireError: the connection failed.
            BerthError: the server refused.
        """
        opened = self._open("WATCH", path, 200, read_timeout)
        if isinstance(opened, Stream):
            return opened
        raise refusal(opened, verb, what, self.description)

    def upgrade(
        self, path: str, headers: Mapping[str, str], verb: str, what: str, *, timeout: float
    ) -> Stream | Status:
        """Begin to speak another protocol, which ``headers`` ask for; or the refusal.

        What the server may have acted upon is not sent again.

        Raises:
            TargetError: no answer.
            ClusterError: the server kept saying that it is in trouble.
        """

        def once() -> _Opened:
            opened = self._open("EXEC", path, 101, timeout, headers)
            return _Opened(opened, None) if isinstance(opened, Stream) else _Opened(opened, opened)

        try:
            return self.retry.run(once, repeatable=False).answer.result
        except GivenUp as error:
            raise self._gave_up(error, verb, what) from error.wire

    def _open(
        self, name: str, path: str, wanted: int, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Stream | Status:
        """A stream whose status is the wanted one, or the refusal; ``name`` is what the exchange is noted as."""
        stream = self._stream(name, path, timeout, headers)
        if stream.status == 401 and self._transport.endpoint.credentials.renew():
            stream.close()
            stream = self._stream(name, path, timeout, headers)
        if stream.status == wanted:
            return stream
        try:
            return read_status(stream.status, stream.read(), stream.headers)
        finally:
            stream.close()

    def _stream(self, name: str, path: str, timeout: float, headers: Mapping[str, str] | None) -> Stream:
        begun = time.monotonic()
        stream = self._transport.stream(path, read_timeout=timeout, headers=headers)
        try:
            self._note(name, path, stream.status, begun)
        except BaseException:
            stream.close()
            raise
        return stream

    def _send(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Response:
        begun = time.monotonic()
        try:
            response = self._transport.send(method, path, data, headers, timeout=self._timeouts[method == "GET"])
        except WireError:
            self._note(method, path, 0, begun)
            raise
        self._note(method, path, response.status, begun)
        self._date = (response.headers.get("Date", ""), time.monotonic())
        for warning in response.headers.get_all("Warning") or ():
            # 299 - "the text"
            with self._lock:
                self._warnings[warning.partition('"')[2].removesuffix('"').replace('\\"', '"') or warning] = None
        return response

    def _note(self, method: str, path: str, status: int, begun: float) -> None:
        if self.observe is not None:
            self.observe(Exchange(method, path, status, time.monotonic() - begun))

    def _gave_up(self, error: GivenUp, verb: str, what: str) -> BerthError:
        tries = f"after {error.tries} tries in {error.seconds:.0f} s" if error.tries > 1 else ""
        if error.status is not None:
            return ClusterError(
                f"cannot {verb} {what} {tries}".rstrip(),
                why=str(error),
                hint="the API server or what it relies on is in trouble: try again later",
            )
        if isinstance(error.wire, Unreachable) and not self.retry.reached:
            return TargetError(
                "the cluster cannot be reached",
                where=self.description,
                why=str(error),
                hint=_reach_hint(error.wire.kind),
            )
        if error.tries == 1 and not isinstance(error.wire, Unreachable):
            return TargetError(
                f"cannot say whether {what} was changed: the answer to {verb} was lost",
                where=self.description,
                why=str(error),
                hint="run the same command again",
            )
        return TargetError(
            f"the cluster does not answer: cannot {verb} {what} {tries}".rstrip(),
            where=self.description,
            why=str(error),
            hint="run the same command again when it does",
        )


def _read_reply(response: Response, text: bool) -> Reply:
    if response.status >= 400:
        return Reply(None, read_status(response.status, response.body, response.headers))
    if response.status >= 300:
        where = response.headers.get("Location", "elsewhere")
        raise TargetError("what answers there is no Kubernetes API", why=f"it redirects to {where}")
    if text:
        return Reply(response.body.decode("utf-8", "replace"))
    try:
        body = json.loads(response.body)
    except ValueError:
        if response.body.lstrip()[:1] == b"<":
            raise TargetError(
                "what answers there is no Kubernetes API",
                why="it answers with HTML",
                hint="check the server's URL and the proxy",
            ) from None
        raise Broken("the answer was cut short: it is no whole JSON") from None
    if not isinstance(body, dict):
        raise Broken("the answer is no JSON object")
    return Reply(body)


def _reach_hint(kind: str) -> str:
    return {
        "refused": "is the cluster running? check the server's address and port in the kubeconfig",
        "dns": "check the server's name in the kubeconfig, and the VPN",
        "tls": "check certificate-authority and tls-server-name in the kubeconfig, and the machine's clock",
        "timeout": "check the VPN, the firewall and the proxy",
        "proxy": "check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY",
    }.get(kind, "try again; if it stays so, check the server's address in the kubeconfig")
