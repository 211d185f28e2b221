"""References: what one object names, another must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Part, Scene, Workload
from berth.core.objects import dig

#: Objects that a workload uses although the release does not make them: "Secret/tls, ConfigMap/ca".
EXTERNAL_ANNOTATION = "berth.dev/external"


@dataclass(frozen=True, slots=True)
class Reference:
    """That ``part`` names, under ``key``, the object ``kind``/``name``, and which keys of its data it wants."""

    part: Part
    key: str
    kind: str
    name: str
    wants: tuple[tuple[Part, str], ...] = ()
    optional: bool = False

    def hit(self, message: str) -> Hit:
        """A hit at the field that holds the name."""
        return self.part.hit(message, self.key)


def _references(workload: Workload) -> Iterator[Reference]:
    """The ConfigMaps and Secrets that a workload's pods read."""
    for volume in workload.volumes():
        yield from _of_volume(volume)
        for source in volume.at("projected").each("sources"):
            yield from _of_source(source)
    for container in workload.containers:
        for entry in container.env():
            for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                part = entry.at("valueFrom", field)
                if part.body:
                    yield Reference(
                        part, "name", kind, part.text("name"), ((part, "key"),), part.get("optional") is True
                    )
        for entry in container.part.each("envFrom"):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                part = entry.at(field)
                if part.body:
                    yield Reference(part, "name", kind, part.text("name"), (), part.get("optional") is True)


def _of_volume(volume: Part) -> Iterator[Reference]:
    for field, kind, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        part = volume.at(field)
        if part.body:
            wants = tuple((item, "key") for item in part.each("items"))
            yield Reference(part, key, kind, part.text(key), wants, part.get("optional") is True)


def _of_source(source: Part) -> Iterator[Reference]:
    for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        part = source.at(field)
        if part.body:
            wants = tuple((item, "key") for item in part.each("items"))
            yield Reference(part, "name", kind, part.text("name"), wants, part.get("optional") is True)


def _pull_secrets(workload: Workload) -> Iterator[Reference]:
    for entry in workload.pod.each("imagePullSecrets"):
        yield Reference(entry, "name", "Secret", entry.text("name"), optional=True)


def _is_assumed(scene: Scene, reference: Reference, workload: Workload) -> bool:
    """Whether somebody said that the object exists already: the annotation does, or the whole name is one value."""
    for metadata in (workload.root.at("metadata"), workload.template.at("metadata")):
        said = metadata.at("annotations").text(EXTERNAL_ANNOTATION)
        if f"{reference.kind}/{reference.name}" in [word.strip() for word in said.split(",")]:
            return True
    origin = reference.part.manifest.origin_of(reference.hit("").path)
    if scene.facts.values is None:
        return bool(origin.values)
    return any(dig(scene.facts.values, *path.split(".")) == reference.name for path in origin.values)


@rule(
    "references/config",
    "ConfigMaps and Secrets that pods name are in the release",
    Severity.ERROR,
    fix=f"render it, take its whole name from a value (existingSecret), or list it in {EXTERNAL_ANNOTATION}",
    structural=True,
)
def config(scene: Scene) -> Iterator[Hit]:
    """A pod that names a missing one stays in CreateContainerConfigError, or waits for its volume for ever."""
    for workload in scene.workloads:
        for reference in _references(workload):
            if (reference.kind, reference.name) in scene.names or reference.optional:
                continue
            if not _is_assumed(scene, reference, workload):
                yield reference.hit(f"there is no {reference.kind} {reference.name!r} in this release")


@rule(
    "references/assumed",
    "Objects that are assumed to exist do",
    Severity.INFO,
    fix="make sure that it exists in the namespace before `up`",
)
def assumed(scene: Scene) -> Iterator[Hit]:
    """A value such as existingSecret, or an image pull secret, names what the release does not make."""
    for workload in scene.workloads:
        for reference in [*_references(workload), *_pull_secrets(workload)]:
            if (reference.kind, reference.name) in scene.names:
                continue
            if reference.optional or _is_assumed(scene, reference, workload):
                yield reference.hit(f"the {reference.kind} {reference.name!r} is assumed to exist")


@rule(
    "references/key",
    "Keys that pods read are in their ConfigMap or Secret",
    Severity.ERROR,
    fix="name a key of its data",
    structural=True,
)
def key(scene: Scene) -> Iterator[Hit]:
    """The pod would stay in CreateContainerConfigError; with a subPath it would get an empty directory for a file."""
    for workload in scene.workloads:
        sources: dict[str, Part] = {}
        for reference in _references(workload):
            found = scene.find(reference.kind, reference.name)
            if found is None:
                continue
            if not reference.optional:
                known = _keys(found)
                for part, field in reference.wants:
                    if part.text(field) not in known:
                        message = f"{reference.kind}/{reference.name} has no key {part.text(field)!r}"
                        yield part.hit(message, field)
            # A volume without items holds every key: a subPath of it must be one of them.
            volume = dig(reference.part.manifest.body, *reference.part.path[:-1])
            if reference.part.path[-1] in ("configMap", "secret") and not reference.wants and isinstance(volume, dict):
                if "name" in volume:
                    sources[str(volume["name"])] = found
        for container in workload.containers:
            for mount in container.mounts():
                source = sources.get(mount.text("name"))
                wanted = mount.text("subPath")
                if source is not None and wanted and wanted not in _keys(source):
                    yield mount.hit(
                        f"{source.text('kind')}/{source.at('metadata').text('name')} has no key {wanted!r}", "subPath"
                    )


