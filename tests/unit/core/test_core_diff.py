"""Differences field by field, and the fields that cannot be changed in place."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.diff import ABSENT, MASKED, Change, changes, immutable_changes, manifest_hash
from tests.unit.core.samples import name_of, over, simple, statefulset, storage_class, table

pytestmark = pytest.mark.unit

CHANGES = table("""
- name: nothing
  old: {spec: {replicas: 2}}
  new: {spec: {replicas: 2}}
  changes: {}
- name: what the server keeps is no change
  old: {metadata: {name: x, resourceVersion: "1", generation: 1, managedFields: [a]}, status: {replicas: 1}}
  new: {metadata: {name: x, resourceVersion: "2", generation: 2, managedFields: [b]}, status: {replicas: 2}}
  changes: {}
- name: a scalar
  old: {spec: {replicas: 2}}
  new: {spec: {replicas: 3}}
  changes: {spec.replicas: [2, 3]}
- name: added and removed
  old: {spec: {a: 1}}
  new: {spec: {b: {c: 2}}}
  changes: {spec.a: [1, (absent)], spec.b: [(absent), {c: 2}]}
- name: a key with dots
  old: {metadata: {labels: {app.kubernetes.io/version: "1"}}}
  new: {metadata: {labels: {app.kubernetes.io/version: "2"}}}
  changes: {"metadata.labels['app.kubernetes.io/version']": ["1", "2"]}
- name: containers are told apart by name
  old: {spec: {containers: [{name: a, image: x:1}, {name: b, image: y:1}]}}
  new: {spec: {containers: [{name: b, image: y:2}, {name: a, image: x:1}]}}
  changes: {"spec.containers[name=b].image": ["y:1", "y:2"]}
- name: a container comes, one goes
  old: {spec: {containers: [{name: a}]}}
  new: {spec: {containers: [{name: b}]}}
  changes: {"spec.containers[name=a]": [{name: a}, (absent)], "spec.containers[name=b]": [(absent), {name: b}]}
- name: one volume mounted twice is told apart by path
  old: {volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /b}]}
  new: {volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /b, readOnly: true}]}
  changes: {"volumeMounts[mountPath=/b].readOnly": [(absent), true]}
- name: ports without names
  old: {ports: [{containerPort: 80}]}
  new: {ports: [{containerPort: 80, protocol: UDP}]}
  changes: {"ports[containerPort=80].protocol": [(absent), UDP]}
- name: one port under two protocols goes by index
  old: {ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]}
  new: {ports: [{port: 53, protocol: TCP}, {port: 53, protocol: SCTP}]}
  changes: {"ports[1].protocol": [UDP, SCTP]}
- name: spreads
  old: {spreads: [{topologyKey: zone, maxSkew: 1}]}
  new: {spreads: [{topologyKey: zone, maxSkew: 2}]}
  changes: {"spreads[topologyKey=zone].maxSkew": [1, 2]}
- name: plain lists go by index
  old: {args: [a, b]}
  new: {args: [a, c, d]}
  changes: {"args[1]": [b, c], "args[2]": [(absent), d]}
- name: lists in lists
  old: {sets: [{name: a, args: [x]}]}
  new: {sets: [{name: a, args: [y]}]}
  changes: {"sets[name=a].args[0]": [x, y]}
- name: an odd key in an element of a list
  old: {sets: [{name: a, labels: {}}]}
  new: {sets: [{name: a, labels: {}, x/y: 1}]}
  changes: {"sets[name=a]['x/y']": [(absent), 1]}
