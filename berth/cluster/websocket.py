"""The client's end of a WebSocket (RFC 6455), as far as ``pods/exec`` needs it: whole messages, no extensions."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from base64 import b64encode
from collections.abc import Sequence
from email.message import Message

from berth.cluster.transport import Broken, Stalled, Stream

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
#: Bytes of one message; the API server sends some ten thousand at a time.
_LONGEST = 1 << 24
#: Seconds of silence after which a ping is sent: load balancers drop a flow in which nothing moves.
PING = 25.0
_CHUNK = 1 << 16


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


class WebSocket:
    """Messages over a connection whose server has switched protocols.

    Every call raises Broken when the connection ends other than by a close, and Stalled at its deadline.
    """

    def __init__(self, stream: Stream, stamp: str, protocols: Sequence[str]) -> None:
        """Take the connection over.

        Raises:
            Broken: the answer is not one to our handshake: something between us and the server made it.
        """
        _check(stream.headers, stamp, protocols)
        self._socket, rest = stream.bare()
        self._rest = bytearray(rest)

    def receive(self, deadline: float) -> bytes | None:
        """The next message, by a deadline of time.monotonic; None when the server closes."""
        parts: list[bytes] = []
        while True:
            sort, final, data = self._frame(deadline)
            if sort == _CLOSE:
                self._send(_CLOSE, data[:2], deadline)
                return None
            if sort == _PING:
                self._send(_PONG, data, deadline)
            elif sort in (_CONTINUATION, _TEXT, _BINARY):
                parts.append(data)
                if sum(map(len, parts)) > _LONGEST:
                    raise Broken("a message is too long")
                if final:
                    return b"".join(parts)

    def _frame(self, deadline: float) -> tuple[int, bool, bytes]:
        head, size = self._read(2, deadline)
        if size & 0x80:
            raise Broken("the server masks what it sends, which no server may")
        if size == 126:
            (size,) = struct.unpack("!H", self._read(2, deadline))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._read(8, deadline))
        if size > _LONGEST:
            raise Broken("a message is too long")
        return head & 0x0F, bool(head & 0x80), self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        while len(self._rest) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Stalled("no end in time")
            self._socket.settimeout(min(left, PING))
            try:
                part = self._socket.recv(_CHUNK)
            except TimeoutError:
                if left > PING:
                    self._send(_PING, b"", deadline)
                continue
            except OSError as error:
                raise Broken(error.strerror or str(error)) from error
            if not part:
                raise Broken("the connection ended")
            self._rest += part
        data = bytes(self._rest[:size])
        del self._rest[:size]
        return data

    def _send(self, sort: int, data: bytes, deadline: float) -> None:
        """One frame of at most 125 bytes, masked as a client's must be."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self._socket.settimeout(max(deadline - time.monotonic(), 0.1))
        try:
            self._socket.sendall(bytes([0x80 | sort, 0x80 | len(data)]) + mask + masked)
        except TimeoutError as error:
            raise Stalled("the server takes nothing") from error
        except OSError as error:
            raise Broken(error.strerror or str(error)) from error


def _check(headers: Message, stamp: str, protocols: Sequence[str]) -> None:
    if headers.get("Upgrade", "").lower() != "websocket" or headers.get("Sec-WebSocket-Accept") != stamp:
        raise Broken("the answer is no WebSocket handshake: a proxy in between may not let it through")
    chosen = headers.get("Sec-WebSocket-Protocol", "")
    if chosen not in protocols:
        raise Broken(f"the server speaks {chosen or 'no protocol'} where it was asked for {' or '.join(protocols)}")
