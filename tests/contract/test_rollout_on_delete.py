"""Sets under OnDelete: Kubernetes replaces no pod by itself, so that berth does it, pod by pod."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from berth.actions import rolling as acting
from berth.actions.operations import Outcome, Result, ordinal
from berth.actions.rollout import Wanted
from berth.cluster.kube import Kube
from berth.core.errors import FailedError, InputError, PreflightError
from berth.core.events import Event, StepDone
from berth.core.objects import Json
from berth.core.operations import Operation
from tests.contract.rollouts import (
    BAD,
    NEW,
    SHORT,
    THREE,
    back,
    images,
    interrupted,
    promote,
    replaced,
    roll,
    rolling,
    settled,
    state,
    the_record,
    three,
    uids,
)
from tests.contract.support import bring_up, done, rehearsal_only, release, steps, versions

ON_DELETE = "updateStrategy.type=OnDelete"


def deleted(events: Sequence[Event]) -> list[str]:
    return [event.ref.name for event in events if isinstance(event, StepDone) and event.action == "deleted"]


def test_a_canary_then_the_rest_and_back_again(kube: Kube, space: str) -> None:
    three(kube, space, ON_DELETE)
    before = uids(kube, space)
    assert deleted(roll(kube, space, *NEW, wanted=Wanted(1, pause=True))) == ["web-2"]
    assert replaced(kube, space, before) == [2] and images(kube, space) == ["1.29", "1.29", "1.30"]
    assert state(kube, space) == ("held", "paused")
    with pytest.raises(InputError, match="has 2 to go"):
        promote(kube, space, 3)
    assert deleted(promote(kube, space, 1)) == ["web-1"] and state(kube, space) == ("held", "paused")
    assert deleted(promote(kube, space)) == ["web-0"]
    settled(kube, space, ON_DELETE, *NEW)
    assert deleted(back(kube, space)) == ["web-2", "web-1", "web-0"] and images(kube, space) == ["1.29"] * 3
    settled(kube, space, ON_DELETE)


@rehearsal_only
def test_undoing_a_canary_leaves_the_other_pods(kube: Kube, space: str) -> None:
    three(kube, space, ON_DELETE)
    before = uids(kube, space)
    roll(kube, space, *NEW, wanted=Wanted(1, pause=True))
    assert deleted(back(kube, space)) == ["web-2"]
    assert replaced(kube, space, before) == [2] and images(kube, space) == ["1.29"] * 3
    settled(kube, space, ON_DELETE)


def test_a_canary_that_fails_holds_it_and_goes_back_with_leave(kube: Kube, space: str) -> None:
    three(kube, space, ON_DELETE)
    before = uids(kube, space)
    with pytest.raises(FailedError, match="is held: 1 of 3 pods are of the newest revision"):
        roll(kube, space, *BAD, patience=SHORT)
    assert replaced(kube, space, before) == [2] and state(kube, space)[0] == "held"
    events = back(kube, space, unstick=True)
    assert "Pod/web-2" in steps(events, "deleted") and replaced(kube, space, before) == [2]
    settled(kube, space, ON_DELETE)


@rehearsal_only
def test_a_broken_pod_of_an_old_revision_wants_leave(kube: Kube, space: str) -> None:
    three(kube, space, ON_DELETE)
    with pytest.raises(FailedError):
        roll(kube, space, *BAD, patience=SHORT)
    with pytest.raises(FailedError):
        back(kube, space, patience=SHORT)
    assert state(kube, space)[0] == "failed"
    with pytest.raises(PreflightError, match="is not whole"):
        roll(kube, space, *NEW, patience=SHORT)
    events = roll(kube, space, *NEW, unstick=True)
    assert sorted(deleted(events)) == ["web-0", "web-1", "web-2"] and done(events).succeeded
    settled(kube, space, ON_DELETE, *NEW)


@rehearsal_only
def test_an_up_leaves_its_pods_and_says_so_and_a_rollout_of_nothing_leaves_them(kube: Kube, space: str) -> None:
    three(kube, space, ON_DELETE)
    before = uids(kube, space)
    events = bring_up(kube, release("nginx", space, *THREE, ON_DELETE, *NEW))
    assert "3 await deletion" in done(events).verdict and uids(kube, space) == before
    assert deleted(back(kube, space, 1)) == [], "they still are of that revision"
    settled(kube, space, ON_DELETE)
    assert uids(kube, space) == before


@rehearsal_only
def test_the_primary_goes_last(kube: Kube, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def role(kube: Kube, namespace: str, operation: Operation, pods: Sequence[Json]) -> list[Result]:
        assert operation.name == "role"
        return [
            Result(
                "role",
                pod["metadata"]["name"],
                ordinal(pod),
                Outcome.PASSED,
                0,
                "primary" if ordinal(pod) == 2 else "standby",
                "",
                0.1,
            )
            for pod in pods
        ]

    monkeypatch.setattr(acting, "run_operation", role)
    sets = ("replicas=3", "spread.hostname=soft", ON_DELETE)
    bring_up(kube, release("postgres", space, *sets))
    assert deleted(roll(kube, space, "podAnnotations.a=b", name="postgres")) == [
        "postgres-1",
        "postgres-0",
        "postgres-2",
    ]
    wanted = release("postgres", space, *sets, "podAnnotations.a=b")
    before = versions(kube, wanted)
    assert done(bring_up(kube, wanted)).changed == 0 and versions(kube, wanted) == before
    assert the_record(kube, space, "postgres").status == "deployed"


def test_interrupted_between_two_pods_the_same_command_goes_on(kube: Kube, space: str) -> None:
    three(kube, space, ON_DELETE)
    before = uids(kube, space)
    said = interrupted(
        rolling(kube, space, *NEW), lambda event: isinstance(event, StepDone) and event.ref.name == "web-1"
    )
    assert "Pod/web-2 deleted and 1 more" in said and state(kube, space) == ("interrupted", "")
    now = uids(kube, space)["web-2"]
    assert deleted(roll(kube, space, *NEW)) == ["web-0"]
    assert replaced(kube, space, before) == [0, 1, 2] and uids(kube, space)["web-2"] == now
    settled(kube, space, ON_DELETE, *NEW)


@rehearsal_only
def test_interrupted_at_the_canary_the_same_command_pauses_after_it(kube: Kube, space: str) -> None:
    three(kube, space, ON_DELETE)
    before = uids(kube, space)
    pause = Wanted(1, pause=True)
    interrupted(
        rolling(kube, space, *NEW, wanted=pause),
        lambda event: isinstance(event, StepDone) and event.ref.name == "web-2",
    )
    assert deleted(roll(kube, space, *NEW, wanted=pause)) == [] and state(kube, space) == ("held", "paused")
    assert replaced(kube, space, before) == [2], "a canary of one is one, however often it is begun"
    assert deleted(promote(kube, space)) == ["web-1", "web-0"]
