"""Printers over the events of a run: plain lines, a live table, JSON lines."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol

from berth.core.errors import InputError
from berth.core.events import Event


class Printer(Protocol):
    """Shows events as they come; used as a context manager around a run."""

    def __enter__(self) -> Printer:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, also after an error."""
        ...

    def show(self, event: Event) -> None:
        """Show one event."""
        ...

    def paused(self) -> AbstractContextManager[object]:
        """While somebody else writes to the terminal, such as a question."""
        ...


def printer(output: str) -> Printer:
    """The printer for ``--output``: "text" is a live table on a terminal and plain lines elsewhere, or "json".

    Raises:
        InputError: no such output.
    """
    if output == "json":
        from berth.output.jsonlines import JsonPrinter

        return JsonPrinter(_write, lambda: datetime.now(UTC))
    if output != "text":
        raise InputError(f"--output {output} is not known here", hint="text or json")
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        # TERM=dumb and friends cannot move the cursor.
        if console.is_terminal and not console.is_dumb_terminal:
            from berth.output.table import TablePrinter

            return TablePrinter(console, time.monotonic)
    from berth.output.plain import PlainPrinter

    return PlainPrinter(_write)


def _write(line: str) -> None:
    try:
        print(line, flush=True)
    except UnicodeEncodeError:
        # A log line may hold what the terminal's encoding does not: better escaped than lost, or a traceback.
        encoding = sys.stdout.encoding
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
