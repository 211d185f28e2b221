"""Objects to begin with, one small and right one for each kind, and how to change them for a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.jsontree import clone
from berth.rehearsal.kinds import Kind

#: In the place of a value: the field goes.
GONE = object()
#: The namespace that objects in the table live in; the recorder has one of its own.
NAMESPACE = "rules"


def edited(obj: Json, edits: Mapping[str, Any]) -> Json:
    """A copy in which the values at the paths (``spec/template/spec/containers/0/image``) are others."""
    new: Json = clone(obj)
    for path, value in edits.items():
        *steps, last = path.split("/")
        inner: Any = new
        for step in steps:
            if isinstance(inner, list):
                inner = inner[int(step)]
            else:
                inner = inner.setdefault(step, {})
        if isinstance(inner, list):
            if int(last) == len(inner):
                inner.append(value)
            else:
                inner[int(last)] = value
        elif value is GONE:
            inner.pop(last, None)
        else:
            inner[last] = value
    return new


def _of(kind: Kind, **fields: Any) -> Json:
    meta = {"name": "x"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **fields}


CONTAINER: Json = {"name": "c", "image": "nginx:1"}
TEMPLATE: Json = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [CONTAINER]}}
CLAIM_SPEC: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
DRIVER: Json = {"driver": "csi.example.com", "volumeHandle": "v1"}

BASES: dict[Kind, Json] = {
    kinds.NAMESPACES: _of(kinds.NAMESPACES),
    kinds.NODES: _of(kinds.NODES),
    kinds.VOLUMES: _of(
        kinds.VOLUMES, spec={"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "csi": DRIVER}
    ),
    kinds.PODS: _of(
        kinds.PODS,
        spec={"containers": [CONTAINER], "automountServiceAccountToken": False, "schedulerName": "nobody"},
    ),
    kinds.CLAIMS: _of(kinds.CLAIMS, spec=CLAIM_SPEC),
    kinds.SERVICES: _of(kinds.SERVICES, spec={"selector": {"app": "x"}, "ports": [{"port": 80}]}),
    kinds.ENDPOINTS: _of(kinds.ENDPOINTS, subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]),
    kinds.CONFIG_MAPS: _of(kinds.CONFIG_MAPS, data={"key": "value"}),
    kinds.SECRETS: _of(kinds.SECRETS, data={"key": "dmFsdWU="}),
    kinds.SERVICE_ACCOUNTS: _of(kinds.SERVICE_ACCOUNTS),
    kinds.EVENTS: _of(kinds.EVENTS, involvedObject={"kind": "Pod", "name": "x", "namespace": NAMESPACE}, reason="R"),
    kinds.QUOTAS: _of(kinds.QUOTAS, spec={"hard": {"pods": "10"}}),
    kinds.STATEFUL_SETS: _of(
        kinds.STATEFUL_SETS,
        spec={"serviceName": "x", "selector": {"matchLabels": {"app": "x"}}, "template": TEMPLATE},
    ),
    kinds.REVISIONS: _of(kinds.REVISIONS, revision=1, data={"spec": {}}),
    kinds.AUTOSCALERS: _of(
        kinds.AUTOSCALERS,
        spec={"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x"}},
    ),
    kinds.LEASES: _of(kinds.LEASES, spec={"holderIdentity": "me", "leaseDurationSeconds": 15}),
    kinds.SLICES: _of(
        kinds.SLICES,
        addressType="IPv4",
        endpoints=[{"addresses": ["10.0.0.1"]}],
        ports=[{"name": "web", "port": 80}],
    ),
    kinds.POLICIES: _of(kinds.POLICIES, spec={"podSelector": {"matchLabels": {"app": "x"}}}),
    kinds.BUDGETS: _of(kinds.BUDGETS, spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}),
    kinds.PRIORITY_CLASSES: _of(kinds.PRIORITY_CLASSES, value=5),
    kinds.CLASSES: _of(kinds.CLASSES, provisioner="never.example.com"),
}


def base(kind: Kind) -> Json:
    """The object to begin with."""
    found: Json = clone(BASES[kind])
    return found
