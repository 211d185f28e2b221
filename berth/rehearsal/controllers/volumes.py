"""Which volume belongs to which claim: pure rules of the volume binder, for the controllers of claims and of pods.

Source: k8s.io/component-helpers/storage/volume and kubernetes pkg/controller/volume/persistentvolume.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from functools import lru_cache

from berth.core.errors import InputError
from berth.core.objects import Json
from berth.core.quantities import parse_quantity
from berth.rehearsal.controllers.scheduling import selecting
from berth.rehearsal.controllers.scheduling.selecting import Labels

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
CLASS_BETA = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_CLASS_BETA = "storageclass.beta.kubernetes.io/is-default-class"
#: The provisioner of classes whose volumes somebody makes by hand.
NO_PROVISIONER = "kubernetes.io/no-provisioner"
CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION = "kubernetes.io/pv-protection"


def annotations_of(body: Json) -> dict[str, str]:
    """The annotations of an object; never to be changed."""
    found: dict[str, str] = body["metadata"].get("annotations") or {}
    return found


def annotated(body: Json, **more: str) -> Json:
    """A copy with annotations added; dots, dashes and slashes come in by ``**{...}``."""
    meta = body["metadata"]
    return {**body, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **more}}}


def class_of(body: Json) -> str:
    """The StorageClass that a claim or a volume names; "" for none."""
    return annotations_of(body).get(CLASS_BETA) or str(body["spec"].get("storageClassName") or "")


def states_class(claim: Json) -> bool:
    """Whether the claim says anything of a class, be it that it wants none."""
    return CLASS_BETA in annotations_of(claim) or claim["spec"].get("storageClassName") is not None


def default_class(classes: Iterable[Json]) -> Json | None:
    """The default StorageClass; of several the newest, then the first by name (pkg/volume/util GetDefaultClass)."""
    marked = [
        one
        for one in classes
        if "true" in (annotations_of(one).get(DEFAULT_CLASS), annotations_of(one).get(DEFAULT_CLASS_BETA))
    ]
    marked.sort(key=lambda one: str(one["metadata"]["name"]))
    return max(marked, key=lambda one: str(one["metadata"].get("creationTimestamp", "")), default=None)


def waits_for_consumer(storage_class: Json | None) -> bool:
    """Whether claims of the class wait for a pod."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def fully_bound(claim: Json) -> bool:
    """Whether both sides of the binding are written."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


def bound_to(volume: Json, claim: Json) -> bool:
    """Whether the volume is the claim's, or reserved for it by name."""
    reference = volume["spec"].get("claimRef")
    if reference is None:
        return False
    meta = claim["metadata"]
    if (reference.get("namespace"), reference.get("name")) != (meta["namespace"], meta["name"]):
        return False
    return reference.get("uid") in (None, "", meta["uid"])


def size_of(body: Json) -> Decimal:
    """The size that a volume has, or that a claim asks for."""
    spec = body["spec"]
    written = spec["capacity"] if body["kind"] == "PersistentVolume" else (spec.get("resources") or {}).get("requests")
    return quantity((written or {}).get("storage", "0"))


@lru_cache(maxsize=1024)
def quantity(text: str) -> Decimal:
    """A size; 0 where it cannot be read."""
    try:
        return parse_quantity(text)
    except InputError:
        return Decimal(0)


def same_mode(volume: Json, claim: Json) -> bool:
    """Whether both are file systems, or both raw blocks."""
    mode = volume["spec"].get("volumeMode") or "Filesystem"
    return bool(mode == (claim["spec"].get("volumeMode") or "Filesystem"))


def has_modes(volume: Json, claim: Json) -> bool:
    """Whether the volume offers every access mode that the claim asks for."""
    return set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ())


