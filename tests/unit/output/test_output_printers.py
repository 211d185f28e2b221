"""What people and machines read of a run's events."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest
from rich.console import Console

from berth.core.errors import InputError
from berth.core.events import (
    Event,
    Ledger,
    Notice,
    OfRelease,
    OperationDone,
    OrdinalFailed,
    OrdinalState,
    PhaseStarted,
    PodRow,
    ReleaseDone,
    ReleaseEvent,
    ReleaseStarted,
    SiteDone,
    SiteRow,
    StepDone,
    StillWaiting,
    TargetChosen,
    TargetCode,
)
from berth.core.ledger import Fate, LeftVolume, Line
from berth.core.objects import ObjectRef
from berth.output import printer
from berth.output.jsonlines import JsonPrinter
from berth.output.plain import PlainPrinter, harmless, lines
from berth.output.table import TablePrinter

pytestmark = pytest.mark.unit

LINE = Line("www-web-0", 0, "1Gi", "local-path", "pv-1", "Delete", "Bound", False, Fate.KEPT, "the claim stays")
FAR = Line("www-web-12", 12, "1Gi", "", "", "unknown", "Pending", True, Fate.DELETED, "never bound, holds no data")
DONE = ReleaseDone(
    "web",
    "shop",
    ok=5,
    changed=2,
    failed=0,
    skipped=1,
    seconds=75,
    verdict="web is current: 2 ready",
    succeeded=True,
    pods=(PodRow("web-0", "ready", "node-1", ("www-web-0 1Gi local-path",)), PodRow("web-10", "claim", "", ())),
)

#: Every kind of event, with the lines that say it.
SAID: dict[Event, list[str]] = {
    TargetChosen("context kind"): ["target: context kind"],
    ReleaseStarted("web", "shop", "nginx", None): ["release web in shop (profile nginx)"],
    ReleaseStarted("web", "shop", "nginx", "prod"): ["release web in shop (profile nginx, environment prod)"],
    Notice("all is well"): ["all is well"],
    Notice("look out", "warning"): ["warning: look out"],
    PhaseStarted(1, 2, "Service, Secret"): ["phase 1 of 2: Service, Secret"],
    StepDone(ObjectRef("", "Service", "shop", "web"), "created"): ["  created    Service/web"],
    StepDone(ObjectRef("", "Secret", "shop", "s"), "kept", "it opens the data"): [
        "  kept       Secret/s  (it opens the data)"
    ],
    OrdinalState("web", 0, "web-0", "ready", "node-1", True): ["  web-0            ready      node-1"],
    OrdinalState("web", 0, "web-0", "gone"): ["  web-0            gone"],
    StillWaiting("StatefulSet/web", ("web-0: no node",), 31): [
        "still waiting after 31s without progress: StatefulSet/web",
        "  web-0: no node",
    ],
    OrdinalFailed("web", 0, "CrashLoopBackOff", "web-0: it ended", "read its log", ("a", "b")): [
        "  CrashLoopBackOff: web-0: it ended",
        "    | a",
        "    | b",
        "    try: read its log",
    ],
    OrdinalFailed("web", 0, "Pending", "web-0: no node"): ["  Pending: web-0: no node"],
    OperationDone("ready", "web", ("web-0", "web-1"), "passed", seconds=0.5): [
        "  operation ready: passed on 2 pods of web"
    ],
    OperationDone("ready", "web", ("web-0",), "passed"): ["  operation ready: passed on 1 pod of web"],
    OperationDone("ready", "web", ("web-0",), "not run", "nothing runs here"): [
        "  operation ready: not run on web: nothing runs here"
    ],
    OperationDone("ready", "web", ("web-0", "web-1"), "failed", "exit code 1", ("a", "b")): [
        "  operation ready: failed in web-0, web-1: exit code 1",
        "    | a",
        "    | b",
    ],
    Ledger("web", (LINE, FAR), (LeftVolume("pv-9", "2Gi", "www-web-1"),), False): [
        "data of web:",
        "  CLAIM                     SIZE  CLASS       VOLUME  POLICY   DATA",
        "  www-web-0                 1Gi   local-path  pv-1    Delete   kept: the claim stays",
        "  www-web-12 (scaled away)  1Gi   -           -       unknown  deleted: never bound, holds no data",
        "  volume pv-9 (2Gi, left by claim www-web-1): kept: --volumes delete removes it",
    ],
    Ledger("web", (), (LeftVolume("pv-9", "2Gi", "www-web-1"),), True): [
        "  volume pv-9 (2Gi, left by claim www-web-1): deleted"
    ],
    DONE: [
        "  POD     STAGE  NODE    CLAIMS",
        "  web-0   ready  node-1  www-web-0 1Gi local-path",
        "  web-10  claim",
        "recap: web  ok=5 changed=2 failed=0 skipped=1  1m15s",
        "web: web is current: 2 ready",
    ],
    OfRelease("east", "shop", "web", Notice("look\nout", "warning")): [
        "east shop/web | warning: look",
        "east shop/web | out",
    ],
    SiteDone(
        "eshop",
        (
            SiteRow("east", "shop", "web", "changed", 5, 2, 0, 1, 75, "web is current: 2 ready"),
            SiteRow("east", "shop", "db", "ok", 7, seconds=0.25),
            SiteRow("west", "shop", "web", "failed", 3, 1, 1, 4, 90, "web-0: no node"),
            SiteRow("west", "shop", "db", "skipped", verdict="it needs shop/web"),
        ),
        (TargetCode("east", 0), TargetCode("west", 4)),
        165,
    ): [
        "  RELEASE        RESULT   OK  CHANGED  FAILED  SKIPPED  TIME",
        "  east shop/web  changed  5   2        0       1        1m15s",
        "  east shop/db   ok       7   0        0       0        0.2s",
        "  west shop/web  failed   3   1        1       4        1m30s",
        "  west shop/db   skipped  0   0        0       0",
        "failed: west shop/web: web-0: no node",
        "skipped: west shop/db: it needs shop/web",
        "target east: exit code 0",
        "target west: exit code 4",
        "site eshop: 1 ok, 1 changed, 1 failed, 1 skipped  2m45s",
    ],
    SiteDone("eshop", (SiteRow("", "shop", "web", "ok", 7, seconds=1),), (), 1): [
        "  RELEASE   RESULT  OK  CHANGED  FAILED  SKIPPED  TIME",
        "  shop/web  ok      7   0        0       0        1.0s",
        "site eshop: 1 ok, 0 changed, 0 failed, 0 skipped  1.0s",
    ],
}


def kind(event: Event) -> str:
    return type(event.event if isinstance(event, OfRelease) else event).__name__


def test_every_kind_of_event_is_tried_here() -> None:
    assert {type(event) for event in SAID} == set(get_args(Event))


@pytest.mark.parametrize("event", SAID, ids=kind)
def test_plain_lines(event: Event) -> None:
    assert lines(event) == SAID[event]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (ReleaseStarted("web", "shop", "nginx", None), []),
        (PhaseStarted(1, 2, "Service"), []),
        (Ledger("web", (LINE,), (), False), []),
        (StepDone(ObjectRef("", "Service", "shop", "web"), "unchanged"), []),
        (StepDone(ObjectRef("", "Secret", "shop", "s"), "kept", "it opens the data"), []),
        (StepDone(ObjectRef("", "Service", "shop", "web"), "created"), ["shop/web | created    Service/web"]),
        (OrdinalState("web", 0, "web-0", "gone"), ["shop/web | web-0            gone"]),
        (OrdinalFailed("web", 0, "Pending", "no node"), ["shop/web | Pending: no node"]),
        (DONE, ["shop/web | web is current: 2 ready  (1m15s)"]),
        (replace(DONE, changed=0), []),
        (replace(DONE, changed=0, failed=1, verdict="failed"), ["shop/web | failed  (1m15s)"]),
        (Notice("\x1b[2J"), ["shop/web | \\x1b[2J"]),
    ],
)
def test_of_one_release_among_many_only_what_changes_or_fails_is_said(event: ReleaseEvent, said: list[str]) -> None:
    assert lines(OfRelease("", "shop", "web", event)) == said


def test_plain_says_the_target_first_and_last() -> None:
    said: list[str] = []
    with PlainPrinter(said.append) as shown:
        shown.show(TargetChosen("context kind"))
        shown.show(Notice("between"))
    assert said == ["target: context kind", "between", "target: context kind"]


def test_plain_says_no_target_where_none_was_chosen() -> None:
    said: list[str] = []
    with pytest.raises(KeyError), PlainPrinter(said.append):
        raise KeyError
    assert said == []


def test_what_a_terminal_would_obey_is_written_out() -> None:
    event = OrdinalFailed("web", 0, "Crashed", "two\nlines", "", ("\x1b[2Jgone\tä \r\x07", "\udc80"))
    assert lines(event) == ["  Crashed: two\\nlines", "    | \\x1b[2Jgone\tä \\r\\x07", "    | \\udc80"]
    assert harmless("plain ünïcode — 日本") == "plain ünïcode — 日本"


def test_json_is_one_object_a_line_for_every_event() -> None:
    said: list[str] = []
    with JsonPrinter(said.append, lambda: datetime(2026, 1, 1, 10, tzinfo=UTC)) as shown:
        for event in SAID:
            shown.show(event)
    parsed = [json.loads(line) for line in said]
    assert [entry["event"] for entry in parsed] == [kind(event) for event in SAID]
    assert {entry["time"] for entry in parsed} == {"2026-01-01T10:00:00.000+00:00"}
    assert not any("\n" in line for line in said)
    step = next(entry for entry in parsed if entry["event"] == "StepDone")
    assert step["ref"] == {"group": "", "kind": "Service", "namespace": "shop", "name": "web"}
    ledger = next(entry for entry in parsed if entry["event"] == "Ledger")
    assert [line["fate"] for line in ledger["claims"]] == ["kept", "deleted"]


def test_json_of_one_release_among_many_is_its_event_with_the_release() -> None:
    said: list[str] = []
    with JsonPrinter(said.append, lambda: datetime(2026, 1, 1, 10, tzinfo=UTC)) as shown:
        for event in (StepDone(ObjectRef("", "Service", "shop", "web"), "created"), Notice("look out"), DONE):
            shown.show(OfRelease("east", "shop", "web", event))
            shown.show(OfRelease("", "shop", "web", event))
    parsed = [json.loads(line) for line in said]
    assert [entry["event"] for entry in parsed[::2]] == ["StepDone", "Notice", "ReleaseDone"]
    about = [(entry["target"], entry["namespace"], entry["release"]) for entry in parsed]
    assert about == [("east", "shop", "web"), ("", "shop", "web")] * 3
    assert parsed[2]["message"] == "look out" and parsed[4]["changed"] == 2


def test_json_of_a_site_has_a_row_for_each_release_and_a_code_for_each_target() -> None:
    said: list[str] = []
    JsonPrinter(said.append, lambda: datetime(2026, 1, 1, 10, tzinfo=UTC)).show(
        SiteDone(
            "eshop", (SiteRow("east", "shop", "web", "ok", 7, seconds=1.23456),), (TargetCode("east", 0),), 1.23456
        )
    )
    entry = json.loads(said[0])
    assert (entry["event"], entry["site"], entry["seconds"]) == ("SiteDone", "eshop", 1.235)
    assert entry["codes"] == [{"target": "east", "code": 0}]
    (row,) = entry["rows"]
    assert (row["target"], row["namespace"], row["release"], row["result"]) == ("east", "shop", "web", "ok")
    assert row["seconds"] == 1.235


class Terminal:
    """A table printer on a console that keeps what is written; ``now`` is its clock."""

    def __init__(self, height: int = 40) -> None:
        self.now = 0.0
        self.console = Console(file=io.StringIO(), width=100, height=height, force_terminal=False, legacy_windows=False)
        self.printer = TablePrinter(self.console, lambda: self.now)

    @property
    def text(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()

    def picture(self) -> list[str]:
        """The live part, as it would be drawn now, without the spinner's own sign."""
        with self.console.capture() as drawn:
            self.console.print(self.printer._picture())
        return [line.rstrip() for line in drawn.get().splitlines()]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    yield Terminal()


