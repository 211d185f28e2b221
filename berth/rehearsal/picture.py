"""A timeline as a picture: a lane for each ordinal, claim and node, in SVG, and in a page that opens in a browser."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby

from berth.rehearsal.kinds import CLAIMS, NODES, PODS
from berth.rehearsal.tales import State
from berth.rehearsal.timeline import SCENARIO, Lane, Moment, Span, Timeline

#: In units of the picture, which are pixels at its natural size.
_WIDTH = 1000
_MARGIN = 16
_LANE = 24
_BAR = 16
_HEADING = 24
_LETTER = 7.3
_SMALL_LETTER = 6.6
#: Characters of a lane's name; longer ones lose their middle.
_LONGEST_NAME = 44

#: How much trouble of objects without a lane is told under the picture.
_NOTES = 3

_HEADINGS = {PODS.kind: "pods", CLAIMS.kind: "claims", NODES.kind: "nodes"}
_INK = "#1c2733"
#: Fills, all light: the words on them are dark.
_FILLS = {
    State.PENDING: "#e3e6eb",
    State.STARTING: "#f8e3a3",
    State.UNREADY: "#fac694",
    State.READY: "#a9dbb7",
    State.FAILING: "#f5a5ae",
    State.STOPPING: "#c5ccd8",
    State.BOUND: "#b3dfdb",
    State.DELETING: "#c5ccd8",
    State.CORDONED: "#e3e6eb",
    State.LOST: "#d3bfe0",
}
#: Of ready pods, revision after revision.
_REVISIONS = ("#a9dbb7", "#a9cdf2", "#d8c3f3", "#d6dd9b")
_BAD = "#a4162c"

_STYLE = (
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:" + _INK + "}"
    ".t{font-size:15px;font-weight:600}.s{font-size:11px}.g{fill:#56637a;font-size:11px}"
    f".x{{fill:{_BAD};font-size:11px}}"
    ".l{stroke:#e2e6ec}.c{stroke:#7a4fa3;stroke-dasharray:3 3}.b{stroke:#1c2733;stroke-opacity:.22}"
    f".m{{fill:{_BAD}}}"
)
#: How the words of a restart begin.
_RESTART = "restart "
_BAD_ROW = ' class="bad"'
_PAGE_STYLE = (
    "body{margin:24px auto;max-width:1048px;padding:0 16px;font:14px/1.5 system-ui,sans-serif;color:#1c2733;"
    "background:#fff}svg{max-width:100%;height:auto}"
    "table{margin:8px 16px;border-collapse:collapse;font:12px/1.6 ui-monospace,monospace}"
    "th,td{padding:1px 16px 1px 0;vertical-align:top;text-align:left;white-space:nowrap}"
    "td:first-child{text-align:right}td:last-child{white-space:normal}" + f".bad td{{color:{_BAD}}}"
)


def svg(timeline: Timeline) -> str:
    """The picture, complete and with nothing to load: 1,000 units wide, as high as there are lanes."""
    return _Picture(timeline).draw()


def html(timeline: Timeline) -> str:
    """A page with the picture and, under it, every moment in words."""
    rows = "\n".join(
        f"<tr{_BAD_ROW if moment.bad else ''}><td>{moment.seconds:.1f} s</td>"
        f"<td>{escape(moment.about)}</td><td>{escape(moment.words)}</td></tr>"
        for moment in timeline.moments
    )
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(timeline.title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_PAGE_STYLE}</style></head>\n"
        f"<body>\n{svg(timeline)}"
        '<table>\n<thead><tr><th scope="col">time</th><th scope="col">object</th><th scope="col">what happened</th>'
        f"</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n</body></html>\n"
    )


class _Picture:
    """One drawing: where things are, and what has been drawn."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        longest = max((len(_shortened(lane.name)) for lane in timeline.lanes), default=0)
        self._left = _MARGIN + 10 + _LETTER * longest
        self._scale = (_WIDTH - self._left - _MARGIN) / max(timeline.seconds, 0.001)
        self._fills = _revision_fills(timeline)
        self._parts: list[str] = []

    def draw(self) -> str:
        timeline = self._timeline
        lasted = f"{_duration(timeline.seconds)} of the cluster's time"
        title = _cut(timeline.title, (_WIDTH - 2 * _MARGIN - len(lasted) * _SMALL_LETTER - 24) / 9.1)
        self._text(_MARGIN, 26, title, "t")
        self._text(_WIDTH - _MARGIN, 26, lasted, "g", anchor="end")
        lanes_from = self._legend(48) + 20
        happened = [moment for moment in timeline.moments if moment.kind == SCENARIO]
        lanes_from += 14 * bool(happened)
        places, bottom = _places(timeline.lanes, lanes_from)
        self._axis(lanes_from, bottom)
        for moment in happened:
            self._happening(moment, lanes_from, bottom)
        for lane, y in places:
            self._lane(lane, y)
        for kind, group in groupby(places, key=lambda place: place[0].kind):
            self._text(_MARGIN, next(group)[1] - 7, _HEADINGS.get(kind, kind), "g")
        notes = [moment for moment in timeline.moments if moment.bad and moment.kind not in _HEADINGS][:_NOTES]
        for number, moment in enumerate(notes, 1):
            words = f"{moment.seconds:.1f} s: {moment.about}: {moment.words}"
            self._text(_MARGIN, bottom + 24 + 16 * number, _cut(words, (_WIDTH - 2 * _MARGIN) / _SMALL_LETTER), "x")
        return self._document(bottom + 30 + 16 * len(notes) + 4 * bool(notes))

    def _document(self, height: float) -> str:
        title, summary = escape(self._timeline.title), escape(_summary(self._timeline))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" '
            f'height="{height:g}" role="img" aria-labelledby="title summary">\n'
            f'<title id="title">Timeline of {title}</title>\n<desc id="summary">{summary}</desc>\n'
            f'<style>{_STYLE}</style>\n<rect width="{_WIDTH}" height="{height:g}" fill="#ffffff"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )

    def _text(self, x: float, y: float, words: str, style: str, anchor: str = "") -> None:
        at = f' text-anchor="{anchor}"' if anchor else ""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}"{at}>{escape(words)}</text>')

    def _legend(self, y: float) -> float:
        """Draw it, in as many rows as it needs; the height of the last one."""
        x = float(_MARGIN)
        for words, fill in self._entries():
            width = 22 + _SMALL_LETTER * len(words) + 14
            if x + width > _WIDTH - _MARGIN and x > _MARGIN:
                x, y = float(_MARGIN), y + 18
            self._parts.append(
                f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" rx="2" fill="{fill}" class="b"/>'
            )
            self._text(x + 18, y, words, "s")
            x += width
        if any(moment.words.startswith(_RESTART) for moment in self._timeline.moments):
            self._parts.append(f'<path d="M{x:.1f} {y - 8:.1f}h12l-6 8z" class="m"/>')
            self._text(x + 18, y, "restart", "s")
        return y

    def _entries(self) -> Iterable[tuple[str, str]]:
        shown = {span.state for lane in self._timeline.lanes for span in lane.spans}
        labels = _labels(self._timeline.revisions, list(self._fills))
        if len(self._fills) > 1:
            yield from ((f"ready: {labels[name]}", fill) for name, fill in self._fills.items())
        elif State.READY in shown:
            yield "ready", _FILLS[State.READY]
        yield from ((state.value, fill) for state, fill in _FILLS.items() if state in shown and state != State.READY)

    def _axis(self, top: float, bottom: float) -> None:
        step = _step(self._timeline.seconds)
        for number in range(int(self._timeline.seconds / step + 1e-9) + 1):
            x = self._left + number * step * self._scale
            self._parts.append(f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" class="l"/>')
            self._text(min(x, _WIDTH - _MARGIN - 12), bottom + 16, _time(number * step, step), "g", anchor="middle")

    def _happening(self, moment: Moment, top: float, bottom: float) -> None:
        x = self._left + moment.seconds * self._scale
        self._parts.append(f'<line x1="{x:.1f}" y1="{top - 4:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" class="c"/>')
        room = len(moment.words) * _SMALL_LETTER
        if x + room < _WIDTH:
            self._text(x + 3, top - 5, moment.words, "g")
        else:
            self._text(x - 3, top - 5, moment.words, "g", anchor="end")

    def _lane(self, lane: Lane, y: float) -> None:
        self._text(_MARGIN, y + 12, _shortened(lane.name), "")
        for span, following in zip(lane.spans, [*lane.spans[1:], None], strict=True):
            self._span(lane, span, following, y)
        for moment in self._timeline.moments:
            if (moment.kind, moment.name) == (lane.kind, lane.name) and moment.words.startswith(_RESTART):
                self._mark(moment, y)

    def _span(self, lane: Lane, span: Span, following: Span | None, y: float) -> None:
        x = self._left + span.begin * self._scale
        width = max((span.end - span.begin) * self._scale, 1.2)
        ready = lane.kind == PODS.kind and span.state is State.READY
        fill = self._fills.get(span.note, _FILLS[State.READY]) if ready else _FILLS[span.state]
        revision = self._timeline.revisions.get(span.note, "")
        note = f"{revision}, revision {span.note}" if revision else span.note
        full = f"{span.state.value} {note}".strip()
        times = f"{span.begin:.1f} s to {span.end:.1f} s"
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{fill}" class="b">'
            f"<title>{escape(f'{lane.name}: {full}, {times}')}</title></rect>"
        )
        why = "" if span.state is State.FAILING else self._trouble(lane, span)
        if why:
            self._text(x + 4, y + 12, _cut(f"{span.state.value}: {why}", (width - 8) / _SMALL_LETTER), "s")
            return
        short = span.state.value if revision else span.note if span.state is State.FAILING else full
        shown = next((words for words in (short, span.state.value) if len(words) * _SMALL_LETTER + 8 < width), "")
        if span.state is State.FAILING and shown != short:
            end = self._left + following.begin * self._scale if following else float(_WIDTH)
            if x + width + 6 + len(span.note) * _SMALL_LETTER < end:
                self._text(x + width + 4, y + 12, span.note, "x")
                return
        if shown:
            self._text(x + 4, y + 12, shown, "s")

    def _trouble(self, lane: Lane, span: Span) -> str:
        """What is said of an object while it is in a state that does not say it itself."""
        if span.state not in (State.PENDING, State.UNREADY) or (span.end - span.begin) * self._scale < _WIDTH / 6:
            return ""
        found = [
            moment.words
            for moment in self._timeline.moments
            if moment.bad
            and (moment.kind, moment.name) == (lane.kind, lane.name)
            and span.begin <= moment.seconds <= span.end
            and not moment.words.startswith((_RESTART, "failing", "no longer"))
        ]
        return found[-1] if found else ""

    def _mark(self, moment: Moment, y: float) -> None:
        x = self._left + moment.seconds * self._scale
        self._parts.append(
            f'<path d="M{x - 4:.1f} {y - 4:.1f}h8l-4 6z" class="m">'
            f"<title>{escape(f'{moment.name}: {moment.words}, at {moment.seconds:.1f} s')}</title></path>"
        )


