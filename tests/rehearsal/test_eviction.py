"""The eviction subresource, with the answers of a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal.eviction import evict
from berth.rehearsal.kinds import BUDGETS
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.registry import Options
from tests.rehearsal.stage import SPACE, Stage

pytestmark = pytest.mark.rehearsal

_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def ask(stage: Stage, name: str, *, dry_run: bool = False, about: str = "", **wish: Any) -> Json:
    body: Json = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": about or name}}
    if wish:
        body["deleteOptions"] = wish
    with stage.world.request():
        return evict(stage.world, SPACE, name, body, Options(manager="tests", dry_run=dry_run))


def refusal(stage: Stage, name: str, **options: Any) -> Json:
    with pytest.raises(ApiError) as caught:
        ask(stage, name, **options)
    return caught.value.to_status()


def guarded(count: int = 2, annotations: dict[str, str] | None = None, **budget: Any) -> Stage:
    stage = Stage()
    for number in range(count):
        stage.add_pod(f"web-{number}", labels={"app": "web"}, annotations=annotations or {})
    stage.add_budget("web", {"app": "web"}, **(budget or {"minAvailable": 1}))
    stage.settle()
    return stage


def test_a_pod_without_budget_goes() -> None:
    stage = Stage()
    stage.add_pod("web")
    stage.settle()
    done = ask(stage, "web")
    assert done == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    assert stage.pod("web")["metadata"]["deletionGracePeriodSeconds"] == 30
    reason = ("True", "EvictionByEvictionAPI", "Eviction API: evicting")
    assert stage.condition("web", "DisruptionTarget") == reason
    stage.settle()
    assert not stage.exists("web")


def test_a_budget_allows_one_and_refuses_the_next() -> None:
    stage = guarded()
    assert stage.budget("web")["status"]["disruptionsAllowed"] == 1
    ask(stage, "web-0")
    status = stage.budget("web")["status"]
    assert status["disruptionsAllowed"] == 0
    assert list(status["disruptedPods"]) == ["web-0"]
    assert (status["conditions"][0]["reason"], status["conditions"][0]["status"]) == ("InsufficientPods", "False")
    assert refusal(stage, "web-1")["code"] == 429
    stage.settle()
    assert "disruptedPods" not in stage.budget("web")["status"]
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget web needs 1 healthy pods and has 1 currently",
    }
    assert refusal(stage, "web-1") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": _REFUSED,
        "reason": "TooManyRequests",
        "details": {"causes": [cause]},
        "code": 429,
    }
    assert stage.exists("web-1") and "deletionTimestamp" not in stage.pod("web-1")["metadata"]


def test_a_budget_that_was_not_looked_at_yet_asks_for_patience() -> None:
    stage = guarded()
    stage.add_budget("new", {"app": "new"}, minAvailable=0)
    stage.add_pod("new", labels={"app": "new"})
    stage.world.settle(limit_seconds=1)
    with stage.world.request():
        budget = stage.budget("new")
        stage.client.update(
            BUDGETS,
            {**budget, "spec": {**budget["spec"], "minAvailable": 1}},
        )
        body: Json = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "new"}}
        with pytest.raises(ApiError) as caught:
            evict(stage.world, SPACE, "new", body, Options(manager="tests"))
    assert caught.value.headers == {"Retry-After": "10"}
    assert caught.value.details == {
        "causes": [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget new is still being processed by the server.",
            }
        ],
        "retryAfterSeconds": 10,
    }


def test_a_dry_run_does_nothing() -> None:
    stage = guarded()
    before = stage.writes
    assert ask(stage, "web-0", dry_run=True)["status"] == "Success"
    assert ask(stage, "web-0", dryRun=["All"])["status"] == "Success"
    assert stage.writes == before
    ask(stage, "web-1")
    assert refusal(stage, "web-0", dry_run=True)["code"] == 429


def test_two_budgets_are_one_too_many() -> None:
    stage = guarded()
    stage.add_budget("other", {"app": "web"}, maxUnavailable=1)
    stage.settle()
    assert refusal(stage, "web-0") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        "code": 500,
    }


def test_an_unhealthy_pod_is_protected_unless_the_policy_says_otherwise() -> None:
    stage = guarded(1, {"berth.dev/fault": "unready"})
    causes = refusal(stage, "web-0")["details"]["causes"]
    assert causes[0]["message"] == "The disruption budget web needs 1 healthy pods and has 0 currently"
    stage = guarded(1, {"berth.dev/fault": "unready"}, minAvailable=1, unhealthyPodEvictionPolicy="AlwaysAllow")
    assert ask(stage, "web-0")["status"] == "Success"


def test_an_unhealthy_pod_may_go_while_enough_others_are_well() -> None:
    stage = guarded(2)
    stage.annotate("web-1", fault="unready")
    stage.settle()
    assert stage.budget("web")["status"]["disruptionsAllowed"] == 0
    ask(stage, "web-1")
    assert "disruptedPods" not in stage.budget("web")["status"]


def test_pods_that_are_pending_or_going_are_not_protected() -> None:
    stage = guarded(1, {"berth.dev/fault": "image"})
    assert stage.pod("web-0")["status"]["phase"] == "Pending"
    assert ask(stage, "web-0")["status"] == "Success"
    stage = guarded(1)
    stage.delete("web-0")
    assert ask(stage, "web-0")["status"] == "Success"


def test_refusals_of_the_request_itself() -> None:
    stage = guarded()
    assert refusal(stage, "none")["message"] == 'pods "none" not found'
    assert refusal(stage, "web-0", about="web-1")["message"] == "name in URL does not match name in Eviction object"
    stage = Stage()
    uid = stage.add_pod("web")["metadata"]["uid"]
    stage.settle()
    status = refusal(stage, "web", preconditions={"uid": "foo"})
    assert status["message"] == (
        'Operation cannot be fulfilled on Pod "web": the UID in the precondition (foo) does not match the UID in '
        f"record ({uid}). The object might have been deleted and then recreated"
    )
    assert (status["code"], status["reason"], status["details"]) == (409, "Conflict", {"name": "web", "kind": "Pod"})
    version = stage.pod("web")["metadata"]["resourceVersion"]
    assert ask(stage, "web", preconditions={"uid": uid, "resourceVersion": version}, gracePeriodSeconds=3)
    assert stage.pod("web")["metadata"]["deletionGracePeriodSeconds"] == 3