def test_the_table_prints_what_happened_and_the_verdict_last(terminal: Terminal) -> None:
    with terminal.printer as shown:
        for event in SAID:
            shown.show(event)
    said = [line.rstrip() for line in terminal.text.splitlines()]
    folded = (PhaseStarted, OrdinalState)
    expected = [line for event, text in SAID.items() if not isinstance(event, folded) for line in text]
    assert [line for line in said if line] == [*expected, "target: context kind"]


def test_the_table_has_a_line_and_a_clock_for_each_ordinal(terminal: Terminal) -> None:
    terminal.printer.show(ReleaseStarted("web", "shop", "nginx", None))
    terminal.printer.show(PhaseStarted(2, 2, "StatefulSet"))
    terminal.now = 5
    terminal.printer.show(OrdinalState("web", 10, "web-10", "claim", "www-web-10 is pending"))
    terminal.printer.show(OrdinalState("web", 2, "web-2", "ready", "node-1", True))
    terminal.now = 17
    head, *rows = terminal.picture()
    assert head.endswith("StatefulSet  1 of 2 ordinals  17s")
    assert [row.split() for row in rows] == [
        ["web-2", "ready", "node-1"],
        ["web-10", "claim", "www-web-10", "is", "pending", "12s"],
    ]
    terminal.printer.show(OrdinalState("web", 10, "web-10", "image", "[red]Pulling\x1b[0m"))
    assert terminal.picture()[2].split() == ["web-10", "image", "[red]Pulling\\x1b[0m", "0.0s"]


