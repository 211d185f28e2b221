"""Changes to objects that are there already, those that the server takes and those that it refuses."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.kinds import Kind
from tests.unit.rehearsal.rules.objects import CONTAINER, GONE, base, edited

Edits = dict[str, Any]

_CLASS = "rules-manual"
_GATE: Edits = {
    "spec/schedulingGates": [{"name": "example.com/a"}, {"name": "example.com/b"}],
    "spec/nodeSelector": {"a": "b"},
    "spec/affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["a"]}]}]
            }
        }
    },
}
_TERMS = "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms"

#: Objects that the recorder makes for real, by the name they get: the kind, and what is not as in the smallest one.
LIVE: dict[str, tuple[Kind, Edits]] = {
    "set": (
        kinds.STATEFUL_SETS,
        {
            "spec/replicas": 0,
            "spec/volumeClaimTemplates": [
                {"metadata": {"name": "data"}, "spec": base(kinds.CLAIMS)["spec"] | {"storageClassName": _CLASS}}
            ],
        },
    ),
    "claim": (kinds.CLAIMS, {"spec/storageClassName": _CLASS}),
    "bare-claim": (kinds.CLAIMS, {"spec/storageClassName": ""}),
    "bound-claim": (kinds.CLAIMS, {"spec/storageClassName": _CLASS, "spec/volumeName": "rules-bound-volume"}),
    "rules-bound-volume": (
        kinds.VOLUMES,
        {
            "spec/csi": GONE,
            "spec/hostPath": {"path": "/tmp/rules"},
            "spec/storageClassName": _CLASS,
            "spec/claimRef": {"namespace": "rules", "name": "bound-claim"},
        },
    ),
    "rules-volume": (
        kinds.VOLUMES,
        {
            "spec/storageClassName": _CLASS,
            "spec/nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "Exists"}]}]}
            },
        },
    ),
    "rules-class": (kinds.CLASSES, {"parameters": {"a": "b"}}),
    "service": (kinds.SERVICES, {}),
    "headless": (kinds.SERVICES, {"spec/clusterIP": "None"}),
    "balancer": (kinds.SERVICES, {"spec/type": "LoadBalancer", "spec/loadBalancerClass": "example.com/a"}),
    "secret": (kinds.SECRETS, {}),
    "locked-secret": (kinds.SECRETS, {"immutable": True}),
    "config": (kinds.CONFIG_MAPS, {"metadata/labels": {"a": "b"}}),
    "locked-config": (kinds.CONFIG_MAPS, {"immutable": True}),
    "pod": (
        kinds.PODS,
        {
            "spec/initContainers": [{**CONTAINER, "name": "i"}],
            "spec/tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
        },
    ),
    "ending-pod": (kinds.PODS, {"spec/activeDeadlineSeconds": 100}),
    "gated-pod": (kinds.PODS, _GATE),
    "budget": (kinds.BUDGETS, {}),
    "policy": (kinds.POLICIES, {}),
    "quota": (kinds.QUOTAS, {"spec/scopes": ["NotBestEffort"]}),
    "rules-priority": (kinds.PRIORITY_CLASSES, {}),
    "revision": (kinds.REVISIONS, {}),
    "slice": (kinds.SLICES, {}),
    "autoscaler": (kinds.AUTOSCALERS, {"spec/scaleTargetRef/name": "nothing"}),
    "lease": (kinds.LEASES, {}),
    "account": (kinds.SERVICE_ACCOUNTS, {}),
    "rules-node": (kinds.NODES, {"spec": {"podCIDR": "10.200.0.0/24", "providerID": "p://n", "unschedulable": True}}),
}

_METADATA: list[Edits] = [
    {"metadata/labels": {"a": "c"}},
    {"metadata/labels": {"bad key": "v"}},
    {"metadata/labels": {"a": "bad value"}},
    {"metadata/annotations": {"bad key": "v"}},
    {"metadata/finalizers": ["noslash"]},
    {"metadata/finalizers": ["example.com/ok"]},
    {"metadata/ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "", "uid": ""}]},
    {"metadata/generation": 50},
    {"metadata/deletionTimestamp": "2026-01-01T00:00:00Z"},
]

_UPDATES: dict[str, list[Edits]] = {
    "set": [
        {"spec/replicas": 1},
        {"spec/replicas": -1},
        {"spec/template/spec/containers/0/image": "nginx:2"},
        {"spec/template/spec/containers/0/image": ""},
        {"spec/template/metadata/labels": {"app": "other"}},
        {"spec/updateStrategy": {"type": "OnDelete"}, "spec/minReadySeconds": 5, "spec/ordinals": {"start": 1}},
        {"spec/revisionHistoryLimit": 3, "spec/persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}},
        {"spec/serviceName": "other"},
        {"spec/serviceName": "Upper"},
        {"spec/podManagementPolicy": "Parallel"},
        {"spec/podManagementPolicy": "Odd"},
        {"spec/selector": {"matchLabels": {"app": "x", "b": "c"}}},
        {"spec/volumeClaimTemplates": []},
        {"spec/volumeClaimTemplates/0/spec/resources/requests/storage": "2Gi"},
        {"spec/volumeClaimTemplates/0/metadata/labels": {"a": "b"}},
        {"spec/volumeClaimTemplates/0/spec/accessModes": []},
        {"spec/serviceName": "other", "spec/replicas": -1},
        {"metadata/labels": {"bad key": "v"}},
    ],
    "claim": [
        {"metadata/labels": {"a": "b"}},
        {"spec/resources/requests/storage": "500Mi"},
        {"spec/resources/requests/storage": "0"},
        {"spec/resources/requests/storage": "1024Mi"},
        {"spec/storageClassName": "other"},
        {"spec/storageClassName": GONE},
        {"spec/accessModes": ["ReadWriteMany"]},
        {"spec/volumeMode": "Block"},
        {"spec/volumeName": "some"},
        {"spec/selector": {"matchLabels": {"a": "b"}}},
        {"metadata/annotations": {"volume.beta.kubernetes.io/storage-class": "x"}},
    ],
    "bare-claim": [{"spec/storageClassName": "other"}],
    "bound-claim": [
        {"spec/resources/requests/storage": "500Mi"},
        {"spec/resources/requests/storage": "2Gi", "spec/accessModes": ["ReadWriteMany"]},
        {"spec/resources/requests/memory": "1Gi"},
        {"spec/volumeName": "other"},
        {"spec/volumeName": GONE},
        {"spec/storageClassName": "other", "spec/volumeMode": "Block"},
    ],
    "rules-volume": [
        {"spec/capacity/storage": "2Gi"},
        {"spec/persistentVolumeReclaimPolicy": "Delete"},
        {"spec/csi/volumeHandle": "v2"},
        {"spec/csi/controllerExpandSecretRef": {"name": "a", "namespace": "b"}},
        {"spec/csi": GONE, "spec/hostPath": {"path": "/tmp"}},
        {"spec/volumeMode": "Block"},
        {"spec/nodeAffinity": GONE},
        {"spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/key": "y"},
        {"spec/storageClassName": "other"},
    ],
    "rules-class": [
        {"allowVolumeExpansion": True},
        {"parameters": {"a": "c"}},
        {"parameters": GONE},
        {"provisioner": "other.example.com"},
        {"reclaimPolicy": "Retain"},
        {"volumeBindingMode": "WaitForFirstConsumer"},
        {"reclaimPolicy": "Odd"},
        {"metadata/annotations": {"storageclass.kubernetes.io/is-default-class": "false"}},
    ],
    "service": [
        {"spec/ports": [{"port": 81}]},
        {"spec/selector": {"app": "y"}},
        {"spec/clusterIP": "10.96.200.200", "spec/clusterIPs": ["10.96.200.200"]},
        {"spec/clusterIP": "None", "spec/clusterIPs": ["None"]},
        {"spec/ports": []},
        {"spec/sessionAffinity": "Odd"},
    ],
    "headless": [
        {"spec/clusterIP": "10.96.200.200", "spec/clusterIPs": ["10.96.200.200"]},
        {"spec/publishNotReadyAddresses": True},
        {"spec/ports": []},
    ],
    "balancer": [
        {"spec/loadBalancerClass": "example.com/b"},
        {"spec/loadBalancerClass": GONE},
        {"spec/externalTrafficPolicy": "Odd"},
    ],
    "secret": [
        {"data": {"key": "YQ=="}},
        {"type": "kubernetes.io/tls"},
        {"immutable": True},
        {"data": {"bad key": "YQ=="}},
    ],
    "locked-secret": [
        {"data": {"key": "YQ=="}},
        {"immutable": False},
        {"immutable": GONE, "data": GONE},
        {"metadata/labels": {"a": "b"}},
        {"stringData": {"key": "other"}},
    ],
    "config": [*_METADATA, {"data": {"bad key": "v"}}],
    "locked-config": [
        {"data": {"key": "other"}},
        {"binaryData": {"b": "YQ=="}},
        {"immutable": GONE},
        {"metadata/labels": {"a": "b"}},
    ],
    "pod": [
        {"spec/containers/0/image": "nginx:2", "spec/initContainers/0/image": "nginx:3"},
        {"spec/containers/0/image": ""},
        {"spec/containers/0/image": " spaced "},
        {"spec/containers/0/command": ["run"]},
        {"spec/containers/0/resources": {"requests": {"cpu": "1"}}},
        {"spec/containers/1": {**CONTAINER, "name": "more"}},
        {"spec/initContainers": GONE},
        {"spec/activeDeadlineSeconds": 50},
        {"spec/activeDeadlineSeconds": 0},
        {"spec/terminationGracePeriodSeconds": 5},
        {"spec/tolerations/0/tolerationSeconds": 50},
        {"spec/tolerations/0/key": "other"},
        {"spec/tolerations": [{"operator": "Exists"}]},
        {"spec/nodeSelector": {"a": "b"}},
        {"spec/hostNetwork": True},
        {"spec/schedulingGates": [{"name": "example.com/new"}]},
        {"spec/volumes": [{"name": "v"}]},
        {"spec/securityContext": {"runAsUser": 5}},
        {"metadata/labels": {"a": "b"}},
        {"spec/priority": 5},
    ],
    "ending-pod": [
        {"spec/activeDeadlineSeconds": 50},
        {"spec/activeDeadlineSeconds": 500},
        {"spec/activeDeadlineSeconds": GONE},
    ],
    "gated-pod": [
        {"spec/schedulingGates": [{"name": "example.com/a"}]},
        {"spec/schedulingGates": [{"name": "example.com/a"}, {"name": "example.com/c"}]},
        {"spec/nodeSelector": {"a": "b", "c": "d"}},
        {"spec/nodeSelector": {"a": "c"}},
        {f"{_TERMS}/0/matchExpressions/1": {"key": "y", "operator": "Exists"}},
        {f"{_TERMS}/0/matchExpressions/0/values": ["b"]},
        {f"{_TERMS}/1": {"matchExpressions": [{"key": "y", "operator": "Exists"}]}},
        {"spec/hostNetwork": True},
    ],
    "budget": [
        {"spec/minAvailable": 2},
        {"spec/minAvailable": "150%"},
        {"spec/selector": {"matchLabels": {"a": "b"}}},
    ],
    "policy": [{"spec/policyTypes": ["Egress"]}, {"spec/policyTypes": ["Odd"]}],
    "quota": [
        {"spec/hard": {"pods": "5"}},
        {"spec/hard": {"pods": "-5"}},
        {"spec/scopes": ["BestEffort"]},
        {"spec/scopes": GONE},
    ],
    "rules-priority": [{"value": 6}, {"preemptionPolicy": "Never"}, {"description": "d"}, {"globalDefault": True}],
    "revision": [{"revision": 2}, {"data": {"spec": {"a": 1}}}, {"revision": -1}],
    "slice": [
        {"endpoints": [{"addresses": ["10.0.0.2"]}]},
        {"addressType": "IPv6"},
        {"endpoints": [{"addresses": ["nowhere"]}]},
    ],
    "autoscaler": [{"spec/maxReplicas": 5}, {"spec/maxReplicas": 0}],
    "lease": [{"spec/holderIdentity": "you"}, {"spec/leaseDurationSeconds": -1}],
    "account": [{"automountServiceAccountToken": False}, {"metadata/labels": {"bad key": "v"}}],
    "rules-node": [
        {"spec/unschedulable": GONE},
        {"spec/podCIDR": "10.201.0.0/24", "spec/podCIDRs": ["10.201.0.0/24"]},
        {"spec/providerID": "p://other"},
        {"spec/taints": [{"key": "a", "effect": "Odd"}]},
    ],
}

#: Changes to the status, as controllers make them.
_STATUSES: dict[str, list[Edits]] = {
    "set": [
        {"status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3}},
        {"status": {"replicas": -1}},
        {"status": {"replicas": 2, "readyReplicas": 2, "observedGeneration": 1}},
    ],
    "service": [{"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}],
    "claim": [{"status/capacity": {"storage": "-1"}}],
    "budget": [{"status/disruptionsAllowed": -1}],
    "quota": [{"status": {"hard": {"pods": "-1"}, "used": {"odd": "1"}}}],
    "autoscaler": [{"status": {"currentReplicas": -1, "desiredReplicas": -2, "currentMetrics": None}}],
}


def live(name: str, namespace: str) -> Json:
    """An object that the recorder makes."""
    kind, edits = LIVE[name]
    body = edited(base(kind), edits)
    body["metadata"]["name"] = name
    if kind is kinds.VOLUMES and "claimRef" in body["spec"]:
        body["spec"]["claimRef"]["namespace"] = namespace
    return body


def _named() -> dict[str, tuple[str, str, Edits]]:
    from tests.unit.rehearsal.rules.refusals import key_of

    found: dict[str, tuple[str, str, Edits]] = {}
    for subresource, table in (("", _UPDATES), ("status", _STATUSES)):
        for name, several in table.items():
            for edits in several:
                case = key_of(LIVE[name][0], edits).partition(" ")[2]
                found[f"{name}{'/' if subresource else ''}{subresource} {case}"] = (name, subresource, edits)
    return found


#: Every case by its name: the object, the subresource, what is changed.
UPDATES: dict[str, tuple[str, str, Edits]] = _named()
