"""How releases stand, as tables with colours on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from berth.core.diagnosis import Weight
from berth.core.readiness import Status
from berth.core.report import OrdinalReport, ReleaseReport, SetReport
from berth.output.plain import harmless
from berth.output.status import HEADINGS, cells, head, headings, set_title, tail, total

_STATUS = {Status.CURRENT: "green", Status.FAILED: "bold red", Status.STUCK: "red", Status.UNKNOWN: "dim"}


def picture(reports: Sequence[ReleaseReport], notes: Sequence[str], *, roles: bool = True) -> Group:
    """Each release with a table of its ordinals."""
    parts: list[RenderableType] = []
    for one in reports:
        title, verdict, *rest = head(one)
        parts += [_text(title, "bold"), _text(verdict, _STATUS.get(one.verdict.status, "yellow"))]
        parts += [_text(line, "yellow") for line in rest]
        for group in one.sets:
            parts += [_text(f"  {set_title(group)}", ""), _table(group, roles)]
        parts += [_text(line, "") for line in tail(one)]
        parts.append(Text())
    parts += [_text(f"note: {note}", "dim") for note in notes]
    return Group(*parts, _text(total(reports), "bold"))


def _table(group: SetReport, roles: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    columns = headings(roles)
    # A column of spaces, for the table stands under its set.
    table.add_column(" ", width=1)
    for column in columns:
        table.add_column(HEADINGS[column], overflow="fold")
    for row in group.ordinals:
        told = cells(row)
        table.add_row("", *(Text(harmless(told[column])) for column in columns), style=_style(row))
    return table


def _style(row: OrdinalReport) -> str:
    if row.cause is not None and row.cause.weight is not Weight.TRANSIENT:
        return "red"
    return "" if row.ready else "yellow"


def _text(line: str, style: str) -> Text:
    return Text(harmless(line), style=style)
