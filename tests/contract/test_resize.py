"""Claims grow without a pod being restarted; what cannot grow is said before anything is written."""

from __future__ import annotations

import pytest

from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.plan import plan_lines, plan_release
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.core.errors import ImmutableError, InterruptedRunError, PreflightError
from berth.core.events import StepDone
from berth.core.objects import dig
from tests.contract.support import PATIENCE, bring_up, claims, done, pods, release, statefulset, steps

CLASS = "storage.className=fast-ssd"
SIZE = ("spec", "resources", "requests", "storage")


def sizes(kube: Kube, space: str) -> dict[str, tuple[str, str]]:
    """Asked for, and there, by claim."""
    found = claims(kube, space).items()
    return {name: (dig(claim, *SIZE), dig(claim, "status", "capacity", "storage")) for name, claim in found}


def test_claims_grow_and_pods_run_on(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, CLASS))
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    larger = release("nginx", space, CLASS, "storage.size=3Gi")
    with pytest.raises(ImmutableError, match="--resize"):
        bring_up(kube, larger)
    shown = "\n".join(plan_lines(plan_release(kube, larger, resize=True)))
    assert "replaced around its running pods" in shown and "claim www-web-0: 1Gi -> 3Gi" in shown
    assert sizes(kube, space)["www-web-0"] == ("1Gi", "1Gi"), "a plan writes nothing"

    recap = bring_up(kube, larger, resize=True)
    assert done(recap).succeeded
    assert {"PersistentVolumeClaim/www-web-0", "StatefulSet/web"} <= set(steps(recap, "updated"))
    assert sizes(kube, space) == {"www-web-0": ("3Gi", "3Gi"), "www-web-1": ("3Gi", "3Gi")}
    assert {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()} == before
    template = statefulset(kube, larger)["spec"]["volumeClaimTemplates"][0]
    assert dig(template, *SIZE) == "3Gi"
    assert done(bring_up(kube, larger)).changed == 0


def test_a_class_that_does_not_expand_is_said_beforehand(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "storage.className=local-path"))
    with pytest.raises(PreflightError, match="StorageClass local-path does not set allowVolumeExpansion"):
        bring_up(kube, release("nginx", space, "storage.className=local-path", "storage.size=2Gi"), resize=True)
    assert sizes(kube, space)["www-web-0"] == ("1Gi", "1Gi")


@pytest.mark.parametrize("setting", ["storage.size=500Mi", "podManagementPolicy=Parallel"])
def test_nothing_else_passes_as_a_resize(kube: Kube, space: str, setting: str) -> None:
    bring_up(kube, release("nginx", space, CLASS))
    with pytest.raises(ImmutableError):
        bring_up(kube, release("nginx", space, CLASS, setting), resize=True)


@pytest.mark.parametrize("after", ["PersistentVolumeClaim", "StatefulSet"])
def test_a_stopped_resize_is_taken_up(kube: Kube, space: str, after: str) -> None:
    bring_up(kube, release("nginx", space, CLASS))
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    larger = release("nginx", space, CLASS, "storage.size=2Gi")
    run = up(kube, [larger], Options(PATIENCE, resize=True), Clock())
    with pytest.raises(InterruptedRunError):
        for event in run:
            if isinstance(event, StepDone) and event.ref.kind == after:
                run.throw(KeyboardInterrupt)
    assert done(bring_up(kube, larger, resize=True)).succeeded
    assert {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()} == before
    assert sizes(kube, space)["www-web-1"] == ("2Gi", "2Gi")
