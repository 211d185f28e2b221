"""`rollout`, its promotion and its undoing, and `rollback`: other pods for a release, ordinal by ordinal."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.plan import Planned, plan_release
from berth.actions.restore import as_recorded, at_revision, require_up, target_of
from berth.actions.rolling import Course, Roll
from berth.actions.survey import Survey, survey
from berth.actions.trap import may_unstick
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord, Rollout
from berth.cluster.release import find_release
from berth.core.drift import drift
from berth.core.errors import BerthError, FailedError, InputError, PreflightError, Problem, TimedOutError
from berth.core.events import Event, Notice
from berth.core.objects import ObjectRef, ordinals
from berth.core.plan import Known, Plan, Step, make_plan
from berth.core.readiness import judge
from berth.core.render import Release
from berth.core.rollout import PAUSED, count_problem, old_ordinals, on_delete, partition_of, ways
from berth.library import Library


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user wants of a rollout: a canary of so many ordinals, a pause after it, a way back by itself.

    ``soak`` is in seconds.
    """

    canary: int | None = None
    pause: bool = False
    soak: float = 0.0
    auto_undo: bool = False


def rollout(
    kube: Kube,
    library: Library,
    record: ReleaseRecord,
    release: Release,
    wanted: Wanted,
    options: Options,
    clock: Clock,
) -> Generator[Event, None, None]:
    """Take a release to other pods; a rollout that was stopped goes on where it stands.

    Raises:
        LockedError: another rollout of the release has not come to its end, or another run holds it.
        PreflightError: the release is not whole, so that a canary would tell nothing.
        InputError: the canary has more ordinals than the set; the number of pods would change; with ``auto_undo``,
            there is nothing to go back to.
        FailedError, TimedOutError: an ordinal did not hold; no other one was touched since, or all went back.
        BerthError: see `plan_release`.
    """
    require_up(record)
    same = _goes_on(record, release)
    if same and record.rollout is not None and record.rollout.held == PAUSED:
        yield Notice(f"this rollout is paused already: {ways(record.name, record.namespace)}")
        return
    course = Course(wanted.canary or 1, 0 if wanted.pause else None, wanted.soak)
    planned, ref = plan_rollout(kube, record, release, options.force_conflicts)
    if planned.settled:
        yield Notice(f"release {record.name} is like that already; nothing to do")
        return
    if same and ref is None:
        roll, events = _going_on(kube, library, record, course, options, clock)
    else:
        mark = None if ref is None else _mark(planned, ref, record, wanted)
        if mark is not None and wanted.auto_undo:
            # What speaks against it must be said now, and not once the canary has failed.
            at_revision(kube, library, record, next(one for one in record.history if one.revision == mark.origin))
        unstick = False
        if ref is not None and not same and not judge(planned.survey.live[ref]).current:
            unstick = _past_the_trap(kube, planned, ref, options)
            yield Notice(f"{ref} is not whole, so that a canary would tell nothing: all its ordinals go", "warning")
            course, mark = Course(None, None, wanted.soak), None
        roll = Roll(kube, planned.release, course, options, clock, action="rollout", unstick=unstick)
        events = roll.begin(planned, ref, mark)
    try:
        yield from events
    except (FailedError, TimedOutError) as error:
        if not (wanted.auto_undo and roll.held):
            raise
        yield Notice("it goes back by itself, as you said", "warning")
        now, first = find_release(kube, record.namespace, record.name, None), replace(error.problems[0], hint="")
        try:
            yield from go_back(kube, library, now, None, replace(options, unstick=True), clock, "undo")
        except BerthError as second:
            raise type(second)([first, *second.problems]) from error
        raise type(error)([first, Problem(f"release {record.name} went back to what it was before")]) from error


