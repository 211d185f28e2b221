"""Claims that ask for more than they have: the volume grows, then the claim says so.

Source: kubernetes pkg/controller/volume/expand (which only tells the claim that somebody else will do it) and
external-resizer. Whether a claim may grow at all is decided when it is changed (admission).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.controllers import volumes
from berth.rehearsal.controllers.provisioner import SOURCE, served
from berth.rehearsal.kinds import CLAIMS, CLASSES, VOLUMES
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

WAITING = "waiting for an external controller to expand this PVC"


class ExpansionController:
    """Grows volumes. Keys are claims."""

    name = "expansion"

    def __init__(self, world: World) -> None:
        """Work on the claims of a world."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._driver = world.client("unknown")
        self._working: set[str] = set()

    def interested(self, change: Change) -> Iterable[Key]:
        """Claims that ask for more than they have."""
        if change.kind is CLAIMS and change.type != "DELETED" and _short(change.object):
            return (change.key,)
        return ()

    def sync(self, key: Key) -> None:
        """Begin to grow the volume of a claim, if its class lets it."""
        claim = self._client.get(CLAIMS, *key)
        if claim is None or not _short(claim) or claim["metadata"]["uid"] in self._working:
            return
        if self._target(claim) is None:
            return
        self._client.event(claim, "Normal", "ExternalExpanding", WAITING, "volume_expand")
        now = self._world.clock.timestamp()
        resizing = {"type": "Resizing", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
        self._driver.update_status(CLAIMS, {**claim, "status": {**claim["status"], "conditions": [resizing]}})
        uid = claim["metadata"]["uid"]
        self._working.add(uid)
        self._world.at(self._world.scenario.storage.expand, lambda: self._grow(key, uid))

    def _target(self, claim: Json) -> Json | None:
        """The volume to grow; None where nobody would."""
        storage_class = self._client.get(CLASSES, "", volumes.class_of(claim))
        if storage_class is None or not storage_class.get("allowVolumeExpansion") or not served(storage_class):
            return None
        volume = self._client.get(VOLUMES, "", claim["spec"].get("volumeName", ""))
        return volume if volume is not None and volumes.PROVISIONED_BY in volumes.annotations_of(volume) else None

    def _grow(self, key: Key, uid: str) -> None:
        self._working.discard(uid)
        claim = self._client.get(CLAIMS, *key)
        if claim is None or claim["metadata"]["uid"] != uid or not _short(claim):
            return
        volume = self._target(claim)
        if volume is None:
            return
        size = claim["spec"]["resources"]["requests"]["storage"]
        if volumes.size_of(volume) < volumes.size_of(claim):
            self._driver.update(VOLUMES, {**volume, "spec": {**volume["spec"], "capacity": {"storage": size}}})
        status = {name: value for name, value in claim["status"].items() if name != "conditions"}
        status["capacity"] = {"storage": size}
        claim = self._driver.update_status(CLAIMS, {**claim, "status": status})
        self._driver.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded", SOURCE)


def _short(claim: Json) -> bool:
    """Whether a bound claim asks for more than its status says it has."""
    status = claim.get("status") or {}
    if status.get("phase") != "Bound" or "deletionTimestamp" in claim["metadata"]:
        return False
    return volumes.size_of(claim) > volumes.quantity((status.get("capacity") or {}).get("storage", "0"))
