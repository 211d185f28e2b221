"""Storage classes: those that a release makes, and those that it takes for granted."""

from __future__ import annotations

from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Scene


@rule(
    "storage/assumed-class",
    "A storage class that the release does not make exists in the cluster",
    Severity.INFO,
    fix="nothing, if the cluster has it: the preflight of `up` checks that it does",
)
def assumed_class(scene: Scene) -> Iterator[Hit]:
    """Classes belong to the cluster, so a profile may name one that it does not make."""
    for workload in scene.sets:
        for template in workload.claim_templates():
            name = template.at("spec").text("storageClassName")
            if name and ("StorageClass", name) not in scene.names:
                yield template.hit(f"the class {name!r} is assumed to exist", "spec", "storageClassName")


@rule(
    "storage/unused-class",
    "A storage class that the release makes is used by its claims",
    Severity.WARNING,
    fix="name it in a claim template, or do not make it",
)
def unused_class(scene: Scene) -> Iterator[Hit]:
    """A class of the profile's own that its claims do not name is most often a misspelled storageClassName."""
    used = {
        template.at("spec").text("storageClassName")
        for workload in scene.sets
        for template in workload.claim_templates()
    }
    used |= {part.at("spec").text("storageClassName") for part in scene.of_kind("PersistentVolumeClaim")}
    for part in scene.of_kind("StorageClass"):
        name = part.at("metadata").text("name")
        if name not in used:
            yield part.hit(f"no claim of this release names the class {name!r}", "metadata", "name")


@rule(
    "storage/default-class",
    "A release does not make the cluster's default storage class",
    Severity.ERROR,
    fix="remove the annotation storageclass.kubernetes.io/is-default-class",
    structural=True,
)
def default_class(scene: Scene) -> Iterator[Hit]:
    """It would change where everybody else's new claims go."""
    for part in scene.of_kind("StorageClass"):
        annotations = part.at("metadata", "annotations")
        for key in ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"):
            if annotations.get(key) == "true":
                yield annotations.hit("the class makes itself the cluster's default", key)


@rule(
    "storage/reclaim-policy",
    "A storage class of the release's own keeps its volumes",
    Severity.WARNING,
    fix="set reclaimPolicy: Retain",
)
def reclaim_policy(scene: Scene) -> Iterator[Hit]:
    """The default is Delete: with the claim goes the volume, and a claim deleted by mistake cannot be brought back."""
    for part in scene.of_kind("StorageClass"):
        if part.get("reclaimPolicy") in (None, "Delete"):
            yield part.hit("volumes are deleted with their claims", "reclaimPolicy")


@rule(
    "storage/binding-mode",
    "Volumes are made where their pods are scheduled",
    Severity.WARNING,
    fix="set volumeBindingMode: WaitForFirstConsumer",
)
def binding_mode(scene: Scene) -> Iterator[Hit]:
    """The default, Immediate, makes a volume in any zone, and the pod can then run in that zone only."""
    for part in scene.of_kind("StorageClass"):
        if part.get("volumeBindingMode") in (None, "Immediate"):
            yield part.hit("volumes are placed before their pods are scheduled", "volumeBindingMode")


@rule(
    "storage/expansion",
    "Volumes of the release's own class can grow",
    Severity.WARNING,
    fix="set allowVolumeExpansion: true",
)
def expansion(scene: Scene) -> Iterator[Hit]:
    """Without it a full volume can only be replaced by copying its data."""
    for part in scene.of_kind("StorageClass"):
        if part.get("allowVolumeExpansion") is not True:
            yield part.hit("claims of this class can never grow", "allowVolumeExpansion")
