"""Claims and volumes: every way in which they find each other, and part."""

from __future__ import annotations

from typing import Any

import pytest

from berth.rehearsal import scenarioclock
from berth.rehearsal.kinds import CLAIMS, CLASSES, PODS, VOLUMES
from berth.rehearsal.scenario import NEVER, ClaimMatch, ClaimRule, Period, Scenario
from tests.rehearsal.placing.dock import Dock

pytestmark = pytest.mark.rehearsal

WAITS = "waiting for first consumer to be created before binding"


def external(name: str) -> str:
    return (
        f"Waiting for a volume to be created either by the external provisioner '{name}' or manually by the system "
        "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
        "registered."
    )


def test_immediate(dock: Dock) -> None:
    dock.storage_class("disk", reclaimPolicy="Retain")
    claim = dock.claim("data", "2Gi", "disk")
    dock.settle()
    name = f"pvc-{claim['metadata']['uid']}"
    bound = dock.the(CLAIMS, "data")
    assert bound["metadata"]["annotations"] == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
        "volume.beta.kubernetes.io/storage-provisioner": "example.com/disk",
        "volume.kubernetes.io/storage-provisioner": "example.com/disk",
    }
    assert bound["spec"]["volumeName"] == name
    assert bound["status"] == {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}, "phase": "Bound"}
    volume = dock.the(VOLUMES, name)
    assert volume["metadata"]["annotations"] == {"pv.kubernetes.io/provisioned-by": "example.com/disk"}
    reference = volume["spec"]["claimRef"]
    assert {key: reference[key] for key in ("apiVersion", "kind", "namespace", "name", "uid")} == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": "default",
        "name": "data",
        "uid": claim["metadata"]["uid"],
    }
    assert {key: value for key, value in volume["spec"].items() if key != "claimRef"} == {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "2Gi"},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "disk",
        "volumeMode": "Filesystem",
        "hostPath": {"path": f"/var/lib/berth-simulated/{name}", "type": "DirectoryOrCreate"},
    }
    assert volume["status"]["phase"] == "Bound"
    assert dock.said("data") == [
        ("ExternalProvisioning", external("example.com/disk")),
        ("ProvisioningSucceeded", f"Successfully provisioned volume {name}"),
    ]


def test_waits_for_its_pod(dock: Dock) -> None:
    dock.claim("data")
    dock.settle()
    assert dock.the(CLAIMS, "data")["status"] == {"phase": "Pending"}
    assert dock.said("data") == [("WaitForFirstConsumer", WAITS)]
    dock.pod("web-0", "data")
    dock.settle()
    claim = dock.the(CLAIMS, "data")
    assert claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == dock.node_of("web-0")
    assert claim["status"]["phase"] == "Bound"
    assert [reason for reason, _ in dock.said("data")][1:] == ["ExternalProvisioning", "ProvisioningSucceeded"]
    assert "nominatedNodeName" not in dock.the(PODS, "web-0")["status"]


def test_the_pod_gets_its_node_only_after_its_volume(dock: Dock) -> None:
    dock.claim("data")
    dock.pod("web-0", "data")
    dock.world.advance(0.09)
    pod = dock.the(PODS, "web-0")
    assert "nodeName" not in pod["spec"] and pod["status"]["nominatedNodeName"]
    dock.world.advance(0.02)
    assert dock.node_of("web-0") == pod["status"]["nominatedNodeName"]


def test_a_class_that_is_missing_and_comes_later(dock: Dock) -> None:
    dock.claim("data", class_name="nosuch")
    dock.settle()
    assert dock.said("data") == [("ProvisioningFailed", 'storageclass.storage.k8s.io "nosuch" not found')]
    assert dock.phase(CLAIMS, "data") == "Pending"
    dock.storage_class("nosuch")
    dock.settle()
    assert dock.phase(CLAIMS, "data") == "Bound"


def test_no_class(dock: Dock) -> None:
    dock.claim("data", class_name="")
    dock.settle()
    text = "no persistent volumes available for this claim and no storage class is set"
    assert dock.said("data") == [("FailedBinding", text)]


def test_the_default_class_is_given_afterwards(dock: Dock) -> None:
    dock.delete(CLASSES, "local-path")
    dock.claim("data")
    dock.settle()
    assert dock.the(CLAIMS, "data")["spec"].get("storageClassName") is None
    dock.storage_class("new", metadata={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}})
    dock.settle()
    assert dock.the(CLAIMS, "data")["spec"]["storageClassName"] == "new"
    assert dock.phase(CLAIMS, "data") == "Bound"


