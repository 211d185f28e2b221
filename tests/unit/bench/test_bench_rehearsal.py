"""The rehearsal's part of the report: its targets, and that it leaves the rest of the report alone."""

from __future__ import annotations

import pytest

from bench.rehearsal import HEADING, Figure, section, with_section

pytestmark = pytest.mark.unit

FIGURES = [Figure("a start", 0.7, "s", (0.5, 0.9, 0.6), (0.3, 0.4, 0.2)), Figure("memory", 100, "MB", (90.0, 101.0))]
MACHINE = {"processor": "2 cores", "load before the run": "1.0"}
REPORT = "# Report\n\n## Targets\n\nx\n\n## Machine and versions\n\n- y\n"


def test_the_median_counts_and_of_memory_the_highest() -> None:
    start, memory = FIGURES
    assert (start.figure, start.reached) == (0.6, True)
    assert (memory.figure, memory.reached) == (101.0, False)
    assert start.line() == "| a start | 0.7 s | 0.60 s | 0.50 - 0.90 | 0.30 s | reached |"
    assert start.to_json()["values"] == [0.5, 0.9, 0.6]


def test_the_rest_of_the_report_stays() -> None:
    made = section(FIGURES, "2026-01-01", MACHINE)
    once = with_section(REPORT, made)
    assert once.replace(made + "\n", "") == REPORT
    assert once.index(HEADING) < once.index("## Machine and versions")
    assert with_section(once, made) == once, "a second time it is replaced"
    assert with_section("", made).startswith(HEADING)
