"""Rolling updates, partitions, OnDelete, rollbacks, and the revisions that they leave."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import CLAIMS, PODS, REVISIONS, SETS, Space, stateful_set, turns
from tests.waiting import eventually

ON_DELETE: Json = {"updateStrategy": {"type": "OnDelete"}}


def partition(number: int) -> Json:
    """A rolling update that leaves the ordinals below alone."""
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": number}}}


def observed(body: Json) -> bool:
    """Whether the controller has seen the newest spec."""
    return bool(body["status"].get("observedGeneration") == body["metadata"]["generation"])


def numbers(here: Space) -> dict[int, str]:
    """The image of each revision by its number."""
    found = here.all(REVISIONS)
    images = {body["revision"]: body["data"]["spec"]["template"]["spec"]["containers"][0]["image"] for body in found}
    return dict(sorted(images.items()))


@pytest.mark.parametrize("claims", [(), ("data",)], ids=["no claims", "claims"])
def test_a_rolling_update_goes_in_reverse_and_can_be_rolled_back(here: Space, claims: tuple[str, ...]) -> None:
    here.make(SETS, stateful_set(3, claims=claims))
    first = here.settled()["status"]["updateRevision"]
    kept = here.uids(CLAIMS)
    with here.log() as log:
        here.image("web:2")
        here.settled()
        assert turns(log.until("!web-0")) == ["web-2", "web-1", "web-0"]
    status = here.read(SETS, "web")["status"]
    assert status["currentRevision"] == status["updateRevision"] != first
    assert set(here.hashes().values()) == {status["updateRevision"]}
    with here.log() as log:
        here.image("web:1")
        here.settled()
        assert turns(log.until("!web-0")) == ["web-2", "web-1", "web-0"]
    assert set(here.hashes().values()) == {first}
    assert here.uids(CLAIMS) == kept


def test_a_rolling_update_waits_for_each_pod_to_be_ready(here: Space) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    patch = {"metadata": {"annotations": {"berth.dev/fault": "unready"}}}
    here.patch(SETS, "web", {"spec": {"template": patch}})
    here.until(SETS, "web", lambda body: observed(body) and body["status"].get("updatedReplicas") == 1)
    here.until(PODS, "web-2", lambda body: body["status"].get("phase") == "Running")
    status = here.until(SETS, "web", lambda body: body["status"].get("readyReplicas") == 2)["status"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
    with here.log() as log:
        here.fault("web-2", None)
        assert log.until("+web-1")[:2] == ["!web-2", "~web-1"]


def test_a_rolling_update_waits_for_an_unready_pod_before_it_begins(here: Space) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    here.fault("web-0", "unready")
    here.until(SETS, "web", lambda body: body["status"]["readyReplicas"] == 2)
    with here.log() as log:
        here.image("web:2")
        here.until(SETS, "web", observed)
        here.fault("web-0", None)
        here.settled()
        entries = log.until("+web-0", "+web-1", "+web-2")
    assert entries[0] == "!web-0"
    assert turns(entries) == ["web-2", "web-1", "web-0"]


def test_during_an_update_the_status_counts_old_and_new(here: Space) -> None:
    here.make(SETS, stateful_set(3, **partition(1)))
    first = here.settled()["status"]["currentRevision"]
    here.image("web:2")
    status = here.settled(updated=2)["status"]
    assert status["currentRevision"] == first != status["updateRevision"]
    assert (status["replicas"], status["currentReplicas"], status["updatedReplicas"]) == (3, 1, 2)


def test_a_canary_changes_only_the_highest_ordinal(here: Space) -> None:
    here.make(SETS, stateful_set(3, **partition(2)))
    here.settled()
    here.image("web:2")
    here.settled(updated=1)
    assert here.images() == {"web-0": "web:1", "web-1": "web:1", "web-2": "web:2"}


def test_a_partition_beyond_the_replicas_holds_all_back(here: Space) -> None:
    here.make(SETS, stateful_set(2, **partition(5)))
    here.settled()
    here.image("web:2")
    body = here.settled(current=2)
    assert body["status"]["updateRevision"] != body["status"]["currentRevision"]
    assert set(here.images().values()) == {"web:1"}


def test_a_phased_rollout_lowers_the_partition_step_by_step(here: Space) -> None:
    here.make(SETS, stateful_set(3, **partition(3)))
    here.settled()
    here.image("web:2")
    here.settled(current=3)
    for bound in (2, 1, 0):
        with here.log() as log:
            here.patch(SETS, "web", {"spec": partition(bound)})
            here.settled(updated=3 - bound)
            assert turns(log.until(f"!web-{bound}")) == [f"web-{bound}"]
    body = here.settled()
    assert body["status"]["currentRevision"] == body["status"]["updateRevision"]


def test_deleted_pods_come_back_at_the_revision_of_their_side_of_the_partition(here: Space) -> None:
    here.make(SETS, stateful_set(3, **partition(2)))
    first = here.settled()["status"]["currentRevision"]
    here.image("web:2")
    second = here.settled(updated=1)["status"]["updateRevision"]
    for name in ("web-0", "web-2"):
        with here.log() as log:
            here.delete(PODS, name)
            log.until(f"!{name}")
    here.settled(updated=1)
    assert here.hashes() == {"web-0": first, "web-1": first, "web-2": second}
    assert here.images() == {"web-0": "web:1", "web-1": "web:1", "web-2": "web:2"}


def test_new_pods_of_a_canary_are_of_the_new_revision(here: Space) -> None:
    here.make(SETS, stateful_set(2, **partition(1)))
    here.settled()
    here.image("web:2")
    here.settled(updated=1)
    here.scale(4)
    here.settled(updated=3)
    assert here.images() == {"web-0": "web:1", "web-1": "web:2", "web-2": "web:2", "web-3": "web:2"}


def test_a_raised_partition_takes_no_pod_back(here: Space) -> None:
    here.make(SETS, stateful_set(2, **partition(1)))
    here.settled()
    here.image("web:2")
    here.settled(updated=1)
    uids = here.uids()
    here.patch(SETS, "web", {"spec": partition(2)})
    here.until(SETS, "web", observed)
    assert here.uids() == uids
    assert here.images()["web-1"] == "web:2"


def test_on_delete_changes_nothing_until_a_pod_is_deleted(here: Space) -> None:
    here.make(SETS, stateful_set(3, **ON_DELETE))
    first = here.settled()["status"]["currentRevision"]
    uids = here.uids()
    here.image("web:2")
    status = here.until(SETS, "web", observed)["status"]
    second = status["updateRevision"]
    assert status["currentRevision"] == first != second
    assert here.uids() == uids
    with here.log() as log:
        here.delete(PODS, "web-1")
        log.until("!web-1")
    assert here.hashes() == {"web-0": first, "web-1": second, "web-2": first}


def test_on_delete_is_complete_when_all_pods_were_deleted(here: Space) -> None:
    here.make(SETS, stateful_set(2, **ON_DELETE))
    here.settled()
    here.image("web:2")
    here.until(SETS, "web", observed)
    here.ask("DELETE", PODS, query={"labelSelector": "app=web"})
    eventually(lambda: here.images() == {"web-0": "web:2", "web-1": "web:2"} or None)
    status = here.settled(updated=2)["status"]
    assert status["currentRevision"] != status["updateRevision"]


def test_from_on_delete_to_rolling_update_the_pods_are_rolled(here: Space) -> None:
    here.make(SETS, stateful_set(2, **ON_DELETE))
    here.settled()
    here.image("web:2")
    here.until(SETS, "web", observed)
    with here.log() as log:
        here.patch(SETS, "web", {"spec": {"updateStrategy": {"type": "RollingUpdate"}}})
        here.settled()
        assert turns(log.until("!web-0")) == ["web-1", "web-0"]


def test_the_trap_a_broken_update_blocks_its_own_fix(here: Space) -> None:
    """kubernetes/kubernetes#67250: the broken pod is waited for before it would be replaced by the fixed one."""
    here.make(SETS, stateful_set(2))
    here.settled()
    here.image("web:nope")
    here.until(PODS, "web-1", lambda body: waiting_for(body) in ("ErrImagePull", "ImagePullBackOff"))
    broken = here.uids()["web-1"]
    here.image("web:3")
    here.until(SETS, "web", observed)
    assert here.uids()["web-1"] == broken
    with here.log() as log:
        here.delete(PODS, "web-1")
        here.settled()
        entries = log.until("!web-0")
    assert turns(entries) == ["web-1", "web-0"]
    assert set(here.images().values()) == {"web:3"}


