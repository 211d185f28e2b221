"""What is said of pods that fit nowhere: every text as kube-scheduler 1.36 of the local control plane wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from berth.rehearsal.kinds import NODES, PODS, PRIORITY_CLASSES
from tests.rehearsal.placing.dock import Dock

pytestmark = pytest.mark.rehearsal

USELESS = (
    "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
NOBODY = (
    "no new claims to deallocate, preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
)


def resources(**requests: str) -> dict[str, Any]:
    named = {key.replace("_", "-").replace("gpu", "example.com/gpu"): value for key, value in requests.items()}
    return {"containers": [{"name": "main", "image": "nginx", "resources": {"requests": named}}]}


def near(app: str, key: str) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}


HARD = "requiredDuringSchedulingIgnoredDuringExecution"

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "cpu": (resources(cpu="40"), f"3 Insufficient cpu. {USELESS}"),
    "every resource": (
        resources(cpu="40", memory="300Gi", ephemeral_storage="2Ti", gpu="1"),
        "3 Insufficient cpu, 3 Insufficient ephemeral-storage, 3 Insufficient example.com/gpu, 3 Insufficient memory. "
        + USELESS,
    ),
    "selector": (
        {"nodeSelector": {"nosuch": "x"}},
        f"3 node(s) didn't match Pod's node affinity/selector. {USELESS}",
    ),
    "selector and cpu": (
        {"nodeSelector": {"topology.kubernetes.io/zone": "local-b"}, **resources(cpu="33")},
        f"1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector. {USELESS}",
    ),
    "affinity": (
        {"affinity": {"podAffinity": {HARD: [near("nobody", "kubernetes.io/hostname")]}}},
        f"3 node(s) didn't match pod affinity rules. {USELESS}",
    ),
    "anti-affinity": (
        {"affinity": {"podAntiAffinity": {HARD: [near("there", "topology.kubernetes.io/region")]}}},
        f"3 node(s) didn't match pod anti-affinity rules. {NOBODY}",
    ),
    "spread over a label that no node has": (
        {
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "nolabel", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
            ]
        },
        f"3 node(s) didn't match pod topology spread constraints (missing required label). {USELESS}",
    ),
    "a node by name": (
        {
            "affinity": {
                "nodeAffinity": {
                    HARD: {
                        "nodeSelectorTerms": [
                            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["nonode"]}]}
                        ]
                    }
                }
            }
        },
        f"3 node(s) didn't satisfy plugin(s) [NodeAffinity]. {USELESS}",
    ),
    "no claim": (
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "gone"}}]},
        'persistentvolumeclaim "gone" not found. not found',
    ),
    "a claim without volume": (
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "classless"}}]},
        "pod has unbound immediate PersistentVolumeClaims. not found",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_says_why_no_node_will_do(dock: Dock, case: str) -> None:
    spec, text = CASES[case]
    dock.claim("classless", class_name="")
    dock.pod("there", labels={"app": "there"})
    dock.settle()
    dock.pod("mine", **spec)
    dock.settle()
    expected = f"0/3 nodes are available: {text}"
    assert dock.said("mine") == [("FailedScheduling", expected)]
    condition = dock.scheduled("mine")
    assert condition == {
        "type": "PodScheduled",
        "observedGeneration": 1,
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": condition["lastTransitionTime"],
        "reason": "Unschedulable",
        "message": expected,
    }


def test_different_nodes_are_refused_for_different_reasons(dock: Dock) -> None:
    dock.taint("berth-node-1", "dedicated", "NoSchedule", value="db")
    dock.change(NODES, "berth-node-2", unschedulable=True)
    dock.pod("mine", cpu="40")
    dock.settle()
    message = dock.said("mine")[-1][1]
    assert message.startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable. no new claims"
    )


def test_no_node_at_all(dock: Dock) -> None:
    for number in (1, 2, 3):
        dock.delete(NODES, f"berth-node-{number}")
    dock.pod("mine")
    dock.settle()
    assert dock.said("mine") == [("FailedScheduling", "no nodes available to schedule pods")]


def test_a_pod_that_must_not_preempt_says_so(dock: Dock) -> None:
    dock.make(PRIORITY_CLASSES, "meek", value=10, preemptionPolicy="Never")
    dock.pod("mine", cpu="40", priorityClassName="meek")
    dock.settle()
    assert dock.said("mine")[-1][1].endswith("preemption: not eligible due to preemptionPolicy=Never.")


def test_a_very_long_message_is_cut_in_the_event_only(dock: Dock) -> None:
    names = {f"example.com/a-rather-long-name-of-a-device-number-{number}": "1" for number in range(30)}
    dock.pod("mine", containers=[{"name": "main", "image": "nginx", "resources": {"requests": names}}])
    dock.settle()
    message = dock.said("mine")[-1][1]
    assert len(message) == 1024 and message.endswith(" ...")
    assert len(dock.scheduled("mine")["message"]) > 1024


def test_gated_pods_and_those_of_other_schedulers_are_left_alone(dock: Dock) -> None:
    dock.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    dock.pod("other", schedulerName="mine")
    dock.settle()
    assert not dock.node_of("gated") and not dock.node_of("other")
    assert dock.said("gated") == [] == dock.said("other")
    dock.change(PODS, "gated", schedulingGates=[])
    dock.settle()
    assert dock.node_of("gated")
