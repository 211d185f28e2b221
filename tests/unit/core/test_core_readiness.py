"""When is an object ready. The statuses of sets are those that Kubernetes 1.36 writes."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.readiness import Status, held, judge, owned_pods, trapped
from tests.unit.core.samples import NEW, OLD, name_of, over, pod, simple, statefulset, table

pytestmark = pytest.mark.unit

SETS = table("""
- name: three of three
  ready: Ready
- name: the controller has not seen the change
  set: {metadata: {generation: 2}}
  waits: Observed
- name: no status yet
  set: {status: null}
  waits: Observed
- name: a stale status that looks broken says nothing either
  set: {metadata: {generation: 2}, status: {readyReplicas: 0, replicas: 1}}
  waits: Observed
- name: replicas is 1 when it is not stated
  set: {spec: {replicas: null}, status: {replicas: 1, readyReplicas: 1, availableReplicas: 1, updatedReplicas: 1}}
  ready: Ready
- name: nothing wanted, nothing there
  set: {spec: {replicas: 0}, status: {replicas: 0, readyReplicas: null, availableReplicas: 0, updatedReplicas: null}}
  ready: Ready
- name: nothing wanted, one still there
  set: {spec: {replicas: 0}, status: {replicas: 1, readyReplicas: 1, availableReplicas: 1, updatedReplicas: 1}}
  waits: ScalingDown
- name: the second of three starts
  set: {status: {replicas: 2, readyReplicas: 1, availableReplicas: 1, updatedReplicas: 2, currentReplicas: 2}}
  waits: Starting
- name: all there, one not ready
  set: {status: {readyReplicas: 2, availableReplicas: 2}}
  waits: Starting
- name: ready, not yet available
  set: {spec: {minReadySeconds: 20}, status: {availableReplicas: 1}}
  waits: Settling
- name: one too many
  set: {status: {replicas: 4, readyReplicas: 4, availableReplicas: 4}}
  waits: ScalingDown
- name: rolling, one of three updated
  set: {status: {updateRevision: web-664889b478, updatedReplicas: 1, currentReplicas: 2}}
  waits: Updating
- name: all updated, the rollout not recorded
  set: {status: {updateRevision: web-664889b478}}
  waits: Updating
- name: a pod is being replaced, and still counts as ready
  set: {status: {updatedReplicas: 2}}
  waits: Replacing
- name: partition, its ordinals not updated yet
  set:
    spec: {updateStrategy: {rollingUpdate: {partition: 1}}}
    status: {updateRevision: web-664889b478, updatedReplicas: 1, currentReplicas: 2}
  waits: Updating
- name: partition, steady
  set:
    spec: {updateStrategy: {rollingUpdate: {partition: 2}}}
    status: {updateRevision: web-664889b478, updatedReplicas: 1, currentReplicas: 2}
  ready: Partitioned
- name: partition above all ordinals, nothing due
  set:
    spec: {updateStrategy: {rollingUpdate: {partition: 9}}}
    status: {updateRevision: web-664889b478, updatedReplicas: null}
  ready: Partitioned
- name: partition lowered after more were updated than it asks for
  set:
    spec: {updateStrategy: {rollingUpdate: {partition: 2}}}
    status: {updateRevision: web-664889b478, updatedReplicas: 2, currentReplicas: 1}
  ready: Partitioned
- name: partition without an update under way
  set: {spec: {updateStrategy: {rollingUpdate: {partition: 2}}}}
  ready: Ready
- name: partition counts from the first ordinal
  set:
    spec: {ordinals: {start: 5}, updateStrategy: {rollingUpdate: {partition: 2}}}
    status: {updateRevision: web-664889b478, updatedReplicas: 1, currentReplicas: 2}
  ready: Partitioned
- name: partition, an updated pod not ready
  set:
    spec: {updateStrategy: {rollingUpdate: {partition: 2}}}
    status: {updateRevision: web-664889b478, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2}
  waits: Starting
- name: OnDelete, nothing to update
  set: {spec: {updateStrategy: {type: OnDelete, rollingUpdate: null}}}
  ready: Ready
