"""A small world for the tests of controllers: those named, and nodes that do as the test says.

No scheduler, binder or kubelet of the product takes part, so that each controller is tested by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from berth.core.objects import Json
from berth.rehearsal import controllers
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.jsontree import clone
from berth.rehearsal.kinds import CLAIMS, EVENTS, NAMESPACES, PODS, STATEFUL_SETS, Kind, of
from berth.rehearsal.store import Change, Store
from berth.rehearsal.world import Key, World
from tests.rehearsal.invariants import Invariants

SPACE = "shop"
#: In the order in which they see a change: those that only report come before those that act, as their reports would
#: else be overtaken. In a real cluster all of them see it at once.
MINE = (
    ("endpoints", "EndpointsController"),
    ("budgets", "BudgetController"),
    ("namespaces", "NamespaceController"),
    ("statefulset", "StatefulSetController"),
    ("garbage", "GarbageCollector"),
)


class Nodes:
    """Runs pods a second after they are made, but for those in ``broken``; ends them a second after they are to go."""

    name = "test-nodes"

    def __init__(self, world: World) -> None:
        self.broken: set[str] = set()
        self.held: set[str] = set()
        self.node = "node-1"
        self._world = world
        self._client = world.client("kubelet")
        self._addresses = 0

    def interested(self, change: Change) -> Iterable[Key]:
        if change.kind is PODS:
            keys = [change.key]
            if change.type == "DELETED":
                volumes = change.object["spec"].get("volumes") or ()
                claims = [entry["persistentVolumeClaim"] for entry in volumes if "persistentVolumeClaim" in entry]
                keys += [(f"claim {change.key[0]}", claim["claimName"]) for claim in claims]
            return keys
        return ((f"claim {change.key[0]}", change.key[1]),) if change.kind is CLAIMS else ()

    def sync(self, key: Key) -> None:
        if key[0].startswith("claim "):
            self._release(key[0].removeprefix("claim "), key[1])
            return
        pod = self._client.get(PODS, *key)
        if pod is None:
            return
        uid = pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            if pod["metadata"]["name"] not in self.held:
                self._world.at(1, lambda: self._end(key, uid))
        elif (pod.get("status") or {}).get("phase", "Pending") == "Pending" and not pod["spec"].get("nodeName"):
            self._client.update(PODS, {**pod, "spec": {**pod["spec"], "nodeName": self.node}})
            self._world.at(1, lambda: self._run(key, uid))

    def _release(self, namespace: str, name: str) -> None:
        claim = self._client.get(CLAIMS, namespace, name)
        if claim is None or "deletionTimestamp" not in claim["metadata"]:
            return
        for pod in self._client.list(PODS, namespace):
            for volume in pod["spec"].get("volumes") or ():
                if (volume.get("persistentVolumeClaim") or {}).get("claimName") == name:
                    return
        kept = [entry for entry in claim["metadata"].get("finalizers") or () if entry != "kubernetes.io/pvc-protection"]
        if kept != claim["metadata"].get("finalizers"):
            self._client.update(CLAIMS, {**claim, "metadata": {**claim["metadata"], "finalizers": kept}})

    def _run(self, key: Key, uid: str) -> None:
        pod = self._client.get(PODS, *key)
        if pod is None or pod["metadata"]["uid"] != uid or "deletionTimestamp" in pod["metadata"]:
            return
        image = pod["spec"]["containers"][0]["image"]
        self.set_ready(key[1], key[1] not in self.broken and not image.endswith(":broken"), namespace=key[0])

    def set_ready(self, name: str, ready: bool, phase: str = "Running", namespace: str = SPACE) -> None:
        """Say of a pod that it is in this phase, and ready or not."""
        pod = self._client.get(PODS, namespace, name)
        assert pod is not None
        self._addresses += 1
        address = (pod.get("status") or {}).get("podIP") or f"10.0.{self._addresses // 250}.{self._addresses % 250}"
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": self._world.clock.timestamp()}
        status = {"phase": phase, "conditions": [condition], "podIP": address, "podIPs": [{"ip": address}]}
        self._client.update_status(PODS, {**pod, "status": status})

    def _end(self, key: Key, uid: str) -> None:
        pod = self._client.get(PODS, *key)
        if pod is not None and pod["metadata"]["uid"] == uid:
            self._client.delete(PODS, *key, grace=0)


class Quay:
    """The world with a namespace of its own, and what tests say to it."""

    def __init__(self, path: Path | None = None) -> None:
        with patch.object(controllers, "CONTROLLERS", MINE):
            self.world = World(Store(path), pace=INSTANT, seed=1, start=1_800_000_000.0, strict=True)
        self.nodes = Nodes(self.world)
        self.world.controllers = (*self.world.controllers, self.nodes)
        for pod in self.world.store.list(PODS):
            self.world.enqueue(self.nodes, (pod["metadata"]["namespace"], pod["metadata"]["name"]))
        self.client = self.world.client("tests")
        self.invariants = Invariants(self.world)
        if self.find(NAMESPACES, SPACE) is None:
            body: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
            body |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
            self.client.create(NAMESPACES, body)
        self.settle()

    def settle(self, seconds: float = 3600.0) -> None:
        """Let everything happen that is to happen, and hold the invariants against it."""
        self.world.settle(seconds)
        assert self.invariants.broken == []

    def make(self, body: Json) -> Json:
        """Create an object."""
        kind = of(body)
        assert kind is not None
        with self.world.request():
            return self.client.create(kind, clone(body))

    def get(self, kind: Kind, name: str) -> Json:
        """An object that is there."""
        found = self.find(kind, name)
        assert found is not None, f"no {kind.kind} {name}"
        return found

    def find(self, kind: Kind, name: str) -> Json | None:
        """An object, if it is there."""
        return self.client.get(kind, SPACE if kind.namespaced else "", name)

    def change(self, kind: Kind, name: str, **fields: Any) -> Json:
        """Change fields of a spec (``replicas=3``, ``updateStrategy={...}``)."""
        body = self.get(kind, name)
        with self.world.request():
            return self.client.update(kind, {**body, "spec": {**body["spec"], **fields}})

    def update(self, kind: Kind, body: Json) -> Json:
        """Replace an object."""
        with self.world.request():
            return self.client.update(kind, body)

    def delete(self, kind: Kind, name: str, propagation: str = "Background", grace: int | None = None) -> None:
        """Delete an object."""
        with self.world.request():
            self.client.delete(kind, SPACE if kind.namespaced else "", name, propagation, grace=grace)

    def scale(self, replicas: int, name: str = "web") -> None:
        """Scale a set."""
        self.change(STATEFUL_SETS, name, replicas=replicas)

    def image(self, image: str, name: str = "web") -> None:
        """Give the set's template another image."""
        template = clone(self.get(STATEFUL_SETS, name)["spec"]["template"])
        template["spec"]["containers"][0]["image"] = image
        self.change(STATEFUL_SETS, name, template=template)

    def pods(self) -> list[str]:
        """The names of the pods that are there."""
        return [pod["metadata"]["name"] for pod in self.client.list(PODS, SPACE)]

    def images(self) -> dict[str, str]:
        """The image of each pod, without the part before the colon."""
        found = self.client.list(PODS, SPACE)
        images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in found}
        return {name: image.rpartition(":")[2] for name, image in images.items()}

    def claims(self) -> list[str]:
        """The names of the claims that are there."""
        return [claim["metadata"]["name"] for claim in self.client.list(CLAIMS, SPACE)]

    def status(self, name: str = "web") -> Json:
        """A set's status."""
        found: Json = self.get(STATEFUL_SETS, name)["status"]
        return found

    def counts(self, name: str = "web") -> tuple[int, int, int, int, int]:
        """A set's replicas, ready, available, current and updated ones."""
        keys = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")
        status = self.status(name)
        first, second, third, fourth, fifth = (int(status.get(key, 0)) for key in keys)
        return first, second, third, fourth, fifth

    def events(self, about: str | None = None) -> list[tuple[str, str]]:
        """Reasons and messages of the events, in the order in which they first came."""
        found = sorted(self.client.list(EVENTS, SPACE), key=lambda body: int(body["metadata"]["resourceVersion"]))
        return [
            (body["reason"], body["message"])
            for body in found
            if about is None or body["involvedObject"]["name"] == about
        ]

    def log(self) -> Log:
        """Begin to write down what happens to pods."""
        return Log(self.world)


