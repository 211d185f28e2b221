"""Why an ordinal is not there. Events and messages are as the controllers, scheduler and kubelet write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from berth.core.diagnosis import Cause, Scene, Weight, diagnose
from berth.core.objects import Json
from tests.unit.core.samples import (
    NEW,
    OLD,
    claim,
    event,
    name_of,
    over,
    pod,
    simple,
    statefulset,
    storage_class,
    table,
    waiting_pod,
)

pytestmark = pytest.mark.unit

ROLLING = {
    "metadata": {"generation": 2},
    "status": {"updateRevision": NEW, "updatedReplicas": 0, "observedGeneration": 2},
}


def one(body: Json, scene: Scene) -> Cause:
    """The only cause there is."""
    causes = diagnose(body, scene)
    assert len(causes) == 1, causes
    return next(iter(causes.values()))


def of(pod_body: Json, *events: Json, **scene: Any) -> Cause:
    """The cause for one pod, of a set of one."""
    return one(statefulset({"spec": {"replicas": 1}}), Scene([pod_body], events=events, **scene))


def refused(*events: Json, **changes: Any) -> Cause:
    """The cause for the first pod, which is not there."""
    return one(statefulset({"spec": {"replicas": 1}, **changes}), Scene(events=events))


def test_ready_ordinals_have_no_cause() -> None:
    assert diagnose(statefulset(), Scene([pod(0), pod(1), pod(2)])) == {}


def test_later_ordinals_wait_for_the_first_that_is_not_ready() -> None:
    causes = diagnose(
        statefulset({"spec": {"ordinals": {"start": 5}}}), Scene([pod(5), waiting_pod(6, "ImagePullBackOff")])
    )
    assert {o: (c.reason, c.weight) for o, c in causes.items()} == {
        6: ("ImagePullBackOff", Weight.SUSPECT),
        7: ("Waits", Weight.TRANSIENT),
    }
    assert causes[7].message == "web-7 waits for web-6 to be ready"


def test_in_parallel_nobody_waits_for_anybody() -> None:
    causes = diagnose(statefulset({"spec": {"podManagementPolicy": "Parallel"}}), Scene())
    assert [cause.reason for cause in causes.values()] == ["NotCreated"] * 3


REFUSALS = table("""
- name: Pod Security
  why: >-
    pods "web-0" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false
    (container "nginx" must set securityContext.allowPrivilegeEscalation=false)
  weight: terminal
  reason: PodSecurity
- name: a quota of limits
  why: >-
    pods "web-0" is forbidden: exceeded quota: tight, requested: limits.cpu=3, used: limits.cpu=0, limited: limits.cpu=2
  weight: suspect
  reason: Quota
- name: a quota that wants to know
  why: 'pods "web-0" is forbidden: failed quota: tight: must specify limits.cpu for: nginx'
  weight: terminal
  reason: Quota
- name: a quota of claims
  why: >-
    failed to create PVC www-web-0: persistentvolumeclaims "www-web-0" is forbidden: exceeded quota: tight,
    requested: persistentvolumeclaims=1, used: persistentvolumeclaims=5, limited: persistentvolumeclaims=4
  weight: suspect
  reason: Quota
- name: no account
  why: 'pods "web-0" is forbidden: error looking up service account shop/missing: serviceaccount "missing" not found'
  weight: suspect
  reason: NoAccount
- name: a webhook
  why: 'admission webhook "validate.policy.example" denied the request: no latest tags'
  weight: suspect
  reason: Denied
- name: a template that no pod can be made from
  why: 'Pod "web-0" is invalid: spec.containers[0].image: Required value'
  weight: terminal
  reason: FailedCreate
- name: a claim on its way out
  why: pvc www-web-0 is being deleted
  weight: suspect
  reason: ClaimTerminating
- name: anything else
  why: 'pods "web-0" is forbidden: no PriorityClass with name high was found'
  weight: suspect
  reason: FailedCreate
