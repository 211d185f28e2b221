"""The plug-ins in the API server's order (kubernetes pkg/kubeapiserver/options/plugins.go)."""

from __future__ import annotations

from random import Random

from berth.core.objects import Json
from berth.rehearsal.admission import namespaces, pods, podsecurity, priority, quota, services, storage
from berth.rehearsal.admission.view import CREATE, DELETE, UPDATE, View
from berth.rehearsal.kinds import Kind

#: The labels of a node that its pods are given when they are bound to it.
_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def mutate(
    view: View,
    kind: Kind,
    operation: str,
    obj: Json,
    old: Json | None,
    namespace: Json | None,
    random: Random,
    *,
    subresource: str = "",
) -> Json:
    """The object as the plug-ins and the allocators complete it; comes before validation.

    ``operation`` is CREATE, UPDATE or DELETE; ``old`` is None when something is created; ``namespace`` is the object of
    the namespace it goes into, None where that does not exist (or the kind has none). Of a deletion, and of a
    subresource, only that is judged.

    Raises:
        ApiError: a plug-in refuses.
    """
    namespaces.lifecycle(kind, operation, obj, namespace)
    if operation == DELETE or subresource:
        return obj
    match kind.key:
        case "pods":
            if operation == CREATE:
                obj = pods.with_service_account(view, obj, random)
                obj = priority.resolved(view, obj)
            elif old is not None:
                obj = priority.kept(obj, old)
            return pods.with_tolerations(obj)
        case "persistentvolumeclaims" if operation == CREATE:
            return storage.with_protection(kind, storage.with_default_class(view, obj))
        case "persistentvolumes" if operation == CREATE:
            return storage.with_protection(kind, obj)
        case "services":
            return services.allocated(view, obj, old)
        case "nodes" if operation == CREATE:
            return pods.tainted(obj)
    return obj


def check(
    view: View,
    kind: Kind,
    operation: str,
    obj: Json,
    old: Json | None,
    namespace: Json | None,
    *,
    subresource: str = "",
    warnings: list[str] | None = None,
) -> list[str]:
    """The warnings about a valid object; comes after validation.

    A list of ``warnings`` is added to, and so keeps what was said before a refusal.

    Raises:
        ApiError: a plug-in refuses.
    """
    said = [] if warnings is None else warnings
    if operation == DELETE or subresource:
        return said
    match kind.key:
        case "persistentvolumeclaims" if operation == UPDATE and old is not None:
            storage.check_resize(view, obj, old)
        case "scheduling.k8s.io/priorityclasses":
            priority.check_class(view, operation, obj)
        case "pods" | "apps/statefulsets":
            said += podsecurity.check(kind, obj, old, namespace)
        case "namespaces":
            said += podsecurity.check_namespace(view, obj, old)
    if kind.namespaced:
        quota.check(view, kind, operation, obj, old)
    return said


def topology_labels(node: Json) -> dict[str, str]:
    """The labels that a pod gets from its node when it is bound (PodTopologyLabels, on by default since 1.35)."""
    labels = node["metadata"].get("labels") or {}
    return {key: labels[key] for key in _TOPOLOGY if key in labels}
