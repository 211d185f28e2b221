"""The picture: well-formed, a lane for each object, words that fit, and nothing to load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from berth.rehearsal import picture
from berth.rehearsal.tales import State
from berth.rehearsal.timeline import Lane, Moment, Span, Timeline

pytestmark = pytest.mark.unit

SVG = "{http://www.w3.org/2000/svg}"


def lanes(count: int, name: str = "web") -> tuple[Lane, ...]:
    spans = (Span(0, 1, State.STARTING), Span(1, 60, State.READY, "5d8f"))
    return tuple(Lane("Pod", f"{name}-{ordinal}", spans) for ordinal in range(count))


def drawn(timeline: Timeline) -> ElementTree.Element:
    return ElementTree.fromstring(picture.svg(timeline))


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def bars(root: ElementTree.Element) -> Iterator[tuple[float, float, str]]:
    for rect in root.iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None:
            yield float(rect.attrib["x"]), float(rect.attrib["width"]), title.text or ""


@pytest.mark.parametrize("count", [0, 1, 3, 60])
def test_a_lane_for_each(count: int) -> None:
    root = drawn(Timeline("up", 60, (), lanes(count)))
    found = [text for text in texts(root) if re.fullmatch(r"web-\d+", text)]
    assert found == [f"web-{ordinal}" for ordinal in range(count)]
    assert len(list(bars(root))) == 2 * count
    heights = {float(rect.attrib["y"]) for rect in root.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None}
    assert len(heights) == count, "no lane lies over another"
    height = float(root.attrib["height"])
    assert all(y + 16 < height for y in heights)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1, 9.99, 31, 300, 3599, 7200, 100_000, 1e9])
def test_bars_and_marks_stay_within_the_picture(seconds: float) -> None:
    spans = (Span(0, seconds / 2, State.FAILING, "CrashLoopBackOff"), Span(seconds / 2, seconds, State.READY, "5d8f"))
    root = drawn(Timeline("up", seconds, (), (Lane("Pod", "x" * 100, spans),)))
    assert all(0 <= x and x + width <= 1000 for x, width, _ in bars(root))
    marks = [text for text in texts(root) if re.fullmatch(r"[\d.]+ (s|min|h)", text)]
    assert 1 <= len(marks) <= 12
    assert marks[0] == "0 s"


def test_what_comes_from_outside_is_text() -> None:
    nasty = "<script>&\"'</script>"
    lane = Lane("Pod", nasty, (Span(0, 1, State.FAILING, nasty),))
    timeline = Timeline(nasty, 1, (Moment(0, "Pod", nasty, nasty, bad=True),), (lane,))
    assert nasty in "".join(drawn(timeline).itertext())
    assert "<script" not in picture.svg(timeline) + picture.html(timeline)


def test_it_says_what_it_shows_to_those_who_do_not_see_it() -> None:
    root = drawn(Timeline("up", 60, (Moment(3, "Pod", "web-0", "failing: x", bad=True),), lanes(2)))
    assert root.attrib["role"] == "img"
    named = {element.attrib["id"]: element.text or "" for element in root if "id" in element.attrib}
    assert [named[name] for name in root.attrib["aria-labelledby"].split()] == [
        "Timeline of up",
        "60.0 s of the cluster's time. Lanes: web-0, web-1. Trouble: pod web-0 failing: x.",
    ]


def test_nothing_is_loaded() -> None:
    made = picture.svg(Timeline("up", 60, (), lanes(1)))
    assert re.findall(r"https?://[^\"' ]*", made) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"href|url\(|@import|<script", made)


def test_revisions_have_colours_and_names_of_their_own() -> None:
    spans = (Span(0, 20, State.READY, "aaa"), Span(20, 30, State.STOPPING), Span(30, 60, State.READY, "bbb"))
    timeline = Timeline("up", 60, (), (Lane("Pod", "web-0", spans),), {"aaa": "nginx:1", "bbb": "nginx:2"})
    root = drawn(timeline)
    assert {"ready: nginx:1", "ready: nginx:2", "stopping"} <= set(texts(root))
    fills = [rect.attrib["fill"] for rect in root.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    assert len(set(fills)) == 3
    same = Timeline("up", 60, (), timeline.lanes, {"aaa": "nginx:1", "bbb": "nginx:1"})
    assert {"ready: aaa", "ready: bbb"} <= set(texts(drawn(same))), "the same image: hashes tell them apart"


def test_why_it_fails_is_readable_beside_a_narrow_bar() -> None:
    spans = (Span(1, 2, State.FAILING, "OOMKilled"), Span(50, 60, State.READY, "a"))
    root = drawn(Timeline("up", 60, (), (Lane("Pod", "web-0", spans),)))
    assert "OOMKilled" in texts(root)
    crowded = (Span(1, 2, State.FAILING, "OOMKilled"), Span(2, 60, State.READY, "a"))
    assert "OOMKilled" not in texts(drawn(Timeline("up", 60, (), (Lane("Pod", "web-0", crowded),))))


def test_restarts_and_what_the_scenario_does_are_marked() -> None:
    moments = (
        Moment(5, "Pod", "web-0", "restart 1: web ended with exit code 1", bad=True),
        Moment(9, "Scenario", "", "berth-node-2 falls silent"),
    )
    root = drawn(Timeline("up", 60, moments, lanes(2)))
    assert {"restart", "berth-node-2 falls silent"} <= set(texts(root))
    marks = [path for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    assert ["".join(mark.itertext()) for mark in marks] == ["web-0: restart 1: web ended with exit code 1, at 5.0 s"]


def test_dark_words_on_light_bars() -> None:
    """The contrast that WCAG asks of text, 4.5 to 1, on every fill."""

    def luminance(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ink = luminance(picture._INK)
    for fill in (*picture._FILLS.values(), *picture._REVISIONS):
        assert (luminance(fill) + 0.05) / (ink + 0.05) > 4.5, fill
    assert set(picture._FILLS) == set(State)


def test_the_page_has_every_moment() -> None:
    moments = (Moment(0, "StatefulSet", "web", "created"), Moment(61, "Pod", "web-0", "failing: x", bad=True))
    page = picture.html(Timeline("up & away", 70, moments, lanes(1)))
    opened: list[str] = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "rect", "line", "path"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("rect", "line", "path"):
                assert opened.pop() == tag

    Balanced().feed(page)
    assert not opened
    assert page.count("<tr") == 3 and '<tr class="bad"><td>61.0 s</td><td>pod web-0</td>' in page
    assert "<title>up &amp; away</title>" in page
