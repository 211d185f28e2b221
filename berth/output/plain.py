"""Plain lines: for pipes, logs and terminals without cursor movement."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import assert_never

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
    ReleaseEvent,
    ReleaseStarted,
    SiteDone,
    SiteRow,
    StepDone,
    StillWaiting,
    TargetChosen,
)
from berth.core.quantities import format_duration
from berth.output.ledger import ledger_lines


class PlainPrinter:
    """Prints each event as one or more lines by ``write`` (which adds the newline)."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._targets: list[str] = []

    def __enter__(self) -> PlainPrinter:
        """Nothing to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say the targets once more: they are the first and the last thing that a run says."""
        for target in self._targets:
            self._write(target)

    def show(self, event: Event) -> None:
        """Print one event."""
        if isinstance(event, TargetChosen):
            self._targets += lines(event)
        for line in lines(event):
            self._write(line)

    def paused(self) -> nullcontext[None]:
        """Nothing of this moves."""
        return nullcontext()


def lines(event: Event) -> list[str]:
    """The lines that say an event, without what a terminal would obey: messages and logs come from elsewhere."""
    return [harmless(line) for line in _lines(event)]


def harmless(text: str) -> str:
    """The text in one line, its control characters written out (a tab stays)."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)


def _lines(event: Event) -> list[str]:
    match event:
        case TargetChosen():
            return [f"target: {event.target}"]
        case ReleaseStarted():
            environment = f", environment {event.environment}" if event.environment else ""
            return [f"release {event.release} in {event.namespace} (profile {event.profile}{environment})"]
        case Notice():
            return (event.message if event.level == "info" else f"{event.level}: {event.message}").splitlines()
        case Ledger():
            return ledger_lines(event)
        case PhaseStarted():
            return [f"phase {event.number} of {event.total}: {event.title}"]
        case StepDone():
            said = f"  ({event.message})" if event.message else ""
            return [f"  {event.action:<10} {event.ref.kind}/{event.ref.name}{said}"]
        case OrdinalState():
            return [f"  {event.pod:<16} {event.stage:<10} {event.detail}".rstrip()]
        case StillWaiting():
            head = f"still waiting after {format_duration(event.seconds)} without progress: {event.waiting_for}"
            return [head, *(f"  {why}" for why in event.why)]
        case OrdinalFailed():
            return failure_lines(event)
        case OperationDone():
            return operation_lines(event)
        case ReleaseDone():
            return recap_lines(event)
        case OfRelease():
            return [f"{event.label} | {line}" for line in _told_of(event.event)]
        case SiteDone():
            return site_lines(event)
    assert_never(event)


def _told_of(event: ReleaseEvent) -> list[str]:
    """What is said of one release among many: what changes and what goes wrong; the recap has the rest."""
    match event:
        case ReleaseStarted() | PhaseStarted() | Ledger():
            return []
        case StepDone() if event.action in ("unchanged", "kept"):
            return []
        case ReleaseDone():
            return [f"{event.verdict}  ({format_duration(event.seconds)})"] if event.changed or event.failed else []
    return [line.strip() for line in _lines(event)]


def site_lines(event: SiteDone) -> list[str]:
    """The recap of a site: a line for each release in Ansible's words, the targets, and the sum."""
    heads = ("RELEASE", "RESULT", "OK", "CHANGED", "FAILED", "SKIPPED", "TIME")
    named = [f"{row.target} {_key(row)}" if row.target else _key(row) for row in event.rows]
    rows = [heads] + [
        (
            name,
            row.result,
            str(row.ok),
            str(row.changed),
            str(row.failed),
            str(row.skipped),
            format_duration(row.seconds) if row.result != "skipped" else "",
        )
        for name, row in zip(named, event.rows, strict=True)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    shown = ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    for name, row in zip(named, event.rows, strict=True):
        if row.result in ("failed", "skipped"):
            shown.append(f"{row.result}: {name}: {row.verdict}")
    shown += [f"target {one.target}: exit code {one.code}" for one in event.codes]
    counts = [
        f"{sum(row.result == word for row in event.rows)} {word}" for word in ("ok", "changed", "failed", "skipped")
    ]
    shown.append(f"site {event.site}: {', '.join(counts)}  {format_duration(event.seconds)}")
    return [line.rstrip() for line in shown]


def _key(row: SiteRow) -> str:
    return f"{row.namespace}/{row.release}"


def failure_lines(event: OrdinalFailed) -> list[str]:
    """The root cause of one ordinal, what to try, and the last lines of its log."""
    shown = [f"  {event.reason}: {event.message}"]
    shown += [f"    | {line}" for line in event.log]
    if event.hint:
        shown.append(f"    try: {event.hint}")
    return shown


def operation_lines(event: OperationDone) -> list[str]:
    """What came of an operation: in how many pods it passed, or in which it did not, why, and what it printed."""
    if event.outcome == "passed":
        number = f"{len(event.pods)} pod" + ("s" if len(event.pods) != 1 else "")
        return [f"  operation {event.operation}: passed on {number} of {event.set_name}"]
    where = f"on {event.set_name}" if event.outcome == "not run" else f"in {', '.join(event.pods)}"
    why = f": {event.message}" if event.message else ""
    return [f"  operation {event.operation}: {event.outcome} {where}{why}", *(f"    | {line}" for line in event.output)]


def recap_lines(event: ReleaseDone) -> list[str]:
    """The final table and the recap in Ansible's words; the verdict comes last."""
    shown: list[str] = []
    if event.pods:
        rows = [("POD", "STAGE", "NODE", "CLAIMS")]
        rows += [(row.pod, row.stage, row.node, ", ".join(row.claims)) for row in event.pods]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        shown += ["  " + "  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[3]]) for row in rows]
    counts = f"ok={event.ok} changed={event.changed} failed={event.failed} skipped={event.skipped}"
    shown.append(f"recap: {event.release}  {counts}  {format_duration(event.seconds)}")
    shown.append(f"{event.release}: {event.verdict}")
    return [line.rstrip() for line in shown]
