"""What a pod names, also where its spec has not the form that it should."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.order import pod_references

pytestmark = pytest.mark.unit


def named(**pod: Any) -> set[tuple[str, str]]:
    return {(kind, name) for _, kind, name in pod_references(pod) if name != "None"}


def test_everything_that_a_pod_names() -> None:
    variables = [{"valueFrom": {"secretKeyRef": {"name": "a"}}}, {"valueFrom": {"configMapKeyRef": {"name": "b"}}}]
    container = {"env": variables, "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "d"}}]}
    volumes = [{"projected": {"sources": [{"secret": {"name": "e"}}]}}, {"persistentVolumeClaim": {"claimName": "f"}}]
    assert named(containers=[container], volumes=volumes, imagePullSecrets=[{"name": "g"}]) == {
        ("Secret", "a"),
        ("ConfigMap", "b"),
        ("ConfigMap", "c"),
        ("Secret", "d"),
        ("Secret", "e"),
        ("PersistentVolumeClaim", "f"),
        ("Secret", "g"),
    }


@pytest.mark.parametrize(
    "pod",
    [
        {"containers": [1]},
        {"containers": "x"},
        {"containers": [{"env": 3, "envFrom": [None]}]},
        {"volumes": {"a": 1}, "imagePullSecrets": ["x"], "initContainers": None},
        {"volumes": [{"projected": {"sources": 5}}, "x"]},
    ],
)
def test_what_has_another_form_is_passed_over(pod: dict[str, Any]) -> None:
    assert named(**pod) == set()
