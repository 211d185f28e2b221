"""The kinds that a rehearsal serves, as the API server's discovery names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API. ``short`` and ``categories`` are what kubectl accepts in its place."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.group}/{self.plural}" if self.group else self.plural)

    @property
    def api_version(self) -> str:
        """What an object of the kind says as its apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The name for one."""
        return self.kind.lower()

    @property
    def qualified(self) -> str:
        """How the API server's messages name the resource: statefulsets.apps, pods."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """How the API server's messages name the kind: StatefulSet.apps, Pod."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


def _kind(
    api_version: str,
    kind: str,
    plural: str,
    *subresources: str,
    namespaced: bool = True,
    short: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
) -> Kind:
    group, _, version = api_version.rpartition("/")
    return Kind(group, version, kind, plural, namespaced, short, frozenset(subresources), categories)


NAMESPACES = _kind("v1", "Namespace", "namespaces", "status", "finalize", namespaced=False, short=("ns",))
NODES = _kind("v1", "Node", "nodes", "status", namespaced=False, short=("no",))
VOLUMES = _kind("v1", "PersistentVolume", "persistentvolumes", "status", namespaced=False, short=("pv",))
PODS = _kind(
    "v1",
    "Pod",
    "pods",
    *("status", "binding", "eviction", "log", "exec", "attach", "portforward"),
    short=("po",),
    categories=("all",),
)
CLAIMS = _kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "status", short=("pvc",))
SERVICES = _kind("v1", "Service", "services", "status", short=("svc",), categories=("all",))
ENDPOINTS = _kind("v1", "Endpoints", "endpoints", short=("ep",))
CONFIG_MAPS = _kind("v1", "ConfigMap", "configmaps", short=("cm",))
SECRETS = _kind("v1", "Secret", "secrets")
SERVICE_ACCOUNTS = _kind("v1", "ServiceAccount", "serviceaccounts", short=("sa",))
EVENTS = _kind("v1", "Event", "events", short=("ev",))
QUOTAS = _kind("v1", "ResourceQuota", "resourcequotas", "status", short=("quota",))
STATEFUL_SETS = _kind("apps/v1", "StatefulSet", "statefulsets", "status", "scale", short=("sts",), categories=("all",))
REVISIONS = _kind("apps/v1", "ControllerRevision", "controllerrevisions")
AUTOSCALERS = _kind(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    "status",
    short=("hpa",),
    categories=("all",),
)
LEASES = _kind("coordination.k8s.io/v1", "Lease", "leases")
SLICES = _kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
POLICIES = _kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", short=("netpol",))
BUDGETS = _kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "status", short=("pdb",))
PRIORITY_CLASSES = _kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False, short=("pc",))
CLASSES = _kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False, short=("sc",))

KINDS: tuple[Kind, ...] = (
    *(NAMESPACES, NODES, VOLUMES, PODS, CLAIMS, SERVICES, ENDPOINTS, CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, EVENTS),
    *(QUOTAS, STATEFUL_SETS, REVISIONS, AUTOSCALERS, LEASES, SLICES, POLICIES, BUDGETS, PRIORITY_CLASSES, CLASSES),
)

_BY_KEY: Mapping[str, Kind] = {kind.key: kind for kind in KINDS}
_BY_PATH: Mapping[tuple[str, str, str], Kind] = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_NAME: Mapping[tuple[str, str], Kind] = {(kind.api_version, kind.kind): kind for kind in KINDS}


def by_key(key: str) -> Kind:
    """The kind with this ``key``; KeyError where there is none."""
    return _BY_KEY[key]


def find(group: str, version: str, plural: str) -> Kind | None:
    """The kind under a path of the API."""
    return _BY_PATH.get((group, version, plural))


def of(body: Mapping[str, Any]) -> Kind | None:
    """The kind that an object says it is of."""
    return _BY_NAME.get((str(body.get("apiVersion")), str(body.get("kind"))))
