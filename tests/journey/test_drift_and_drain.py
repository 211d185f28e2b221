"""`invoke drift` and `invoke drain-check` as people and scripts use them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from berth.cluster.kube import Kube
from berth.core.objects import ObjectRef
from tests.contract.support import rehearsal_only
from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey

QUICK = ("--set", "minReadySeconds=0", "--set", "replicas=1")


@pytest.mark.parametrize("task", ["drift", "drain-check"])
def test_bad_input_without_a_cluster(invoke: Invoke, project: Path, task: str) -> None:
    result = invoke(task, "--output", "yaml")
    assert (result.code, result.out) == (2, "")
    assert "--output yaml is not known" in result.err and "no cluster is configured" not in result.err
    result = invoke(task, "--kubeconfig", str(project / "nope"))
    assert result.code == 3 and "nope" in result.err


@pytest.mark.parametrize("task", ["drift", "drain-check"])
def test_no_release(invoke_on: Invoke, space: str, task: str) -> None:
    empty = invoke_on(task, "--namespace", space)
    assert (empty.code, empty.out.splitlines()[1:]) == (0, [f"no releases in {space}"])
    unknown = invoke_on(task, "--namespace", space, "--name", "shop")
    assert unknown.code == 2 and f"no release shop in {space}" in unknown.err


@rehearsal_only
def test_drift_from_beginning_to_end(invoke_on: Invoke, kube: Kube, space: str) -> None:
    here = ("--namespace", space)
    assert invoke_on("up", "--profile", "nginx", "--name", "shop", *here, *QUICK).code == 0
    fine = invoke_on("drift", *here, "--exit-code")
    assert fine.code == 0 and fine.out.splitlines()[2:] == ["  as recorded", "no drift"]
    assert fine.out.startswith("target: ")

    web = ObjectRef("apps", "StatefulSet", space, "shop-web")
    assert kube.get(web) is not None
    kube.patch(web, {"spec": {"replicas": 2}}, subresource="scale", field_manager="kubectl")
    kube.patch(web, {"metadata": {"labels": {"team": "blue"}}}, field_manager="kubectl-label")
    found = invoke_on("drift", "--profile", "nginx", *here)
    assert found.code == 0
    assert "  StatefulSet/shop-web spec.replicas: 1 -> 2  (by kubectl)  [force-conflicts]" in found.out.splitlines()
    assert found.out.endswith("drift: 2 fields of 1 object of 1 release\n")

    scripted = invoke_on("drift", "--name", "shop", *here, "--output", "json", "--exit-code")
    assert scripted.code == 5
    told = json.loads(scripted.out)["releases"][0]
    assert {one["path"]: one["way"] for one in told["drift"]} == {
        "spec.replicas": "force-conflicts",
        "metadata.labels.team": "stays",
    }
    command = shlex.split(told["commands"]["force-conflicts"])
    assert command[0] == "invoke"
    assert invoke_on(*command[1:], *QUICK).code == 0
    after = json.loads(invoke_on("drift", *here, "--output", "json").out)["releases"][0]
    assert {one["way"] for one in after["drift"]} <= {"stays"}

    assert invoke_on("teardown", "--name", "shop", *here).code == 0
    down = invoke_on("drift", "--name", "shop", *here, "--exit-code")
    assert down.code == 0 and "was taken down: nothing of it is expected to be there" in down.out


@rehearsal_only
def test_a_drain_check_from_beginning_to_end(invoke_on: Invoke, kube: Kube, space: str) -> None:
    here = ("--namespace", space)
    more = ("--set", "minReadySeconds=0", "--set", "disruptionBudget.enabled=false")
    assert invoke_on("up", "--profile", "nginx", *here, *more).code == 0
    fine = invoke_on("drain-check", *here, "--no-operations")
    assert fine.code == 0, fine.out
    lines = fine.out.splitlines()
    assert lines[0].startswith("target: ") and lines[-1] == "2 of 2 nodes safe to drain, one at a time"
    assert sum(line.endswith(": safe") for line in lines) == 2

    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app.kubernetes.io/instance": "nginx"}}}
    meta = {"name": "frozen", "namespace": space}
    kube.create({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec})
    blocked = invoke_on("drain-check", "--profile", "nginx", *here)
    assert blocked.code == 1
    assert "blocked: web-" in blocked.out and "budget frozen" in blocked.out
    told = json.loads(invoke_on("drain-check", *here, "--output", "json").out)
    assert [one["safe"] for one in told["nodes"]] == [False, False]
    assert [pod["allowed"] for one in told["nodes"] for pod in one["pods"]] == [False, False]

    free = {"berth-node-1", "berth-node-2", "berth-node-3"} - {one["node"] for one in told["nodes"]}
    (other,) = free
    named = invoke_on("drain-check", *here, "--node", other)
    assert named.code == 0 and f"{other}: safe: none of these pods is on it" in named.out
    both = invoke_on("drain-check", *here, "--node", other, "--node", told["nodes"][0]["node"])
    assert both.code == 1 and "1 of 2 nodes safe to drain" in both.out
    unknown = invoke_on("drain-check", *here, "--node", "berth-nod-1")
    assert unknown.code == 2 and "there is no node berth-nod-1" in unknown.err and "did you mean" in unknown.err
