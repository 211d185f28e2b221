"""What goes wrong around containers, on nodes and volumes: `up` names the cause, and a corrected `up` heals."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from uuid import uuid4

import pytest

from berth.core.objects import Json, ObjectRef
from tests.node.conftest import OpenSpace
from tests.node.support import PATIENCE, Space, promise
from tests.node.work import RUNS, cause, file, heals, open_project, start_up, up

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    return open_project(open_space, "placement")


@pytest.fixture(scope="module", autouse=True)
def filling(space: Space) -> Iterator[subprocess.Popen[str]]:
    """A run whose pod fills its volume, from the beginning on: a kubelet measures volumes once a minute."""
    fill = ("--set", "scratch.medium=", "--set", f"script=dd if=/dev/zero of=/scratch/log bs=1M count=16; {RUNS}")
    run = start_up(space, "filled", *fill, "--set", "ready=false", timeout="3m")
    yield run
    run.kill()
    run.communicate()


@promise(
    "A claim whose class has no provisioner is named with the provisioner that does not answer", on="volume controller"
)
def test_a_class_without_a_provisioner(space: Space) -> None:
    name = f"berth-test-{uuid4().hex[:8]}"
    body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    space.kube.create(body | {"provisioner": "nobody.example/none", "volumeBindingMode": "WaitForFirstConsumer"})
    try:
        said = cause(up(space, "class", "--set", "claim=true", "--set", f"storage.className={name}", code=1).out)[0]
        claim = "claim data-class-work-0 waits for provisioner nobody.example/none, which has not answered"
        assert said == f"Provisioning: {claim}"
        space.berth("teardown", "--name", "class", "--data", "delete", "--yes")
        heals(space, "class", "--set", "claim=true")
    finally:
        space.kube.delete(ObjectRef("storage.k8s.io", "StorageClass", "", name))


@promise(
    "A cordoned node is named in the scheduler's words",
    on="scheduler (a Node object made for the test: the node itself is shared)",
)
def test_a_cordoned_node(space: Space) -> None:
    name = f"berth-test-{uuid4().hex[:8]}"
    labels = {"berth.example/test": name}
    node: Json = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    space.kube.create(node | {"spec": {"unschedulable": True}})
    try:
        values = file(space, "cordon", {"nodeSelector": labels})
        done = up(space, "cordon", "--values", values, code=1)
        assert "warning: no node takes the pods of StatefulSet/cordon-work" in done.out
        said = cause(done.out)[0]
        assert said.startswith("Unschedulable: cordon-work-0: 0/") and "1 node(s) were unschedulable" in said
    finally:
        space.kube.delete(ObjectRef("", "Node", "", name))
    heals(space, "cordon")


@promise(
    "A pod for which no node has the memory is named in the scheduler's words; a smaller request heals", on="scheduler"
)
def test_a_pod_too_large_for_every_node(space: Space) -> None:
    large = ("--set", "resources.requests.memory=9000Gi", "--set", "resources.limits.memory=9000Gi")
    said = cause(up(space, "large", *large, code=1).out)[0]
    assert said.startswith("Unschedulable: large-work-0: 0/") and "Insufficient memory" in said
    heals(space, "large")


@promise(
    "A pod that was evicted for filling its volume is named so, though its set has made a new one",
    on="kubelet's eviction",
)
def test_a_volume_that_outgrows_its_limit(filling: subprocess.Popen[str]) -> None:
    said, _ = filling.communicate(timeout=PATIENCE)
    assert filling.returncode == 4, said
    evicted = 'the one before it was evicted: Usage of EmptyDir volume "scratch" exceeds the limit "4Mi".'
    assert any(line.startswith("  Evicted: filled-work-0 ") and evicted in line for line in said.splitlines()), said
