"""Claims that do not bind, and volumes that do not reach their pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from berth.core.diagnosis.model import Cause, Scene, Weight, held_by, latest
from berth.core.objects import Json, claim_name, dig

#: Where a volume can be, by the labels of nodes, and what that is called.
_PLACES = {
    "topology.kubernetes.io/zone": "zone",
    "failure-domain.beta.kubernetes.io/zone": "zone",
    "topology.kubernetes.io/region": "region",
    "kubernetes.io/hostname": "node",
}
#: The name that stands for "volumes of this class are made by hand".
_BY_HAND = "kubernetes.io/no-provisioner"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a volume can be reached from."""

    kind: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {' or '.join(self.values)}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes, where the place is a node."""
        return self.values if self.kind == "node" else ()


def place_of(volume: Json | None) -> Place | None:
    """Where a volume is bound to, by its node affinity; None where it can be reached from everywhere."""
    terms = dig(volume, "spec", "nodeAffinity", "required", "nodeSelectorTerms", default=[])
    for term in terms:
        for rule in term.get("matchExpressions") or []:
            if rule.get("operator") == "In" and rule.get("values"):
                # Other keys are those of drivers: topology.ebs.csi.aws.com/zone.
                kind = _PLACES.get(rule["key"], rule["key"].rpartition("/")[2])
                return Place(kind, tuple(rule["values"]))
    return None


def claim_names(statefulset: Json, ordinal: int) -> list[str]:
    """The names of the claims of an ordinal."""
    templates = statefulset["spec"].get("volumeClaimTemplates") or []
    return [claim_name(t["metadata"]["name"], statefulset["metadata"]["name"], ordinal) for t in templates]


def pod_claims(statefulset: Json, ordinal: int, scene: Scene) -> list[Json]:
    """The claims of an ordinal that exist."""
    return [scene.claims[name] for name in claim_names(statefulset, ordinal) if name in scene.claims]


def terminating_claim(claim: Json, scene: Scene) -> Cause:
    """A claim that is being deleted, and what holds it: a pod that uses it, a finalizer of somebody's."""
    name = claim["metadata"]["name"]
    users = [
        pod["metadata"]["name"]
        for pod in scene.pods
        for volume in dig(pod, "spec", "volumes", default=[]) or []
        if dig(volume, "persistentVolumeClaim", "claimName") == name
    ]
    held = held_by(claim, besides=("kubernetes.io/pvc-protection",))
    said = f"claim {name} is being deleted"
    if users:
        said += f", once pod {', '.join(users)} no longer uses it"
    if held:
        return Cause(Weight.SUSPECT, "ClaimTerminating", f"{said}, held by {held}", "remove what the finalizer is for")
    return Cause(Weight.SUSPECT, "ClaimTerminating", said, "it goes when no pod uses it")


def of_claims(statefulset: Json, ordinal: int, scene: Scene) -> Cause | None:
    """Why a claim of an ordinal cannot be used."""
    for claim in pod_claims(statefulset, ordinal, scene):
        name = claim["metadata"]["name"]
        if dig(claim, "metadata", "deletionTimestamp"):
            return terminating_claim(claim, scene)
        phase = dig(claim, "status", "phase", default="Pending")
        if phase == "Lost":
            hint = "restore the volume, or delete the claim if its data is not needed"
            return Cause(Weight.TERMINAL, "ClaimLost", f"claim {name} has lost its volume", hint)
        if phase == "Pending":
            cause = _pending_claim(name, claim, scene)
            if cause:
                return cause
    return None


def _pending_claim(name: str, claim: Json, scene: Scene) -> Cause | None:
    class_name = dig(claim, "spec", "storageClassName")
    if class_name == "":
        hint = "make a volume that fits it, or name a class"
        return Cause(Weight.SUSPECT, "NoVolume", f"claim {name} wants a volume made by hand, and none fits", hint)
    if class_name is None:
        hint = "name a class with --set storage.className=..., or make one the default"
        return Cause(Weight.SUSPECT, "NoClass", f"claim {name} has no class, and there is no default", hint)
    if scene.classes is not None and class_name not in scene.classes:
        hint = f"create the class, or choose one of: {', '.join(sorted(scene.classes)) or 'none exist'}"
        return Cause(Weight.SUSPECT, "NoClass", f"claim {name} asks for class {class_name}, which does not exist", hint)
    storage_class: Mapping[str, str] = (scene.classes or {}).get(class_name, {})
    provisioner = storage_class.get("provisioner", "?")
    if provisioner == _BY_HAND and storage_class.get("volumeBindingMode") != "WaitForFirstConsumer":
        said = f"claim {name} waits for a volume: class {class_name} makes none by itself ({_BY_HAND})"
        return Cause(Weight.SUSPECT, "NoVolume", said, f"make a volume of class {class_name} that fits the claim")
    failed = latest(scene.events, claim, ("ProvisioningFailed", "FailedBinding"))
    if failed:
        hint = f"look at the provisioner of class {class_name}"
        return Cause(Weight.SUSPECT, "Provisioning", f"claim {name} is not provisioned: {failed.get('message')}", hint)
    if latest(scene.events, claim, ("ExternalProvisioning",)):
        said = f"claim {name} waits for provisioner {provisioner}, which has not answered"
        return Cause(Weight.SUSPECT, "Provisioning", said, f"is {provisioner} running in this cluster?")
    return None


#: What the kubelet and the attach controller say of volumes and of the sandbox, and what comes only after both.
_VOLUME_FAILED = ("FailedMount", "FailedMapVolume", "FailedAttachVolume", "FailedCreatePodSandBox")
_VOLUMES_DONE = ("Pulling", "Pulled", "Created", "Started")


def of_volumes(statefulset: Json, ordinal: int, pod: Json, scene: Scene) -> Cause | None:
    """Why a pod that has a node has no volumes there, or no sandbox."""
    name = pod["metadata"]["name"]
    failed = latest(scene.events, pod, (*_VOLUME_FAILED, *_VOLUMES_DONE))
    states = dig(pod, "status", "containerStatuses", default=[])
    started = any(dig(container, "state", "running") is not None for container in states)
    if not failed or failed.get("reason") not in _VOLUME_FAILED or started:
        return None
    message = str(failed.get("message", ""))
    if "Multi-Attach" in message:
        return _attached_elsewhere(statefulset, ordinal, pod, message, scene)
    return Cause(Weight.SUSPECT, str(failed.get("reason")), f"{name}: {message}", "`kubectl describe pod` has more")


def _attached_elsewhere(statefulset: Json, ordinal: int, pod: Json, message: str, scene: Scene) -> Cause:
    volumes = {dig(claim, "spec", "volumeName") for claim in pod_claims(statefulset, ordinal, scene)}
    nodes = sorted(
        str(dig(attachment, "spec", "nodeName"))
        for attachment in scene.attachments
        if dig(attachment, "spec", "source", "persistentVolumeName") in volumes
        and dig(attachment, "spec", "nodeName") != dig(pod, "spec", "nodeName")
    )
    said = f"{pod['metadata']['name']}: {message}"
    if not nodes:
        hint = "the volume is still attached to another node: is the old pod, or its node, really gone?"
        return Cause(Weight.SUSPECT, "MultiAttach", said, hint)
    hint = f"is {nodes[0]} really gone? then `kubectl delete node {nodes[0]}`, and the volume is let go in minutes"
    return Cause(Weight.SUSPECT, "MultiAttach", f"{said}; it is still attached to {', '.join(nodes)}", hint)
