"""`up`: from manifests to pods that are ready.

The phases: plan (all checks, no writes) -> namespace -> lock -> record -> apply and wait, phase by phase -> removals
-> record. A run that was stopped anywhere is taken up by running it again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from berth.actions import scaling
from berth.actions.applying import Applying, Options
from berth.actions.clock import Clock
from berth.actions.keeping import Keeper
from berth.actions.plan import During, Planned, plan_all, plan_release
from berth.actions.scaling import Stage
from berth.actions.trap import may_unstick
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.record import ReleaseRecord
from berth.cluster.removal import Removal
from berth.core.errors import BerthError
from berth.core.events import Event, Notice, StepDone
from berth.core.objects import MANAGED_BY_LABEL, ObjectRef
from berth.core.plan import Action
from berth.core.readiness import judge
from berth.core.render import Release


def up(
    kube: Kube,
    releases: Sequence[Release],
    options: Options,
    clock: Clock,
    *,
    action: str = "up",
    rollout: During = "refuse",
    before: Sequence[Release] = (),
) -> Generator[Event, None, None]:
    """Bring releases, one after the other, to what their manifests say, yielding what happens.

    All are planned before the first is touched. The first that fails stops the run: those after it may need it.
    ``action`` is what the history calls the run; ``rollout`` says what becomes of one of a release; ``before`` are
    releases that came up already, and may be referred to.

    Raises:
        BerthError: before anything was written (see `plan_release`), or when the cluster does not get there.
    """
    plans = plan_all(
        kube,
        releases,
        force=options.force_conflicts,
        resize=options.resize,
        wishes=options.scaling,
        rollout=rollout,
        before=before,
    )
    for number, planned in enumerate(plans):
        try:
            yield from _up_one(kube, planned, options, clock, action, rollout)
        except (BerthError, KeyboardInterrupt):
            rest = ", ".join(later.release.name for later in plans[number + 1 :])
            if rest:
                yield Notice(f"not begun: {rest}", "warning")
            raise


def _up_one(
    kube: Kube, planned: Planned, options: Options, clock: Clock, action: str, rollout: During
) -> Iterator[Event]:
    unstick, said = may_unstick(kube, planned, options)
    warnings = [Notice(warning, "warning") for warning in planned.warnings]
    run = _Run(kube, planned, options, clock, action, rollout, unstick)
    events = run.unchanged() if planned.settled else run.write()
    notices = [*warnings, *said, *map(Notice, planned.notes), *map(Notice, filter(None, [planned.joins]))]
    yield from run.applying.told(notices, events, lambda: run.planned.plan)


class _Run:
    """One run of `up` over one release."""

    def __init__(
        self,
        kube: Kube,
        planned: Planned,
        options: Options,
        clock: Clock,
        action: str,
        rollout: During,
        unstick: bool,
    ) -> None:
        self._kube, self._options, self._clock, self._rollout = kube, options, clock, rollout
        self._asked = planned
        self._stage: Stage | None = None
        self._keeper = Keeper(kube, clock, action)
        self.applying = Applying(kube, planned.release, options, clock, unstick=unstick)
        self._look_at(planned)

    def _look_at(self, planned: Planned) -> None:
        """From now on this is what is carried out."""
        self.planned = planned
        self.applying.look_at(planned.release, planned.survey)

    def unchanged(self) -> Iterator[Event]:
        """Nothing to write: only make sure that what stands is ready."""
        steps = (
            StepDone(step.ref, "kept" if step.action is Action.KEEP else "unchanged", step.why)
            for step in self.planned.plan.steps
        )
        yield from self.applying.noted(steps)
        live = self.planned.survey.live
        refs = [manifest.ref for manifest in self.planned.release.manifests]
        if not all(judge(live[ref]).current for ref in refs):
            yield from self.applying.wait(refs)

    def write(self) -> Iterator[Event]:
        """Everything that writes."""
        release = self.planned.release
        if self.planned.plan.namespace_missing:
            yield from self.applying.noted(self._make_namespace())
        with Lock(self._kube, release.namespace, release.name) as lock:
            self.applying.guard(lock.check)
            yield from self.applying.noted(self._discard())
            if not self._asked.stages:
                yield from self._write()
            for stage in self._asked.stages:
                yield from self._write_stage(stage)

    def _write_stage(self, stage: Stage) -> Iterator[Event]:
        """One step of scaling, planned by what the cluster holds now; its operations are run around it."""
        yield Notice(str(stage))
        kube, options = self._kube, self._options
        force, resize, others = options.force_conflicts, options.resize, self._asked.others
        try:
            planned = plan_release(
                kube,
                stage.release,
                force=force,
                resize=resize,
                others=others,
                in_stages=False,
                rollout=self._rollout,
            )
            self._look_at(planned)
            before = scaling.before(kube, stage, self.applying.alive, lambda: self._clock.now(kube))
            yield from self.applying.noted(before)
        except (BerthError, KeyboardInterrupt) as error:
            if self._keeper.record is not None:
                self._keeper.give_up(error)
            raise
        self._stage = stage
        yield from self._write()

    def _write(self) -> Iterator[Event]:
        applying, keeper, plan, seen = self.applying, self._keeper, self.planned.plan, self.planned.survey
        # Of a step of scaling, the values that the last one leads to: that is what the user asked for.
        values = self._asked.release.values.masked()
        keeper.begin(self.planned.release, plan, seen, values=values, scaling=self._mark(seen.record))
        try:
            if self._stage is not None:
                yield from self._thin_out(self._stage)
            yield from applying.phases(plan)
            yield from applying.gate()
            yield from applying.removals(plan)
            if self._stage is not None:
                yield from applying.noted(scaling.after(self._kube, self._stage, applying.alive))
        except (BerthError, KeyboardInterrupt) as error:
            keeper.learn(applying.done, applying.known())
            keeper.give_up(error)
            raise
        keeper.learn(applying.done, applying.known())
        if self._stage is not None and self._stage is not self._asked.stages[-1]:
            keeper.pass_on()
        else:
            keeper.close("deployed")

    def _thin_out(self, stage: Stage) -> Iterator[Event]:
        """Let the pods go that a step takes away, before anything rolls those that stay.

        A set whose pods come and go in parallel would otherwise roll one while another goes: two members at once.
        """
        if stage.step.condemned:
            self.applying.alive()
            live = self.planned.survey.live[stage.ref]
            self._kube.scale(stage.ref, stage.step.replicas, uid=live["metadata"]["uid"])
            yield from self.applying.waiting.until_current([stage.ref], self.applying.alive)

    def _discard(self) -> Iterator[Event]:
        """Delete the claims that the user gave up, before a pod can take them."""
        clock, space = self._clock, self.planned.release.namespace
        removal = Removal(self._kube, space, self._options.patience, clock.monotonic, self.applying.alive)
        yield from scaling.discard(self._kube, space, self._asked.discard, removal)

    def _make_namespace(self) -> Iterator[Event]:
        name = self.planned.release.namespace
        labels = {MANAGED_BY_LABEL: "berth"}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self._kube.apply(body)
        yield StepDone(ObjectRef("", "Namespace", "", name), "created")

    def _mark(self, before: ReleaseRecord | None) -> tuple[int, int] | None:
        if self._stage is None:
            return before.scaling if before else None
        step = self._stage.step
        return None if step.origin == step.replicas else (step.origin, step.replicas)
