"""The one who makes volumes, and deletes those that are released: a cluster's storage driver, simulated.

It does what external-provisioner does, with volumes as the local control plane's stand-in makes them. A class whose
provisioner's name contains the word `never`, or that is annotated `berth.dev/never`, is served by nobody: its claims
stay Pending as on a cluster where the driver is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal import scenarioclock
from berth.rehearsal.controllers import volumes
from berth.rehearsal.kinds import CLAIMS, CLASSES, NODES, VOLUMES
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.scenario import NEVER

if TYPE_CHECKING:
    from berth.rehearsal.world import World

SOURCE = "berth-provisioner"
NEVER_SERVED = "berth.dev/never"

#: What a claim's own file system is on; nothing is ever written there.
_PATH = "/var/lib/berth-simulated/"
_ZONE = "topology.kubernetes.io/zone"


class Provisioner:
    """Makes volumes some time after they were asked for, as long as somebody still wants them then."""

    def __init__(self, world: World) -> None:
        """Nothing is being made yet."""
        self._world = world
        # As the API server calls a client that does not say who it is.
        self._client = world.client("unknown")
        self._working: set[str] = set()
        #: Claims that the scenario left without a volume before its times counted.
        self._early: dict[tuple[str, str], None] = {}

    def due_again(self) -> list[tuple[str, str]]:
        """The claims to look at again because the scenario has begun since."""
        if not self._early or not scenarioclock.has_begun(self._world):
            return []
        keys = list(self._early)
        self._early.clear()
        return keys

    def volume_name(self, claim: Json) -> str:
        """The name of the volume that is made for a claim."""
        return f"pvc-{claim['metadata']['uid']}"

    def claim_changed(self, claim: Json, storage_class: Json) -> None:
        """A claim asks for a volume; nothing happens where nobody serves the class."""
        uid = claim["metadata"]["uid"]
        if uid in self._working or not _due(claim, storage_class):
            return
        name = volumes.class_of(claim)
        if claim["spec"].get("selector"):
            self._refuse(claim, name, "claim Selector is not supported")
            return
        rule = self._world.scenario.claim_rule(claim, self._elapsed())
        delay = self._world.scenario.storage.provision if rule is None or rule.bind is None else rule.bind
        if delay == NEVER:
            if rule is not None and rule.message:
                self._refuse(claim, name, rule.message)
            self._again_when_rules_end(claim)
            return
        self._working.add(uid)
        key = claim["metadata"]["namespace"], claim["metadata"]["name"]
        self._world.at(delay, lambda: self._make(key, uid))

    def _refuse(self, claim: Json, class_name: str, why: str) -> None:
        text = f'failed to provision volume with StorageClass "{class_name}": {why}'
        self._client.event(claim, "Warning", "ProvisioningFailed", text, SOURCE)

    def _again_when_rules_end(self, claim: Json) -> None:
        """A claim that the scenario leaves without a volume may get one when the rule is over."""
        if not scenarioclock.has_begun(self._world):
            self._early[claim["metadata"]["namespace"], claim["metadata"]["name"]] = None
            return
        elapsed = self._elapsed()
        later = [border for border in self._world.scenario.borders() if border > elapsed]
        if later:
            key = claim["metadata"]["namespace"], claim["metadata"]["name"]
            self._working.add(claim["metadata"]["uid"])
            self._world.at(later[0] - elapsed, lambda: self._look_again(key, claim["metadata"]["uid"]))

    def _look_again(self, key: tuple[str, str], uid: str) -> None:
        self._working.discard(uid)
        claim = self._client.get(CLAIMS, *key)
        storage_class = self._client.get(CLASSES, "", volumes.class_of(claim)) if claim else None
        if claim is not None and storage_class is not None:
            self.claim_changed(claim, storage_class)

    def _elapsed(self) -> float:
        return scenarioclock.elapsed(self._world)

    def _make(self, key: tuple[str, str], uid: str) -> None:
        self._working.discard(uid)
        claim = self._client.get(CLAIMS, *key)
        if claim is None or claim["metadata"]["uid"] != uid:
            return
        storage_class = self._client.get(CLASSES, "", volumes.class_of(claim))
        name = self.volume_name(claim)
        if storage_class is None or not _due(claim, storage_class) or self._client.get(VOLUMES, "", name):
            return
        chosen = volumes.annotations_of(claim).get(volumes.SELECTED_NODE)
        node = self._client.get(NODES, "", chosen) if chosen else None
        self._client.create(VOLUMES, _volume(name, claim, storage_class, node))
        text = f"Successfully provisioned volume {name}"
        self._client.event(claim, "Normal", "ProvisioningSucceeded", text, SOURCE)

    def volume_released(self, volume: Json) -> None:
        """Delete a volume that one of us has made; a hand-made one is for whoever made it to delete."""
        meta = volume["metadata"]
        if volumes.PROVISIONED_BY in volumes.annotations_of(volume) and "deletionTimestamp" not in meta:
            name, uid = meta["name"], meta["uid"]
            self._world.at(self._world.scenario.storage.provision, lambda: self._delete(name, uid))

    def _delete(self, name: str, uid: str) -> None:
        volume = self._client.get(VOLUMES, "", name)
        if volume is None or volume["metadata"]["uid"] != uid or "deletionTimestamp" in volume["metadata"]:
            return
        if (volume.get("status") or {}).get("phase") != "Released":
            return
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            try:
                self._client.delete(VOLUMES, "", name, uid=uid)
            except ApiError as error:
                if error.code != 404:
                    raise


def served(storage_class: Json) -> bool:
    """Whether anybody makes volumes for the class."""
    name = storage_class.get("provisioner", "")
    marked = volumes.annotations_of(storage_class).get(NEVER_SERVED) in ("", "true")
    return name != volumes.NO_PROVISIONER and "never" not in name and not marked


def _due(claim: Json, storage_class: Json) -> bool:
    """Whether the binder has handed the claim over; one that waits for a pod also needs the scheduler's node."""
    notes = volumes.annotations_of(claim)
    if claim["spec"].get("volumeName") or "deletionTimestamp" in claim["metadata"] or not served(storage_class):
        return False
    if volumes.PROVISIONER not in notes and volumes.PROVISIONER_BETA not in notes:
        return False
    return not volumes.waits_for_consumer(storage_class) or bool(notes.get(volumes.SELECTED_NODE))


