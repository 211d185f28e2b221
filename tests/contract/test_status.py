"""How releases stand, and why one is not current: the same on the rehearsal and on the control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from berth.actions.diagnose import diagnose
from berth.actions.roles import Operations
from berth.actions.status import Selection, choose, status
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock, own_holder
from berth.cluster.release import save
from berth.cluster.session import Exchange
from berth.cluster.target import resolve
from berth.cluster.waiting import Patience
from berth.core.errors import BerthError, InputError
from berth.core.objects import ObjectRef
from berth.core.operations import operations_of
from berth.core.readiness import Status
from berth.core.report import Finding, OrdinalReport, ReleaseReport
from berth.library import open_library
from tests.contract.support import ROOT, bring_up, release, take_down
from tests.waiting import eventually

SET = "web"


def operations() -> Operations:
    library = open_library(ROOT)
    return lambda profile: operations_of(library.load(profile))


def look(kube: Kube, space: str, name: str | None = None) -> ReleaseReport:
    """The one release that there is, or of a name."""
    (one,) = status(kube, Selection(space, name), None).reports
    return one


def ordinals(one: ReleaseReport) -> list[OrdinalReport]:
    """The ordinals of a release with one set."""
    (group,) = one.sets
    return list(group.ordinals)


def web(space: str) -> ObjectRef:
    return ObjectRef("apps", "StatefulSet", space, SET)


def test_a_release_that_is_current(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "disruptionBudget.enabled=true"))
    one = look(kube, space)
    assert (one.release, one.profile, one.revision, one.status) == ("nginx", "nginx", 1, "deployed")
    assert one.verdict.current and one.verdict.message == "web: 2 ready"
    first, second = ordinals(one)
    assert (first.pod, first.phase, first.ready, first.revision, first.restarts) == (
        "web-0",
        "Running",
        True,
        "current",
        0,
    )
    assert first.node != second.node and first.zone
    assert [(c.name, c.size, c.storage_class, c.phase) for c in first.claims] == [
        ("www-web-0", "1Gi", "local-path", "Bound")
    ]
    assert first.dns == f"web-0.nginx.{space}.svc.cluster.local"
    assert first.age_seconds is not None and first.age_seconds < 600
    (budget,) = eventually(lambda: tuple(b for b in look(kube, space).budgets if b.allowed) or None)
    assert (budget.allowed, budget.healthy, budget.desired, budget.pods) == (1, 2, 1, 2)
    assert one.drift == () and one.sets[0].left_claims == ()
    found, wrong = diagnose(kube, Selection(space), None)
    assert found.reports[0].verdict.current and not wrong


def test_one_list_of_a_kind_for_all_releases(plane: Path, kube: Kube, space: str) -> None:
    def requests() -> list[str]:
        seen: list[str] = []
        watching = resolve(None, str(plane), {}).connect()

        def note(exchange: Exchange) -> None:
            seen.append(exchange.path.partition("?")[0])

        watching.session.observe = note
        assert all(one.verdict.current for one in status(watching, Selection(space), None).reports)
        watching.close()
        return sorted(seen)

    bring_up(kube, release("nginx", space, "replicas=1"))
    alone = requests()
    for number in range(3):
        bring_up(kube, release("nginx", space, "replicas=1", name=f"web-{number}"))
    assert requests() == alone
    assert len(alone) == len(set(alone)), "no kind twice"


def test_which_releases(kube: Kube, space: str) -> None:
    for name in ("shop", "blog"):
        bring_up(kube, release("nginx", space, "replicas=1", name=name))
    bring_up(kube, release("httpd", space, "replicas=1"))
    assert [record.name for record in choose(kube, Selection(space))] == ["blog", "httpd", "shop"]
    assert [record.name for record in choose(kube, Selection(space, profiles=("nginx",)))] == ["blog", "shop"]
    assert [record.name for record in choose(kube, Selection(space, "shop", ("nginx",)))] == ["shop"]
    assert {record.namespace for record in choose(kube, Selection(None, "shop"))} >= {space}
    with pytest.raises(InputError, match="no release shpo in") as caught:
        choose(kube, Selection(space, "shpo"))
    assert caught.value.problems[0].hint == "did you mean 'shop'?"
    with pytest.raises(InputError, match="no release of profile postgres in"):
        choose(kube, Selection(space, profiles=("postgres",)))


def test_what_others_changed_is_named_with_who_did_it(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    service = ObjectRef("", "Service", space, "nginx")
    kube.patch(service, {"metadata": {"labels": {"team": "blue"}}}, field_manager="kubectl-label")
    kube.patch(web(space), {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}, field_manager="ann")
    kube.delete(ObjectRef("", "Service", space, "nginx-client"))
    one = look(kube, space)
    said = {(d.ref.kind, d.ref.name, d.path): (d.recorded, d.live, d.manager) for d in one.drift}
    assert said == {
        ("Service", "nginx", "metadata.labels.team"): ("(absent)", "blue", "kubectl-label"),
        ("StatefulSet", "web", "spec.template.spec.terminationGracePeriodSeconds"): (30, 7, "ann"),
        ("Service", "nginx-client", ""): ("recorded", "(absent)", ""),
    }
    assert (one.verdict.status, one.verdict.reason) == (Status.FAILED, "Missing")
    assert "Service/nginx-client" in one.verdict.message
    bring_up(kube, release("nginx", space, "replicas=1"), force=True)
    again = look(kube, space)
    assert again.verdict.current
    assert [(d.path, d.manager) for d in again.drift] == []


def test_values_of_a_secret_that_somebody_changed_are_not_shown(kube: Kube, space: str) -> None:
    bring_up(kube, release("postgres", space, "replicas=1"))
    ref = next(ref for ref in choose(kube, Selection(space))[0].inventory if ref.ref.kind == "Secret").ref
    key = next(iter((kube.get(ref) or {})["data"]))
    kube.patch(ref, {"data": {key: "aHVudGVyMg=="}}, field_manager="ann")
    (found,) = look(kube, space).drift
    assert (found.ref, found.path, found.recorded, found.live, found.manager) == (
        ref,
        f"data.{key}",
        "(hidden)",
        "(hidden)",
        "ann",
    )


def test_claims_that_no_pod_uses_and_a_release_that_was_taken_down(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=2"))
    bring_up(kube, release("nginx", space, "replicas=1"))
    one = eventually(lambda: next(filter(found_left, [look(kube, space)]), None))
    assert [claim.name for claim in one.sets[0].left_claims] == ["www-web-1"]
    assert one.verdict.current
    take_down(kube, space, "nginx")
    down = look(kube, space)
    assert (down.down, down.verdict.reason) == (True, "Removed")
    assert [claim.name for claim in down.sets[0].left_claims] == ["www-web-0", "www-web-1"]
    assert down.drift == ()


def found_left(one: ReleaseReport) -> bool:
    """Whether the condemned pod is gone, and its claim is left."""
    return len(one.sets[0].ordinals) == 1 and bool(one.sets[0].left_claims)


def test_a_run_that_is_under_way_and_one_that_was_killed(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    with Lock(kube, space, "nginx"):
        busy = look(kube, space)
        assert (busy.verdict.status, busy.verdict.reason) == (Status.IN_PROGRESS, "UnderWay")
        assert own_holder().split("/")[0] in busy.verdict.message
    (record,) = choose(kube, Selection(space))
    save(kube, replace(record, status="pending"))
    killed = look(kube, space)
    assert (killed.status, killed.verdict.status, killed.verdict.reason) == ("pending", Status.FAILED, "Interrupted")
    assert "run up again" in killed.verdict.hint
    bring_up(kube, release("nginx", space, "replicas=1"))
    assert look(kube, space).verdict.current


def test_where_no_containers_run_operations_are_not_run(kube: Kube, space: str) -> None:
    bring_up(kube, release("postgres", space, "replicas=1"))
    found = status(kube, Selection(space), operations())
    assert found.reports[0].verdict.current
    assert [row.role for row in ordinals(found.reports[0])] == [None]
    assert len(found.notes) == 1 and found.notes[0].startswith("operations were not run: ")


@contextmanager
def broken(kube: Kube, space: str, *sets: str, timeout: float = 40) -> Iterator[None]:
    """A release whose `up` has failed."""
    with pytest.raises(BerthError):
        bring_up(kube, release("nginx", space, *sets), patience=Patience(timeout, suspect=2))
    yield


def finding(kube: Kube, space: str, reason: str) -> Finding:
    """The first finding of a reason; what the cluster says takes a moment."""

    def found() -> Finding | None:
        _, wrong = diagnose(kube, Selection(space), None)
        return next((one for one in wrong.get((space, "nginx"), ()) if one.cause.reason == reason), None)

    return eventually(found, every=0.3)


def test_a_bad_image_and_the_trap(kube: Kube, space: str) -> None:
    with broken(kube, space, "image.tag=nope", "replicas=2"):
        cause = finding(kube, space, "ImagePullBackOff").cause
        assert cause.message.startswith("web-0: image nginx:nope cannot be pulled: ")
        assert "does the tag exist" in cause.hint
        assert finding(kube, space, "Waits").cause.message == "web-1 waits for web-0 to be ready"
        one = look(kube, space)
        assert (one.status, one.verdict.status) == ("failed", Status.STUCK)
    with broken(kube, space, "replicas=2"):
        trapped = finding(kube, space, "ImagePullBackOff")
        assert (trapped.ordinal, trapped.set_name) == (0, SET)
        said = f"blocks its own fix; delete it: kubectl delete pod web-0 -n {space}"
        assert said in trapped.cause.hint


def test_a_crash_loop(kube: Kube, space: str) -> None:
    with broken(kube, space, 'podAnnotations={"berth.dev/fault": "crash"}', "replicas=1"):
        cause = finding(kube, space, "CrashLoopBackOff").cause
        assert cause.message.startswith("web-0: container nginx ended with exit code 1, ")


def test_a_probe_that_fails(kube: Kube, space: str) -> None:
    with broken(kube, space, 'podAnnotations={"berth.dev/fault": "unready"}', "replicas=1", timeout=6):
        cause = finding(kube, space, "NotReady").cause
        assert cause.message.startswith("web-0 runs and is not ready yet")


def test_a_pod_that_no_node_takes(kube: Kube, space: str) -> None:
    with broken(kube, space, "nodeSelector.disk=unobtainium", "replicas=1"):
        cause = finding(kube, space, "Unschedulable").cause
        assert "didn't match Pod's node affinity/selector" in cause.message
        assert cause.message.endswith("; claim www-web-0 waits for that (WaitForFirstConsumer)")
        assert cause.hint == "no node has the labels that the pod asks for"


def test_more_than_any_node_has(kube: Kube, space: str) -> None:
    """Preflight sees that no node is large enough, so that the request grows behind its back."""
    bring_up(kube, release("nginx", space, "replicas=1"))
    live = kube.get(web(space))
    assert live is not None
    containers = live["spec"]["template"]["spec"]["containers"]
    containers[0]["resources"] = {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}}
    kube.patch(web(space), {"spec": {"template": {"spec": {"containers": containers}}}}, field_manager="ann")
    cause = finding(kube, space, "Unschedulable").cause
    assert "Insufficient cpu" in cause.message
    assert cause.hint.startswith("ask for less cpu (--set resources.requests.cpu=...), or add nodes")


@pytest.mark.parametrize(
    ("provisioner", "reason", "says"),
    [
        ("example.com/never", "Provisioning", "waits for provisioner example.com/never, which has not answered"),
        ("kubernetes.io/no-provisioner", "NoVolume", "makes none by itself"),
    ],
    ids=["nobody answers", "made by hand"],
)
def test_a_claim_that_nobody_makes_a_volume_for(
    kube: Kube, space: str, provisioner: str, reason: str, says: str
) -> None:
    name = f"never-{space}"
    meta = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    kube.create({**meta, "provisioner": provisioner, "volumeBindingMode": "Immediate"})
    try:
        with broken(kube, space, f"storage.className={name}", "replicas=1"):
            cause = finding(kube, space, reason).cause
            assert "claim www-web-0" in cause.message and says in cause.message
    finally:
        kube.delete(ObjectRef("storage.k8s.io", "StorageClass", "", name))


def test_a_quota(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    meta = {"name": "small", "namespace": space}
    ref = ObjectRef.of(
        kube.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"pods": "1"}}})
    )
    eventually(lambda: (kube.get(ref) or {}).get("status", {}).get("used"))
    kube.patch(web(space), {"spec": {"replicas": 2}}, field_manager="ann")
    found = finding(kube, space, "Quota")
    assert found.ordinal == 1
    assert "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1" in found.cause.message


def test_pod_security(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    template = {"metadata": {"annotations": {"a": "b"}}, "spec": {"hostPID": True}}
    kube.patch(web(space), {"spec": {"template": template}}, field_manager="ann")
    found = finding(kube, space, "PodSecurity")
    assert "violates PodSecurity" in found.cause.message and "invoke lint" in found.cause.hint


def test_a_pod_that_somebody_holds(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    pod = ObjectRef("", "Pod", space, "web-0")
    kube.patch(pod, {"metadata": {"finalizers": ["example.com/hold"]}}, field_manager="holder")
    kube.delete(pod)
    try:
        said = finding(kube, space, "Terminating").cause.message
        assert said.startswith("web-0 is stopping, held by example.com/hold (set by holder)")
        (row,) = ordinals(look(kube, space))
        assert (row.phase, row.ready) == ("Terminating", False)
    finally:
        kube.patch(pod, {"metadata": {"finalizers": None}}, field_manager="holder")


def test_a_claim_that_somebody_holds(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    claim = ObjectRef("", "PersistentVolumeClaim", space, "www-web-0")
    kept = ["kubernetes.io/pvc-protection", "example.com/hold"]
    kube.patch(claim, {"metadata": {"finalizers": kept}}, field_manager="holder")
    kube.delete(claim)
    kube.delete(ObjectRef("", "Pod", space, "web-0"))
    try:
        said = "claim www-web-0 is being deleted, held by example.com/hold (set by holder)"
        eventually(lambda: finding(kube, space, "ClaimTerminating").cause.message == said or None)
    finally:
        kube.patch(claim, {"metadata": {"finalizers": None}}, field_manager="holder")
    eventually(lambda: look(kube, space).verdict.current or None)


def test_a_class_that_is_gone(kube: Kube, space: str) -> None:
    name = f"gone-{space}"
    ref = ObjectRef("storage.k8s.io", "StorageClass", "", name)
    meta = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    kube.create({**meta, "provisioner": "example.com/never", "volumeBindingMode": "WaitForFirstConsumer"})
    try:
        with broken(kube, space, f"storage.className={name}", "replicas=1"):
            assert finding(kube, space, "Provisioning").cause.message.endswith("which has not answered")
            kube.delete(ref)
            cause = finding(kube, space, "NoClass").cause
            assert cause.message == f"claim www-web-0 asks for class {name}, which does not exist"
    finally:
        kube.delete(ref)
