"""`verify --disruptive`: one pod is deleted, and what comes in its place is compared with it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from berth.actions.asking import NotRunError, run_in
from berth.actions.clock import Clock
from berth.actions.operations import ordinal, selector_of
from berth.actions.status import Selection, status
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.mirror import rest
from berth.cluster.record import ReleaseRecord
from berth.cluster.refusals import StaleError
from berth.cluster.waiting import Patience, Waiting
from berth.core.errors import BerthError, InterruptedRunError, PreflightError, TimedOutError
from berth.core.events import Event, Notice
from berth.core.objects import Json, ObjectRef, claim_name, dig, pod_name
from berth.core.quantities import format_duration
from berth.core.reach import container_of
from berth.core.readiness import outdated, pod_ready, stale
from berth.core.verify import Facts, Replaced

#: The file that is written into a volume, and removed again.
MARKER = ".berth-verify"
_WRITE = 'printf %s "$1" > "$2"'
#: Seconds between two looks for a pod that its set already counts as ready.
_EVERY = 0.2
_NOT_DELETED = "no pod was deleted"


@dataclass(frozen=True, slots=True)
class _Marker:
    """What is written where."""

    claim: str
    container: str
    path: str
    content: str


@dataclass(slots=True)
class _Written:
    """The markers that are in volumes, and why there are none in others, by claim."""

    markers: list[_Marker] = field(default_factory=list)
    unwritten: dict[str, str] = field(default_factory=dict)


def replace_one(
    kube: Kube,
    record: ReleaseRecord,
    seen: Sequence[Facts],
    patience: Patience,
    clock: Clock,
    say: Callable[[Event], None],
) -> tuple[str, Replaced]:
    """Delete the pod of the highest ordinal of one set (of the first that has claims), and see what comes back.

    Where containers run, a marker is written into its volumes before, read in its successor, and removed. Returns the
    set's name and what was seen.

    Raises:
        PreflightError: the release or a disruption budget does not allow it; nothing was deleted.
        LockedError: another run has the release.
        FailedError, TimedOutError: the pod did not come back.
        InterruptedRunError: the user stopped it after the deletion.
    """
    facts = _choose(record, seen)
    _check(kube, record)
    name = pod_name(facts.name, facts.wanted[-1])
    ref = ObjectRef("", "Pod", record.namespace, name)
    with Lock(kube, record.namespace, record.name) as lock:
        pod = _ready_pod(kube, ObjectRef.of(facts.body), ref)
        say(Notice(f"{name} is deleted, the highest ordinal of {facts.name}, and comes back; its claims stay"))
        before = _claims(kube, facts, pod)
        written = _Written()
        run = _Run(kube, record, ref, str(pod["metadata"]["uid"]), patience, clock, say)
        try:
            _write(kube, record.namespace, facts, pod, written)
            begun = clock.monotonic()
            successor = run.replace(ObjectRef.of(facts.body), lock.check)
            seconds = clock.monotonic() - begun
            markers = _read(kube, record.namespace, successor, written)
            after = _claims(kube, facts, successor)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"interrupted; {run.stands()}", hint="`invoke status` shows how the release stands"
            ) from None
        finally:
            _wipe(kube, ref, written, say)
    uid = str(successor["metadata"]["uid"])
    return facts.name, Replaced(name, run.uid, uid, before, after, seconds, markers, written.unwritten)


def _choose(record: ReleaseRecord, seen: Sequence[Facts]) -> Facts:
    """The set whose pod goes: one with claims where there is one, for they are what is to be seen."""
    up = [facts for facts in seen if facts.wanted]
    if not up:
        raise _refused(f"release {record.name} is to have 0 pods", "`invoke scale` brings them back")
    return next((facts for facts in up if facts.templates), up[0])


def _check(kube: Kube, record: ReleaseRecord) -> None:
    """Whether a pod may go: the release is current, and no budget speaks against it."""
    found = status(kube, Selection(record.namespace, record.name), None)
    (report,) = found.reports
    if not report.verdict.current:
        raise _refused(
            f"release {record.name} is not current: {report.verdict.message}", "`invoke diagnose` says what is wrong"
        )
    if any("PodDisruptionBudget" in note for note in found.notes):
        raise _refused(
            "whether a PodDisruptionBudget allows it may not be read",
            "the role that berth needs is in docs/reference/rbac.md",
        )
    for budget in report.budgets:
        if budget.allowed < 1:
            said = f"PodDisruptionBudget/{budget.name} allows no disruption at this moment"
            why = f"{budget.healthy} of {budget.pods} pods are healthy, and {budget.desired} must be"
            raise _refused(f"{said}: {why}", "more pods, or a budget that allows one to go")


def _ready_pod(kube: Kube, set_ref: ObjectRef, ref: ObjectRef) -> Json:
    """The pod that is to go, as it is now; what comes after it must be the same."""
    body, pod = kube.get(set_ref), kube.get(ref)
    if body is None or stale(body) or pod is None or not pod_ready(pod):
        raise _refused(f"{ref.name} is not ready, or {set_ref.kind}/{set_ref.name} has just been changed", "try again")
    if outdated(body, pod):
        why = f"{ref.name} is of an old revision, and would come back as one of the new"
        raise _refused(why, "`invoke up` ends the change")
    return pod


def _refused(why: str, hint: str) -> PreflightError:
    return PreflightError(_NOT_DELETED, why=why, hint=hint)


@dataclass(slots=True)
class _Run:
    """One deletion, and the wait for what comes after it."""

    kube: Kube
    record: ReleaseRecord
    pod: ObjectRef
    uid: str
    patience: Patience
    clock: Clock
    say: Callable[[Event], None]
    deleted: bool = False

    def stands(self) -> str:
        """What an interrupted run leaves behind, in words."""
        return f"{self.pod.name} was deleted, and its set makes it again" if self.deleted else _NOT_DELETED

    def replace(self, set_ref: ObjectRef, alive: Callable[[], None]) -> Json:
        """Delete the pod, and return its successor once that is ready."""
        alive()
        try:
            self.kube.delete(self.pod, uid=self.uid)
        except StaleError:
            raise _refused(f"{self.pod.name} has been replaced by somebody else in the meantime", "try again") from None
        self.deleted = True
        return self._until_ready(set_ref, alive)

    def _until_ready(self, set_ref: ObjectRef, alive: Callable[[], None]) -> Json:
        kube, record, monotonic = self.kube, self.record, self.clock.monotonic
        begun = monotonic()
        while (left := self.patience.timeout - (monotonic() - begun)) > 0:
            patience = Patience(left, self.patience.suspect)
            waiting = Waiting(
                kube,
                record.name,
                record.namespace,
                patience,
                monotonic,
                lambda: self.clock.now(kube),
                selector=selector_of(record),
            )
            for event in waiting.until_current([set_ref], alive):
                self.say(event)
            found = kube.get(self.pod)
            if found is not None and found["metadata"]["uid"] != self.uid and pod_ready(found):
                return found
            # The set's own counters may still be those of before.
            rest(_EVERY, monotonic, alive)
        waited = format_duration(monotonic() - begun)
        raise TimedOutError(f"{self.pod.name} was not back after {waited}", hint="--timeout 30m waits longer")


def _claims(kube: Kube, facts: Facts, pod: Json) -> dict[str, tuple[str, str]]:
    """Uid and volume of a pod's claims by name."""
    names = [claim_name(template, facts.name, ordinal(pod)) for template in facts.templates]
    space = str(pod["metadata"]["namespace"])
    found = {name: kube.get(ObjectRef("", "PersistentVolumeClaim", space, name)) for name in names}
    return {
        name: (str(claim["metadata"]["uid"]), str(dig(claim, "spec", "volumeName", default="")))
        for name, claim in found.items()
        if claim is not None
    }


