"""How a release stands, from what was recorded and what is there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from berth.core.diagnosis import Scene, Weight
from berth.core.objects import Json, ObjectRef
from berth.core.readiness import Status
from berth.core.report import Recorded, Role, Snapshot
from berth.core.status import by_controller, findings, report, selects
from tests.unit.core.samples import NEW, OLD, claim, event, name_of, over, pod, simple, statefulset, table, waiting_pod

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, 10, 5, tzinfo=UTC)
MADE = "2026-01-01T10:00:00Z"
OURS = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "berth"}


def recorded(*bodies: Json, status: str = "deployed", **changes: Any) -> Recorded:
    known = tuple(bodies) or (statefulset(),)
    refs = tuple(ObjectRef.of(body) for body in known)
    return Recorded("shop", "shop", "nginx", "dev", 3, status, NOW, refs, known, **changes)


def seen(*pods: Json, body: Json | None = None, live: tuple[Json, ...] = (), **fields: Any) -> Snapshot:
    bodies = (body if body is not None else statefulset(), *live)
    claims = {"shop": fields.pop("claims", ())}
    return Snapshot({ObjectRef.of(one): one for one in bodies}, NOW, pods=by_controller(pods), claims=claims, **fields)


def three(**changes: Any) -> list[Json]:
    return [pod(ordinal, {"metadata": {"creationTimestamp": MADE}, **changes}) for ordinal in range(3)]


def test_a_release_that_is_current() -> None:
    node = simple("Node", "node-1", {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}, namespace="")
    claims = [claim(f"www-web-{ordinal}") for ordinal in range(4)]
    found = report(recorded(), seen(*three(), claims=claims, nodes={"node-1": node}))
    assert (found.verdict.status, found.verdict.message) == (Status.CURRENT, "web: 3 ready")
    group = found.sets[0]
    assert (group.name, group.replicas, group.ready, group.updated) == ("web", 3, 3, 3)
    first = group.ordinals[0]
    assert (first.pod, first.phase, first.ready, first.revision) == ("web-0", "Running", True, "current")
    assert (first.node, first.zone, first.restarts, first.age_seconds, first.role) == ("node-1", "a", 0, 300, None)
    assert first.dns == "web-0.web.shop.svc.cluster.local"
    assert [(c.name, c.size, c.storage_class, c.volume, c.phase) for c in first.claims] == [
        ("www-web-0", "1Gi", "local-path", "pv-www-web-0", "Bound")
    ]
    assert first.cause is None
    assert [one.name for one in group.left_claims] == ["www-web-3"]
    assert findings(found) == ()


def test_a_claim_that_a_condemned_pod_still_uses_is_not_left() -> None:
    using = {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "www-web-3"}}]}}
    last = pod(3, over(using, {"metadata": {"deletionTimestamp": MADE}}))
    group = report(recorded(), seen(*three(), last, claims=[claim("www-web-3")])).sets[0]
    assert group.left_claims == ()
    assert [(row.ordinal, row.condemned, row.phase) for row in group.ordinals][-1] == (3, True, "Terminating")


def test_claims_of_other_releases_are_not_ours() -> None:
    foreign = claim("www-web-7", {"metadata": {"labels": {"app.kubernetes.io/instance": "other"}}})
    assert report(recorded(), seen(*three(), claims=[foreign])).sets[0].left_claims == ()


def test_revisions() -> None:
    body = statefulset({"status": {"updateRevision": NEW, "updatedReplicas": 1}})
    pods = [pod(0, revision="web-other"), pod(1, revision=OLD), pod(2, revision=NEW)]
    assert [row.revision for row in report(recorded(), seen(*pods, body=body)).sets[0].ordinals] == [
        "other",
        "current",
        "update",
    ]


VERDICTS = table("""
- name: an up is under way
  status: pending
  busy: ann@host
  verdict: in progress
  reason: UnderWay
  says: ann@host
- name: an up was killed
  status: pending
  verdict: failed
  reason: Interrupted
- name: an up has failed, and the pods are ready
  status: failed
  verdict: failed
  reason: Failed
- name: an up was interrupted
  status: interrupted
  verdict: failed
  reason: Interrupted
- name: taken down, its claims kept
  status: removed
  gone: true
  verdict: unknown
  reason: Removed
  says: 2 claims of it are kept
- name: taken down, pods left running
  status: orphaned
  gone: true
  verdict: unknown
  reason: Orphaned
- name: a teardown was killed
  status: removing
  verdict: terminating
  reason: Removing
- name: its set is gone
  gone: true
  verdict: failed
  reason: Missing
  says: StatefulSet/web
