"""Why releases are not current, where only a scenario can make it so: roles, logs, full disks, a node that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from berth import rehearsal
from berth.actions.diagnose import diagnose
from berth.actions.drain import drain_check
from berth.actions.roles import Operations
from berth.actions.status import Found, Selection, status
from berth.cluster.kube import Kube
from berth.cluster.waiting import Patience
from berth.core.diagnosis import Weight
from berth.core.errors import BerthError
from berth.core.operations import operations_of
from berth.core.readiness import Status
from berth.core.report import Finding
from berth.library import open_library
from berth.rehearsal import Wishes
from tests.contract.support import ROOT, bring_up, release
from tests.rehearsal.conftest import client
from tests.waiting import eventually

pytestmark = [pytest.mark.rehearsal, pytest.mark.usefixtures("state_home")]

SPACE = "default"


@pytest.fixture
def scenario(tmp_path: Path, state_home: Path) -> Iterator[list[Kube]]:
    """Where the clients of the scenarios are kept, to be closed."""
    kept: list[Kube] = []
    yield kept
    for kube in kept:
        kube.close()


def play(kept: list[Kube], tmp_path: Path, text: str) -> Kube:
    """A rehearsal in which a scenario happens."""
    file = tmp_path / "scenario.yaml"
    file.write_text(f"name: told\n{text}")
    rehearsal.start(wishes=Wishes(pace="instant", scenario=str(file)))
    kept.append(client())
    return kept[-1]


def operations() -> Operations:
    library = open_library(ROOT)
    return lambda profile: operations_of(library.load(profile))


def fails(kube: Kube, profile: str, *sets: str) -> None:
    """An `up` that does not come to its end."""
    with pytest.raises(BerthError):
        bring_up(kube, release(profile, SPACE, *sets), patience=Patience(timeout=20, suspect=1))


def finding(kube: Kube, name: str, reason: str) -> Finding:
    """The first finding of a reason."""

    def look() -> Finding | None:
        _, wrong = diagnose(kube, Selection(SPACE), None)
        return next((one for one in wrong.get((SPACE, name), ()) if one.cause.reason == reason), None)

    return eventually(look)


ROLES = """
pods:
  - match: {ordinals: 0}
    exec: [{command: "*role*", stdout: "primary\\n"}, {command: "*", stdout: "accepting connections\\n"}]
  - match: {ordinals: 1}
    exec: [{command: "*role*", stdout: "standby\\n"}, {command: "*", stdout: "accepting connections\\n"}]
  - match: {ordinals: 2}
    exec: [{command: "*", stderr: "no stream from the primary\\n", exit: 1}]
