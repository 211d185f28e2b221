"""A throw-away cluster in this process: its time, its beginning, and what is left of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.objects import Json, ObjectRef
from berth.rehearsal.clock import INSTANT, REAL
from berth.rehearsal.kinds import NODES, PODS, SECRETS, STATEFUL_SETS
from berth.rehearsal.scenario import Scenario
from berth.rehearsal.scenariofile import find
from berth.rehearsal.store import Change
from berth.rehearsal.trial import Trial
from tests.rehearsal.stage import container

pytestmark = pytest.mark.rehearsal


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path, Scenario(), pace=INSTANT, seed=1)
    yield made
    made.close()


@pytest.fixture
def kube(trial: Trial) -> Iterator[Kube]:
    client = resolve(None, str(trial.kubeconfig), {}).connect()
    yield client
    client.close()


def stateful_set(replicas: int = 2) -> Json:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container("web")]}}
    spec = {"serviceName": "web", "replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": "web", "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec}


def ready(trial: Trial, name: str) -> bool:
    pod = trial.world.store.get(PODS, "default", name)
    conditions = (pod or {}).get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def available(trial: Trial, name: str) -> int:
    found = trial.world.store.get(STATEFUL_SETS, "default", name) or {}
    return int(found.get("status", {}).get("availableReplicas", 0))


def until(true: object, trial: Trial, limit: float = 600) -> float:
    """Let time pass until it is so; how many virtual seconds that took."""
    assert callable(true)
    began = trial.now()
    while not true() and trial.now() - began < limit:
        trial.pass_time()
    return trial.now() - began


def test_time_stands_still_unless_it_is_let_pass(trial: Trial, kube: Kube) -> None:
    began = trial.now()
    kube.create(stateful_set())
    time.sleep(0.1)
    assert trial.now() == began
    assert not ready(trial, "web-0")
    assert until(lambda: ready(trial, "web-1"), trial) < 2
    assert ready(trial, "web-0")


def test_passing_time_ends_with_what_happens_and_else_at_the_limit(trial: Trial, kube: Kube) -> None:
    until(lambda: False, trial, limit=60)
    began = trial.now()
    trial.pass_time(3)
    assert trial.now() - began <= 3
    kube.create(stateful_set(1))
    steps = [began := trial.now()]
    while not ready(trial, "web-0"):
        trial.pass_time(60)
        steps.append(trial.now())
    assert len(steps) > 2 and steps[-1] - steps[0] < 2, "one step a happening"


def test_the_same_seed_and_the_same_requests_are_the_same_story(tmp_path: Path) -> None:
    def story(root: Path) -> list[tuple[str, str, str]]:
        root.mkdir()
        trial = Trial(root, Scenario(), pace=INSTANT, seed=7)
        changes: list[tuple[float, str, str]] = []

        def note(change: Change) -> None:
            # The cluster's own first objects may still be on their way. An Event's name ends with the time of day.
            name = change.key[1].partition(".")[0]
            if name.startswith("web"):
                changes.append((trial.world.clock.now(), change.kind.kind, name))

        with trial.world.lock:
            trial.world.store.listeners.append(note)
        client = resolve(None, str(trial.kubeconfig), {}).connect()
        client.create(stateful_set())
        until(lambda: available(trial, "web") == 2, trial)
        client.close()
        trial.close()
        return [(f"{moment - changes[0][0]:.3f}", kind, name) for moment, kind, name in changes]

    assert story(tmp_path / "one") == story(tmp_path / "two")


def test_the_scenario_waits_for_its_cue(tmp_path: Path) -> None:
    trial = Trial(tmp_path, find("node-lost"), pace=INSTANT, seed=1)
    try:
        trial.watch(120)
        assert not any(_lost(node) for node in trial.world.store.list(NODES))
        trial.begin()
        trial.watch(30)
        assert not any(_lost(node) for node in trial.world.store.list(NODES))
        trial.watch(30)
        assert [node["metadata"]["name"] for node in trial.world.store.list(NODES) if _lost(node)] == ["berth-node-2"]
    finally:
        trial.close()


def _lost(node: Json) -> bool:
    return any(one["type"] == "Ready" and one["status"] != "True" for one in node["status"]["conditions"])


def test_requests_fail_from_the_cue_on(tmp_path: Path) -> None:
    trial = Trial(tmp_path, find("api-faults"), pace=INSTANT, seed=1)
    client = resolve(None, str(trial.kubeconfig), {}).connect()
    try:
        ref = ObjectRef("", "Namespace", "", "default")
        for _ in range(3):
            assert client.get(ref)
        trial.begin()
        for _ in range(6):
            assert client.get(ref), "tried again after the 429"
    finally:
        client.close()
        trial.close()


def test_in_real_time_it_goes_by_itself(tmp_path: Path) -> None:
    trial = Trial(tmp_path, Scenario(), pace=REAL, seed=1)
    try:
        began = trial.now()
        trial.watch(0.2)
        assert 0.2 <= trial.now() - began < 5
    finally:
        trial.close()


def test_filled_with_objects(tmp_path: Path) -> None:
    meta = {"name": "s", "namespace": "shop", "uid": "u", "creationTimestamp": "2050-01-01T00:00:00Z"}
    space: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "v"}}
    secret: Json = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"a": ""}, "type": "Opaque"}
    unknown: Json = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    trial = Trial(tmp_path, Scenario(), pace=INSTANT, seed=1, objects=[space, secret, secret, unknown])
    try:
        assert len(trial.world.store.list(SECRETS, "shop")) == 1
        assert trial.world.store.list(NODES) == [], "nothing but what was given"
        assert trial.now() >= 2_500_000_000, "what was made later than now was made before"
    finally:
        trial.close()


def test_nothing_is_left_running(tmp_path: Path) -> None:
    before = threading.active_count()
    trial = Trial(tmp_path, Scenario(), pace=INSTANT, seed=1)
    assert trial.kubeconfig.stat().st_mode & 0o777 == 0o600
    trial.close()
    assert threading.active_count() == before
