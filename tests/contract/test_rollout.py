"""A rollout goes ordinal by ordinal from the top, each proved before the next goes, and stops where one does not hold.

No containers run here: where a test needs the gate to fail, it answers in their place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from berth.actions import gate as gating
from berth.actions.plan import plan_release
from berth.actions.rollout import Wanted
from berth.actions.rollout_status import as_json, lines, look
from berth.cluster import waiting
from berth.cluster.kube import Kube
from berth.core.errors import FailedError, LockedError
from berth.core.events import Event, OperationDone, StepDone
from berth.core.objects import Json, ObjectRef
from berth.core.scaling import Wishes
from tests.contract.rollouts import (
    NEW,
    SHORT,
    THREE,
    Gate,
    back,
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
from tests.contract.support import bring_up, done, pods, rehearsal_only, release, statefulset
from tests.contract.test_scaling import find
from tests.waiting import eventually

PAUSE = Wanted(1, pause=True)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    monkeypatch.setattr(gating, "run_operation", made)
    monkeypatch.setattr(gating, "EVERY", 0.1)
    return made


def partitions(events: Iterable[Event]) -> list[str]:
    return [e.message for e in events if isinstance(e, StepDone) and e.message.startswith("partition")]


def test_a_canary_waits_for_its_promotion_and_nothing_else_may_change_the_release(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    before = uids(kube, space)
    events = roll(kube, space, *NEW, wanted=PAUSE)
    assert replaced(kube, space, before) == [2] and images(kube, space) == ["1.29", "1.29", "1.30"]
    assert state(kube, space) == ("held", "paused") and partition(kube, wanted) == 2
    assert done(events).succeeded and "rollout.promote" in notices(events)[-1]
    record = the_record(kube, space)
    assert record.history[-1].result == "held" and record.rollout is not None and record.rollout.origin == 1

    with pytest.raises(LockedError, match="a rollout of release nginx") as caught:
        bring_up(kube, release("nginx", space, *THREE, *NEW))
    assert "rollout.promote" in str(caught.value) and "rollout.undo" in str(caught.value)
    with pytest.raises(LockedError):
        plan_release(kube, release("nginx", space))
    with pytest.raises(LockedError):
        find(kube, space, "nginx", 5, Wishes(insist=True))
    with pytest.raises(LockedError):
        roll(kube, space, "image.tag=1.31")
    again = roll(kube, space, *NEW, wanted=PAUSE)
    assert "is paused already" in notices(again)[0] and len(again) == 1
    assert the_record(kube, space) == record and replaced(kube, space, before) == [2]

    promote(kube, space, 1)
    assert replaced(kube, space, before) == [1, 2] and state(kube, space) == ("held", "paused")
    promote(kube, space)
    assert replaced(kube, space, before) == [0, 1, 2] and partition(kube, wanted) == 0
    settled(kube, space, *NEW)
    assert [one.result for one in the_record(kube, space).history] == ["deployed", "deployed"]


def test_ordinals_go_from_the_top_one_at_a_time_each_past_the_gate(kube: Kube, space: str, gate: Gate) -> None:
    three(kube, space)
    gate.before, gate.seen = set(uids(kube, space).values()), []
    events = roll(kube, space, "podAnnotations.a=b")
    assert gate.seen == [[2], [1, 2], [0, 1, 2]]
    assert partitions(events) == ["partition 1", "partition 0"]
    assert done(events).succeeded and done(events).changed == 1, "one object, in several steps"
    settled(kube, space, "podAnnotations.a=b")


@rehearsal_only
def test_a_canary_of_two_goes_together(kube: Kube, space: str, gate: Gate) -> None:
    three(kube, space)
    gate.before, gate.seen = set(uids(kube, space).values()), []
    roll(kube, space, *NEW, wanted=Wanted(2))
    assert gate.seen == [[1, 2], [0, 1, 2]]


@rehearsal_only
def test_a_gate_that_fails_holds_the_rollout_and_promote_goes_on(kube: Kube, space: str, gate: Gate) -> None:
    wanted = three(kube, space)
    before = uids(kube, space)
    gate.before, gate.failing = set(before.values()), 2
    with pytest.raises(FailedError, match="not well") as caught:
        roll(kube, space, *NEW, patience=SHORT)
    said = str(caught.value)
    assert "the rollout of nginx is held: 2 of 3 pods are of the newest revision, partition 1" in said
    assert "rollout.undo" in said and "rollout.promote" in said
    assert replaced(kube, space, before) == [1, 2] and partition(kube, wanted) == 1
    status, held = state(kube, space)
    assert status == "held" and held is not None and "ready" in held
    now = uids(kube, space)
    with pytest.raises(FailedError, match="not well"):
        promote(kube, space, patience=SHORT)
    assert uids(kube, space) == now and state(kube, space)[0] == "held", "nothing has been mended"
    gate.failing = -1
    promote(kube, space)
    assert replaced(kube, space, before) == [0, 1, 2] and replaced(kube, space, now) == [0]
    settled(kube, space, *NEW)


@rehearsal_only
def test_the_same_command_tries_a_held_rollout_again(kube: Kube, space: str, gate: Gate) -> None:
    three(kube, space)
    before = uids(kube, space)
    gate.before, gate.failing = set(before.values()), 1
    with pytest.raises(FailedError):
        roll(kube, space, *NEW, patience=SHORT)
    revision, gate.failing = the_record(kube, space).revision, -1
    roll(kube, space, *NEW)
    assert replaced(kube, space, before) == [0, 1, 2] and the_record(kube, space).revision == revision
    settled(kube, space, *NEW)


def test_two_rollouts_after_one_another_and_up_after_them(kube: Kube, space: str) -> None:
    """The partition was written by another kind of request than the rest: nobody may own it against us."""
    three(kube, space)
    roll(kube, space, *NEW)
    before = uids(kube, space)
    roll(kube, space, "image.tag=1.31", wanted=PAUSE)
    assert replaced(kube, space, before) == [2]
    promote(kube, space)
    assert images(kube, space) == ["1.31"] * 3
    wanted = release("nginx", space, *THREE, "updateStrategy.partition=2")
    assert done(bring_up(kube, wanted)).succeeded and partition(kube, wanted) == 2
    assert images(kube, space) == ["1.31", "1.31", "1.29"]


@rehearsal_only
def test_its_status(kube: Kube, space: str) -> None:
    three(kube, space)
    assert look(kube, the_record(kube, space)).state == "none"
    roll(kube, space, *NEW, wanted=PAUSE)
    found = look(kube, the_record(kube, space))
    assert (found.state, found.broken) == ("paused", False)
    assert [(row.pod, row.newest, row.ready) for row in found.sets[0].rows] == [
        ("web-0", False, True),
        ("web-1", False, True),
        ("web-2", True, True),
    ]
    shown, told = "\n".join(lines(found)), as_json(found)
    assert "1 of 3 pods are of the newest revision, partition 2" in shown and "from revision 1" in shown
    assert told["rollout"] == {"set": "web", "origin": 1, "held": "paused"}


@rehearsal_only
def test_what_touches_no_pod_just_applies(kube: Kube, space: str) -> None:
    three(kube, space)
    before = uids(kube, space)
    touching_none = "updateStrategy.partition=3"
    events = roll(kube, space, touching_none, wanted=PAUSE)
    assert done(events).changed == 1 and uids(kube, space) == before
    settled(kube, space, touching_none)


@rehearsal_only
def test_nothing_to_change_is_said(kube: Kube, space: str) -> None:
    three(kube, space)
    record = the_record(kube, space)
    events = roll(kube, space, "image.tag=1.29")
    assert notices(events) == ["release nginx is like that already; nothing to do"] and len(events) == 1
    assert the_record(kube, space) == record


@rehearsal_only
def test_a_partition_that_is_to_stay_is_where_a_rollout_ends(kube: Kube, space: str) -> None:
    kept = "updateStrategy.partition=1"
    wanted = three(kube, space, kept)
    before = uids(kube, space)
    roll(kube, space, *NEW)
    assert replaced(kube, space, before) == [1, 2] and partition(kube, wanted) == 1
    settled(kube, space, kept, *NEW)


def test_a_partition_that_is_to_stay_stays_where_one_goes_back(kube: Kube, space: str) -> None:
    kept = "updateStrategy.partition=1"
    wanted = three(kube, space, kept)
    before = uids(kube, space)
    roll(kube, space, *NEW)
    back(kube, space)
    assert (
        images(kube, space) == ["1.29"] * 3 and partition(kube, wanted) == 1 and replaced(kube, space, before)[0] == 1
    )
    settled(kube, space, kept)
    roll(kube, space, *NEW, "updateStrategy.partition=2", wanted=PAUSE)
    back(kube, space)
    assert partition(kube, wanted) == 1, "the revision's own, not that of the rollout"
    settled(kube, space, kept)


def test_replicas_of_an_autoscaler_stay_its_own(kube: Kube, space: str) -> None:
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}
    meta = {"name": "web", "namespace": space}
    kube.create({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec})
    ref = ObjectRef("apps", "StatefulSet", space, "web")
    kube.patch(ref, {"spec": {"replicas": 4}}, subresource="scale", field_manager="kube-controller-manager")
    eventually(lambda: True if len(pods(kube, space)) == 4 else None)
    assert done(bring_up(kube, wanted)).succeeded
    before = uids(kube, space)
    roll(kube, space, *NEW, wanted=PAUSE)
    assert replaced(kube, space, before) == [3]
    promote(kube, space)
    assert replaced(kube, space, before) == [0, 1, 2, 3]
    assert statefulset(kube, wanted)["spec"]["replicas"] == 4 and state(kube, space) == ("deployed", None)


@pytest.mark.parametrize("how", ["unready", "deleted"])
def test_a_pod_that_goes_away_while_soaking_holds_the_rollout(
    kube: Kube, space: str, gate: Gate, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is deleted may be back, and ready, before anybody looks: it is another one all the same."""
    wanted = three(kube, space)
    before = uids(kube, space)
    gate.before = set(before.values())
    count, done_once = waiting._restarts, list[str]()

    def counting(pod: Json) -> int:
        """Called once the soak has begun, of every pod."""
        ref = ObjectRef("", "Pod", space, "web-0")
        if not done_once:
            done_once.append(how)
            if how == "deleted":
                kube.delete(ref)
            else:
                kube.patch(ref, {"metadata": {"annotations": {"berth.dev/fault": "unready"}}})
        return count(pod)

    monkeypatch.setattr(waiting, "_restarts", counting)
    started = time.monotonic()
    with pytest.raises(FailedError) as caught:
        roll(kube, space, *NEW, wanted=Wanted(soak=60.0))
    assert time.monotonic() - started < 50, "it does not soak to the end first"
    assert "in which all was to stay as it was" in str(caught.value) and "is held" in str(caught.value)
    assert state(kube, space)[0] == "held" and partition(kube, wanted) == 2


@rehearsal_only
def test_a_quiet_soak_passes_and_the_gate_is_asked_again_after_it(kube: Kube, space: str) -> None:
    three(kube, space)
    events = roll(kube, space, *NEW, wanted=Wanted(soak=0.5))
    assert sum(text.startswith("soaking for") for text in notices(events)) == 3
    assert sum(isinstance(event, OperationDone) for event in events) <= 6 and done(events).succeeded
    settled(kube, space, *NEW)
