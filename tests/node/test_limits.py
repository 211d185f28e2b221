"""Where berth refuses, gives up or is stopped halfway with real pods: what stands, and how the next run goes on."""

from __future__ import annotations

import signal
from uuid import uuid4

import pytest

from berth.core.objects import ObjectRef, dig
from tests.node.conftest import OpenSpace
from tests.node.support import PATIENCE, Space, promise, until
from tests.node.work import RUNS, cause, heals, open_project, start_up, up

pytestmark = pytest.mark.node

#: Ready some seconds after its start, as a server is that reads its data first.
SLOW = ("--set", f"script=sleep 15; touch /scratch/open; {RUNS}", "--set", "ready=test -e /scratch/open")


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    return open_project(open_space, "limits")


def versions(space: Space, name: str) -> dict[str, str]:
    """What changes with every write, of the claim, the set and the pod of a release, and the pod's identity."""
    found = {kind: space.get(group, kind, f"{name}-work{end}") for group, kind, end in _PARTS}
    found["PersistentVolumeClaim"] = space.claims()[f"data-{name}-work-0"]
    return {kind: body["metadata"]["resourceVersion"] for kind, body in found.items() if body}


_PARTS = (("apps", "StatefulSet", ""), ("", "Pod", "-0"))


@promise(
    "Growth that the storage class does not allow is refused with the reason, and nothing is changed",
    on="API server, storage class",
)
def test_a_class_that_cannot_grow(space: Space) -> None:
    classes = space.kube.list("storage.k8s.io", "StorageClass").items
    default = "storageclass.kubernetes.io/is-default-class"
    usual = next(body for body in classes if dig(body, "metadata", "annotations", default) == "true")
    name = f"berth-test-{uuid4().hex[:8]}"
    kept = {key: usual[key] for key in ("apiVersion", "provisioner", "parameters", "volumeBindingMode") if key in usual}
    space.kube.create(kept | {"kind": "StorageClass", "metadata": {"name": name}, "allowVolumeExpansion": False})
    try:
        claim = ("--set", "claim=true", "--set", f"storage.className={name}")
        up(space, "grow", *claim, code=0, patience="5m", timeout="6m")
        before = versions(space, "grow")
        done = up(space, "grow", *claim, "--set", "storage.size=32Mi", "--resize", code=1)
        assert "error: claim data-grow-work-0 cannot grow from 16Mi to 32Mi" in done.err
        assert f"because StorageClass {name} does not set allowVolumeExpansion" in done.err
        assert versions(space, "grow") == before and len(before) == 3
        space.berth("teardown", "--name", "grow", "--data", "delete", "--yes")
    finally:
        space.kube.delete(ObjectRef("storage.k8s.io", "StorageClass", "", name))


@promise(
    "A template that breaks Pod Security restricted is refused with the field, where the namespace enforces it",
    on="API server's admission",
)
def test_a_template_that_the_namespace_does_not_admit(space: Space) -> None:
    done = space.berth("up", "--profile", "loose", "--env", "dev", "--timeout", "60s", code=1)
    said = cause(done.out)[0]
    assert said.startswith(
        'PodSecurity: work-0 is refused: pods "work-0" is forbidden: violates PodSecurity "restricted:'
    )
    assert 'container "work" must set securityContext.allowPrivilegeEscalation=false' in said


@promise(
    "A run whose time is over says what it waited for; the same command again ends well, with the same pod",
    on="kubelet",
)
def test_too_little_time(space: Space) -> None:
    done = up(space, "late", *SLOW, code=4, timeout="8s")
    assert "error: not ready after 8" in done.err
    assert "StatefulSet/late-work in " in done.err and ": 0 of 1 pods ready" in done.err
    pod = until(lambda: space.get("", "Pod", "late-work-0"))
    heals(space, "late", *SLOW)
    assert space.pod("late-work-0")["metadata"]["uid"] == pod["metadata"]["uid"]


@promise(
    "Ctrl-C in the middle of `up` says what stands; the same command goes on there and keeps the pods that run",
    on="kubelet, StatefulSet controller",
)
def test_an_interrupt(space: Space) -> None:
    wanted = (*SLOW, "--set", "replicas=2", "--set", "podManagementPolicy=OrderedReady")
    run = start_up(space, "stop", *wanted, timeout="10m")
    try:
        # The first one is ready, the second one starts.
        until(lambda: space.get("", "Pod", "stop-work-1"))
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=PATIENCE)
    finally:
        run.kill()
    assert run.returncode == 130 and "Traceback" not in said, said
    assert "interrupted" in said
    first = space.pod("stop-work-0")["metadata"]["uid"]
    done = up(space, "stop", *wanted, code=0, patience="120s")
    assert "stop-work is current: 2 ready" in done.out and "created" not in done.out
    assert space.pod("stop-work-0")["metadata"]["uid"] == first


@promise(
    "A teardown names a pod that ignores the signal to stop, and ends once the kubelet has killed it",
    on="kubelet, runc",
)
def test_a_pod_that_does_not_stop(space: Space) -> None:
    deaf = "trap '' TERM; touch /scratch/deaf; while :; do sleep 1; done"
    grace = ("--set", f"script={deaf}", "--set", "ready=test -e /scratch/deaf")
    up(space, "deaf", *grace, "--set", "terminationGracePeriodSeconds=20", code=0)

    def impatient() -> None:
        done = space.berth("teardown", "--name", "deaf", "--data", "delete", "--yes", "--timeout", "4s", code=4)
        assert "deaf-work-0" in done.text

    ended = space.stopped("deaf-work-0", "work", impatient)
    assert ended["exitCode"] == 137, "killed at the end of its grace period"
    assert "torn down, nothing is left" in space.berth("teardown", "--name", "deaf", "--data", "delete", "--yes").out
    assert space.get("apps", "StatefulSet", "deaf-work") is None and space.get("", "Pod", "deaf-work-0") is None