""")


@pytest.mark.parametrize("case", CHANGES, ids=name_of)
def test_changes(case: dict[str, Any]) -> None:
    expected = tuple(Change(path, old, new) for path, (old, new) in case["changes"].items())
    assert changes(case["old"], case["new"]) == expected


def test_secret_values_are_never_in_a_change() -> None:
    note = "kubectl.kubernetes.io/last-applied-configuration"
    old = simple(
        "Secret", "s", {"data": {"a": "c2VjcmV0", "b": "c2VjcmV0"}, "metadata": {"annotations": {note: "c2VjcmV0"}}}
    )
    new = over(
        old, {"data": {"a": "b3RoZXI=", "b": None, "c": "b3RoZXI="}, "metadata": {"annotations": {note: "b3RoZXI="}}}
    )
    found = changes(old, new)
    assert {change.path: (change.old, change.new) for change in found} == {
        "data.a": (MASKED, MASKED),
        "data.b": (MASKED, ABSENT),
        "data.c": (ABSENT, MASKED),
    }
    first = changes(simple("Secret", "s"), new)
    assert "b3RoZXI=" not in repr(first) + repr(found)


def test_the_data_of_a_config_map_is_shown() -> None:
    found = changes(simple("ConfigMap", "c", {"data": {"k": "1"}}), simple("ConfigMap", "c", {"data": {"k": "2"}}))
    assert found == (Change("data.k", "1", "2"),)


TEMPLATE = {
    "metadata": {"name": "www"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def desired_set(spec: dict[str, Any]) -> dict[str, Any]:
    """A set as a manifest states it: without what the server fills in."""
    base = {
        "replicas": 3,
        "serviceName": "web",
        "selector": {"matchLabels": {"app": "web"}},
        "volumeClaimTemplates": [TEMPLATE],
    }
    return simple("StatefulSet", "web", {"spec": over(base, spec)})


def template(changes_: dict[str, Any]) -> dict[str, Any]:
    return {"volumeClaimTemplates": [over(TEMPLATE, changes_)]}


SIZE = "spec.volumeClaimTemplates[0].spec.resources.requests.storage"
CLASS = "spec.volumeClaimTemplates[0].spec.storageClassName"


@pytest.mark.parametrize(
    ("live", "spec", "expected"),
    [
        ({}, {}, []),
        ({}, {"replicas": 5, "minReadySeconds": 9, "ordinals": {"start": 2}, "revisionHistoryLimit": 3}, []),
        ({}, {"updateStrategy": {"type": "OnDelete"}, "template": {"spec": {}}}, []),
        ({}, {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}, []),
        ({}, {"serviceName": "other"}, [("spec.serviceName", "web", "other")]),
        ({}, {"serviceName": None}, [("spec.serviceName", "web", "")]),
        ({}, {"podManagementPolicy": "Parallel"}, [("spec.podManagementPolicy", "OrderedReady", "Parallel")]),
        ({"podManagementPolicy": "Parallel"}, {}, [("spec.podManagementPolicy", "Parallel", "OrderedReady")]),
        ({}, {"selector": {"matchLabels": {"app": "x"}}}, [("spec.selector.matchLabels.app", "web", "x")]),
        ({}, {"selector": {"matchLabels": {"tier": "x"}}}, [("spec.selector.matchLabels.tier", ABSENT, "x")]),
        (
            {"selector": {"matchLabels": {"app": "web", "tier": "x"}}},
            {},
            [("spec.selector.matchLabels.tier", "x", ABSENT)],
        ),
        ({}, template({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}), [(SIZE, "1Gi", "2Gi")]),
        ({}, template({"spec": {"resources": {"requests": {"storage": "1024Mi"}}}}), []),
        ({}, template({"spec": {"storageClassName": "fast"}}), [(CLASS, ABSENT, "fast")]),
        (template({"spec": {"storageClassName": "fast"}}), {}, [(CLASS, "fast", ABSENT)]),
        (
            {},
            template({"metadata": {"labels": {"app": "web"}}}),
            [("spec.volumeClaimTemplates[0].metadata.labels", ABSENT, {"app": "web"})],
        ),
        (
            template({"metadata": {"labels": {"app": "web", "version": "1"}}}),
            template({"metadata": {"labels": {"app": "web"}}}),
            [("spec.volumeClaimTemplates[0].metadata.labels.version", "1", ABSENT)],
        ),
        ({}, {"volumeClaimTemplates": [TEMPLATE, TEMPLATE]}, ["spec.volumeClaimTemplates"]),
        ({}, {"volumeClaimTemplates": None}, ["spec.volumeClaimTemplates"]),
    ],
    ids=[
        "the same, without the defaults",
        "mutable numbers",
        "mutable template and strategy",
        "mutable retention",
        "service",
        "service left out",
        "policy",
        "policy left out",
        "selector value",
        "selector label more",
        "selector label less",
        "size",
        "size in another unit",
        "class named",
        "class left out",
        "claim labels",
        "claim label less",
        "one claim template more",
        "no claim template",
    ],
)
def test_immutable_fields_of_a_set(live: dict[str, Any], spec: dict[str, Any], expected: list[Any]) -> None:
    found = immutable_changes(statefulset({"spec": live}), desired_set(spec))
    if expected and isinstance(expected[0], str):
        assert [change.path for change in found] == expected
    else:
        assert [(change.path, change.old, change.new) for change in found] == expected


OTHERS = table("""
- name: what a class lets be changed
  kind: StorageClass
  live: {allowVolumeExpansion: false}
  desired: {provisioner: rancher.io/local-path, allowVolumeExpansion: true, mountOptions: [noatime]}
  paths: []
