"""A broken pod blocks its own fix (kubernetes#67250): with leave it is deleted, without it that is said.

A tag that cannot be pulled breaks a pod on both targets; nothing here is mended by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.diagnose import diagnose
from berth.actions.rollout import Wanted
from berth.actions.status import Selection
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.core.errors import FailedError, InputError, PreflightError, TimedOutError
from berth.core.events import Event, Notice, OrdinalFailed
from tests.contract.rollouts import (
    BAD,
    NEW,
    SHORT,
    THREE,
    Gate,
    back,
    backing,
    broken,
    images,
    notices,
    partition,
    promote,
    replaced,
    roll,
    settled,
    state,
    the_record,
    three,
    uids,
)
from tests.contract.support import PATIENCE, bring_up, done, rehearsal_only, release, steps


class Asked:
    """Answers the question whether pods may be deleted, and keeps what it was asked."""

    def __init__(self, answer: bool) -> None:
        self.answer, self.names = answer, list[list[str]]()

    def __call__(self, names: Sequence[str]) -> bool:
        self.names.append(list(names))
        return self.answer


def failing(kube: Kube, space: str, options: Options, *sets: str) -> tuple[list[Event], str]:
    """What an `up` that fails tells, and its error."""
    return to_its_failure(up(kube, [release("nginx", space, *THREE, *sets)], options, Clock()))


def to_its_failure(run: Iterable[Event]) -> tuple[list[Event], str]:
    """What a run that fails tells, and its error."""
    events: list[Event] = []
    with pytest.raises((FailedError, TimedOutError)) as caught:
        for event in run:
            events.append(event)
    return events, str(caught.value)


def causes(events: Sequence[Event]) -> list[OrdinalFailed]:
    return [event for event in events if isinstance(event, OrdinalFailed)]


def test_a_canary_that_fails_is_undone_without_a_manual_step(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    before = uids(kube, space)
    with pytest.raises(FailedError, match="is held: 1 of 3 pods") as caught:
        roll(kube, space, *BAD, patience=SHORT)
    assert "rollout.undo" in str(caught.value)
    assert replaced(kube, space, before) == [2] and partition(kube, wanted) == 2
    status, held = state(kube, space)
    assert status == "held" and held not in (None, "", "paused")
    found, wrong = diagnose(kube, Selection(space), None)
    assert not found.reports[0].verdict.current and "web-2" in str(wrong[space, "nginx"])

    events = back(kube, space, unstick=True)
    assert done(events).succeeded and steps(events, "deleted") == ["Pod/web-2"]
    assert replaced(kube, space, before) == [2] and images(kube, space) == ["1.29"] * 3
    settled(kube, space)
    assert [one.action for one in the_record(kube, space).history] == ["up", "rollout", "undo to 1"]


@rehearsal_only
def test_without_leave_undoing_says_so_first_and_fails_and_with_it_goes_on(kube: Kube, space: str) -> None:
    broken(kube, space)
    before = uids(kube, space)
    events, _ = to_its_failure(backing(kube, space, options=Options(SHORT)))
    said = notices(events, "warning")
    assert "not ready: web-2" in said[0] and "--unstick" in said[0]
    assert events.index(next(e for e in events if isinstance(e, Notice) and e.message == said[0])) < 3, "up front"
    assert "blocks its own fix" in causes(events)[0].hint
    assert uids(kube, space) == before and state(kube, space)[0] == "failed"
    asked = Asked(False)
    to_its_failure(backing(kube, space, options=Options(SHORT, ask_unstick=asked)))
    assert asked.names == [["web-2"]] and uids(kube, space) == before
    events = back(kube, space, unstick=True)
    assert steps(events, "deleted") == ["Pod/web-2"] and replaced(kube, space, before) == [2]
    settled(kube, space)


def test_a_canary_that_fails_goes_back_by_itself_where_that_was_said(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    before, values = uids(kube, space), the_record(kube, space).values
    with pytest.raises(FailedError, match="went back to what it was before") as caught:
        roll(kube, space, *BAD, wanted=Wanted(auto_undo=True), patience=SHORT)
    assert "rollout.undo" not in str(caught.value) and "rollout.promote" not in str(caught.value)
    assert replaced(kube, space, before) == [2] and partition(kube, wanted) == 0
    record = the_record(kube, space)
    assert record.values == values and record.rollout is None
    settled(kube, space)


@rehearsal_only
def test_where_going_back_by_itself_fails_too_both_failures_are_said(
    kube: Kube, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr("berth.actions.gate.run_operation", gate)
    monkeypatch.setattr("berth.actions.gate.EVERY", 0.1)
    three(kube, space)
    gate.before, gate.failing = set(uids(kube, space).values()), 1
    with pytest.raises(FailedError) as caught:
        roll(kube, space, *BAD, wanted=Wanted(auto_undo=True), patience=SHORT)
    assert "StatefulSet/web" in str(caught.value) and "not well" in str(caught.value)
    assert state(kube, space) == ("failed", None)


@rehearsal_only
def test_nothing_to_go_back_to_by_itself_is_said_before_anything_is_done(kube: Kube, space: str) -> None:
    with pytest.raises(FailedError):
        bring_up(kube, release("nginx", space, *THREE, *BAD), patience=SHORT)
    before = the_record(kube, space)
    with pytest.raises(InputError, match="has no revision to go back to"):
        roll(kube, space, *NEW, wanted=Wanted(auto_undo=True), patience=SHORT)
    assert the_record(kube, space) == before


@rehearsal_only
def test_a_rollout_wants_a_whole_set_and_with_leave_all_ordinals_go(kube: Kube, space: str) -> None:
    with pytest.raises(FailedError):
        bring_up(kube, release("nginx", space, *THREE, *BAD), patience=SHORT)
    before = uids(kube, space)
    assert set(before) == {"web-0"}
    with pytest.raises(PreflightError, match="is not whole") as caught:
        roll(kube, space, *NEW, patience=SHORT)
    assert "--unstick" in str(caught.value) and uids(kube, space) == before
    events = roll(kube, space, *NEW, unstick=True)
    assert any("all its ordinals go" in text for text in notices(events, "warning"))
    assert images(kube, space) == ["1.30"] * 3
    settled(kube, space, *NEW)


@rehearsal_only
def test_promote_does_not_go_past_a_broken_canary(kube: Kube, space: str) -> None:
    wanted = broken(kube, space)
    before = uids(kube, space)
    with pytest.raises(FailedError, match="is held"):
        promote(kube, space, patience=SHORT)
    assert uids(kube, space) == before and partition(kube, wanted) == 2 and state(kube, space)[0] == "held"


def test_up_with_the_fix_gets_there_by_itself_with_leave(kube: Kube, space: str) -> None:
    three(kube, space)
    before = uids(kube, space)
    failing(kube, space, Options(SHORT), *BAD)
    assert replaced(kube, space, before) == [2]
    events, _ = failing(kube, space, Options(SHORT), *NEW)
    assert any("--unstick" in text and "web-2" in text for text in notices(events, "warning"))
    assert "blocks its own fix" in causes(events)[0].hint
    wanted = release("nginx", space, *THREE, *NEW)
    events = list(up(kube, [wanted], Options(PATIENCE, unstick=True), Clock()))
    assert done(events).succeeded and "Pod/web-2" in steps(events, "deleted")
    assert images(kube, space) == ["1.30"] * 3
    settled(kube, space, *NEW)


@rehearsal_only
def test_the_user_is_asked_once_and_only_where_a_pod_blocks(kube: Kube, space: str) -> None:
    asked = Asked(True)
    wanted = release("nginx", space, *THREE)
    list(up(kube, [wanted], Options(PATIENCE, ask_unstick=asked), Clock()))
    assert asked.names == []
    failing(kube, space, Options(SHORT, ask_unstick=asked), *BAD)
    assert asked.names == [], "nothing is broken before it is applied"
    no = Asked(False)
    failing(kube, space, Options(SHORT, ask_unstick=no), *NEW)
    assert no.names == [["web-2"]]
    events = list(up(kube, [release("nginx", space, *THREE, *NEW)], Options(PATIENCE, ask_unstick=asked), Clock()))
    assert asked.names == [["web-2"]] and done(events).succeeded
    settled(kube, space, *NEW)


def test_leave_is_no_licence_to_delete_pods_that_come_up(kube: Kube, space: str) -> None:
    """Pods that only take their time look the same as blocked ones; none is deleted but by the set's controller."""
    slow, options = 'podAnnotations={"berth.dev/ready-after": "1s"}', Options(PATIENCE, unstick=True)
    events = list(up(kube, [release("nginx", space, slow)], options, Clock()))
    events += list(up(kube, [release("nginx", space, *NEW, slow)], options, Clock()))
    assert steps(events, "deleted") == [] and images(kube, space) == ["1.30"] * 2


@rehearsal_only
def test_a_bad_fix_of_a_bad_image_still_fails(kube: Kube, space: str) -> None:
    """The pod in its place fails for a cause of its own, and is not deleted again and again."""
    three(kube, space)
    failing(kube, space, Options(SHORT), *BAD)
    events, said = failing(kube, space, Options(SHORT, unstick=True), BAD[0], "podAnnotations.a=b")
    assert steps(events, "deleted") == ["Pod/web-2"]
    assert isinstance(causes(events)[0], OrdinalFailed) and "StatefulSet/web" in said
