"""A whole rehearsal in this process, for the tests of what scenarios, kubelets and evictions do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.jsontree import clone, dig
from berth.rehearsal.kinds import BUDGETS, EVENTS, PODS, STATEFUL_SETS
from berth.rehearsal.scenariofile import load
from berth.rehearsal.store import Change, Store
from berth.rehearsal.world import World

SPACE = "default"
START = 1_800_000_000.0


class Stage:
    """A world under a scenario, given as its YAML without the name, and what tests say to it."""

    def __init__(self, scenario: str = "", store: Store | None = None, start: float = START) -> None:
        self.scenario = load(f"name: test\n{scenario}", "test.yaml")
        self.world = World(store, pace=INSTANT, seed=1, start=start, scenario=self.scenario, strict=True)
        self.client = self.world.client("tests")
        self.writes = 0
        self.world.store.listeners.append(self._count)
        self.settle()

    def _count(self, change: Change) -> None:
        self.writes += 1

    def settle(self) -> None:
        self.world.settle()

    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)

    @property
    def now(self) -> float:
        """Virtual seconds since the stage was set."""
        return self.world.clock.now() - START

    def add_pod(self, name: str, node: str = "berth-node-1", **spec: Any) -> Json:
        """A pod on a node, made past the scheduler; ``annotations`` and ``labels`` go to its metadata."""
        meta: Json = {"name": name, "namespace": SPACE}
        for key in ("annotations", "labels", "finalizers"):
            if key in spec:
                meta[key] = spec.pop(key)
        body: Json = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "nodeName": node}
        body["containers"] = [container("web")]
        with self.world.request():
            return self.client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body | spec})

    def add_set(self, name: str = "web", replicas: int = 3, image: str = "nginx:1.27", **spec: Any) -> None:
        """A StatefulSet without claims."""
        labels = {"app": name}
        template: Json = {"metadata": {"labels": labels}, "spec": {"containers": [container("web", image)]}}
        template["spec"] |= {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30}
        body: Json = {"serviceName": name, "replicas": replicas, "selector": {"matchLabels": labels}}
        body |= {"podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10, "template": template}
        body |= {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
        meta = {"name": name, "namespace": SPACE}
        with self.world.request():
            made: Json = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": body | spec}
            self.client.create(STATEFUL_SETS, made)

    def add_budget(self, name: str, selector: Mapping[str, str], **spec: Any) -> None:
        meta = {"name": name, "namespace": SPACE}
        body: Json = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta}
        with self.world.request():
            self.client.create(BUDGETS, body | {"spec": {"selector": {"matchLabels": dict(selector)}, **spec}})

    def budget(self, name: str) -> Json:
        found = self.world.store.get(BUDGETS, SPACE, name)
        assert found is not None
        return found

    def upgrade(self, image: str, name: str = "web") -> None:
        body = clone(self.world.store.get(STATEFUL_SETS, SPACE, name))
        body["spec"]["template"]["spec"]["containers"][0]["image"] = image
        with self.world.request():
            self.client.update(STATEFUL_SETS, body)

    def annotate(self, pod: str, **annotations: str | None) -> None:
        """Set annotations of berth.dev (``fault="crash"``), or take them away."""
        body = clone(self.pod(pod))
        known = body["metadata"].setdefault("annotations", {})
        for key, value in annotations.items():
            known.pop(f"berth.dev/{key}", None)
            if value is not None:
                known[f"berth.dev/{key}"] = value
        with self.world.request():
            self.client.update(PODS, body)

    def delete(self, pod: str, grace: int | None = None) -> None:
        with self.world.request():
            self.client.delete(PODS, SPACE, pod, grace=grace)

    def pod(self, name: str) -> Json:
        found = self.world.store.get(PODS, SPACE, name)
        assert found is not None, f"there is no pod {name}"
        return found

    def exists(self, name: str) -> bool:
        return self.world.store.get(PODS, SPACE, name) is not None

    def state(self, pod: str, index: int = 0, kind: str = "containerStatuses") -> str:
        """What a container does: running, or why it does not."""
        [(name, state)] = self.pod(pod)["status"][kind][index]["state"].items()
        return str(state.get("reason", name))

    def entry(self, pod: str, index: int = 0) -> Json:
        found: Json = self.pod(pod)["status"]["containerStatuses"][index]
        return found

    def condition(self, pod: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        found = next(one for one in self.pod(pod)["status"]["conditions"] if one["type"] == kind)
        return found["status"], found.get("reason", ""), found.get("message", "")

    def ready(self, pod: str) -> bool:
        return (
            self.exists(pod)
            and bool(dig(self.pod(pod), "status", "conditions"))
            and (self.condition(pod, "Ready")[0] == "True")
        )

    def events(self, about: str, *reasons: str) -> list[tuple[str, str]]:
        """Reason and message of the Events about an object, in the order in which they first came."""
        found = [one for one in self.world.store.list(EVENTS) if one["involvedObject"]["name"] == about]
        found.sort(key=lambda one: int(one["metadata"]["resourceVersion"]))
        return [(one["reason"], one["message"]) for one in found if not reasons or one["reason"] in reasons]

    def count(self, about: str, reason: str) -> int:
        """How often Events of a reason came."""
        found = [one for one in self.world.store.list(EVENTS) if one["involvedObject"]["name"] == about]
        return sum(one["count"] for one in found if one["reason"] == reason)


def container(name: str, image: str = "nginx:1.27", **more: Any) -> Json:
    return {"name": name, "image": image, "imagePullPolicy": "IfNotPresent"} | more
