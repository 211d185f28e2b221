"""What the benchmark makes of its measurements; that it measures is seen by running it."""

from __future__ import annotations

import json

import pytest

from bench.cases import BARE, FRESH, LIST, MANY, ONE, UNCHANGED
from bench.measuring import Row, Sample, rotated
from bench.report import as_json, markdown, targets

pytestmark = pytest.mark.unit


def row(case: str, contender: str, *walls: float, memory: float = 50.0) -> Row:
    return Row(case, contender, tuple(Sample(wall, wall / 2, memory) for wall in walls))


def one(berth: float, kubectl: float, helm: float) -> list[Row]:
    case = f"{ONE}, {FRESH}"
    return [row(case, "berth", berth), row(case, "kubectl", kubectl), row(case, "helm", helm)]


def test_figures_are_medians_and_the_highest_peak() -> None:
    measured = Row("render", "berth", (Sample(3, 1, 40), Sample(1, 2, 60), Sample(2, 9, 50)))
    assert (measured.wall, measured.cpu, measured.memory, measured.spread) == (2, 2, 60, (1, 3))


@pytest.mark.parametrize(
    ("rows", "figures"),
    [
        (one(1.0, 1.0, 2.0), [(0.5, True), (1.0, True)]),
        (one(1.5, 1.0, 2.0), [(0.75, False), (1.5, False)]),
        (
            [row(f"{MANY}, {FRESH}", name, wall) for name, wall in (("berth", 6), ("helm", 8), ("python client", 5))],
            [(1.2, False)],
        ),
        ([row(f"{MANY}, {UNCHANGED}", "berth", 0.9)], [(0.9, True)]),
        ([row(LIST, BARE, 0.2), row(LIST, "berth", 0.22)], [(1.1, True)]),
    ],
    ids=["just reached", "not reached", "the fastest peer counts", "seconds", "list"],
)
def test_targets_are_judged(rows: list[Row], figures: list[tuple[float, bool]]) -> None:
    found = targets(rows)
    *rest, memory = found
    assert [(round(target.figure, 6), target.reached) for target in rest] == figures
    assert (memory.figure, memory.reached) == (50.0, True)


def test_a_command_that_needs_too_much_memory_is_told() -> None:
    *_, memory = targets([row(LIST, BARE, 0.2), row(LIST, "berth", 0.2, memory=151)])
    assert not memory.reached


def test_the_report_says_what_was_reached_and_on_what_date() -> None:
    text = markdown(one(1.5, 1.0, 4.0), {"memory": "24 GiB"}, "2026-01-02")
    assert "2026-01-02" in text and "24 GiB" in text
    assert "| one release, fresh: time over helm's | 0.5 | 0.38 | reached |" in text
    assert "| one release, fresh: time over kubectl's pair | 1.3 | 1.50 | **not reached** |" in text
    assert f"| {ONE}, {FRESH} | helm | 0.38 | 0.38 |" in text


def test_the_json_has_every_sample() -> None:
    body = json.loads(as_json([row(LIST, BARE, 0.1, 0.3)], {}, "2026-01-02"))
    assert [sample["wall"] for sample in body["measurements"][0]["samples"]] == [0.1, 0.3]


def test_everybody_is_first_once() -> None:
    assert [rotated(["a", "b", "c"], turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]
