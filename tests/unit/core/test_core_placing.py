"""Why no node takes a pod, where its volume is, and what became of its node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from berth.core.diagnosis import Cause, Scene, Weight, diagnose, explained
from berth.core.objects import Json
from tests.unit.core.samples import claim, event, name_of, over, pod, simple, statefulset, storage_class, table

pytestmark = pytest.mark.unit

ONE = {"spec": {"replicas": 1}}


def node(name: str, *, ready: bool = True, **changes: Any) -> Json:
    """A node of three."""
    conditions = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]
    if not ready:
        conditions[0] = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
    return simple("Node", name, over({"status": {"conditions": conditions}}, changes), namespace="")


NODES = {name: node(name) for name in ("node-1", "node-2", "node-3")}


def of(body: Json, **scene: Any) -> Cause:
    """The cause for one pod, of a set of one."""
    scene.setdefault("nodes", NODES)
    return diagnose(statefulset(ONE), Scene([body], **scene))[0]


def unscheduled(message: str) -> Json:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"phase": "Pending", "conditions": [condition], "containerStatuses": None}
    return pod(0, {"spec": {"nodeName": None}, "status": status}, ready=False)


CONSTRAINTS = table("""
- name: cpu and memory
  message: "2 Insufficient cpu, 1 Insufficient memory"
  hint: >-
    ask for less cpu (--set resources.requests.cpu=...), or add nodes; ask for less memory
    (--set resources.requests.memory=...), or add nodes
- name: cordoned nodes are named
  message: 1 Insufficient cpu, 2 node(s) were unschedulable
  cordoned: [node-2, node-3]
  hint: ask for less cpu (--set resources.requests.cpu=...), or add nodes; kubectl uncordon node-2 node-3
- name: a taint of ours
  message: "3 node(s) had untolerated taint {dedicated: db}"
  hint: tolerate the taint dedicated, or take it off its nodes
- name: nodes that do not answer
  message: "1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }"
  lost: [node-1]
  hint: "bring node-1 back: the kubelet does not answer"
- name: nodes that are full
  message: "1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }"
  full: [node-2]
  hint: free disk on node-2
- name: one pod a node
  message: 3 node(s) didn't match pod anti-affinity rules
  hint: "each pod wants a node of its own: add nodes, or relax the rule"
- name: an even spread
  message: 3 node(s) didn't match pod topology spread constraints
  hint: "the pods must be spread evenly: add nodes where there are fewest, or relax the rule"
- name: a selector
  message: 3 node(s) didn't match Pod's node affinity/selector
  hint: no node has the labels that the pod asks for
- name: volumes made by hand
  message: 3 node(s) didn't find available persistent volumes to bind
  hint: make a volume that fits the claim, where a node is free