""")


@pytest.mark.parametrize("prefix", ["", "(combined from similar events): "], ids=["", "combined"])
@pytest.mark.parametrize("case", REFUSALS, ids=name_of)
def test_a_pod_that_the_api_server_refuses(case: dict[str, Any], prefix: str) -> None:
    said = f"{prefix}Create Pod web-0 in StatefulSet web failed error: {case['why']}"
    cause = refused(event(statefulset(), "FailedCreate", said))
    assert (cause.weight, cause.reason) == (case["weight"], case["reason"])
    assert cause.message == f"web-0 is refused: {case['why']}"
    assert cause.hint


def test_a_refused_claim_is_the_reason_for_its_pod() -> None:
    said = (
        'Create Claim www-web-0 for Pod web-0 in StatefulSet web failed error: persistentvolumeclaims "www-web-0" is '
        "forbidden: exceeded quota: tight, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=4, "
        "limited: persistentvolumeclaims=4"
    )
    assert refused(event(statefulset(), "FailedCreate", said)).reason == "Quota"


SAID = 'Create Pod web-0 in StatefulSet web failed error: pods "web-0" is forbidden: violates PodSecurity "restricted"'


def test_a_refusal_of_another_ordinal_is_not_about_this_one() -> None:
    """web-1 is missing for a moment, and web-0 was refused before it was corrected."""
    body = statefulset({"spec": {"replicas": 2}})
    assert one(body, Scene([pod(0)], events=[event(body, "FailedCreate", SAID)])).reason == "NotCreated"
    longer = event(body, "FailedCreate", SAID.replace("web-0", "web-10"))
    assert one(body, Scene([pod(0)], events=[longer])).reason == "NotCreated"


def test_a_refusal_of_an_earlier_set_of_the_name_is_not_about_this_one() -> None:
    earlier = statefulset({"metadata": {"uid": "earlier"}})
    assert refused(event(earlier, "FailedCreate", SAID)).reason == "NotCreated"


def test_a_refusal_is_over_once_the_pod_was_created() -> None:
    made = event(
        statefulset(), "SuccessfulCreate", "Create Pod web-0 in StatefulSet web successful", "2026-01-01T10:00:09Z"
    )
    assert refused(made, event(statefulset(), "FailedCreate", SAID)).reason == "NotCreated"
    claim_made = event(
        statefulset(),
        "SuccessfulCreate",
        "Create Claim www-web-0 Pod web-0 in StatefulSet web success",
        "2026-01-01T10:00:09Z",
    )
    assert refused(claim_made, event(statefulset(), "FailedCreate", SAID)).reason == "PodSecurity"


@pytest.mark.parametrize(
    ("changed", "weight"),
    [("2026-01-01T09:59:59Z", Weight.TERMINAL), ("2026-01-01T10:00:01Z", Weight.SUSPECT)],
    ids=["said of this spec", "said of an earlier spec"],
)
def test_a_refusal_of_an_earlier_spec_is_not_the_last_word(changed: str, weight: Weight) -> None:
    fields = [
        {"manager": "berth", "operation": "Apply", "time": changed},
        {"manager": "kube-controller-manager", "time": "2026-01-01T11:00:00Z", "subresource": "status"},
    ]
    failed = event(statefulset(), "FailedCreate", SAID)
    assert refused(failed, metadata={"managedFields": fields}).weight is weight


def test_a_pod_is_not_made_while_its_claim_goes() -> None:
    """The controller says nothing then: it waits for the claim to be gone (PodClaimIsStale)."""
    going = claim("www-web-0", {"metadata": {"deletionTimestamp": "2026-01-01T10:00:00Z"}})
    cause = one(statefulset({"spec": {"replicas": 1}}), Scene(claims={"www-web-0": going}))
    assert (cause.reason, cause.weight) == ("ClaimTerminating", Weight.SUSPECT)


PENDING = table("""
- name: waits for its first consumer, says nothing
  events: [[WaitForFirstConsumer, waiting for first consumer to be created before binding]]
  reason: Pending
  weight: transient
- name: a class that does not exist
  claim: {spec: {storageClassName: nope}}
  reason: NoClass
  says: claim www-web-0 asks for class nope, which does not exist
- name: a class that does not exist, when classes may not be listed
  claim: {spec: {storageClassName: nope}}
  classes: unknown
  events: [[ProvisioningFailed, 'storageclass.storage.k8s.io "nope" not found']]
  reason: Provisioning
  says: 'claim www-web-0 is not provisioned: storageclass.storage.k8s.io "nope" not found'
