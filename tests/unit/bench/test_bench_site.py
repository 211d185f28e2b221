"""The case of a site: both contenders get the same releases, and its figures have limits of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import site
from bench.cases import SITE
from bench.contenders import Tools
from bench.measuring import BenchError, Row, Sample
from bench.report import TITLES, targets
from berth.actions.sitefile import load_site, placed
from berth.library import open_library

pytestmark = pytest.mark.unit

TOOLS = Tools("kubectl", "helm", ["berth"], ["invoke"])


def test_the_site_renders_and_helm_gets_the_same_releases(tmp_path: Path) -> None:
    fleet = site.Fleet("bench-1", tmp_path / "fleet")
    fleet.write()
    found = {(one.release.namespace, one.release.name) for one in placed(open_library(tmp_path), load_site(fleet.file))}
    looped = site.CONTENDERS["helm"](TOOLS, fleet, site.UNCHANGED)
    assert len(found) == site.COUNT == 50 and found == {(command[6], command[3]) for command in looped}
    assert {command[6] for command in looped} == set(fleet.namespaces)


@pytest.mark.parametrize("step", site.STEPS)
def test_each_step_is_one_command_of_berth_and_one_a_release_of_helm(step: str, tmp_path: Path) -> None:
    fleet = site.Fleet("bench-1", tmp_path)
    (own,) = site.CONTENDERS["berth"](TOOLS, fleet, step)
    assert own[:3] == ["berth", own[1], "--site"] and own[1] == step.partition(",")[0]
    looped = site.CONTENDERS["helm"](TOOLS, fleet, step)
    assert len(looped) == site.COUNT
    assert ("--dry-run=server" in looped[0], "--wait" in looped[0]) == ("plan" in step, "up" in step)


def test_without_charts_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no chart of nginx, httpd"):
        site.Fleet("bench-1", tmp_path / "fleet", tmp_path).write()


def test_its_figures_have_limits_of_their_own() -> None:
    rows = [Row(f"{SITE}, {step}", "berth", (Sample(2.0, 1.0, 180.0),)) for step in site.STEPS]
    found = {target.what.partition(" releases")[2]: target.reached for target in targets(rows)}
    assert found == {
        ", render: time": False,
        ", plan: time": True,
        ", plan, unchanged: time": True,
        ", up, unchanged: time": True,
        ": peak memory": True,
    }
    assert {row.case for row in rows} <= set(TITLES)
