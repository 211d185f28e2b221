"""How a release stands: its record, its objects and their pods -> one report. Nothing here reads a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from berth.core.diagnosis import Cause, Scene, Weight, diagnose
from berth.core.drift import Drift
from berth.core.ledger import SetShape, release_claims
from berth.core.objects import (
    INSTANCE_LABEL,
    Json,
    ObjectRef,
    claim_name,
    claim_ordinal,
    dig,
    ordinals,
    pod_name,
)
from berth.core.readiness import Status, Verdict, controller_of, judge, owned_pods, pod_ready, pod_revision
from berth.core.report import (
    DOWN,
    BudgetReport,
    ClaimReport,
    Finding,
    OrdinalReport,
    Recorded,
    ReleaseReport,
    Role,
    SetReport,
    Snapshot,
)
from berth.core.rollout import PAUSED, ways

ZONE_LABEL = "topology.kubernetes.io/zone"

#: A claim of a pod that is younger is still being provisioned; a pod that is not ready for longer never will be.
_NEW, _LATE = timedelta(seconds=30), timedelta(minutes=10)


def findings(one: ReleaseReport) -> tuple[Finding, ...]:
    """Each ordinal that is not what it should be, after what only the release as a whole tells."""
    found = [Finding(group.name, row.ordinal, row.cause) for group in one.sets for row in group.ordinals if row.cause]
    if (
        not one.verdict.current
        and not one.down
        and not (found and one.verdict.reason in {group.verdict.reason for group in one.sets})
    ):
        weight = Weight.TRANSIENT if one.verdict.status is Status.IN_PROGRESS else Weight.SUSPECT
        whole = Cause(weight, one.verdict.reason, one.verdict.message, one.verdict.hint)
        return (Finding("", -1, whole), *found)
    return tuple(found)


def report(recorded: Recorded, seen: Snapshot, drifted: Sequence[Drift] = ()) -> ReleaseReport:
    """How a release stands."""
    sets = _sets(recorded, seen)
    return ReleaseReport(
        recorded.name,
        recorded.namespace,
        recorded.profile,
        recorded.environment,
        recorded.revision,
        recorded.status,
        _verdict(recorded, seen, sets),
        sets,
        tuple(_budgets(recorded, seen)),
        tuple(drifted),
    )


def _verdict(recorded: Recorded, seen: Snapshot, sets: Sequence[SetReport]) -> Verdict:
    """The worst of what the record and the live objects say; the record's word counts where a run has not ended well.

    An `up` that failed may not have come to all that it wanted, so that ready pods alone do not make a release
    current.
    """
    again = "run up again with the same options: it makes what is missing, and changes nothing else"
    holder = seen.busy.get((recorded.namespace, recorded.name))
    if recorded.status == "removed":
        kept = sum(len(one.left_claims) for one in sets)
        left = f"; {kept} claim{'' if kept == 1 else 's'} of it {'is' if kept == 1 else 'are'} kept" if kept else ""
        return Verdict(Status.UNKNOWN, "Removed", f"taken down{left}")
    if recorded.status == "orphaned":
        return Verdict(Status.UNKNOWN, "Orphaned", "its sets were deleted, and the pods left running; up adopts them")
    if holder:
        return Verdict(Status.IN_PROGRESS, "UnderWay", f"a run is under way: {holder}")
    if recorded.status == "removing":
        hint = f"invoke teardown --name {recorded.name} goes on from there"
        return Verdict(Status.TERMINATING, "Removing", "a teardown has begun and not ended", hint)
    gone = [ref for ref in recorded.refs if ref not in seen.live]
    if gone:
        names = ", ".join(f"{ref.kind}/{ref.name}" for ref in gone[:5])
        more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
        return Verdict(Status.FAILED, "Missing", f"not there: {names}{more}", again)
    worst = next((one for one in sorted(sets, key=_badness) if not one.verdict.current), None)
    if worst:
        return replace(worst.verdict, message=f"{worst.name}: {worst.verdict.message}")
    for ref in recorded.refs:
        if ref.kind != "StatefulSet" and not (verdict := judge(seen.live[ref])).current:
            return replace(verdict, message=f"{ref.kind}/{ref.name}: {verdict.message}")
    if recorded.rollout is not None:
        return _rollout(recorded)
    if recorded.status == "pending":
        said = "an up has begun, and was stopped before it ended"
        return Verdict(Status.FAILED, "Interrupted", said, again)
    if recorded.status in ("failed", "interrupted"):
        said = "the pods are ready, but the last up did not come to its end"
        return Verdict(Status.FAILED, recorded.status.capitalize(), said, again)
    messages = "; ".join(f"{one.name}: {one.verdict.message}" for one in sets)
    return Verdict(Status.CURRENT, "Ready", messages or "all is there")


def _rollout(recorded: Recorded) -> Verdict:
    """The verdict on a release whose pods are all ready, in the middle of a rollout."""
    hint = ways(recorded.name, recorded.namespace)
    if recorded.rollout == PAUSED:
        return Verdict(Status.CURRENT, "Paused", "its rollout is paused, and its pods are ready", hint)
    if recorded.rollout:
        return Verdict(Status.FAILED, "Held", f"its rollout is held: {recorded.rollout}", hint)
    return Verdict(Status.FAILED, "Interrupted", "its rollout was stopped before it ended", hint)


def _badness(one: SetReport) -> int:
    order = (Status.FAILED, Status.STUCK)
    return order.index(one.verdict.status) if one.verdict.status in order else len(order)


def _sets(recorded: Recorded, seen: Snapshot) -> tuple[SetReport, ...]:
    """A report for each set, live ones with their pods, and the claims that none of their pods uses."""
    bodies: list[tuple[Json, bool]] = []
    for manifest in recorded.manifests:
        if manifest.get("kind") == "StatefulSet":
            live = seen.live.get(ObjectRef.of(manifest))
            bodies.append((live or manifest, live is not None))
    claims = [
        claim
        for claim in seen.claims.get(recorded.namespace, ())
        if dig(claim, "metadata", "labels", INSTANCE_LABEL) in (None, recorded.name)
    ]
    shapes = [
        SetShape(str(body["metadata"]["name"]), tuple(_templates(body)), ordinals(body) if live else range(0))
        for body, live in bodies
    ]
    left: dict[str, list[ClaimReport]] = {}
    for claim, ordinal, condemned in release_claims(recorded.name, shapes, claims):
        if condemned or ordinal < 0:
            left.setdefault(_set_of(claim, shapes), []).append(_claim(claim))
    return tuple(
        _live_set(recorded, body, seen, claims, left.get(str(body["metadata"]["name"]), ()))
        if live
        else _gone_set(recorded, body, left.get(str(body["metadata"]["name"]), ()))
        for body, live in bodies
    )


def _set_of(claim: Json, shapes: Sequence[SetShape]) -> str:
    """The set that made a claim, by its name; the first where none did, as when a template was renamed."""
    name = str(claim["metadata"]["name"])
    made = (s.name for s in shapes if any(claim_ordinal(name, t, s.name) is not None for t in s.templates))
    return next(made, shapes[0].name if shapes else "")


def _gone_set(recorded: Recorded, body: Json, left: Iterable[ClaimReport]) -> SetReport:
    name = str(body["metadata"]["name"])
    down = recorded.status in DOWN
    verdict = Verdict(Status.UNKNOWN if down else Status.FAILED, "Missing", "it is not there")
    return SetReport(name, 0 if down else len(ordinals(body)), 0, 0, verdict, (), tuple(left))


def _live_set(
    recorded: Recorded, body: Json, seen: Snapshot, claims: Sequence[Json], left: Iterable[ClaimReport]
) -> SetReport:
    name, status = str(body["metadata"]["name"]), body.get("status") or {}
    pods = seen.pods.get(str(dig(body, "metadata", "uid", default="")), ())
    owned = owned_pods(body, pods)
    by_name = {str(claim["metadata"]["name"]): claim for claim in claims}
    scene = seen.evidence.get(recorded.namespace, Scene())
    causes = diagnose(body, replace(scene, pods=pods, claims=by_name, now=seen.now))
    wanted = ordinals(body)
    rows: list[OrdinalReport] = []
    for ordinal in sorted({*wanted, *owned}):
        pod = owned.get(ordinal)
        roles = seen.roles.get((recorded.namespace, pod_name(name, ordinal)), ())
        cause = _aged(causes.get(ordinal), pod, seen.now) or next(
            (_of_role(ordinal, name, role) for role in roles if role.failed), None
        )
        rows.append(_ordinal(recorded, body, ordinal, pod, by_name, seen, cause, roles))
    in_use = {claim for pod in pods for claim in _used(pod)}
    return SetReport(
        name,
        len(wanted),
        int(status.get("readyReplicas", 0)),
        int(status.get("updatedReplicas", 0)),
        _weighed(judge(body, pods), [row.cause for row in rows if row.cause and not row.condemned]),
        tuple(rows),
        tuple(claim for claim in left if claim.name not in in_use),
    )


def _weighed(verdict: Verdict, causes: Sequence[Cause]) -> Verdict:
    """The verdict with what is known of the ordinals: what waiting does not heal is not in progress."""
    weights = [cause.weight for cause in causes]
    for weight, status in ((Weight.TERMINAL, Status.FAILED), (Weight.SUSPECT, Status.STUCK)):
        if weight in weights:
            cause = causes[weights.index(weight)]
            message = cause.reason if verdict.current else f"{verdict.message} ({cause.reason})"
            return Verdict(status, cause.reason, message, cause.hint)
    return verdict


def _aged(cause: Cause | None, pod: Json | None, now: datetime) -> Cause | None:
    """The cause as it weighs in a single look, which has not seen for how long it lasts: a pod's times tell."""
    if cause is None or pod is None:
        return cause
    since = dig(pod, "metadata", "creationTimestamp")
    if cause.reason == "NotReady":
        conditions = dig(pod, "status", "conditions", default=[]) or []
        since = next((c.get("lastTransitionTime") for c in conditions if c["type"] == "Ready"), None) or since
    if since is None:
        return cause
    age = now - datetime.fromisoformat(since)
    if cause.reason == "Provisioning" and age < _NEW:
        return replace(cause, weight=Weight.TRANSIENT, hint="")
    return replace(cause, weight=Weight.SUSPECT) if cause.reason == "NotReady" and age > _LATE else cause


