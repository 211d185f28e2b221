"""How a plan shows a change: in a line, or the lines of a longer text that differ."""

from __future__ import annotations

import pytest

from berth.core.diff import Change, change_lines

pytestmark = pytest.mark.unit


def test_a_short_value_is_shown_whole() -> None:
    assert change_lines(Change("spec.replicas", 2, 3), 200) == ["spec.replicas: 2 -> 3"]
    assert change_lines(Change("data.x", "(hidden)", "(hidden)"), 200) == ["data.x: (hidden) -> (hidden)"]
    assert change_lines(Change("data.x", "one\n", "two\n"), 200) == ["data.x: 'one\\n' -> 'two\\n'"]


def test_of_a_long_text_only_what_differs() -> None:
    old = "\n".join(f"line {n}" for n in range(100))
    new = old.replace("line 70", "line \x1b[2J seventy")
    assert change_lines(Change("data.conf", old, new), 200) == [
        "data.conf:",
        "  - line 70",
        "  + line \\x1b[2J seventy",
    ]


def test_many_lines_are_counted() -> None:
    lines = change_lines(Change("data.conf", "a\nb", "\n".join(str(n) for n in range(50))), 200)
    assert len(lines) == 22 and lines[-1] == "  ... and 32 lines more"