def plan_rollout(kube: Kube, record: ReleaseRecord, release: Release, force: bool) -> tuple[Planned, ObjectRef | None]:
    """What a rollout would change, and the set whose pods it changes, None for none; nothing is written.

    Raises:
        LockedError: another rollout of the release has not come to its end.
        InputError: the number of pods would change, or pods of several sets.
        BerthError: see `plan_release`.
    """
    planned = plan_release(kube, release, force=force, rollout="go on" if _goes_on(record, release) else "refuse")
    _require_same_number(planned)
    return planned, _changing(planned)


def promote(
    kube: Kube, library: Library, record: ReleaseRecord, by: int | None, soak: float, options: Options, clock: Clock
) -> Generator[Event, None, None]:
    """Let the next ordinals of a rollout that stands still go: ``by`` so many, None for all.

    Raises:
        InputError: none is under way, or it has not so many ordinals left.
        FailedError, TimedOutError: an ordinal did not hold; no other one was touched since.
    """
    require_up(record)
    course = Course(None, by, soak)
    _, events = _going_on(kube, library, record, course, options, clock)
    yield from events


def go_back(
    kube: Kube,
    library: Library,
    record: ReleaseRecord,
    to: int | None,
    options: Options,
    clock: Clock,
    word: str = "rollback",
) -> Generator[Event, None, None]:
    """Bring a release to what one of its revisions was, None for the last that came to its end.

    Only ordinals that differ are replaced, at Kubernetes' own pace; under OnDelete one after the other.

    Raises:
        InputError: there is no such revision, or it cannot be gone back to.
        BerthError: see `plan_release`; FailedError, TimedOutError: an ordinal did not get there.
    """
    require_up(record)
    revision = target_of(record, to)
    release = at_revision(kube, library, record, revision)
    yield Notice(f"going back to revision {revision.revision} of {record.name}, of {revision.time:%Y-%m-%d %H:%M} UTC")
    planned = plan_release(kube, release, force=options.force_conflicts, rollout="end")
    if planned.settled and record.rollout is None:
        yield Notice(f"release {record.name} is like that already; nothing to do")
        return
    unstick, said = may_unstick(kube, planned, options)
    yield from said
    action = f"{word} to {revision.revision}"
    roll = Roll(kube, planned.release, Course(None), options, clock, action=action, unstick=unstick)
    yield from roll.begin(planned, _behind(kube, planned), None)


def _going_on(
    kube: Kube,
    library: Library,
    record: ReleaseRecord,
    course: Course,
    options: Options,
    clock: Clock,
) -> tuple[Roll, Generator[Event, None, None]]:
    """A rollout that stands still, ready to go on."""
    if record.rollout is None:
        raise InputError(f"no rollout of release {record.name} is under way", hint="`invoke rollout ...` begins one")
    release = as_recorded(library, record)
    seen, ref = survey(kube, release), _set_of(record)
    live = seen.live.get(ref)
    if live is None or seen.record is None:
        raise FailedError(f"{ref} was deleted by somebody", hint=f"`invoke rollout.undo --name {record.name}`")
    recorded = next(body for body in record.manifests if ObjectRef.of(body) == ref)
    if any(one.path.startswith("spec.template") for one in drift(recorded, live, record.updated)):
        raise FailedError(
            f"{ref} is not what the rollout made of it",
            why="the rollout was stopped before it came to the set, or somebody has changed the set since",
            hint="run the same `invoke rollout` again, or `invoke rollout.undo`; `invoke drift` shows the fields",
        )
    if course.more:
        pods = kube.list("", "Pod", ref.namespace).items
        left = len(old_ordinals(live, pods)) if on_delete(live) else partition_of(live) - record.rollout.partition
        problem = count_problem("--by", course.more, left, str(ref))
        if problem:
            raise InputError([problem])
    roll = Roll(kube, release, course, options, clock, action="rollout", unstick=options.unstick)
    return roll, roll.go_on(seen.record, live, _rest(release, seen, ref))


