"""`plan`: what `up` would do with a release, read-only."""

from __future__ import annotations

from dataclasses import dataclass, replace

from berth.actions.survey import Survey, check_permissions, dry_run, surroundings, survey
from berth.cluster.kube import Kube
from berth.core.errors import PreflightError
from berth.core.lint import require_sound_release
from berth.core.order import phases
from berth.core.plan import Action, Known, Plan, check_immutable, leave_replicas_to_autoscaler, make_plan
from berth.core.preflight import preflight
from berth.core.render import Release


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made from, and what the user should be told."""

    release: Release
    plan: Plan
    survey: Survey
    warnings: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing would be written, not even the record: the last run finished, and nothing changed since."""
        return self.plan.empty and self.survey.record is not None and self.survey.record.status == "deployed"


def plan_release(kube: Kube, release: Release, *, force: bool = False) -> Planned:
    """Look, check, dry-run and compare; nothing is written.

    An unchanged release costs a few reads and no dry run: see ``Survey.unchanged``.

    Raises:
        LintError: the manifests contradict one another.
        PreflightError: the cluster cannot take the release as it is; every reason at once.
        DeniedError: permissions are missing; each is named.
        ImmutableError: a field cannot be changed in place.
        ClusterError: the API server refuses a manifest.
    """
    require_sound_release(release)
    seen = survey(kube, release)
    release = replace(release, manifests=leave_replicas_to_autoscaler(release.manifests, seen.live))
    ordered = phases(release.manifests)
    removed = [ref for ref in seen.inventory if ref not in {m.ref for m in release.manifests} and ref in seen.live]
    if len(seen.unchanged) == len(release.manifests) and not removed:
        known = Known(seen.live, {}, seen.unchanged, seen.inventory, seen.adopted)
        return Planned(release, make_plan(release.name, release.namespace, ordered, known), seen)
    around = surroundings(kube, release.namespace, seen.live)
    missing = around.namespace is None
    check_permissions(kube, release, removed, missing)
    findings = preflight(release.name, release.manifests, around)
    if findings.problems:
        raise PreflightError(findings.problems)
    command = f"invoke up --profile {release.profile.name}"
    if release.name != release.profile.name:
        command += f" --name {release.name}"
    check_immutable(release.manifests, seen.live, command)
    due = [manifest for manifest in release.manifests if manifest.ref not in seen.unchanged]
    tried = dry_run(kube, due, force=force, namespace_missing=missing)
    known = Known(seen.live, tried, seen.unchanged, seen.inventory, seen.adopted, missing)
    plan = make_plan(release.name, release.namespace, ordered, known)
    return Planned(release, plan, seen, tuple(dict.fromkeys(findings.warnings)))


_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.UNCHANGED: " ", Action.DELETE: "-", Action.KEEP: "="}


def plan_lines(planned: Planned) -> list[str]:
    """The plan for people: objects in apply order, changed fields below each, counts last."""
    plan = planned.plan
    shown = [f"release {plan.release} in {plan.namespace} (profile {planned.release.profile.name})"]
    shown += [f"warning: {warning}" for warning in planned.warnings]
    if plan.namespace_missing:
        shown.append(f"  + Namespace/{plan.namespace}")
    for step in plan.steps:
        why = f"  ({step.why})" if step.why else ""
        shown.append(f"  {_SIGNS[step.action]} {step.ref.kind}/{step.ref.name}{why}")
        for change in step.changes:
            shown.append(f"      {change.path}: {_value(change.old)} -> {_value(change.new)}")
    counts = [f"{plan.count(action)} to {action}" for action in (Action.CREATE, Action.UPDATE, Action.DELETE)]
    shown.append(f"plan: {', '.join(counts)}, {plan.count(Action.UNCHANGED)} unchanged")
    return shown


def _value(value: object) -> str:
    text = value if isinstance(value, str) and value.startswith("(") else repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def plan_json(planned: Planned) -> dict[str, object]:
    """The plan for machines."""
    plan = planned.plan
    return {
        "release": plan.release,
        "namespace": plan.namespace,
        "profile": planned.release.profile.name,
        "namespaceMissing": plan.namespace_missing,
        "warnings": list(planned.warnings),
        "steps": [
            {
                "action": step.action.value,
                "group": step.ref.group,
                "kind": step.ref.kind,
                "namespace": step.ref.namespace,
                "name": step.ref.name,
                "why": step.why,
                "changes": [{"path": c.path, "old": c.old, "new": c.new} for c in step.changes],
            }
            for step in plan.steps
        ],
    }
