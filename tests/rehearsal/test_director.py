"""The timeline and quotas of scenarios, and the scenarios that come with berth."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.rehearsal import scenarioclock
from berth.rehearsal.controllers.director import Director
from berth.rehearsal.kinds import EVENTS, NAMESPACES, NODES, PODS, QUOTAS
from berth.rehearsal.scenariofile import find
from berth.rehearsal.store import Store
from tests.rehearsal.stage import START, Stage

pytestmark = pytest.mark.rehearsal


def comes_with_berth(name: str) -> Stage:
    text = find(name).source
    return Stage(text.replace(f"name: {name}\n", "", 1))


def unschedulable(stage: Stage, node: str) -> bool:
    found = stage.world.store.get(NODES, "", node)
    assert found is not None
    return bool(found["spec"].get("unschedulable"))


def pods_on(stage: Stage, node: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in stage.world.store.list(PODS) if pod["spec"].get("nodeName") == node]


def test_times_count_from_the_first_workload() -> None:
    stage = Stage("timeline: [{at: 30s, cordon: berth-node-1}]")
    stage.advance(100)
    assert not unschedulable(stage, "berth-node-1")
    assert scenarioclock.elapsed(stage.world) == 0
    stage.add_pod("web")
    stage.advance(29)
    assert not unschedulable(stage, "berth-node-1")
    stage.advance(2)
    assert unschedulable(stage, "berth-node-1")
    assert scenarioclock.elapsed(stage.world) == 31


def test_somebody_may_let_it_begin_again() -> None:
    stage = Stage("timeline: [{at: 30s, cordon: berth-node-1}]")
    stage.add_pod("web")
    stage.advance(20)
    director = next(one for one in stage.world.controllers if isinstance(one, Director))
    with stage.world.request():
        director.begin()
    stage.advance(20)
    assert not unschedulable(stage, "berth-node-1")
    stage.advance(20)
    assert unschedulable(stage, "berth-node-1")


def test_a_node_is_lost_and_comes_back() -> None:
    stage = Stage("timeline: [{at: 5s, lose: berth-node-1}, {at: 10m, recover: berth-node-1}]")
    stage.add_pod("web")
    stage.advance(20)
    assert stage.ready("web")
    stage.advance(60)
    assert not stage.ready("web")
    stage.advance(400)
    # Evicted, but nobody on the node hears of it.
    assert "deletionTimestamp" in stage.pod("web")["metadata"]
    stage.settle()
    assert not stage.exists("web")
    assert stage.now == pytest.approx(600.2, abs=0.5)


def test_pods_that_somebody_deletes() -> None:
    stage = Stage("timeline: [{at: 20s, delete_pod: {set: web, ordinals: 1}, grace: 0s}]")
    stage.add_set()
    stage.world.settle(limit_seconds=10)
    before = [stage.pod(f"web-{number}")["metadata"]["uid"] for number in range(3)]
    stage.settle()
    after = [stage.pod(f"web-{number}")["metadata"]["uid"] for number in range(3)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_a_drain_waits_for_the_budget() -> None:
    stage = Stage("timeline: [{at: 20s, drain: berth-node-1}, {at: 10m, uncordon: berth-node-1}]\npods: [{ready: 7s}]")
    for number in range(3):
        stage.add_pod(f"web-{number}", labels={"app": "web"})
    stage.add_pod("spare", "berth-node-2", labels={"app": "web"})
    stage.add_budget("web", {"app": "web"}, minAvailable=2)
    stage.advance(19)
    assert pods_on(stage, "berth-node-1") == ["web-0", "web-1", "web-2"]
    stage.advance(5)
    assert unschedulable(stage, "berth-node-1")
    assert pods_on(stage, "berth-node-1") == ["web-2"]
    stage.world.settle(limit_seconds=60)
    assert pods_on(stage, "berth-node-1") == ["web-2"]
    stage.add_pod("another", "berth-node-3", labels={"app": "web"})
    stage.world.settle(limit_seconds=60)
    assert pods_on(stage, "berth-node-1") == []
    stage.settle()
    assert not unschedulable(stage, "berth-node-1")


def test_what_was_done_is_not_done_again_by_a_new_process(tmp_path: Path) -> None:
    text = "timeline: [{at: 5s, cordon: berth-node-1}, {at: 50s, cordon: berth-node-2}]"
    path = tmp_path / "state"
    first = Stage(text, Store(path))
    first.add_pod("web")
    first.advance(10)
    with first.world.request():
        node = first.world.store.get(NODES, "", "berth-node-1")
        assert node is not None
        first.client.update(NODES, {**node, "spec": {k: v for k, v in node["spec"].items() if k != "unschedulable"}})
    first.world.close()
    stage = Stage(text, Store(path), start=START + 20)
    assert not unschedulable(stage, "berth-node-1")
    assert unschedulable(stage, "berth-node-2")
    assert stage.now == pytest.approx(50, abs=0.1)


def test_quotas_are_set_where_they_are_wanted() -> None:
    stage = Stage("quota: [{namespace: 'shop*', hard: {pods: 2}}]")
    with stage.world.request():
        for name in ("shop-1", "other"):
            stage.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    stage.settle()
    quotas = stage.world.store.list(QUOTAS)
    assert [(one["metadata"]["namespace"], one["spec"]["hard"]) for one in quotas] == [("shop-1", {"pods": "2"})]
    with stage.world.request():
        stage.client.delete(QUOTAS, "shop-1", "rehearsal")
    stage.settle()
    assert stage.world.store.list(QUOTAS) == []


def test_an_image_of_the_second_pod_cannot_be_pulled() -> None:
    stage = comes_with_berth("image-pull")
    stage.add_set()
    stage.settle()
    assert (stage.ready("web-0"), stage.state("web-1"), stage.exists("web-2")) == (True, "ImagePullBackOff", False)


def test_the_pods_of_an_upgrade_crash() -> None:
    stage = comes_with_berth("crash-after-upgrade")
    stage.add_set()
    stage.settle()
    assert all(stage.ready(f"web-{number}") for number in range(3))
    stage.upgrade("nginx:1.28")
    stage.settle()
    assert (stage.state("web-2"), stage.ready("web-1")) == ("CrashLoopBackOff", True)
    stage.upgrade("nginx:1.27")
    stage.delete("web-2")
    stage.settle()
    assert all(stage.ready(f"web-{number}") for number in range(3))


def test_the_claim_of_the_second_pod_is_never_bound() -> None:
    stage = comes_with_berth("claim-pending")
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "local-path"}}
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}  # type: ignore[index]
    stage.add_set(volumeClaimTemplates=[claim])
    stage.world.settle(limit_seconds=100)
    assert stage.ready("web-0")
    assert stage.pod("web-1")["status"]["phase"] == "Pending"
    messages = [one["message"] for one in stage.world.store.list(EVENTS) if one["reason"] == "ProvisioningFailed"]
    assert messages and all("no space left in the pool" in message for message in messages)


def test_a_node_is_lost_for_good() -> None:
    stage = comes_with_berth("node-lost")
    stage.add_set()
    stage.world.settle(limit_seconds=600)
    lost = pods_on(stage, "berth-node-2")
    assert len(lost) == 1
    assert "deletionTimestamp" in stage.pod(lost[0])["metadata"]


def test_the_probe_of_the_first_pod_fails() -> None:
    stage = comes_with_berth("probe-fails")
    stage.add_set()
    stage.settle()
    assert [stage.ready(f"web-{number}") for number in range(3)] == [False, True, True]


def test_a_quota_that_holds_one_pod() -> None:
    stage = comes_with_berth("quota")
    stage.add_set()
    stage.world.settle(limit_seconds=60)
    assert (stage.ready("web-0"), stage.exists("web-1")) == (True, False)
    [said] = {message for reason, message in stage.events("web", "FailedCreate")}
    assert 'pods "web-1" is forbidden: exceeded quota: rehearsal' in said


@pytest.mark.parametrize("name", ["slow-start", "drain", "api-faults"])
def test_what_ends_well(name: str) -> None:
    stage = comes_with_berth(name)
    stage.add_set()
    stage.settle()
    assert all(stage.ready(f"web-{number}") for number in range(3))
