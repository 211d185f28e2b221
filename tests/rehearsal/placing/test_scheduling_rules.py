"""The pure rules of scheduling: selectors, requests; and what is kept by changes is what counting anew would give."""

from __future__ import annotations

import random
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal.controllers.scheduling import resources, selecting
from berth.rehearsal.controllers.scheduling.snapshot import Cluster, pod_info

pytestmark = pytest.mark.rehearsal

Gi = 1024**3


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        (None, {"a": "1"}, False),
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
    ],
)
def test_label_selectors(selector: dict[str, Any] | None, labels: dict[str, str], selected: bool) -> None:
    found = selecting.selection(selector)
    assert found.matches(labels) is selected
    if selected:
        assert found.shelf in set(selecting.shelves(labels))


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [("Gt", ["3"], True), ("Gt", ["4"], False), ("Lt", ["5"], True), ("Lt", ["x"], False), ("In", ["4"], True)],
)
def test_node_selector_numbers(operator: str, values: list[str], matches: bool) -> None:
    term = {"matchExpressions": [{"key": "disks", "operator": operator, "values": values}]}
    assert selecting.node_term_matches(term, {"disks": "4"}, "one") is matches


def test_an_empty_node_term_matches_nothing() -> None:
    assert not selecting.node_selector_matches({"nodeSelectorTerms": [{}]}, {"a": "1"}, "one")


@pytest.mark.parametrize(
    ("toleration", "taint", "tolerated"),
    [
        ({"operator": "Exists"}, {"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Exists"}, {"key": "k", "effect": "NoExecute"}, True),
        ({"key": "k", "value": "v"}, {"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "w"}, {"key": "k", "value": "v", "effect": "NoSchedule"}, False),
        ({"key": "k", "effect": "NoExecute", "operator": "Exists"}, {"key": "k", "effect": "NoSchedule"}, False),
        ({"operator": "Equal"}, {"key": "k", "effect": "NoSchedule"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], taint: dict[str, str], tolerated: bool) -> None:
    assert selecting.toleration_matches(toleration, taint) is tolerated


def container(cpu: str = "", memory: str = "", **more: Any) -> Json:
    asked = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": "c", "resources": {"requests": asked}, **more}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"containers": [container("100m", "1Gi"), container("1")]}, {"cpu": 1100, "memory": Gi}),
        (
            {"containers": [container("100m")], "initContainers": [container("2", "2Gi")]},
            {"cpu": 2000, "memory": 2 * Gi},
        ),
        (
            # A sidecar runs beside the containers, and beside the init containers after it.
            {
                "containers": [container("1")],
                "initContainers": [container("500m", restartPolicy="Always"), container("2")],
            },
            {"cpu": 2500},
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, {"cpu": 1250}),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "4"}}}, {"cpu": 4000}),
        ({"containers": [container()]}, {}),
    ],
)
def test_requests(spec: Json, wanted: dict[str, int]) -> None:
    assert resources.requests({"spec": spec}) == wanted


def pod(number: int, app: str, chance: random.Random) -> Json:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": app}}}
    anti = {"requiredDuringSchedulingIgnoredDuringExecution": [term]} if chance.random() < 0.5 else {}
    meta: Json = {"namespace": chance.choice(("a", "b")), "name": f"p-{number}", "uid": str(number)}
    meta["labels"] = {"app": app}
    if chance.random() < 0.2:
        meta["deletionTimestamp"] = "2026-11-21T14:00:00Z"
    spec: Json = {"containers": [container(f"{chance.randint(1, 9)}00m")]}
    return {"metadata": meta, "spec": {**spec, "affinity": {"podAntiAffinity": anti}}}


def node(name: str) -> Json:
    allocatable = {"cpu": "32", "memory": "64Gi", "pods": "500"}
    return {"metadata": {"name": name, "labels": {"zone": name[-1]}}, "status": {"allocatable": allocatable}}


@pytest.mark.parametrize("seed", range(20))
def test_what_is_kept_is_what_counting_anew_gives(seed: int) -> None:
    chance = random.Random(seed)
    kept = Cluster()
    nodes = ["n1", "n2", "n3"]
    there: dict[str, tuple[Json, str]] = {}
    up: set[str] = set()
    selections = [selecting.selection({"matchLabels": {"app": app}}) for app in ("x", "y")]
    selections.append(selecting.selection({}))
    for step in range(120):
        match chance.randint(0, 5):
            case 0:
                name = chance.choice(nodes)
                kept.put_node(node(name))
                up.add(name)
            case 1 if chance.random() < 0.3:
                name = chance.choice(nodes)
                kept.drop_node(name)
                up.discard(name)
            case 2 if there:
                uid = chance.choice(sorted(there))
                kept.drop_pod(uid)
                del there[uid]
            case 3 if there:
                uid = chance.choice(sorted(there))
                body = pod(int(uid), chance.choice("xy"), chance)
                there[uid] = (body, there[uid][1])
                kept.put_pod(pod_info(body), there[uid][1])
            case _:
                body, name = pod(step, chance.choice("xy"), chance), chance.choice(nodes)
                there[str(step)] = (body, name)
                kept.put_pod(pod_info(body), name)
        fresh = Cluster()
        for name in sorted(up):
            fresh.put_node(node(name))
        for body, name in there.values():
            fresh.put_pod(pod_info(body), name)
        assert {name: (info.assumed, nonzero(info.requested), set(info.pods)) for name, info in kept.nodes.items()} == {
            name: (info.assumed, nonzero(info.requested), set(info.pods)) for name, info in fresh.nodes.items()
        }
        for one in selections:
            for terminating in (True, False):
                asked = [each.count("a", one, terminating=terminating) for each in (kept, fresh)]
                assert nonzero(dict(asked[0])) == nonzero(dict(asked[1]))
        refused = [
            {(term, frozenset(on.items())) for term, on in each.refusals.about({"app": "x"})} for each in (kept, fresh)
        ]
        assert refused[0] == refused[1]


def nonzero(counts: dict[str, int]) -> dict[str, int]:
    return {key: value for key, value in counts.items() if value}