@pytest.mark.parametrize("mode", ["Immediate", "WaitForFirstConsumer"])
def test_a_provisioner_that_never_comes(dock: Dock, mode: str) -> None:
    dock.storage_class("never", provisioner="example.com/never", volumeBindingMode=mode)
    dock.claim("data", class_name="never")
    dock.pod("web-0", "data")
    dock.settle()
    assert dock.phase(CLAIMS, "data") == "Pending"
    assert dock.said("data")[-1] == ("ExternalProvisioning", external("example.com/never"))
    if mode == "Immediate":
        text = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
        assert dock.said("web-0") == [("FailedScheduling", text)]
        return
    assert dock.said("web-0") == [] and dock.the(PODS, "web-0")["status"]["nominatedNodeName"]
    dock.world.advance(601)
    text = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
    assert dock.said("web-0") == [("FailedScheduling", text)]
    assert dock.scheduled("web-0")["reason"] == "SchedulerError"
    dock.delete(PODS, "web-0")
    dock.delete(CLAIMS, "data")
    dock.settle()
    assert dock.gone(CLAIMS, "data") and dock.gone(PODS, "web-0")


@pytest.mark.parametrize(
    ("provisioner", "reason", "text"),
    [
        (
            "kubernetes.io/no-provisioner",
            "ProvisioningFailed",
            "no volume plugin matched name: kubernetes.io/no-provisioner",
        ),
        ("kubernetes.io/aws-ebs", "ExternalProvisioning", external("ebs.csi.aws.com")),
    ],
)
def test_provisioners_of_kubernetes_itself(dock: Dock, provisioner: str, reason: str, text: str) -> None:
    dock.storage_class("old", provisioner=provisioner)
    dock.claim("data", class_name="old")
    dock.settle()
    assert dock.said("data")[0] == (reason, text)


def test_a_claim_with_a_selector_is_not_provisioned(dock: Dock) -> None:
    dock.storage_class("disk")
    dock.claim("data", class_name="disk", selector={"matchLabels": {"tier": "db"}})
    dock.settle()
    text = 'failed to provision volume with StorageClass "disk": claim Selector is not supported'
    assert dock.said("data", "berth-provisioner") == [("ProvisioningFailed", text)]


def test_the_scenario_keeps_a_claim_waiting_and_then_does_not() -> None:
    rule = ClaimRule(ClaimMatch(name="data"), Period(0, 60), bind=NEVER, message="out of disks")
    dock = Dock(Scenario(claims=(rule,)))
    dock.storage_class("disk")
    dock.claim("data", class_name="disk")
    dock.claim("other", class_name="disk")
    dock.settle()
    assert (dock.phase(CLAIMS, "data"), dock.phase(CLAIMS, "other")) == ("Pending", "Bound")
    text = 'failed to provision volume with StorageClass "disk": out of disks'
    assert dock.said("data", "berth-provisioner") == [("ProvisioningFailed", text)]
    # The scenario's times count from the first workload.
    scenarioclock.begin(dock.world)
    dock.pod("first")
    dock.world.advance(59)
    assert dock.phase(CLAIMS, "data") == "Pending"
    dock.world.advance(2)
    assert dock.phase(CLAIMS, "data") == "Bound"


def test_volumes_made_by_hand(dock: Dock) -> None:
    dock.storage_class("manual", provisioner="kubernetes.io/no-provisioner")
    dock.volume("large", "10Gi", storageClassName="manual")
    dock.volume("small", "2Gi", storageClassName="manual")
    dock.volume("tiny", "1Gi", storageClassName="manual")
    dock.volume("other", "2Gi", storageClassName="else")
    dock.volume("many", "2Gi", storageClassName="manual", accessModes=["ReadOnlyMany"])
    dock.settle()
    assert {dock.phase(VOLUMES, name) for name in ("large", "small", "tiny", "other", "many")} == {"Available"}
    dock.claim("data", "2Gi", "manual")
    dock.settle()
    claim = dock.the(CLAIMS, "data")
    assert claim["spec"]["volumeName"] == "small" and claim["status"]["capacity"] == {"storage": "2Gi"}
    assert dock.the(VOLUMES, "small")["metadata"]["annotations"] == {"pv.kubernetes.io/bound-by-controller": "yes"}
    dock.claim("more", "2Gi", "manual")
    dock.settle()
    claim = dock.the(CLAIMS, "more")
    assert claim["spec"]["volumeName"] == "large" and claim["status"]["capacity"] == {"storage": "10Gi"}