def _keys(part: Part) -> set[str]:
    """The keys of a ConfigMap or Secret, those that `up` generates included."""
    fields = ("data", "binaryData", "stringData")
    return (
        {key for field in fields for key in part.at(field).body}
        | set(part.manifest.generated)
        | set(part.manifest.copied)
    )


@rule(
    "references/service-account",
    "The service account of the pods is in the release",
    Severity.ERROR,
    fix="render a ServiceAccount of that name, or leave serviceAccountName out",
    structural=True,
)
def service_account(scene: Scene) -> Iterator[Hit]:
    """The API refuses pods whose service account does not exist: the set is accepted and no pod ever comes up."""
    for workload in scene.workloads:
        name = workload.pod.text("serviceAccountName")
        reference = Reference(workload.pod, "serviceAccountName", "ServiceAccount", name)
        if (
            name in ("", "default")
            or ("ServiceAccount", name) in scene.names
            or _is_assumed(scene, reference, workload)
        ):
            continue
        yield reference.hit(f"there is no ServiceAccount {name!r} in this release")


@rule(
    "references/claim",
    "Claims that pods name are in the release",
    Severity.ERROR,
    fix="use a claim template, render the claim, or take its whole name from a value",
    structural=True,
)
def claim(scene: Scene) -> Iterator[Hit]:
    """A pod that names a missing claim stays Pending."""
    for workload in scene.workloads:
        for volume in workload.volumes():
            part = volume.at("persistentVolumeClaim")
            name = part.text("claimName")
            reference = Reference(part, "claimName", "PersistentVolumeClaim", name)
            if (
                part.body
                and ("PersistentVolumeClaim", name) not in scene.names
                and not _is_assumed(scene, reference, workload)
            ):
                yield reference.hit(f"there is no PersistentVolumeClaim {name!r} in this release")


@rule(
    "references/role",
    "Role bindings name a role and subjects of the release",
    Severity.ERROR,
    fix="name a Role and a ServiceAccount that the release makes",
    structural=True,
)
def role(scene: Scene) -> Iterator[Hit]:
    """A binding to nothing grants nothing, and the API does not say so."""
    for binding in [*scene.of_kind("RoleBinding"), *scene.of_kind("ClusterRoleBinding")]:
        target = binding.at("roleRef")
        # A ClusterRole may be one of the cluster's own (view, edit).
        if target.text("kind") == "Role" and ("Role", target.text("name")) not in scene.names:
            yield target.hit(f"there is no Role {target.text('name')!r} in this release", "name")
        for subject in binding.each("subjects"):
            elsewhere = subject.get("namespace") not in (None, scene.facts.namespace)
            name = subject.text("name")
            if (
                subject.text("kind") == "ServiceAccount"
                and not elsewhere
                and ("ServiceAccount", name) not in scene.names
            ):
                yield subject.hit(f"there is no ServiceAccount {name!r} in this release", "name")


@rule(
    "references/operation-container",
    "Operations run in a container that the pods have",
    Severity.ERROR,
    fix="name one of the set's containers in operations.<role>.container",
)
def operation_container(scene: Scene) -> Iterator[Hit]:
    """An operation is tried when it is needed, before a scale-down or for a backup: too late to learn of a typo."""
    known = {container.name for workload in scene.sets for container in workload.main()}
    for name, operation in scene.facts.operations.items():
        wanted = operation.get("container") if isinstance(operation, dict) else None
        if isinstance(wanted, str) and scene.sets and wanted not in known:
            yield scene.sets[0].pod.hit(f"the operation {name!r} wants a container {wanted!r}", "containers")


@rule(
    "references/unused",
    "What the release makes is used",
    Severity.WARNING,
    fix="remove it, or name it where it was meant to be used",
)
def unused(scene: Scene) -> Iterator[Hit]:
    """A ConfigMap or ServiceAccount that nobody names is mostly a misspelled reference. Secrets may be for clients."""
    used = {(reference.kind, reference.name) for workload in scene.workloads for reference in _references(workload)}
    used |= {("ServiceAccount", workload.pod.text("serviceAccountName")) for workload in scene.workloads}
    for kind in ("ConfigMap", "ServiceAccount"):
        for part in scene.of_kind(kind):
            name = part.at("metadata").text("name")
            if (kind, name) not in used:
                yield part.hit(f"no pod of this release names {kind}/{name}", "metadata", "name")