def test_the_table_is_empty_before_and_after(terminal: Terminal) -> None:
    assert terminal.picture() == [""]
    terminal.printer.show(PhaseStarted(1, 1, "StatefulSet"))
    terminal.printer.show(OrdinalState("web", 0, "web-0", "ready", "", True))
    terminal.printer.show(DONE)
    assert terminal.picture() == [""]


def test_the_table_has_the_ordinals_of_all_releases_that_are_at_work(terminal: Terminal) -> None:
    def of(target: str, event: ReleaseEvent) -> None:
        terminal.printer.show(OfRelease(target, "shop", "web", event))

    of("west", ReleaseStarted("web", "shop", "nginx", None))
    of("east", ReleaseStarted("web", "shop", "nginx", None))
    of("east", PhaseStarted(2, 2, "StatefulSet"))
    of("west", OrdinalState("web", 0, "web-0", "image"))
    of("east", OrdinalState("web", 0, "web-0", "ready", "node-1", True))
    head, *rows = terminal.picture()
    assert "0 done, at work: west shop/web, east shop/web (StatefulSet)  1 of 2 ordinals" in head
    assert [row.split()[:4] for row in rows] == [
        ["east", "shop/web", "web-0", "ready"],
        ["west", "shop/web", "web-0", "image"],
    ]
    of("east", DONE)
    head, *rows = terminal.picture()
    assert "1 done, at work: west shop/web  0 of 1 ordinals" in head and len(rows) == 1
    of("west", DONE)
    assert [line.strip() for line in terminal.picture()][1:] == [""] and "2 done  0.0s" in terminal.picture()[0]
    terminal.printer.show(SiteDone("eshop", (), (), 1))
    assert terminal.picture() == [""]
    assert "east shop/web | web is current: 2 ready  (1m15s)\n" in terminal.text


