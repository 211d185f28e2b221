"""What may be removed, and in which order: the pure part of teardown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from berth.core.errors import InputError, Position
from berth.core.objects import MANAGED_BY_LABEL, Json, Manifest, ObjectRef, dig
from berth.core.order import phases


def reverse_phases(refs: Iterable[ObjectRef], manifests: Sequence[Json]) -> list[list[ObjectRef]]:
    """The objects in the reverse of the order in which they were applied; unrecorded ones go first."""
    wanted = set(refs)
    # All of them, for one that is not wanted may be what two others depend on.
    recorded = [Manifest(body, Position("record")) for body in manifests]
    try:
        ordered = [[m.ref for m in phase if m.ref in wanted] for phase in phases(recorded)]
    except InputError:
        # A record that berth itself could not have applied must not keep the user from removing it.
        ordered = [[manifest.ref for manifest in recorded if manifest.ref in wanted]]
    known = {ref for phase in ordered for ref in phase}
    return [phase for phase in [sorted(wanted - known), *reversed(ordered)] if phase]


def class_users(name: str, claims: Iterable[Json], volumes: Iterable[Json], releases: Sequence[str]) -> str:
    """Who still refers to a StorageClass, in words; empty when nobody does."""
    if releases:
        return f"release {', '.join(sorted(releases))} uses it"
    using = [c for c in claims if dig(c, "spec", "storageClassName") == name]
    if using:
        shown = ", ".join(f"{dig(c, 'metadata', 'namespace')}/{dig(c, 'metadata', 'name')}" for c in using[:3])
        return f"{_count(using, 'claim')} of this class: {shown}{' ...' if len(using) > 3 else ''}"
    left = [v for v in volumes if dig(v, "spec", "storageClassName") == name]
    if left:
        shown = ", ".join(str(dig(v, "metadata", "name")) for v in left[:3])
        return f"{_count(left, 'volume')} of this class: {shown}{' ...' if len(left) > 3 else ''}"
    return ""


def namespace_rest(namespace: Json, contents: Iterable[Json]) -> str:
    """Why a namespace stays, in words; empty when it is ours and holds nothing but what every namespace has."""
    if dig(namespace, "metadata", "labels", MANAGED_BY_LABEL) != "berth":
        return "not ours"
    rest = [body for body in contents if not _in_every_namespace(body)]
    if not rest:
        return ""
    shown = ", ".join(f"{body['kind']}/{body['metadata']['name']}" for body in rest[:3])
    return f"{_count(rest, 'object')} in it: {shown}{' ...' if len(rest) > 3 else ''}"


def _count(items: Sequence[Json], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _in_every_namespace(body: Json) -> bool:
    name, kind = body["metadata"]["name"], body["kind"]
    return (kind, name) in {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
