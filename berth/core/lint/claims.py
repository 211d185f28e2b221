"""Claim templates, volumes and mounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from posixpath import normpath

from berth.core.errors import InputError
from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.names import VERSION_LABELS
from berth.core.lint.scene import Container, Part, Scene, Workload
from berth.core.quantities import parse_quantity


def _claim_names(workload: Workload) -> list[str]:
    return [template.at("metadata").text("name") for template in workload.claim_templates()]


@rule(
    "claims/mounted",
    "Each claim template is mounted",
    Severity.ERROR,
    fix="add a volumeMount with the template's name, or remove the template",
    structural=True,
)
def mounted(scene: Scene) -> Iterator[Hit]:
    """A claim that no container mounts costs money, and the data goes to the container's own layer and is lost."""
    for workload in scene.sets:
        used = {
            mount.text("name")
            for container in workload.containers
            for kind in ("volumeMounts", "volumeDevices")
            for mount in container.part.each(kind)
        }
        for template in workload.claim_templates():
            name = template.at("metadata").text("name")
            if name not in used:
                yield template.hit(f"no container mounts the claim template {name!r}", "metadata", "name")


@rule(
    "claims/mount-exists",
    "Each mount has a volume or a claim template",
    Severity.ERROR,
    fix="name one of the pod's volumes or claim templates",
    structural=True,
)
def mount_exists(scene: Scene) -> Iterator[Hit]:
    """The API refuses the pod, not the set: the set is accepted and no pod ever comes up."""
    for workload in scene.workloads:
        known = {volume.text("name") for volume in workload.volumes()} | set(_claim_names(workload))
        for container in workload.containers:
            for kind in ("volumeMounts", "volumeDevices"):
                for mount in container.part.each(kind):
                    if mount.text("name") not in known:
                        yield mount.hit(f"there is no volume or claim template {mount.text('name')!r}", "name")


@rule(
    "claims/shadowed",
    "Volumes and claim templates have names of their own",
    Severity.ERROR,
    fix="rename one of the two",
    structural=True,
)
def shadowed(scene: Scene) -> Iterator[Hit]:
    """A claim template silently takes the place of a volume of the same name."""
    for workload in scene.sets:
        claims = set(_claim_names(workload))
        for volume in workload.volumes():
            if volume.text("name") in claims:
                yield volume.hit(f"the claim template {volume.text('name')!r} takes this volume's place", "name")


@rule(
    "claims/version-label",
    "Claim templates hold no label that changes with the version",
    Severity.ERROR,
    fix="leave labels out of the claim template: claims take the selector's",
    structural=True,
)
def version_label(scene: Scene) -> Iterator[Hit]:
    """Claim templates cannot be changed, labels included, so the next version could not be applied."""
    for workload in scene.sets:
        for template in workload.claim_templates():
            place = template.at("metadata", "labels")
            for key in place.body:
                if key in VERSION_LABELS:
                    yield place.hit(f"the claim template holds {key}, which changes with the version", key)


@rule(
    "claims/complete",
    "Claim templates say how much, and how it is accessed",
    Severity.ERROR,
    fix="give accessModes and resources.requests.storage, such as 20Gi",
    structural=True,
)
def complete(scene: Scene) -> Iterator[Hit]:
    """The API accepts the set and refuses each claim, so that the pods never come up."""
    for workload in scene.sets:
        for template in workload.claim_templates():
            spec = template.at("spec")
            modes = spec.texts("accessModes")
            if not modes:
                yield spec.hit("there are no accessModes", "accessModes")
            elif "ReadWriteOncePod" in modes and len(modes) > 1:
                yield spec.hit("ReadWriteOncePod cannot be combined with another mode", "accessModes")
            size = spec.at("resources", "requests").get("storage")
            if size is None:
                yield spec.hit("there is no resources.requests.storage", "resources", "requests", "storage")
            elif not _is_size(size):
                yield spec.hit("the size is not a quantity above zero", "resources", "requests", "storage")


