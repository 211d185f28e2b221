"""One JSON object per event on standard output, and nothing else there."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from typing import Any

from berth.core.events import Event, OfRelease


class JsonPrinter:
    """Writes events as JSON lines: ``event`` is the class, ``time`` when it was shown (RFC 3339)."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], datetime]) -> None:
        self._write = write
        self._now = now

    def __enter__(self) -> JsonPrinter:
        """Nothing to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to finish."""

    def show(self, event: Event) -> None:
        """Write one line; one of several releases' is the event itself, with the release that it is about."""
        about = {}
        if isinstance(event, OfRelease):
            about = {"target": event.target, "namespace": event.namespace, "release": event.release}
            event = event.event
        head = {"event": type(event).__name__, "time": self._now().isoformat(timespec="milliseconds")}
        body = asdict(event, dict_factory=_rounded)
        self._write(json.dumps({**head, **about, **body}, separators=(",", ":")))

    def paused(self) -> nullcontext[None]:
        """Nothing of this moves."""
        return nullcontext()


def _rounded(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields of an event, seconds to the millisecond."""
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in fields}
