"""`restart` makes pods anew as they are, one after the other; claims stay, and disruption budgets are heeded."""

from __future__ import annotations

import pytest

from berth.actions import restart as acting
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.rollout import Wanted
from berth.cluster.kube import Kube
from berth.cluster.waiting import Waiting
from berth.core.errors import FailedError, InputError, InterruptedRunError, PreflightError
from berth.core.events import StepDone
from berth.core.objects import ObjectRef
from berth.library import open_library
from tests.contract.rollouts import (
    NEW,
    SHORT,
    Gate,
    broken,
    budget,
    notices,
    replaced,
    restart,
    roll,
    settled,
    state,
    the_record,
    three,
    uids,
)
from tests.contract.support import PATIENCE, ROOT, bring_up, claims, done, rehearsal_only, release, statefulset, steps


def owned(kube: Kube, space: str) -> dict[str, str]:
    return {name: body["metadata"]["uid"] for name, body in claims(kube, space).items()}


def test_one_ordinal_comes_back_with_its_claims(kube: Kube, space: str) -> None:
    three(kube, space)
    before, held, record = uids(kube, space), owned(kube, space), the_record(kube, space)
    events = restart(kube, space, 1)
    assert replaced(kube, space, before) == [1] and owned(kube, space) == held
    assert steps(events, "deleted") == ["Pod/web-1"] and done(events).succeeded and len(done(events).pods) == 3
    assert the_record(kube, space) == record, "nothing is another than it was"
    assert replaced(kube, space, before) == [1]
    settled(kube, space)


def test_all_go_from_the_top_each_when_the_others_are_ready(
    kube: Kube, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr("berth.actions.gate.run_operation", gate)
    three(kube, space)
    before, held = uids(kube, space), owned(kube, space)
    gate.before, gate.seen = set(before.values()), []
    events = restart(kube, space)
    assert gate.seen == [[2], [1, 2], [0, 1, 2]]
    assert steps(events, "deleted") == ["Pod/web-2", "Pod/web-1", "Pod/web-0"]
    assert owned(kube, space) == held
    settled(kube, space)


@rehearsal_only
def test_several_that_are_named(kube: Kube, space: str) -> None:
    three(kube, space)
    events = restart(kube, space, 0, 2, soak=0.3)
    assert steps(events, "deleted") == ["Pod/web-2", "Pod/web-0"]
    assert sum(text.startswith("soaking for") for text in notices(events)) == 2


@rehearsal_only
def test_a_gate_that_fails_stops_it_there(kube: Kube, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(failing=1)
    three(kube, space)
    before = uids(kube, space)
    gate.before = set(before.values())
    monkeypatch.setattr("berth.actions.gate.run_operation", gate)
    monkeypatch.setattr("berth.actions.gate.EVERY", 0.1)
    with pytest.raises(FailedError, match="not well"):
        restart(kube, space, patience=SHORT)
    assert replaced(kube, space, before) == [2]


@rehearsal_only
def test_what_is_refused(kube: Kube, space: str) -> None:
    three(kube, space)
    before = uids(kube, space)
    with pytest.raises(InputError, match="has no pod of ordinal 3, 7") as caught:
        restart(kube, space, 7, 1, 3)
    assert "it has 0, 1, 2" in str(caught.value)
    assert uids(kube, space) == before


def test_a_budget_that_allows_nothing_is_heeded_and_can_be_overruled(
    kube: Kube, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "_EVERY", 0.2)
    wanted = three(kube, space, "disruptionBudget.enabled=false")
    budget(kube, wanted, space, 3)
    before = uids(kube, space)
    with pytest.raises(FailedError, match="PodDisruptionBudget/mine allows no disruption") as caught:
        restart(kube, space, 1, patience=SHORT)
    assert "web-1 was not touched" in str(caught.value) and "--force" in str(caught.value)
    assert uids(kube, space) == before
    restart(kube, space, 1, insist=True)
    assert replaced(kube, space, before) == [1]


@rehearsal_only
def test_a_set_that_is_not_whole_loses_no_more_pods(kube: Kube, space: str) -> None:
    broken(kube, space)
    before = uids(kube, space)
    with pytest.raises(PreflightError, match="not ready: web-2") as caught:
        restart(kube, space, 0)
    assert "--force" in str(caught.value) and uids(kube, space) == before
    with pytest.raises(FailedError):
        restart(kube, space, 2, patience=SHORT)
    assert replaced(kube, space, before) == [2], "the broken one itself may be made anew"
    assert state(kube, space)[0] == "held", "and the rollout stands where it stood"


def test_pods_of_a_paused_rollout_keep_their_revisions(kube: Kube, space: str) -> None:
    three(kube, space)
    roll(kube, space, *NEW, wanted=Wanted(pause=True))
    before = uids(kube, space)
    restart(kube, space)
    assert replaced(kube, space, before) == [0, 1, 2] and state(kube, space) == ("held", "paused")
    found = sorted(kube.list("", "Pod", space).items, key=lambda body: str(body["metadata"]["name"]))
    assert [body["spec"]["containers"][0]["image"].rpartition(":")[2] for body in found] == ["1.29", "1.29", "1.30"]


@rehearsal_only
def test_an_interruption_names_what_is_left(kube: Kube, space: str) -> None:
    three(kube, space)
    record = the_record(kube, space)
    run = acting.restart(kube, open_library(ROOT), record, (), 0.0, False, Options(PATIENCE), Clock())
    with pytest.raises(InterruptedRunError) as caught:
        for event in run:
            if isinstance(event, StepDone):
                run.throw(KeyboardInterrupt)
                list(run)
    assert "Pod/web-2 deleted" in str(caught.value) and "--ordinal" in str(caught.value)
    assert not kube.list("coordination.k8s.io", "Lease", space).items
    assert the_record(kube, space) == record


def test_pods_that_are_replaced_in_parallel_still_go_one_by_one(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=3", "podManagementPolicy=Parallel"))
    events = restart(kube, space)
    assert steps(events, "deleted") == ["Pod/web-2", "Pod/web-1", "Pod/web-0"] and done(events).succeeded


@rehearsal_only
def test_a_release_without_pods(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=0"))
    with pytest.raises(FailedError, match="has no pods"):
        restart(kube, space)
    with pytest.raises(InputError, match="it has no pods"):
        restart(kube, space, 0)
    assert kube.get(ObjectRef("apps", "StatefulSet", space, "web")) is not None


@rehearsal_only
def test_a_pod_that_was_deleted_is_waited_for_although_it_is_still_seen(kube: Kube, space: str) -> None:
    """The news that it goes may come late: what is seen until then is a set that is whole."""
    wanted = three(kube, space)
    before, calls = uids(kube, space), list[int]()

    def alive() -> None:
        calls.append(1)
        if len(calls) == 8:
            kube.delete(ObjectRef("", "Pod", space, "web-1"))

    clock = Clock()
    waiting = Waiting(kube, "nginx", space, PATIENCE, clock.monotonic, lambda: clock.now(kube), selector=None)
    ref = ObjectRef.of(statefulset(kube, wanted))
    list(waiting.until_current([ref], alive, gone=[before["web-1"]]))
    assert replaced(kube, space, before) == [1]
