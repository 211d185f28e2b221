"""Whole lifecycles with every controller of the rehearsal: scheduler, binder, kubelets and all."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.kinds import BUDGETS, CLAIMS, NAMESPACES, PODS, SERVICES, SLICES, STATEFUL_SETS, VOLUMES, Kind
from berth.rehearsal.registry import Options
from berth.rehearsal.world import World
from tests.rehearsal.invariants import Invariants

pytestmark = pytest.mark.rehearsal

SPACE = "shop"


class Shop:
    """A world with a namespace, spoken to as kubectl does."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(pace=INSTANT, seed=seed, strict=True)
        self.invariants = Invariants(self.world)
        self.create(NAMESPACES, {"metadata": {"name": SPACE}})
        self.settle()

    def settle(self) -> None:
        self.world.settle(3600)
        assert self.invariants.broken == []

    def create(self, kind: Kind, body: Json) -> None:
        with self.world.request():
            whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
            self.world.registry.create(kind, SPACE if kind.namespaced else "", whole, Options(manager="kubectl"))

    def change(self, name: str, **spec: Any) -> None:
        with self.world.request():
            live = self.set(name)
            body = {**live, "spec": {**live["spec"], **spec}}
            self.world.registry.update(STATEFUL_SETS, SPACE, name, body, Options(manager="kubectl"))

    def delete(self, kind: Kind, name: str, policy: str = "Background") -> None:
        with self.world.request():
            space = SPACE if kind.namespaced else ""
            self.world.registry.delete(kind, space, name, {"propagationPolicy": policy}, Options(manager="kubectl"))

    def set(self, name: str) -> Json:
        found = self.world.store.get(STATEFUL_SETS, SPACE, name)
        assert found is not None
        return found

    def names(self, kind: Kind) -> list[str]:
        return [body["metadata"]["name"] for body in self.world.store.list(kind, SPACE if kind.namespaced else None)]


def parts(name: str, replicas: int, image: str = "nginx:1", **spec: Any) -> Iterator[tuple[Kind, Json]]:
    labels = {"app": name}
    ports = [{"name": "web", "port": 80}]
    yield SERVICES, {"metadata": {"name": name}, "spec": {"clusterIP": "None", "selector": labels, "ports": ports}}
    yield BUDGETS, {"metadata": {"name": name}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}}}
    container = {"name": "main", "image": image, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    wanted = {
        "replicas": replicas,
        "serviceName": name,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        "volumeClaimTemplates": [claim],
        **spec,
    }
    yield STATEFUL_SETS, {"metadata": {"name": name}, "spec": wanted}


def assert_complete(shop: Shop, name: str) -> None:
    status, spec = shop.set(name)["status"], shop.set(name)["spec"]
    wanted = spec["replicas"]
    counts = [status.get(key, 0) for key in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")]
    assert counts == [wanted] * 4
    assert status["currentRevision"] == status["updateRevision"]
    endpoints = [
        entry["targetRef"]["name"]
        for body in shop.world.store.list(SLICES, SPACE)
        if body["metadata"]["labels"]["kubernetes.io/service-name"] == name
        for entry in body["endpoints"] or ()
        if entry["conditions"]["ready"]
    ]
    assert sorted(endpoints) == sorted(f"{name}-{ordinal}" for ordinal in range(wanted))
    budget = shop.world.store.get(BUDGETS, SPACE, name)
    assert budget is not None and budget["status"]["currentHealthy"] == wanted


def test_from_the_cradle_to_the_grave() -> None:
    shop = Shop()
    for kind, body in parts("db", 3):
        shop.create(kind, body)
    shop.settle()
    assert_complete(shop, "db")
    assert shop.names(CLAIMS) == ["data-db-0", "data-db-1", "data-db-2"]
    volumes = shop.names(VOLUMES)
    assert len(volumes) == 3
    container = {**shop.set("db")["spec"]["template"]["spec"]["containers"][0], "image": "nginx:2"}
    template = shop.set("db")["spec"]["template"]
    shop.change("db", template={**template, "spec": {**template["spec"], "containers": [container]}})
    shop.settle()
    shop.change("db", replicas=5)
    shop.settle()
    assert_complete(shop, "db")
    assert set(volumes) < set(shop.names(VOLUMES))
    shop.change("db", replicas=1)
    shop.settle()
    assert shop.names(PODS) == ["db-0"]
    shop.delete(STATEFUL_SETS, "db", "Foreground")
    shop.settle()
    assert shop.names(PODS) == []
    assert len(shop.names(CLAIMS)) == 5
    shop.delete(NAMESPACES, SPACE)
    shop.settle()
    assert shop.world.store.get(NAMESPACES, "", SPACE) is None
    assert shop.names(VOLUMES) == []
    shop.world.close()


@pytest.mark.parametrize("seed", range(10))
def test_several_sets_at_random(seed: int) -> None:
    shop, dice = Shop(seed), Random(seed)
    names = ["a", "b", "c"]
    for name in names:
        policy = dice.choice(("OrderedReady", "Parallel"))
        for kind, body in parts(name, dice.randrange(1, 4), podManagementPolicy=policy):
            shop.create(kind, body)
    for _ in range(15):
        shop.world.advance(dice.choice((0.1, 0.5, 2)))
        name = dice.choice(names)
        match dice.randrange(3):
            case 0:
                shop.change(name, replicas=dice.randrange(5))
            case 1:
                template = shop.set(name)["spec"]["template"]
                image = f"nginx:{dice.randrange(5)}"
                containers = [{**template["spec"]["containers"][0], "image": image}]
                shop.change(name, template={**template, "spec": {**template["spec"], "containers": containers}})
            case _:
                pods = shop.names(PODS)
                if pods:
                    shop.delete(PODS, dice.choice(pods))
        assert shop.invariants.broken == []
    shop.settle()
    for name in names:
        assert_complete(shop, name)
    shop.world.close()