- name: no class and no default
  claim: {spec: {storageClassName: null}}
  events: [[FailedBinding, no persistent volumes available for this claim and no storage class is set]]
  reason: NoClass
  says: claim www-web-0 has no class, and there is no default
- name: the empty class wants a volume made by hand
  claim: {spec: {storageClassName: ""}}
  events: [[FailedBinding, no persistent volumes available for this claim and no storage class is set]]
  reason: NoVolume
- name: a provisioner that does not answer
  events: [[ExternalProvisioning, Waiting for a volume to be created either by the external provisioner]]
  reason: Provisioning
  says: claim www-web-0 waits for provisioner rancher.io/local-path, which has not answered
- name: a provisioner that fails
  events:
  - [ExternalProvisioning, Waiting for a volume to be created either by the external provisioner]
  - [ProvisioningFailed, 'failed to provision volume: no space left']
  reason: Provisioning
  says: 'claim www-web-0 is not provisioned: failed to provision volume: no space left'
- name: being deleted
  claim: {metadata: {deletionTimestamp: "2026-01-01T10:00:00Z"}}
  reason: ClaimTerminating
- name: lost
  claim: {status: {phase: Lost}}
  reason: ClaimLost
  weight: terminal
""")


@pytest.mark.parametrize("case", PENDING, ids=name_of)
def test_a_claim_that_does_not_bind(case: dict[str, Any]) -> None:
    body = over(claim("www-web-0", phase="Pending"), case.get("claim"))
    events = [event(body, reason, message) for reason, message in case.get("events", [])]
    classes = None if case.get("classes") == "unknown" else {"local-path": storage_class("local-path")}
    cause = of(pod(0, {"spec": {"nodeName": None}}, ready=False), *events, claims={"www-web-0": body}, classes=classes)
    if case["reason"] == "Pending":
        pending = pod(0, {"spec": {"nodeName": None}, "status": {"containerStatuses": None}}, ready=False)
        cause = of(pending, *events, claims={"www-web-0": body}, classes=classes)
    assert (cause.reason, cause.weight) == (case["reason"], case.get("weight", "suspect"))
    assert case.get("says", cause.message) == cause.message


def unscheduled(message: str, reason: str = "Unschedulable") -> Json:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    status = {"phase": "Pending", "conditions": [condition], "containerStatuses": None}
    return pod(0, {"spec": {"nodeName": None}, "status": status}, ready=False)


INSUFFICIENT = (
    "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: "
    "3 Preemption is not helpful for scheduling."
)


def test_an_unschedulable_pod_says_why() -> None:
    cause = of(unscheduled(INSUFFICIENT))
    assert (cause.reason, cause.weight) == ("Unschedulable", Weight.SUSPECT)
    assert cause.message == "web-0: 0/3 nodes are available: 3 Insufficient cpu"
    assert cause.hint == "ask for less cpu (--set resources.requests.cpu=...), or add nodes"


def test_an_unschedulable_pod_points_to_its_claim() -> None:
    unbound = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    assert "kubectl describe pvc" in of(unscheduled(unbound)).hint


def test_a_gated_pod() -> None:
    assert (
        of(unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")).reason
        == "SchedulingGated"
    )


@pytest.mark.parametrize("reason", ["TriggeredScaleUp", "Nominated"])
def test_a_pod_for_which_a_node_is_being_added_only_waits(reason: str) -> None:
    body = unscheduled(INSUFFICIENT)
    cause = of(body, event(body, reason, "pod triggered scale-up: [{pool 1->2 (max: 5)}]"))
    assert (cause.reason, cause.weight) == ("NodeComing", Weight.TRANSIENT)


def test_an_evicted_pod() -> None:
    status = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource: memory.",
        "containerStatuses": None,
    }
    cause = of(pod(0, {"status": status}, ready=False))
    assert (cause.reason, cause.weight) == ("Evicted", Weight.SUSPECT)


@pytest.mark.parametrize(
    ("since", "reason"), [("2026-01-01T09:59:00Z", "Evicted"), ("2026-01-01T10:01:00Z", "Creating")]
)
def test_the_eviction_of_the_pod_before_is_not_forgotten(since: str, reason: str) -> None:
    earlier = over(simple("Pod", "web-0"), {"metadata": {"uid": "earlier"}})
    cause = of(waiting_pod(0, "ContainerCreating"), event(earlier, "Evicted", "Usage exceeds. "), since=since)
    assert (cause.reason, cause.weight) == (reason, Weight.TRANSIENT)
    assert cause.message.endswith("; the one before it was evicted: Usage exceeds.") is (reason == "Evicted")


def test_events_of_an_earlier_pod_of_the_name_are_not_about_this_one() -> None:
    earlier = over(simple("Pod", "web-0"), {"metadata": {"uid": "earlier"}})
    failed = event(earlier, "FailedMount", "MountVolume.SetUp failed")
    assert of(waiting_pod(0, "ContainerCreating"), failed).reason == "Creating"


def test_the_newest_event_counts_whichever_field_holds_its_time() -> None:
    body = waiting_pod(0, "ContainerCreating")
    old = event(body, "FailedMount", "old", "2026-01-01T10:00:00Z")
    seen_again = event(
        body, "FailedAttachVolume", "new", series={"count": 2, "lastObservedTime": "2026-01-01T10:00:09.1Z"}
    )
    between = {**event(body, "FailedMount", "between"), "lastTimestamp": None, "eventTime": "2026-01-01T10:00:05.5Z"}
    assert of(body, old, seen_again, between).message == "web-0: new"


@pytest.mark.parametrize(
    ("now", "finalizers", "weight", "hint"),
    [
        (None, [], Weight.TRANSIENT, ""),
        (30, [], Weight.TRANSIENT, ""),
        (120, [], Weight.SUSPECT, "--force"),
        (120, ["example.com/backup"], Weight.SUSPECT, "finalizer"),
    ],
    ids=["no clock", "within its grace", "overdue", "held"],
)
def test_a_pod_that_stops(now: int | None, finalizers: list[str], weight: Weight, hint: str) -> None:
    meta = {"deletionTimestamp": "2026-01-01T10:00:00Z", "finalizers": finalizers}
    clock = None if now is None else datetime(2026, 1, 1, 10, now // 60, now % 60, tzinfo=UTC)
    cause = of(pod(0, {"metadata": meta}), now=clock)
    assert (cause.reason, cause.weight) == ("Terminating", weight)
    assert hint in cause.hint
    assert all(finalizer in cause.message for finalizer in finalizers)


OUTDATED = table("""
- name: OrderedReady, the pod blocks its own fix
  weight: terminal
  hint: blocks its own fix
