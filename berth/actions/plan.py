"""`plan`: what `up` would do with a release, read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Concatenate, Literal, ParamSpec, TypeAlias

from berth.actions.scaling import Stage, check_stages, claim_notes, claim_problems, find_stages
from berth.actions.survey import Survey, autoscaled_sets, check_permissions, dry_run, surroundings, survey
from berth.cluster.copies import filled
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord, Rollout
from berth.cluster.runner import raise_all
from berth.core.diff import change_lines
from berth.core.errors import BerthError, LockedError, PreflightError, Problem
from berth.core.explain import hide
from berth.core.masking import hidden_texts, masked
from berth.core.objects import Json, Manifest, ObjectRef, dig
from berth.core.order import phases
from berth.core.plan import (
    Action,
    Known,
    Plan,
    check_immutable,
    foreign,
    foreign_differences,
    leave_replicas,
    make_plan,
)
from berth.core.preflight import preflight
from berth.core.render import Release
from berth.core.resize import find_growths
from berth.core.rollout import on_delete, version_problems, ways, with_partition
from berth.core.scaling import Wishes, step_lines

_P = ParamSpec("_P")

#: What becomes of a rollout that has not come to its end: it stands against the run, goes on, or ends with it.
During: TypeAlias = Literal["refuse", "go on", "end"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made from, and what the user should be told.

    ``stages`` are there where the release gets to its number of pods step by step, each with a plan of its own then;
    ``discard`` names the claims that are deleted first; ``notes`` say which claims new pods take again.
    """

    release: Release
    plan: Plan
    survey: Survey
    warnings: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    discard: tuple[str, ...] = ()
    others: tuple[Release, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing would be written, not even the record: the last run finished, and nothing changed since."""
        record = self.survey.record
        return self.plan.empty and not self.joins and record is not None and record.status == "deployed"

    @property
    def joins(self) -> str:
        """Says that a release that is there comes to the site, which may prune it from then on; or ""."""
        record, site = self.survey.record, self.release.site
        if record is None or site in ("", record.site):
            return ""
        before = f"site {record.site}" if record.site else "no site"
        return f"release {self.release.name} comes to site {site}; so far it belongs to {before}"


def _without_secrets(
    plan: Callable[Concatenate[Kube, Release, _P], Planned],
) -> Callable[Concatenate[Kube, Release, _P], Planned]:
    """Let no error carry a secret value: rules and API servers quote what they refuse."""

    def planned(kube: Kube, release: Release, /, *args: _P.args, **kwargs: _P.kwargs) -> Planned:
        try:
            return plan(kube, release, *args, **kwargs)
        except BerthError as error:
            raise type(error)([hide(problem, release.values) for problem in error.problems]) from error

    return planned


@_without_secrets
def plan_release(
    kube: Kube,
    release: Release,
    *,
    force: bool = False,
    resize: bool = False,
    others: Sequence[Release] = (),
    wishes: Wishes | None = None,
    in_stages: bool = True,
    rollout: During = "refuse",
) -> Planned:
    """Look, check, dry-run and compare; nothing is written.

    ``resize`` lets claims grow; ``others`` come up in the same run, and may be referred to. Where the profile scales
    step by step, the first step is planned as well; ``in_stages`` is False for a release that is such a step itself.
    ``rollout`` says what becomes of one that has not come to its end.

    An unchanged release costs a few reads: what was checked when it was applied is not checked again, neither by lint
    nor by a dry run. See ``Survey.unchanged``.

    Raises:
        LintError: the manifests contradict one another.
        PreflightError: the cluster cannot take the release as it is; every reason at once. A Secret that a value is
            copied from is looked for before that.
        DeniedError: permissions are missing; each is named.
        ImmutableError: a field cannot be changed in place.
        ClusterError: the API server refuses a manifest.
    """
    release = replace(release, manifests=filled(kube, release.manifests))
    seen = survey(kube, release)
    if seen.record and not force:
        _require_site(release, seen.record)
    if seen.record and rollout == "refuse":
        require_no_rollout(seen.record)
    if seen.record and seen.record.rollout and rollout == "end":
        release = replace(release, manifests=tuple(_freed(one, seen.record.rollout) for one in release.manifests))
    versions = version_problems(release.profile, release.manifests, seen.live, _proved(seen.record))
    if versions:
        raise PreflightError(versions)
    rendered, wishes = release.manifests, wishes or Wishes()
    autoscaled = autoscaled_sets(kube, release.namespace, seen.live)
    mark = seen.record.scaling if seen.record else None
    stages = find_stages(release, seen.live, mark, autoscaled, wishes) if in_stages else ()
    check_stages(kube, stages)
    if len(stages) > 1:
        first = stages[0].release
        plan_release(
            kube, first, force=force, resize=resize, others=others, wishes=wishes, in_stages=False, rollout=rollout
        )
    release = replace(release, manifests=leave_replicas(rendered, autoscaled))
    ordered = phases(release.manifests)
    own = [manifest for manifest in release.manifests if not foreign(manifest, seen.live.get(manifest.ref))]
    due = [manifest for manifest in own if manifest.ref not in seen.unchanged]
    removed = [ref for ref in seen.inventory if ref not in {m.ref for m in release.manifests} and ref in seen.live]
    known = Known(seen.live, {}, seen.unchanged, seen.inventory, seen.adopted)
    if not due and not removed:
        return Planned(release, make_plan(release.name, release.namespace, ordered, known), seen, stages=stages)
    from berth.core.lint import require_sound_release  # Here, since most runs change nothing and need none of it.

    sound = replace(release, manifests=rendered)
    require_sound_release(sound, [manifest for other in others for manifest in other.manifests])
    around = surroundings(kube, release.namespace, seen.live)
    if around.classes is not None:
        around = replace(around, classes=[*around.classes, *_new_classes(others, around.classes)])
    missing = around.namespace is None
    growths, hindrances = find_growths(own if resize else [], seen.live, around.claims or (), around.classes or ())
    check_permissions(kube, release, [*removed, *growths], missing)
    findings = preflight(release.name, rendered, around)
    unfit = claim_problems(own, seen.live, around.claims or (), wishes) if in_stages else []
    if findings.problems or hindrances or unfit:
        raise PreflightError([*findings.problems, *hindrances, *unfit])
    check_immutable(
        [manifest for manifest in own if manifest.ref not in growths],
        seen.live,
        f"invoke teardown --name {release.name} --namespace {release.namespace}",
    )
    elsewhere = {ref: release.namespace for ref in growths}
    if missing:
        elsewhere = {manifest.ref: "default" for manifest in due if manifest.ref.namespace}
    tried = dry_run(kube, due, force=force, elsewhere=elsewhere)
    secrets = tuple(_secret_texts(release, seen))
    known = replace(known, dry_run=tried, namespace_missing=missing, secrets=secrets, growths=growths)
    plan = make_plan(release.name, release.namespace, ordered, known)
    warnings = (*findings.warnings, *foreign_differences(release.manifests, seen.live))
    notes = tuple(claim_notes(kube, own, seen.live, around.claims or (), wishes)) if in_stages else ()
    told = tuple(dict.fromkeys(hide(Problem(warning), release.values).what for warning in warnings))
    return Planned(release, plan, seen, told, stages, wishes.discard, tuple(others), notes)


def _require_site(release: Release, record: ReleaseRecord) -> None:
    """Leave the releases of another site alone: its next run would take everything back, or prune would."""
    if release.site and record.site not in ("", release.site):
        raise PreflightError(
            f"release {release.name} in {release.namespace} belongs to site {record.site}",
            why=f"this is site {release.site}",
            hint="give one of them another name or namespace; --force-conflicts takes it over",
        )


def _secret_texts(release: Release, seen: Survey) -> Iterator[str]:
    """What no plan may show: secret values, what manifests make of them, and what they made of earlier ones."""
    yield from release.values.secret_texts()
    if release.values.secret_paths:
        for manifest in release.manifests:
            yield from hidden_texts(masked(manifest, release.values.secret_paths), manifest.body)
    for body in seen.record.manifests if seen.record else ():
        yield from hidden_texts(body, seen.live.get(ObjectRef.of(body)))


def _new_classes(others: Sequence[Release], known: Sequence[Json]) -> list[Json]:
    """The StorageClasses that releases of the same run bring."""
    names = {body["metadata"]["name"] for body in known}
    found = {m.ref.name: m.body for other in others for m in other.manifests if m.ref.kind == "StorageClass"}
    return [body for name, body in found.items() if name not in names]


def _freed(manifest: Manifest, rollout: Rollout) -> Manifest:
    """A manifest that does away with the partition of a canary; one that does not speak of any would leave it."""
    if manifest.ref.kind != "StatefulSet" or manifest.ref.name != rollout.set_name or on_delete(manifest.body):
        return manifest
    own = dig(manifest.body, "spec", "updateStrategy", "rollingUpdate", "partition")
    return manifest if own is not None else with_partition(manifest, rollout.partition)


def _proved(record: ReleaseRecord | None) -> dict[ObjectRef, Json]:
    """The objects as the last run that came to its end made them."""
    runs = record.history if record else ()
    last = next((revision.manifests for revision in reversed(runs) if revision.manifests), ())
    return {ObjectRef.of(body): body for body in last}


def require_no_rollout(record: ReleaseRecord) -> None:
    """Refuse to change a release in the middle of a rollout.

    Raises:
        LockedError: one is under way, or held.
    """
    if record.rollout is not None:
        held = record.rollout.held
        raise LockedError(
            f"a rollout of release {record.name} in {record.namespace} has not come to its end",
            why=f"it is held: {held}" if held else "it is under way, or was stopped",
            hint=ways(record.name, record.namespace),
        )


def plan_all(
    kube: Kube,
    releases: Sequence[Release],
    *,
    force: bool = False,
    resize: bool = False,
    wishes: Wishes | None = None,
    rollout: During = "refuse",
    before: Sequence[Release] = (),
) -> list[Planned]:
    """The plans of several releases; the problems of all are told at once. Those of ``before`` are there already.

    Raises:
        BerthError: as `plan_release` does, of the class of the first problem.
    """
    plans: list[Planned] = []
    errors: list[BerthError] = []
    for release in releases:
        try:
            others = [*before, *(other for other in releases if other is not release)]
            planned = plan_release(
                kube, release, force=force, resize=resize, others=others, wishes=wishes, rollout=rollout
            )
            plans.append(planned)
        except BerthError as error:
            errors.append(error)
    raise_all(errors)
    return plans


_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.UNCHANGED: " ", Action.DELETE: "-", Action.KEEP: "="}


def plan_lines(planned: Planned) -> list[str]:
    """The plan for people: objects in apply order, changed fields below each, counts last."""
    plan = planned.plan
    shown = [f"release {plan.release} in {plan.namespace} (profile {planned.release.profile.name})"]
    shown += [f"warning: {warning}" for warning in planned.warnings]
    shown += [f"  {note}" for note in planned.notes]
    if planned.stages:
        shown += [f"  {line}" for line in step_lines(planned.stages[0].ref.name, [s.step for s in planned.stages])]
    if plan.namespace_missing:
        shown.append(f"  + Namespace/{plan.namespace}")
    for step in plan.steps:
        why = f"  ({step.why})" if step.why else ""
        shown.append(f"  {_SIGNS[step.action]} {step.ref.kind}/{step.ref.name}{why}")
        for one in step.growth.claims if step.growth else ():
            shown.append(f"      claim {one.claim}: {one.old} -> {one.new}")
        for change in step.changes:
            shown += [f"      {line}" for line in change_lines(change, 200)]
    counts = [f"{plan.count(action)} to {action}" for action in (Action.CREATE, Action.UPDATE, Action.DELETE)]
    shown.append(f"plan: {', '.join(counts)}, {plan.count(Action.UNCHANGED)} unchanged")
    return shown


def plan_json(planned: Planned) -> dict[str, object]:
    """The plan for machines."""
    plan = planned.plan
    return {
        "release": plan.release,
        "namespace": plan.namespace,
        "profile": planned.release.profile.name,
        "namespaceMissing": plan.namespace_missing,
        "warnings": list(planned.warnings),
        "notes": list(planned.notes),
        "scaling": [_stage_json(stage) for stage in planned.stages],
        "steps": [
            {
                "action": step.action.value,
                "group": step.ref.group,
                "kind": step.ref.kind,
                "namespace": step.ref.namespace,
                "name": step.ref.name,
                "why": step.why,
                "claims": [asdict(one) for one in step.growth.claims] if step.growth else [],
                "changes": [{"path": c.path, "old": c.old, "new": c.new} for c in step.changes],
            }
            for step in plan.steps
        ],
    }


def _stage_json(stage: Stage) -> dict[str, object]:
    step = stage.step
    return {
        "set": stage.ref.name,
        "from": step.origin,
        "to": step.replicas,
        "between": dict(step.between),
        "before": step.before.name if step.before else None,
        "after": step.after.name if step.after else None,
    }
