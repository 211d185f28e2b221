"""What shall become of claims and volumes: pure decisions, the effects are in `provisioner`.

The rules are those of the CSI sidecars: external-provisioner (create for a claim that the volume binder has handed
over, delete what is Released under the policy Delete) and external-resizer (grow the volume, then the claim's status).
"""

from __future__ import annotations

from typing import Any

from berth.core.quantities import parse_quantity

Object = dict[str, Any]

PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
CLASS_BETA = "volume.beta.kubernetes.io/storage-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"

#: A StorageClass with this annotation, or whose provisioner's name contains the word `never`, is never served: its
#: claims stay Pending as they do on a cluster where the class's driver is not installed.
NEVER = "berth.dev/never"


def class_name(claim: Object) -> str:
    """The name of the claim's StorageClass; empty for none."""
    annotations = claim["metadata"].get("annotations") or {}
    return str(annotations.get(CLASS_BETA) or claim["spec"].get("storageClassName") or "")


def volume_name(claim: Object) -> str:
    """The name of the volume that is made for the claim."""
    return f"pvc-{claim['metadata']['uid']}"


def served(storage_class: Object) -> bool:
    """Whether volumes are made for the class at all."""
    name = storage_class.get("provisioner", "")
    annotations = storage_class["metadata"].get("annotations") or {}
    return name != NO_PROVISIONER and "never" not in name and annotations.get(NEVER) not in ("", "true")


def refusal(claim: Object) -> str:
    """Why the claim cannot be provisioned although it is our turn; empty when it can."""
    if claim["spec"].get("selector"):
        return "claim Selector is not supported"
    return ""


def due(claim: Object, storage_class: Object | None) -> bool:
    """Whether it is our turn to make a volume for the claim.

    The volume binder says so with an annotation; with WaitForFirstConsumer it does that only once the scheduler has
    chosen a node, which is checked again here as external-provisioner does.
    """
    metadata = claim["metadata"]
    annotations = metadata.get("annotations") or {}
    asked = annotations.get(PROVISIONER) or annotations.get(PROVISIONER_BETA)
    if storage_class is None or claim["spec"].get("volumeName") or metadata.get("deletionTimestamp"):
        return False
    if asked is None or not served(storage_class):
        return False
    waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    return not waits or bool(annotations.get(SELECTED_NODE))


def volume_for(claim: Object, storage_class: Object) -> Object:
    """The PersistentVolume for a claim that is due."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = volume_name(claim)
    annotations = metadata["annotations"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: annotations.get(PROVISIONER) or annotations[PROVISIONER_BETA]},
        },
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "mountOptions": storage_class.get("mountOptions") or [],
            # A source that no controller wants to attach, format or check. Nothing is ever written there.
            "hostPath": {"path": f"/var/lib/berth-simulated/{name}", "type": "DirectoryOrCreate"},
        },
    }


def growth(claim: Object, volume: Object | None, storage_class: Object | None) -> str:
    """The size that a bound claim shall grow to; empty when it has it, or its class does not grow."""
    bound = claim.get("status", {}).get("phase") == "Bound"
    if not bound or volume is None or claim["metadata"].get("deletionTimestamp"):
        return ""
    if storage_class is None or not storage_class.get("allowVolumeExpansion") or not served(storage_class):
        return ""
    wanted = str(claim["spec"]["resources"]["requests"]["storage"])
    has = str(claim["status"].get("capacity", {}).get("storage", "0"))
    return wanted if parse_quantity(wanted) > parse_quantity(has) else ""


def removable(volume: Object) -> bool:
    """Whether the volume is to be deleted: Released, policy Delete, and made by a provisioner."""
    metadata = volume["metadata"]
    return (
        volume.get("status", {}).get("phase") == "Released"
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        and PROVISIONED_BY in (metadata.get("annotations") or {})
        and not metadata.get("deletionTimestamp")
    )
