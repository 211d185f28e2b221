"""Carries out what was planned for a release: apply, wait until every ordinal is ready, ask the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from berth.actions.clock import Clock
from berth.actions.gate import gate
from berth.actions.operations import selector_of
from berth.actions.resize import make_room
from berth.actions.survey import Survey
from berth.cluster.kube import Kube
from berth.cluster.removal import Removal
from berth.cluster.runner import Runner
from berth.cluster.waiting import Patience, Waiting
from berth.core.errors import BerthError, InterruptedRunError
from berth.core.events import Event, Notice, OperationDone, PhaseStarted, ReleaseDone, ReleaseStarted, StepDone
from berth.core.objects import Json, ObjectRef
from berth.core.plan import Plan, Step
from berth.core.quantities import format_duration
from berth.core.readiness import judge
from berth.core.render import Release
from berth.core.scaling import Wishes


def nothing() -> None:
    """The check of a run that nobody stops but the user."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes about it.

    Pods that block their own fix are deleted once it is applied with ``unstick``; without it, ``ask_unstick`` is asked
    beforehand, and None means that they stay. ``check`` is called before each write and while waiting, and may raise to
    stop the run.
    """

    patience: Patience = field(default_factory=Patience)
    force_conflicts: bool = False
    resize: bool = False
    scaling: Wishes = field(default_factory=Wishes)
    unstick: bool = False
    ask_unstick: Callable[[Sequence[str]], bool] | None = None
    check: Callable[[], None] = nothing


class Applying:
    """One run over one release: what was done so far, for the recap and the record.

    ``alive`` is called before each write and while waiting, and may raise to stop.
    """

    def __init__(self, kube: Kube, release: Release, options: Options, clock: Clock, *, unstick: bool = False) -> None:
        self.kube, self.options, self.clock = kube, options, clock
        self.alive: Callable[[], None] = options.check
        self.done: list[StepDone] = []
        self.release, self._seen = release, Survey(None, {}, frozenset())
        self._runner = Runner(kube, self._check, force_conflicts=options.force_conflicts)
        self.waiting = Waiting(
            kube,
            release.name,
            release.namespace,
            options.patience,
            clock.monotonic,
            lambda: clock.now(kube),
            selector=selector_of(release),
            unstick=unstick,
        )
        self._not_run: list[str] = []

    def look_at(self, release: Release, seen: Survey) -> None:
        """From now on this is what is carried out."""
        self.release, self._seen = release, seen

    def guard(self, held: Callable[[], None]) -> None:
        """From now on ``alive`` calls this too: whether the lock is still held."""

        def alive() -> None:
            self.options.check()
            held()

        self.alive = alive

    def phases(self, plan: Plan) -> Iterator[Event]:
        """Apply phase by phase, each when the one before it is ready."""
        for number, phase in enumerate(plan.phases, 1):
            kinds = ", ".join(dict.fromkeys(step.ref.kind for step in phase))
            yield PhaseStarted(number, len(plan.phases), kinds)
            yield from self.noted(self._make_room(phase))
            yield from self.noted(self._runner.run(phase))
            yield from self.wait([step.ref for step in phase])

    def removals(self, plan: Plan) -> Iterator[Event]:
        """Delete what is no longer rendered."""
        if plan.removals:
            yield PhaseStarted(len(plan.phases), len(plan.phases), "no longer rendered")
            yield from self.noted(self._runner.run(plan.removals))

    def wait(self, refs: Sequence[ObjectRef]) -> Iterator[Event]:
        """Wait until these are current; those that are need no watch, but for sets, whose pods tell more."""
        due = [ref for ref in refs if ref.kind == "StatefulSet" or not judge(self._live(ref)).current]
        if due:
            yield from self.noted(self.waiting.until_current(due, self._check))

    def gate(self) -> Iterator[Event]:
        """Ask the engine whether it is ready, where its profile can; once nobody could answer, not again."""
        if "ready" not in self._not_run:
            patience, monotonic = self.options.patience, self.clock.monotonic
            yield from self.noted(gate(self.kube, self.release, patience, monotonic, self._check))

    def soak(self, ref: ObjectRef, seconds: float) -> Iterator[Event]:
        """Look for so many seconds whether a set stays as it is."""
        yield Notice(f"soaking for {format_duration(seconds)}")
        yield from self.waiting.stay_current([ref], seconds, self._check)

    def renew(self, ref: ObjectRef, pod: Json, why: str) -> Iterator[Event]:
        """Delete this very pod of a set, and wait until the one in its place is ready; its claims stay."""
        self.alive()
        pod_ref = ObjectRef("", "Pod", ref.namespace, pod["metadata"]["name"])
        self.kube.delete(pod_ref, uid=pod["metadata"]["uid"])
        yield from self.noted(iter([StepDone(pod_ref, "deleted", why)]))
        yield from self.waiting.until_current([ref], self._check, gone=[pod["metadata"]["uid"]])

    def noted(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events, remembered for the recap."""
        for event in events:
            if isinstance(event, StepDone):
                self.done.append(event)
            if isinstance(event, OperationDone) and event.outcome == "not run":
                self._not_run.append(event.operation)
            yield event

    def known(self) -> dict[ObjectRef, Json]:
        """The live objects of which it is known what they are now."""
        untouched = {step.ref for step in self.done if step.action == "unchanged"}
        same = {ref: body for ref, body in self._seen.live.items() if ref in untouched}
        return {**same, **self._runner.applied}

    def changed(self, body: Json) -> None:
        """Note an object as it stands after a write of another kind than applying."""
        self._runner.applied[ObjectRef.of(body)] = body

    def told(
        self,
        notices: Iterable[Notice],
        events: Iterator[Event],
        plan: Callable[[], Plan],
        again: str = "run the same command again: it goes on from there",
    ) -> Iterator[Event]:
        """The events of the run, between its first lines and its recap, which is about ``plan`` as it is then.

        Raises:
            InterruptedRunError: the user stopped it; ``again`` is what to do then.
            BerthError: what the run raises.
        """
        started, release, monotonic = self.clock.monotonic(), self.release, self.clock.monotonic
        yield ReleaseStarted(release.name, release.namespace, release.profile.name, release.environment)
        yield from notices
        try:
            yield from events
        except (BerthError, KeyboardInterrupt) as error:
            yield self.recap(plan(), monotonic() - started, error)
            if isinstance(error, KeyboardInterrupt):
                raise InterruptedRunError(f"interrupted; {self.stands()}", hint=again) from None
            raise
        yield self.recap(plan(), monotonic() - started, None)

    def stands(self) -> str:
        """What an interrupted run leaves behind, in words."""
        written = [step for step in self.done if step.action in ("created", "updated", "deleted")]
        if not written:
            return "nothing was changed"
        names = ", ".join(f"{step.ref.kind}/{step.ref.name} {step.action}" for step in written[:8])
        return names + (f" and {len(written) - 8} more" if len(written) > 8 else "")

    def recap(self, plan: Plan, seconds: float, error: BaseException | None) -> ReleaseDone:
        """The recap, in Ansible's words; what was not reached is skipped."""
        actions = self._actions()
        changed = sum(action in ("created", "updated", "deleted") for action in actions)
        failed = actions.count("failed") or (1 if isinstance(error, BerthError) else 0)
        total = sum(1 for _ in plan.steps)
        sets = [m.ref for m in self.release.manifests if m.ref.kind == "StatefulSet"]
        if error is None:
            verdict = "; ".join(f"{ref.name} {self._verdict(ref)}" for ref in sets) or "current"
            verdict += _unasked(list(dict.fromkeys(self._not_run)))
        else:
            verdict = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        return ReleaseDone(
            self.release.name,
            self.release.namespace,
            ok=len(actions) - actions.count("failed"),
            changed=changed,
            failed=failed,
            skipped=max(0, total - len(actions)),
            seconds=seconds,
            verdict=verdict,
            succeeded=error is None,
            pods=self.waiting.rows([ref for ref in sets if self.waiting.seen(ref)]),
        )

    def _check(self) -> None:
        self.alive()

    def _actions(self) -> list[str]:
        """What became of each object, be it in several steps."""
        found: dict[ObjectRef, str] = {}
        for step in self.done:
            if step.action not in ("unchanged", "kept") or step.ref not in found:
                found[step.ref] = step.action
        return list(found.values())

    def _verdict(self, ref: ObjectRef) -> str:
        verdict = self.waiting.verdict(ref) if self.waiting.seen(ref) else judge(self._seen.live[ref])
        return f"is {verdict.status}: {verdict.message}"

    def _make_room(self, phase: Sequence[Step]) -> Iterator[Event]:
        """Grow the claims of sets whose templates grow; their sets are gone then, and applied with the phase."""
        clock, patience = self.clock, self.options.patience
        removal = Removal(self.kube, self.release.namespace, patience, clock.monotonic, self._check)
        for step in phase:
            if step.growth:
                live = self._seen.live[step.ref]
                yield from make_room(
                    self.kube, step.growth, live, removal, patience.timeout, clock.monotonic, self._check
                )

    def _live(self, ref: ObjectRef) -> Json:
        return self._runner.applied.get(ref) or self._seen.live[ref]


def _unasked(names: Sequence[str]) -> str:
    """What the verdict says of operations that were not run."""
    if len(names) < 2:
        return f"; operation {names[0]} was not run" if names else ""
    return f"; operations {', '.join(names)} were not run"
