"""Claims, volumes and classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import CLAIMS, PODS, SETS, Space, pod_spec, stateful_set
from tests.contract.behaviour.wire import MERGE
from tests.waiting import eventually

VOLUMES, CLASSES = "persistentvolumes", "storageclasses"


def claim(name: str = "data", storage: str = "1Gi", **spec: Any) -> Json:
    """A claim."""
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted}


def user(name: str = "user", claim: str = "data") -> Json:
    """A pod that uses a claim."""
    spec = pod_spec("web:1", "data")
    spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def phase(wanted: str) -> Callable[[Json], bool]:
    """Whether an object is in a phase."""
    return lambda body: body.get("status", {}).get("phase") == wanted


@pytest.fixture
def a_class(here: Space) -> Iterator[Callable[..., str]]:
    """Make StorageClasses, which are gone afterwards."""
    made: list[str] = []

    def make(**fields: Any) -> str:
        name = f"c-{uuid4().hex[:8]}"
        body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
        here.make(CLASSES, {**body, "provisioner": "rancher.io/local-path", **fields})
        made.append(name)
        return name

    yield make
    for name in made:
        here.delete(CLASSES, name)


def events_of(here: Space, name: str, reason: str) -> Json:
    """The event of a reason about an object, once it is there."""
    selector = f"involvedObject.name={name},reason={reason}"

    def look() -> Json | None:
        found = here.all("events", fieldSelector=selector)
        return found[0] if found else None

    return eventually(look)


def test_a_claim_gets_the_default_class_and_the_defaults(here: Space) -> None:
    body = here.make(CLAIMS, claim())
    assert body["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "local-path",
        "volumeMode": "Filesystem",
    }
    assert body["status"] == {"phase": "Pending"}
    assert body["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


def test_a_claim_of_a_class_that_waits_for_its_consumer(here: Space) -> None:
    here.make(CLAIMS, claim())
    event = events_of(here, "data", "WaitForFirstConsumer")
    assert (event["type"], event["message"]) == ("Normal", "waiting for first consumer to be created before binding")
    assert here.read(CLAIMS, "data")["status"]["phase"] == "Pending"
    here.make(PODS, user())
    bound = here.until(CLAIMS, "data", phase("Bound"))
    annotations = bound["metadata"]["annotations"]
    assert annotations.pop("volume.kubernetes.io/selected-node").startswith("berth-node-")
    assert annotations == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
        "volume.beta.kubernetes.io/storage-provisioner": "rancher.io/local-path",
        "volume.kubernetes.io/storage-provisioner": "rancher.io/local-path",
    }
    assert bound["status"] == {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "phase": "Bound"}
    assert bound["spec"]["volumeName"] == f"pvc-{bound['metadata']['uid']}"


def test_a_claim_of_a_class_that_binds_at_once(here: Space, a_class: Callable[..., str]) -> None:
    here.make(CLAIMS, claim(storageClassName=a_class()))
    bound = here.until(CLAIMS, "data", phase("Bound"))
    assert "volume.kubernetes.io/selected-node" not in bound["metadata"]["annotations"]


def test_the_volume_of_a_claim(here: Space, a_class: Callable[..., str]) -> None:
    name = a_class()
    here.make(CLAIMS, claim(storageClassName=name))
    bound = here.until(CLAIMS, "data", phase("Bound"))
    volume = here.until(VOLUMES, bound["spec"]["volumeName"], phase("Bound"))
    spec = volume["spec"]
    reference = {key: spec["claimRef"][key] for key in ("kind", "namespace", "name", "uid", "apiVersion")}
    assert reference == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": "data",
        "namespace": here.name,
        "uid": bound["metadata"]["uid"],
    }
    assert (spec["storageClassName"], spec["persistentVolumeReclaimPolicy"]) == (name, "Delete")
    assert (spec["accessModes"], spec["capacity"]) == (["ReadWriteOnce"], {"storage": "1Gi"})
    assert "kubernetes.io/pv-protection" in volume["metadata"]["finalizers"]
    assert volume["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == "rancher.io/local-path"


@pytest.mark.parametrize(("policy", "left"), [("Delete", False), ("Retain", True)])
def test_what_becomes_of_the_volume_of_a_deleted_claim(
    here: Space, a_class: Callable[..., str], policy: str, left: bool
) -> None:
    here.make(CLAIMS, claim(storageClassName=a_class(reclaimPolicy=policy)))
    bound = here.until(CLAIMS, "data", phase("Bound"))
    here.delete(CLAIMS, "data")
    here.gone(CLAIMS, "data")
    name = bound["spec"]["volumeName"]
    if not left:
        here.gone(VOLUMES, name)
        return
    released = here.until(VOLUMES, name, phase("Released"))
    # The reference to the claim that is no more keeps any other claim away.
    assert released["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]
    here.delete(VOLUMES, name)
    here.gone(VOLUMES, name)


def test_a_released_volume_is_available_again_without_its_reference(here: Space, a_class: Callable[..., str]) -> None:
    chosen = a_class(reclaimPolicy="Retain")
    here.make(CLAIMS, claim(storageClassName=chosen))
    name = here.until(CLAIMS, "data", phase("Bound"))["spec"]["volumeName"]
    here.delete(CLAIMS, "data")
    here.until(VOLUMES, name, phase("Released"))
    here.patch(VOLUMES, name, {"spec": {"claimRef": None}})
    here.until(VOLUMES, name, phase("Available"))
    here.make(CLAIMS, claim("again", storageClassName=chosen, volumeName=name))
    assert here.until(CLAIMS, "again", phase("Bound"))["spec"]["volumeName"] == name
    here.delete(CLAIMS, "again")
    here.until(VOLUMES, name, phase("Released"))
    here.delete(VOLUMES, name)


def test_a_claim_that_a_pod_uses_is_held(here: Space) -> None:
    here.make(CLAIMS, claim())
    here.make(PODS, user())
    here.until(CLAIMS, "data", phase("Bound"))
    here.until(PODS, "user", phase("Running"))
    here.delete(CLAIMS, "data")
    held = here.read(CLAIMS, "data")
    assert held["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert held["metadata"]["deletionTimestamp"]
    here.delete(PODS, "user")
    here.gone(CLAIMS, "data")


def test_a_volume_that_is_bound_is_held(here: Space, a_class: Callable[..., str]) -> None:
    here.make(CLAIMS, claim(storageClassName=a_class()))
    name = here.until(CLAIMS, "data", phase("Bound"))["spec"]["volumeName"]
    here.until(VOLUMES, name, phase("Bound"))
    here.delete(VOLUMES, name)
    volume = here.read(VOLUMES, name)
    assert volume["metadata"]["deletionTimestamp"]
    assert "kubernetes.io/pv-protection" in volume["metadata"]["finalizers"]
    here.delete(CLAIMS, "data")
    here.gone(VOLUMES, name)


def test_a_claim_of_a_class_that_is_not_there(here: Space) -> None:
    here.make(CLAIMS, claim(storageClassName="no-such"))
    event = events_of(here, "data", "ProvisioningFailed")
    assert event["type"] == "Warning"
    assert event["message"] == 'storageclass.storage.k8s.io "no-such" not found'
    assert here.read(CLAIMS, "data")["status"]["phase"] == "Pending"


def test_a_claim_without_a_class_and_without_a_volume(here: Space) -> None:
    here.make(CLAIMS, claim(storageClassName=""))
    event = events_of(here, "data", "FailedBinding")
    assert (event["type"], event["message"]) == (
        "Normal",
        "no persistent volumes available for this claim and no storage class is set",
    )


def test_a_claim_whose_provisioner_never_answers(here: Space, a_class: Callable[..., str]) -> None:
    here.make(CLAIMS, claim(storageClassName=a_class(provisioner="example.com/never")))
    event = events_of(here, "data", "ExternalProvisioning")
    assert event["message"] == (
        "Waiting for a volume to be created either by the external provisioner 'example.com/never' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )


def test_a_pod_whose_claim_is_not_there(here: Space) -> None:
    here.make(PODS, user(claim="no-such"))
    body = here.until(PODS, "user", lambda pod: pod["status"].get("conditions"))
    [condition] = body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert 'persistentvolumeclaim "no-such" not found' in condition["message"]
    here.make(CLAIMS, claim("no-such"))
    here.until(PODS, "user", phase("Running"))


def test_a_pod_whose_claim_is_never_bound(here: Space, a_class: Callable[..., str]) -> None:
    here.make(CLAIMS, claim(storageClassName=a_class(provisioner="example.com/never")))
    here.make(PODS, user())
    body = here.until(PODS, "user", lambda pod: pod["status"].get("conditions"))
    assert body["status"]["conditions"][0]["message"].startswith(
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    )


def test_expansion(here: Space, a_class: Callable[..., str]) -> None:
    here.make(CLAIMS, claim(storageClassName=a_class(allowVolumeExpansion=True)))
    bound = here.until(CLAIMS, "data", phase("Bound"))
    here.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    here.until(CLAIMS, "data", lambda body: body["status"]["capacity"]["storage"] == "2Gi")
    assert here.read(VOLUMES, bound["spec"]["volumeName"])["spec"]["capacity"]["storage"] == "2Gi"


def refused(here: Space, storage: str) -> tuple[int, str]:
    """Code and words of a refused change of the claim's size."""
    body = {"spec": {"resources": {"requests": {"storage": storage}}}}
    answer = here.ask("PATCH", CLAIMS, "data", body, type=MERGE)
    return answer.status, answer.message