def _volume(name: str, claim: Json, storage_class: Json, node: Json | None) -> Json:
    meta, spec, notes = claim["metadata"], claim["spec"], volumes.annotations_of(claim)
    made_by = notes.get(volumes.PROVISIONER) or notes[volumes.PROVISIONER_BETA]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta["namespace"]}
    reference |= {"name": meta["name"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    body: Json = {
        "accessModes": spec["accessModes"],
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        "claimRef": reference,
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
        "storageClassName": storage_class["metadata"]["name"],
        "volumeMode": spec.get("volumeMode", "Filesystem"),
        "hostPath": {"path": _PATH + name, "type": "DirectoryOrCreate"},
    }
    if storage_class.get("mountOptions"):
        body["mountOptions"] = storage_class["mountOptions"]
    zone = _zone(storage_class, node)
    if zone:
        expression = {"key": _ZONE, "operator": "In", "values": [zone]}
        body["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {volumes.PROVISIONED_BY: made_by}},
        "spec": body,
    }


def _zone(storage_class: Json, node: Json | None) -> str:
    """The zone that a volume of a zonal class lives in: its node's, or the first that the class allows."""
    allowed = [
        value
        for term in storage_class.get("allowedTopologies") or ()
        for one in term.get("matchLabelExpressions") or ()
        if one["key"] == _ZONE
        for value in one.get("values") or ()
    ]
    if not allowed:
        return ""
    here = ((node or {}).get("metadata", {}).get("labels") or {}).get(_ZONE, "")
    return here if here in allowed else str(allowed[0])
