"""What goes wrong in containers: `up` names the cause within its timeout, and a corrected `up` heals."""

from __future__ import annotations

import json

import pytest

from berth.core.objects import Json
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise
from tests.node.work import RUNS, cause, file, heals, open_project, up

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    return open_project(open_space, "faults")


@promise(
    "An image that does not exist is named with what the container runtime says; the right tag heals", on="containerd"
)
def test_an_image_that_does_not_exist(space: Space) -> None:
    said = cause(up(space, "image", "--set", "image.tag=no-such-tag", code=1).out)[0]
    assert said.startswith(("ErrImagePull: ", "ImagePullBackOff: "))
    assert (
        'image-work-0: image busybox:no-such-tag cannot be pulled: Failed to pull image "busybox:no-such-tag"' in said
    )
    heals(space, "image")


@promise(
    "A crash loop is named with the exit code and the last lines of the log; a new script heals",
    on="kubelet, containerd",
)
def test_a_crash_loop(space: Space) -> None:
    # On one stream: lines of two may come in any order.
    script = "exec >&2; for n in $(seq 1 30); do echo step $n; done; echo fatal: the store is broken; exit 3"
    done = up(space, "crash", "--set", f"script={script}", "--set", "ready=false", code=1)
    first, *log = cause(done.out)
    assert first.startswith(("CrashLoopBackOff: ", "Crashed: "))
    assert "crash-work-0: container work ended with exit code 3, " in first
    assert log == [*(f"| step {n}" for n in range(22, 31)), "| fatal: the store is broken"]
    assert "error: StatefulSet/crash-work in " in done.err and ": 0 of 1 pods ready" in done.err
    heals(space, "crash")


@promise(
    "A pod that blocks its own repair under OrderedReady is named with the command that frees it",
    on="StatefulSet controller, kubelet",
)
def test_a_broken_pod_that_blocks_its_own_repair(space: Space) -> None:
    ordered = ("--set", "podManagementPolicy=OrderedReady")
    up(space, "trap", *ordered, "--set", "script=exit 1", "--set", "ready=false", code=1)
    done = up(space, "trap", *ordered, code=1)
    command = f"kubectl delete pod trap-work-0 -n {space.name}"
    assert f"try: it is of an old revision and blocks its own fix; delete it: {command}" in done.out
    space.kubectl("delete", "pod", "trap-work-0")
    heals(space, "trap", *ordered)


@promise("A readiness probe that never passes is named with its output and the log when the time is over", on="kubelet")
def test_a_probe_that_never_passes(space: Space) -> None:
    script, ready = f"script=echo replaying 3 of 9; {RUNS}", "ready=echo the store is not open >&2; exit 1"
    done = up(space, "probe", "--set", script, "--set", ready, code=4, timeout="30s")
    assert cause(done.out) == [
        "NotReady: probe-work-0 runs and is not ready yet: Readiness probe failed: the store is not open",
        "| replaying 3 of 9",
    ]
    assert "error: not ready after 30" in done.err
    heals(space, "probe")


@promise("A container that its liveness probe has killed is not called a crash: the probe is named", on="kubelet")
def test_a_liveness_probe_that_fails(space: Space) -> None:
    alive = ("--set", "alive=echo no heartbeat >&2; exit 1", "--set", "ready=false")
    probe = ("--set", "probes.liveness.periodSeconds=1", "--set", "probes.liveness.failureThreshold=2")
    done = up(space, "alive", "--set", f"script=echo stuck; {RUNS}", *alive, *probe, code=1, patience="2s")
    said, *log = cause(done.out)
    assert "alive-work-0: container work was killed: Liveness probe failed: no heartbeat, " in said
    assert log == ["| stuck"]


@promise("A full file system ends in the engine's own words for it; room heals", on="Linux (a full tmpfs), kubelet")
def test_a_full_disk(space: Space) -> None:
    script = f"dd if=/dev/zero of=/scratch/log bs=1M count=8 || exit 1; touch /scratch/written; {RUNS}"
    fill = ("--set", f"script={script}", "--set", "ready=test -e /scratch/written")
    said, *log = cause(up(space, "disk", *fill, code=1).out)
    assert "disk-work-0: container work ended with exit code 1" in said
    assert any("No space left on device" in line for line in log), log
    heals(space, "disk", *fill, "--set", "scratch.size=16Mi")


@promise(
    "A container that uses more memory than its limit is named as out of memory; a higher limit heals",
    on="Linux (memory cgroup), kubelet",
)
def test_a_memory_limit_that_is_exceeded(space: Space) -> None:
    # One read into a buffer larger than the limit.
    load = "dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null || exit 1; touch /scratch/loaded"
    script = f"script=echo loading; {load}; {RUNS}"
    ready = "ready=test -e /scratch/loaded"
    said, *log = cause(up(space, "memory", "--set", script, "--set", ready, code=1).out)
    assert "memory-work-0: container work ran out of memory" in said
    assert log == ["| loading"]
    heals(space, "memory", "--set", script, "--set", ready, "--set", "resources.limits.memory=512Mi")


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
@promise(
    "A missing key of a Secret or ConfigMap is named with the object; with the key the same command goes on",
    on="kubelet",
)
def test_a_key_that_is_missing(space: Space, kind: str) -> None:
    name = f"key{kind.lower()}"
    reference = {f"{kind[0].lower()}{kind[1:]}KeyRef": {"name": name, "key": "token"}}
    values = {
        "extraEnv": [{"name": "TOKEN", "valueFrom": reference}],
        "podAnnotations": {"berth.dev/external": f"{kind}/{name}"},
    }
    path, field = file(space, name, values), "stringData" if kind == "Secret" else "data"
    body: Json = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": space.name}}
    space.kube.create(body | {field: {"other": "x"}})
    said = cause(up(space, name, "--values", path, code=1).out)[0]
    assert said.startswith(
        f"CreateContainerConfigError: {name}-work-0: container work: couldn't find key token in {kind} "
    )
    space.kubectl("patch", kind.lower(), name, "--patch", json.dumps({field: {"token": "y"}}))
    heals(space, name, "--values", path)
