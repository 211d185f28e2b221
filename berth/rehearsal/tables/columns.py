"""The columns of each kind: those that kubectl shows, and those of ``-o wide`` (priority 1)."""

from __future__ import annotations

from collections.abc import Mapping

#: Name, type, format and priority.
Column = tuple[str, str, str, int]


def _columns(*names: str) -> tuple[Column, ...]:
    """``name``, ``name:integer``, ``*name`` (the object's name), ``+name`` (wide only)."""
    found: list[Column] = []
    for text in names:
        name, _, kept = text.lstrip("*+").partition(":")
        mark = text[: len(text) - len(text.lstrip("*+"))]
        found.append((name, kept or "string", "name" if "*" in mark else "", 1 if "+" in mark else 0))
    return tuple(found)


#: By `Kind.key`. As a server of 1.36 gives them.
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "namespaces": _columns("*Name", "Status", "Age"),
    "nodes": _columns(
        *("*Name", "Status", "Roles", "Age", "Version"),
        *("+Internal-IP", "+External-IP", "+OS-Image", "+Kernel-Version", "+Container-Runtime"),
    ),
    "persistentvolumes": _columns(
        *("*Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass"),
        *("VolumeAttributesClass", "Reason", "Age", "+VolumeMode"),
    ),
    "pods": _columns(
        *("*Name", "Ready", "Status", "Restarts", "Age"),
        *("+IP", "+Node", "+Nominated Node", "+Readiness Gates"),
    ),
    "persistentvolumeclaims": _columns(
        *("*Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass"),
        *("VolumeAttributesClass", "Age", "+VolumeMode"),
    ),
    "services": _columns("*Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"),
    "endpoints": _columns("*Name", "Endpoints", "Age"),
    "configmaps": _columns("*Name", "Data", "Age"),
    "secrets": _columns("*Name", "Type", "Data", "Age"),
    "serviceaccounts": _columns("*Name", "Age"),
    "events": _columns(
        *("Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message"),
        *("+First Seen", "+Count", "*+Name"),
    ),
    "resourcequotas": _columns("*Name", "Request", "Limit", "Age"),
    "apps/statefulsets": _columns("*Name", "Ready", "Age", "+Containers", "+Images"),
    "apps/controllerrevisions": _columns("*Name", "Controller", "Revision", "Age"),
    "autoscaling/horizontalpodautoscalers": _columns(
        "*Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"
    ),
    "coordination.k8s.io/leases": _columns("*Name", "Holder", "Age"),
    "discovery.k8s.io/endpointslices": _columns("*Name", "AddressType", "Ports", "Endpoints", "Age"),
    "networking.k8s.io/networkpolicies": _columns("*Name", "Pod-Selector", "Age"),
    "policy/poddisruptionbudgets": _columns(
        "*Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"
    ),
    "scheduling.k8s.io/priorityclasses": _columns(
        "*Name", "Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"
    ),
    "storage.k8s.io/storageclasses": _columns(
        "*Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"
    ),
}