- name: nothing that is known
  message: 3 node(s) are not to my taste
  hint: add nodes, or relax what the message names (resources, spread, taints, the volume's zone)
""")


@pytest.mark.parametrize("case", CONSTRAINTS, ids=name_of)
def test_which_constraint_and_what_to_try(case: dict[str, Any]) -> None:
    nodes = dict(NODES)
    for name in case.get("cordoned", []):
        nodes[name] = node(name, spec={"unschedulable": True})
    for name in case.get("lost", []):
        nodes[name] = node(name, ready=False)
    for name in case.get("full", []):
        nodes[name] = node(name, status={"conditions": [{"type": "DiskPressure", "status": "True"}]})
    said = f"0/3 nodes are available: {case['message']}"
    cause = of(
        unscheduled(f"{said}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."),
        nodes=nodes,
    )
    assert (cause.reason, cause.weight) == ("Unschedulable", Weight.SUSPECT)
    assert cause.message == f"web-0: {said}"
    assert cause.hint == case["hint"]


def test_a_claim_that_waits_for_the_pod_is_not_the_cause() -> None:
    pending = claim("www-web-0", phase="Pending")
    cause = of(
        unscheduled("0/3 nodes are available: 3 Insufficient cpu."),
        claims={"www-web-0": pending},
        classes={"local-path": storage_class("local-path")},
        events=[event(pending, "WaitForPodScheduled", "waiting for pod web-0 to be scheduled")],
    )
    assert cause.message == (
        "web-0: 0/3 nodes are available: 3 Insufficient cpu; claim www-web-0 waits for that (WaitForFirstConsumer)"
    )


def volume(key: str, *values: str) -> Json:
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}]
    spec = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
    return simple("PersistentVolume", "pv-www-web-0", {"spec": spec}, namespace="")


ELSEWHERE = table("""
- name: another zone, whose node is cordoned
  key: topology.kubernetes.io/zone
  values: [a]
  says: "web-0: the volume of claim www-web-0 is in zone a, where no node takes the pod: 0/3 nodes"
  hint: "a volume does not move: make room in zone a; kubectl uncordon node-3"
- name: the zone of a driver
  key: topology.ebs.csi.aws.com/zone
  values: [a, b]
  says: "web-0: the volume of claim www-web-0 is in zone a or b, where no node takes the pod: 0/3 nodes"
- name: a node that is gone
  key: kubernetes.io/hostname
  values: [node-9]
  says: "web-0: the volume of claim www-web-0 is on node node-9, which does not exist any more"
  hint: "bring the node back, or delete claim www-web-0 if its data is not needed or is elsewhere too"
""")


@pytest.mark.parametrize("case", ELSEWHERE, ids=name_of)
def test_a_volume_does_not_move(case: dict[str, Any]) -> None:
    cause = of(
        unscheduled(
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict."
        ),
        claims={"www-web-0": claim("www-web-0")},
        volumes={"pv-www-web-0": volume(case["key"], *case["values"])},
        nodes={**NODES, "node-3": node("node-3", spec={"unschedulable": True})},
    )
    assert (cause.reason, cause.weight) == ("VolumeElsewhere", Weight.SUSPECT)
    assert cause.message.startswith(case["says"])
    assert cause.hint == case.get("hint", cause.hint)


def test_a_volume_elsewhere_where_volumes_may_not_be_read() -> None:
    conflict = unscheduled("0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity.")
    assert of(conflict, claims={"www-web-0": claim("www-web-0")}).reason == "VolumeElsewhere"


def test_a_class_that_makes_no_volumes() -> None:
    pending = claim("www-web-0", phase="Pending")
    by_hand = storage_class(
        "local-path", {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "Immediate"}
    )
    cause = of(unscheduled("x"), claims={"www-web-0": pending}, classes={"local-path": by_hand})
    assert cause.reason == "NoVolume"
    assert cause.message.startswith("claim www-web-0 waits for a volume: class local-path makes none by itself")


def test_a_node_that_does_not_answer() -> None:
    cause = of(pod(0, ready=False), nodes={"node-1": node("node-1", ready=False)})
    assert (cause.reason, cause.weight) == ("NodeNotReady", Weight.SUSPECT)
    assert cause.message == "web-0: its node node-1 is not ready: Kubelet stopped posting node status."
    assert "kubectl delete node node-1" in cause.hint


def test_a_node_that_is_gone() -> None:
    cause = of(pod(0, ready=False), nodes={"node-2": node("node-2")})
    assert (cause.reason, cause.message) == ("NodeGone", "web-0: its node node-1 does not exist any more")
    assert cause.hint.endswith("kubectl delete pod web-0 -n shop --force")


def test_nodes_that_may_not_be_read_are_no_cause() -> None:
    assert of(pod(0, ready=False), nodes=None).reason == "NotReady"


def test_a_pod_that_cannot_stop_for_its_node_is_lost() -> None:
    body = pod(0, {"metadata": {"deletionTimestamp": "2026-01-01T10:00:00Z"}})
    late = datetime(2026, 1, 1, 10, 5, tzinfo=UTC)
    cause = of(body, nodes={"node-1": node("node-1", ready=False)}, now=late)
    assert "its node node-1 is not ready" in cause.message
    assert cause.hint == "bring node-1 back; if it is gone for good: kubectl delete pod web-0 -n shop --force"


def test_who_holds_a_pod_by_a_finalizer() -> None:
    fields: Json = {"f:metadata": {"f:finalizers": {'v:"example.com/backup"': {}}}}
    meta = {
        "deletionTimestamp": "2026-01-01T10:00:00Z",
        "finalizers": ["example.com/backup"],
        "managedFields": [{"manager": "backup-operator", "fieldsV1": fields}],
    }
    cause = of(pod(0, {"metadata": meta}), now=datetime(2026, 1, 1, 10, 5, tzinfo=UTC))
    assert cause.message.startswith("web-0 is stopping, held by example.com/backup (set by backup-operator)")


def test_who_holds_a_claim() -> None:
    meta = {"deletionTimestamp": "2026-01-01T10:00:00Z", "finalizers": ["kubernetes.io/pvc-protection"]}
    going = claim("www-web-0", {"metadata": meta})
    user = simple("Pod", "copy", {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "www-web-0"}}]}})
    cause = diagnose(statefulset(ONE), Scene([user], claims={"www-web-0": going}))[0]
    assert cause.message == "claim www-web-0 is being deleted, once pod copy no longer uses it"
    held = over(going, {"metadata": {"finalizers": ["example.com/snapshot"]}})
    cause = diagnose(statefulset(ONE), Scene(claims={"www-web-0": held}))[0]
    assert cause.message == "claim www-web-0 is being deleted, held by example.com/snapshot"


def test_a_volume_that_is_attached_to_another_node() -> None:
    body = pod(0, {"status": {"phase": "Pending", "containerStatuses": None}}, ready=False)
    said = 'Multi-Attach error for volume "pv-www-web-0" Volume is already exclusively attached to one node'
    source = {"persistentVolumeName": "pv-www-web-0"}
    attachment = simple("VolumeAttachment", "csi-1", {"spec": {"nodeName": "node-2", "source": source}}, namespace="")
    cause = of(
        body,
        claims={"www-web-0": claim("www-web-0")},
        attachments=[attachment],
        events=[event(body, "FailedAttachVolume", said)],
    )
    assert cause.reason == "MultiAttach"
    assert cause.message.endswith("it is still attached to node-2")
    assert "kubectl delete node node-2" in cause.hint


def test_an_evicted_pod_whose_node_is_still_short() -> None:
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage."}
    full = node("node-1", status={"conditions": [{"type": "DiskPressure", "status": "True"}]})
    cause = of(pod(0, {"status": {**status, "containerStatuses": None}}, ready=False), nodes={"node-1": full})
    assert cause.hint == "node node-1 is short of a resource still (DiskPressure): free it, or cordon the node"


CRASH = Cause(Weight.SUSPECT, "CrashLoopBackOff", "db-0: container db ended with exit code 1", "its last lines say why")
LOGS = table("""
- name: the line that says why, not the last one
  log: ['FATAL:  invalid value for parameter "max_connections": "abc"', "LOG:  database system is shut down"]
  says: 'db-0: container db ended with exit code 1: FATAL:  invalid value for parameter "max_connections": "abc"'
- name: nothing that sounds like a failure
  log: [starting, bye, ""]
  says: "db-0: container db ended with exit code 1: bye"
- name: no log
  log: []
  says: "db-0: container db ended with exit code 1"
- name: the refusal of an init container
  log: ["prepare: refused: the primary's volume is empty while the member at db-1 has data", ""]
  says: >-
    db-0: container db ended with exit code 1: prepare: refused: the primary's volume is empty while the member at db-1
    has data
- name: postgres whose disk is full
  log: ['PANIC:  could not write to file "pg_wal/xlogtemp.40": No space left on device', aborting]
  reason: DiskFull
- name: cassandra whose disk is full
  log: ["java.io.IOException: No space left on device", "ERROR stopping"]
  reason: DiskFull
""")


@pytest.mark.parametrize("case", LOGS, ids=name_of)
def test_what_a_log_adds(case: dict[str, Any]) -> None:
    cause = explained(CRASH, case["log"])
    assert cause.reason == case.get("reason", "CrashLoopBackOff")
    assert cause.message == case.get("says", cause.message)
    if cause.reason == "DiskFull":
        assert "No space left on device" in cause.message
        assert "--resize" in cause.hint


def test_a_full_disk_explains_a_pod_that_only_is_not_ready() -> None:
    waits = Cause(Weight.TRANSIENT, "NotReady", "db-0 runs and is not ready yet")
    assert explained(waits, ["ERROR: No space left on device"]).weight is Weight.SUSPECT
    assert explained(waits, ["ERROR: something else"]) == waits
