"""WebSocket (RFC 6455), as far as exec needs it: one client, binary messages, no extensions."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Sequence

from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.server.messages import Channel, Request

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
#: Bytes of one message that are read at most: what a client pastes into a shell.
_LONGEST = 1 << 20
_NORMAL = 1000


def wanted(request: Request) -> bool:
    """Whether a request asks for a WebSocket."""
    return _upgrade(request) == "websocket"


def wanted_other(request: Request) -> str:
    """Another protocol that a request asks for, such as SPDY, which is not spoken here; "" for none."""
    return _upgrade(request).replace("websocket", "")


def _upgrade(request: Request) -> str:
    return request.header("Upgrade").lower() if "upgrade" in request.header("Connection").lower() else ""


def accept(request: Request, protocols: Sequence[str]) -> list[tuple[str, str]]:
    """The headers that say yes, with the first of the client's protocols that is spoken here.

    Raises:
        ApiError: the request is no good handshake, or none of its protocols is spoken.
    """
    key = request.header("Sec-WebSocket-Key")
    try:
        good = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        good = False
    if not good or request.header("Sec-WebSocket-Version") != "13":
        raise bad_request("the WebSocket handshake is not one of RFC 6455, version 13")
    asked = [word.strip() for word in request.header("Sec-WebSocket-Protocol").split(",")]
    chosen = next((word for word in asked if word in protocols), None)
    if chosen is None:
        words = f"unable to negotiate a subprotocol: {', '.join(asked)} offered, {', '.join(protocols)} spoken"
        raise ApiError(400, "BadRequest", words)
    stamp = base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()
    return [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", stamp),
        ("Sec-WebSocket-Protocol", chosen),
    ]


class WebSocket:
    """Messages over a connection that has shaken hands."""

    def __init__(self, channel: Channel) -> None:
        """Speak over a channel."""
        self._channel = channel

    def send(self, message: bytes) -> None:
        """One binary message; raises OSError when the client has gone."""
        self._frame(_BINARY, message)

    def receive(self) -> bytes | None:
        """The next message; None when the client closes. Raises OSError when it has gone, or speaks something else."""
        parts: list[bytes] = []
        while True:
            sort, final, data = self._next()
            if sort == _CLOSE:
                return None
            if sort == _PING:
                self._frame(_PONG, data)
            elif sort in (_CONTINUATION, _TEXT, _BINARY):
                parts.append(data)
                if sum(map(len, parts)) > _LONGEST:
                    raise ConnectionError("a message is too long")
                if final:
                    return b"".join(parts)

    def close(self) -> None:
        """Say that this is the end."""
        self._frame(_CLOSE, struct.pack("!H", _NORMAL))

    def _next(self) -> tuple[int, bool, bytes]:
        head, size = self._channel.read(2)
        length = size & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._channel.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._channel.read(8))
        if not size & 0x80 or length > _LONGEST:
            raise ConnectionError("a frame is too long, or not masked")
        mask = self._channel.read(4)
        data = self._channel.read(length)
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        plain = (int.from_bytes(data, "big") ^ key).to_bytes(length, "big")
        return head & 0x0F, bool(head & 0x80), plain

    def _frame(self, sort: int, data: bytes) -> None:
        head = bytes([0x80 | sort])
        if len(data) < 126:
            head += bytes([len(data)])
        elif len(data) < 1 << 16:
            head += struct.pack("!BH", 126, len(data))
        else:
            head += struct.pack("!BQ", 127, len(data))
        self._channel.write(head + data)
