"""What admission adds and refuses. Every refusal is one that a server of 1.36 gave."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import admission, kinds
from berth.rehearsal.refusal import ApiError
from tests.unit.rehearsal.admitting import Cluster, admit, claim, pod

pytestmark = pytest.mark.unit

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def words(error: ApiError) -> tuple[int, str, str]:
    return error.code, error.reason, error.message


# ---------------------------------------------------------------- namespaces


def test_nothing_goes_into_a_namespace_that_does_not_exist(cluster: Cluster) -> None:
    body = {**pod(), "metadata": {"name": "p", "namespace": "nonono"}}
    error = cluster.refused(kinds.PODS, body)
    assert words(error) == (404, "NotFound", 'namespaces "nonono" not found')
    assert error.details == {"name": "nonono", "kind": "namespaces"}


def test_nothing_new_goes_into_a_namespace_that_is_going(cluster: Cluster) -> None:
    cluster.put(kinds.NAMESPACES, {"metadata": {"name": "n"}, "status": {"phase": "Terminating"}})
    error = cluster.refused(kinds.CONFIG_MAPS, {"metadata": {"generateName": "x-", "name": "x-bcdfg"}})
    why = "unable to create new content in namespace n because it is being terminated"
    assert words(error) == (403, "Forbidden", f'configmaps "x-" is forbidden: {why}')
    cause = {
        "reason": "NamespaceTerminating",
        "message": "namespace n is being terminated",
        "field": "metadata.namespace",
    }
    assert error.details == {"name": "x-", "kind": "configmaps", "causes": [cause]}
    body: Json = {"metadata": {"name": "x"}}
    assert cluster.ask(kinds.CONFIG_MAPS, body, cluster.put(kinds.CONFIG_MAPS, body))[1] == []


def test_namespaces_that_stay(cluster: Cluster) -> None:
    space = {"metadata": {"name": "default"}}
    with pytest.raises(ApiError) as caught:
        admit(cluster, kinds.NAMESPACES, admission.DELETE, space, space, None, Random(1))
    assert caught.value.message == 'namespaces "default" is forbidden: this namespace may not be deleted'
    space = {"metadata": {"name": "n"}}
    assert admit(cluster, kinds.NAMESPACES, admission.DELETE, space, space, None, Random(1)) == (space, [])


# ---------------------------------------------------------------- pods


def test_a_pod_gets_the_token_of_its_service_account(cluster: Cluster) -> None:
    body = pod(initContainers=[{"name": "i", "image": "x", "volumeMounts": [{"name": "q", "mountPath": TOKEN_PATH}]}])
    before = deepcopy(body)
    spec = cluster.ask(kinds.PODS, body)[0]["spec"]
    assert body == before
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert len(volume["name"]) == len("kube-api-access-") + 5
    assert volume["projected"] == {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
        "defaultMode": 420,
    }
    mount = {"name": volume["name"], "readOnly": True, "mountPath": TOKEN_PATH}
    assert spec["containers"][0]["volumeMounts"] == [mount]
    assert spec["initContainers"][0]["volumeMounts"] == [{"name": "q", "mountPath": TOKEN_PATH}]


def test_the_name_of_the_token_volume_is_random_but_repeatable(cluster: Cluster) -> None:
    names = [cluster.ask(kinds.PODS, pod(), seed=seed)[0]["spec"]["volumes"][0]["name"] for seed in (1, 1, 2)]
    assert names[0] == names[1] != names[2]


def test_a_token_volume_that_is_there_is_used(cluster: Cluster) -> None:
    volumes = [{"name": "kube-api-access-mine", "emptyDir": {}}]
    spec = cluster.ask(kinds.PODS, pod(volumes=volumes))[0]["spec"]
    assert spec["volumes"] == volumes
    assert spec["containers"][0]["volumeMounts"][0]["name"] == "kube-api-access-mine"


@pytest.mark.parametrize(
    ("account", "own", "mounted"), [(False, None, False), (False, True, True), (True, False, False)]
)
def test_the_pod_decides_before_its_account(cluster: Cluster, account: bool, own: bool | None, mounted: bool) -> None:
    cluster.put(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default"}, "automountServiceAccountToken": account})
    body = pod()
    body["spec"] |= {} if own is None else {"automountServiceAccountToken": own}
    assert bool(cluster.ask(kinds.PODS, body)[0]["spec"].get("volumes")) is mounted


def test_pull_secrets_come_from_the_account(cluster: Cluster) -> None:
    cluster.put(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default"}, "imagePullSecrets": [{"name": "q"}]})
    assert cluster.ask(kinds.PODS, pod())[0]["spec"]["imagePullSecrets"] == [{"name": "q"}]
    own = [{"name": "r"}]
    assert cluster.ask(kinds.PODS, pod(imagePullSecrets=own))[0]["spec"]["imagePullSecrets"] == own


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"serviceAccountName": "nope"},
            'error looking up service account n/nope: serviceaccount "nope" not found',
        ),
        ({"priorityClassName": "nope"}, "no PriorityClass with name nope was found"),
        (
            {"priority": 5},
            "the integer value of priority (5) must not be provided in pod spec; priority admission controller "
            "computed 0 from the given PriorityClass name",
        ),
        (
            {"preemptionPolicy": "Never"},
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission "
            "controller computed PreemptLowerPriority from the given PriorityClass name",
        ),
    ],
)
def test_pods_that_are_refused(cluster: Cluster, spec: Json, why: str) -> None:
    error = cluster.refused(kinds.PODS, pod(**spec))
    assert words(error) == (403, "Forbidden", f'pods "p" is forbidden: {why}')
    assert error.details == {"name": "p", "kind": "pods"}


def test_a_generated_name_is_not_there_yet(cluster: Cluster) -> None:
    body = {**pod(serviceAccountName="nope"), "metadata": {"name": "a-bcdfg", "generateName": "a-"}}
    assert cluster.refused(kinds.PODS, body).message.startswith('pods "a-" is forbidden')
    ordinal = {**body, "metadata": {"name": "web-0", "generateName": "web-"}}
    assert cluster.refused(kinds.PODS, ordinal).message.startswith('pods "web-0" is forbidden')


def test_priorities(cluster: Cluster) -> None:
    def asked(**spec: Any) -> tuple[Any, ...]:
        found = cluster.ask(kinds.PODS, pod(**spec))[0]["spec"]
        return found["priority"], found["preemptionPolicy"], found.get("priorityClassName")

    assert asked() == asked(priority=0) == (0, "PreemptLowerPriority", None)
    high = {"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"}
    cluster.put(kinds.PRIORITY_CLASSES, high)
    assert asked(priorityClassName="high") == (1000, "Never", "high")
    default = {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True}
    cluster.put(kinds.PRIORITY_CLASSES, {**default, "preemptionPolicy": "PreemptLowerPriority"})
    assert asked() == (5, "PreemptLowerPriority", "usual")
    error = cluster.refused(kinds.PRIORITY_CLASSES, {**default, "metadata": {"name": "second"}})
    why = "PriorityClass usual is already marked as default. Only one default can exist"
    assert error.message == f'priorityclasses.scheduling.k8s.io "second" is forbidden: {why}'


def test_an_update_keeps_the_priority(cluster: Cluster) -> None:
    old = cluster.ask(kinds.PODS, pod())[0]
    new = {**old, "spec": {key: value for key, value in old["spec"].items() if key != "priority"}}
    assert cluster.ask(kinds.PODS, new, old)[0]["spec"]["priority"] == 0


NOT_READY, UNREACHABLE = (
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
)


@pytest.mark.parametrize(
    ("stated", "added"),
    [
        ([], [NOT_READY, UNREACHABLE]),
        ([{"operator": "Exists"}], []),
        ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists"}], [NOT_READY]),
        (
            [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}],
            [NOT_READY, UNREACHABLE],
        ),
    ],
)
def test_pods_tolerate_nodes_in_trouble_for_a_while(cluster: Cluster, stated: list[Json], added: list[Json]) -> None:
    assert cluster.ask(kinds.PODS, pod(tolerations=stated))[0]["spec"].get("tolerations", []) == stated + added


def test_a_new_node_is_tainted_until_it_is_ready(cluster: Cluster) -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert cluster.ask(kinds.NODES, {"metadata": {"name": "x"}})[0]["spec"]["taints"] == [taint]


def test_pods_get_the_zone_and_region_of_their_node() -> None:
    labels = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "kubernetes.io/os": "linux"}
    assert admission.topology_labels({"metadata": {"labels": labels}}) == {
        "topology.kubernetes.io/region": "r",
        "topology.kubernetes.io/zone": "z",
    }


# ---------------------------------------------------------------- claims and volumes


def storage_class(cluster: Cluster, name: str, default: str = "", expands: bool = False, made: str = "10") -> None:
    annotations = {"annotations": {"storageclass.kubernetes.io/is-default-class": default}} if default else {}
    meta = {"name": name, **annotations, "creationTimestamp": f"2026-11-21T{made}:00:00Z"}
    cluster.put(kinds.CLASSES, {"metadata": meta, "provisioner": "p", "allowVolumeExpansion": expands})


def test_the_newest_default_class_is_taken(cluster: Cluster) -> None:
    assert "storageClassName" not in cluster.ask(kinds.CLAIMS, claim("1Gi"))[0]["spec"]
    storage_class(cluster, "old", "true", made="08")
    storage_class(cluster, "new", "true", made="12")
    storage_class(cluster, "other", "false", made="14")
    assert cluster.ask(kinds.CLAIMS, claim("1Gi"))[0]["spec"]["storageClassName"] == "new"
    assert cluster.ask(kinds.CLAIMS, claim("1Gi", storageClassName=""))[0]["spec"]["storageClassName"] == ""
    annotated = claim("1Gi")
    annotated["metadata"]["annotations"] = {"volume.beta.kubernetes.io/storage-class": "old"}
    assert "storageClassName" not in cluster.ask(kinds.CLAIMS, annotated)[0]["spec"]


def test_claims_and_volumes_are_protected_while_in_use(cluster: Cluster) -> None:
    body = claim("1Gi")
    body["metadata"]["finalizers"] = ["x.io/a"]
    assert cluster.ask(kinds.CLAIMS, body)[0]["metadata"]["finalizers"] == ["x.io/a", "kubernetes.io/pvc-protection"]
    volume = {"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}}}
    protected = cluster.ask(kinds.VOLUMES, volume)[0]
    assert protected["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    released = {**protected, "metadata": {"name": "v"}}
    assert "finalizers" not in cluster.ask(kinds.VOLUMES, released, protected)[0]["metadata"]


def test_only_bound_claims_of_classes_that_allow_it_grow(cluster: Cluster) -> None:
    storage_class(cluster, "fixed")
    storage_class(cluster, "growing", expands=True)
    cannot = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
    cannot += "support resize"
    for name, phase, size, why in (
        ("growing", "Bound", "2Gi", ""),
        ("growing", "Bound", "1024Mi", ""),
        ("fixed", "Bound", "1Gi", ""),
        ("fixed", "Bound", "2Gi", cannot),
        ("", "Bound", "2Gi", cannot),
        ("gone", "Bound", "2Gi", cannot),
        ("growing", "Pending", "2Gi", "Only bound persistent volume claims can be expanded"),
    ):
        old = {**claim("1Gi", storageClassName=name), "status": {"phase": phase}}
        new = {**claim(size, storageClassName=name), "status": {"phase": phase}}
        if why:
            message = f'persistentvolumeclaims "a" is forbidden: {why}'
            assert words(cluster.refused(kinds.CLAIMS, new, old)) == (403, "Forbidden", message)
        else:
            assert cluster.ask(kinds.CLAIMS, new, old)[1] == []


def test_subresources_pass_where_their_namespace_does(cluster: Cluster) -> None:
    space = cluster.get(kinds.NAMESPACES, "", "n")
    bare = {"metadata": {"name": "p", "namespace": "n"}, "spec": {}, "status": {"phase": "Running"}}
    asked = (cluster, kinds.PODS, admission.UPDATE, bare, bare)
    assert admit(*asked, space, Random(1), subresource="status") == (bare, [])
    with pytest.raises(ApiError) as caught:
        admit(*asked, None, Random(1), subresource="status")
    assert caught.value.code == 404