def test_a_class_that_does_not_expand(here: Space, a_class: Callable[..., str]) -> None:
    here.make(CLAIMS, claim(storageClassName=a_class()))
    here.until(CLAIMS, "data", phase("Bound"))
    assert refused(here, "2Gi") == (
        403,
        'persistentvolumeclaims "data" is forbidden: only dynamically provisioned pvc can be resized and the '
        "storageclass that provisions the pvc must support resize",
    )


def test_a_claim_does_not_shrink(here: Space, a_class: Callable[..., str]) -> None:
    here.make(CLAIMS, claim(storage="2Gi", storageClassName=a_class(allowVolumeExpansion=True)))
    here.until(CLAIMS, "data", phase("Bound"))
    status, message = refused(here, "1Gi")
    assert status == 422
    assert message.startswith('PersistentVolumeClaim "data" is invalid: spec.resources.requests.storage: Forbidden: ')
    assert message.endswith("field can not be less than status.capacity")


def test_a_claim_is_otherwise_immutable(here: Space) -> None:
    here.make(CLAIMS, claim())
    answer = here.ask("PATCH", CLAIMS, "data", {"spec": {"accessModes": ["ReadOnlyMany"]}}, type=MERGE)
    assert answer.status == 422
    reason, field, text = answer.causes[0]
    assert (reason, field) == ("FieldValueForbidden", "spec")
    assert text.startswith(
        "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
        "claims\n"
    )


