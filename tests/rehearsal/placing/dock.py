"""A whole world for the tests of pods' places, of volumes and of nodes, with short ways to make things and to look."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.kinds import CLAIMS, CLASSES, EVENTS, NODES, PODS, VOLUMES, Kind
from berth.rehearsal.scenario import DEFAULT, Scenario
from berth.rehearsal.store import Store
from berth.rehearsal.world import World

#: A Saturday.
START = 1_795_269_600.0


class Dock:
    """Everything is in the namespace `default`."""

    def __init__(self, scenario: Scenario = DEFAULT, store: Store | None = None) -> None:
        self.world = World(store, pace=INSTANT, seed=7, scenario=scenario, start=START, strict=True)
        self.client = self.world.client("test")
        self.world.settle()

    def make(self, kind: Kind, name: str, **parts: Any) -> Json:
        meta = {"name": name, **parts.pop("metadata", {})}
        if kind.namespaced:
            meta["namespace"] = "default"
        return self.client.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **parts})

    def storage_class(self, name: str, **parts: Any) -> Json:
        usual = {"provisioner": "example.com/disk", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}
        return self.make(CLASSES, name, **(usual | parts))

    def claim(self, name: str, size: str = "1Gi", class_name: str | None = None, **spec: Any) -> Json:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
        if class_name is not None:
            spec["storageClassName"] = class_name
        return self.make(CLAIMS, name, spec=spec)

    def volume(self, name: str, size: str = "1Gi", **spec: Any) -> Json:
        usual = {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": size},
            "persistentVolumeReclaimPolicy": "Retain",
            "volumeMode": "Filesystem",
            "hostPath": {"path": f"/tmp/{name}"},
        }
        labels = spec.pop("labels", {})
        return self.make(VOLUMES, name, metadata={"labels": labels} if labels else {}, spec=usual | spec)

    def pod(self, name: str, *claims: str, labels: dict[str, str] | None = None, cpu: str = "", **spec: Any) -> Json:
        container: Json = {"name": "main", "image": "nginx"}
        if cpu:
            container["resources"] = {"requests": {"cpu": cpu}}
        volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
        spec = {"containers": [container], **({"volumes": volumes} if volumes else {}), **spec}
        return self.make(PODS, name, metadata={"labels": labels} if labels else {}, spec=spec)

    def settle(self) -> None:
        self.world.settle()

    def the(self, kind: Kind, name: str) -> Json:
        found = self.client.get(kind, "default" if kind.namespaced else "", name)
        assert found is not None, f"there is no {kind.kind} {name}"
        return found

    def gone(self, kind: Kind, name: str) -> bool:
        return self.client.get(kind, "default" if kind.namespaced else "", name) is None

    def change(self, kind: Kind, name: str, **spec: Any) -> Json:
        body = self.the(kind, name)
        return self.client.update(kind, {**body, "spec": {**body["spec"], **spec}})

    def delete(self, kind: Kind, name: str, **how: Any) -> None:
        self.client.delete(kind, "default" if kind.namespaced else "", name, **how)

    def node_of(self, pod: str) -> str:
        return str(self.the(PODS, pod)["spec"].get("nodeName", ""))

    def phase(self, kind: Kind, name: str) -> str:
        return str(self.the(kind, name)["status"]["phase"])

    def said(self, name: str, source: str = "") -> list[tuple[str, str]]:
        """What was said of an object, in order: reason and message."""
        events = [
            one
            for one in self.client.list(EVENTS)
            if one["involvedObject"]["name"] == name and source in ("", one["reportingComponent"])
        ]
        events.sort(key=lambda one: int(one["metadata"]["resourceVersion"]))
        return [(one["reason"], one["message"]) for one in events]

    def scheduled(self, pod: str) -> Json:
        """The condition that says whether a pod has a node."""
        conditions: list[Json] = self.the(PODS, pod)["status"]["conditions"]
        return next(one for one in conditions if one["type"] == "PodScheduled")

    def taint(self, node: str, key: str, effect: str, **more: Any) -> None:
        old = self.the(NODES, node)["spec"].get("taints") or []
        self.change(NODES, node, taints=[*old, {"key": key, "effect": effect, **more}])