""")


@pytest.mark.parametrize("case", VERDICTS, ids=name_of)
def test_what_the_record_says_counts(case: dict[str, Any]) -> None:
    live = {} if case.get("gone") else {ObjectRef.of(statefulset()): statefulset()}
    busy = {("shop", "shop"): case["busy"]} if "busy" in case else {}
    claims = {"shop": [claim("www-web-0"), claim("www-web-1")]}
    found = report(
        recorded(status=case.get("status", "deployed")),
        Snapshot(live, NOW, pods=by_controller(three()), claims=claims, busy=busy),
    )
    assert (found.verdict.status, found.verdict.reason) == (case["verdict"], case["reason"])
    assert case.get("says", "") in found.verdict.message
    assert found.down is (case["reason"] in ("Removed", "Orphaned"))
    if case.get("gone"):
        assert [one.name for one in found.sets[0].left_claims] == ["www-web-0", "www-web-1"]


BROKEN = {"status": {"readyReplicas": 2, "availableReplicas": 2}}


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("InvalidImageName", Status.FAILED),
        ("ImagePullBackOff", Status.STUCK),
        ("ContainerCreating", Status.IN_PROGRESS),
    ],
)
def test_what_waiting_does_not_heal_is_not_in_progress(reason: str, status: Status) -> None:
    pods = [pod(0), pod(1), waiting_pod(2, reason)]
    found = report(recorded(), seen(*pods, body=statefulset(BROKEN)))
    assert found.verdict.status is status
    assert found.verdict.message.startswith("web: 2 of 3 pods ready")
    assert [(one.set_name, one.ordinal) for one in findings(found)] == [("web", 2)]


def test_another_object_that_is_not_ready() -> None:
    job = simple("Job", "seed", {"status": {"conditions": [{"type": "Failed", "status": "True", "message": "no"}]}})
    found = report(recorded(statefulset(), job), seen(*three(), live=(job,)))
    assert (found.verdict.status, found.verdict.message) == (Status.FAILED, "Job/seed: no")
    assert [(one.set_name, one.ordinal, one.cause.message) for one in findings(found)] == [("", -1, "Job/seed: no")]


def test_a_ready_pod_whose_operation_fails() -> None:
    role = Role("role", failed="failed: no quorum")
    roles = {("shop", "web-1"): [role], ("shop", "web-0"): [Role("role", "leader")]}
    found = report(recorded(), seen(*three(), roles=roles))
    assert found.verdict.status is Status.STUCK
    first, second, _ = found.sets[0].ordinals
    assert (first.role, second.role) == ("leader", None)
    assert second.cause is not None
    assert second.cause.message == "web-1 is ready, but operation role failed: no quorum"


@pytest.mark.parametrize(
    ("minutes", "weight"), [(1, Weight.TRANSIENT), (11, Weight.SUSPECT)], ids=["for a minute", "for long"]
)
def test_a_pod_that_is_not_ready_for_long_is_stuck(minutes: int, weight: Weight) -> None:
    since = f"2026-01-01T{9 if minutes > 5 else 10:02d}:{(65 - minutes) % 60:02d}:00Z"
    body = pod(0, ready=False)
    body["status"]["conditions"][1]["lastTransitionTime"] = since
    sts = statefulset({"spec": {"replicas": 1}, "status": {"readyReplicas": 0, "replicas": 1}})
    cause = report(recorded(sts), seen(body, body=sts)).sets[0].ordinals[0].cause
    assert cause is not None and (cause.reason, cause.weight) == ("NotReady", weight)


@pytest.mark.parametrize(("made", "weight"), [("10:04:50", Weight.TRANSIENT), (MADE[11:19], Weight.SUSPECT)])
def test_a_claim_gets_the_time_that_a_volume_takes(made: str, weight: Weight) -> None:
    pending = claim("www-web-0", phase="Pending")
    body = pod(0, {"metadata": {"creationTimestamp": f"2026-01-01T{made}Z"}, "spec": {"nodeName": None}}, ready=False)
    sts = statefulset({"spec": {"replicas": 1}, "status": {"readyReplicas": 0, "replicas": 1}})
    evidence = {"shop": Scene(events=[event(pending, "ExternalProvisioning", "Waiting for a volume")])}
    cause = report(recorded(sts), seen(body, body=sts, claims=[pending], evidence=evidence)).sets[0].ordinals[0].cause
    assert cause is not None and (cause.reason, cause.weight) == ("Provisioning", weight)


def test_budgets_are_those_that_meet_the_pods() -> None:
    status = {"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3}
    ours = simple(
        "PodDisruptionBudget", "web", {"spec": {"selector": {"matchLabels": {"app": "web"}}}, "status": status}
    )
    other = over(ours, {"metadata": {"name": "other"}, "spec": {"selector": {"matchLabels": {"app": "db"}}}})
    elsewhere = over(ours, {"metadata": {"namespace": "prod"}})
    found = report(recorded(), seen(*three(), budgets=[ours, other, elsewhere]))
    assert [(b.name, b.allowed, b.healthy, b.desired, b.pods) for b in found.budgets] == [("web", 1, 3, 2, 3)]


SELECTORS = table("""
- {name: nothing, selector: null, met: false}
- {name: all, selector: {}, met: true}
- {name: a label, selector: {matchLabels: {app: web}}, met: true}
- {name: another label, selector: {matchLabels: {app: db}}, met: false}
- {name: in, selector: {matchExpressions: [{key: app, operator: In, values: [web, db]}]}, met: true}
- {name: not in, selector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}, met: false}
- {name: exists, selector: {matchExpressions: [{key: app, operator: Exists}]}, met: true}
- {name: does not exist, selector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}, met: true}
""")


@pytest.mark.parametrize("case", SELECTORS, ids=name_of)
def test_selectors(case: dict[str, Any]) -> None:
    assert selects(case["selector"], {"app": "web"}) is case["met"]