- name: what a class does not
  kind: StorageClass
  live: {parameters: {type: gp2, iops: "3"}}
  desired: {provisioner: x, reclaimPolicy: Retain, volumeBindingMode: Immediate, parameters: {type: gp3}}
  paths: [provisioner, parameters.type, parameters.iops, reclaimPolicy, volumeBindingMode]
- name: a Service that says nothing of its address
  kind: Service
  live: {spec: {clusterIP: 10.0.0.1}}
  desired: {spec: {ports: []}}
  paths: []
- name: a Service that becomes headless
  kind: Service
  live: {spec: {clusterIP: 10.0.0.1}}
  desired: {spec: {clusterIP: None}}
  paths: [spec.clusterIP]
- name: a Service that would no longer be headless, and silently stays so
  kind: Service
  live: {spec: {clusterIP: None}}
  desired: {spec: {ports: []}}
  paths: [spec.clusterIP]
- name: a Service with another address
  kind: Service
  live: {spec: {clusterIP: 10.0.0.1}}
  desired: {spec: {clusterIP: 10.0.0.2}}
  paths: [spec.clusterIP]
- name: a Service that was only a name
  kind: Service
  live: {spec: {type: ExternalName}}
  desired: {spec: {clusterIP: None}}
  paths: []
- name: a claim grows
  kind: PersistentVolumeClaim
  live: {spec: {volumeName: pv, resources: {requests: {storage: 1Gi}}}}
  desired: {spec: {resources: {requests: {storage: 2Gi}}}}
  paths: []
- name: a claim's class and modes
  kind: PersistentVolumeClaim
  live: {spec: {storageClassName: a, accessModes: [ReadWriteOnce]}}
  desired: {spec: {storageClassName: b, accessModes: [ReadWriteMany]}}
  paths: ["spec.accessModes[0]", spec.storageClassName]
- name: a Secret's type
  kind: Secret
  live: {type: Opaque}
  desired: {type: kubernetes.io/basic-auth}
  paths: [type]
- name: what a binding binds
  kind: RoleBinding
  live: {roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}}
  desired: {roleRef: {kind: Role, name: b}}
  paths: [roleRef.name]
- name: a job's template, without the labels that its controller adds
  kind: Job
  live: {spec: {template: {metadata: {labels: {a: b, job-name: x}}, spec: {containers: [{image: a}]}}}}
  desired: {spec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{image: b}]}}}}
  paths: ["spec.template.spec.containers[0].image"]
- name: a kind of which all may be changed
  kind: ConfigMap
  live: {data: {a: b}}
  desired: {data: {a: c}}
  paths: []
""")


@pytest.mark.parametrize("case", OTHERS, ids=name_of)
def test_immutable_fields_of_other_kinds(case: dict[str, Any]) -> None:
    base = storage_class("it") if case["kind"] == "StorageClass" else simple(case["kind"], "it")
    found = immutable_changes(over(base, case["live"]), simple(case["kind"], "it", case["desired"]))
    assert [change.path for change in found] == case["paths"]


def test_the_hash_of_a_manifest_is_that_of_its_json() -> None:
    assert manifest_hash({"a": 1, "b": [1, "x"]}) == manifest_hash({"b": [1, "x"], "a": 1})
    assert manifest_hash({"a": 1}) != manifest_hash({"a": "1"})
    assert manifest_hash({"a": ["x", "y"]}) != manifest_hash({"a": ["y", "x"]})