@dataclass(frozen=True, slots=True)
class _Unit:
    """Of times: how many seconds it has, and its name."""

    seconds: float
    name: str


_UNITS = (_Unit(3600, "h"), _Unit(60, "min"), _Unit(1, "s"))


def _places(lanes: Iterable[Lane], top: float) -> tuple[list[tuple[Lane, float]], float]:
    """The height of each lane, below a heading for each kind; and the end of the last one."""
    places, y, kind = [], top, ""
    for lane in lanes:
        if lane.kind != kind:
            kind, y = lane.kind, y + _HEADING
        places.append((lane, y))
        y += _LANE
    return places, y


def _revision_fills(timeline: Timeline) -> dict[str, str]:
    """Colours of the revisions, in the order in which pods of them first ran."""
    seen = sorted(
        (span.begin, span.note)
        for lane in timeline.lanes
        for span in lane.spans
        if lane.kind == PODS.kind and span.state in (State.READY, State.UNREADY) and span.note
    )
    names = list(dict.fromkeys(note for _, note in seen))
    return {name: _REVISIONS[number % len(_REVISIONS)] for number, name in enumerate(names)}


def _labels(revisions: Mapping[str, str], names: list[str]) -> dict[str, str]:
    """What tells revisions apart: their images, or, where two have the same ones, their hashes."""
    images = [revisions.get(name, "") for name in names]
    tell = all(images) and len(set(images)) == len(images)
    return {name: revisions[name] if tell else name for name in names}


