"""`up`: from manifests to pods that are ready.

The phases: plan (all checks, no writes) -> namespace -> lock -> record -> apply and wait, phase by phase -> removals
-> record. A run that was stopped anywhere is taken up by running it again.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from berth import __version__
from berth.actions import scaling
from berth.actions.gate import gate
from berth.actions.plan import Planned, plan_all, plan_release
from berth.actions.resize import make_room
from berth.actions.scaling import Stage
from berth.actions.survey import Survey
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.release import Entry, ReleaseRecord, Revision, live_digest, save
from berth.cluster.removal import Removal
from berth.cluster.runner import Runner
from berth.cluster.waiting import Patience, Waiting
from berth.core.diff import manifest_hash
from berth.core.errors import BerthError, InterruptedRunError
from berth.core.events import Event, Notice, OperationDone, PhaseStarted, ReleaseDone, ReleaseStarted, StepDone
from berth.core.masking import masked
from berth.core.objects import MANAGED_BY_LABEL, PART_OF_LABEL, Json, ObjectRef, applyset_id
from berth.core.plan import Action, Plan, Step
from berth.core.readiness import judge
from berth.core.render import Release
from berth.core.scaling import Wishes


@dataclass(frozen=True, slots=True)
class Options:
    """How `up` goes about it."""

    patience: Patience = field(default_factory=Patience)
    force_conflicts: bool = False
    resize: bool = False
    scaling: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, passed in: seconds that never jump, and the wall clock, None for the cluster's own.

    Objects carry times of the cluster's clock, which this machine's may differ from by any amount.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] | None = None

    def now(self, kube: Kube) -> datetime:
        """What the wall clock says."""
        return self.wall() if self.wall is not None else kube.server_time()


def up(kube: Kube, releases: Sequence[Release], options: Options, clock: Clock) -> Generator[Event, None, None]:
    """Bring releases, one after the other, to what their manifests say, yielding what happens.

    All are planned before the first is touched. The first that fails stops the run: those after it may need it.

    Raises:
        BerthError: before anything was written (see `plan_release`), or when the cluster does not get there.
    """
    plans = plan_all(kube, releases, force=options.force_conflicts, resize=options.resize, wishes=options.scaling)
    for number, planned in enumerate(plans):
        try:
            yield from _up_one(kube, planned, options, clock)
        except (BerthError, KeyboardInterrupt):
            rest = ", ".join(later.release.name for later in plans[number + 1 :])
            if rest:
                yield Notice(f"not begun: {rest}", "warning")
            raise


def _up_one(kube: Kube, planned: Planned, options: Options, clock: Clock) -> Iterator[Event]:
    started, release = clock.monotonic(), planned.release
    yield ReleaseStarted(release.name, release.namespace, release.profile.name, release.environment)
    yield from (Notice(warning, "warning") for warning in planned.warnings)
    yield from map(Notice, planned.notes)
    run = _Run(kube, planned, options, clock)
    try:
        yield from run.unchanged() if planned.settled else run.write()
    except (BerthError, KeyboardInterrupt) as error:
        yield run.done(clock.monotonic() - started, error)
        if isinstance(error, KeyboardInterrupt):
            raise InterruptedRunError(
                f"interrupted; {run.stands()}", hint="run the same command again: it goes on from there"
            ) from None
        raise
    yield run.done(clock.monotonic() - started, None)


class _Run:
    """One run of `up` over one release: what was done so far, for the recap and the record."""

    def __init__(self, kube: Kube, planned: Planned, options: Options, clock: Clock) -> None:
        self._kube, self._planned, self._options, self._clock = kube, planned, options, clock
        self._stage: Stage | None = None
        self._look_at(planned)
        self._alive: Callable[[], None] = _always
        self._runner = Runner(kube, lambda: self._alive(), force_conflicts=options.force_conflicts)
        self._waiting = Waiting(
            kube,
            self._release.name,
            self._release.namespace,
            options.patience,
            clock.monotonic,
            lambda: clock.now(kube),
        )
        #: The record as it stands after an earlier step of scaling.
        self._reached: ReleaseRecord | None = None
        self._done: list[StepDone] = []
        self._not_run: list[str] = []

    def _look_at(self, planned: Planned) -> None:
        """From now on this is what is carried out."""
        self._release: Release = planned.release
        self._plan: Plan = planned.plan
        self._survey: Survey = planned.survey

    def unchanged(self) -> Iterator[Event]:
        """Nothing to write: only make sure that what stands is ready."""
        for step in self._plan.steps:
            yield self._note(StepDone(step.ref, "kept" if step.action is Action.KEEP else "unchanged", step.why))
        refs = [manifest.ref for manifest in self._release.manifests]
        if not all(judge(self._survey.live[ref]).current for ref in refs):
            yield from self._wait(refs)

    def write(self) -> Iterator[Event]:
        """Everything that writes."""
        release = self._release
        if self._plan.namespace_missing:
            yield from self._make_namespace()
        with Lock(self._kube, release.namespace, release.name) as lock:
            self._alive = lock.check
            yield from map(self._note_event, self._discard())
            if not self._planned.stages:
                yield from self._write()
            for stage in self._planned.stages:
                yield from self._write_stage(stage)

    def _write_stage(self, stage: Stage) -> Iterator[Event]:
        """One step of scaling, planned by what the cluster holds now; its operations are run around it."""
        yield Notice(str(stage))
        kube, options = self._kube, self._options
        force, resize, others = options.force_conflicts, options.resize, self._planned.others
        try:
            self._look_at(plan_release(kube, stage.release, force=force, resize=resize, others=others, in_stages=False))
            before = scaling.before(kube, stage, self._alive, lambda: self._clock.now(kube))
            yield from map(self._note_event, before)
        except (BerthError, KeyboardInterrupt) as error:
            if self._reached is not None:
                self._give_up(self._reached, error)
            raise
        self._stage = stage
        yield from self._write()

    def _write(self) -> Iterator[Event]:
        plan = self._plan
        record = self._begin()
        try:
            if self._stage is not None:
                yield from self._thin_out(self._stage)
            for number, phase in enumerate(plan.phases, 1):
                kinds = ", ".join(dict.fromkeys(step.ref.kind for step in phase))
                yield PhaseStarted(number, len(plan.phases), kinds)
                yield from map(self._note_event, self._make_room(phase))
                yield from map(self._note_event, self._runner.run(phase))
                yield from self._wait([step.ref for step in phase])
            yield from map(self._note_event, self._gate())
            if plan.removals:
                yield PhaseStarted(len(plan.phases), len(plan.phases), "no longer rendered")
                yield from map(self._note_event, self._runner.run(plan.removals))
            if self._stage is not None:
                yield from map(self._note_event, scaling.after(self._kube, self._stage, self._alive))
        except (BerthError, KeyboardInterrupt) as error:
            self._give_up(self._with_inventory(record), error)
            raise
        record = self._with_inventory(record)
        self._reached = self._pass(record) if self._on_the_way else self._close(record, "deployed")

    def _thin_out(self, stage: Stage) -> Iterator[Event]:
        """Let the pods go that a step takes away, before anything rolls those that stay.

        A set whose pods come and go in parallel would otherwise roll one while another goes: two members at once.
        """
        if stage.step.condemned:
            self._alive()
            self._kube.scale(stage.ref, stage.step.replicas, uid=self._survey.live[stage.ref]["metadata"]["uid"])
            yield from self._waiting.until_current([stage.ref], self._alive)

    def stands(self) -> str:
        """What an interrupted run leaves behind, in words."""
        written = [step for step in self._done if step.action in ("created", "updated", "deleted")]
        if not written:
            return "nothing was changed"
        names = ", ".join(f"{step.ref.kind}/{step.ref.name} {step.action}" for step in written[:8])
        return names + (f" and {len(written) - 8} more" if len(written) > 8 else "")

    def done(self, seconds: float, error: BaseException | None) -> ReleaseDone:
        """The recap, in Ansible's words; what was not reached is skipped."""
        actions = self._actions()
        changed = sum(action in ("created", "updated", "deleted") for action in actions)
        failed = actions.count("failed") or (1 if isinstance(error, BerthError) else 0)
        total = sum(1 for _ in self._plan.steps)
        sets = [m.ref for m in self._release.manifests if m.ref.kind == "StatefulSet"]
        if error is None:
            verdict = "; ".join(f"{ref.name} {self._verdict(ref)}" for ref in sets) or "current"
            verdict += _unasked(list(dict.fromkeys(self._not_run)))
        else:
            verdict = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        return ReleaseDone(
            self._release.name,
            self._release.namespace,
            ok=len(actions) - actions.count("failed"),
            changed=changed,
            failed=failed,
            skipped=max(0, total - len(actions)),
            seconds=seconds,
            verdict=verdict,
            succeeded=error is None,
            pods=self._waiting.rows([ref for ref in sets if self._waiting.seen(ref)]),
        )

    def _actions(self) -> list[str]:
        """What became of each object, be it in several steps of scaling."""
        found: dict[ObjectRef, str] = {}
        for step in self._done:
            if step.action not in ("unchanged", "kept") or step.ref not in found:
                found[step.ref] = step.action
        return list(found.values())

    def _verdict(self, ref: ObjectRef) -> str:
        if self._waiting.seen(ref):
            return f"is {self._waiting.verdict(ref).status}: {self._waiting.verdict(ref).message}"
        verdict = judge(self._survey.live[ref])
        return f"is {verdict.status}: {verdict.message}"

    def _wait(self, refs: list[ObjectRef]) -> Iterator[Event]:
        due = [ref for ref in refs if not judge(self._live(ref)).current or ref.kind == "StatefulSet"]
        if due:
            yield from self._waiting.until_current(due, self._alive)

    def _gate(self) -> Iterator[Event]:
        return gate(self._kube, self._release, self._options.patience, self._clock.monotonic, lambda: self._alive())

    def _make_room(self, phase: Sequence[Step]) -> Iterator[Event]:
        """Grow the claims of sets whose templates grow; their sets are gone then, and applied with the phase."""
        clock, patience = self._clock, self._options.patience
        removal = Removal(self._kube, self._release.namespace, patience, clock.monotonic, self._alive)
        for step in phase:
            if step.growth:
                live = self._survey.live[step.ref]
                yield from make_room(
                    self._kube, step.growth, live, removal, patience.timeout, clock.monotonic, self._alive
                )

    def _discard(self) -> Iterator[Event]:
        """Delete the claims that the user gave up, before a pod can take them."""
        clock, space = self._clock, self._release.namespace
        removal = Removal(self._kube, space, self._options.patience, clock.monotonic, self._alive)
        yield from scaling.discard(self._kube, space, self._planned.discard, removal)

    def _live(self, ref: ObjectRef) -> Json:
        return self._runner.applied.get(ref) or self._survey.live[ref]

    def _make_namespace(self) -> Iterator[Event]:
        name = self._release.namespace
        labels = {MANAGED_BY_LABEL: "berth"}
        ref = ObjectRef("", "Namespace", "", name)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self._kube.apply(body)
        yield self._note(StepDone(ref, "created"))

    def _begin(self) -> ReleaseRecord:
        """Write down what will be owned before any of it exists, so that a killed run leaves nothing unknown."""
        release = self._release
        # Not read again under the lock: saving fails where another run wrote it in the meantime.
        before = self._survey.record
        entries = {entry.ref: entry for entry in (before.inventory if before else ())}
        for step in self._plan.steps:
            known = entries.get(step.ref)
            if step.manifest is not None and (known is None or self._made_anew(known)):
                entries[step.ref] = Entry(step.ref, "", "", "", created=self._ours(step))
        record = ReleaseRecord(
            name=release.name,
            namespace=release.namespace,
            profile=release.profile.name,
            profile_version=release.profile.version,
            environment=release.environment,
            # Of a step of scaling, those that the last one leads to: that is what the user asked for.
            values=self._planned.release.values.masked(),
            status="pending",
            revision=(before.revision if before else 0) + (1 if self._reached is None else 0),
            inventory=tuple(entries.values()),
            history=before.history if before else (),
            manifests=tuple(masked(manifest, release.values.secret_paths) for manifest in release.manifests),
            updated=self._clock.now(self._kube),
            resource_version=before.resource_version if before else "",
            scaling=self._mark(before),
        )
        return save(self._kube, record)

    def _mark(self, before: ReleaseRecord | None) -> tuple[int, int] | None:
        if self._stage is None:
            return before.scaling if before else None
        step = self._stage.step
        return None if step.origin == step.replicas else (step.origin, step.replicas)

    @property
    def _on_the_way(self) -> bool:
        return self._stage is not None and self._stage is not self._planned.stages[-1]

    def _with_inventory(self, record: ReleaseRecord) -> ReleaseRecord:
        """The record, with what is known now of each object."""
        release = self._release
        gone = {step.ref for step in self._done if step.action == "deleted"}
        untouched = {step.ref for step in self._done if step.action == "unchanged"}
        manifests = {manifest.ref: manifest for manifest in release.manifests}
        entries: list[Entry] = []
        for entry in record.inventory:
            if entry.ref in gone:
                continue
            live = self._runner.applied.get(entry.ref) or (
                self._survey.live.get(entry.ref) if entry.ref in untouched else None
            )
            if live is not None and entry.ref in manifests:
                digest = live_digest(live)
                made = manifest_hash(manifests[entry.ref].body)
                entry = replace(entry, uid=live["metadata"]["uid"], manifest_hash=made, live_digest=digest)
            entries.append(entry)
        return replace(record, inventory=tuple(entries))

    def _pass(self, record: ReleaseRecord) -> ReleaseRecord:
        """A step of scaling has ended, and another one follows."""
        return save(self._kube, replace(record, scaling=None, updated=self._clock.now(self._kube)))

    def _give_up(self, record: ReleaseRecord, error: BaseException) -> None:
        with suppress(BerthError):  # What went wrong first is what the user must read.
            self._close(record, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")

    def _close(self, record: ReleaseRecord, status: str) -> ReleaseRecord:
        """The run has ended, one way or the other."""
        now = self._clock.now(self._kube)
        revision = Revision(record.revision, now, _who(), status, record.profile_version, record.values, __version__)
        rests = record.scaling is not None and record.scaling[1] == 0
        return save(
            self._kube,
            replace(
                record,
                status=status,
                history=(*record.history, revision)[-10:],
                updated=now,
                scaling=record.scaling if rests or status != "deployed" else None,
            ),
        )

    def _made_anew(self, entry: Entry) -> bool:
        """Whether another object than the one that was recorded has the name now."""
        live = self._survey.live.get(entry.ref)
        return bool(entry.uid and live is not None and live["metadata"]["uid"] != entry.uid)

    def _ours(self, step: Step) -> bool:
        """Whether teardown may delete the object: it did not exist before, or already was of this release."""
        live = self._survey.live.get(step.ref)
        if live is None:
            return True
        labels = live["metadata"].get("labels") or {}
        if not step.ref.namespace:
            return bool(labels.get(MANAGED_BY_LABEL) == "berth")
        return bool(labels.get(PART_OF_LABEL) == applyset_id(self._release.name, self._release.namespace))

    def _note_event(self, event: Event) -> Event:
        if isinstance(event, StepDone):
            self._done.append(event)
        if isinstance(event, OperationDone) and event.outcome == "not run":
            self._not_run.append(event.operation)
        return event

    def _note(self, event: StepDone) -> StepDone:
        self._done.append(event)
        return event


def _unasked(names: Sequence[str]) -> str:
    """What the verdict says of operations that were not run."""
    if len(names) < 2:
        return f"; operation {names[0]} was not run" if names else ""
    return f"; operations {', '.join(names)} were not run"


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # A container's uid may have no name.


def _always() -> None:
    """The guard of a run that holds no lock and needs none."""
