"""New objects that the server refuses, each one the right object of its kind with something changed."""

from __future__ import annotations

import json

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.kinds import Kind
from tests.unit.rehearsal.rules.objects import BASES, DRIVER, GONE, base, edited
from tests.unit.rehearsal.rules.refused_sets import SETS, Edits

_LONG = "a" * 64

#: Metadata, wrong in every way, for a kind whose names are DNS names.
_METADATA: list[Edits] = [
    {"metadata/name": "Upper"},
    {"metadata/name": "under_score"},
    {"metadata/name": "a" * 254},
    {"metadata/name": "-a"},
    {"metadata/name": "a..b"},
    {"metadata/generateName": "Upper-"},
    {"metadata/name": GONE},
    {"metadata/labels": {"bad key": "v"}},
    {"metadata/labels": {"a/b/c": "v"}},
    {"metadata/labels": {"/a": "v"}},
    {"metadata/labels": {"Up.per/a": "v"}},
    {"metadata/labels": {"a/": "v"}},
    {"metadata/labels": {_LONG: "v"}},
    {"metadata/labels": {"a" * 254 + "/a": "v"}},
    {"metadata/labels": {"": "v"}},
    {"metadata/labels": {"k": "bad value"}},
    {"metadata/labels": {"k": _LONG}},
    {"metadata/labels": {"k": "-a"}},
    {"metadata/annotations": {"bad key": "v"}},
    {"metadata/annotations": {"Upper.case/KEY": "any value at all"}},
    {"metadata/annotations": {"a": "x" * (256 * 1024)}},
    {"metadata/finalizers": ["noslash"]},
    {"metadata/finalizers": ["bad finalizer/x y"]},
    {"metadata/finalizers": ["orphan", "foregroundDeletion"]},
    {"metadata/ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "", "uid": ""}]},
    {"metadata/ownerReferences": [{"apiVersion": "", "kind": "Pod", "name": "p", "uid": "u"}]},
    {"metadata/ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "p", "uid": "u"}]},
    {
        "metadata/ownerReferences": [
            {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True} for name in "ab"
        ]
    },
    {"metadata/generation": -1},
]
_PODS: list[Edits] = [
    {"metadata/name": "Upper"},
    {"spec/containers/0/image": " spaced "},
    {"spec/containers": []},
    {"spec/ephemeralContainers": [{"name": "debug", "image": "i"}]},
    {"spec/nodeName": "n", "spec/schedulingGates": [{"name": "a"}]},
    {"spec/restartPolicy": "Sometimes"},
    {"spec/terminationGracePeriodSeconds": 5, "spec/activeDeadlineSeconds": 0},
    {"metadata/annotations": {"controller.kubernetes.io/pod-deletion-cost": "much"}},
    {"spec/volumes": [{"name": "a", "image": {"reference": ""}}]},
    {"spec/hostNetwork": True, "spec/containers/0/ports": [{"containerPort": 1, "hostPort": 2}]},
    {"spec/resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}},
]
_CLAIMS: list[Edits] = [
    {"metadata/name": "Upper"},
    {"spec": {}},
    {"spec/accessModes": ["ReadWriteOnce", "Odd"]},
    {"spec/accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]},
    {"spec/resources/requests/storage": "0"},
    {"spec/resources/requests/storage": "-1Gi"},
    {"spec/resources": {"requests": {"memory": "1Gi"}}},
    {"spec/storageClassName": "Upper Case"},
    {"spec/volumeMode": "Odd"},
    {"spec/selector": {"matchLabels": {"bad key": "v"}}},
    {"spec/dataSource": {"kind": "PersistentVolumeClaim", "name": ""}},
    {"spec/dataSourceRef": {"kind": "Odd", "name": "a"}},
    {"spec/dataSourceRef": {"apiGroup": "Bad Group", "kind": "Odd", "name": ""}},
    {
        "spec/dataSource": {"kind": "PersistentVolumeClaim", "name": "a"},
        "spec/dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "b"},
    },
    {"spec/volumeAttributesClassName": "Upper"},
]
_VOLUMES: list[Edits] = [
    {"spec": {}},
    {"spec/accessModes": ["Odd"]},
    {"spec/capacity": {"memory": "1Gi"}},
    {"spec/capacity": {"storage": "-1"}},
    {"spec/capacity": {"storage": "0"}},
    {"spec/csi": {"driver": "", "volumeHandle": ""}},
    {"spec/csi": {**DRIVER, "driver": "a" * 64}},
    {"spec/csi": {**DRIVER, "nodePublishSecretRef": {"name": ""}}},
    {"spec/hostPath": {"path": "/a"}},
    {"spec/csi": GONE, "spec/hostPath": {"path": "/../a"}},
    {"spec/csi": GONE, "spec/hostPath": {"path": "/"}, "spec/persistentVolumeReclaimPolicy": "Recycle"},
    {"spec/csi": GONE, "spec/local": {"path": "/a"}},
    {"spec/csi": GONE, "spec/nfs": {"server": "", "path": ""}},
    {"spec/persistentVolumeReclaimPolicy": "Odd"},
    {"spec/storageClassName": "Upper"},
    {"spec/volumeMode": "Odd"},
    {"spec/nodeAffinity": {}},
    {"spec/nodeAffinity": {"required": {"nodeSelectorTerms": []}}},
    {"spec/volumeAttributesClassName": ""},
    {"metadata/annotations": {"volume.beta.kubernetes.io/mount-options": "ro"}},
]
_CLASSES: list[Edits] = [
    {"provisioner": ""},
    {"provisioner": "bad provisioner"},
    {"reclaimPolicy": "Recycle"},
    {"volumeBindingMode": "Later"},
    {"parameters": {"": "v"}},
    {"allowedTopologies": [{"matchLabelExpressions": [{"key": "bad key", "values": []}]}]},
    {"allowedTopologies": [{"matchLabelExpressions": [{"key": "a", "values": ["b", "b"]}]}] * 2},
]
_SERVICES: list[Edits] = [
    {"metadata/name": "Upper"},
    {"metadata/name": "a.b"},
    {"spec/ports": []},
    {"spec/ports": [{"port": 0}]},
    {"spec/ports": [{"port": 80, "targetPort": 70000}]},
    {"spec/ports": [{"port": 80, "targetPort": "Bad_Name"}]},
    {"spec/ports": [{"port": 80, "protocol": "ICMP"}]},
    {"spec/ports": [{"port": 80, "name": "Upper"}]},
    {"spec/ports": [{"port": 80}, {"port": 81}]},
    {"spec/ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
    {"spec/ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
    {"spec/ports": [{"port": 80, "nodePort": 30000}]},
    {"spec/ports": [{"port": 80, "appProtocol": "bad protocol"}]},
    {"spec/type": "Odd"},
    {"spec/type": "ExternalName"},
    {"spec/type": "ExternalName", "spec/externalName": "Bad Name", "spec/clusterIP": "None"},
    {"spec/type": "NodePort", "spec/clusterIP": "None"},
    {"spec/type": "LoadBalancer", "spec/clusterIP": "None"},
    {"spec/clusterIP": "nowhere"},
    {"spec/clusterIP": "None", "spec/clusterIPs": ["None", "10.96.0.7"]},
    {"spec/clusterIPs": ["10.96.0.7"]},
    {"spec/clusterIP": "10.96.0.8", "spec/clusterIPs": ["10.96.0.7"]},
    {"spec/ipFamilies": ["IPv5"]},
    {"spec/ipFamilies": ["IPv4", "IPv4"]},
    {"spec/ipFamilyPolicy": "Odd"},
    {"spec/selector": {"bad key": "v"}},
    {"spec/sessionAffinity": "Odd"},
    {"spec/sessionAffinity": "ClientIP", "spec/sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
    {"spec/externalIPs": ["nowhere"]},
    {"spec/externalIPs": ["127.0.0.1"]},
    {"spec/externalIPs": ["0.0.0.0", "169.254.1.1", "224.0.0.5"]},
    {"spec/externalTrafficPolicy": "Local"},
    {"spec/type": "NodePort", "spec/externalTrafficPolicy": "Odd"},
    {"spec/internalTrafficPolicy": "Odd"},
    {"spec/trafficDistribution": "Odd"},
    {"spec/healthCheckNodePort": 30000},
    {"spec/loadBalancerSourceRanges": ["10.0.0.0/8"]},
    {"spec/type": "LoadBalancer", "spec/loadBalancerSourceRanges": ["nowhere", "10.0.0.1/8", "010.0.0.0/8"]},
    {"spec/loadBalancerClass": "a.b/c"},
    {"spec/type": "LoadBalancer", "spec/loadBalancerClass": "bad class"},
    {"spec/allocateLoadBalancerNodePorts": True},
]
_SECRETS: list[Edits] = [
    {"data": {"bad key": "YQ=="}},
    {"data": {"..": "YQ=="}},
    {"data": {"..a": "YQ=="}},
    {"data": {"a" * 254: "YQ=="}},
    {"data": {"big": "YWFh" * 400_000}},
    {"type": "kubernetes.io/tls"},
    {"type": "kubernetes.io/basic-auth"},
    {"type": "kubernetes.io/ssh-auth"},
    {"type": "kubernetes.io/service-account-token"},
    {"type": "kubernetes.io/dockerconfigjson"},
    {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "x"}},
    {"type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": "[]"}},
    {"type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": ""}},
]
_CONFIG_MAPS: list[Edits] = [
    *_METADATA,
    {"data": {"bad key": "v"}},
    {"data": {"..": "v"}},
    {"data": {"a": "v"}, "binaryData": {"a": "YQ=="}},
    {"binaryData": {"bad key": "YQ=="}},
    {"data": {"big": "x" * (1024 * 1024 + 1)}},
]
_POLICIES: list[Edits] = [
    {"spec/podSelector": {"matchLabels": {"bad key": "v"}}},
    {"spec/policyTypes": ["Odd"]},
    {"spec/policyTypes": ["Ingress", "Egress", "Ingress"]},
    {"spec/ingress": [{"ports": [{"port": 0, "protocol": "ICMP"}]}]},
    {"spec/ingress": [{"ports": [{"port": "Bad_Name", "endPort": 5}]}]},
    {"spec/ingress": [{"ports": [{"port": 80, "endPort": 5}]}]},
    {"spec/ingress": [{"ports": [{"endPort": 5}]}]},
    {"spec/ingress": [{"from": [{}]}]},
    {"spec/ingress": [{"from": [{"ipBlock": {"cidr": ""}}]}]},
    {"spec/ingress": [{"from": [{"ipBlock": {"cidr": "nowhere"}, "podSelector": {}}]}]},
    {"spec/egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16", "10.0.0.0/8", "x"]}}]}]},
]
_BUDGETS: list[Edits] = [
    {"spec/maxUnavailable": 1},
    {"spec/minAvailable": -1},
    {"spec/minAvailable": "half"},
    {"spec/minAvailable": "150%"},
    {"spec/selector": {"matchLabels": {"bad key": "v"}}},
    {"spec/unhealthyPodEvictionPolicy": "Odd"},
    {"metadata/name": "a%b"},
    {"metadata/labels": {"bad key": "v"}},
]
_QUOTAS: list[Edits] = [
    {"spec/hard": {"pods": "-1"}},
    {"spec/hard": {"pods": "500m"}},
    {"spec/hard": {"things": "1"}},
    {"spec/hard": {"bad name!": "1"}},
    {"spec/scopes": ["Odd"]},
    {"spec/scopes": ["BestEffort", "NotBestEffort"]},
    {"spec/hard": {"services": "1"}, "spec/scopes": ["Terminating"]},
    {"spec/scopeSelector": {"matchExpressions": [{"scopeName": "BestEffort", "operator": "In"}]}},
    {
        "spec/scopeSelector": {
            "matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]}]
        }
    },
    {"spec/scopeSelector": {"matchExpressions": [{"scopeName": "Odd", "operator": "Odd"}]}},
]
_AUTOSCALERS: list[Edits] = [
    {"spec": {}},
    {"spec/maxReplicas": -1},
    {"spec/minReplicas": 0},
    {"spec/minReplicas": 5},
    {"spec/scaleTargetRef": {"kind": "a/b", "name": "..", "apiVersion": "apps/v1"}},
    {"spec/scaleTargetRef/apiVersion": "v1"},
    {"spec/metrics": [{"type": "Odd"}]},
    {"spec/metrics": [{"type": "Resource"}]},
    {"spec/metrics": [{"type": "Resource", "resource": {"name": "", "target": {"type": ""}}}]},
    {
        "spec/metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Value", "averageValue": "-1"}}}
        ]
    },
    {"spec/metrics": [{"type": "Pods", "pods": {"metric": {"name": ""}, "target": {"type": "AverageValue"}}}]},
    {"spec/behavior": {"scaleUp": {"policies": [{"type": "Odd", "value": 0, "periodSeconds": 5000}]}}},
    {"spec/behavior": {"scaleDown": {"stabilizationWindowSeconds": 5000, "selectPolicy": "Odd"}}},
]
_SLICES: list[Edits] = [
    {"addressType": "Odd"},
    {"addressType": ""},
    {"endpoints": [{"addresses": []}]},
    {"endpoints": [{"addresses": ["nowhere"]}]},
    {"endpoints": [{"addresses": ["127.0.0.1"]}]},
    {"endpoints": [{"addresses": ["::1"]}]},
    {"endpoints": [{"addresses": ["10.0.0.1"], "hostname": "Upper", "nodeName": "Upper"}]},
    {"addressType": "FQDN"},
    {"addressType": "FQDN", "endpoints": [{"addresses": ["nodots"]}]},
    {"ports": [{"name": "Upper", "protocol": "ICMP"}]},
    {"ports": [{"name": "a"}, {"name": "a"}]},
]

