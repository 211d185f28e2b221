"""Claims and volumes: who is bound to whom, and what becomes of a volume whose claim is gone.

Source: kubernetes pkg/controller/volume/persistentvolume (pv_controller.go), whose periodic second look at everything
is left out: here nothing changes without being noticed. The volumes of claims with a class are made by `provisioner`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.controllers import volumes
from berth.rehearsal.controllers.podstate import is_terminal
from berth.rehearsal.controllers.provisioner import Provisioner
from berth.rehearsal.controllers.reclaim import fate_of
from berth.rehearsal.controllers.storage_view import StorageView
from berth.rehearsal.kinds import CLAIMS, CLASSES, PODS, VOLUMES
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

SOURCE = "persistentvolume-controller"
#: Seconds until every claim is looked at again (--pvclaimbinder-sync-period).
RESYNC = 15.0

#: Drivers that used to be part of Kubernetes, and those that took over (k8s.io/csi-translation-lib).
MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}

NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
FIRST_CONSUMER = "waiting for first consumer to be created before binding"
LOST_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
LOST_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"


def external(provisioner: str) -> str:
    """What a claim is told that somebody else has to make the volume for."""
    return (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )


class ClaimController:
    """Binds claims and volumes. Keys are (namespace, claim) and ("", volume)."""

    name = "claims"

    def __init__(self, world: World) -> None:
        """Work on the claims of a world."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._view = StorageView(world.store)
        self._provisioner = Provisioner(world)
        self._told: dict[str, str] = {}

    def interested(self, change: Change) -> Iterable[Key]:
        """Claims and volumes themselves; each other's; classes for claims that wait; pods for claims that they use."""
        self._view.observe(change)
        if change.kind is PODS:
            if change.type == "ADDED":
                for name in volumes.claims_of(change.object):
                    self._look_again((change.key[0], name))
            return self._provisioner.due_again()
        if change.kind is CLAIMS:
            if change.type == "DELETED":
                self._told.pop(change.object["metadata"]["uid"], None)
            return self._after_claim(change)
        if change.kind is VOLUMES:
            return self._after_volume(change)
        if change.kind is CLASSES and change.type != "DELETED":
            return self._unbound()
        return ()

    def _look_again(self, key: Key) -> None:
        """A claim that a pod has come for, and that is still waiting some time later, says for whom."""
        claim = self._client.get(CLAIMS, *key)
        if claim is not None and not volumes.fully_bound(claim):
            self._world.at(RESYNC, lambda: self._world.enqueue(self, key), recurring=True)

    def _after_claim(self, change: Change) -> Iterator[Key]:
        if change.type != "DELETED":
            yield change.key
        name = change.object["spec"].get("volumeName")
        if name:
            yield "", name
        elif change.type == "DELETED":
            # Its volume may have been made but not bound yet.
            yield "", self._provisioner.volume_name(change.object)

    def _after_volume(self, change: Change) -> Iterator[Key]:
        if change.type != "DELETED":
            yield change.key
        reference = change.object["spec"].get("claimRef")
        if reference:
            yield from _claimed(reference)
        elif change.type != "DELETED" and (change.object.get("status") or {}).get("phase") == "Available":
            yield from self._unbound()

    def _unbound(self) -> list[Key]:
        return [
            (claim["metadata"]["namespace"], claim["metadata"]["name"])
            for claim in self._world.store.list(CLAIMS)
            if not volumes.fully_bound(claim)
        ]

    def sync(self, key: Key) -> None:
        """Bring one claim, or one volume, to what it should be."""
        namespace, name = key
        if namespace:
            claim = self._client.get(CLAIMS, namespace, name)
            if claim is not None:
                self._claim(claim)
            return
        volume = self._client.get(VOLUMES, "", name)
        if volume is not None:
            self._volume(volume)

    def _claim(self, claim: Json) -> None:
        if volumes.BIND_COMPLETED in volumes.annotations_of(claim):
            self._bound_claim(claim)
        elif claim["spec"].get("volumeName"):
            self._claim_of_volume(claim)
        else:
            self._free_claim(claim)

    def _free_claim(self, claim: Json) -> None:
        """A claim that takes any volume that fits, or wants one made."""
        storage_class = self._class(claim)
        delayed = volumes.waits_for_consumer(storage_class)
        volume = volumes.best_match(claim, self._view.unbound(), delayed=delayed)
        if volume is not None:
            self._bind(volume, claim)
            return
        if not volumes.states_class(claim):
            default = volumes.default_class(self._world.store.each(CLASSES))
            if default is not None:
                spec = {**claim["spec"], "storageClassName": default["metadata"]["name"]}
                self._client.update(CLAIMS, {**claim, "spec": spec})
                return
        if delayed and volumes.SELECTED_NODE not in volumes.annotations_of(claim):
            self._wait_for_consumer(claim)
        elif volumes.class_of(claim):
            self._ask_for_volume(claim, storage_class)
            return
        else:
            self._say_once(claim, "Normal", "FailedBinding", NO_CLASS)
        self._pending(claim)

    def _wait_for_consumer(self, claim: Json) -> None:
        meta = claim["metadata"]
        waiting = [
            pod["metadata"]["name"]
            for pod in self._view.users(meta["namespace"], meta["name"])
            if not pod["spec"].get("nodeName") and not is_terminal(pod)
        ]
        if not waiting:
            self._say_once(claim, "Normal", "WaitForFirstConsumer", FIRST_CONSUMER)
            return
        noun = "pods" if len(waiting) > 1 else "pod"
        text = f"waiting for {noun} {','.join(waiting)} to be scheduled"
        self._say_once(claim, "Normal", "WaitForPodScheduled", text)

    def _ask_for_volume(self, claim: Json, storage_class: Json | None) -> None:
        if storage_class is None:
            text = f'storageclass.storage.k8s.io "{volumes.class_of(claim)}" not found'
            self._say_once(claim, "Warning", "ProvisioningFailed", text)
            self._pending(claim)
            return
        written = str(storage_class.get("provisioner", ""))
        provisioner = MIGRATED.get(written, written)
        if provisioner.startswith("kubernetes.io/"):
            text = "no volume plugin matched name: " + provisioner
            self._say_once(claim, "Warning", "ProvisioningFailed", text)
            self._pending(claim)
            return
        claim = self._pending(claim)
        asked = {volumes.PROVISIONER_BETA: provisioner, volumes.PROVISIONER: provisioner}
        if not asked.items() <= volumes.annotations_of(claim).items():
            claim = self._client.update(CLAIMS, volumes.annotated(claim, **asked))
        self._say_once(claim, "Normal", "ExternalProvisioning", external(provisioner))
        self._provisioner.claim_changed(claim, storage_class)

    def _claim_of_volume(self, claim: Json) -> None:
        """A claim that names its volume."""
        name = claim["spec"]["volumeName"]
        volume = self._client.get(VOLUMES, "", name)
        if volume is None:
            self._pending(claim)
            return
        if volumes.bound_to(volume, claim):
            self._bind(volume, claim)
            return
        if volume["spec"].get("claimRef") is not None:
            self._say_once(claim, "Warning", "FailedBinding", f'volume "{name}" already bound to a different claim.')
            self._pending(claim)
            return
        wrong = volumes.mismatch(volume, claim)
        if wrong:
            text = f'Cannot bind to requested volume "{name}": {wrong}'
            self._say_once(claim, "Warning", "VolumeMismatch", text)
            self._pending(claim)
            return
        self._bind(volume, claim)

    def _bound_claim(self, claim: Json) -> None:
        """A claim that was bound once: its volume is there and its own, or it is lost."""
        name = claim["spec"].get("volumeName")
        if not name:
            self._lose(claim, "ClaimLost", LOST_REFERENCE)
            return
        volume = self._client.get(VOLUMES, "", name)
        if volume is None:
            self._lose(claim, "ClaimLost", LOST_VOLUME)
            return
        reference = volume["spec"].get("claimRef")
        if reference is None or reference.get("uid") == claim["metadata"]["uid"]:
            self._bind(volume, claim)
        else:
            self._lose(claim, "ClaimMisbound", MISBOUND)

    def _bind(self, volume: Json, claim: Json) -> None:
        """Write both halves of a binding, the volume's first; a half that is written already stays untouched."""
        new = volumes.bound_volume(volume, claim)
        if new is not volume:
            volume = self._client.update(VOLUMES, new)
        volume = self._phase(volume, "Bound")
        bound = volumes.bound_claim(claim, volume)
        if bound is not claim:
            claim = self._client.update(CLAIMS, bound)
        status = claim.get("status") or {}
        modes = volume["spec"].get("accessModes") or []
        if status.get("phase") == "Bound" and status.get("accessModes") == modes:
            return
        status = {**status, "accessModes": modes}
        if status.get("phase") != "Bound":
            # Later the two may differ: a volume grows before the file system on it.
            status = {**status, "phase": "Bound", "capacity": volume["spec"]["capacity"]}
        self._client.update_status(CLAIMS, {**claim, "status": status})

    def _pending(self, claim: Json) -> Json:
        if claim.get("status") == {"phase": "Pending"}:
            return claim
        return self._client.update_status(CLAIMS, {**claim, "status": {"phase": "Pending"}})

    def _lose(self, claim: Json, reason: str, message: str) -> None:
        if (claim.get("status") or {}).get("phase") != "Lost":
            status = {key: value for key, value in (claim.get("status") or {}).items() if key == "conditions"}
            claim = self._client.update_status(CLAIMS, {**claim, "status": {**status, "phase": "Lost"}})
            self._client.event(claim, "Warning", reason, message, SOURCE)

    def _volume(self, volume: Json) -> None:
        reference = volume["spec"].get("claimRef")
        if reference is None or not reference.get("uid"):
            self._phase(volume, "Available")
            for key in _claimed(reference or {}):
                self._world.enqueue(self, key)
            return
        claim = self._client.get(CLAIMS, reference.get("namespace", ""), reference.get("name", ""))
        if claim is None or claim["metadata"]["uid"] != reference["uid"]:
            self._release(volume)
        elif not claim["spec"].get("volumeName"):
            self._mismatch(volume, claim)
        elif claim["spec"]["volumeName"] == volume["metadata"]["name"]:
            self._phase(volume, "Bound")
        elif volumes.PROVISIONED_BY in volumes.annotations_of(volume) and _policy(volume) == "Delete":
            # Made for this claim, which found another one meanwhile.
            self._release(volume)
        else:
            self._unbind(volume)

    def _mismatch(self, volume: Json, claim: Json) -> None:
        if volumes.same_mode(volume, claim):
            self._world.enqueue(self, (claim["metadata"]["namespace"], claim["metadata"]["name"]))
            return
        tail = "due to incompatible volumeMode."
        name, wanted = volume["metadata"]["name"], claim["metadata"]["name"]
        text = f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{wanted}" {tail}'
        self._say_once(volume, "Warning", "VolumeMismatch", text)
        text = f'Cannot bind PersistentVolume "{name}" to requested PersistentVolumeClaim {tail}'
        self._say_once(claim, "Warning", "VolumeMismatch", text)

    def _release(self, volume: Json) -> None:
        """The claim is gone: keep the volume as it is, or have it deleted, as its policy says."""
        phase = (volume.get("status") or {}).get("phase")
        if phase not in ("Released", "Failed"):
            volume = self._phase(volume, "Released")
        fate = fate_of(volume)
        match fate.action:
            case "external":
                self._provisioner.volume_released(volume)
            case "delete":
                name, uid = volume["metadata"]["name"], volume["metadata"]["uid"]
                if "deletionTimestamp" not in volume["metadata"]:
                    self._client.delete(VOLUMES, "", name, uid=uid)
            case "fail":
                volume = self._phase(volume, "Failed", fate.message)
                self._say_once(volume, "Warning", fate.reason, fate.message)
            case "recycle":
                self._say_once(volume, "Normal", fate.reason, fate.message)
                self._unbind(volume)

    def _unbind(self, volume: Json) -> None:
        """Undo our half of a binding that came to nothing; a user's own reservation stays."""
        notes = volumes.annotations_of(volume)
        spec, meta = dict(volume["spec"]), dict(volume["metadata"])
        if volumes.BOUND_BY_CONTROLLER in notes:
            del spec["claimRef"]
            meta["annotations"] = {key: value for key, value in notes.items() if key != volumes.BOUND_BY_CONTROLLER}
            if not meta["annotations"]:
                del meta["annotations"]
        else:
            spec["claimRef"] = {key: value for key, value in spec["claimRef"].items() if key != "uid"}
        self._phase(self._client.update(VOLUMES, {**volume, "metadata": meta, "spec": spec}), "Available")

    def _phase(self, volume: Json, phase: str, message: str = "") -> Json:
        status = volume.get("status") or {}
        if status.get("phase") == phase:
            return volume
        now = self._world.clock.timestamp()
        status = {"phase": phase, **({"message": message} if message else {}), "lastPhaseTransitionTime": now}
        return self._client.update_status(VOLUMES, {**volume, "status": status})

    def _class(self, claim: Json) -> Json | None:
        name = volumes.class_of(claim)
        return self._client.get(CLASSES, "", name) if name else None

    def _say_once(self, about: Json, severity: str, reason: str, message: str) -> None:
        """Say what holds an object up, but not the same words twice in a row."""
        uid = about["metadata"]["uid"]
        if self._told.get(uid) != message:
            self._told[uid] = message
            self._client.event(about, severity, reason, message, SOURCE)


def _claimed(reference: Json) -> Iterator[Key]:
    """The claim that a reference names, if it names one: the API server takes references that are empty."""
    if reference.get("namespace") and reference.get("name"):
        yield reference["namespace"], reference["name"]


def _policy(volume: Json) -> str:
    return str(volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain")