def test_a_volume_that_appears_later_is_taken(dock: Dock) -> None:
    dock.storage_class("manual", provisioner="kubernetes.io/no-provisioner")
    dock.claim("data", class_name="manual", selector={"matchLabels": {"tier": "db"}})
    dock.volume("plain", storageClassName="manual")
    dock.settle()
    assert dock.phase(CLAIMS, "data") == "Pending"
    dock.volume("mine", storageClassName="manual", labels={"tier": "db"})
    dock.settle()
    assert dock.the(CLAIMS, "data")["spec"]["volumeName"] == "mine"


def test_a_claim_that_names_its_volume(dock: Dock) -> None:
    dock.claim("data", "2Gi", "", volumeName="mine")
    dock.settle()
    assert dock.phase(CLAIMS, "data") == "Pending"
    dock.volume("mine", "1Gi")
    dock.settle()
    text = 'Cannot bind to requested volume "mine": requested PV is too small'
    assert dock.said("data") == [("VolumeMismatch", text)]
    dock.change(VOLUMES, "mine", capacity={"storage": "3Gi"})
    dock.world.enqueue(dock.world.controllers[3], ("default", "data"))
    dock.settle()
    assert dock.phase(CLAIMS, "data") == "Bound"
    assert dock.the(CLAIMS, "data")["metadata"]["annotations"] == {"pv.kubernetes.io/bind-completed": "yes"}
    dock.claim("second", "1Gi", "", volumeName="mine")
    dock.settle()
    assert dock.said("second") == [("FailedBinding", 'volume "mine" already bound to a different claim.')]


def test_a_volume_that_is_reserved_for_a_claim(dock: Dock) -> None:
    dock.volume("reserved", "1Gi", claimRef={"namespace": "default", "name": "data"})
    dock.volume("free", "1Gi")
    dock.settle()
    assert dock.phase(VOLUMES, "reserved") == "Available"
    dock.claim("stranger", "1Gi", "")
    dock.claim("data", "1Gi", "")
    dock.settle()
    assert dock.the(CLAIMS, "stranger")["spec"]["volumeName"] == "free"
    assert dock.the(CLAIMS, "data")["spec"]["volumeName"] == "reserved"
    assert "annotations" not in dock.the(VOLUMES, "reserved")["metadata"]


def test_a_reserved_volume_serves_a_claim_of_a_class_that_waits(dock: Dock) -> None:
    dock.volume("mine", storageClassName="local-path", claimRef={"namespace": "default", "name": "data"})
    dock.claim("data")
    dock.settle()
    assert dock.the(CLAIMS, "data")["spec"]["volumeName"] == "mine"


def test_a_local_volume_is_chosen_with_its_node(dock: Dock) -> None:
    dock.storage_class("local", provisioner="kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer")
    there = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["berth-node-3"]}]}]
    dock.volume("disk", storageClassName="local", nodeAffinity={"required": {"nodeSelectorTerms": there}})
    dock.claim("data", class_name="local")
    dock.pod("web-0", "data")
    dock.settle()
    assert dock.node_of("web-0") == "berth-node-3"
    assert dock.the(CLAIMS, "data")["spec"]["volumeName"] == "disk"
    dock.claim("more", class_name="local")
    dock.pod("web-1", "more")
    dock.settle()
    message = dock.said("web-1")[-1][1]
    assert message.startswith("0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.")


