"""The committed charts are those of the profiles. To write them anew: ``invoke chart --all``."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.actions.chart import charts_of, chosen, stale
from berth.library import open_library

pytestmark = pytest.mark.golden

ROOT = Path(__file__).resolve().parents[2]


def test_the_charts_are_fresh() -> None:
    """Byte for byte, one for each profile, and every value of each can be set."""
    library = open_library(ROOT)
    charts = charts_of(library, chosen(library, (), True), None)
    assert stale(charts, ROOT / "charts") == []
    assert {path.name for path in (ROOT / "charts").iterdir() if path.is_dir()} == {chart.name for chart in charts}
    assert {chart.name: chart.fixed for chart in charts} == {chart.name: () for chart in charts}
