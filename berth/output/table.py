"""A live line per ordinal and a clock, for terminals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import assert_never

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from berth.core.events import (
    Event,
    Ledger,
    Notice,
    OperationDone,
    OrdinalFailed,
    OrdinalState,
    PhaseStarted,
    ReleaseDone,
    ReleaseStarted,
    StepDone,
    StillWaiting,
    TargetChosen,
)
from berth.core.quantities import format_duration
from berth.output.plain import harmless, lines

_STAGE_STYLES = {"ready": "green", "settling": "yellow", "stopping": "magenta", "waiting": "dim", "gone": "dim"}
_ACTION_STYLES = {
    "created": "green",
    "updated": "yellow",
    "adopted": "green",
    "deleted": "red",
    "failed": "bold red",
    "unchanged": "dim",
    "kept": "cyan",
}
_OUTCOME_STYLES = {"passed": "green", "not run": "yellow"}
#: More ordinals than this would not fit a screen; the busiest are shown then.
_MAX_ROWS = 24


class TablePrinter:
    """Keeps a table of ordinals at the bottom of the terminal while plain facts scroll above it."""

    def __init__(self, console: Console, monotonic: Callable[[], float]) -> None:
        self._console = console
        self._monotonic = monotonic
        self._started = monotonic()
        self._ordinals: dict[tuple[str, int], tuple[OrdinalState, float]] = {}
        self._title = ""
        self._target = ""
        # One for the whole run: a spinner counts its turns from its first picture.
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> TablePrinter:
        """Take the bottom of the screen."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the screen back, and say the target once more."""
        self._live.stop()
        if self._target:
            self._console.print(Text(self._target, style="dim"))

    def show(self, event: Event) -> None:
        """Print one event, or fold it into the live table."""
        match event:
            case TargetChosen():
                self._target = f"target: {event.target}"
                self._print(lines(event), "dim")
            case ReleaseStarted():
                self._started = self._monotonic()
                self._ordinals.clear()
                self._print(lines(event), "bold")
            case PhaseStarted():
                self._title = event.title
            case OrdinalState():
                self._ordinals[event.set_name, event.ordinal] = (event, self._monotonic())
            case StepDone():
                self._print(lines(event), _ACTION_STYLES.get(event.action, ""))
            case StillWaiting():
                self._print(lines(event), "yellow")
            case OrdinalFailed():
                self._print(lines(event), "red")
            case OperationDone():
                self._print(lines(event), _OUTCOME_STYLES.get(event.outcome, "red"))
            case ReleaseDone():
                self._ordinals.clear()
                self._title = ""
                *table, recap, verdict = lines(event)
                self._print(table, "")
                self._print([recap], "bold")
                self._print([verdict], "bold green" if event.succeeded else "bold red")
            case Ledger():
                self._print(lines(event), "cyan")
            case Notice():
                self._print(lines(event), "yellow" if event.level != "info" else "")
            case _:
                assert_never(event)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Give the screen back for a while."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def _print(self, texts: list[str], style: str) -> None:
        for text in texts:
            self._console.print(Text(text, style=style), soft_wrap=True, highlight=False)

    def _picture(self) -> Group | Text:
        if not self._title and not self._ordinals:
            return Text()
        now = self._monotonic()
        table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
        rows = sorted(self._ordinals.values(), key=lambda row: (row[0].set_name, row[0].ordinal))
        busy = [row for row in rows if not row[0].done]
        shown = rows if len(rows) <= _MAX_ROWS else busy[:_MAX_ROWS]
        for state, since in shown:
            style = _STAGE_STYLES.get(state.stage, "cyan")
            clock = "" if state.done else format_duration(now - since)
            table.add_row(
                state.pod, Text(state.stage, style=style), Text(harmless(state.detail), overflow="ellipsis"), clock
            )
        done = len(rows) - len(busy)
        counted = f"  {done} of {len(rows)} ordinals" if rows else ""
        clock = format_duration(now - self._started)
        self._spinner.update(text=Text(f"{self._title}{counted}  {clock}", style="bold"))
        return Group(self._spinner, table)
