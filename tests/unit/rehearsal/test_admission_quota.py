"""What a namespace may use in all. The refusals are those that a server of 1.36 gave."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import admission, kinds
from berth.rehearsal.admission.quota import status_of
from berth.rehearsal.refusal import ApiError
from tests.unit.rehearsal.admitting import Cluster, admit, claim, pod, service

pytestmark = pytest.mark.unit

HARD = {
    "pods": "2",
    "requests.cpu": "1",
    "limits.memory": "1Gi",
    "requests.storage": "3Gi",
    "persistentvolumeclaims": "2",
    "services": "2",
    "services.nodeports": "1",
    "services.loadbalancers": "0",
    "count/statefulsets.apps": "1",
    "count/secrets": "1",
    "configmaps": "1",
    "local-path.storageclass.storage.k8s.io/requests.storage": "2Gi",
}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def quota(cluster: Cluster, hard: Json, name: str = "q", **spec: Any) -> Json:
    return cluster.put(kinds.QUOTAS, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})


def sized(cpu: str = "", memory: str = "", name: str = "p", **more: Any) -> Json:
    resources = {"requests": {"cpu": cpu} if cpu else {}, "limits": {"memory": memory} if memory else {}}
    body = pod(name, **more)
    body["spec"]["containers"][0]["resources"] = resources
    return body


def test_a_quota_wants_requests_and_limits(cluster: Cluster) -> None:
    quota(cluster, HARD)
    why = "failed quota: q: must specify limits.memory for: c; requests.cpu for: c"
    assert cluster.refused(kinds.PODS, pod("a")).message == f'pods "a" is forbidden: {why}'
    why = "failed quota: q: must specify limits.memory for: c"
    assert cluster.refused(kinds.PODS, sized("1", name="a")).message == f'pods "a" is forbidden: {why}'


def test_a_pod_that_asks_for_too_much(cluster: Cluster) -> None:
    quota(cluster, HARD)
    error = cluster.refused(kinds.PODS, sized("1500m", "2Gi", "a"))
    why = (
        "exceeded quota: q, requested: limits.memory=2Gi,requests.cpu=1500m, used: limits.memory=0,requests.cpu=0, "
        "limited: limits.memory=1Gi,requests.cpu=1"
    )
    assert (error.code, error.reason, error.message) == (403, "Forbidden", f'pods "a" is forbidden: {why}')
    assert error.details == {"name": "a", "kind": "pods"}


def test_what_the_others_use_counts(cluster: Cluster) -> None:
    quota(cluster, HARD)
    cluster.put(kinds.PODS, sized("600m", "100Mi", "a"))
    why = "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    assert cluster.refused(kinds.PODS, sized("600m", "100Mi")).message == f'pods "p" is forbidden: {why}'
    cluster.put(kinds.PODS, sized("100m", "100Mi", "b"))
    why = "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"
    assert cluster.refused(kinds.PODS, sized("100m", "100Mi")).message == f'pods "p" is forbidden: {why}'
    cluster.put(kinds.PODS, {**sized("100m", "100Mi", "b"), "status": {"phase": "Succeeded"}})
    assert cluster.ask(kinds.PODS, sized("100m", "100Mi"))[1] == []


def test_claims_count_by_number_size_and_class(cluster: Cluster) -> None:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    cluster.put(kinds.CLASSES, {"metadata": {"name": "local-path", "annotations": default}, "provisioner": "p"})
    quota(cluster, HARD)
    local = "local-path.storageclass.storage.k8s.io/requests.storage"
    head = 'persistentvolumeclaims "a" is forbidden: exceeded quota: q'
    assert cluster.refused(kinds.CLAIMS, claim("2.5Gi")).message == (
        f"{head}, requested: {local}=2560Mi, used: {local}=0, limited: {local}=2Gi"
    )
    assert cluster.refused(kinds.CLAIMS, claim("4Gi")).message == (
        f"{head}, requested: {local}=4Gi,requests.storage=4Gi, used: {local}=0,requests.storage=0, "
        f"limited: {local}=2Gi,requests.storage=3Gi"
    )
    cluster.put(kinds.CLAIMS, claim("1Gi", "b", storageClassName=""))
    cluster.put(kinds.CLAIMS, claim("512Mi", "c", storageClassName=""))
    number = "persistentvolumeclaims"
    assert cluster.refused(kinds.CLAIMS, claim("1Gi", storageClassName="")).message == (
        f"{head}, requested: {number}=1, used: {number}=2, limited: {number}=2"
    )


def test_an_update_that_uses_more_counts_for_the_difference(cluster: Cluster) -> None:
    cluster.put(kinds.CLASSES, {"metadata": {"name": "growing"}, "provisioner": "p", "allowVolumeExpansion": True})
    quota(cluster, {"requests.storage": "3Gi", "services.nodeports": "0"})
    old = cluster.put(kinds.CLAIMS, {**claim("2Gi", storageClassName="growing"), "status": {"phase": "Bound"}})
    assert cluster.ask(kinds.CLAIMS, {**old, **claim("3Gi", storageClassName="growing")}, old)[1] == []
    error = cluster.refused(kinds.CLAIMS, {**old, **claim("5Gi", storageClassName="growing")}, old)
    words = "requested: requests.storage=3Gi, used: requests.storage=2Gi, limited: requests.storage=3Gi"
    assert error.message == f'persistentvolumeclaims "a" is forbidden: exceeded quota: q, {words}'
    before = cluster.put(kinds.SERVICES, service())
    error = cluster.refused(kinds.SERVICES, service(type="NodePort"), before)
    words = "requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0"
    assert error.message == f'services "s" is forbidden: exceeded quota: q, {words}'


@pytest.mark.parametrize(
    ("kind", "body", "name", "resource"),
    [
        (kinds.SECRETS, {"metadata": {"name": "b"}}, 'secrets "b"', "count/secrets"),
        (kinds.CONFIG_MAPS, {"metadata": {"name": "b"}}, 'configmaps "b"', "configmaps"),
        (kinds.STATEFUL_SETS, {"metadata": {"name": "b"}}, 'statefulsets.apps "b"', "count/statefulsets.apps"),
    ],
)
def test_counts_of_objects(cluster: Cluster, kind: Any, body: Json, name: str, resource: str) -> None:
    quota(cluster, HARD)
    cluster.put(kind, {"metadata": {"name": "a"}})
    words = f"requested: {resource}=1, used: {resource}=1, limited: {resource}=1"
    assert cluster.refused(kind, body).message == f"{name} is forbidden: exceeded quota: q, {words}"


def test_scopes_of_quotas(cluster: Cluster) -> None:
    quota(cluster, {"pods": "0"}, "best", scopes=["BestEffort"])
    quota(cluster, {"pods": "0"}, "ends", scopes=["Terminating"])
    expression = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    quota(cluster, {"pods": "0"}, "high", scopeSelector={"matchExpressions": [expression]})
    cluster.put(kinds.PRIORITY_CLASSES, {"metadata": {"name": "high"}, "value": 5})
    assert "exceeded quota: best" in cluster.refused(kinds.PODS, pod()).message
    assert "exceeded quota: ends" in cluster.refused(kinds.PODS, sized("1", activeDeadlineSeconds=5)).message
    assert "exceeded quota: high" in cluster.refused(kinds.PODS, sized("1", priorityClassName="high")).message
    assert cluster.ask(kinds.PODS, sized("1"))[1] == []
    assert cluster.ask(kinds.CONFIG_MAPS, {"metadata": {"name": "a"}})[1] == []


def test_the_status_of_a_quota(cluster: Cluster) -> None:
    one = quota(cluster, {"pods": "2", "requests.cpu": "1000m", "limits.memory": "1Gi", "requests.storage": "3Gi"})
    cluster.put(kinds.PODS, sized("600m", "100Mi", "a"))
    cluster.put(kinds.PODS, sized("100m", "100Mi", "b"))
    cluster.put(kinds.CLAIMS, claim("1Gi", "a"))
    cluster.put(kinds.CLAIMS, claim("512Mi", "b"))
    assert status_of(cluster, one) == {
        "hard": {"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi", "requests.storage": "3Gi"},
        "used": {"pods": "2", "requests.cpu": "700m", "limits.memory": "200Mi", "requests.storage": "1536Mi"},
    }


def test_a_pod_needs_what_its_largest_init_container_needs(cluster: Cluster) -> None:
    quota(cluster, {"requests.cpu": "2"})

    def asks(name: str, cpu: str, **more: str) -> Json:
        return {"name": name, "image": "i", "resources": {"requests": {"cpu": cpu}}, **more}

    body = pod(containers=[asks("c", "1"), asks("d", "500m")], initContainers=[asks("i", "2500m")])
    assert "requested: requests.cpu=2500m" in cluster.refused(kinds.PODS, body).message
    body["spec"]["initContainers"] = [asks("i", "1", restartPolicy="Always")]
    assert "requested: requests.cpu=2500m" in cluster.refused(kinds.PODS, body).message


def test_what_was_warned_of_before_a_refusal_is_said(cluster: Cluster) -> None:
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    space = cluster.put(kinds.NAMESPACES, {"metadata": {"name": "n", "labels": labels}})
    quota(cluster, {"pods": "0"})
    body = cluster.put(kinds.PODS, pod())
    said: list[str] = []
    with pytest.raises(ApiError, match="exceeded quota"):
        admit(cluster, kinds.PODS, admission.CREATE, body, None, space, Random(1), warnings=said)
    assert [warning.partition(":")[0] for warning in said] == ['would violate PodSecurity "restricted']
