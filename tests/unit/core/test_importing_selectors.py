"""Pods of a release are found by its name, and those of a set that ran before berth by the set's own selector."""

from __future__ import annotations

import pytest

from berth.core.objects import INSTANCE_LABEL, Json
from berth.core.readiness import pod_selector

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([{"matchLabels": {INSTANCE_LABEL: "web", "x": "y"}}], f"{INSTANCE_LABEL}=web"),
        ([], f"{INSTANCE_LABEL}=web"),
        ([{"matchLabels": {"app": "web", "a": "b"}}], "a=b,app=web"),
        ([{"matchLabels": {INSTANCE_LABEL: "other"}}], f"{INSTANCE_LABEL}=other"),
        ([{"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "db"}}], None),
        ([{"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}], None),
        ([{"matchExpressions": [{"key": "x", "operator": "Exists"}]}], None),
    ],
)
def test_how_pods_of_a_release_are_found(selectors: list[Json], expected: str | None) -> None:
    sets = [{"kind": "StatefulSet", "spec": {"selector": selector}} for selector in selectors]
    assert pod_selector("web", [{"kind": "Service"}, *sets]) == expected