def test_of_many_ordinals_only_those_that_are_not_done_are_shown(terminal: Terminal) -> None:
    for ordinal in range(60):
        done = ordinal % 2 == 0
        terminal.printer.show(OrdinalState("web", ordinal, f"web-{ordinal}", "ready" if done else "image", "", done))
    head, *rows = terminal.picture()
    assert head.strip().endswith("30 of 60 ordinals  0.0s")
    assert len(rows) == 24
    assert all(" image " in row for row in rows)


def test_the_spinner_turns(terminal: Terminal) -> None:
    terminal.printer.show(PhaseStarted(1, 1, "StatefulSet"))
    moments = iter((0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4))
    terminal.console.get_time = lambda: next(moments, 0.5)
    assert len({terminal.picture()[0] for _ in range(4)}) > 1


def test_which_printer_an_output_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(printer("json"), JsonPrinter)
    assert isinstance(printer("text"), PlainPrinter)
    with pytest.raises(InputError, match="--output yaml is not known here"):
        printer("yaml")
    printer("text").show(Notice("hello"))
    assert capsys.readouterr().out == "hello\n"


def test_what_the_terminal_s_encoding_does_not_have_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii", newline="\n") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        printer("text").show(Notice("ä logged 日"))
        stream.flush()
        assert raw.getvalue() == b"\\xe4 logged \\u65e5\n"
        monkeypatch.undo()
