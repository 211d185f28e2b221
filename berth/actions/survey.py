"""Reads what a plan needs to know of the cluster; nothing here writes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord, live_digest
from berth.cluster.release import load
from berth.cluster.runner import GENERATE_MANAGER, all_of
from berth.core.diff import manifest_hash
from berth.core.errors import BerthError, DeniedError, Problem
from berth.core.objects import (
    PART_OF_LABEL,
    Json,
    Manifest,
    ObjectRef,
    applyset_id,
    dig,
)
from berth.core.plan import scaled_by_controller
from berth.core.preflight import Surroundings
from berth.core.render import Release

#: From more objects of a kind than this, one list of the namespace is cheaper than a read of each, for the server too.
MANY = 20


@dataclass(frozen=True, slots=True)
class Survey:
    """What the cluster holds of a release. ``unchanged`` objects are exactly as the last `up` left them."""

    record: ReleaseRecord | None
    live: dict[ObjectRef, Json]
    unchanged: frozenset[ObjectRef]

    @property
    def inventory(self) -> tuple[ObjectRef, ...]:
        """What the release owned when it was last recorded."""
        return tuple(entry.ref for entry in self.record.inventory) if self.record else ()

    @property
    def adopted(self) -> frozenset[ObjectRef]:
        """What of that existed before berth, and is never deleted."""
        return (
            frozenset(entry.ref for entry in self.record.inventory if not entry.created) if self.record else frozenset()
        )


def survey(kube: Kube, release: Release) -> Survey:
    """Read the release's record and the live state of all that it has or would have."""
    record = load(kube, release.namespace, release.name)
    wanted = {manifest.ref for manifest in release.manifests}
    recorded = {entry.ref for entry in record.inventory} if record else set()
    live = read_objects(kube, release.name, release.namespace, wanted | recorded, listed=recorded)
    return Survey(record, live, _unchanged(release.manifests, record, live))


def read_objects(
    kube: Kube, release: str, namespace: str, refs: Iterable[ObjectRef], listed: Iterable[ObjectRef] = ()
) -> dict[ObjectRef, Json]:
    """The live state of objects, those of ``listed`` and of kinds with many by one list a kind."""
    refs = set(refs)
    found: dict[ObjectRef, Json] = {}

    def read(kinds: Sequence[tuple[str, str]], selector: str | None) -> None:
        for listing in all_of(kinds, lambda kind: kube.list(kind[0], kind[1], namespace, label_selector=selector)):
            found.update({ObjectRef.of(body): body for body in listing.items})

    read(_kinds(listed, namespace, 1), f"{PART_OF_LABEL}={applyset_id(release, namespace)}")
    whole = _kinds(refs - found.keys(), namespace, MANY)
    read(whole, None)
    rest = sorted(
        ref for ref in refs - found.keys() if ref.namespace != namespace or (ref.group, ref.kind) not in whole
    )
    found.update({ref: body for ref, body in zip(rest, all_of(rest, kube.get), strict=True) if body is not None})
    return {ref: body for ref, body in found.items() if ref in refs}


def _kinds(refs: Iterable[ObjectRef], namespace: str, count: int) -> list[tuple[str, str]]:
    """The groups and kinds of which there are more than ``count`` in the namespace."""
    counts = Counter((ref.group, ref.kind) for ref in refs if ref.namespace == namespace)
    return [kind for kind, number in counts.items() if number > count]


def surroundings(kube: Kube, namespace: str, live: dict[ObjectRef, Json]) -> Surroundings:
    """What preflight looks at; what may not be read is None."""

    def read(kind: tuple[str, str, str | None]) -> list[Json] | None:
        try:
            return kube.list(*kind).items
        except DeniedError:
            return None

    space = ObjectRef("", "Namespace", "", namespace)
    lists: Sequence[tuple[str, str, str | None]] = (
        ("storage.k8s.io", "StorageClass", None),
        ("", "PersistentVolumeClaim", namespace),
        ("", "Node", None),
        ("", "ResourceQuota", namespace),
    )
    work: list[Any] = [lambda: _get_or_none(kube, space), lambda: _version(kube)]
    work += [lambda kind=kind: read(kind) for kind in lists]
    found, version, classes, claims, nodes, quotas = all_of(work, lambda task: task())
    return Surroundings(found, classes, claims, nodes, quotas, live, version)


def _version(kube: Kube) -> tuple[int, int] | None:
    """The server's (major, minor); providers write "30+" for a patched 30."""
    said = kube.version()
    major, minor = (re.match(r"\d+", str(said.get(part, ""))) for part in ("major", "minor"))
    return (int(major[0]), int(minor[0])) if major and minor else None


def autoscaled_sets(kube: Kube, namespace: str, live: dict[ObjectRef, Json]) -> frozenset[ObjectRef]:
    """The StatefulSets whose replicas a HorizontalPodAutoscaler sets: one exists, and it has done so.

    The mark in managedFields outlives a deleted autoscaler, so it is only a reason to look.
    """
    marked = frozenset(ref for ref, body in live.items() if ref.kind == "StatefulSet" and scaled_by_controller(body))
    if not marked:
        return marked
    try:
        scalers = kube.list("autoscaling", "HorizontalPodAutoscaler", namespace).items
    except DeniedError:
        return marked
    targets = {dig(s, "spec", "scaleTargetRef", "name") for s in scalers}
    return frozenset(ref for ref in marked if ref.name in targets)