def _of_role(ordinal: int, name: str, role: Role) -> Cause:
    """A pod that is ready, and yet not what the profile expects of it: no quorum, no stream."""
    said = f"{pod_name(name, ordinal)} is ready, but operation {role.operation} {role.failed}"
    hint = f"its log, and `invoke operate --operation {role.operation}`, say more"
    return Cause(Weight.SUSPECT, "OperationFailed", said, hint)


def _ordinal(
    recorded: Recorded,
    body: Json,
    ordinal: int,
    pod: Json | None,
    claims: Mapping[str, Json],
    seen: Snapshot,
    cause: Cause | None,
    roles: Sequence[Role],
) -> OrdinalReport:
    set_name = str(body["metadata"]["name"])
    name, service = pod_name(set_name, ordinal), dig(body, "spec", "serviceName", default="")
    node = str(dig(pod, "spec", "nodeName", default=""))
    made = dig(pod, "metadata", "creationTimestamp")
    wanted = [claim_name(template, set_name, ordinal) for template in _templates(body)]
    return OrdinalReport(
        ordinal=ordinal,
        pod=name,
        phase=_phase(pod),
        ready=pod is not None and pod_ready(pod),
        revision=_revision(body, pod),
        node=node,
        zone=str(dig(seen.nodes.get(node), "metadata", "labels", ZONE_LABEL, default="")),
        claims=tuple(_claim(claims[claim]) for claim in wanted if claim in claims),
        restarts=sum(int(c.get("restartCount", 0)) for c in dig(pod, "status", "containerStatuses", default=[]) or []),
        age_seconds=max(0, int((seen.now - datetime.fromisoformat(made)).total_seconds())) if made else None,
        role=next((role.text for role in roles if role.text and not role.failed), None),
        dns=f"{name}.{service}.{recorded.namespace}.svc.{recorded.domain}" if service else "",
        cause=cause,
        condemned=ordinal not in ordinals(body),
    )


