"""What is true of StatefulSets after every single write, whatever is done to them.

Attach ``Invariants(world)`` before anything happens; ``broken`` collects what was violated.
"""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.kinds import CLAIMS, PODS, STATEFUL_SETS
from berth.rehearsal.store import Change
from berth.rehearsal.world import World

#: What a claim is: none of it may change while it lives.
_IDENTITY = ("accessModes", "storageClassName", "volumeMode", "dataSource", "selector")


class Invariants:
    """Watches every write of a world."""

    def __init__(self, world: World) -> None:
        self.broken: list[str] = []
        self._world = world
        world.store.listeners.append(self._check)

    def _check(self, change: Change) -> None:
        if change.kind is PODS:
            self._check_pod(change)
        elif change.kind is CLAIMS and change.type == "MODIFIED" and change.old is not None:
            self._check_claim(change.old, change.object)

    def _check_pod(self, change: Change) -> None:
        set_ = self._set_of(change.object)
        if set_ is None:
            return
        pod, name = change.object, change.object["metadata"]["name"]
        if change.type == "ADDED":
            self._check_monotonic(set_, pod)
            self._check_claims_exist(set_, pod)
        ordinals: dict[int, str] = {}
        for other in self._pods_of(set_):
            ordinal = int(other["metadata"]["name"].rpartition("-")[2])
            if ordinal in ordinals:
                self.broken.append(f"{name}: two pods of ordinal {ordinal}")
            ordinals[ordinal] = other["metadata"]["name"]
        if change.old is not None and change.type == "MODIFIED":
            for key in ("hostname", "subdomain"):
                if change.old["spec"].get(key) != pod["spec"].get(key):
                    self.broken.append(f"{name}: its {key} changed")
            if change.old["metadata"]["uid"] != pod["metadata"]["uid"]:
                self.broken.append(f"{name}: its UID changed")

    def _check_monotonic(self, set_: Json, pod: Json) -> None:
        """Under OrderedReady a pod is made only when all before it are there, run and are ready."""
        if set_["spec"].get("podManagementPolicy") == "Parallel":
            return
        name = pod["metadata"]["name"]
        start = (set_["spec"].get("ordinals") or {}).get("start", 0)
        there = {other["metadata"]["name"]: other for other in self._pods_of(set_)}
        for ordinal in range(start, int(name.rpartition("-")[2])):
            before = there.get(f"{set_['metadata']['name']}-{ordinal}")
            if before is None or not _runs_and_is_ready(before):
                self.broken.append(f"{name}: made although {set_['metadata']['name']}-{ordinal} is not ready")

    def _check_claims_exist(self, set_: Json, pod: Json) -> None:
        for volume in pod["spec"].get("volumes") or ():
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim and self._world.store.get(CLAIMS, pod["metadata"]["namespace"], claim) is None:
                self.broken.append(f"{pod['metadata']['name']}: made before its claim {claim}")

    def _check_claim(self, old: Json, new: Json) -> None:
        name = new["metadata"]["name"]
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self.broken.append(f"claim {name}: its UID changed")
        for key in _IDENTITY:
            if old["spec"].get(key) not in (None, new["spec"].get(key)):
                self.broken.append(f"claim {name}: its {key} changed")
        if old["spec"].get("volumeName") and old["spec"]["volumeName"] != new["spec"].get("volumeName"):
            self.broken.append(f"claim {name}: its volume changed")

    def _set_of(self, pod: Json) -> Json | None:
        for reference in pod["metadata"].get("ownerReferences") or ():
            if reference.get("controller") and reference["kind"] == "StatefulSet":
                set_ = self._world.store.get(STATEFUL_SETS, pod["metadata"]["namespace"], reference["name"])
                if set_ is not None and set_["metadata"]["uid"] == reference["uid"]:
                    return set_
        return None

    def _pods_of(self, set_: Json) -> list[Json]:
        uid = set_["metadata"]["uid"]
        found = self._world.store.list(PODS, set_["metadata"]["namespace"])
        return [
            pod
            for pod in found
            if any(ref["uid"] == uid and ref.get("controller") for ref in pod["metadata"].get("ownerReferences") or ())
        ]


def _runs_and_is_ready(pod: Json) -> bool:
    status = pod.get("status") or {}
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
    return status.get("phase") == "Running" and conditions.get("Ready") == "True"
