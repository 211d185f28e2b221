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
    OfRelease,
    OperationDone,
    OrdinalFailed,
    OrdinalState,
    PhaseStarted,
    ReleaseDone,
    ReleaseStarted,
    SiteDone,
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
        self._ordinals: dict[tuple[str, str, int], tuple[OrdinalState, float]] = {}
        #: Of a run over a site: the releases that are at work, and how many are done.
        self._at_work: dict[str, str] = {}
        self._finished = 0
        self._title = ""
        self._targets: list[str] = []
        # One for the whole run: a spinner counts its turns from its first picture.
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> TablePrinter:
        """Take the bottom of the screen."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the screen back, and say the targets once more."""
        self._live.stop()
        for target in self._targets:
            self._console.print(Text(target, style="dim"))

    def show(self, event: Event) -> None:
        """Print one event, or fold it into the live table."""
        match event:
            case TargetChosen():
                self._targets += lines(event)
                self._print(lines(event), "dim")
            case ReleaseStarted():
                self._started = self._monotonic()
                self._ordinals.clear()
                self._print(lines(event), "bold")
            case PhaseStarted():
                self._title = event.title
            case OrdinalState():
                self._ordinals["", event.set_name, event.ordinal] = (event, self._monotonic())
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
            case OfRelease():
                self._one_of_many(event)
            case SiteDone():
                self._title = ""
                *table, total = lines(event)
                self._print(table, "")
                bad = any(row.result in ("failed", "skipped") for row in event.rows)
                self._print([total], "bold red" if bad else "bold green")
            case _:
                assert_never(event)

    def _one_of_many(self, of: OfRelease) -> None:
        """An event of one release of a site: the ordinals of all that are at work share the table."""
        event = of.event
        style = ""
        match event:
            case ReleaseStarted():
                self._at_work[of.label] = ""
            case PhaseStarted():
                self._at_work[of.label] = event.title
            case OrdinalState():
                self._ordinals[of.label, event.set_name, event.ordinal] = (event, self._monotonic())
                return
            case ReleaseDone():
                self._at_work.pop(of.label, None)
                self._finished += 1
                self._ordinals = {key: row for key, row in self._ordinals.items() if key[0] != of.label}
                style = "green" if event.succeeded else "bold red"
            case StepDone():
                style = _ACTION_STYLES.get(event.action, "")
            case StillWaiting():
                style = "yellow"
            case Notice():
                style = {"warning": "yellow", "error": "red"}.get(event.level, "")
            case OrdinalFailed():
                style = "red"
            case _:
                pass
        names = ", ".join(f"{label} ({phase})" if phase else label for label, phase in self._at_work.items())
        self._title = f"{self._finished} done" + (f", at work: {names}" if names else "")
        self._print(lines(of), style)

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
        rows = [(label, *self._ordinals[label, name, number]) for label, name, number in sorted(self._ordinals)]
        busy = [row for row in rows if not row[1].done]
        shown = rows if len(rows) <= _MAX_ROWS else busy[:_MAX_ROWS]
        for label, state, since in shown:
            style = _STAGE_STYLES.get(state.stage, "cyan")
            clock = "" if state.done else format_duration(now - since)
            table.add_row(
                f"{label} {state.pod}".lstrip(),
                Text(state.stage, style=style),
                Text(harmless(state.detail), overflow="ellipsis"),
                clock,
            )
        done = len(rows) - len(busy)
        counted = f"  {done} of {len(rows)} ordinals" if rows else ""
        clock = format_duration(now - self._started)
        self._spinner.update(text=Text(f"{self._title}{counted}  {clock}", style="bold"))
        return Group(self._spinner, table)