def _phase(pod: Json | None) -> str:
    if pod is None:
        return "Absent"
    return "Terminating" if dig(pod, "metadata", "deletionTimestamp") else str(dig(pod, "status", "phase", default=""))


def _revision(body: Json, pod: Json | None) -> str:
    """Which of the set's revisions a pod is of; the current one where both are the same."""
    made = pod_revision(pod) if pod else ""
    for name in ("current", "update"):
        if made and made == dig(body, "status", f"{name}Revision"):
            return name
    return "other"


def _claim(claim: Json) -> ClaimReport:
    size = dig(claim, "status", "capacity", "storage") or dig(claim, "spec", "resources", "requests", "storage")
    phase = dig(claim, "status", "phase", default="Pending")
    return ClaimReport(
        str(claim["metadata"]["name"]),
        str(size or ""),
        str(dig(claim, "spec", "storageClassName", default="")),
        str(dig(claim, "spec", "volumeName", default="")),
        "Terminating" if dig(claim, "metadata", "deletionTimestamp") else str(phase),
    )


def _used(pod: Json) -> list[str]:
    volumes = dig(pod, "spec", "volumes", default=[]) or []
    return [str(dig(volume, "persistentVolumeClaim", "claimName", default="")) for volume in volumes]


def _budgets(recorded: Recorded, seen: Snapshot) -> Iterable[BudgetReport]:
    """The budgets that cover pods of the release's sets, whoever made them."""
    labels = [
        dig(manifest, "spec", "template", "metadata", "labels", default={})
        for manifest in recorded.manifests
        if manifest.get("kind") == "StatefulSet"
    ]
    for body in seen.budgets:
        if dig(body, "metadata", "namespace") != recorded.namespace:
            continue
        if any(selects(dig(body, "spec", "selector"), one) for one in labels):
            status = body.get("status") or {}
            yield BudgetReport(
                str(body["metadata"]["name"]),
                int(status.get("disruptionsAllowed", 0)),
                int(status.get("currentHealthy", 0)),
                int(status.get("desiredHealthy", 0)),
                int(status.get("expectedPods", 0)),
            )


def selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of a budget meets labels: an empty one meets all, an absent one none."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for rule in selector.get("matchExpressions") or []:
        has, values = rule["key"] in labels, rule.get("values") or []
        met = {
            "Exists": has,
            "DoesNotExist": not has,
            "In": has and labels.get(rule["key"]) in values,
            "NotIn": labels.get(rule["key"]) not in values,
        }
        if not met.get(rule["operator"], False):
            return False
    return True


def by_controller(pods: Iterable[Json]) -> dict[str, list[Json]]:
    """Pods by the uid of what controls them."""
    found: dict[str, list[Json]] = {}
    for pod in pods:
        owner = controller_of(pod)
        if owner is not None:
            found.setdefault(str(owner.get("uid", "")), []).append(pod)
    return found


def _templates(body: Json) -> list[str]:
    return [str(template["metadata"]["name"]) for template in body["spec"].get("volumeClaimTemplates") or []]