def test_a_kept_volume_is_released_and_serves_nobody_until_it_is_freed(dock: Dock) -> None:
    dock.storage_class("disk", reclaimPolicy="Retain")
    claim = dock.claim("data", class_name="disk")
    dock.settle()
    name = dock.the(CLAIMS, "data")["spec"]["volumeName"]
    dock.delete(CLAIMS, "data")
    dock.settle()
    assert dock.gone(CLAIMS, "data") and dock.phase(VOLUMES, name) == "Released"
    assert dock.the(VOLUMES, name)["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    dock.claim("data", class_name="disk", volumeName=name)
    dock.settle()
    assert dock.phase(CLAIMS, "data") == "Pending"
    assert dock.said("data")[-1] == ("FailedBinding", f'volume "{name}" already bound to a different claim.')
    volume = dock.the(VOLUMES, name)
    spec = {key: value for key, value in volume["spec"].items() if key != "claimRef"}
    dock.client.update(VOLUMES, {**volume, "spec": spec})
    dock.settle()
    dock.world.advance(20)
    assert dock.phase(CLAIMS, "data") == "Bound" and dock.phase(VOLUMES, name) == "Bound"


def test_a_deleted_claim_takes_its_volume_along(dock: Dock) -> None:
    dock.storage_class("disk")
    dock.claim("data", class_name="disk")
    dock.settle()
    dock.delete(CLAIMS, "data")
    dock.settle()
    assert dock.client.list(VOLUMES) == []


@pytest.mark.parametrize(
    ("source", "policy", "phase", "text"),
    [
        ({"hostPath": {"path": "/tmp/x"}}, "Delete", "", ""),
        (
            {"hostPath": {"path": "/data/x"}},
            "Delete",
            "Failed",
            "host_path deleter only supports /tmp/.+ but received provided /data/x",
        ),
        (
            {"nfs": {"server": "a", "path": "/x"}},
            "Delete",
            "Failed",
            'error getting deleter volume plugin for volume "mine": no deletable volume plugin matched',
        ),
        ({"csi": {"driver": "a.b", "volumeHandle": "x"}}, "Delete", "Released", ""),
        ({"local": {"path": "/x"}}, "Recycle", "Failed", "No recycler plugin found for the volume!"),
        ({"hostPath": {"path": "/data/x"}}, "Retain", "Released", ""),
    ],
)
def test_what_becomes_of_a_volume_made_by_hand(
    dock: Dock, source: dict[str, Any], policy: str, phase: str, text: str
) -> None:
    dock.volume("mine", persistentVolumeReclaimPolicy=policy, **({"hostPath": None} | source))
    dock.claim("data", "1Gi", "")
    dock.settle()
    assert dock.phase(VOLUMES, "mine") == "Bound"
    dock.delete(CLAIMS, "data")
    dock.settle()
    if not phase:
        assert dock.gone(VOLUMES, "mine")
        return
    status = dock.the(VOLUMES, "mine")["status"]
    assert (status["phase"], status.get("message", "")) == (phase, text)


def test_a_claim_in_use_stays_until_its_pod_is_gone(dock: Dock) -> None:
    dock.claim("data")
    dock.pod("web-0", "data")
    dock.settle()
    name = dock.the(CLAIMS, "data")["spec"]["volumeName"]
    dock.delete(CLAIMS, "data")
    dock.settle()
    assert dock.the(CLAIMS, "data")["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    dock.delete(VOLUMES, name)
    dock.settle()
    assert dock.phase(VOLUMES, name) == "Bound"
    dock.delete(PODS, "web-0")
    dock.settle()
    assert dock.gone(CLAIMS, "data") and dock.gone(VOLUMES, name)


def test_a_claim_that_lost_its_volume_says_so(dock: Dock) -> None:
    dock.storage_class("disk")
    dock.claim("data", class_name="disk")
    dock.settle()
    name = dock.the(CLAIMS, "data")["spec"]["volumeName"]
    dock.delete(VOLUMES, name)
    volume = dock.the(VOLUMES, name)
    dock.client.update(VOLUMES, {**volume, "metadata": {**volume["metadata"], "finalizers": []}})
    dock.settle()
    assert dock.the(CLAIMS, "data")["status"] == {"phase": "Lost"}
    text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    assert dock.said("data")[-1] == ("ClaimLost", text)
    dock.pod("web-0", "data")
    dock.settle()
    why = f'persistentvolumeclaim "data" bound to non-existent persistentvolume "{name}"'
    assert dock.said("web-0")[0][1] == f"0/3 nodes are available: {why}. not found"


def test_a_claim_grows_with_its_volume(dock: Dock) -> None:
    dock.storage_class("disk", allowVolumeExpansion=True)
    dock.claim("data", "1Gi", "disk")
    dock.settle()
    dock.change(CLAIMS, "data", resources={"requests": {"storage": "3Gi"}})
    dock.world.advance(0.05)
    status = dock.the(CLAIMS, "data")["status"]
    assert status["capacity"] == {"storage": "1Gi"}
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Resizing", "True")]
    dock.settle()
    claim = dock.the(CLAIMS, "data")
    assert claim["status"] == {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "3Gi"}, "phase": "Bound"}
    assert dock.the(VOLUMES, claim["spec"]["volumeName"])["spec"]["capacity"] == {"storage": "3Gi"}
    assert dock.said("data")[-2:] == [
        ("ExternalExpanding", "waiting for an external controller to expand this PVC"),
        ("VolumeResizeSuccessful", "Resize volume succeeded"),
    ]


def test_a_volume_made_for_a_claim_that_vanished_meanwhile_goes_too(dock: Dock) -> None:
    dock.storage_class("disk")
    dock.claim("data", class_name="disk")
    dock.world.advance(0.05)
    dock.delete(CLAIMS, "data")
    dock.settle()
    assert dock.gone(CLAIMS, "data") and dock.client.list(VOLUMES) == []