- name: OnDelete, no pod of the new revision (Kubernetes leaves a zero out)
  set:
    spec: {updateStrategy: {type: OnDelete, rollingUpdate: null}}
    status: {updateRevision: web-664889b478, updatedReplicas: null}
  ready: OnDelete
  says: 3 ready; 3 await deletion
- name: OnDelete, a pod not ready
  set:
    spec: {updateStrategy: {type: OnDelete, rollingUpdate: null}}
    status: {updateRevision: web-664889b478, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2}
  waits: Starting
""")


@pytest.mark.parametrize("case", SETS, ids=name_of)
def test_a_set_is_ready_by_its_status(case: dict[str, Any]) -> None:
    verdict = judge(statefulset(case.get("set")))
    assert verdict.reason == case.get("ready", case.get("waits"))
    assert verdict.current == ("ready" in case)
    assert case.get("says", verdict.message) == verdict.message


def test_a_deleted_set_is_terminating_whatever_its_status_says() -> None:
    meta = {"deletionTimestamp": "2026-01-01T10:00:00Z", "finalizers": ["foregroundDeletion"]}
    verdict = judge(statefulset({"metadata": meta}))
    assert (verdict.status, verdict.message) == (Status.TERMINATING, "held by foregroundDeletion")


def test_on_delete_names_the_pods_that_await_deletion() -> None:
    strategy = {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
    body = statefulset({"spec": strategy, "status": {"updateRevision": NEW, "updatedReplicas": 1}})
    verdict = judge(body, [pod(0), pod(1, revision=NEW), pod(2)])
    assert verdict.current
    assert verdict.message == "3 ready; 2 await deletion: web-0, web-2"


def test_a_raised_first_ordinal_is_not_ready_while_the_counters_still_add_up() -> None:
    """The controller writes the new generation with three ready pods, before it has made the fourth."""
    body = statefulset(
        {"metadata": {"generation": 3}, "spec": {"ordinals": {"start": 1}}, "status": {"observedGeneration": 3}}
    )
    before = [pod(0), pod(1), pod(2)]
    assert judge(body, before).message == "web-3 not created yet"
    assert judge(body, [*before, pod(3)]).reason == "ScalingDown"
    assert judge(body, [pod(1), pod(2), pod(3)]).current


def test_a_stopping_pod_is_to_be_replaced_although_it_still_counts_as_ready() -> None:
    stopping = pod(1, {"metadata": {"deletionTimestamp": "2026-01-01T10:00:30Z"}})
    strategy = {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
    assert judge(statefulset({"spec": strategy}), [pod(0), stopping, pod(2)]).reason == "Replacing"


OTHERS = table("""
- name: a Service exists
  body: {kind: Service}
  is: current
- name: an active namespace
  body: {kind: Namespace, status: {phase: Active}}
  is: current
- name: a namespace that goes
  body: {kind: Namespace, status: {phase: Terminating}}
  is: terminating
- name: a claim of a class that waits for its first consumer is nothing to wait for
  body: {kind: PersistentVolumeClaim, status: {phase: Pending}}
  is: current
- name: a bound claim
  body: {kind: PersistentVolumeClaim, status: {phase: Bound}}
  is: current
- name: a claim without its volume
  body: {kind: PersistentVolumeClaim, status: {phase: Lost}}
  is: failed
- name: a job that runs
  body: {kind: Job, status: {active: 1}}
  is: in progress
- name: a job that is done
  body:
    kind: Job
    status: {conditions: [{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]}
  is: current
- name: a job that failed
  body: {kind: Job, status: {conditions: [{type: Failed, status: "True", message: BackoffLimitExceeded}]}}
  is: failed
- name: a deployment that is seen, updated and available
  body:
    kind: Deployment
    spec: {replicas: 2}
    status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2}
  is: current
- name: a deployment of a stale generation
  body:
    kind: Deployment
    metadata: {generation: 2}
    spec: {replicas: 1}
    status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}
  is: in progress
