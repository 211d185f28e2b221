"""One JSON object per event on standard output, and nothing else there."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime

from berth.core.events import Event


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
        """Write one line."""
        head = {"event": type(event).__name__, "time": self._now().isoformat(timespec="milliseconds")}
        body = {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(event).items()}
        self._write(json.dumps({**head, **body}, separators=(",", ":")))

    def paused(self) -> nullcontext[None]:
        """Nothing of this moves."""
        return nullcontext()