def test_a_class_is_immutable(here: Space, a_class: Callable[..., str]) -> None:
    name = a_class()
    for field, value in (("provisioner", "other"), ("reclaimPolicy", "Retain")):
        answer = here.ask("PATCH", CLASSES, name, {field: value}, type=MERGE)
        assert (answer.status, answer.causes) == (
            422,
            [("FieldValueInvalid", field, f'Invalid value: "{value}": field is immutable')],
        )
    assert here.patch(CLASSES, name, {"allowVolumeExpansion": True})["allowVolumeExpansion"] is True


def test_the_defaults_of_a_class(here: Space, a_class: Callable[..., str]) -> None:
    body = here.read(CLASSES, a_class())
    assert (body["reclaimPolicy"], body["volumeBindingMode"]) == ("Delete", "Immediate")


def test_a_claim_takes_a_volume_that_is_there(here: Space, a_class: Callable[..., str]) -> None:
    chosen = a_class(provisioner="kubernetes.io/no-provisioner")
    name = f"v-{uuid4().hex[:8]}"
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "5Gi"},
        "storageClassName": chosen,
        "hostPath": {"path": "/data"},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    here.make(VOLUMES, {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec})
    here.until(VOLUMES, name, phase("Available"))
    here.make(CLAIMS, claim(storageClassName=chosen))
    bound = here.until(CLAIMS, "data", phase("Bound"))
    assert bound["spec"]["volumeName"] == name
    # All of it is the claim's, however little it asked for.
    assert bound["status"]["capacity"] == {"storage": "5Gi"}
    here.delete(CLAIMS, "data")
    here.until(VOLUMES, name, phase("Released"))
    here.delete(VOLUMES, name)
    here.gone(VOLUMES, name)


def test_a_set_whose_class_is_missing_waits(here: Space) -> None:
    body = stateful_set(2, claims=("data",))
    body["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "no-such"
    here.make(SETS, body)
    here.until(PODS, "web-0", lambda pod: pod["status"].get("conditions"))
    assert here.names(PODS) == ["web-0"]
    assert here.names(CLAIMS) == ["data-web-0"]