def _rest(release: Release, seen: Survey, ref: ObjectRef) -> Plan:
    """What is left to plan for a rollout whose manifests are applied: its set, and what is no longer rendered."""
    known = Known(seen.live, {}, frozenset(seen.live), seen.inventory, seen.adopted)
    whole = make_plan(release.name, release.namespace, [release.manifests], known)
    return replace(whole, phases=(tuple(step for step in whole.phases[0] if step.ref == ref),))


def _mark(planned: Planned, ref: ObjectRef, record: ReleaseRecord, wanted: Wanted) -> Rollout:
    """What the record says of a rollout that begins."""
    live, manifest = planned.survey.live[ref], next(m for m in planned.release.manifests if m.ref == ref)
    origin = record.revision if record.status == "deployed" else 0
    if record.rollout is not None:
        origin = record.rollout.origin
    final = partition_of(manifest.body)
    if wanted.canary is not None:
        problem = count_problem("--canary", wanted.canary, len(ordinals(live)) - final, str(ref))
        if problem:
            raise InputError([problem])
    if wanted.auto_undo and not any(one.revision == origin and one.manifests for one in record.history):
        raise InputError(f"release {record.name} has no revision to go back to", hint="leave --auto-undo out")
    return Rollout(ref.name, origin, final)


def _past_the_trap(kube: Kube, planned: Planned, ref: ObjectRef, options: Options) -> bool:
    """That pods which block their own fix may be deleted, which a rollout needs where its set is not whole."""
    if may_unstick(kube, planned, options)[0]:
        return True
    verdict = judge(planned.survey.live[ref])
    raise PreflightError(
        f"{ref} is not whole: {verdict.message}",
        why="a rollout goes ordinal by ordinal, and would stop at the first",
        hint="`invoke diagnose` says what is wrong; where this is its fix, --unstick deletes the pods that block it",
    )


def _changing(planned: Planned) -> ObjectRef | None:
    """The set whose pods change; None where none do."""
    found = [step.ref for step in planned.plan.steps if _changes_pods(step) and step.ref in planned.survey.live]
    if len(found) > 1:
        names = ", ".join(ref.name for ref in found)
        raise InputError(
            f"this changes the pods of several sets: {names}", hint="`invoke up` rolls them, each at its own pace"
        )
    return found[0] if found else None


def _behind(kube: Kube, planned: Planned) -> ObjectRef | None:
    """The set whose pods somebody has to replace, or whose pods change; None where there is none."""
    changing: ObjectRef | None = None
    for step in planned.plan.steps:
        live = planned.survey.live.get(step.ref)
        if step.ref.kind != "StatefulSet" or step.manifest is None or live is None:
            continue
        if on_delete(live) and (
            _changes_pods(step) or old_ordinals(live, kube.list("", "Pod", step.ref.namespace).items)
        ):
            return step.ref
        changing = step.ref if _changes_pods(step) else changing
    return changing


def _changes_pods(step: Step) -> bool:
    template = any(change.path.startswith("spec.template") for change in step.changes)
    return step.ref.kind == "StatefulSet" and step.manifest is not None and template


def _goes_on(record: ReleaseRecord, release: Release) -> bool:
    """Whether the release is what the rollout under way leads to."""
    return record.rollout is not None and release.values.masked() == record.values


def _require_same_number(planned: Planned) -> None:
    """Refuse to let pods come and go on the way: that asks operations of the profile, which a rollout does not run."""
    for step in planned.plan.steps:
        if step.ref.kind == "StatefulSet" and step.ref in planned.survey.live:
            if planned.stages or any(change.path == "spec.replicas" for change in step.changes):
                raise InputError(
                    f"this changes the number of pods of {step.ref}, and a rollout does not",
                    hint=f"`invoke scale --name {planned.release.name} --replicas N` first, then the rollout",
                )


def _set_of(record: ReleaseRecord) -> ObjectRef:
    """The set that the record's rollout is about."""
    assert record.rollout is not None
    return ObjectRef("apps", "StatefulSet", record.namespace, record.rollout.set_name)