REFUSALS: dict[Kind, list[Edits]] = {
    kinds.STATEFUL_SETS: SETS,
    kinds.PODS: _PODS,
    kinds.CLAIMS: _CLAIMS,
    kinds.VOLUMES: _VOLUMES,
    kinds.CLASSES: _CLASSES,
    kinds.SERVICES: _SERVICES,
    kinds.SECRETS: _SECRETS,
    kinds.CONFIG_MAPS: _CONFIG_MAPS,
    kinds.SERVICE_ACCOUNTS: [{"metadata/name": "Upper"}],
    kinds.POLICIES: _POLICIES,
    kinds.BUDGETS: _BUDGETS,
    kinds.QUOTAS: _QUOTAS,
    kinds.AUTOSCALERS: _AUTOSCALERS,
    kinds.SLICES: _SLICES,
    kinds.ENDPOINTS: [
        {"subsets": [{}]},
        {"subsets": [{"addresses": [{"ip": "nowhere"}], "ports": [{"port": 0, "protocol": "Odd"}]}]},
        {"subsets": [{"addresses": [{"ip": "127.0.0.1", "hostname": "Upper"}], "ports": [{"port": 1}, {"port": 2}]}]},
    ],
    kinds.PRIORITY_CLASSES: [
        {"value": 2_000_000_000},
        {"metadata/name": "system-odd"},
        {"metadata/name": "system-node-critical"},
        {"preemptionPolicy": "Odd"},
    ],
    kinds.LEASES: [
        {"spec/leaseDurationSeconds": 0, "spec/leaseTransitions": -1},
        {"metadata/name": "Upper"},
        {"metadata/finalizers": ["noslash"]},
    ],
    kinds.REVISIONS: [{"data": GONE}, {"revision": -1}, {"data": [1]}, {"metadata/name": "Upper"}],
    kinds.NAMESPACES: [
        {"metadata/name": "a.b"},
        {"metadata/name": "Upper"},
        {"spec": {"finalizers": ["noslash"]}},
    ],
    kinds.NODES: [
        {"metadata/name": "Upper"},
        {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}},
        {"spec": {"taints": [{"key": "bad key", "value": "bad value", "effect": ""}]}},
        {"status": {"capacity": {"pods": "500m"}}},
        {"status": {"capacity": {"cpu": "-1"}}},
    ],
    kinds.EVENTS: [
        {"involvedObject/namespace": "other"},
        {"eventTime": "2026-01-02T03:04:05.000000Z"},
        {"involvedObject": {}},
    ],
}


def key_of(kind: Kind, edits: Edits) -> str:
    """What a case is called in the record."""
    text = json.dumps({path: "(gone)" if value is GONE else value for path, value in edits.items()})
    return f"{kind.kind} {text if len(text) < 200 else text[:197] + '...'}"


#: Every case by its name: the kind, and the object as it is sent.
CASES: dict[str, tuple[Kind, Json]] = {
    key_of(kind, edits): (kind, edited(base(kind), edits)) for kind, found in REFUSALS.items() for edits in found
}

assert set(BASES) == set(REFUSALS), "a kind without a case"
