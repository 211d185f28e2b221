"""Waits until objects are what they should be: watches, judges, names what holds things up.

The clock comes in as arguments; the watches and their threads are the mirror's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from berth.cluster.evidence import last_lines, read_evidence
from berth.cluster.kube import Kube
from berth.cluster.mirror import Mirror
from berth.core.diagnosis import Cause, Scene, Weight, diagnose, explained
from berth.core.errors import ClusterError, FailedError, Problem, TimedOutError
from berth.core.events import Event, Notice, OrdinalFailed, OrdinalState, PodRow, StepDone, StillWaiting
from berth.core.objects import (
    PART_OF_LABEL,
    Json,
    ObjectRef,
    applyset_id,
    claim_name,
    dig,
    ordinal_of,
    ordinals,
)
from berth.core.progress import ordinal_state
from berth.core.quantities import format_duration
from berth.core.readiness import Status, Verdict, judge, owned_pods, pod_ready, trapped

#: After this long without progress the run says what it waits for, in seconds.
SILENCE = 30.0
#: After this long without progress, and then this often, events are read, in seconds.
_LOOK = 5.0
#: How long a set that is current waits for the last news of its pods, in seconds.
_LAG = 2.0
#: How far clocks may be apart before an event of this run counts as one of an earlier run.
_SKEW = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: ``timeout`` for everything, ``suspect`` for a state that looks like a failure."""

    timeout: float = 600.0
    suspect: float = 90.0


