"""Takes a release to other pods ordinal by ordinal, and stops where one does not hold.

What is done is on the cluster: the set's partition, or under OnDelete the revisions of its pods, say which ordinals
have gone. So a run that was stopped anywhere goes on from there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from berth.actions.applying import Applying, Options
from berth.actions.clock import Clock
from berth.actions.keeping import Keeper
from berth.actions.operations import run_operation
from berth.actions.plan import Planned
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.record import ReleaseRecord, Rollout
from berth.core.errors import BerthError, FailedError, Problem, TimedOutError
from berth.core.events import Event, Notice, StepDone
from berth.core.objects import Json, ObjectRef, ordinals
from berth.core.operations import operations_of
from berth.core.plan import Plan, Step
from berth.core.readiness import owned_pods
from berth.core.render import Release
from berth.core.rollout import (
    PAUSED,
    in_order,
    moved_text,
    old_ordinals,
    on_delete,
    partition_of,
    rules_of,
    ways,
    with_partition,
)


@dataclass(frozen=True, slots=True)
class Course:
    """How a rollout goes: ``first`` so many ordinals, then one after the other.

    ``first`` is None where Kubernetes goes alone, at its own pace; ``more`` is how many go after the first, None for
    all. Each time all pods must stay ready for ``soak`` seconds.
    """

    first: int | None = 1
    more: int | None = None
    soak: float = 0.0


class Roll:
    """One run of a rollout over one release."""

    def __init__(
        self,
        kube: Kube,
        release: Release,
        course: Course,
        options: Options,
        clock: Clock,
        *,
        action: str,
        unstick: bool = False,
    ) -> None:
        """Prepare; nothing is read or written. ``action`` is what the history calls the run."""
        self._kube, self._release, self._course, self._clock = kube, release, course, clock
        self._applying = Applying(kube, release, options, clock, unstick=unstick)
        self._keeper = Keeper(kube, clock, action)
        self._plan = Plan(release.name, release.namespace, ())
        self._rollout: Rollout | None = None
        #: Whether it stands still, because an ordinal did not hold.
        self.held = False

    def begin(self, planned: Planned, ref: ObjectRef | None, rollout: Rollout | None) -> Generator[Event, None, None]:
        """Apply what was planned, the set ``ref`` held where its first ordinals go; then the others.

        ``rollout`` is what the record says until it has come to its end.

        Raises:
            FailedError, TimedOutError: an ordinal did not hold, and no other one was touched since.
            BerthError, InterruptedRunError: the run was stopped; the next one goes on.
        """
        self._plan, self._rollout = planned.plan, rollout
        self._applying.look_at(planned.release, planned.survey)
        warnings = [Notice(warning, "warning") for warning in planned.warnings]
        yield from self._applying.told(warnings, self._written(planned, ref), lambda: self._plan)

    def go_on(self, record: ReleaseRecord, live: Json, plan: Plan) -> Generator[Event, None, None]:
        """Go on with a rollout that stands still; ``live`` is its set, ``plan`` what is left to remove at its end.

        Raises:
            FailedError, TimedOutError, BerthError, InterruptedRunError: see `begin`.
        """
        assert record.rollout is not None
        self._plan, self._rollout = plan, replace(record.rollout, held="")
        events = self._taken_up(replace(record, rollout=self._rollout), ObjectRef.of(live))
        yield from self._applying.told((), events, lambda: self._plan)

    def _written(self, planned: Planned, ref: ObjectRef | None) -> Iterator[Event]:
        first = self._course.first
        with Lock(self._kube, self._release.namespace, self._release.name) as lock:
            self._applying.guard(lock.check)
            seen = planned.survey
            self._keeper.begin(
                planned.release,
                planned.plan,
                seen,
                values=planned.release.values.masked(),
                scaling=seen.record.scaling if seen.record else None,
                rollout=self._rollout,
            )
            plan = planned.plan
            if ref is not None and first is not None and not on_delete(planned.survey.live[ref]):
                plan = _held(plan, ref, len(ordinals(planned.survey.live[ref])) - first)
            yield from self._to_the_end(self._applying.phases(plan), ref)

    def _taken_up(self, record: ReleaseRecord, ref: ObjectRef) -> Iterator[Event]:
        with Lock(self._kube, self._release.namespace, self._release.name) as lock:
            self._applying.guard(lock.check)
            self._keeper.take_up(record, self._release.manifests)
            yield from self._to_the_end(self._applying.wait([ref]), ref)

    def _to_the_end(self, beginning: Iterator[Event], ref: ObjectRef | None) -> Iterator[Event]:
        """From the first ordinals to the last, or to where it is to stop; the record says in each case how it ended."""
        left = 0
        try:
            yield from beginning
            yield from self._proved(ref)
            if ref is not None:
                left = yield from self._onward(ref)
            if not left:
                yield from self._applying.removals(self._plan)
        except (FailedError, TimedOutError) as error:
            self._learn()
            if self._rollout is None:
                self._keeper.give_up(error)
                raise
            self.held = True
            self._keeper.close("held", replace(self._rollout, held=error.problems[0].what))
            raise type(error)([*(replace(one, hint="") for one in error.problems), self._stands(ref)]) from error
        except (BerthError, KeyboardInterrupt) as error:
            self._learn()
            self._keeper.give_up(error)
            raise
        self._learn()
        if left and self._rollout is not None:
            self._keeper.close("held", replace(self._rollout, held=PAUSED))
            yield Notice(f"{PAUSED}: {ways(self._release.name, self._release.namespace)}")
        else:
            self._keeper.close("deployed")

    def _onward(self, ref: ObjectRef) -> Generator[Event, None, int]:
        """Let one ordinal go after the other, as many as are to go; how many are left then."""
        live = self._live(ref)
        if on_delete(live):
            return (yield from self._replaced(ref, live))
        at, more = min(partition_of(live), len(ordinals(live))), self._course.more
        # Without one, Kubernetes has gone alone, and a partition is one that is to stay.
        goal = self._rollout.partition if self._rollout else at
        while at > goal and more != 0:
            at, more = at - 1, None if more is None else more - 1
            self._applying.alive()
            strategy = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": at}}}
            live = self._kube.patch(ref, {"metadata": {"uid": live["metadata"]["uid"]}, "spec": strategy})
            self._applying.changed(live)
            yield from self._applying.noted(iter([StepDone(ref, "updated", f"partition {at}")]))
            yield from self._applying.wait([ref])
            yield from self._proved(ref)
        return max(0, at - goal)

    def _replaced(self, ref: ObjectRef, live: Json) -> Generator[Event, None, int]:
        """The same for a set under OnDelete: each pod is deleted, and its successor is of the newest revision."""
        pods = owned_pods(live, self._kube.list("", "Pod", ref.namespace).items)
        due = ordered(self._kube, self._release, pods, old_ordinals(live, pods.values()))
        gone, course = len(ordinals(live)) - len(due), self._course
        count = len(due) if course.more is None else max(0, (course.first or 0) - gone) + course.more
        for number in due[:count]:
            yield from self._applying.renew(ref, pods[number], "to be made anew, under OnDelete")
            yield from self._proved(ref)
        return len(due[count:])

    def _proved(self, ref: ObjectRef | None) -> Iterator[Event]:
        """The gates: the engine says that it is ready, and all stays so for a while."""
        yield from self._applying.gate()
        if ref is not None and self._course.soak:
            yield from self._applying.soak(ref, self._course.soak)
            yield from self._applying.gate()

    def _live(self, ref: ObjectRef) -> Json:
        live = self._kube.get(ref)
        if live is None:
            raise FailedError(f"{ref} was deleted by somebody", hint="`invoke up` makes it again")
        return live

    def _learn(self) -> None:
        self._keeper.learn(self._applying.done, self._applying.known())

    def _stands(self, ref: ObjectRef | None) -> Problem:
        """Where the rollout stands now."""
        name, where = self._release.name, ""
        with suppress(BerthError):  # What went wrong first is what the user must read.
            if ref is not None:
                where = f": {moved_text(self._live(ref), self._kube.list('', 'Pod', ref.namespace).items)}"
        hint = f"once the cause is gone, {ways(name, self._release.namespace)}"
        return Problem(f"the rollout of {name} is held{where}", hint=hint)


def ordered(kube: Kube, release: Release, pods: Mapping[int, Json], wanted: Sequence[int]) -> list[int]:
    """Ordinals in the order in which the profile has its pods replaced; what they are is asked where it matters.

    Where no containers run, nobody can say it.

    Raises:
        DeniedError: no permission for pods/exec.
    """
    rules, role = rules_of(release.profile), operations_of(release.profile).get("role")
    last: list[int] = []
    if rules.last and role is not None and len(wanted) > 1:
        results = run_operation(kube, release.namespace, role, [pods[number] for number in wanted])
        last = [result.ordinal for result in results if result.passed and result.output == rules.last]
    return in_order(rules.order, wanted, last)


def _held(plan: Plan, ref: ObjectRef, partition: int) -> Plan:
    """The plan with a set held at a partition, unless its own is higher."""

    def step(one: Step) -> Step:
        if one.ref != ref or one.manifest is None or partition_of(one.manifest.body) >= partition:
            return one
        return replace(one, manifest=with_partition(one.manifest, partition))

    return replace(plan, phases=tuple(tuple(map(step, phase)) for phase in plan.phases))
