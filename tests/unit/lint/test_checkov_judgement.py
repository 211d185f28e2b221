"""What the check with checkov makes of checkov's report."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import Position
from berth.core.objects import Manifest
from tests.checks.checkov import WAIVERS, Waiver, judge, own_skips, read_waivers

pytestmark = pytest.mark.unit

WAIVER = Waiver("CKV_K8S_11", ("StatefulSet/web",), "because")


def report(*resources: str, **summary: int) -> list[dict[str, Any]]:
    failed = [{"check_id": "CKV_K8S_11", "resource": resource, "check_name": "limits"} for resource in resources]
    return [{"summary": {"resource_count": 3, **summary}, "results": {"failed_checks": failed}}]


def test_waived() -> None:
    assert judge(report("StatefulSet.x.web"), [WAIVER]) == []


@pytest.mark.parametrize(
    ("given", "waivers", "said"),
    [
        (report("StatefulSet.x.web", "StatefulSet.x.other"), [WAIVER], "fails for StatefulSet/other"),
        (report(), [WAIVER], "nothing needs the waiver"),
        (report("StatefulSet.x.web"), [Waiver("CKV_K8S_11", ("StatefulSet/web",), "")], "gives no reason"),
        (report(), [Waiver("CKV_K8S_11", (), "because")], "names no object"),
        (report(resource_count=0), [], "looked at no object"),
        (report(parsing_errors=1), [], "could not read"),
        (report(skipped=1), [], "was skipped"),
    ],
)
def test_not_good_enough(given: list[dict[str, Any]], waivers: list[Waiver], said: str) -> None:
    (problem,) = judge(given, waivers)
    assert said in problem


def test_annotations_do_not_waive() -> None:
    metadata = {"name": "web", "annotations": {"checkov.io/skip1": "CKV_K8S_11=no"}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    assert len(list(own_skips([Manifest(body, Position("x"))]))) == 1


def test_committed_waivers_have_reasons() -> None:
    waivers = read_waivers(WAIVERS.read_text(encoding="utf-8"))
    assert waivers and all(waiver.reason and waiver.objects for waiver in waivers)
