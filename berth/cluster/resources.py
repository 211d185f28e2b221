"""Where the REST API keeps each kind: a table for the ordinary kinds, discovery for all others.

The path forms are those of https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from berth.core.errors import ClusterError, did_you_mean
from berth.core.objects import Json


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object as the API serves it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As manifests write it: apps/v1, v1."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of one object, or of the collection in a namespace (cluster-wide when that is "")."""
        text = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            text += f"/namespaces/{quote(namespace, safe='')}"
        text += f"/{self.plural}"
        if name:
            text += f"/{quote(name, safe='')}"
        return text + (f"/{subresource}" if subresource else "")


def _table(group: str, version: str, namespaced: bool, *kinds: str) -> list[Resource]:
    return [Resource(group, version, kind, _PLURALS.get(kind) or _plural(kind), namespaced) for kind in kinds]


def _plural(kind: str) -> str:
    word = kind.lower()
    if word.endswith("s"):
        return word + "es"
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + "s"


_PLURALS = {"Endpoints": "endpoints"}
_KNOWN = {
    (resource.group, resource.kind): resource
    for resource in (
        *_table("", "v1", True, "ConfigMap", "Endpoints", "Event", "LimitRange", "PersistentVolumeClaim", "Pod"),
        *_table(
            "",
            "v1",
            True,
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ),
        *_table("", "v1", False, "Namespace", "Node", "PersistentVolume"),
        *_table("apps", "v1", True, "ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
        *_table("autoscaling", "v2", True, "HorizontalPodAutoscaler"),
        *_table("batch", "v1", True, "CronJob", "Job"),
        *_table("coordination.k8s.io", "v1", True, "Lease"),
        *_table("discovery.k8s.io", "v1", True, "EndpointSlice"),
        *_table("networking.k8s.io", "v1", True, "Ingress", "NetworkPolicy"),
        *_table("networking.k8s.io", "v1", False, "IngressClass"),
        *_table("policy", "v1", True, "PodDisruptionBudget"),
        *_table("rbac.authorization.k8s.io", "v1", True, "Role", "RoleBinding"),
        *_table("rbac.authorization.k8s.io", "v1", False, "ClusterRole", "ClusterRoleBinding"),
        *_table("scheduling.k8s.io", "v1", False, "PriorityClass"),
        *_table("storage.k8s.io", "v1", True, "CSIStorageCapacity"),
        *_table("storage.k8s.io", "v1", False, "CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"),
        *_table("apiextensions.k8s.io", "v1", False, "CustomResourceDefinition"),
    )
}


def plural(group: str, kind: str) -> str:
    """The resource that serves a kind, as permissions and paths name it; by the ordinary rule for unknown kinds."""
    known = _KNOWN.get((group, kind))
    return known.plural if known is not None else _plural(kind)


class Resources:
    """Looks kinds up; what discovery found is kept for the life of the process."""

    def __init__(self, get: Callable[[str], Json | None]) -> None:
        """``get`` reads a path of the API, None when it does not exist."""
        self._get = get
        self._lock = threading.Lock()
        self._served: dict[tuple[str, str], dict[str, Resource]] = {}
        self._preferred: dict[str, str] = {}

    def find(self, api_version: str, kind: str) -> Resource:
        """The resource of a manifest's apiVersion and kind.

        Raises:
            ClusterError: the cluster does not serve it.
        """
        group, _, version = api_version.rpartition("/")
        known = _KNOWN.get((group, kind))
        if known is not None and known.version == version:
            return known
        served = self._serves(group, version)
        if kind not in served:
            raise ClusterError(
                f"the cluster does not know {kind} in {api_version}",
                why="" if served else f"it does not serve {api_version}",
                hint=did_you_mean(kind, served) or "a CustomResourceDefinition may have to be installed first",
            )
        return served[kind]

    def find_kind(self, group: str, kind: str) -> Resource:
        """The resource of a kind in the version that the server prefers.

        Raises:
            ClusterError: the cluster does not serve it.
        """
        known = _KNOWN.get((group, kind))
        if known is not None:
            return known
        return self.find(f"{group}/{self._preference(group)}" if group else "v1", kind)

    def _preference(self, group: str) -> str:
        with self._lock:
            if group not in self._preferred:
                found = self._get(f"/apis/{quote(group, safe='')}")
                if found is None:
                    raise ClusterError(f"the cluster does not serve the API group {group}")
                self._preferred[group] = str(found["preferredVersion"]["version"])
            return self._preferred[group]

    def _serves(self, group: str, version: str) -> dict[str, Resource]:
        with self._lock:
            if (group, version) not in self._served:
                path = (
                    f"/apis/{quote(group, safe='')}/{quote(version, safe='')}"
                    if group
                    else f"/api/{quote(version, safe='')}"
                )
                found = self._get(path)
                if found is None:
                    return {}
                self._served[group, version] = {
                    item["kind"]: Resource(group, version, item["kind"], item["name"], bool(item["namespaced"]))
                    for item in found.get("resources", ())
                    # Subresources (statefulsets/scale) repeat a kind; the object itself has no slash.
                    if "/" not in item["name"]
                }
            return self._served[group, version]
