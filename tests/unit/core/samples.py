"""Objects as a real API server returns them, small, with what a test is about laid over them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from berth.core.errors import Position
from berth.core.objects import Json, Manifest

UID = "1b20b6ca-a874-4d51-9c80-57ae079890d0"
OLD, NEW = "web-68d45f6db8", "web-664889b478"


def table(text: str) -> list[Any]:
    """The cases of a YAML table, for ``parametrize(..., ids=name_of)``."""
    cases: list[Any] = yaml.safe_load(text)
    return cases


def name_of(case: Any) -> str | None:
    """The name of a case of a table."""
    return str(case["name"]) if isinstance(case, dict) and "name" in case else None


def over(base: Mapping[str, Any], changes: Mapping[str, Any] | None) -> Json:
    """A deep copy of ``base`` with ``changes`` laid over it: mappings merge, all else replaces, None removes."""
    result: Json = deepcopy(dict(base))
    for key, value in (changes or {}).items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = over(result[key], value)
        else:
            result[key] = deepcopy(value)
    return result


def statefulset(changes: Mapping[str, Any] | None = None) -> Json:
    """A set of three that is ready, with the defaults that the API server of Kubernetes 1.36 fills in."""
    return over(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "web", "namespace": "shop", "uid": UID, "generation": 1},
            "spec": {
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                "podManagementPolicy": "OrderedReady",
                "replicas": 3,
                "revisionHistoryLimit": 10,
                "selector": {"matchLabels": {"app": "web"}},
                "serviceName": "web",
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "nginx", "image": "nginx:1.29"}]},
                },
                "updateStrategy": {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"},
                "volumeClaimTemplates": [
                    {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        "metadata": {"name": "www"},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "1Gi"}},
                            "volumeMode": "Filesystem",
                        },
                        "status": {"phase": "Pending"},
                    }
                ],
            },
            "status": {
                "availableReplicas": 3,
                "collisionCount": 0,
                "currentReplicas": 3,
                "currentRevision": OLD,
                "observedGeneration": 1,
                "readyReplicas": 3,
                "replicas": 3,
                "updateRevision": OLD,
                "updatedReplicas": 3,
            },
        },
        changes,
    )


def pod(ordinal: int, changes: Mapping[str, Any] | None = None, *, revision: str = OLD, ready: bool = True) -> Json:
    """A pod of the set ``web``, running."""
    name = f"web-{ordinal}"
    state = {"running": {"startedAt": "2026-01-01T10:00:05Z"}}
    return over(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": f"uid-of-{name}",
                "labels": {"app": "web", "controller-revision-hash": revision},
                "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": UID, "controller": True}],
            },
            "spec": {"nodeName": "node-1", "containers": [{"name": "nginx", "image": "nginx:1.29"}]},
            "status": {
                "phase": "Running",
                "conditions": [
                    {"type": "PodScheduled", "status": "True"},
                    {
                        "type": "Ready",
                        "status": "True" if ready else "False",
                        "lastTransitionTime": "2026-01-01T10:00:10Z",
                    },
                ],
                "containerStatuses": [
                    {"name": "nginx", "image": "nginx:1.29", "ready": ready, "restartCount": 0, "state": state}
                ],
            },
        },
        changes,
    )


def waiting_pod(ordinal: int, reason: str, message: str = "", *, revision: str = OLD, **container: Any) -> Json:
    """A pod whose only container waits for a reason."""
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    status = {"name": "nginx", "image": "nginx:1.29", "ready": False, "restartCount": 0, "state": state, **container}
    return pod(ordinal, {"status": {"phase": "Pending", "containerStatuses": [status]}}, revision=revision, ready=False)


def claim(name: str, changes: Mapping[str, Any] | None = None, *, phase: str = "Bound", volume: str = "pv") -> Json:
    """A claim of 1Gi of class local-path, bound to ``volume`` unless ``phase`` says otherwise."""
    bound = {"volumeName": f"{volume}-{name}"} if phase == "Bound" else {}
    return over(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "local-path",
                "volumeMode": "Filesystem",
                **bound,
            },
            "status": {"phase": phase, **({"capacity": {"storage": "1Gi"}} if bound else {})},
        },
        changes,
    )


def event(about: Json, reason: str, message: str, time: str = "2026-01-01T10:00:00Z", **fields: Any) -> Json:
    """An event as controllers and kubelets write it."""
    meta = about["metadata"]
    involved = {"kind": about["kind"], "name": meta["name"], "namespace": "shop", "uid": meta.get("uid")}
    return {"reason": reason, "message": message, "involvedObject": involved, "lastTimestamp": time, **fields}


def storage_class(name: str, changes: Mapping[str, Any] | None = None) -> Json:
    """A class that deletes its volumes."""
    return over(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name, "annotations": {}},
            "provisioner": "rancher.io/local-path",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        changes,
    )


def simple(kind: str, name: str, changes: Mapping[str, Any] | None = None, namespace: str = "shop") -> Json:
    """An object of which only its identity matters."""
    versions = {
        "StatefulSet": "apps/v1",
        "Deployment": "apps/v1",
        "RoleBinding": "rbac.authorization.k8s.io/v1",
        "Role": "rbac.authorization.k8s.io/v1",
        "StorageClass": "storage.k8s.io/v1",
        "NetworkPolicy": "networking.k8s.io/v1",
        "PodDisruptionBudget": "policy/v1",
        "PriorityClass": "scheduling.k8s.io/v1",
        "Job": "batch/v1",
        "CronJob": "batch/v1",
    }
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return over({"apiVersion": versions.get(kind, "v1"), "kind": kind, "metadata": meta}, changes)


def manifest(body: Json, **fields: Any) -> Manifest:
    """A manifest at a line of a template."""
    return Manifest(body, Position("templates/web.yaml", 3), **fields)