- name: Parallel, the controller replaces it
  set: {spec: {podManagementPolicy: Parallel}}
  weight: suspect
  hint: about to be replaced
- name: OnDelete leaves it
  set: {spec: {updateStrategy: {type: OnDelete, rollingUpdate: null}}}
  weight: terminal
  hint: OnDelete leaves it so
- name: below the partition deleting it would not help
  set: {spec: {updateStrategy: {rollingUpdate: {partition: 1}}}}
  weight: terminal
  hint: correct the image's name
- name: the controller has not seen the fix yet
  set: {metadata: {generation: 3}}
  weight: transient
  hint: correct the image's name
""")


@pytest.mark.parametrize("case", OUTDATED, ids=name_of)
def test_a_broken_pod_of_an_old_revision(case: dict[str, Any]) -> None:
    body = over(statefulset({"spec": {"replicas": 1}, **ROLLING}), case.get("set"))
    cause = one(body, Scene([waiting_pod(0, "InvalidImageName", revision=OLD)]))
    assert cause.weight == case["weight"]
    assert case["hint"] in cause.hint
    if "delete it" in cause.hint:
        assert "kubectl delete pod web-0 -n shop" in cause.hint


def test_a_broken_pod_of_the_new_revision_is_simply_broken() -> None:
    body = statefulset({"spec": {"replicas": 1}, **ROLLING})
    cause = one(body, Scene([waiting_pod(0, "InvalidImageName", revision=NEW)]))
    assert (cause.weight, cause.hint) == (Weight.TERMINAL, "correct the image's name")
