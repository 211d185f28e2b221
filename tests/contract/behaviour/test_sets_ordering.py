"""In which order pods come and go, and what stops them."""

from __future__ import annotations

import pytest

from tests.contract.behaviour.space import CLAIMS, PODS, SETS, Space, stateful_set
from tests.waiting import eventually

UNREADY = {"berth.dev/fault": "unready"}


def test_pods_are_made_one_after_the_other_each_ready_before_the_next(here: Space) -> None:
    with here.log() as log:
        here.make(SETS, stateful_set(4))
        here.settled()
        entries = log.until("!web-3")
    assert entries == ["+web-0", "!web-0", "+web-1", "!web-1", "+web-2", "!web-2", "+web-3", "!web-3"]


def test_parallel_pods_do_not_wait_for_each_other(here: Space) -> None:
    with here.log() as log:
        here.make(SETS, stateful_set(4, podManagementPolicy="Parallel", annotations={"berth.dev/ready-after": "1s"}))
        here.settled()
        entries = log.until("!web-0", "!web-1", "!web-2", "!web-3")
    assert set(entries[:4]) == {"+web-0", "+web-1", "+web-2", "+web-3"}


def test_scaling_up_goes_on_in_order(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    with here.log() as log:
        here.scale(3)
        here.settled()
        assert log.until("!web-2") == ["+web-1", "!web-1", "+web-2", "!web-2"]


def test_scaling_down_takes_the_highest_ordinal_first_one_at_a_time(here: Space) -> None:
    here.make(SETS, stateful_set(4))
    here.settled()
    with here.log() as log:
        here.scale(1)
        here.settled()
        assert log.until("-web-1") == ["~web-3", "-web-3", "~web-2", "-web-2", "~web-1", "-web-1"]


def test_scaling_down_waits_until_a_slow_pod_is_really_gone(here: Space) -> None:
    here.make(SETS, stateful_set(3, annotations={"berth.dev/stop-after": "1s"}))
    here.settled()
    with here.log() as log:
        here.scale(1)
        here.settled()
        assert log.until("-web-1") == ["~web-2", "-web-2", "~web-1", "-web-1"]


def test_scaling_to_zero_and_back(here: Space) -> None:
    here.make(SETS, stateful_set(2, claims=("data",)))
    here.settled()
    claims = here.uids(CLAIMS)
    with here.log() as log:
        here.scale(0)
        here.settled()
        assert log.until("-web-0") == ["~web-1", "-web-1", "~web-0", "-web-0"]
    assert here.names(PODS) == []
    here.scale(2)
    here.settled()
    assert here.uids(CLAIMS) == claims


def test_scaling_up_halts_at_an_unready_pod_and_goes_on_when_it_is_healed(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    here.fault("web-0", "unready")
    here.until(SETS, "web", lambda body: body["status"].get("readyReplicas", 0) == 0)
    with here.log() as log:
        here.scale(3)
        here.until(SETS, "web", lambda body: body["status"]["observedGeneration"] == body["metadata"]["generation"])
        here.fault("web-0", None)
        here.settled()
        assert log.until("!web-2") == ["!web-0", "+web-1", "!web-1", "+web-2", "!web-2"]


def test_creation_halts_at_a_pod_that_never_gets_ready(here: Space) -> None:
    here.make(SETS, stateful_set(3, annotations=UNREADY))
    here.until(PODS, "web-0", lambda body: body["status"]["phase"] == "Running")
    here.until(SETS, "web", lambda body: body["status"].get("replicas") == 1)
    with here.log() as log:
        here.fault("web-0", None)
        here.until(PODS, "web-1", lambda body: body["status"].get("phase") == "Running")
        assert log.until("+web-1") == ["!web-0", "+web-1"]
    status = here.until(SETS, "web", lambda body: body["status"].get("replicas") == 2)["status"]
    assert (status["readyReplicas"], status["availableReplicas"]) == (1, 1)
    assert here.names(PODS) == ["web-0", "web-1"]


def test_scaling_down_halts_at_an_unready_pod_of_a_lower_ordinal(here: Space) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    here.fault("web-0", "unready")
    here.until(SETS, "web", lambda body: body["status"]["readyReplicas"] == 2)
    with here.log() as log:
        here.scale(1)
        here.until(SETS, "web", lambda body: body["status"]["observedGeneration"] == body["metadata"]["generation"])
        here.fault("web-0", None)
        here.settled()
        assert log.until("-web-1") == ["!web-0", "~web-2", "-web-2", "~web-1", "-web-1"]


def test_an_unready_pod_that_is_the_next_to_go_does_not_halt_scaling_down(here: Space) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    here.fault("web-2", "unready")
    here.until(SETS, "web", lambda body: body["status"]["readyReplicas"] == 2)
    with here.log() as log:
        here.scale(2)
        here.settled()
        assert log.until("-web-2") == ["~web-2", "-web-2"]


def test_parallel_scales_up_past_an_unready_pod(here: Space) -> None:
    here.make(SETS, stateful_set(1, podManagementPolicy="Parallel"))
    here.settled()
    here.fault("web-0", "unready")
    here.until(SETS, "web", lambda body: body["status"].get("readyReplicas", 0) == 0)
    here.scale(3)
    here.settled(ready=2, available=2)
    assert here.names(PODS) == ["web-0", "web-1", "web-2"]


def test_parallel_scales_down_past_an_unready_pod(here: Space) -> None:
    here.make(SETS, stateful_set(3, podManagementPolicy="Parallel"))
    here.settled()
    here.fault("web-0", "unready")
    here.until(SETS, "web", lambda body: body["status"]["readyReplicas"] == 2)
    here.scale(1)
    here.settled(ready=0, available=0)
    assert here.names(PODS) == ["web-0"]


def test_parallel_takes_pods_away_together(here: Space) -> None:
    body = stateful_set(3, podManagementPolicy="Parallel", annotations={"berth.dev/stop-after": "1s"})
    here.make(SETS, body)
    here.settled()
    with here.log() as log:
        here.scale(0)
        here.settled()
        entries = log.until("-web-0", "-web-1", "-web-2")
    assert set(entries[:3]) == {"~web-0", "~web-1", "~web-2"}


def test_no_deadlock_when_a_predecessor_fails(here: Space) -> None:
    """web-1 is starting when web-0 goes: web-0 is made again, without waiting for web-1."""
    here.make(SETS, stateful_set(2))
    here.settled()
    here.fault("web-1", "unready")
    here.until(SETS, "web", lambda body: body["status"]["readyReplicas"] == 1)
    with here.log() as log:
        here.delete(PODS, "web-0")
        assert log.until("!web-0") == ["~web-0", "-web-0", "+web-0", "!web-0"]
    here.fault("web-1", None)
    here.settled()


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_all_pods_deleted_at_once_come_back(here: Space, policy: str) -> None:
    here.make(SETS, stateful_set(3, podManagementPolicy=policy))
    here.settled()
    before = set(here.uids().values())
    here.ask("DELETE", PODS, query={"labelSelector": "app=web"})
    eventually(lambda: (len(here.uids()) == 3 and not before & set(here.uids().values())) or None)
    here.settled()


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_made_again_with_another_uid(here: Space, phase: str) -> None:
    """What becomes of a pod that its node has evicted, or that has run to its end."""
    here.make(SETS, stateful_set(2, claims=("data",)))
    here.settled()
    before, claims = here.uids(), here.uids(CLAIMS)
    with here.log() as log:
        reason = {"reason": "Evicted", "message": "the node was low on memory"} if phase == "Failed" else {}
        here.patch(PODS, "web-0", {"status": {"phase": phase, **reason}}, sub="status")
        log.until("+web-0", "!web-0")
    here.settled()
    after = here.uids()
    assert after["web-0"] != before["web-0"] and after["web-1"] == before["web-1"]
    assert here.uids(CLAIMS) == claims


def test_events_tell_of_what_the_set_makes_and_deletes(here: Space) -> None:
    here.make(SETS, stateful_set(1, claims=("data",)))
    here.settled()
    here.scale(0)
    here.settled()

    def told() -> list[tuple[str, str, str]] | None:
        found = [
            (e["type"], e["reason"], e["message"]) for e in here.all("events") if e["involvedObject"]["name"] == "web"
        ]
        return sorted(found, key=lambda event: event[2]) if len(found) == 3 else None

    assert eventually(told) == [
        (
            "Normal",
            "SuccessfulCreate",
            "Create Claim data-web-0 Pod web-0 in StatefulSet web success",
        ),
        ("Normal", "SuccessfulCreate", "Create Pod web-0 in StatefulSet web successful"),
        ("Normal", "SuccessfulDelete", "Delete Pod web-0 in StatefulSet web successful"),
    ]
