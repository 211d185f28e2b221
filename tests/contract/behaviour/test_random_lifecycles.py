"""Random lives of StatefulSets, lived on both clusters at once; after each step both must have the same objects.

What settled means: the controller has seen the newest spec, no pod is on its way out, every pod is ready or stuck in
the fault that it was given, and nothing that must be equal has changed for a moment. While both clusters are not equal
they are given time; whoever is late is not wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.conftest import opened
from tests.contract.behaviour.essence import differences, plain, trouble
from tests.contract.behaviour.lifecycles import Life, Step
from tests.contract.behaviour.mirror import Mirror
from tests.contract.behaviour.space import CLAIMS, PODS, SETS, Space
from tests.contract.behaviour.wire import Answer, Wire

pytestmark = pytest.mark.controlplane

#: Lives in a batch, all of them at the same time; and steps of a life after its set was made.
LIVES, STEPS = 20, 6
BATCHES = 10
#: Seconds: how long nothing must have changed where all is as it should be, and where something is stuck; and how long
#: both clusters have to become equal.
CALM, STUCK, PATIENCE = 0.4, 1.0, 90.0


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two clusters."""

    wire: Wire
    mirror: Mirror


@pytest.fixture(scope="module")
def sides(control_plane: Path, rehearsed: Path) -> Iterator[tuple[Side, Side]]:
    """The control plane and the rehearsal, watched."""
    made = []
    for kubeconfig in (control_plane, rehearsed):
        wire = Wire(kubeconfig)
        made.append(Side(wire, Mirror(wire, "l-")))
    yield made[0], made[1]
    for side in made:
        side.mirror.close()
        side.wire.close()


@pytest.mark.parametrize("batch", range(BATCHES))
def test_both_clusters_live_the_same_lives(sides: tuple[Side, Side], batch: int) -> None:
    """A life that differs is lived once more: Kubernetes races with itself at times, as when the scheduler is late."""
    seeds = range(batch * LIVES, (batch + 1) * LIVES)
    with ThreadPoolExecutor(LIVES) as pool:
        told = dict(zip(seeds, pool.map(lambda seed: live(sides, seed), seeds), strict=True))
    failures = [again for seed, text in told.items() if text and (again := live(sides, seed))]
    assert not failures, "\n\n".join(failures)


def live(sides: tuple[Side, Side], seed: int) -> str:
    """Live one life on both; "" when they were equal all the way, else the steps and what differed."""
    name = f"l-{seed}-{uuid4().hex[:6]}"
    spaces = tuple(opened(side.wire, name=name) for side in sides)
    done: list[str] = []
    try:
        for step in Life(seed).steps(STEPS):
            done.append(step.words)
            found = take(sides, (spaces[0], spaces[1]), step)
            if found:
                return "\n  ".join([f"seed {seed}:", *done, "differs:", *found])
        return ""
    finally:
        for side, space in zip(sides, spaces, strict=True):
            space.delete("namespaces", name, "Background")
            side.mirror.forget(name)


def take(sides: tuple[Side, Side], spaces: tuple[Space, Space], step: Step) -> list[str]:
    """Take a step on both; what differs when both have settled, or when they do not in time."""
    before = time.monotonic()
    answers = [step.act(space) for space in spaces]
    said = [[verdict(answer, space.name) for answer in row] for row, space in zip(answers, spaces, strict=True)]
    unequal = list(differences(said[0], said[1], "answer"))
    if unequal:
        return unequal
    name = spaces[0].name
    deadline = before + PATIENCE
    while True:
        reasons = [unsettled(side, name, row, step) for side, row in zip(sides, answers, strict=True)]
        if not any(reasons):
            unequal = list(differences(sides[0].mirror.essences(name), sides[1].mirror.essences(name)))
            if not unequal:
                return []
        if time.monotonic() > deadline:
            late = [
                f"not settled: {why} ({side})"
                for side, why in zip(("kubernetes", "rehearsal"), reasons, strict=True)
                if why
            ]
            return [*late, *differences(sides[0].mirror.essences(name), sides[1].mirror.essences(name))]
        time.sleep(0.05)


def verdict(answer: Answer, space: str) -> object:
    """The status code, and a refusal in full."""
    if answer.status < 400:
        return answer.status
    details = answer.body.get("details") or {}
    if answer.body["reason"] == "Conflict" and "causes" in details:
        # Conflicts with several managers come from a map, and Go goes through maps in no order.
        details["causes"].sort(key=lambda cause: (cause["field"], cause["message"]))
    return [answer.status, plain({name: value for name, value in answer.body.items() if name != "metadata"}, space)]


def unsettled(side: Side, space: str, answers: list[Answer], step: Step) -> str:
    """Why a cluster has not settled yet, "" when it has."""
    mirror = side.mirror
    for answer in answers:
        if not seen(mirror, space, answer):
            return "the watch is behind"
    sets, pods = mirror.bodies(space, SETS), mirror.bodies(space, PODS)
    if step.ends and sets:
        return "the set is not gone"
    for body in sets:
        if body["status"].get("observedGeneration") != body["metadata"]["generation"]:
            return "the controller has not seen the set"
    stuck = False
    for pod in pods:
        if "deletionTimestamp" in pod["metadata"]:
            return f"{pod['metadata']['name']} is on its way out"
        if not ready(pod):
            if not hopeless(pod):
                return f"{pod['metadata']['name']} is neither ready nor stuck"
            stuck = True
    if not stuck and not all(arrived(body, pods) for body in sets):
        return "the set has not what it wants"
    quiet = mirror.quiet(space)
    return "" if quiet >= (STUCK if stuck else CALM) else f"quiet for {quiet:.2f} s only"


def seen(mirror: Mirror, space: str, answer: Answer) -> bool:
    """Whether what a request has changed has come in by the watch."""
    meta = answer.body.get("metadata") or {}
    uid, version = meta.get("uid"), meta.get("resourceVersion")
    gone = (answer.body.get("details") or {}).get("uid")
    for resource in (SETS, PODS, CLAIMS):
        for body in mirror.bodies(space, resource):
            if body["metadata"]["uid"] == gone:
                return False
            if body["metadata"]["uid"] == uid and int(body["metadata"]["resourceVersion"]) < int(version or 0):
                return False
    if answer.status == 201 and answer.body.get("kind") == "StatefulSet":
        return any(body["metadata"]["uid"] == uid for body in mirror.bodies(space, SETS))
    return True


def ready(pod: Json) -> bool:
    """Whether a pod is ready."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def hopeless(pod: Json) -> bool:
    """Whether a pod is as far as its fault, or the lack of a node, lets it be."""
    status = pod.get("status") or {}
    placed = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}.get("PodScheduled")
    return placed == "False" or bool(trouble(pod) and status.get("containerStatuses"))


def arrived(body: Json, pods: list[Json]) -> bool:
    """Whether a set whose pods are all ready has what it wants."""
    spec, status = body["spec"], body["status"]
    strategy = spec["updateStrategy"]
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    owned = [pod for pod in pods if pod["metadata"].get("ownerReferences")]
    if len(owned) != spec["replicas"] or status["replicas"] != spec["replicas"]:
        return False
    if status.get("availableReplicas", 0) != spec["replicas"]:
        return False
    if strategy["type"] == "OnDelete":
        return True
    if status.get("updatedReplicas", 0) < spec["replicas"] - partition:
        return False
    return bool(partition or status["currentRevision"] == status["updateRevision"])
