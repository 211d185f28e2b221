"""Which sets may be replaced around their pods because their claims grow, and what keeps a claim from growing."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import Position
from berth.core.objects import Json, Manifest
from berth.core.resize import ClaimGrowth, find_growths, grown

pytestmark = pytest.mark.unit


def statefulset(size: str, replicas: int = 2, **spec: Any) -> Json:
    template = {"metadata": {"name": "www"}, "spec": {"resources": {"requests": {"storage": size}}}}
    body = {"replicas": replicas, "serviceName": "nginx", "template": {}, "volumeClaimTemplates": [template], **spec}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "a"}, "spec": body}


def claim(ordinal: int, size: str, class_name: str = "fast") -> Json:
    spec = {"storageClassName": class_name, "resources": {"requests": {"storage": size}}}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": f"www-web-{ordinal}"}, "spec": spec}


CLASSES = [
    {"metadata": {"name": "fast"}, "allowVolumeExpansion": True},
    {"metadata": {"name": "fixed"}, "allowVolumeExpansion": False},
]


def find(desired: Json, live: Json | None, *claims: Json) -> tuple[tuple[ClaimGrowth, ...] | None, list[str]]:
    manifest = Manifest(desired, Position("x"))
    found, problems = find_growths([manifest], {manifest.ref: live} if live else {}, claims, CLASSES)
    growth = found.get(manifest.ref)
    return (growth.claims if growth else None), [problem.what for problem in problems]


def test_only_claims_that_are_smaller_grow() -> None:
    grown_by_hand = claim(1, "2Gi")
    found, problems = find(statefulset("2Gi"), statefulset("1Gi"), claim(0, "1Gi"), grown_by_hand)
    assert found == (ClaimGrowth("www-web-0", "1Gi", "2Gi"),) and not problems


def test_ordinals_that_go_or_come_in_the_same_run_count() -> None:
    claims = [claim(ordinal, "1Gi") for ordinal in range(5)]
    found, _ = find(statefulset("2Gi", replicas=4), statefulset("1Gi", replicas=2), *claims)
    assert found is not None and [one.claim for one in found] == [f"www-web-{o}" for o in range(4)]


@pytest.mark.parametrize(
    "desired",
    [
        statefulset("1Gi"),
        statefulset("512Mi"),
        statefulset("2Gi", podManagementPolicy="Parallel"),
        statefulset("2Gi", serviceName="other"),
    ],
    ids=["the same", "smaller", "another policy too", "another service too"],
)
def test_anything_else_is_no_growth(desired: Json) -> None:
    assert find(desired, statefulset("1Gi"), claim(0, "1Gi")) == (None, [])


def test_a_set_that_does_not_exist_has_nothing_to_grow() -> None:
    assert find(statefulset("2Gi"), None, claim(0, "1Gi")) == (None, [])


def test_a_class_that_does_not_expand_is_named() -> None:
    _, problems = find(statefulset("2Gi"), statefulset("1Gi"), claim(0, "1Gi", "fixed"), claim(1, "1Gi", "gone"))
    assert problems == [f"claim www-web-{o} cannot grow from 1Gi to 2Gi" for o in range(2)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, False),
        ({"capacity": {"storage": "1Gi"}}, False),
        ({"capacity": {"storage": "2Gi"}}, True),
        ({"capacity": {"storage": "3Gi"}}, True),
        ({"conditions": [{"type": "Resizing", "status": "True"}]}, False),
        ({"conditions": [{"type": "FileSystemResizePending", "status": "True"}]}, True),
    ],
)
def test_grown(status: Json, expected: bool) -> None:
    assert grown({**claim(0, "2Gi"), "status": status}, "2Gi") is expected