"""


def test_roles_and_a_ready_pod_that_is_not_what_it_should_be(scenario: list[Kube], tmp_path: Path) -> None:
    kube = play(scenario, tmp_path, ROLES)
    bring_up(kube, release("postgres", SPACE, "replicas=2"))
    found = status(kube, Selection(SPACE), operations())
    assert found.notes == () and found.reports[0].verdict.current
    assert [row.role for row in found.reports[0].sets[0].ordinals] == ["primary", "standby"]
    drains = drain_check(kube, Selection(SPACE), operations=operations())
    assert {pod.pod: pod.role for node in drains.nodes for pod in node.pods} == {
        "postgres-0": "primary",
        "postgres-1": "standby",
    }
    assert drains.notes == ()

    fails(kube, "postgres", "replicas=3")
    found = status(kube, Selection(SPACE), operations())
    assert found.reports[0].verdict.status is Status.STUCK
    row = found.reports[0].sets[0].ordinals[2]
    assert row.ready and row.role is None and row.cause is not None
    assert row.cause.message.startswith("postgres-2 is ready, but operation role failed: ")
    assert "no stream from the primary" in told(kube)


def told(kube: Kube) -> str:
    """All that a diagnosis says of causes."""
    _, wrong = diagnose(kube, Selection(SPACE), operations())
    return "\n".join(one.cause.message for some in wrong.values() for one in some)


def test_without_operations_there_are_no_roles(scenario: list[Kube], tmp_path: Path) -> None:
    kube = play(scenario, tmp_path, ROLES)
    bring_up(kube, release("postgres", SPACE, "replicas=1"))
    found: Found = status(kube, Selection(SPACE), None)
    assert [row.role for row in found.reports[0].sets[0].ordinals] == [None] and found.notes == ()


REFUSED = "prepare: refused: the primary's volume is empty while the member at postgres-1 has data"


def test_an_init_container_that_refuses(scenario: list[Kube], tmp_path: Path) -> None:
    text = f'pods: [{{fault: init, exit_code: 3, logs: ["looking for members", "{REFUSED}"]}}]'
    kube = play(scenario, tmp_path, text)
    fails(kube, "postgres", "replicas=1")
    found = finding(kube, "postgres", "CrashLoopBackOff")
    assert found.cause.message.startswith("postgres-0: init container ")
    assert found.cause.message.endswith(REFUSED)
    assert found.log == ("looking for members", REFUSED)


def test_a_disk_that_is_full(scenario: list[Kube], tmp_path: Path) -> None:
    line = "PANIC: could not write to file: No space left on device"
    kube = play(scenario, tmp_path, f'pods: [{{fault: crash, logs: ["{line}", "LOG: shut down"]}}]')
    fails(kube, "postgres", "replicas=1")
    cause = finding(kube, "postgres", "DiskFull").cause
    assert cause.message.endswith(line) and "--resize" in cause.hint and cause.weight is Weight.SUSPECT


def test_a_liveness_probe_that_fails(scenario: list[Kube], tmp_path: Path) -> None:
    kube = play(scenario, tmp_path, "probes: true\npods: [{fault: liveness, message: no heartbeat}]")
    fails(kube, "nginx", "replicas=1")

    def killed() -> str | None:
        _, wrong = diagnose(kube, Selection(SPACE), None)
        said = [one.cause.message for some in wrong.values() for one in some]
        return next((text for text in said if "was killed: Liveness probe failed" in text), None)

    assert "container nginx was killed: Liveness probe failed: " in eventually(killed)


def test_a_container_that_runs_out_of_memory(scenario: list[Kube], tmp_path: Path) -> None:
    kube = play(scenario, tmp_path, "pods: [{fault: oom}]")
    fails(kube, "nginx", "replicas=1")
    cause = finding(kube, "nginx", "CrashLoopBackOff").cause
    assert "container nginx ran out of memory" in cause.message and cause.hint == "raise resources.limits.memory"


def test_a_volume_that_is_not_mounted_and_a_key_that_is_missing(scenario: list[Kube], tmp_path: Path) -> None:
    text = "pods: [{match: {ordinals: 0}, fault: mount}, {match: {ordinals: 1}, fault: config}]"
    kube = play(scenario, tmp_path, text)
    fails(kube, "nginx", "replicas=2", "podManagementPolicy=Parallel")
    assert finding(kube, "nginx", "FailedMount").ordinal == 0
    assert finding(kube, "nginx", "CreateContainerConfigError").ordinal == 1


def test_a_node_that_is_lost(scenario: list[Kube], tmp_path: Path) -> None:
    """Its pods are not ready, and later Terminating for as long as it is away: the node is named in both."""
    kube = play(scenario, tmp_path, "timeline: [{at: 30s, lose: berth-node-1}]")
    with suppress(BerthError):  # At this pace the node may be lost before all pods are there.
        bring_up(kube, release("nginx", SPACE, "replicas=3"), patience=Patience(timeout=20, suspect=1))

    def lost() -> str | None:
        _, wrong = diagnose(kube, Selection(SPACE), None)
        causes = [one.cause for some in wrong.values() for one in some]
        return next((c.hint for c in causes if "its node berth-node-1 is not ready: " in c.message), None)

    assert eventually(lost).startswith("bring berth-node-1 back; if it is gone for good")