class Waiting:
    """One wait for some objects of one release."""

    def __init__(
        self,
        kube: Kube,
        release: str,
        namespace: str,
        patience: Patience,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        *,
        selector: str | None,
        unstick: bool = False,
    ) -> None:
        """Nothing is watched yet.

        ``selector`` finds the release's pods, see `readiness.pod_selector`. ``unstick``: delete pods that block their
        own fix, see `readiness.trapped`.
        """
        self._kube, self._release, self._namespace, self._selector = kube, release, namespace, selector
        self._patience, self._monotonic, self._now = patience, monotonic, now
        self._unstick = unstick
        self._mirror = Mirror(kube, namespace)
        self._shown: dict[tuple[str, int], OrdinalState] = {}
        self._suspects: dict[tuple[str, int], float] = {}
        self._missing: dict[ObjectRef, float] = {}
        self._trapped: dict[str, float] = {}
        self._unstuck: set[str] = set()
        self._evidence = Scene()
        self._since = ""

    def until_current(
        self, refs: Sequence[ObjectRef], alive: Callable[[], None], gone: Collection[str] = ()
    ) -> Iterator[Event]:
        """Yield what happens until every object is current; ``alive`` may raise to stop the wait.

        ``gone`` are the uids of pods that were deleted, and must have been replaced as well.

        Raises:
            FailedError: an ordinal cannot become ready; each cause was yielded before.
            TimedOutError: not in time; the causes so far were yielded before.
        """
        started = moved = spoke = looked = self._monotonic()
        current_since: float | None = None
        # A little earlier, for this machine's clock is not the server's.
        self._since = (self._now() - _SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")
        with Mirror(self._kube, self._namespace) as self._mirror:
            self._follow(refs)
            while True:
                changed, troubles = self._mirror.take()
                yield from (Notice(trouble, "warning") for trouble in troubles)
                alive()
                # Before pods and claims were listed once, every ordinal would seem to have none.
                states = self._ordinal_states(refs) if changed and self._mirror.complete else []
                yield from states
                now = self._monotonic()
                moved = now if states else moved
                waiting = [ref for ref in refs if not self.verdict(ref).current or self._still_there(ref, gone)]
                current_since = (current_since or now) if not waiting and self._mirror.complete else None
                if current_since and (self._pods_agree(refs) or now - current_since > _LAG):
                    return
                late = now - started > self._patience.timeout
                if late or min(now - moved, now - looked) >= _LOOK:
                    looked = now
                    self._look()
                causes = self._causes(waiting)
                if self._unstick and (blocking := self._blocking(waiting, causes, now)):
                    yield self._delete(blocking)
                    self._suspects.clear()
                    moved = now
                    continue
                failing = self._failing(causes, now)
                failing += [(ref.name, -1) for ref in waiting if self.verdict(ref).status is Status.FAILED]
                failing += [(ref.name, -1) for ref in self._deleted(waiting, now)]
                if failing or late:
                    self._look()
                    yield from self._explain(self._causes(waiting))
                    raise self._ended(waiting, bool(failing), now - started)
                if min(now - moved, now - spoke) >= SILENCE:
                    spoke = now
                    yield self._still(waiting, now - moved)

    def stay_current(self, refs: Sequence[ObjectRef], seconds: float, alive: Callable[[], None]) -> Iterator[Event]:
        """Look for so many seconds whether all stay current, no pod is made anew and no container starts again.

        Raises:
            FailedError: one did not; the causes were yielded before.
        """
        begun: float | None = None
        first: dict[str, tuple[str, int]] = {}
        with Mirror(self._kube, self._namespace) as self._mirror:
            self._follow(refs)
            while begun is None or self._monotonic() - begun < seconds:
                _, troubles = self._mirror.take()
                yield from (Notice(trouble, "warning") for trouble in troubles)
                alive()
                if not self._mirror.complete:
                    continue
                begun = self._monotonic() if begun is None else begun
                seen = {
                    name: (str(pod["metadata"]["uid"]), _restarts(pod)) for name, pod in self._mirror.all("Pod").items()
                }
                first = first or seen
                # A pod that is back within a moment leaves no trace but its uid.
                again = {
                    name: "it was made anew" if uid != first[name][0] else "a container started again"
                    for name, (uid, count) in sorted(seen.items())
                    if name in first and (uid != first[name][0] or count > first[name][1])
                }
                lost = [ref for ref in refs if not self.verdict(ref).current]
                if not again and not lost:
                    continue
                self._look()
                yield from self._explain(self._causes(lost))
                passed = format_duration(self._monotonic() - begun)
                what = [f"{ref}: {self.verdict(ref).message}" for ref in lost]
                what += [f"Pod/{name} in {self._namespace}: {why}" for name, why in again.items()]
                raise FailedError(
                    Problem(
                        text, why=f"after {passed} of {format_duration(seconds)} in which all was to stay as it was"
                    )
                    for text in what
                )

    def _pods_agree(self, refs: Sequence[ObjectRef]) -> bool:
        """Whether every wanted pod was seen ready: sets are watched apart from their pods, and may be ahead."""
        return all(
            ordinal in owned and pod_ready(owned[ordinal])
            for ref in refs
            if ref.kind == "StatefulSet" and (body := self._mirror.get(ref)) is not None
            for owned in [owned_pods(body, self._mirror.all("Pod").values())]
            for ordinal in ordinals(body)
        )

    def verdict(self, ref: ObjectRef) -> Verdict:
        """The verdict on an object as last seen; unknown before it was."""
        body = self._mirror.get(ref)
        if body is None and self._mirror.synced(ref.kind):
            return Verdict(Status.UNKNOWN, "Deleted", "it was deleted by somebody")
        if body is None:
            return Verdict(Status.UNKNOWN, "NotSeen", "not seen yet")
        return judge(body, self._mirror.all("Pod").values())

    def seen(self, ref: ObjectRef) -> bool:
        """Whether a watch has shown the object."""
        return self._mirror.get(ref) is not None

    def rows(self, refs: Sequence[ObjectRef]) -> tuple[PodRow, ...]:
        """The final table: every wanted ordinal of every set."""
        rows: list[PodRow] = []
        for body in filter(None, (self._mirror.get(ref) for ref in refs if ref.kind == "StatefulSet")):
            pods = owned_pods(body, self._mirror.all("Pod").values())
            for ordinal in ordinals(body):
                pod = pods.get(ordinal)
                state = ordinal_state(
                    body, ordinal, pod, self._mirror.all("PersistentVolumeClaim"), self._cluster_time(body)
                )
                claims = tuple(self._claim_text(body, template, ordinal) for template in _templates(body))
                rows.append(PodRow(state.pod, state.stage, str(dig(pod, "spec", "nodeName", default="")), claims))
        return tuple(rows)

    def _claim_text(self, body: Json, template: str, ordinal: int) -> str:
        name = claim_name(template, body["metadata"]["name"], ordinal)
        claim = self._mirror.all("PersistentVolumeClaim").get(name)
        if claim is None:
            return name
        size = dig(claim, "status", "capacity", "storage") or dig(claim, "spec", "resources", "requests", "storage")
        return f"{name} {size} {dig(claim, 'spec', 'storageClassName', default='')}".rstrip()

    def _follow(self, refs: Sequence[ObjectRef]) -> None:
        part_of = f"{PART_OF_LABEL}={applyset_id(self._release, self._namespace)}"
        kinds = sorted({(ref.group, ref.kind) for ref in refs})
        for group, kind in kinds:
            self._mirror.follow(group, kind, part_of)
        if ("apps", "StatefulSet") in kinds:
            for kind in ("Pod", "PersistentVolumeClaim"):
                self._mirror.follow("", kind, self._selector)

    def _ordinal_states(self, refs: Sequence[ObjectRef]) -> list[OrdinalState]:
        """The ordinals whose stage is not the one shown last."""
        fresh: list[OrdinalState] = []
        pods = list(self._mirror.all("Pod").values())
        for ref in refs:
            body = self._mirror.get(ref)
            if body is None or ref.kind != "StatefulSet":
                continue
            owned, now = owned_pods(body, pods), self._cluster_time(body)
            for ordinal in sorted({*ordinals(body), *owned}):
                state = ordinal_state(body, ordinal, owned.get(ordinal), self._mirror.all("PersistentVolumeClaim"), now)
                before = self._shown.get((ref.name, ordinal))
                if before is None or (before.stage, before.done) != (state.stage, state.done):
                    self._shown[ref.name, ordinal] = state
                    fresh.append(state)
        return fresh

    def _cluster_time(self, statefulset: Json) -> datetime:
        """What the cluster's clock says at least, by what it wrote: it may be far ahead of what we know of it.

        Once the set's controller counts every replica as available, no minReadySeconds are left.
        """
        status, replicas = statefulset.get("status") or {}, statefulset["spec"].get("replicas", 1)
        if status.get("availableReplicas", 0) >= replicas and "observedGeneration" in status:
            return datetime.max.replace(tzinfo=UTC)
        made = (pod["metadata"].get("creationTimestamp") for pod in self._mirror.all("Pod").values())
        return max([self._now(), *(datetime.fromisoformat(text) for text in made if text)])

    def _causes(self, waiting: Sequence[ObjectRef]) -> dict[tuple[str, int], Cause]:
        scene = replace(
            self._evidence,
            pods=list(self._mirror.all("Pod").values()),
            claims=self._mirror.all("PersistentVolumeClaim"),
            now=self._now(),
            since=self._since,
        )
        return {
            (ref.name, ordinal): cause
            for ref in waiting
            if ref.kind == "StatefulSet" and (body := self._mirror.get(ref)) is not None
            for ordinal, cause in diagnose(body, scene).items()
        }

    def _still_there(self, ref: ObjectRef, gone: Collection[str]) -> bool:
        body = self._mirror.get(ref)
        if not gone or body is None or ref.kind != "StatefulSet":
            return False
        owned = owned_pods(body, self._mirror.all("Pod").values())
        return any(o not in owned or owned[o]["metadata"].get("uid") in gone for o in ordinals(body))

    def _blocking(self, waiting: Sequence[ObjectRef], causes: dict[tuple[str, int], Cause], now: float) -> Json | None:
        """The pod to delete next of those that block their own fix: the lowest, for which the controller waits.

        One that could still get ready by itself is left alone until it had the time for it.
        """
        pods = self._mirror.all("Pod")
        for ref in waiting:
            body = self._mirror.get(ref)
            if body is None or ref.kind != "StatefulSet":
                continue
            stopping = any(
                dig(pod, "metadata", "deletionTimestamp") for pod in owned_pods(body, pods.values()).values()
            )
            for name in trapped(body, pods.values())[:1]:
                uid, ordinal = str(pods[name]["metadata"]["uid"]), ordinal_of(name, ref.name)
                cause = causes.get((ref.name, -1 if ordinal is None else ordinal))
                hopeless = cause is not None and cause.weight is not Weight.TRANSIENT and cause.reason != "NotReady"
                late = now - self._trapped.setdefault(uid, now) >= self._patience.suspect
                if uid not in self._unstuck and not stopping and (hopeless or late):
                    return pods[name]
        return None

    def _delete(self, pod: Json) -> StepDone:
        """Delete this very pod; its claims stay, and its successor takes them."""
        ref = ObjectRef.of({"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"]})
        self._kube.delete(ref, uid=pod["metadata"]["uid"])
        self._unstuck.add(pod["metadata"]["uid"])
        return StepDone(ref, "deleted", "it was not ready, of an old revision, and blocked its own fix")

    def _failing(self, causes: dict[tuple[str, int], Cause], now: float) -> list[tuple[str, int]]:
        """The ordinals that will not heal: terminal ones at once, suspect ones when they last."""
        self._suspects = {key: since for key, since in self._suspects.items() if key in causes}
        failing: list[tuple[str, int]] = []
        for key, cause in causes.items():
            if cause.weight is Weight.TRANSIENT:
                self._suspects.pop(key, None)
                continue
            since = self._suspects.setdefault(key, now)
            if cause.weight is Weight.TERMINAL or now - since >= self._patience.suspect:
                failing.append(key)
        return failing

    def _deleted(self, waiting: Sequence[ObjectRef], now: float) -> list[ObjectRef]:
        """The objects that were applied and are gone: who replaces one has made it again after a moment."""
        missing = [ref for ref in waiting if self._mirror.synced(ref.kind) and self._mirror.get(ref) is None]
        self._missing = {ref: self._missing.get(ref, now) for ref in missing}
        return [ref for ref, since in self._missing.items() if now - since >= _LOOK]

    def _look(self) -> None:
        """Read what explains a silence, and is not worth a watch: events, classes, volumes, nodes."""
        self._evidence = read_evidence(self._kube, self._namespace)

    def _explain(self, causes: dict[tuple[str, int], Cause]) -> Iterator[OrdinalFailed]:
        worth = {key: cause for key, cause in causes.items() if cause.reason not in ("Waits", "NotCreated")} or causes
        for (set_name, ordinal), cause in sorted(worth.items()):
            log = last_lines(self._kube, self._namespace, cause.logs) if cause.logs else ()
            cause = explained(cause, log)
            yield OrdinalFailed(set_name, ordinal, cause.reason, cause.message, cause.hint, log)

    def _ended(self, waiting: Sequence[ObjectRef], failed: bool, seconds: float) -> ClusterError | TimedOutError:
        problems = [
            Problem(
                f"{ref}: {self.verdict(ref).message}",
                hint="what was applied stands; correct the cause and run the same command again",
            )
            for ref in waiting
        ]
        if failed:
            return FailedError(problems)
        head = Problem(f"not ready after {format_duration(seconds)}", hint="--timeout 30m waits longer")
        return TimedOutError([*problems, head])

    def _still(self, waiting: Sequence[ObjectRef], seconds: float) -> StillWaiting:
        causes = self._causes(waiting)
        names = ", ".join(f"{ref.kind}/{ref.name} ({self.verdict(ref).message})" for ref in waiting[:5])
        why = dict.fromkeys(
            cause.message + (f"; try: {cause.hint}" if cause.hint and cause.weight is not Weight.TRANSIENT else "")
            for cause in causes.values()
        )
        return StillWaiting(names, tuple(why)[:8], seconds)


def _templates(body: Json) -> list[str]:
    return [template["metadata"]["name"] for template in body["spec"].get("volumeClaimTemplates") or []]


def _restarts(pod: Json) -> int:
    return sum(int(one.get("restartCount", 0)) for one in dig(pod, "status", "containerStatuses", default=[]) or [])