class Log:
    """Creations and deletions of pods, in order: "+web-0", "~web-0" (is to go), "-web-0"."""

    def __init__(self, world: World) -> None:
        self.entries: list[str] = []
        world.store.listeners.append(self._note)

    def _note(self, change: Change) -> None:
        if change.kind is not PODS:
            return
        name = change.key[1]
        if change.type == "ADDED":
            self.entries.append(f"+{name}")
        elif change.type == "DELETED":
            self.entries.append(f"-{name}")
        elif change.old is not None and "deletionTimestamp" not in change.old["metadata"]:
            if "deletionTimestamp" in change.object["metadata"]:
                self.entries.append(f"~{name}")


def web(replicas: int = 3, image: str = "nginx:1", *, claims: bool = True, **spec: Any) -> Json:
    """A StatefulSet as the API server would have stored it."""
    container = {"name": "nginx", "image": image, "ports": [{"containerPort": 80, "name": "web", "protocol": "TCP"}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    claim: Mapping[str, Any] = {
        "metadata": {"name": "www", "labels": {"tier": "data"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": SPACE, "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "serviceName": "nginx",
            "selector": {"matchLabels": {"app": "web"}},
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
            "template": template,
            **({"volumeClaimTemplates": [claim]} if claims else {}),
            **spec,
        },
    }