def _is_size(value: object) -> bool:
    try:
        return isinstance(value, str | int | float) and parse_quantity(value) > 0
    except InputError:
        return False


@rule(
    "claims/shared",
    "The pods of a set do not share a claim",
    Severity.WARNING,
    fix="use a claim template, so that each pod has its own",
)
def shared(scene: Scene) -> Iterator[Hit]:
    """A volume that names one claim gives every ordinal the same disk: they wait for it, or write over one another."""
    for workload in scene.sets:
        for volume in workload.volumes():
            if volume.at("persistentVolumeClaim").body and workload.replicas > 1:
                yield volume.hit(f"all {workload.replicas} pods mount one claim", "persistentVolumeClaim")


#: Engines that refuse a data directory with anything in it, such as the lost+found of a fresh ext4 volume: the
#: environment variable that moves it, and the directory that the image uses by itself, by major version.
_DATA_DIRECTORY = "PGDATA"
_POSTGRES = re.compile(r"(?:^|/)postgres$")
_OLD_POSTGRES, _NEW_POSTGRES = "/var/lib/postgresql/data", "/var/lib/postgresql"


@rule(
    "claims/data-directory",
    "A database's data directory is below the mount, not the mount itself",
    Severity.ERROR,
    fix="set PGDATA to a directory below the mount, such as /var/lib/postgresql/data/pgdata",
    structural=True,
)
def data_directory(scene: Scene) -> Iterator[Hit]:
    """A fresh ext4 volume holds lost+found, and initdb refuses a directory that is not empty.

    It also must own the directory, which a mount's root seldom allows. From 18 on the image wants the volume at
    /var/lib/postgresql, and refuses to start with one at /var/lib/postgresql/data.
    """
    for workload in scene.sets:
        claims = set(_claim_names(workload))
        for container in workload.containers:
            roots = {
                normpath(mount.text("mountPath")): mount
                for mount in container.mounts()
                if mount.text("name") in claims and not mount.get("subPath") and not mount.get("subPathExpr")
            }
            yield from _data_directory(container, roots)


def _data_directory(container: Container, roots: Mapping[str, Part]) -> Iterator[Hit]:
    entry = next((part for part in container.env() if part.text("name") == _DATA_DIRECTORY), None)
    if entry is not None:
        if entry.text("value") and normpath(entry.text("value")) in roots:
            yield entry.hit(f"{_DATA_DIRECTORY} is the root of a volume", "value")
        return
    repository, major = _image(container.part.text("image"))
    if not _POSTGRES.search(repository) or _OLD_POSTGRES not in roots:
        return
    mount = roots[_OLD_POSTGRES]
    if major is not None and major >= 18:
        message = f"postgres {major} wants its volume at {_NEW_POSTGRES} and refuses this one"
        yield mount.hit(message, "mountPath", fix=f"mount the claim at {_NEW_POSTGRES}")
    else:
        yield mount.hit(
            f"the image's data directory is the root of this volume, and {_DATA_DIRECTORY} does not move it",
            "mountPath",
        )


def _image(image: str) -> tuple[str, int | None]:
    """The repository of an image, and the major version that its tag begins with."""
    name = image.partition("@")[0]
    slash = name.rfind("/")
    colon = name.find(":", slash + 1)
    repository, tag = (name, "") if colon < 0 else (name[:colon], name[colon + 1 :])
    major = re.match(r"\d+", tag)
    return repository, int(major[0]) if major else None


@rule(
    "claims/no-class",
    "Claim templates do not switch dynamic provisioning off",
    Severity.WARNING,
    fix="leave storageClassName out for the cluster's default class",
)
def no_class(scene: Scene) -> Iterator[Hit]:
    """An empty storageClassName is not the default class: it binds only volumes that somebody made by hand."""
    for workload in scene.sets:
        for template in workload.claim_templates():
            if template.at("spec").get("storageClassName") == "":
                yield template.hit("the empty class binds only volumes made by hand", "spec", "storageClassName")
