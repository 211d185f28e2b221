"""The steps from one number of pods to another, and what claims, quorums and budgets have to say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from berth.core.ledger import make_ledger
from berth.core.objects import UNUSABLE_ANNOTATION, Json
from berth.core.operations import Operation
from berth.core.scaling import (
    ScaleStep,
    budget_problems,
    claims_of,
    quorum_problem,
    reuse_lines,
    scaling_steps,
    step_lines,
    unusable_problems,
)
from tests.unit.core.samples import statefulset

pytestmark = pytest.mark.unit

EVEN = {"allowEven": True}


def operation(name: str, **settings: Any) -> Operation:
    return Operation(name, ("true",), **settings)


def operations(*made: Operation) -> dict[str, Operation]:
    return {one.name: one for one in made}


ONE_BY_ONE = operations(
    operation("ready"),
    operation("beforeScaleDown", step=1, between=EVEN),
    operation("afterScaleUp", step=1, between=EVEN),
)
IN_ONE_GO = operations(operation("beforeScaleDown", pods="condemned"), operation("afterScaleDown", pods="primary"))


def way(steps: tuple[ScaleStep, ...]) -> list[tuple[int, int]]:
    return [(step.origin, step.replicas) for step in steps]


def named(steps: tuple[ScaleStep, ...]) -> list[tuple[str | None, str | None]]:
    return [(step.before.name if step.before else None, step.after.name if step.after else None) for step in steps]


def test_a_profile_without_such_operations_scales_in_one_go() -> None:
    assert scaling_steps(3, 5, operations(operation("ready"))) == ()
    assert scaling_steps(3, 5, IN_ONE_GO) == (), "and so does a direction without one"
    assert scaling_steps(3, 3, ONE_BY_ONE) == ()


def test_up_one_by_one() -> None:
    steps = scaling_steps(3, 5, ONE_BY_ONE)
    assert way(steps) == [(3, 4), (4, 5)] and named(steps) == [(None, "afterScaleUp")] * 2
    assert [step.added for step in steps] == [(3,), (4,)]
    assert [dict(step.between) for step in steps] == [EVEN, {}], "the last step is as the user wants it"


def test_down_one_by_one_from_a_higher_first_ordinal() -> None:
    steps = scaling_steps(5, 3, ONE_BY_ONE, first=10)
    assert way(steps) == [(5, 4), (4, 3)] and named(steps) == [("beforeScaleDown", None)] * 2
    assert [step.condemned for step in steps] == [(14,), (13,)]


def test_without_a_step_all_at_once_with_the_operations_around() -> None:
    (step,) = scaling_steps(5, 2, IN_ONE_GO)
    assert (step.origin, step.replicas, step.condemned) == (5, 2, (4, 3, 2))
    assert named((step,)) == [("beforeScaleDown", "afterScaleDown")]


@pytest.mark.parametrize(("live", "wanted", "expected"), [(1, 6, [3, 5, 6]), (6, 1, [4, 2, 1]), (2, 3, [3])])
def test_steps_of_two_end_where_they_shall(live: int, wanted: int, expected: list[int]) -> None:
    both = operations(operation("beforeScaleDown", step=2), operation("afterScaleUp", step=2))
    assert [step.replicas for step in scaling_steps(live, wanted, both)] == expected


def test_the_smaller_of_two_steps_counts() -> None:
    both = operations(operation("beforeScaleDown", step=3), operation("afterScaleDown", step=2))
    assert [step.replicas for step in scaling_steps(5, 1, both)] == [3, 1]


def test_a_set_that_is_not_whole_becomes_so_before_it_grows() -> None:
    steps = scaling_steps(3, 4, ONE_BY_ONE, whole=False)
    assert way(steps) == [(3, 3), (3, 4)] and named(steps)[0] == (None, None)
    assert way(scaling_steps(3, 2, ONE_BY_ONE, whole=False)) == [(3, 2)], "to shrink may be the way out"


def test_a_stopped_step_ends_first() -> None:
    steps = scaling_steps(4, 5, ONE_BY_ONE, mark=(3, 4))
    assert way(steps) == [(3, 4), (4, 5)] and steps[0].after is not None and steps[0].added == (3,)
    assert way(scaling_steps(4, 4, ONE_BY_ONE, mark=(3, 4))) == [(3, 4)]
    down = scaling_steps(4, 3, operations(operation("beforeScaleDown"), operation("afterScaleDown")), mark=(5, 4))
    assert named(down) == [(None, "afterScaleDown"), ("beforeScaleDown", "afterScaleDown")]


def test_a_stopped_step_is_forgotten_where_the_way_turns_or_never_began() -> None:
    assert way(scaling_steps(4, 3, ONE_BY_ONE, mark=(3, 4))) == [(4, 3)]
    assert way(scaling_steps(3, 5, ONE_BY_ONE, mark=(3, 4))) == [(3, 4), (4, 5)]
    assert scaling_steps(3, 3, ONE_BY_ONE, mark=(3, 4)) == ()


def test_to_stop_is_no_loss_of_members_and_they_come_back_as_they_were() -> None:
    stop = scaling_steps(3, 0, ONE_BY_ONE)
    assert way(stop) == [(3, 0)] and named(stop) == [(None, None)]
    assert way(scaling_steps(0, 3, ONE_BY_ONE, mark=(3, 0))) == [(0, 3)]
    more = scaling_steps(0, 5, ONE_BY_ONE, mark=(3, 0))
    assert way(more) == [(0, 3), (3, 4), (4, 5)] and dict(more[0].between) == EVEN and not more[-1].between
    assert way(scaling_steps(0, 2, ONE_BY_ONE, mark=(3, 0))) == [(0, 3), (3, 2)]
    assert way(scaling_steps(0, 5, IN_ONE_GO, mark=(3, 0))) == [(0, 3), (3, 5)]
    assert way(scaling_steps(0, 5, ONE_BY_ONE)) == [(0, 5)], "nobody knows what it was"


def test_steps_for_people() -> None:
    assert step_lines("zk", scaling_steps(3, 5, ONE_BY_ONE)) == [
        "StatefulSet/zk goes 3 -> 4 -> 5, with all pods ready in between",
        "  3 -> 4, allowEven: true, afterScaleUp afterwards",
        "  4 -> 5, afterScaleUp afterwards",
    ]
    assert step_lines("zk", scaling_steps(3, 4, ONE_BY_ONE, whole=False))[1] == "  at 3, allowEven: true"


def quorum(said: str, replicas: int, place: str = "set") -> Json:
    note = {"annotations": {"berth.dev/readiness": said}}
    changes: Mapping[str, Any] = {"metadata": note} if place == "set" else {"spec": {"template": {"metadata": note}}}
    return statefulset({**changes, "spec": {**changes.get("spec", {}), "replicas": replicas}})


@pytest.mark.parametrize(
    ("live", "wanted", "refused"),
    [(3, 2, False), (3, 1, True), (5, 3, False), (5, 2, True), (2, 1, True), (1, 0, False), (3, 0, False)],
)
@pytest.mark.parametrize("place", ["set", "pod"])
def test_less_than_a_quorum_of_the_present_members_is_refused(
    live: int, wanted: int, refused: bool, place: str
) -> None:
    assert bool(quorum_problem(quorum("quorum", live, place), wanted)) is refused
    assert quorum_problem(quorum("local", live, place), wanted) is None


def claim(name: str, made: str = "2026-01-01T00:00:00Z", unusable: str = "") -> Json:
    notes = {"annotations": {UNUSABLE_ANNOTATION: unusable}} if unusable else {}
    spec = {"resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, "namespace": "shop", "creationTimestamp": made, **notes}
    return {"kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def with_claims(replicas: int, start: int = 0) -> Json:
    templates = [{"metadata": {"name": name}} for name in ("data", "log")]
    return statefulset(
        {"spec": {"replicas": replicas, "volumeClaimTemplates": templates, "ordinals": {"start": start}}}
    )


def test_claims_of_ordinals() -> None:
    claims = [claim(name) for name in ("log-web-2", "data-web-2", "data-web-1", "data-other-2", "web-2", "x-web-2")]
    assert [c["metadata"]["name"] for _, c in claims_of(with_claims(3), claims, [2])] == ["data-web-2", "log-web-2"]


def test_only_a_claim_that_a_new_pod_would_take_is_a_problem() -> None:
    claims = [claim("data-web-0", unusable="x"), claim("data-web-3", unusable="left the ring"), claim("data-web-9")]
    (problem,) = unusable_problems(with_claims(5), range(3), claims, ())
    assert problem.what.startswith("web-3 would take claim data-web-3") and problem.why == "left the ring"
    assert "--discard-claims data-web-3" in problem.hint and f"{UNUSABLE_ANNOTATION}-" in problem.hint
    assert unusable_problems(with_claims(3), range(3), claims, ()) == []
    assert unusable_problems(with_claims(5), range(3), claims, ["data-web-3"]) == []


def test_old_claims_are_named_with_their_age() -> None:
    now = datetime(2026, 1, 11, tzinfo=UTC)
    assert reuse_lines(with_claims(4), range(3), [claim("data-web-3"), claim("data-web-4")], now) == [
        "web-3 takes claim data-web-3 again, with what is in it (1Gi, 10d old)"
    ]


def test_the_ledger_tells_which_claim_no_pod_may_take() -> None:
    (line,) = make_ledger([(claim("data-web-3", unusable="left"), 3, True)], {}, {}, delete_claims=False)
    assert line.fate == "kept" and line.why == "the claim stays, and no pod may take it again: left"


def budget(minimum: int | None = None, healthy: int = 3, allowed: int = 1, app: str = "web") -> Json:
    spec: Json = {"selector": {"matchLabels": {"app": app}}, **({"minAvailable": minimum} if minimum else {})}
    status = {"currentHealthy": healthy, "expectedPods": 3, "disruptionsAllowed": allowed}
    return {"metadata": {"name": "guard"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("guard", "wanted", "ready", "said"),
    [
        (budget(3), 2, [0, 1, 2], "wants 3 pods to be available"),
        (budget(2), 2, [0, 1, 2], ""),
        (budget(3), 0, [0, 1, 2], ""),
        (budget(healthy=2, allowed=0), 2, [0, 2], "allows no disruption at this moment"),
        (budget(healthy=2, allowed=0), 2, [0, 1], ""),
        (budget(healthy=3, allowed=0), 2, [0, 1, 2], ""),
        (budget(3, app="other"), 2, [0, 1, 2], ""),
    ],
    ids=["too few left", "enough left", "a stop", "one is ill", "the ill one goes", "a budget of none", "not ours"],
)
def test_a_budget_that_speaks_against_it_is_named(guard: Json, wanted: int, ready: list[int], said: str) -> None:
    pods = [{"metadata": {"name": "web-0", "labels": {"app": "web"}}}]
    found = budget_problems(statefulset(), [guard], pods, wanted, ready)
    assert [problem.what for problem in found] == ([f"PodDisruptionBudget/guard {said}"] if said else [])