def reachable(volume: Json, labels: Labels, name: str = "") -> bool:
    """Whether a node with these labels can use the volume: its nodeAffinity, which zonal and local volumes have."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or selecting.node_selector_matches(required, labels, name)


def mismatch(volume: Json, claim: Json) -> str:
    """Why the volume that a claim names cannot be its; "" when it can."""
    if "deletionTimestamp" in volume["metadata"]:
        return f'the volume is marked for deletion "{volume["metadata"]["name"]}"'
    if size_of(volume) < size_of(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if (volume["spec"].get("volumeAttributesClassName") or "") != (
        claim["spec"].get("volumeAttributesClassName") or ""
    ):
        return "volumeAttributesClassName does not match"
    if not same_mode(volume, claim):
        return "incompatible volumeMode"
    if not has_modes(volume, claim):
        return "incompatible accessMode"
    return ""


def best_match(
    claim: Json,
    candidates: Iterable[Json],
    *,
    delayed: bool = False,
    node: tuple[str, Labels] | None = None,
    taken: Collection[str] = (),
) -> Json | None:
    """The volume for a claim: one that is reserved for it, else the smallest that is available and large enough.

    ``delayed`` is the binder's view of a claim that waits for its pod: only a reserved volume counts. With ``node``,
    the scheduler's view, the volume must be usable there, and ``taken`` ones are left out.
    """
    wanted, selector = size_of(claim), claim["spec"].get("selector")
    matcher = selecting.selection(selector).matches if selector is not None else None
    fitting: list[Json] = []
    for volume in candidates:
        meta, reference = volume["metadata"], volume["spec"].get("claimRef")
        if meta["name"] in taken or (reference is not None and not bound_to(volume, claim)):
            continue
        if size_of(volume) < wanted or not same_mode(volume, claim) or "deletionTimestamp" in meta:
            continue
        usable = node is None or reachable(volume, node[1], node[0])
        if reference is not None:
            return volume if usable and (node is not None or has_modes(volume, claim)) else None
        if (delayed and node is None) or not usable or not has_modes(volume, claim):
            continue
        if (volume.get("status") or {}).get("phase") != "Available" or class_of(volume) != class_of(claim):
            continue
        if matcher is None or matcher(meta.get("labels") or {}):
            fitting.append(volume)
    # Fewest access modes first, as the binder searches; then the smallest, then by name.
    return min(
        fitting,
        key=lambda one: (len(set(one["spec"].get("accessModes") or ())), size_of(one), str(one["metadata"]["name"])),
        default=None,
    )


def bound_volume(volume: Json, claim: Json) -> Json:
    """The volume with its half of the binding written; the same object when it is."""
    meta, reference = claim["metadata"], volume["spec"].get("claimRef") or {}
    ours = bound_to(volume, claim)
    full = ("name", "namespace", "uid")
    new = volume
    if any(reference.get(key) != meta[key] for key in full):
        written = {"kind": "PersistentVolumeClaim", "namespace": meta["namespace"], "name": meta["name"]}
        written |= {"uid": meta["uid"], "apiVersion": "v1", "resourceVersion": meta["resourceVersion"]}
        new = {**new, "spec": {**new["spec"], "claimRef": written}}
    if not ours and BOUND_BY_CONTROLLER not in annotations_of(new):
        new = annotated(new, **{BOUND_BY_CONTROLLER: "yes"})
    return new


def bound_claim(claim: Json, volume: Json) -> Json:
    """The claim with its half of the binding written; the same object when it is."""
    name = volume["metadata"]["name"]
    new = claim
    if claim["spec"].get("volumeName") != name:
        new = {**new, "spec": {**new["spec"], "volumeName": name}}
        if BOUND_BY_CONTROLLER not in annotations_of(new):
            new = annotated(new, **{BOUND_BY_CONTROLLER: "yes"})
    if BIND_COMPLETED not in annotations_of(new):
        new = annotated(new, **{BIND_COMPLETED: "yes"})
    return new


def claims_of(pod: Json) -> list[str]:
    """The names of the claims that a pod uses."""
    return [
        one["persistentVolumeClaim"]["claimName"]
        for one in pod["spec"].get("volumes") or []
        if one.get("persistentVolumeClaim")
    ]
