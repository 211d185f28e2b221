"""The rows that kubectl prints. The cells are those that a server of 1.36 gave for objects of the same content."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.clock import seconds_of, timestamp
from berth.rehearsal.kinds import KINDS, Kind
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.tables import table
from berth.rehearsal.tables.text import human

pytestmark = pytest.mark.unit

NOW = seconds_of("2026-11-21T15:00:00Z")
#: Of every object here.
AGE = "5m10s"


def ago(seconds: float) -> str:
    return timestamp(NOW - seconds)


def made(name: str = "x", **metadata: Any) -> Json:
    return {"metadata": {"name": name, "namespace": "n", "creationTimestamp": ago(310), **metadata}}


def cells(kind: Kind, **fields: Any) -> list[Any]:
    body = {**made(**fields.pop("metadata", {})), **fields}
    shown = table(kind, [body], NOW)
    row: list[Any] = shown["rows"][0]["cells"]
    assert len(row) == len(shown["columnDefinitions"])
    return row


# ---------------------------------------------------------------- ages


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1.5, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (8 * 3600 - 1, "7h59m"),
        (8 * 3600, "8h"),
        (48 * 3600 - 1, "47h"),
        (48 * 3600, "2d"),
        (51 * 3600, "2d3h"),
        (8 * 86400, "8d"),
        (2 * 365 * 86400 - 1, "729d"),
        (2 * 365 * 86400, "2y"),
        (2 * 365 * 86400 + 5 * 86400, "2y5d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_ages_as_people_read_them(seconds: float, text: str) -> None:
    assert human(seconds) == text


def test_an_object_without_a_time_is_of_unknown_age() -> None:
    assert table(kinds.SERVICE_ACCOUNTS, [{"metadata": {"name": "x"}}], NOW)["rows"][0]["cells"] == ["x", "<unknown>"]


# ---------------------------------------------------------------- the table itself


def test_every_kind_has_a_table() -> None:
    for kind in KINDS:
        assert len(cells(kind, spec={}, status={})) >= 2


def test_columns_of_wide_output_come_with_priority_one() -> None:
    shown = table(kinds.STATEFUL_SETS, [], NOW)
    assert shown["rows"] == []
    assert shown["columnDefinitions"][0] == {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "",
        "priority": 0,
    }
    assert [(one["name"], one["priority"]) for one in shown["columnDefinitions"]] == [
        ("Name", 0),
        ("Ready", 0),
        ("Age", 0),
        ("Containers", 1),
        ("Images", 1),
    ]


def test_rows_carry_what_was_asked_of_the_object() -> None:
    one = {**made(), "kind": "ConfigMap", "apiVersion": "v1", "data": {}}
    about = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": one["metadata"]}
    for include, shown in (("Metadata", about), ("", about), ("Object", one), ("None", None)):
        assert table(kinds.CONFIG_MAPS, [one], NOW, include)["rows"][0]["object"] == shown


def test_a_watch_sends_the_columns_once() -> None:
    assert table(kinds.PODS, [], NOW, headers=False)["columnDefinitions"] is None


def test_includes_that_do_not_exist() -> None:
    with pytest.raises(ApiError) as caught:
        table(kinds.PODS, [], NOW, "foo")
    words = "includeObject: Invalid value: \"foo\": must be 'Metadata', 'Object', 'None', or empty"
    assert caught.value.message == f"Unable to convert to Table as requested: {words}"
    assert caught.value.code == 400


# ---------------------------------------------------------------- the others


def test_stateful_sets() -> None:
    containers = [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j:2"}]
    row = cells(
        kinds.STATEFUL_SETS,
        spec={"replicas": 3, "template": {"spec": {"containers": containers}}},
        status={"readyReplicas": 2, "replicas": 3},
    )
    assert row == ["x", "2/3", AGE, "a,b", "i:1,j:2"]


def test_claims() -> None:
    spec = {"storageClassName": "local-path", "volumeMode": "Filesystem", "accessModes": ["ReadWriteOnce"]}
    assert cells(kinds.CLAIMS, spec=spec, status={"phase": "Pending"}) == [
        *("x", "Pending", "", "", "", "local-path", "<unset>", AGE, "Filesystem"),
    ]
    bound = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}
    assert cells(kinds.CLAIMS, spec={**spec, "volumeName": "pv-1"}, status=bound) == [
        *("x", "Bound", "pv-1", "1Gi", "RWO,RWX", "local-path", "<unset>", AGE, "Filesystem"),
    ]
    annotated = {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}, "deletionTimestamp": ago(1)}
    assert cells(kinds.CLAIMS, metadata=annotated, spec=spec, status=bound)[1:6] == ["Terminating", "", "", "", "old"]


def test_volumes() -> None:
    spec = {
        "capacity": {"storage": "2048Mi"},
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "zz",
        "volumeMode": "Block",
    }
    assert cells(kinds.VOLUMES, spec=spec, status={"phase": "Available"}) == [
        *("x", "2Gi", "RWO,ROX", "Retain", "Available", "", "zz", "<unset>", "", AGE, "Block"),
    ]
    claimed = {**spec, "claimRef": {"namespace": "n", "name": "www-web-0"}}
    assert cells(kinds.VOLUMES, spec=claimed, status={"phase": "Released", "reason": "why"})[4:9] == [
        *("Released", "n/www-web-0", "zz", "<unset>", "why"),
    ]


def test_storage_classes() -> None:
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    row = cells(kinds.CLASSES, metadata=default, provisioner="p", volumeBindingMode="WaitForFirstConsumer")
    assert row == ["x (default)", "p", "Delete", "WaitForFirstConsumer", False, AGE]
    row = cells(kinds.CLASSES, provisioner="p", reclaimPolicy="Retain", allowVolumeExpansion=True)
    assert row == ["x", "p", "Retain", "Immediate", True, AGE]


@pytest.mark.parametrize(
    ("spec", "status", "row"),
    [
        (
            {"type": "ClusterIP", "clusterIPs": ["None"], "ports": [{"port": 80, "protocol": "TCP"}]},
            {},
            ["ClusterIP", "None", "<none>", "80/TCP"],
        ),
        ({"type": "ClusterIP", "clusterIPs": ["None"]}, {}, ["ClusterIP", "None", "<none>", "<none>"]),
        (
            {
                "type": "NodePort",
                "clusterIPs": ["10.96.0.9"],
                "ports": [
                    {"port": 80, "protocol": "TCP", "nodePort": 30080},
                    {"port": 53, "protocol": "UDP", "nodePort": 30053},
                ],
            },
            {},
            ["NodePort", "10.96.0.9", "<none>", "80:30080/TCP,53:30053/UDP"],
        ),
        (
            {"type": "ClusterIP", "clusterIPs": ["10.96.0.9"], "externalIPs": ["1.1.1.1", "2.2.2.2"]},
            {},
            ["ClusterIP", "10.96.0.9", "1.1.1.1,2.2.2.2", "<none>"],
        ),
        (
            {"type": "LoadBalancer", "clusterIPs": ["10.96.0.9"]},
            {},
            ["LoadBalancer", "10.96.0.9", "<pending>", "<none>"],
        ),
        (
            {"type": "LoadBalancer", "clusterIPs": ["10.96.0.9"], "externalIPs": ["1.2.3.4"]},
            {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "a-very-long-hostname.example.com"}]}},
            ["LoadBalancer", "10.96.0.9", "9.9.9.9,a-very-long-hostname.example.com,1.2.3.4", "<none>"],
        ),
        ({"type": "ExternalName", "externalName": "a.b"}, {}, ["ExternalName", "<none>", "a.b", "<none>"]),
    ],
)
def test_services(spec: Json, status: Json, row: list[str]) -> None:
    assert cells(kinds.SERVICES, spec=spec, status=status) == ["x", *row, AGE, "<none>"]


def test_the_selector_of_a_service() -> None:
    assert cells(kinds.SERVICES, spec={"type": "ClusterIP", "selector": {"b": "1", "a": "2"}})[-1] == "a=2,b=1"


def test_nodes() -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "nodeInfo": {
            "kubeletVersion": "v1.36.3",
            "osImage": "simulated",
            "kernelVersion": "simulated",
            "architecture": "amd64",
            "containerRuntimeVersion": "kwok://v0.8.0",
        },
    }
    assert cells(kinds.NODES, status=status) == [
        *("x", "Ready", "<none>", AGE, "v1.36.3", "127.0.0.1", "<none>", "simulated", "simulated (amd64)"),
        "kwok://v0.8.0",
    ]
    labels = {"node-role.kubernetes.io/b": "", "node-role.kubernetes.io/a": "", "kubernetes.io/role": "c"}
    lost = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    row = cells(kinds.NODES, metadata={"labels": labels}, spec={"unschedulable": True}, status=lost)
    assert row[1:3] == ["NotReady,SchedulingDisabled", "a,b,c"]
    assert cells(kinds.NODES, status={})[1] == "Unknown"
    assert cells(kinds.NODES, status={})[5:] == ["<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]


@pytest.mark.parametrize(
    ("subsets", "shown"),
    [
        ([], "<none>"),
        ([{"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}], "10.0.0.1,10.0.0.2"),
        (
            [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "ports": [{"port": 80}, {"port": 81}]}],
            "10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more...",
        ),
        ([{"notReadyAddresses": [{"ip": "10.0.0.4"}], "ports": [{"port": 80}]}], ""),
        ([{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}], "[fd00::1]:80"),
    ],
)
def test_endpoints(subsets: list[Json], shown: str) -> None:
    assert cells(kinds.ENDPOINTS, subsets=subsets) == ["x", shown, AGE]


def test_endpoint_slices() -> None:
    assert cells(kinds.SLICES, addressType="IPv4", endpoints=[]) == ["x", "IPv4", "<unset>", "<unset>", AGE]
    endpoints = [{"addresses": [f"1.1.1.{number}"]} for number in range(1, 5)]
    ports = [{"port": 80}, {"name": "n"}, {"name": "x", "port": 81}, {"name": "z", "port": 82}, {"name": "zz"}]
    row = cells(kinds.SLICES, addressType="IPv4", endpoints=endpoints, ports=ports)
    assert row[2:4] == ["80,n,81 + 2 more...", "1.1.1.1,1.1.1.2,1.1.1.3 + 1 more..."]


def test_events() -> None:
    about = {"kind": "Pod", "name": "web-0", "fieldPath": "spec.containers{c}"}
    base = {"involvedObject": about, "type": "Normal", "reason": "R", "message": " hello \n"}
    source = {"component": "kubelet", "host": "n1"}
    assert cells(kinds.EVENTS, **base, firstTimestamp=ago(5000), lastTimestamp=ago(20), count=3, source=source) == [
        "20s",
        "Normal",
        "R",
        "pod/web-0",
        "spec.containers{c}",
        "kubelet, n1",
        "hello",
        "83m",
        3,
        "x",
    ]
    newer = {"eventTime": "2026-11-21T14:59:00.123456Z", "reportingComponent": "c", "reportingInstance": "c-1"}
    assert cells(kinds.EVENTS, **base, **newer)[5:9] == ["c, c-1", "hello", "59s", 1]
    series = {"count": 9, "lastObservedTime": "2026-11-21T14:59:57.000000Z"}
    row = cells(kinds.EVENTS, **base, **newer, series=series)
    assert (row[0], row[8]) == ("3s", 9)
    assert cells(kinds.EVENTS, **base)[0] == "<unknown>"


def test_budgets() -> None:
    assert cells(kinds.BUDGETS, spec={"minAvailable": 0}, status={"disruptionsAllowed": 2}) == ["x", "0", "N/A", 2, AGE]
    assert cells(kinds.BUDGETS, spec={"maxUnavailable": "30%"}) == ["x", "N/A", "30%", 0, AGE]


def test_revisions() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": True}
    row = cells(kinds.REVISIONS, metadata={"ownerReferences": [owner]}, revision=4)
    assert row == ["x", "statefulset.apps/web", 4, AGE]
    assert cells(kinds.REVISIONS, revision=1)[1] == "<none>"


def test_quotas() -> None:
    hard = {"pods": "100", "limits.cpu": "2k", "requests.cpu": "1k", "count/secrets": "50", "limits.memory": "1Ti"}
    used = {"pods": "2", "requests.cpu": "600m"}
    assert cells(kinds.QUOTAS, status={"hard": hard, "used": used}) == [
        "x",
        "count/secrets: 0/50, pods: 2/100, requests.cpu: 600m/1k",
        "limits.cpu: 0/2k, limits.memory: 0/1Ti",
        AGE,
    ]


def test_policies() -> None:
    assert cells(kinds.POLICIES, spec={"podSelector": {}}) == ["x", "<none>", AGE]
    selector = {
        "matchLabels": {"z": "1", "a": "2"},
        "matchExpressions": [
            {"key": "m", "operator": "In", "values": ["b", "a"]},
            {"key": "n", "operator": "NotIn", "values": ["q"]},
            {"key": "e", "operator": "Exists"},
            {"key": "d", "operator": "DoesNotExist"},
        ],
    }
    assert cells(kinds.POLICIES, spec={"podSelector": selector})[1] == "a=2,!d,e,m in (a,b),n notin (q),z=1"


@pytest.mark.parametrize(
    ("metrics", "current", "shown"),
    [
        ([], [], "<none>"),
        (
            [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}],
            [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 33}}}],
            "cpu: 33%/80%",
        ),
        (
            [{"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "100Mi"}}}],
            [],
            "memory: <unknown>/100Mi",
        ),
        (
            [
                {"type": "Pods", "pods": {"target": {"averageValue": "1500m"}}},
                {"type": "External", "external": {"target": {"averageValue": "10"}}},
            ],
            [{"type": "Pods", "pods": {"current": {"averageValue": "500m"}}}],
            "500m/1500m, <unknown>/10 (avg)",
        ),
        (
            [
                {"type": "Object", "object": {"target": {"value": "2k"}}},
                {"type": "External", "external": {"target": {"value": "10"}}},
                {"type": "ContainerResource", "containerResource": {"name": "cpu", "target": {}}},
            ],
            [{"type": "Object", "object": {"current": {"value": "1500m"}}}],
            "1500m/2k, <unknown>/10 + 1 more...",
        ),
    ],
)
def test_autoscalers(metrics: list[Json], current: list[Json], shown: str) -> None:
    spec = {"scaleTargetRef": {"kind": "StatefulSet", "name": "t"}, "minReplicas": 2, "maxReplicas": 3}
    row = cells(
        kinds.AUTOSCALERS, spec={**spec, "metrics": metrics}, status={"currentReplicas": 2, "currentMetrics": current}
    )
    assert row == ["x", "StatefulSet/t", shown, "2", 3, 2, AGE]


@pytest.mark.parametrize(
    ("kind", "fields", "row"),
    [
        (kinds.NAMESPACES, {"status": {"phase": "Active"}}, ["Active", AGE]),
        (kinds.CONFIG_MAPS, {"data": {"a": "b"}, "binaryData": {"x": "AA=="}}, [2, AGE]),
        (kinds.SECRETS, {"type": "Opaque", "data": {"a": "b"}}, ["Opaque", 1, AGE]),
        (kinds.SERVICE_ACCOUNTS, {}, [AGE]),
        (kinds.LEASES, {"spec": {"holderIdentity": "me"}}, ["me", AGE]),
        (kinds.LEASES, {"spec": {}}, ["", AGE]),
        (kinds.PRIORITY_CLASSES, {"value": 7, "preemptionPolicy": "Never"}, [7, False, AGE, "Never"]),
    ],
)
def test_small_kinds(kind: Kind, fields: Json, row: list[Any]) -> None:
    assert cells(kind, **fields) == ["x", *row]
