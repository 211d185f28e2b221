"""`rollback` brings back a revision's manifests and values; Secrets and the number of pods stay those of now."""

from __future__ import annotations

import pytest

from berth.actions.rollout import Wanted
from berth.cluster.kube import Kube
from berth.core.errors import BerthError, ClusterError, InputError, PreflightError
from berth.core.objects import ObjectRef
from tests.contract.rollouts import (
    BAD,
    NEW,
    SHORT,
    THREE,
    back,
    images,
    notices,
    replaced,
    roll,
    settled,
    state,
    the_record,
    three,
    uids,
)
from tests.contract.support import bring_up, claims, done, rehearsal_only, release, statefulset, steps, versions
from tests.contract.test_scaling import scale

POSTGRES = ("replicas=1",)


def test_a_configuration_comes_back_with_its_values(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    before, first = claims(kube, space), the_record(kube, space)
    bring_up(kube, release("nginx", space, *THREE, *NEW, "maxBodySize=5m"))
    events = back(kube, space, 1, word="rollback")
    assert "going back to revision 1 of nginx" in notices(events)[0] and done(events).succeeded
    assert images(kube, space) == ["1.29"] * 3 and claims(kube, space).keys() == before.keys()
    record = the_record(kube, space)
    assert (record.revision, record.values, record.status) == (3, first.values, "deployed")
    assert [one.action for one in record.history] == ["up", "up", "rollback to 1"]
    assert record.history[-1].manifests == first.history[-1].manifests
    assert statefulset(kube, wanted)["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1.29")
    settled(kube, space)
    back(kube, space, 2, word="rollback")
    settled(kube, space, *NEW, "maxBodySize=5m")


@rehearsal_only
def test_what_differs_in_no_pod_replaces_none(kube: Kube, space: str) -> None:
    three(kube, space)
    before = uids(kube, space)
    bring_up(kube, release("nginx", space, *THREE, "updateStrategy.partition=2"))
    events = back(kube, space, 1, word="rollback")
    assert uids(kube, space) == before and steps(events, "updated") == ["StatefulSet/web"]
    settled(kube, space)


@rehearsal_only
def test_what_is_as_it_was_is_left_alone(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    for count in (5, 6):
        bring_up(kube, release("nginx", space, *THREE, f"workerProcesses={count}"))
    bring_up(kube, wanted)
    before = versions(kube, wanted)
    assert "like that already" in notices(back(kube, space, 1, word="rollback"))[-1]
    assert versions(kube, wanted) == before


def test_objects_that_came_later_go_and_those_that_went_come_back(kube: Kube, space: str) -> None:
    off, on = "disruptionBudget.enabled=false", "disruptionBudget.enabled=true"
    ref = ObjectRef("policy", "PodDisruptionBudget", space, "web")
    three(kube, space, off)
    bring_up(kube, release("nginx", space, *THREE, on))
    assert kube.get(ref) is not None
    back(kube, space, 1, word="rollback")
    assert kube.get(ref) is None
    settled(kube, space, off)
    back(kube, space, 2, word="rollback")
    assert kube.get(ref) is not None
    settled(kube, space, on)


def test_a_secret_keeps_its_data(kube: Kube, space: str) -> None:
    bring_up(kube, release("postgres", space, *POSTGRES))
    found = [body for body in kube.list("", "Secret", space).items if body["type"] == "Opaque"]
    secret = ObjectRef.of({"apiVersion": "v1", "kind": "Secret", "metadata": found[0]["metadata"]})
    data = found[0]["data"]
    bring_up(kube, release("postgres", space, *POSTGRES, "settings.work_mem=8MB"))
    back(kube, space, 1, word="rollback", name="postgres")
    live = kube.get(secret)
    assert live is not None and live["data"] == data and all(data.values())
    wanted = release("postgres", space, *POSTGRES)
    before = versions(kube, wanted)
    assert done(bring_up(kube, wanted)).changed == 0 and versions(kube, wanted) == before

    bring_up(kube, release("postgres", space, *POSTGRES, "settings.work_mem=8MB"))
    kube.delete(secret)
    with pytest.raises(ClusterError, match="no record keeps the data of a Secret") as caught:
        back(kube, space, 1, word="rollback", name="postgres")
    assert secret.name in str(caught.value) and "invoke up" in str(caught.value)
    assert the_record(kube, space, "postgres").status == "deployed"


@rehearsal_only
def test_another_number_of_pods_is_for_scale(kube: Kube, space: str) -> None:
    three(kube, space)
    scale(kube, space, "nginx", 2)
    before = the_record(kube, space)
    with pytest.raises(InputError, match="has 3 pods, and StatefulSet/web has 2 now") as caught:
        back(kube, space, 1, word="rollback")
    assert "`invoke scale --name nginx --replicas 3`" in str(caught.value)
    assert the_record(kube, space) == before
    scale(kube, space, "nginx", 3)
    assert "like that already" in notices(back(kube, space, 1, word="rollback"))[-1]


@rehearsal_only
def test_another_major_version_is_refused_here_too(kube: Kube, space: str) -> None:
    """The record was made by a version of the profile that let it pass."""
    wanted = release("cassandra", space, "replicas=1", "spread.hostname=soft")
    bring_up(kube, wanted)
    bring_up(kube, release("cassandra", space, "replicas=1", "spread.hostname=soft", "image.tag=6.0"))
    with pytest.raises(PreflightError, match="cannot go from version 6 to 5 in place"):
        back(kube, space, 1, word="rollback", name="cassandra")


@rehearsal_only
def test_a_rollback_during_a_rollout_ends_it(kube: Kube, space: str) -> None:
    three(kube, space)
    bring_up(kube, release("nginx", space, *THREE, *NEW))
    before = uids(kube, space)
    roll(kube, space, "image.tag=1.31", wanted=Wanted(pause=True))
    back(kube, space, 1, word="rollback")
    assert replaced(kube, space, before) == [0, 1, 2]
    settled(kube, space)


@rehearsal_only
def test_a_rollback_that_fails_says_so_and_the_release_can_go_elsewhere(kube: Kube, space: str) -> None:
    three(kube, space)
    for tag in ("1.30", "1.31"):
        bring_up(kube, release("nginx", space, *THREE, f"image.tag={tag}"))
    with pytest.raises(BerthError):
        bring_up(kube, release("nginx", space, *THREE, *BAD), patience=SHORT)
    assert state(kube, space) == ("failed", None)
    events = back(kube, space, unstick=True)
    assert done(events).succeeded and images(kube, space) == ["1.31"] * 3, "the last that came to its end"
    settled(kube, space, "image.tag=1.31")


@rehearsal_only
def test_undoing_twice_is_there_and_back(kube: Kube, space: str) -> None:
    three(kube, space)
    roll(kube, space, *NEW)
    back(kube, space)
    settled(kube, space)
    back(kube, space)
    settled(kube, space, *NEW)


@rehearsal_only
def test_a_password_outlives_a_rollout_that_is_undone(kube: Kube, space: str) -> None:
    sets = ("replicas=2", "spread.hostname=soft")
    bring_up(kube, release("postgres", space, *sets))
    found = [body for body in kube.list("", "Secret", space).items if body["type"] == "Opaque"]
    roll(kube, space, "podAnnotations.a=b", wanted=Wanted(pause=True), name="postgres")
    back(kube, space, name="postgres")
    assert [body["data"] for body in kube.list("", "Secret", space).items if body["type"] == "Opaque"] == [
        body["data"] for body in found
    ]
    wanted = release("postgres", space, *sets)
    before = versions(kube, wanted)
    assert done(bring_up(kube, wanted)).changed == 0 and versions(kube, wanted) == before