def _summary(timeline: Timeline) -> str:
    bad = list(dict.fromkeys(f"{moment.about} {moment.words}" for moment in timeline.moments if moment.bad))
    lanes = ", ".join(lane.name for lane in timeline.lanes) or "none"
    trouble = f" Trouble: {'; '.join(bad[:5])}." if bad else " Nothing failed."
    return f"{_duration(timeline.seconds)} of the cluster's time. Lanes: {lanes}.{trouble}"


def _step(seconds: float) -> float:
    """Of the axis, in seconds: what people count in, at most ten of them."""
    least = max(seconds, 0.001) / 10
    if least > 30:
        steps = (60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200)
        return next((step for step in steps if step >= least), 86400 * math.ceil(least / 86400))
    if least > 5:
        return 10 if least <= 10 else 30
    power: float = 10 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)


def _time(seconds: float, step: float) -> str:
    """A mark of the axis, in the largest unit that suits its step."""
    fits = (unit for unit in _UNITS if seconds >= unit.seconds and step % (unit.seconds / 2) == 0)
    unit = next(fits, _UNITS[-1])
    return f"{seconds / unit.seconds:g} {unit.name}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _shortened(name: str) -> str:
    """A lane's name, whose end tells lanes apart, with its middle left out where it is too long."""
    if len(name) <= _LONGEST_NAME:
        return name
    kept = _LONGEST_NAME - 1
    return f"{name[: kept // 2]}…{name[-(kept - kept // 2) :]}"


def _cut(words: str, letters: float) -> str:
    return words if len(words) <= letters else words[: int(letters) - 1] + "…"
