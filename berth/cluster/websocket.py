"""The client's end of a WebSocket (RFC 6455), as far as ``pods/exec`` and ``pods/portforward`` need it.

Whole messages, no extensions.
"""

from __future__ import annotations

import hashlib
import math
import os
import select
import ssl
import struct
import time
from base64 import b64encode
from collections.abc import Sequence
from email.message import Message

from berth.cluster.kube import Kube
from berth.cluster.refusals import Status
from berth.cluster.transport import Broken, Stalled, Stream
from berth.core.errors import DeniedError, TargetError

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
#: Bytes of one message; the API server sends some ten thousand at a time.
_LONGEST = 1 << 24
#: Seconds of silence after which a ping is sent: load balancers drop a flow in which nothing moves.
PING = 25.0
_CHUNK = 1 << 16
#: What an API server says to a request that has lost its Upgrade header on the way.
_NO_UPGRADE = "Upgrade request required"
#: Nothing to read now, or no room to write.
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def handshake(protocols: Sequence[str]) -> tuple[dict[str, str], str]:
    """The headers of a request to switch to a WebSocket, and what tells `WebSocket` that the answer is to it."""
    key = b64encode(os.urandom(16)).decode()
    stamp = b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()
    headers = {
        "Accept": "*/*",  # The answer is no object: to a wish for JSON the API server says 406.
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": ", ".join(protocols),
    }
    return headers, stamp


def open_socket(
    kube: Kube, path: str, protocols: Sequence[str], verb: str, what: str, timeout: float
) -> WebSocket | Status:
    """Switch to a WebSocket, or the refusal; ``verb`` and ``what`` say in errors what it is for.

    Raises:
        Stalled: no answer within ``timeout`` seconds; the server may have acted.
        Broken: the connection was lost before it; the server may have acted.
        TargetError: the API server cannot be reached.
        DeniedError: something on the way to the cluster stops WebSockets.
    """
    headers, stamp = handshake(protocols)
    try:
        opened = kube.session.upgrade(path, headers, verb, what, timeout=timeout)
    except TargetError as error:
        if isinstance(error.__cause__, Stalled | Broken):
            raise error.__cause__ from None
        raise
    if isinstance(opened, Status):
        if _NO_UPGRADE not in opened.message:
            return opened
        raise DeniedError(
            f"cannot {verb} {what}: a proxy on the way to the cluster does not let WebSockets through",
            where=kube.description,
            why=opened.message,
            hint="allow the header Upgrade there, or reach the API server without it",
        )
    try:
        return WebSocket(opened, stamp, protocols)
    except BaseException:
        opened.close()
        raise


class WebSocket:
    """Messages over a connection whose server has switched protocols; for one thread.

    Only ``receive`` waits. Whoever waits for other things at the same time polls ``fileno`` for ``events``, and then
    calls ``take`` until it has nothing more. TLS allows no second thread: OpenSSL's connections are not made for two.

    Every call raises Broken when the connection ends other than by a close.
    """

    def __init__(self, stream: Stream, stamp: str, protocols: Sequence[str]) -> None:
        """Take the connection over.

        Raises:
            Broken: the answer is not one to our handshake: something between us and the server made it.
        """
        _check(stream.headers, stamp, protocols)
        self._stream = stream
        self._socket, rest = stream.bare()
        self._in, self._out = bytearray(rest), bytearray()
        self._parts: list[bytes] = []
        #: Whether the server has closed; what it had said before was taken by then.
        self.closed = False

    def __enter__(self) -> WebSocket:
        """For ``with``, which ends the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._stream.close()

    def fileno(self) -> int:
        """What to poll."""
        return self._socket.fileno()

    @property
    def events(self) -> int:
        """What to poll it for."""
        return select.POLLIN | (select.POLLOUT if self._out else 0)

    @property
    def unsent(self) -> int:
        """Bytes that the server has not taken yet."""
        return len(self._out)

    def receive(self, deadline: float) -> bytes | None:
        """The next message, by a deadline of time.monotonic; None when the server closes.

        Raises:
            Stalled: there is none by then.
        """
        while (message := self.take()) is None and not self.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Stalled("no end in time")
            poll = select.poll()
            poll.register(self, self.events)
            if not poll.poll(math.ceil(min(left, PING) * 1000)) and left > PING:
                self.ping()
        return message

    def take(self) -> bytes | None:
        """The next message, where one has arrived whole; None also once the server has closed."""
        self.flush()
        while not self.closed:
            frame = self._frame()
            if frame is None:
                if not self._fill():
                    return None
                continue
            sort, final, data = frame
            if sort == _CLOSE:
                self._send(_CLOSE, data[:2])
                self.closed = True
            elif sort == _PING:
                self._send(_PONG, data)
            elif sort in (_CONTINUATION, _TEXT, _BINARY):
                self._parts.append(data)
                if sum(map(len, self._parts)) > _LONGEST:
                    raise Broken("a message is too long")
                if final:
                    message, self._parts = b"".join(self._parts), []
                    return message
        return None

    def send(self, data: bytes) -> None:
        """Send a message, or keep what the server does not take now; ``flush`` and ``take`` send more of it."""
        self._send(_BINARY, data)

    def ping(self) -> None:
        """Let something move on the connection."""
        self._send(_PING, b"")

    def flush(self) -> None:
        """Send of what is kept as much as the server takes now."""
        try:
            while self._out:
                del self._out[: self._socket.send(self._out[:_CHUNK])]
        except _LATER:
            return
        except OSError as error:
            raise Broken(error.strerror or str(error)) from error

    def _fill(self) -> bool:
        """Read what is there; whether there was something."""
        try:
            part = self._socket.recv(_CHUNK)
        except _LATER:
            return False
        except OSError as error:
            raise Broken(error.strerror or str(error)) from error
        if not part:
            raise Broken("the connection ended")
        self._in += part
        return True

    def _frame(self) -> tuple[int, bool, bytes] | None:
        """The next frame, None where it has not arrived whole."""
        if len(self._in) < 2:
            return None
        head, size, at = self._in[0], self._in[1], 2
        if size & 0x80:
            raise Broken("the server masks what it sends, which no server may")
        if size > 125:
            at = 4 if size == 126 else 10
            if len(self._in) < at:
                return None
            size = int.from_bytes(self._in[2:at])
        if size > _LONGEST:
            raise Broken("a message is too long")
        if len(self._in) < at + size:
            return None
        data = bytes(self._in[at : at + size])
        del self._in[: at + size]
        return head & 0x0F, bool(head & 0x80), data

    def _send(self, sort: int, data: bytes) -> None:
        """One frame, masked as a client's must be."""
        size = len(data)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 1 << 16:
            length = struct.pack("!BH", 0x80 | 126, size)
        else:
            length = struct.pack("!BQ", 0x80 | 127, size)
        mask = os.urandom(4)
        # As one number: a loop over the bytes takes a hundred times as long.
        pad = int.from_bytes((mask * (size // 4 + 1))[:size])
        masked = (int.from_bytes(data) ^ pad).to_bytes(size)
        self._out += bytes([0x80 | sort]) + length + mask + masked
        self.flush()


def _check(headers: Message, stamp: str, protocols: Sequence[str]) -> None:
    if headers.get("Upgrade", "").lower() != "websocket" or headers.get("Sec-WebSocket-Accept") != stamp:
        raise Broken("the answer is no WebSocket handshake: a proxy in between may not let it through")
    chosen = headers.get("Sec-WebSocket-Protocol", "")
    if chosen not in protocols:
        raise Broken(f"the server speaks {chosen or 'no protocol'} where it was asked for {' or '.join(protocols)}")