def waiting_for(pod: Json) -> str:
    """The reason why the first container of a pod waits, "" when it does not."""
    found: Any = pod["status"].get("containerStatuses") or [{"state": {}}]
    return str(found[0]["state"].get("waiting", {}).get("reason", ""))


def test_the_trap_even_a_rollback_does_not_free_the_broken_pod(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    first = here.settled()["status"]["updateRevision"]
    here.image("web:nope")
    here.until(PODS, "web-1", lambda body: waiting_for(body) in ("ErrImagePull", "ImagePullBackOff"))
    here.image("web:1")
    status = here.until(SETS, "web", lambda body: observed(body) and body["status"]["updateRevision"] == first)[
        "status"
    ]
    assert status["currentRevision"] == first
    assert here.images() == {"web-0": "web:1", "web-1": "web:nope"}
    here.delete(PODS, "web-1")
    here.settled()
    assert set(here.hashes().values()) == {first}


def test_parallel_has_no_such_trap(here: Space) -> None:
    here.make(SETS, stateful_set(2, podManagementPolicy="Parallel"))
    here.settled()
    here.image("web:nope")
    here.until(PODS, "web-1", lambda body: waiting_for(body) in ("ErrImagePull", "ImagePullBackOff"))
    here.image("web:3")
    here.settled()
    assert set(here.images().values()) == {"web:3"}


def test_each_template_is_a_revision_with_a_number_and_data(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    for image in ("web:2", "web:3"):
        here.settled()
        here.image(image)
    here.settled()
    assert numbers(here) == {1: "web:1", 2: "web:2", 3: "web:3"}
    for body in here.all(REVISIONS):
        assert body["metadata"]["labels"]["app"] == "web"
        assert body["metadata"]["labels"]["controller.kubernetes.io/hash"] == body["metadata"]["name"].split("-")[1]
        assert [owner["name"] for owner in body["metadata"]["ownerReferences"]] == ["web"]
        assert body["data"]["spec"]["template"]["$patch"] == "replace"
        assert list(body["data"]["spec"]) == ["template"]


def test_going_back_to_an_old_template_renumbers_its_revision(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    here.image("web:2")
    here.settled()
    here.image("web:1")
    here.settled()
    assert numbers(here) == {2: "web:2", 3: "web:1"}


def test_what_is_not_in_the_template_makes_no_revision(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    here.scale(2)
    here.patch(SETS, "web", {"metadata": {"labels": {"more": "yes"}}, "spec": {"minReadySeconds": 1}})
    here.settled()
    assert len(here.all(REVISIONS)) == 1


@pytest.mark.parametrize(("limit", "kept"), [(1, {3: "web:3", 4: "web:4"}), (0, {4: "web:4"})])
def test_old_revisions_beyond_the_limit_are_dropped(here: Space, limit: int, kept: dict[int, str]) -> None:
    here.make(SETS, stateful_set(1, revisionHistoryLimit=limit))
    for number in (2, 3, 4):
        here.settled()
        here.image(f"web:{number}")
    here.settled()
    eventually(lambda: numbers(here) == kept or None)


def test_revisions_that_pods_still_have_are_kept_beyond_the_limit(here: Space) -> None:
    here.make(SETS, stateful_set(2, revisionHistoryLimit=0, **partition(2)))
    here.settled()
    here.image("web:2")
    here.settled(current=2)
    here.image("web:3")
    here.settled(current=2)
    eventually(lambda: numbers(here) == {1: "web:1", 3: "web:3"} or None)


def test_a_restart_by_annotation_rolls_all_pods(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    here.settled()
    before = set(here.uids().values())
    note = {"kubectl.kubernetes.io/restartedAt": "2026-01-02T03:04:05Z"}
    here.patch(SETS, "web", {"spec": {"template": {"metadata": {"annotations": note}}}})
    here.settled()
    assert not before & set(here.uids().values())
    assert all(pod["metadata"]["annotations"] == note for pod in here.all(PODS))


def test_scaling_down_during_a_halted_update(here: Space) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    here.image("web:nope")
    here.until(PODS, "web-2", lambda body: waiting_for(body) in ("ErrImagePull", "ImagePullBackOff"))
    here.scale(2)
    here.gone(PODS, "web-2")
    here.until(PODS, "web-1", lambda body: waiting_for(body) in ("ErrImagePull", "ImagePullBackOff"))
    assert here.images() == {"web-0": "web:1", "web-1": "web:nope"}
