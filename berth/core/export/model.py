"""Releases as files that somebody else applies: objects without secrets, in an order, with what each engine must know.

Nothing here depends on a cluster: the same releases give the same files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from berth.core.errors import InputError, Problem
from berth.core.masking import HIDDEN, masked
from berth.core.objects import (
    CHECKSUM_ANNOTATION,
    KEEP_ANNOTATION,
    PART_OF_LABEL,
    Json,
    Manifest,
    ObjectRef,
    dig,
    field_path,
)
from berth.core.order import layers, phases, pod_references, references
from berth.core.plan import leave_replicas
from berth.core.render import Release
from berth.core.strictyaml import Path

#: The name of the directory of the target that a run has by itself.
OWN_TARGET = "default"

#: Longest name of an Application or a Kustomization: both are written into labels.
_LONGEST = 63

#: What must not go where an engine tidies up: data, what data is opened or found with, and what holds all of it.
_HOLDS_DATA = frozenset({"Namespace", "PersistentVolume", "PersistentVolumeClaim", "StorageClass"})


@dataclass(frozen=True, slots=True)
class Part:
    """A release to export, its target ("" for the run's own), and those (namespace, name) there that come first."""

    target: str
    release: Release
    needs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Withheld:
    """A Secret that is left out, and its keys.

    ``generated`` says how many random characters `up` makes for a key, ``copied`` the name and key of the Secret that a
    value is taken from; any other is a text of the user's. ``keep``: whether it must live as long as the claims.
    """

    ref: ObjectRef
    type: str
    keys: tuple[str, ...]
    generated: Mapping[str, int]
    copied: Mapping[str, tuple[str, str]]
    keep: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One object: its file's name, what it says, and the wave in which it is applied, from 0 on."""

    file: str
    body: Json
    wave: int

    @property
    def ref(self) -> ObjectRef:
        """Its identity."""
        return ObjectRef.of(self.body)


@dataclass(frozen=True, slots=True)
class Exported:
    """A release without its secrets; ``wave`` says how many others must come before it, one after the other."""

    target: str
    namespace: str
    name: str
    items: tuple[Item, ...]
    withheld: tuple[Withheld, ...]
    needs: tuple[str, ...] = ()
    wave: int = 0

    @property
    def place(self) -> str:
        """Its target's directory."""
        return self.target or OWN_TARGET

    @property
    def directory(self) -> str:
        """Its own directory, below that of the export."""
        return f"{self.place}/{self.namespace}/{self.name}"


def export(parts: Sequence[Part]) -> tuple[Exported, ...]:
    """The releases as they may be written down, in the order given.

    An object of the whole cluster that several releases of a target render is the first one's; the others need that.

    Raises:
        InputError: a secret value stands outside of a Secret, or two releases contradict one another; all of it.
    """
    problems = [problem for part in parts for problem in _exposed(part.release)]
    problems += _same_place(parts)
    owners: dict[tuple[str, ObjectRef], tuple[Part, Manifest]] = {}
    needs: dict[str, list[str]] = {}
    items = []
    by_key = {(part.target, part.release.namespace, part.release.name): _directory(part) for part in parts}
    for part in parts:
        own, before = [], [by_key.get((part.target, *key)) for key in part.needs]
        for manifest in part.release.manifests:
            first, other = owners.setdefault((part.target, manifest.ref), (part, manifest))
            if first is part:
                own.append(manifest)
            else:
                before.append(_directory(first))
                problems += _contradiction(first, other, part, manifest)
        items.append(_items(part.release, own))
        needs[_directory(part)] = [directory for directory in dict.fromkeys(before) if directory]
    if problems:
        raise InputError(problems)
    depth = {one: number for number, layer in enumerate(layers(needs, noun="releases")) for one in layer}
    return tuple(
        Exported(
            part.target,
            part.release.namespace,
            part.release.name,
            found,
            tuple(_withheld(manifest) for manifest in part.release.manifests if withholds(manifest)),
            tuple(needs[_directory(part)]),
            depth[_directory(part)],
        )
        for part, found in zip(parts, items, strict=True)
    )


def _directory(part: Part) -> str:
    return f"{part.target or OWN_TARGET}/{part.release.namespace}/{part.release.name}"


def _same_place(parts: Sequence[Part]) -> Iterator[Problem]:
    for directory, count in Counter(map(_directory, parts)).items():
        if count > 1:
            hint = f"call the target {OWN_TARGET!r} something else: so the export calls a release that names none"
            yield Problem(f"{count} releases would be written to {directory}", hint=hint)


def _contradiction(first: Part, one: Manifest, second: Part, other: Manifest) -> Iterator[Problem]:
    said = [{key: value for key, value in each.body.items() if key != "metadata"} for each in (one, other)]
    if said[0] != said[1]:
        what = f"the releases {first.release.name} and {second.release.name} say different things of {one.ref}"
        yield Problem(what, str(other.position), hint="give them the same values, or one of them another name for it")


def withholds(manifest: Manifest) -> bool:
    """Whether an object is left out because it is a Secret that has, or is to have, values."""
    body = manifest.body
    held = manifest.generated or manifest.copied or body.get("data")
    return manifest.ref.kind == "Secret" and not manifest.ref.group and bool(held)


def _withheld(manifest: Manifest) -> Withheld:
    body = manifest.body
    keys = sorted({*(body.get("data") or {}), *manifest.generated, *manifest.copied})
    keep = dig(body, "metadata", "annotations", KEEP_ANNOTATION) == "data"
    kind = str(body.get("type", "Opaque"))
    return Withheld(manifest.ref, kind, tuple(keys), manifest.generated, manifest.copied, keep)


def _exposed(release: Release) -> Iterator[Problem]:
    """Fields that are made of secret values, where a Secret is not around them."""
    for manifest in release.manifests:
        shown = masked(manifest, release.values.secret_paths)
        for path in _hidden(manifest.body, shown, ()):
            if path[0] == "data" and withholds(manifest):
                continue
            origin = manifest.origin_of(field_path(path))
            yield Problem(
                f"{field_path(path)} of {manifest.ref} holds a secret value, which an export would write down",
                str(origin.template),
                "it is made of " + ", ".join(f"values.{name}" for name in origin.values) if origin.values else "",
                "keep it in a Secret, and let the pods read it from there",
            )


def _hidden(body: Any, shown: Any, path: Path) -> Iterator[Path]:
    if isinstance(body, dict) and isinstance(shown, dict):
        for key, value in body.items():
            yield from _hidden(value, shown[key], (*path, key))
    elif isinstance(body, list) and isinstance(shown, list):
        for index, value in enumerate(body):
            yield from _hidden(value, shown[index], (*path, index))
    elif body != shown and shown == HIDDEN:
        yield path


def _items(release: Release, own: Sequence[Manifest]) -> tuple[Item, ...]:
    """The objects of a release that are its own, without what only berth, or nobody, should have."""
    waves = _waves(release.manifests)
    own = leave_replicas(own, _autoscaled(own))
    silent = frozenset(one.ref.name for one in release.manifests if withholds(one) and one.body.get("data"))
    taken: set[str] = set()
    found = []
    for manifest in own:
        if not withholds(manifest):
            wave = waves[manifest.ref]
            body = _unlabelled(_without_secrets(manifest.body, silent, release.manifests))
            found.append(Item(_file_name(manifest.ref, wave, taken), body, wave))
    return tuple(sorted(found, key=lambda item: item.wave))


def _waves(manifests: Sequence[Manifest]) -> dict[ObjectRef, int]:
    """The phase of each object, as `up` has it; a claim comes with the first object that names it.

    Where volumes are made for the first pod, a claim is pending until then. An engine that waits for one wave before it
    begins the next would wait for ever (argoproj/argo-cd#12840).
    """
    waves = {one.ref: number for number, phase in enumerate(phases(manifests)) for one in phase}
    claims = frozenset(ref for ref in waves if ref.kind == "PersistentVolumeClaim")
    users = [(claim, waves[one.ref]) for one in manifests for claim in references(one.body, claims)] if claims else []
    for claim in claims:
        waves[claim] = min((wave for name, wave in users if name == claim), default=waves[claim])
    return waves


def _autoscaled(manifests: Sequence[Manifest]) -> frozenset[ObjectRef]:
    """The sets whose number of pods an autoscaler of the same release sets."""
    names = {
        (one.ref.namespace, dig(one.body, "spec", "scaleTargetRef", "name"))
        for one in manifests
        if one.ref.kind in ("HorizontalPodAutoscaler", "ScaledObject")
        and dig(one.body, "spec", "scaleTargetRef", "kind") == "StatefulSet"
    }
    sets = (one.ref for one in manifests if one.ref.kind == "StatefulSet")
    return frozenset(ref for ref in sets if (ref.namespace, ref.name) in names)


def _without_secrets(body: Json, silent: frozenset[str], manifests: Sequence[Manifest]) -> Json:
    """The object, with a checksum that tells nothing of values that are left out: a short one could be guessed."""
    path = ("spec", "jobTemplate", "spec", "template") if body["kind"] == "CronJob" else ("spec", "template")
    template = dig(body, *path)
    if dig(template, "metadata", "annotations", CHECKSUM_ANNOTATION) is None:
        return body
    named = {(kind, name) for _, kind, name in pod_references(template["spec"])}
    if not any(("Secret", name) in named for name in silent):
        return body
    read = [
        [kind, one.ref.name, sorted(one.body.get("data") or {}) if kind == "Secret" else _data(one.body)]
        for one in manifests
        if (kind := one.ref.kind) in ("ConfigMap", "Secret") and (kind, one.ref.name) in named
    ]
    digest = sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()
    return _changed(body, (*path, "metadata", "annotations", CHECKSUM_ANNOTATION), digest)


def _data(body: Json) -> list[Any]:
    return [body.get("data"), body.get("binaryData")]


def _changed(body: Json, path: Sequence[str], value: Any) -> Json:
    """A copy in which one field is another one."""
    first, *rest = path
    return {**body, first: _changed(body.get(first) or {}, rest, value) if rest else value}


def _unlabelled(body: Json) -> Json:
    """Without the membership of the ApplySet, which is the record that `up` keeps in the cluster."""
    meta = body["metadata"]
    labels = {key: value for key, value in meta.get("labels", {}).items() if key != PART_OF_LABEL}
    rest = {key: value for key, value in meta.items() if key != "labels" or labels}
    return {**body, "metadata": {**rest, **({"labels": labels} if labels else {})}}


def _file_name(ref: ObjectRef, wave: int, taken: set[str]) -> str:
    name = f"{wave:02d}-{ref.kind.lower()}-{file_part(ref.name)}"
    if name.lower() in taken or len(name) > 200:
        name = f"{name[:180]}-{_short_hash(ref.group, ref.kind, ref.name)}"
    taken.add(name.lower())
    return f"{name}.yaml"


def file_part(name: str) -> str:
    """The name of an object as a part of the name of a file."""
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)


