"""The row of a pod in every state. The cells are those that a server of 1.36 gave for pods of the same status."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.clock import seconds_of, timestamp
from berth.rehearsal.tables import table

pytestmark = pytest.mark.unit

NOW = seconds_of("2026-11-21T15:00:00Z")


def ago(seconds: float) -> str:
    return timestamp(NOW - seconds)


def body(metadata: Json | None = None, **fields: Any) -> Json:
    return {"metadata": {"name": "x", "creationTimestamp": ago(310), **(metadata or {})}, **fields}


RUNNING: Json = {"running": {"startedAt": ago(100)}}
READY = [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}]


def waiting(reason: str) -> Json:
    return {"waiting": {"reason": reason}}


def ended(code: int, reason: str = "", signal: int = 0, since: float = 300) -> Json:
    state: Json = {"exitCode": code, "finishedAt": ago(since)}
    return {"terminated": {**state, **({"reason": reason} if reason else {}), **({"signal": signal} if signal else {})}}


def container(name: str, state: Json, ready: bool = False, restarts: int = 0, last: Json | None = None) -> Json:
    found = {"name": name, "ready": ready, "restartCount": restarts, "state": state}
    return {**found, **({"lastState": last} if last else {})}


def pod(status: Json, containers: int = 1, inits: str = "", **more: Any) -> list[Any]:
    spec = {
        "containers": [{"name": f"c{number}"} for number in range(containers)],
        "initContainers": [
            {"name": name.strip("*"), **({"restartPolicy": "Always"} if "*" in name else {})} for name in inits.split()
        ],
        **more.pop("spec", {}),
    }
    row: list[Any] = table(kinds.PODS, [body(spec=spec, status=status, **more)], NOW)["rows"][0]["cells"]
    return row


POD_STATES: dict[str, tuple[Json, int, str, list[str]]] = {
    "pending": ({"phase": "Pending"}, 1, "", ["0/1", "Pending", "0"]),
    "gated": (
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
        1,
        "",
        ["0/1", "SchedulingGated", "0"],
    ),
    "creating": (
        {"phase": "Pending", "containerStatuses": [container("c0", waiting("ContainerCreating"))]},
        1,
        "",
        ["0/1", "ContainerCreating", "0"],
    ),
    "crash loop": (
        {
            "phase": "Running",
            "containerStatuses": [container("c0", waiting("CrashLoopBackOff"), False, 5, ended(1, "Error", 0, 64))],
        },
        1,
        "",
        ["0/1", "CrashLoopBackOff", "5 (64s ago)"],
    ),
    "error": (
        {
            "phase": "Running",
            "containerStatuses": [container("c0", ended(1, "Error"), False, 1, ended(1, "Error", 0, 700))],
        },
        1,
        "",
        ["0/1", "Error", "1 (11m ago)"],
    ),
    "restarts without a time": (
        {"phase": "Running", "containerStatuses": [container("c0", ended(137, "OOMKilled"), False, 2)]},
        1,
        "",
        ["0/1", "OOMKilled", "2"],
    ),
    "exit code": (
        {"phase": "Running", "containerStatuses": [container("c0", ended(3))]},
        1,
        "",
        ["0/1", "ExitCode:3", "0"],
    ),
    "signal": (
        {"phase": "Running", "containerStatuses": [container("c0", ended(3, "", 9))]},
        1,
        "",
        ["0/1", "Signal:9", "0"],
    ),
    "image": (
        {"phase": "Pending", "containerStatuses": [container("c0", waiting("ImagePullBackOff"))]},
        1,
        "",
        ["0/1", "ImagePullBackOff", "0"],
    ),
    "the first container's reason": (
        {
            "phase": "Pending",
            "containerStatuses": [
                container("c0", waiting("ErrImagePull")),
                container("c1", waiting("ContainerCreating")),
            ],
        },
        2,
        "",
        ["0/2", "ErrImagePull", "0"],
    ),
    "completed": (
        {"phase": "Succeeded", "containerStatuses": [container("c0", ended(0, "Completed"))]},
        1,
        "",
        ["0/1", "Completed", "0"],
    ),
    "failed": (
        {"phase": "Failed", "containerStatuses": [container("c0", ended(2, "Error"))]},
        1,
        "",
        ["0/1", "Error", "0"],
    ),
    "evicted": ({"phase": "Failed", "reason": "Evicted"}, 1, "", ["0/1", "Evicted", "0"]),
    "one of two ready": (
        {
            "phase": "Running",
            "containerStatuses": [
                container("c0", RUNNING, True),
                container("c1", RUNNING, False, 7, ended(1, "Error", 0, 4000)),
            ],
        },
        2,
        "",
        ["1/2", "Running", "7 (66m ago)"],
    ),
    "one completed, ready": (
        {
            "phase": "Running",
            "conditions": READY,
            "containerStatuses": [container("c0", RUNNING, True), container("c1", ended(0, "Completed"))],
        },
        2,
        "",
        ["1/2", "Running", "0"],
    ),
    "one completed, not ready": (
        {
            "phase": "Running",
            "containerStatuses": [container("c0", RUNNING, True), container("c1", ended(0, "Completed"))],
        },
        2,
        "",
        ["1/2", "NotReady", "0"],
    ),
    "one completed, one failed": (
        {
            "phase": "Running",
            "containerStatuses": [container("c0", ended(0, "Completed")), container("c1", ended(4, "Error"))],
        },
        2,
        "",
        ["0/2", "Error", "0"],
    ),
    "first init container": (
        {
            "phase": "Pending",
            "initContainerStatuses": [container("a", RUNNING), container("b", waiting("PodInitializing"))],
            "containerStatuses": [container("c0", waiting("PodInitializing"))],
        },
        1,
        "a b",
        ["0/1", "Init:0/2", "0"],
    ),
    "second init container": (
        {
            "phase": "Pending",
            "initContainerStatuses": [
                container("a", ended(0, "Completed"), False, 2, ended(1, "Error", 0, 40)),
                container("b", RUNNING),
            ],
            "containerStatuses": [container("c0", waiting("PodInitializing"))],
        },
        1,
        "a b",
        ["0/1", "Init:1/2", "2 (40s ago)"],
    ),
    "init crash loop": (
        {
            "phase": "Pending",
            "initContainerStatuses": [container("a", waiting("CrashLoopBackOff"), False, 3, ended(1, "Error", 0, 500))],
        },
        1,
        "a",
        ["0/1", "Init:CrashLoopBackOff", "3 (8m20s ago)"],
    ),
    "init error": (
        {"phase": "Pending", "initContainerStatuses": [container("a", ended(1, "Error"))]},
        1,
        "a",
        ["0/1", "Init:Error", "0"],
    ),
    "init exit code": (
        {"phase": "Pending", "initContainerStatuses": [container("a", ended(5))]},
        1,
        "a",
        ["0/1", "Init:ExitCode:5", "0"],
    ),
    "init signal": (
        {"phase": "Pending", "initContainerStatuses": [container("a", ended(5, "", 15))]},
        1,
        "a",
        ["0/1", "Init:Signal:15", "0"],
    ),
    "restarts of init containers are over": (
        {
            "phase": "Running",
            "conditions": READY,
            "initContainerStatuses": [container("a", ended(0, "Completed"), False, 4, ended(1, "Error"))],
            "containerStatuses": [container("c0", RUNNING, True, 1, ended(1, "", 0, 3))],
        },
        1,
        "a",
        ["1/1", "Running", "1 (3s ago)"],
    ),
    "a sidecar counts": (
        {
            "phase": "Running",
            "conditions": READY,
            "initContainerStatuses": [{**container("a", RUNNING, True, 2, ended(1, "Error", 0, 90)), "started": True}],
            "containerStatuses": [container("c0", RUNNING, True)],
        },
        1,
        "a*",
        ["2/2", "Running", "2 (90s ago)"],
    ),
    "a sidecar that starts": (
        {
            "phase": "Pending",
            "initContainerStatuses": [{**container("a", RUNNING), "started": False}],
            "containerStatuses": [container("c0", waiting("PodInitializing"))],
        },
        1,
        "a* b",
        ["0/2", "Init:0/2", "0"],
    ),
}


@pytest.mark.parametrize("state", POD_STATES)
def test_the_status_of_a_pod(state: str) -> None:
    status, containers, inits, expected = POD_STATES[state]
    assert pod(status, containers, inits)[1:4] == expected


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"phase": "Running"}, "Terminating"),
        ({"phase": "Pending"}, "Terminating"),
        ({"phase": "Succeeded"}, "Succeeded"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
    ],
)
def test_a_pod_that_is_being_deleted(status: Json, word: str) -> None:
    assert pod(status, metadata={"deletionTimestamp": ago(1)})[2] == word


def test_wide_cells_of_a_pod() -> None:
    assert pod({"phase": "Pending"})[4:] == ["5m10s", "<none>", "<none>", "<none>", "<none>"]
    status = {
        "phase": "Running",
        "podIPs": [{"ip": "10.1.2.3"}, {"ip": "fd00::1"}],
        "nominatedNodeName": "n2",
        "conditions": [{"type": "g1", "status": "True"}, {"type": "g2", "status": "False"}],
    }
    spec = {"nodeName": "n1", "readinessGates": [{"conditionType": gate} for gate in ("g1", "g2", "g3")]}
    assert pod(status, spec=spec)[4:] == ["5m10s", "10.1.2.3", "n1", "n2", "1/3"]


def test_rows_of_pods_that_have_ended_say_so() -> None:
    bodies = [body(status={"phase": phase}) for phase in ("Succeeded", "Failed", "Running")]
    rows = table(kinds.PODS, bodies, NOW)["rows"]
    assert [row.get("conditions") for row in rows] == [
        [
            {
                "type": "Completed",
                "status": "True",
                "reason": "Succeeded",
                "message": "The pod has completed successfully.",
            }
        ],
        [{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}],
        None,
    ]
