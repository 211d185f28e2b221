"""Claims and volumes behave as with a real driver: these are the facts that berth's ledger and preflight rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from berth.controlplane.api import ApiError, Client

if TYPE_CHECKING:
    from tests.controlplane.conftest import Namespace

pytestmark = pytest.mark.controlplane

IMMEDIATE = "Immediate"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


def storage_class(client: Client, name: str, **fields: Any) -> str:
    annotations = fields.pop("annotations", {})
    body = {
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": "example.com/disk",
        "volumeBindingMode": IMMEDIATE,
        **fields,
    }
    try:
        client.create(CLASSES, body)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    return name


def events(namespace: Namespace, name: str) -> list[tuple[str, str]]:
    found = namespace.all("events")
    return [(item["reason"], item["message"]) for item in found if item["involvedObject"]["name"] == name]


def test_an_immediate_class_binds_without_a_pod(namespace: Namespace) -> None:
    storage_class(namespace.client, "now")
    made = namespace.claim("data", "now", "3Gi")
    claim = namespace.bound("data")
    volume = namespace.volume(claim)
    assert claim["spec"]["volumeName"] == f"pvc-{made['metadata']['uid']}"
    assert claim["status"]["capacity"] == {"storage": "3Gi"}
    assert volume["spec"]["capacity"] == {"storage": "3Gi"}
    assert volume["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert volume["spec"]["storageClassName"] == "now"
    assert volume["spec"]["claimRef"]["uid"] == made["metadata"]["uid"]
    assert volume["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == "example.com/disk"
    assert "kubernetes.io/pv-protection" in volume["metadata"]["finalizers"]


def test_the_default_class_waits_for_its_first_consumer(namespace: Namespace) -> None:
    namespace.claim("data", None)
    namespace.eventually(lambda: any(reason == "WaitForFirstConsumer" for reason, _ in events(namespace, "data")))
    assert namespace.get("persistentvolumeclaims", "data")["status"]["phase"] == "Pending"
    namespace.pod("user", claim="data")
    claim = namespace.bound("data")
    assert claim["spec"]["storageClassName"] == "local-path"
    pod = namespace.eventually(lambda: (found := namespace.get("pods", "user")) and namespace.ready(found) and found)
    assert claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == pod["spec"]["nodeName"]


def test_delete_policy_removes_the_volume(namespace: Namespace) -> None:
    storage_class(namespace.client, "now")
    namespace.claim("data", "now")
    claim = namespace.bound("data")
    namespace.delete("persistentvolumeclaims", "data")
    namespace.eventually(lambda: not namespace.volume(claim))


def test_retain_policy_releases_the_volume_and_keeps_it(namespace: Namespace) -> None:
    storage_class(namespace.client, "keep", reclaimPolicy="Retain")
    storage_class(namespace.client, "now")
    namespace.claim("data", "keep")
    namespace.claim("other", "now")
    claim, other = namespace.bound("data"), namespace.bound("other")
    namespace.delete("persistentvolumeclaims", "data")
    namespace.delete("persistentvolumeclaims", "other")
    namespace.eventually(lambda: namespace.volume(claim).get("status", {}).get("phase") == "Released")
    # The volume beside it, released later, has been removed meanwhile: this one was seen and spared.
    namespace.eventually(lambda: not namespace.volume(other))
    assert namespace.volume(claim)["status"]["phase"] == "Released"
    namespace.client.delete(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")


def test_a_claim_in_use_waits_for_its_pod(namespace: Namespace) -> None:
    namespace.claim("data", None)
    namespace.pod("user", claim="data")
    # Only a pod that has its node protects its claim, and the claim is bound before that.
    namespace.eventually(lambda: namespace.ready(namespace.get("pods", "user")))
    namespace.delete("persistentvolumeclaims", "data")
    claim = namespace.get("persistentvolumeclaims", "data")
    assert claim["metadata"]["deletionTimestamp"]
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    namespace.delete("pods", "user")
    namespace.eventually(lambda: not namespace.get("persistentvolumeclaims", "data"))


def test_a_claim_grows_where_its_class_lets_it(namespace: Namespace) -> None:
    storage_class(namespace.client, "grows", allowVolumeExpansion=True)
    namespace.claim("data", "grows", "1Gi")
    namespace.bound("data")
    wanted = {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}
    namespace.client.merge(namespace.path("persistentvolumeclaims", "data"), wanted)
    claim = namespace.eventually(
        lambda: (
            (found := namespace.get("persistentvolumeclaims", "data"))["status"]["capacity"]["storage"] == "5Gi"
            and found
        )
    )
    assert not claim["status"].get("conditions")
    assert namespace.volume(claim)["spec"]["capacity"] == {"storage": "5Gi"}


def test_a_claim_does_not_grow_where_its_class_does_not(namespace: Namespace) -> None:
    storage_class(namespace.client, "now")
    namespace.claim("data", "now", "1Gi")
    namespace.bound("data")
    wanted = {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}
    with pytest.raises(ApiError) as refused:
        namespace.client.merge(namespace.path("persistentvolumeclaims", "data"), wanted)
    assert refused.value.code == 403


def test_what_no_driver_serves_stays_pending(namespace: Namespace) -> None:
    """No class, a class for volumes made by hand, a class whose driver is missing, and one that is switched off."""
    storage_class(namespace.client, "by-hand", provisioner="kubernetes.io/no-provisioner")
    storage_class(namespace.client, "absent-driver", provisioner="example.com/never")
    storage_class(namespace.client, "off", annotations={"berth.dev/never": "true"})
    storage_class(namespace.client, "now")
    for name in ("no-such-class", "by-hand", "absent-driver", "off"):
        namespace.claim(name, name)
    namespace.eventually(
        lambda: any(reason == "ProvisioningFailed" for reason, _ in events(namespace, "no-such-class"))
    )
    namespace.eventually(
        lambda: any(reason == "ExternalProvisioning" for reason, _ in events(namespace, "absent-driver"))
    )
    namespace.eventually(lambda: any(reason == "ExternalProvisioning" for reason, _ in events(namespace, "off")))
    # The provisioner has looked at all of them by the time that it has served a later one.
    namespace.claim("later", "now")
    namespace.bound("later")
    for name in ("no-such-class", "by-hand", "absent-driver", "off"):
        assert namespace.get("persistentvolumeclaims", name)["status"]["phase"] == "Pending"


def test_a_pod_whose_claim_stays_pending_is_not_scheduled(namespace: Namespace) -> None:
    namespace.claim("data", "no-such-class")
    namespace.pod("user", claim="data")
    pod = namespace.eventually(lambda: (found := namespace.get("pods", "user"))["status"].get("conditions") and found)
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"


def test_a_class_that_comes_later_serves_the_claims_that_wait(namespace: Namespace) -> None:
    namespace.claim("data", "late")
    namespace.eventually(lambda: any(reason == "ProvisioningFailed" for reason, _ in events(namespace, "data")))
    storage_class(namespace.client, "late")
    namespace.bound("data")


def test_a_set_keeps_its_claims_and_takes_them_up_again(namespace: Namespace) -> None:
    namespace.stateful_set("web", replicas=2)
    path = namespace.path("statefulsets", "web")
    namespace.eventually(lambda: namespace.get("statefulsets", "web")["status"].get("readyReplicas") == 2)
    volumes = {item["metadata"]["name"]: item["spec"]["volumeName"] for item in namespace.all("persistentvolumeclaims")}
    assert set(volumes) == {"data-web-0", "data-web-1"}
    namespace.client.merge(path, {"spec": {"replicas": 0}})
    namespace.eventually(lambda: not namespace.all("pods"))
    namespace.client.merge(path, {"spec": {"replicas": 2}})
    namespace.eventually(lambda: namespace.get("statefulsets", "web")["status"].get("readyReplicas") == 2)
    again = {item["metadata"]["name"]: item["spec"]["volumeName"] for item in namespace.all("persistentvolumeclaims")}
    assert again == volumes
