"""`restart`: pods of a release made anew, one after the other, as they are."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping

from berth.actions.applying import Applying, Options
from berth.actions.clock import Clock
from berth.actions.operations import pods_of, require_ordinals
from berth.actions.restore import as_recorded, require_up
from berth.actions.rolling import ordered
from berth.actions.survey import survey
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.mirror import rest
from berth.cluster.record import ReleaseRecord
from berth.core.errors import DeniedError, FailedError, PreflightError
from berth.core.events import Event, Notice
from berth.core.objects import Json, ObjectRef, ordinals, pod_name
from berth.core.plan import Plan
from berth.core.readiness import owned_pods, pod_ready
from berth.core.status import selects
from berth.library import Library

#: Seconds between two looks at a budget that allows nothing.
_EVERY = 1.0


def restart(
    kube: Kube,
    library: Library,
    record: ReleaseRecord,
    named: Collection[int],
    soak: float,
    insist: bool,
    options: Options,
    clock: Clock,
) -> Generator[Event, None, None]:
    """Delete pods of a release one after the other, each when all are ready again; the claims stay.

    ``named`` are their ordinals, none for all. A disruption budget is heeded, and with ``insist`` it is not, nor must
    the release be whole.

    Raises:
        InputError: an ordinal has no pod; the release is down.
        PreflightError: the release is not whole, so that one pod more might be too many.
        FailedError, TimedOutError: a pod did not come back; no other one was touched since.
    """
    require_up(record)
    release = as_recorded(library, record)
    seen = survey(kube, release)
    sets = {ref: body for ref, body in seen.live.items() if ref.kind == "StatefulSet"}
    listed = pods_of(kube, record)
    pods = {ref: owned_pods(body, listed) for ref, body in sets.items()}
    _check(record, sets, pods, named, insist)
    applying = Applying(kube, release, options, clock)
    applying.look_at(release, seen)
    plan = Plan(release.name, release.namespace, ())
    events = _restarted(applying, record, pods, named, soak, insist)
    yield from applying.told((), events, lambda: plan, "name those that are left with --ordinal")


def _restarted(
    applying: Applying,
    record: ReleaseRecord,
    pods: Mapping[ObjectRef, Mapping[int, Json]],
    named: Collection[int],
    soak: float,
    insist: bool,
) -> Iterator[Event]:
    kube, release = applying.kube, applying.release
    with Lock(kube, record.namespace, record.name) as lock:
        applying.guard(lock.check)
        for ref, there in pods.items():
            own = {ordinal: pod for ordinal, pod in there.items() if not named or ordinal in named}
            for ordinal in ordered(kube, release, there, list(own)):
                if not insist:
                    yield from _until_allowed(applying, ref, own[ordinal])
                yield from applying.renew(ref, own[ordinal], "to be made anew; its claims stay")
                yield from applying.gate()
                if soak:
                    yield from applying.soak(ref, soak)


def _check(
    record: ReleaseRecord,
    sets: Mapping[ObjectRef, Json],
    pods: Mapping[ObjectRef, Mapping[int, Json]],
    named: Collection[int],
    insist: bool,
) -> None:
    there = {ordinal for own in pods.values() for ordinal in own}
    require_ordinals(record.name, named, there)
    if not there:
        raise FailedError(f"release {record.name} has no pods", hint="`invoke status` says how it stands")
    lost = [
        pod_name(ref.name, ordinal)
        for ref, body in sets.items()
        for ordinal in ordinals(body)
        if ordinal not in named and not (ordinal in pods[ref] and pod_ready(pods[ref][ordinal]))
    ]
    if lost and not insist:
        raise PreflightError(
            f"not ready: {', '.join(lost)}",
            why="one pod less at the same time may be one too many",
            hint="`invoke diagnose` says what is wrong; --force restarts all the same",
        )


def _until_allowed(applying: Applying, ref: ObjectRef, pod: Json) -> Iterator[Event]:
    """Wait until no disruption budget has anything against it; a pod that is not ready is no loss."""
    kube, monotonic, patience = applying.kube, applying.clock.monotonic, applying.options.patience.suspect
    begun = monotonic()
    while pod_ready(pod):
        try:
            budgets = kube.list("policy", "PodDisruptionBudget", ref.namespace).items
        except DeniedError:
            yield Notice("disruption budgets may not be read with these credentials, and are not heeded", "warning")
            return
        labels = pod["metadata"].get("labels") or {}
        against = [
            budget["metadata"]["name"]
            for budget in budgets
            if selects((budget.get("spec") or {}).get("selector"), labels)
            if (budget.get("status") or {}).get("disruptionsAllowed", 0) < 1
        ]
        if not against:
            return
        if monotonic() - begun > patience:
            names = ", ".join(f"PodDisruptionBudget/{name}" for name in against)
            raise FailedError(
                f"{names} allows no disruption, so that {pod['metadata']['name']} was not touched",
                hint="`invoke drain-check` shows why; --force restarts the pod all the same",
            )
        rest(_EVERY, monotonic, applying.alive)
