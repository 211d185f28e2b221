"""Writes what commands print into their page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tests.docs.console import difference
from tests.docs.pages import Page

#: What would differ in every recording for no reason.
_TIDY = ((re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:16443"),)


def record(page: Page, outputs: Mapping[int, Sequence[str]]) -> None:
    """Replace the output of each command that printed something else; what counts as the same stays as it is."""
    lines = page.text.splitlines()
    for command in reversed(page.commands):
        output = outputs.get(command.line)
        if output is None or not difference(command.output, output):
            continue
        first = command.line - 1 + len(command.text.splitlines())
        lines[first : first + len(command.output)] = [_tidy(line) for line in output]
    page.path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _tidy(line: str) -> str:
    for pattern, instead in _TIDY:
        line = pattern.sub(instead, line)
    return line.rstrip()
