"""StatefulSets that the server refuses, most of them for what they say of their pods."""

from __future__ import annotations

from typing import Any

from tests.unit.rehearsal.rules.objects import CLAIM_SPEC, CONTAINER, GONE

Edits = dict[str, Any]

_SPEC = "spec/template/spec"
_C = f"{_SPEC}/containers/0"
_LONG = "a" * 64


def _container(**edits: Any) -> Edits:
    return {f"{_C}/{path}": value for path, value in edits.items()}


SETS: list[Edits] = [
    {"metadata/name": "a.b"},
    {"metadata/name": _LONG},
    {"metadata/name": "Upper"},
    {"spec": {}},
    {"spec/replicas": -1},
    {"spec/replicas": -1, "spec/minReadySeconds": -2, "spec/ordinals": {"start": -3}},
    {"spec/podManagementPolicy": "Sometimes"},
    {"spec/updateStrategy": {"type": "Never"}},
    {"spec/updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
    {"spec/updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1}}},
    {"spec/persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Keep", "whenScaled": "Drop"}},
    {"spec/serviceName": "Upper"},
    {"spec/serviceName": "a.b"},
    {"spec/serviceName": _LONG},
    {"spec/selector": GONE},
    {"spec/selector": {}},
    {"spec/selector": {"matchLabels": {"app": "other"}}},
    {"spec/selector": {"matchLabels": {"bad key": "v"}}},
    {"spec/selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
    {"spec/selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}},
    {"spec/selector": {"matchExpressions": [{"key": "app", "operator": "Like", "values": ["x"]}]}},
    {"spec/selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["bad value"]}]}},
    {"spec/template/metadata": GONE},
    {"spec/template/metadata/labels": {"app": "bad value"}},
    {"spec/template/metadata/annotations": {"bad key": "v"}},
    {f"{_SPEC}/restartPolicy": "Never"},
    {f"{_SPEC}/restartPolicy": "Sometimes"},
    {f"{_SPEC}/activeDeadlineSeconds": 5},
    {f"{_SPEC}/ephemeralContainers": [{"name": "debug", "image": "i"}]},
    {"spec/volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]},
    {"spec/volumeClaimTemplates": [{"metadata": {"name": "Data_1"}, "spec": CLAIM_SPEC}]},
    {"spec/volumeClaimTemplates": [{"metadata": {}, "spec": CLAIM_SPEC}]},
    {"spec/volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {**CLAIM_SPEC, "accessModes": ["Once"]}}]},
    {"spec/volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {**CLAIM_SPEC, "storageClassName": "A b"}}]},
    _container(name=""),
    _container(name="Upper"),
    _container(name="a.b"),
    _container(image=""),
    _container(image=" spaced "),
    _container(imagePullPolicy="Often"),
    _container(terminationMessagePolicy="Loud"),
    _container(ports=[{"containerPort": 0}]),
    _container(ports=[{"containerPort": 70000, "hostPort": -1}]),
    _container(ports=[{"containerPort": 1, "protocol": "ICMP"}]),
    _container(ports=[{"containerPort": 1, "name": "Much_Too_Long_A_Name"}]),
    _container(ports=[{"containerPort": 1, "name": "-a--b-"}]),
    _container(ports=[{"containerPort": 1, "name": "123"}]),
    _container(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
    _container(ports=[{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]),
    _container(env=[{"name": ""}]),
    _container(env=[{"name": "A=B", "value": "x"}]),
    _container(env=[{"name": "A", "valueFrom": {}}]),
    _container(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
    _container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nothing"}}}]),
    _container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.restartPolicy"}}}]),
    _container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a b']"}}}]),
    _container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": ""}}}]),
    _container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "", "key": ""}}}]),
    _container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "Upper", "key": "a b"}}}]),
    _container(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.disk"}}}]),
    _container(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "3"}}}]),
    _container(envFrom=[{}]),
    _container(envFrom=[{"configMapRef": {"name": "a"}, "secretRef": {"name": "Upper"}}]),
    _container(volumeMounts=[{"name": "nothing", "mountPath": "/a"}]),
    _container(volumeMounts=[{"name": "", "mountPath": ""}]),
    _container(resources={"limits": {"cpu": "-1"}}),
    _container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
    _container(resources={"requests": {"disk": "1"}}),
    _container(resources={"requests": {"example.com/gpu": "1"}}),
    _container(resources={"limits": {"example.com/gpu": "500m"}}),
    _container(resources={"limits": {"hugepages-2Mi": "3Mi"}}),
    _container(resources={"limits": {"bad name!": "1"}}),
    _container(livenessProbe={}),
    _container(livenessProbe={"exec": {}, "httpGet": {"port": 80}}),
    _container(livenessProbe={"httpGet": {"port": 0, "scheme": "FTP"}}),
    _container(livenessProbe={"httpGet": {"port": "No_Such_Name"}}),
    _container(livenessProbe={"tcpSocket": {"port": 99999}, "successThreshold": 2}),
    _container(livenessProbe={"grpc": {"port": -1}, "periodSeconds": -1, "timeoutSeconds": -1}),
    _container(livenessProbe={"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 0}),
    _container(readinessProbe={"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 5}),
    _container(startupProbe={"tcpSocket": {"port": 1}, "initialDelaySeconds": -1}),
    _container(livenessProbe={"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": ""}]}}),
    _container(lifecycle={"preStop": {"sleep": {"seconds": 60}}}),
    _container(lifecycle={"postStart": {}}),
    _container(securityContext={"runAsUser": -1, "runAsGroup": -5}),
    _container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
    _container(securityContext={"seccompProfile": {"type": "Localhost"}}),
    _container(securityContext={"seccompProfile": {"type": "Other", "localhostProfile": "x"}}),
    _container(securityContext={"procMount": "Unmasked"}),
    _container(securityContext={"appArmorProfile": {"type": ""}}),
    _container(resizePolicy=[{"resourceName": "disk", "restartPolicy": "Maybe"}]),
    _container(restartPolicy="Sometimes"),
    {f"{_SPEC}/containers": []},
    {f"{_SPEC}/containers": [CONTAINER, CONTAINER]},
    {f"{_SPEC}/initContainers": [CONTAINER]},
    {f"{_SPEC}/initContainers": [{**CONTAINER, "name": "i", "livenessProbe": {"tcpSocket": {"port": 1}}}]},
    {f"{_SPEC}/initContainers": [{**CONTAINER, "name": "i", "restartPolicy": "Maybe"}]},
    {f"{_SPEC}/volumes": [{"name": "Upper"}]},
    {f"{_SPEC}/volumes": [{"name": ""}]},
    {f"{_SPEC}/volumes": [{"name": "a"}, {"name": "a"}]},
    {f"{_SPEC}/volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "emptyDir": {"sizeLimit": "-1"}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "hostPath": {"path": ""}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "hostPath": {"path": "/a/../b", "type": "Odd"}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "secret": {"secretName": "", "defaultMode": 1000}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "configMap": {"name": "", "items": [{"key": "", "path": "/abs"}]}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "configMap": {"name": "c", "items": [{"key": "k", "path": "../up"}]}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "configMap": {"name": "c", "items": [{"key": "k", "path": "..up"}]}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "persistentVolumeClaim": {}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "nfs": {"server": "", "path": "rel"}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "csi": {"driver": "Bad Driver"}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "ephemeral": {}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]},
    {f"{_SPEC}/volumes": [{"name": "a", "downwardAPI": {"items": [{"path": "p"}]}}]},
    {
        f"{_SPEC}/volumes": [
            {"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "", "expirationSeconds": 5}}]}}
        ]
    },
    {f"{_SPEC}/volumes": [{"name": "a", "image": {"reference": "r", "pullPolicy": "Odd"}}]},
    {
        f"{_SPEC}/volumes": [{"name": "a"}],
        f"{_C}/volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "a", "mountPath": "/a", "subPath": "/x"}],
    },
    {
        f"{_SPEC}/volumes": [{"name": "a"}],
        f"{_C}/volumeMounts": [{"name": "a", "mountPath": "/a", "mountPropagation": "Odd", "subPath": "../x"}],
    },
    {
        f"{_SPEC}/volumes": [{"name": "a"}],
        f"{_C}/volumeMounts": [{"name": "a", "mountPath": "/a", "subPath": "s", "subPathExpr": "e"}],
    },
    {
        f"{_SPEC}/volumes": [{"name": "a"}],
        f"{_C}/volumeDevices": [{"name": "a", "devicePath": "/dev/x"}, {"name": "b", "devicePath": ""}],
    },
    {f"{_SPEC}/dnsPolicy": "Odd"},
    {f"{_SPEC}/dnsPolicy": "None"},
    {f"{_SPEC}/dnsConfig": {"nameservers": ["nowhere"], "searches": ["Bad_Name."], "options": [{}]}},
    {f"{_SPEC}/dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "01.1.1.4"]}},
    {f"{_SPEC}/nodeSelector": {"bad key": "bad value"}},
    {f"{_SPEC}/hostname": "Upper", f"{_SPEC}/subdomain": "Upper"},
    {f"{_SPEC}/serviceAccountName": "Upper"},
    {f"{_SPEC}/priorityClassName": "Upper"},
    {f"{_SPEC}/runtimeClassName": "Upper"},
    {f"{_SPEC}/nodeName": "Upper"},
    {f"{_SPEC}/os": {"name": "plan9"}},
    {f"{_SPEC}/preemptionPolicy": "Maybe"},
    {f"{_SPEC}/readinessGates": [{"conditionType": "bad type"}]},
    {f"{_SPEC}/schedulingGates": [{"name": "a"}, {"name": "a"}, {"name": "bad name"}]},
    {f"{_SPEC}/hostAliases": [{"ip": "nowhere", "hostnames": ["Upper"]}]},
    {f"{_SPEC}/securityContext": {"fsGroup": -1, "runAsUser": -1, "supplementalGroups": [-1]}},
    {f"{_SPEC}/securityContext": {"fsGroupChangePolicy": "Odd", "supplementalGroupsPolicy": "Odd"}},
    {f"{_SPEC}/securityContext": {"sysctls": [{"name": "", "value": ""}, {"name": "Bad Name", "value": ""}]}},
    {f"{_SPEC}/securityContext": {"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "x"}}},
    {f"{_SPEC}/hostNetwork": True, f"{_C}/ports": [{"containerPort": 1, "hostPort": 2}]},
    {f"{_SPEC}/hostUsers": False, f"{_SPEC}/hostPID": True},
    {f"{_SPEC}/hostPID": True, f"{_SPEC}/shareProcessNamespace": True},
    {f"{_SPEC}/tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]},
    {f"{_SPEC}/tolerations": [{"value": "x", "effect": "Odd"}]},
    {f"{_SPEC}/tolerations": [{"key": "bad key", "operator": "Odd", "tolerationSeconds": 5}]},
    {f"{_SPEC}/tolerations": [{"key": "a", "operator": "Gt", "value": "5"}]},
    {f"{_SPEC}/topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Odd"}]},
    {
        f"{_SPEC}/topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 0},
            {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "nodeTaintsPolicy": "Odd"},
        ]
    },
    {
        f"{_SPEC}/affinity": {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]},
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}},
        }
    },
    {
        f"{_SPEC}/affinity": {
            "podAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 0, "podAffinityTerm": {"topologyKey": "z", "namespaces": ["Upper"]}}
                ]
            }
        }
    },
    {
        f"{_SPEC}/affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [{"key": "a", "operator": "Gt", "values": []}],
                            "matchFields": [{"key": "b", "operator": "Exists"}],
                        }
                    ]
                },
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 500, "preference": {"matchExpressions": [{"key": "a", "operator": "Odd"}]}}
                ],
            }
        }
    },
]
