"""Objects whose form after the server's defaulting is compared: small ones, and ones that say much."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.kinds import Kind
from tests.unit.rehearsal.rules.objects import BASES, CLAIM_SPEC, CONTAINER, GONE, base, edited

_PROBE: Json = {"httpGet": {"port": "web"}, "initialDelaySeconds": 0}
_RICH_CONTAINER: Json = {
    "name": "rich",
    "image": "registry.example.com:5000/team/app",
    "command": ["run"],
    "args": [],
    "workingDir": "",
    "ports": [{"name": "web", "containerPort": 8080}, {"containerPort": 53, "protocol": "UDP", "hostPort": 0}],
    "env": [
        {"name": "A", "value": ""},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}}},
        {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": ""}],
    "resources": {"requests": {"cpu": 1, "memory": "1024Mi"}, "limits": {"cpu": "1000m", "memory": "1073741824"}},
    "volumeMounts": [
        {"name": "data", "mountPath": "/data", "readOnly": False},
        {"name": "config", "mountPath": "/config", "subPath": ""},
    ],
    "livenessProbe": _PROBE,
    "readinessProbe": {"exec": {"command": ["true"]}, "timeoutSeconds": 5, "failureThreshold": 0},
    "startupProbe": {"grpc": {"port": 9000}},
    "lifecycle": {"preStop": {"httpGet": {"port": 80, "httpHeaders": [{"name": "A", "value": "b"}]}}},
    "securityContext": {"runAsNonRoot": True, "runAsUser": 0, "privileged": False, "capabilities": {"drop": ["ALL"]}},
    "stdin": False,
    "tty": True,
}
_RICH_POD: Json = {
    "containers": [_RICH_CONTAINER],
    "initContainers": [{"name": "init", "image": "busybox:latest", "resources": {"limits": {"cpu": "0.5"}}}],
    "automountServiceAccountToken": False,
    "schedulerName": "nobody",
    "terminationGracePeriodSeconds": 0,
    "hostNetwork": False,
    "hostUsers": True,
    "shareProcessNamespace": False,
    "nodeSelector": {},
    "imagePullSecrets": [{"name": "pull"}],
    "securityContext": {"fsGroup": 1000, "supplementalGroups": [], "seccompProfile": {"type": "RuntimeDefault"}},
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}},
                }
            ]
        },
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]
            }
        },
    },
    "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5, "effect": "NoExecute"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]},
    "readinessGates": [{"conditionType": "example.com/ready"}],
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": False}},
        {"name": "config", "configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
        {"name": "secret", "secret": {"secretName": "s", "optional": False}},
        {"name": "empty"},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "0.5Gi"}},
        {"name": "host", "hostPath": {"path": "/tmp"}},
        {"name": "down", "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {
            "name": "projected",
            "projected": {
                "sources": [
                    {"configMap": {"name": "cm"}},
                    {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ]
            },
        },
        {"name": "nfs", "nfs": {"server": "s", "path": "/"}},
        {"name": "csi", "csi": {"driver": "csi.example.com"}},
        {"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM_SPEC}}},
    ],
}
_RICH_SET: dict[str, Any] = {
    "spec/replicas": 0,
    "spec/template/spec": {**_RICH_POD, "restartPolicy": "Always", "serviceAccount": "builder"},
    "spec/template/metadata": {"labels": {"app": "x"}, "annotations": {}, "creationTimestamp": None},
    "spec/podManagementPolicy": "Parallel",
    "spec/updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2, "maxUnavailable": 2}},
    "spec/ordinals": {"start": 0},
    "spec/minReadySeconds": 0,
    "spec/revisionHistoryLimit": 0,
    "spec/persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
    "spec/volumeClaimTemplates": [
        {"metadata": {"name": "data", "labels": {"a": "b"}}, "spec": {**CLAIM_SPEC, "storageClassName": ""}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "logs"}, "spec": CLAIM_SPEC},
    ],
    "status": {"replicas": 7},
}

_PORT: Json = {"port": 80}
_DATA_SOURCE: Json = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}

_EDITS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "a pod that says much": (kinds.PODS, {"spec": _RICH_POD, "status": {"phase": "Running"}}),
    "a pod with limits only": (kinds.PODS, {"spec/containers/0/resources": {"limits": {"cpu": "2", "memory": "1G"}}}),
    "a pod with some requests": (
        kinds.PODS,
        {"spec/containers/0/resources": {"limits": {"cpu": "2"}, "requests": {"memory": "1.5Gi"}}},
    ),
    "a pod on the network of its node": (
        kinds.PODS,
        {"spec/hostNetwork": True, "spec/containers/0/ports": [{"containerPort": 80}], "spec/hostIPC": False},
    ),
    "a gated pod": (kinds.PODS, {"spec/schedulingGates": [{"name": "example.com/wait"}]}),
    "a pod by digest": (kinds.PODS, {"spec/containers/0/image": f"nginx@sha256:{'0' * 64}"}),
    "a pod by tag and digest": (kinds.PODS, {"spec/containers/0/image": f"nginx:latest@sha256:{'0' * 64}"}),
    "a pod with an image that is none": (kinds.PODS, {"spec/containers/0/image": "NGINX"}),
    "a pod with a port in its image": (kinds.PODS, {"spec/containers/0/image": "localhost:5000/a/b"}),
    "a pod that asks for itself": (kinds.PODS, {"spec/resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}),
    "a pod with a sidecar": (
        kinds.PODS,
        {"spec/initContainers": [{**CONTAINER, "name": "side", "restartPolicy": "Always", "startupProbe": _PROBE}]},
    ),
    "a pod of an old client": (kinds.PODS, {"spec/serviceAccount": "default", "spec/nodeSelector": {"a": "b"}}),
    "a pod with a negative grace period": (kinds.PODS, {"spec/terminationGracePeriodSeconds": -5}),
    "a set that says much": (kinds.STATEFUL_SETS, _RICH_SET),
    "a set that deletes its pods by hand": (kinds.STATEFUL_SETS, {"spec/updateStrategy": {"type": "OnDelete"}}),
    "a set with half a strategy": (kinds.STATEFUL_SETS, {"spec/updateStrategy": {"type": "RollingUpdate"}}),
    "a set with an empty strategy": (kinds.STATEFUL_SETS, {"spec/updateStrategy": {"rollingUpdate": {}}}),
    "a set without a service": (kinds.STATEFUL_SETS, {"spec/serviceName": GONE}),
    "a set with nulls": (
        kinds.STATEFUL_SETS,
        {"spec/replicas": None, "metadata/labels": {}, "metadata/finalizers": [], "status": None},
    ),
    "a claim of a block device": (
        kinds.CLAIMS,
        {"spec/volumeMode": "Block", "spec/storageClassName": "", "spec/selector": {}, "status": {"phase": "Bound"}},
    ),
    "a claim from a snapshot": (kinds.CLAIMS, {"spec/dataSource": _DATA_SOURCE}),
    "a claim from any source": (
        kinds.CLAIMS,
        {"spec/dataSourceRef": {"apiGroup": "example.com", "kind": "Thing", "name": "t"}},
    ),
    "a claim from a source that no server knows": (
        kinds.CLAIMS,
        {"spec/dataSource": {"apiGroup": "example.com", "kind": "Thing", "name": "t"}},
    ),
    "a claim from elsewhere": (
        kinds.CLAIMS,
        {"spec/dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "t", "namespace": "other"}},
    ),
    "a volume that says much": (
        kinds.VOLUMES,
        {
            "spec/persistentVolumeReclaimPolicy": "Delete",
            "spec/storageClassName": "fast",
            "spec/mountOptions": [],
            "spec/csi/volumeAttributes": {"a": "b"},
            "spec/csi/readOnly": False,
            "spec/nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]}
            },
            "spec/claimRef": {"namespace": "n", "name": "c"},
        },
    ),
    "a volume on a node": (kinds.VOLUMES, {"spec/csi": GONE, "spec/hostPath": {"path": "/data"}}),
    "a volume by iSCSI": (
        kinds.VOLUMES,
        {"spec/csi": GONE, "spec/iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:a", "lun": 0}},
    ),
    "a service of many ports": (
        kinds.SERVICES,
        {"spec/ports": [{"name": "a", "port": 80, "targetPort": "web"}, {"name": "b", "port": 53, "protocol": "UDP"}]},
    ),
    "a headless service": (kinds.SERVICES, {"spec/clusterIP": "None", "spec/publishNotReadyAddresses": True}),
    "a headless service without ports": (kinds.SERVICES, {"spec/clusterIP": "None", "spec/ports": []}),
    "a service on the nodes": (kinds.SERVICES, {"spec/type": "NodePort"}),
    "a service with a balancer": (kinds.SERVICES, {"spec/type": "LoadBalancer", "spec/loadBalancerClass": "a.b/c"}),
    "a service elsewhere": (
        kinds.SERVICES,
        {"spec/type": "ExternalName", "spec/externalName": "example.com", "spec/ports": GONE},
    ),
    "a service with external addresses": (kinds.SERVICES, {"spec/externalIPs": ["80.11.12.10"]}),
    "a sticky service": (kinds.SERVICES, {"spec/sessionAffinity": "ClientIP"}),
    "a sticky service for a while": (
        kinds.SERVICES,
        {"spec/sessionAffinity": "ClientIP", "spec/sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}},
    ),
    "a service that forgets its stickiness": (
        kinds.SERVICES,
        {"spec/sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}},
    ),
    "a secret of texts": (kinds.SECRETS, {"stringData": {"key": "other", "umlaut": "ä"}, "immutable": False}),
    "an empty secret": (kinds.SECRETS, {"data": GONE, "type": ""}),
    "an empty config map": (kinds.CONFIG_MAPS, {"data": {}, "immutable": True, "binaryData": {"b": "AAA="}}),
    "an account that says much": (
        kinds.SERVICE_ACCOUNTS,
        {"automountServiceAccountToken": False, "imagePullSecrets": [{"name": "p"}], "secrets": []},
    ),
    "a namespace with labels": (kinds.NAMESPACES, {"metadata/labels": {"a": "b"}, "spec": {"finalizers": []}}),
    "a node that says much": (
        kinds.NODES,
        {
            "spec": {
                "taints": [{"key": "a", "effect": "NoSchedule"}],
                "unschedulable": False,
                "podCIDR": "10.1.0.0/24",
            },
            "status": {
                "capacity": {"cpu": 4, "memory": "8388608Ki", "pods": "110"},
                "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        },
    ),
    "a quota with fractions": (kinds.QUOTAS, {"spec/hard": {"cpu": "0.5", "memory": "1000Mi", "pods": 4}}),
    "an autoscaler that behaves": (
        kinds.AUTOSCALERS,
        {
            "spec/minReplicas": 2,
            "spec/behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
            "spec/metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": 1}}}
            ],
        },
    ),
    "a lease with times": (
        kinds.LEASES,
        {"spec/renewTime": "2026-01-02T03:04:05.678901Z", "spec/acquireTime": None, "spec/leaseTransitions": 0},
    ),
    "a slice that says much": (
        kinds.SLICES,
        {
            "endpoints": [
                {
                    "addresses": ["10.0.0.2"],
                    "conditions": {"ready": False, "serving": None},
                    "hostname": "x-0",
                    "nodeName": "n",
                    "zone": "a",
                    "targetRef": {"kind": "Pod", "name": "x-0"},
                }
            ],
            "ports": [{}, {"name": "b", "protocol": "UDP", "port": 0}],
        },
    ),
    "an empty slice": (kinds.SLICES, {"endpoints": [], "ports": GONE}),
    "a network policy for both ways": (
        kinds.POLICIES,
        {
            "spec/ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}, {"protocol": "UDP"}]}, {}],
            "spec/egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
        },
    ),
    "a network policy that denies": (kinds.POLICIES, {"spec": {"policyTypes": ["Egress"]}}),
    "a budget in percent": (
        kinds.BUDGETS,
        {"spec/minAvailable": GONE, "spec/maxUnavailable": "50%", "spec/unhealthyPodEvictionPolicy": "AlwaysAllow"},
    ),
    "a budget for nothing": (kinds.BUDGETS, {"spec": {}}),
    "a class that says much": (
        kinds.CLASSES,
        {
            "reclaimPolicy": "Retain",
            "allowVolumeExpansion": False,
            "parameters": {"a": "b"},
            "mountOptions": [],
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}],
        },
    ),
    "a priority class that yields": (kinds.PRIORITY_CLASSES, {"preemptionPolicy": "Never", "globalDefault": False}),
    "an event with times": (
        kinds.EVENTS,
        {
            "firstTimestamp": "2026-01-02T03:04:05Z",
            "count": 3,
            "type": "Warning",
            "source": {"component": "me"},
            "message": "m",
        },
    ),
    "endpoints out of order": (
        kinds.ENDPOINTS,
        {
            "subsets": [
                {
                    "addresses": [{"ip": "10.0.0.9"}, {"ip": "10.0.0.1"}],
                    "ports": [{"name": "a", "port": 1}, {"name": "b", **_PORT}],
                }
            ]
        },
    ),
    "an object with every kind of metadata": (
        kinds.CONFIG_MAPS,
        {
            "metadata/labels": {"a": "", "b.c/d": "e"},
            "metadata/annotations": {"A": "b", "n": None},
            "metadata/finalizers": ["example.com/f"],
            "metadata/ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": False}
            ],
            "metadata/generation": 7,
            "metadata/selfLink": "x",
        },
    ),
}

#: Every case by its name: the kind, and the object as it is sent.
CREATIONS: dict[str, tuple[Kind, Json]] = {
    **{f"the least {kind.kind}": (kind, base(kind)) for kind in BASES},
    **{name: (kind, edited(base(kind), edits)) for name, (kind, edits) in _EDITS.items()},
}
