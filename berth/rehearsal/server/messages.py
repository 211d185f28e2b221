"""What comes in and what goes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from berth.rehearsal.refusal import bad_request

if TYPE_CHECKING:
    from berth.rehearsal.faults import ApiFaults
    from berth.rehearsal.kinds import Kind
    from berth.rehearsal.world import World

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request, read whole. ``headers`` are looked up whatever their case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    def text(self, name: str) -> str:
        """The first value of a query parameter, "" without one."""
        values = self.query.get(name)
        return values[0] if values else ""

    def number(self, name: str) -> int | None:
        """A query parameter as a whole number, None without one.

        Raises:
            ApiError: it is none.
        """
        text = self.text(name)
        if not text:
            return None
        digits = text[1:] if text[0] in "+-" else text
        if not (digits.isascii() and digits.isdigit()):
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        value = int(digits[:20]) * (-1 if text[0] == "-" else 1)
        if not -(1 << 63) <= value < 1 << 63:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
        return value

    def flag(self, name: str) -> bool:
        """Whether a switch is on: there, and neither "0" nor "false", as the API server reads them."""
        return name in self.query and self.text(name).lower() not in ("0", "false")

    def header(self, name: str) -> str:
        """A header, "" without one."""
        return self.headers.get(name) or ""


@dataclass(frozen=True, slots=True)
class Address:
    """Which resource a path names. ``namespace`` is None where the path names none, ``name`` "" for a collection."""

    kind: Kind
    namespace: str | None
    name: str
    subresource: str


@dataclass(frozen=True, slots=True)
class Site:
    """What requests are about: a world, the failures that its scenario has for them, and where the server listens."""

    world: World
    faults: ApiFaults
    address: str


class Connection(Protocol):
    """The client's connection, for answers that are more than one message."""

    def send(self, data: bytes) -> None:
        """Send a piece of the answer now; raises OSError when the client has gone."""
        ...

    def gone(self) -> bool:
        """Whether the client has hung up."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. Exactly one of ``body``, ``stream`` and ``upgrade`` counts.

    ``stream`` writes pieces until there are no more; ``upgrade`` takes the bare connection over, after the head.
    ``cut`` breaks the connection: "before" or "after" (whatever was asked was not done, or was) sends nothing of it,
    "truncate" a part.
    """

    code: int
    body: bytes = b""
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    stream: Callable[[Connection], None] | None = None
    upgrade: Callable[[Channel], None] | None = None
    cut: str = ""


class Channel(Protocol):
    """A connection that speaks another protocol now."""

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; raises OSError when the client has gone."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes now; raises OSError when the client has gone."""
        ...