- name: a deployment with an old pod left
  body:
    kind: Deployment
    spec: {replicas: 1}
    status: {observedGeneration: 1, replicas: 2, updatedReplicas: 1, availableReplicas: 1}
  is: in progress
- name: a deployment past its deadline
  body:
    kind: Deployment
    spec: {replicas: 1}
    status: {conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: late}]}
  is: failed
- name: a daemon set with a node to go
  body: {kind: DaemonSet, status: {desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2}}
  is: in progress
- name: a daemon set everywhere
  body: {kind: DaemonSet, status: {desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}}
  is: current
- name: a definition not served yet
  body: {kind: CustomResourceDefinition, status: {conditions: [{type: NamesAccepted, status: "True"}]}}
  is: in progress
- name: a definition that is served
  body: {kind: CustomResourceDefinition, status: {conditions: [{type: Established, status: "True"}]}}
  is: current
""")


@pytest.mark.parametrize("case", OTHERS, ids=name_of)
def test_other_kinds(case: dict[str, Any]) -> None:
    assert judge(over(simple(case["body"]["kind"], "it"), case["body"])).status == case["is"]


@pytest.mark.parametrize(
    ("strategy", "start", "kept"),
    [
        ({}, 0, []),
        ({"rollingUpdate": {"partition": 2}}, 0, [0, 1]),
        ({"rollingUpdate": {"partition": 2}}, 5, [5, 6]),
        ({"rollingUpdate": {"partition": 9}}, 0, [0, 1, 2]),
        ({"type": "OnDelete", "rollingUpdate": None}, 0, [0, 1, 2]),
    ],
    ids=["all roll", "partition", "partition and start", "partition above all", "OnDelete"],
)
def test_which_ordinals_an_update_leaves_alone(strategy: dict[str, Any], start: int, kept: list[int]) -> None:
    body = statefulset({"spec": {"updateStrategy": strategy, "ordinals": {"start": start}}})
    assert [ordinal for ordinal in range(start, start + 3) if held(body, ordinal)] == kept


def test_owned_pods_are_those_that_the_set_controls_by_its_name() -> None:
    stranger = pod(
        1, {"metadata": {"ownerReferences": [{"kind": "StatefulSet", "uid": "another", "controller": True}]}}
    )
    orphan = pod(2, {"metadata": {"ownerReferences": []}})
    other = pod(3, {"metadata": {"name": "web-api-3"}})
    padded = pod(4, {"metadata": {"name": "web-04"}})
    assert list(owned_pods(statefulset(), [pod(0), stranger, orphan, other, padded])) == [0]


TRAPS = table("""
- name: a broken pod of the old revision blocks its own fix
  trapped: [web-2]
- name: Parallel replaces it without waiting
  set: {spec: {podManagementPolicy: Parallel}}
  trapped: []
- name: OnDelete never replaces anything, so that nobody else will
  set: {spec: {updateStrategy: {type: OnDelete, rollingUpdate: null}}}
  trapped: [web-2]
- name: below the partition it would come back as it is
  set: {spec: {updateStrategy: {rollingUpdate: {partition: 3}}}}
  trapped: []
- name: at the partition
  set: {spec: {updateStrategy: {rollingUpdate: {partition: 2}}}}
  trapped: [web-2]
- name: no update under way
  set: {status: {updateRevision: web-68d45f6db8}}
  trapped: []
- name: nothing is known of a spec that the controller has not seen
  set: {metadata: {generation: 3}}
  trapped: []
- name: it is stopping already
  pod: {metadata: {deletionTimestamp: "2026-01-01T10:00:00Z"}}
  trapped: []
""")


@pytest.mark.parametrize("case", TRAPS, ids=name_of)
def test_the_ordered_ready_trap(case: dict[str, Any]) -> None:
    rolling = {
        "metadata": {"generation": 2},
        "status": {"updateRevision": NEW, "updatedReplicas": 0, "observedGeneration": 2},
    }
    body = over(statefulset(rolling), case.get("set"))
    pods = [pod(0), pod(1), over(pod(2, revision=OLD, ready=False), case.get("pod"))]
    assert trapped(body, pods) == case["trapped"]