def check_permissions(kube: Kube, release: Release, plan_removes: Iterable[ObjectRef], new_namespace: bool) -> None:
    """Ask the cluster beforehand whether it would let us do what the plan needs.

    Raises:
        DeniedError: one problem per missing permission, naming verb and resource.
    """
    # Everything everywhere: one question instead of many.
    if kube.can("*", "*", "*"):
        return
    needs = sorted(set(_needs(kube, release, plan_removes, new_namespace)))
    answers = all_of(needs, lambda need: kube.can(*need))
    missing = [need for need, allowed in zip(needs, answers, strict=True) if not allowed]
    if missing:
        raise DeniedError(
            Problem(
                f"these credentials may not {verb} {resource}{f'.{group}' if group else ''}"
                + (f" in {namespace}" if namespace else ""),
                hint="the role that berth needs is in docs/reference/rbac.md",
            )
            for verb, group, resource, namespace in missing
        )


def _needs(
    kube: Kube, release: Release, removes: Iterable[ObjectRef], new_namespace: bool
) -> Iterator[tuple[str, str, str, str]]:
    def resource(ref: ObjectRef) -> str:
        return kube.resources.find_kind(ref.group, ref.kind).plural

    space = release.namespace
    for manifest in release.manifests:
        ref = manifest.ref
        for verb in ("get", "create", "patch"):
            yield verb, ref.group, resource(ref), ref.namespace
    for ref in removes:
        yield "delete", ref.group, resource(ref), ref.namespace
    for verb in ("list", "watch"):
        for group, plural in (("apps", "statefulsets"), ("", "pods"), ("", "persistentvolumeclaims")):
            yield verb, group, plural, space
    for verb in ("get", "create", "update"):
        yield verb, "", "secrets", space
        yield verb, "coordination.k8s.io", "leases", space
    yield "delete", "coordination.k8s.io", "leases", space
    if new_namespace:
        yield "create", "", "namespaces", ""


def dry_run(
    kube: Kube, manifests: Sequence[Manifest], *, force: bool, elsewhere: Mapping[ObjectRef, str]
) -> dict[ObjectRef, Json]:
    """What the API server says of applying each manifest, all checks included, without doing it.

    Those of ``elsewhere`` cannot be tried under their own name, so a copy under another name is tried in the namespace
    given: what goes into a namespace that does not exist yet (in "default" schema, defaults and admission are the same,
    quota and Pod Security are not), and a set that will be deleted first.

    Raises:
        BerthError: with the problems of all manifests.
    """

    def attempt(manifest: Manifest) -> Json:
        body = manifest.body
        try:
            if manifest.ref in elsewhere:
                name, namespace = f"berth-trial-{manifest_hash(body)[:8]}", elsewhere[manifest.ref]
                meta = {**body["metadata"], "namespace": namespace, "name": name}
                tried = kube.create({**body, "metadata": meta}, dry_run=True)
                own = {"name": manifest.ref.name, "namespace": manifest.ref.namespace}
                return {**tried, "metadata": {**tried["metadata"], **own}}
            return kube.apply(body, dry_run=True, force=force)
        except DeniedError:
            raise
        except BerthError as error:
            raise type(error)(_located(error, manifest)) from error

    results = all_of(list(manifests), attempt)
    return {manifest.ref: body for manifest, body in zip(manifests, results, strict=True)}


def _located(error: BerthError, manifest: Manifest) -> Iterable[Problem]:
    """The server's problems with the template line, and for a field of another manager the value that it is set by."""
    for problem in error.problems:
        place, hint = str(manifest.position), problem.hint
        owned = re.search(r" owns (spec\.\S+)$", problem.what)
        if owned:
            origin = manifest.origin_of(owned[1])
            place = str(origin.template)
            hint += "".join(f"; or say what it is now, with --set {value}=..." for value in origin.values[:1])
        if f"{GENERATE_MANAGER} owns data." in problem.what:
            way = "change it in the engine first, then take the one that is given now with --force-conflicts"
            hint = f"it was generated, and the data may have been made with it: {way}"
        yield replace(problem, where="; ".join(part for part in (problem.where, place) if part), hint=hint)


def _unchanged(
    manifests: Sequence[Manifest], record: ReleaseRecord | None, live: dict[ObjectRef, Json]
) -> frozenset[ObjectRef]:
    if record is None:
        return frozenset()
    entries = {entry.ref: entry for entry in record.inventory}
    same: set[ObjectRef] = set()
    for manifest in manifests:
        ref = manifest.ref
        entry, body = entries.get(ref), live.get(ref)
        if entry is None or body is None or not entry.live_digest:
            continue
        if any(key not in (body.get("data") or {}) for key in manifest.generated):
            continue
        if entry.manifest_hash == manifest_hash(manifest.body) and entry.live_digest == live_digest(body):
            same.add(ref)
    return frozenset(same)


def _get_or_none(kube: Kube, ref: ObjectRef) -> Json | None:
    try:
        return kube.get(ref)
    except DeniedError:
        # A role in one namespace may not read the namespace itself: then it exists, or nothing else would answer.
        return {"metadata": {"name": ref.name}}
