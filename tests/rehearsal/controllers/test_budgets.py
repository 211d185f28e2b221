from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal.kinds import BUDGETS, PODS
from tests.rehearsal.controllers.quay import SPACE, Quay, web

pytestmark = pytest.mark.rehearsal


def budget(**spec: Any) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": SPACE},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def figures(quay: Quay) -> tuple[int, int, int, int]:
    status = quay.get(BUDGETS, "web")["status"]
    keys = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    first, second, third, fourth = (status[key] for key in keys)
    return first, second, third, fourth


def condition(quay: Quay) -> tuple[str, str, str]:
    (entry,) = quay.get(BUDGETS, "web")["status"]["conditions"]
    return entry["status"], entry["reason"], entry["message"]


def test_without_pods(quay: Quay) -> None:
    quay.make(budget(minAvailable=1))
    quay.settle()
    assert figures(quay) == (0, 1, 0, 0)
    assert condition(quay) == ("False", "InsufficientPods", "")
    assert quay.events("web") == [("NoPods", "No matching pods found")]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 1}, (3, 1, 3, 2)),
        ({"minAvailable": "50%"}, (3, 2, 3, 1)),
        ({"maxUnavailable": 1}, (3, 2, 3, 1)),
        ({"maxUnavailable": "34%"}, (3, 1, 3, 2)),
        ({"maxUnavailable": 0}, (3, 3, 3, 0)),
        ({"maxUnavailable": 5}, (3, 0, 3, 3)),
    ],
)
def test_figures(quay: Quay, spec: Json, expected: tuple[int, int, int, int]) -> None:
    quay.make(budget(**spec))
    quay.make(web(3))
    quay.settle()
    assert figures(quay) == expected
    status = quay.get(BUDGETS, "web")["status"]
    assert status["observedGeneration"] == quay.get(BUDGETS, "web")["metadata"]["generation"]
    assert condition(quay)[:2] == (("True", "SufficientPods") if expected[3] else ("False", "InsufficientPods"))


def test_an_unready_pod_uses_the_budget_up(quay: Quay) -> None:
    quay.make(budget(maxUnavailable=1))
    quay.make(web(3))
    quay.settle()
    quay.nodes.set_ready("web-1", False)
    quay.settle()
    assert figures(quay) == (3, 2, 2, 0)


def test_a_pod_without_an_owner_does_not_count_as_expected(quay: Quay) -> None:
    quay.make(budget(maxUnavailable=1))
    meta = {"name": "lone", "namespace": SPACE, "labels": {"app": "web"}}
    spec = {"containers": [{"name": "a", "image": "a:1"}]}
    quay.make({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    quay.settle()
    assert figures(quay) == (0, 0, 1, 0)
    assert any(reason == "UnmanagedPods" for reason, _ in quay.events("web"))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("example.com/v1 Ship", 'no matches for kind "Ship" in version "example.com/v1"'),
        ("v1 ConfigMap", "configmaps does not implement the scale subresource"),
        ("apps/v1 StatefulSet", 'found no controllers for pod "lone"'),
    ],
)
def test_a_pod_of_an_unknown_controller(quay: Quay, kind: str, why: str) -> None:
    quay.make(budget(maxUnavailable=1))
    version, _, kind = kind.partition(" ")
    reference = {"apiVersion": version, "kind": kind, "name": "x", "uid": "1", "controller": True}
    # An owner that does not exist is collected with its pod, but for the finalizer.
    meta = {"name": "lone", "namespace": SPACE, "labels": {"app": "web"}, "ownerReferences": [reference]}
    meta["finalizers"] = ["example.com/hold"]
    spec = {"containers": [{"name": "a", "image": "a:1"}]}
    quay.make({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    quay.settle()
    assert condition(quay) == ("False", "SyncFailed", why)


def test_a_disruption_that_was_granted_counts_until_it_is_late(quay: Quay) -> None:
    quay.make(budget(maxUnavailable=1))
    quay.make(web(3))
    quay.settle()
    live = quay.get(BUDGETS, "web")
    since = quay.world.clock.timestamp()
    status = {**live["status"], "disruptedPods": {"web-1": since}, "disruptionsAllowed": 0}
    with quay.world.request():
        quay.client.update_status(BUDGETS, {**live, "status": status})
    quay.world.advance(1)
    assert figures(quay) == (3, 2, 2, 0)
    assert quay.get(BUDGETS, "web")["status"]["disruptedPods"] == {"web-1": since}
    quay.settle()
    assert figures(quay) == (3, 2, 3, 1)
    assert "disruptedPods" not in quay.get(BUDGETS, "web")["status"]


def test_it_follows_scaling(quay: Quay) -> None:
    quay.make(budget(maxUnavailable="50%"))
    quay.make(web(4))
    quay.settle()
    assert figures(quay) == (4, 2, 4, 2)
    quay.scale(2)
    quay.settle()
    assert figures(quay) == (2, 1, 2, 1)
    assert len(quay.client.list(PODS, SPACE)) == 2
