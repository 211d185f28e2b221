"""The guarantees, looked for on live releases: the same on the rehearsal and on the control plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from berth.actions.verify import verify
from berth.cli.verify import worked_out
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.release import find_release
from berth.cluster.waiting import Patience
from berth.core.errors import BerthError, ClusterError, DeniedError, InterruptedRunError, PreflightError, TimedOutError
from berth.core.events import Event, Notice, OrdinalState
from berth.core.objects import ObjectRef
from berth.core.verify import Check, Outcome
from tests.contract.support import PATIENCE, bring_up, claims, pods, release, take_down, versions
from tests.waiting import eventually

PROVED, FAILED, OPEN = Outcome.PROVED, Outcome.FAILED, Outcome.NOT_SHOWN
#: A failure is not looked at for long: here nothing is on its way.
HASTY = Patience(timeout=0.5, suspect=1)


def look(
    kube: Kube,
    space: str,
    *,
    disruptive: bool = False,
    patience: Patience = PATIENCE,
    say: Callable[[Event], None] = lambda event: None,
) -> dict[str, Check]:
    """The checks of the release nginx, by guarantee."""
    record = find_release(kube, space, "nginx", None)
    found = verify(kube, record, worked_out, disruptive=disruptive, patience=patience, say=say)
    return {check.guarantee: check for check in found}


def outcomes(checks: dict[str, Check]) -> list[Outcome]:
    assert list(checks) == ["names", "dns", "creation", "deletion", "claims"]
    return [check.outcome for check in checks.values()]


def test_what_is_proved_by_reading_and_what_by_a_deletion(kube: Kube, space: str) -> None:
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    before, first = versions(kube, wanted), pods(kube, space)
    checks = look(kube, space)
    assert outcomes(checks) == [PROVED, PROVED, PROVED, OPEN, OPEN], checks
    assert versions(kube, wanted) == before, "nothing was written"
    assert checks["names"].evidence.startswith("web-0, web-1: pod name, hostname and labels agree; no containers run")
    assert "SRV _web._tcp names both; worked out from EndpointSlices; no containers run here" in checks["dns"].evidence

    said: list[Event] = []
    disks = {name: (c["metadata"]["uid"], c["spec"]["volumeName"]) for name, c in claims(kube, space).items()}
    checks = look(kube, space, disruptive=True, say=said.append)
    assert outcomes(checks) == [PROVED, PROVED, PROVED, OPEN, PROVED], checks
    assert isinstance(said[0], Notice) and said[0].message.startswith("web-1 is deleted, the highest ordinal of web")
    assert checks["claims"].evidence.startswith("web-1 was deleted, and another pod of that name was ready ")
    assert "by the identity of claim and volume only for www-web-1: no containers run here" in checks["claims"].evidence
    after = pods(kube, space)
    assert after["web-0"]["metadata"]["uid"] == first["web-0"]["metadata"]["uid"]
    assert after["web-1"]["metadata"]["uid"] != first["web-1"]["metadata"]["uid"]
    assert disks == {n: (c["metadata"]["uid"], c["spec"]["volumeName"]) for n, c in claims(kube, space).items()}
    assert kube.list("coordination.k8s.io", "Lease", space).items == [], "the lock was given back"

    def remembered() -> Check | None:
        """Times are whole seconds, so that the event may be of the second in which the successor was made."""
        found = look(kube, space)["claims"]
        return found if found.outcome is PROVED else None

    if (
        after["web-1"]["metadata"]["creationTimestamp"] != first["web-1"]["metadata"]["creationTimestamp"]
    ):  # Else nobody can tell.
        found = eventually(remembered)
        assert found.evidence.startswith("web-1 uses www-web-1, and is not its first pod: an event tells of one")


def test_the_order_in_which_pods_go_is_told_by_events(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=3"))
    bring_up(kube, release("nginx", space, "replicas=1"))

    def gone() -> Check | None:
        found = look(kube, space)["deletion"]
        return found if found.outcome is PROVED else None

    # Events are written behind the controller's back, and may come a moment later.
    said = eventually(gone).evidence
    assert said.startswith("web-2, web-1 were deleted in this order as the set became smaller, within ")
    assert look(kube, space)["creation"].evidence == "one pod alone has no order"


def test_names_that_lead_nowhere(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    service = ObjectRef("", "Service", space, "nginx")
    kube.patch(service, {"spec": {"selector": {"app": "nobody"}}}, field_manager="ann")

    def failed() -> Check | None:
        found = look(kube, space, patience=HASTY)["dns"]
        return found if found.outcome is FAILED and "web-1.nginx leads to nothing" in found.evidence else None

    said = eventually(failed).evidence
    assert "web-0.nginx leads to nothing" in said and "SRV _web._tcp does not name web-0, web-1" in said
    kube.delete(service)
    assert look(kube, space, patience=HASTY)["dns"].evidence == (
        "there is no Service nginx, under which the pods would have names"
    )


def test_what_may_not_be_read_or_asked_is_said(kube: Kube, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_up(kube, release("nginx", space, "replicas=2"))
    listed, denied = kube.list, {"Event", "EndpointSlice"}

    def refuse(group: str, kind: str, *rest: Any, **more: Any) -> Any:
        if kind in denied:
            raise DeniedError(f"may not list {kind}")
        return listed(group, kind, *rest, **more)

    def no_exec(*_: object) -> Any:
        raise DeniedError("may not create pods/exec")

    monkeypatch.setattr(kube, "list", refuse)
    monkeypatch.setattr("berth.actions.asking.run_operation", no_exec)
    checks = look(kube, space)
    assert outcomes(checks) == [PROVED, OPEN, PROVED, OPEN, OPEN], checks
    assert checks["names"].evidence.endswith("; no permission to run commands in pods: spec.hostname only")
    assert checks["dns"].evidence == "Services or EndpointSlices may not be read"
    assert checks["deletion"].evidence == "events, which alone tell of it, may not be read"
    denied.add("PodDisruptionBudget")
    with pytest.raises(PreflightError, match="whether a PodDisruptionBudget allows it may not be read"):
        look(kube, space, disruptive=True)
    denied.add("Pod")
    with pytest.raises(DeniedError, match="may not list Pod"):
        look(kube, space)


def test_pods_that_are_not_ready_and_a_set_of_none(kube: Kube, space: str) -> None:
    broken = release("nginx", space, 'podAnnotations={"berth.dev/fault": "unready"}')
    with pytest.raises(BerthError):
        bring_up(kube, broken, patience=Patience(timeout=3, suspect=2))
    checks = look(kube, space)
    assert outcomes(checks) == [OPEN, OPEN, OPEN, OPEN, OPEN], checks
    assert checks["names"].evidence.startswith("web-1 is not there; web-0: ")
    assert checks["dns"].evidence == "web-0 is not ready, and has no records until it is; web-1 is not there"
    assert checks["creation"].evidence == "web-1 is not there"
    with pytest.raises(PreflightError, match="because release nginx is not current"):
        look(kube, space, disruptive=True)
    bring_up(kube, release("nginx", space, "replicas=0"))
    assert "is to have 0 pods" in look(kube, space)["names"].evidence
    with pytest.raises(PreflightError, match="no pod was deleted\n  because release nginx is to have 0 pods"):
        look(kube, space, disruptive=True)


def test_where_no_pod_may_go_none_goes(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    first = {name: pod["metadata"]["uid"] for name, pod in pods(kube, space).items()}
    with Lock(kube, space, "nginx"), pytest.raises(PreflightError, match="not current: a run is under way"):
        look(kube, space, disruptive=True)
    labels = next(iter(pods(kube, space).values()))["metadata"]["labels"]
    select = {"matchLabels": {"app.kubernetes.io/instance": labels["app.kubernetes.io/instance"]}}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "all", "namespace": space}}
    ref = ObjectRef.of(kube.create({**budget, "spec": {"minAvailable": 2, "selector": select}}))
    eventually(lambda: ((kube.get(ref) or {}).get("status") or {}).get("currentHealthy") or None)
    with pytest.raises(
        PreflightError, match="PodDisruptionBudget/all allows no disruption at this moment: 2 of 2 pods"
    ):
        look(kube, space, disruptive=True)
    kube.delete(ref)
    template = {"metadata": {"annotations": {"a": "b"}}}
    change = {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}, "template": template}
    kube.patch(ObjectRef("apps", "StatefulSet", space, "web"), {"spec": change}, field_manager="ann")

    def outdated() -> str | None:
        """Before the controller has seen the change, the release is not current."""
        with pytest.raises(PreflightError) as caught:
            look(kube, space, disruptive=True)
        said = str(caught.value)
        return said if "web-1 is of an old revision, and would come back as one of the new" in said else None

    assert eventually(outdated).startswith("no pod was deleted\n")
    assert first == {name: pod["metadata"]["uid"] for name, pod in pods(kube, space).items()}


def test_one_that_is_interrupted_and_one_that_takes_too_long(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    pod = ObjectRef("", "Pod", space, "web-1")

    def interrupt(event: Event) -> None:
        if isinstance(event, OrdinalState):
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="interrupted; web-1 was deleted, and its set makes it again"):
        look(kube, space, disruptive=True, say=interrupt)
    assert kube.list("coordination.k8s.io", "Lease", space).items == []
    bring_up(kube, release("nginx", space))
    kube.patch(pod, {"metadata": {"finalizers": ["example.com/hold"]}}, field_manager="holder")
    try:
        with pytest.raises(TimedOutError, match="not ready after "):
            look(kube, space, disruptive=True, patience=Patience(timeout=1, suspect=60))
        assert outcomes(look(kube, space))[1] is OPEN, "web-1 has no address, and nobody says it should"
    finally:
        kube.patch(pod, {"metadata": {"finalizers": None}}, field_manager="holder")


def test_a_release_that_was_taken_down_and_a_set_that_is_gone(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    record = find_release(kube, space, "nginx", None)
    without = replace(record, manifests=tuple(body for body in record.manifests if body["kind"] != "StatefulSet"))
    with pytest.raises(ClusterError, match="has no StatefulSet"):
        verify(kube, without, worked_out)
    kube.delete(ObjectRef("apps", "StatefulSet", space, "web"))
    with pytest.raises(ClusterError, match="not there: StatefulSet/web in "):
        eventually(lambda: look(kube, space) and None)
    take_down(kube, space, "nginx")
    with pytest.raises(ClusterError, match="was taken down\n  try: `invoke up` brings it back"):
        look(kube, space)
