"""The order in which objects are applied: references between them, a graph, and phases.

A phase is a set of objects that may be applied at the same time; a later phase refers to an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from berth.core.errors import InputError, Problem
from berth.core.objects import Json, Manifest, ObjectRef, dig

Node = TypeVar("Node")

# Within a phase objects are independent; this only makes listings read well.
_KINDS = (
    "Namespace",
    "StorageClass",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "NetworkPolicy",
    "Service",
    "PodDisruptionBudget",
    "PersistentVolumeClaim",
    "StatefulSet",
)

# What selects pods shapes their traffic and their eviction, what binds a role lets them ask the API: these are in
# place before the first pod is.
_BEFORE_PODS = frozenset({"Service", "NetworkPolicy", "PodDisruptionBudget", "RoleBinding"})

#: An object may name others that must come first: "Kind/name, Kind/name".
DEPENDS_ON_ANNOTATION = "berth.dev/depends-on"


def phases(manifests: Sequence[Manifest]) -> tuple[tuple[Manifest, ...], ...]:
    """Manifests grouped so that each refers only to objects of earlier groups, sorted within a group.

    Raises:
        InputError: the references form a cycle; the error lists its edges.
    """
    by_ref = {manifest.ref: manifest for manifest in manifests}
    known = frozenset(by_ref)
    edges = {ref: frozenset(references(manifest.body, known)) - {ref} for ref, manifest in by_ref.items()}
    groups = layers(edges, lambda ref: f"{ref} ({by_ref[ref].position})")
    return tuple(tuple(by_ref[ref] for ref in sorted(group, key=_sort_key)) for group in groups)


def layers(edges: Mapping[Node, Iterable[Node]], describe: Any = str, noun: str = "objects") -> list[list[Node]]:
    """Nodes in sets, each after everything it points at; ``edges`` holds every node.

    Raises:
        InputError: a cycle; its edges are listed.
    """
    waiting = {node: set(targets) for node, targets in edges.items()}
    done: list[list[Node]] = []
    while waiting:
        free = [node for node, targets in waiting.items() if not targets]
        if not free:
            cycle = _find_cycle(waiting)
            steps = " -> ".join(describe(node) for node in [*cycle, cycle[0]])
            raise InputError([Problem(f"these {noun} depend on one another in a circle: {steps}")])
        done.append(free)
        for node in free:
            del waiting[node]
        gone = set(free)
        for targets in waiting.values():
            targets -= gone
    return done


def references(body: Json, known: frozenset[ObjectRef]) -> Iterator[ObjectRef]:
    """Those of the ``known`` objects that must exist before this one can work."""
    here = ObjectRef.of(body)
    space = ObjectRef("", "Namespace", "", here.namespace)
    if space in known:
        yield space
    for group, kind, name in _named(body):
        for namespace in (here.namespace, ""):
            ref = ObjectRef(group, kind, namespace, name)
            if ref in known:
                yield ref
    if here.kind == "StatefulSet":
        for ref in known:
            if ref.namespace == here.namespace and ref.kind in _BEFORE_PODS:
                yield ref
    for word in _depends_on(body):
        kind, _, name = word.partition("/")
        matches = [ref for ref in known if ref.kind == kind and ref.name == name]
        if not matches:
            raise InputError(
                f"{here} depends on {word}, which no template renders",
                hint=f"write {DEPENDS_ON_ANNOTATION} as Kind/name, and the name as the other manifest has it",
            )
        yield from matches


def _depends_on(body: Json) -> list[str]:
    written = str(dig(body, "metadata", "annotations", DEPENDS_ON_ANNOTATION, default=""))
    return [word.strip() for word in written.split(",") if word.strip()]


def _named(body: Json) -> Iterator[tuple[str, str, str]]:
    """(group, kind, name) of what a body names, whether berth renders it or not."""
    kind = body["kind"]
    if kind in ("RoleBinding", "ClusterRoleBinding"):
        yield "rbac.authorization.k8s.io", str(dig(body, "roleRef", "kind")), str(dig(body, "roleRef", "name"))
        for subject in body.get("subjects") or []:
            yield "", str(subject.get("kind")), str(subject.get("name"))
    if kind == "PersistentVolumeClaim":
        yield "storage.k8s.io", "StorageClass", str(dig(body, "spec", "storageClassName"))
    for template in dig(body, "spec", "volumeClaimTemplates", default=[]) or []:
        yield "storage.k8s.io", "StorageClass", str(dig(template, "spec", "storageClassName"))
    pod = body.get("spec") if kind == "Pod" else dig(body, "spec", "template", "spec")
    if kind == "CronJob":
        pod = dig(body, "spec", "jobTemplate", "spec", "template", "spec")
    if isinstance(pod, dict):
        yield from pod_references(pod)


def pod_references(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(group, kind, name) of what a pod spec names: configuration, secrets, claims, its account.

    What has not the form that it should is passed over: to say so is for those who check it.
    """
    for secret in _mappings(pod, "imagePullSecrets"):
        yield "", "Secret", str(secret.get("name"))
    if pod.get("serviceAccountName"):
        yield "", "ServiceAccount", str(pod["serviceAccountName"])
    if pod.get("priorityClassName"):
        yield "scheduling.k8s.io", "PriorityClass", str(pod["priorityClassName"])
    for volume in _mappings(pod, "volumes"):
        yield from _volume_references(volume)
        for source in _mappings(volume, "projected", "sources"):
            yield from _volume_references(source)
    for container in (*_mappings(pod, "initContainers"), *_mappings(pod, "containers")):
        for source in _mappings(container, "envFrom"):
            yield "", "ConfigMap", str(dig(source, "configMapRef", "name"))
            yield "", "Secret", str(dig(source, "secretRef", "name"))
        for variable in _mappings(container, "env"):
            yield "", "ConfigMap", str(dig(variable, "valueFrom", "configMapKeyRef", "name"))
            yield "", "Secret", str(dig(variable, "valueFrom", "secretKeyRef", "name"))


def _mappings(body: Mapping[str, Any], *path: str) -> list[Mapping[str, Any]]:
    """The mappings in the list at a path."""
    found = dig(body, *path)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _volume_references(volume: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield "", "ConfigMap", str(dig(volume, "configMap", "name"))
    # A volume calls it secretName, a projected source name.
    yield "", "Secret", str(dig(volume, "secret", "secretName") or dig(volume, "secret", "name"))
    yield "", "PersistentVolumeClaim", str(dig(volume, "persistentVolumeClaim", "claimName"))


def _sort_key(ref: ObjectRef) -> tuple[int, ObjectRef]:
    return (_KINDS.index(ref.kind) if ref.kind in _KINDS else len(_KINDS), ref)


def _find_cycle(edges: Mapping[Node, set[Node]]) -> list[Node]:
    """Nodes of one cycle, in order; every node has an edge into the mapping, so a walk must come back."""
    path: list[Node] = []
    node = next(iter(edges))
    while node not in path:
        path.append(node)
        node = min(edges[node], key=str)
    return path[path.index(node) :]