def _write(kube: Kube, space: str, facts: Facts, pod: Json, written: _Written) -> None:
    """Write a marker into each volume of the pod's claims that can be written."""
    for template in facts.templates:
        claim = claim_name(template, facts.name, ordinal(pod))
        place = _mount(pod, template)
        if place is None:
            written.unwritten[claim] = "no container has it mounted to write"
            continue
        marker = _Marker(claim, place[0], f"{place[1].rstrip('/')}/{MARKER}", secrets.token_hex(16))
        written.markers.append(marker)  # From now on it may be there, and is to be removed.
        why = _write_one(kube, space, pod, marker)
        if why:
            written.markers.remove(marker)
            written.unwritten[claim] = why


def _write_one(kube: Kube, space: str, pod: Json, marker: _Marker) -> str:
    """Write a marker; why that is not possible, "" where it was done."""
    command = ("sh", "-c", _WRITE, "sh", marker.content, marker.path)
    try:
        result = run_in(kube, space, pod, command, marker.container)
    except NotRunError as error:
        return str(error)
    said = "".join(f": {line}" for line in result.output.splitlines()[-1:])
    return "" if result.passed else f"no marker could be written ({result.why}{said})"


def _mount(pod: Json, template: str) -> tuple[str, str] | None:
    """The container that may write into a volume, and where it has it; the main one where it does."""
    main = container_of(pod)
    containers = sorted(dig(pod, "spec", "containers", default=[]), key=lambda one: one["name"] != main)
    for container in containers:
        for mount in container.get("volumeMounts") or []:
            if mount["name"] == template and not mount.get("readOnly"):
                return str(container["name"]), str(mount["mountPath"])
    return None


def _read(kube: Kube, space: str, pod: Json, written: _Written) -> Mapping[str, bool]:
    """Whether each marker is in the successor what was written."""
    found: dict[str, bool] = {}
    for marker in written.markers:
        try:
            result = run_in(kube, space, pod, ("cat", marker.path), marker.container)
        except NotRunError as error:
            written.unwritten[marker.claim] = str(error)
            continue
        if result.code is None:
            written.unwritten[marker.claim] = f"the marker could not be read ({result.why})"
        else:
            found[marker.claim] = result.passed and result.output == marker.content
    return found


def _wipe(kube: Kube, ref: ObjectRef, written: _Written, say: Callable[[Event], None]) -> None:
    """Remove the markers, whatever has happened; where that cannot be done now, say what is left."""
    for marker in written.markers:
        gone = False
        with suppress(BerthError, NotRunError):
            pod = kube.get(ref)
            if pod is not None:
                command = ("rm", "-f", marker.path)
                gone = run_in(kube, ref.namespace, pod, command, marker.container).passed
        if not gone:
            say(Notice(f"the file {marker.path} is left in the volume of {marker.claim}; rm it there", "warning"))