def annotated(body: Json, annotations: Mapping[str, str]) -> Json:
    """A copy with annotations added; those that the object has stay."""
    if not annotations:
        return body
    meta = body["metadata"]
    # Names and labels first, as people write them.
    return {**body, "metadata": {**meta, "annotations": {**annotations, **meta.get("annotations", {})}}}


def holds_data(body: Json) -> bool:
    """Whether data goes where the object goes: an engine must not delete it by itself.

    A StatefulSet does only if its claims go with it. By default they outlive it, and pods can be made again.
    """
    if dig(body, "metadata", "annotations", KEEP_ANNOTATION) == "data" or body["kind"] in _HOLDS_DATA:
        return True
    policy = dig(body, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted")
    return body["kind"] == "StatefulSet" and bool(policy == "Delete")


def names_of(releases: Sequence[Exported], *, with_target: bool) -> dict[str, str]:
    """What each release's directory is called in an engine: [TARGET-]NAMESPACE-RELEASE, of 63 characters at most.

    Raises:
        InputError: two would be called the same.
    """
    names: dict[str, str] = {}
    for release in releases:
        parts = [*([release.target] if with_target and release.target else []), release.namespace, release.name]
        name = "-".join(parts)
        if len(name) > _LONGEST:
            name = f"{name[: _LONGEST - 9].rstrip('-')}-{_short_hash(*parts)}"
        other = next((directory for directory, given in names.items() if given == name), None)
        if other:
            what = f"{other} and {release.directory} would both be called {name}"
            raise InputError(what, hint="give one of the releases another name")
        names[release.directory] = name
    return names


def _short_hash(*parts: str) -> str:
    return sha256("/".join(parts).encode()).hexdigest()[:8]
