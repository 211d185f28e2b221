"""Removes objects and waits until they are really gone, naming what holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from berth.cluster.kube import Kube
from berth.cluster.mirror import Mirror
from berth.cluster.waiting import SILENCE, Patience
from berth.core.errors import BerthError, Problem, TimedOutError
from berth.core.events import Event, Notice, OrdinalState, StillWaiting
from berth.core.objects import Json, ObjectRef, dig, ordinal_of, pod_name
from berth.core.quantities import format_duration
from berth.core.readiness import owned_pods

#: A set whose scaling down does not move for this long is deleted at once: a broken pod can block it for ever.
_STALLED = 45.0


class Removal:
    """Deletes in one namespace; ``alive`` is called before each write and raises to stop."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        patience: Patience,
        monotonic: Callable[[], float],
        alive: Callable[[], None],
    ) -> None:
        self._kube, self._namespace, self._patience = kube, namespace, patience
        self._monotonic, self._alive = monotonic, alive

    def delete(self, body: Json, propagation: str = "Background") -> None:
        """Delete this very object: one that was made anew under the name since is left alone."""
        self._alive()
        self._kube.delete(ObjectRef.of(body), uid=body["metadata"]["uid"], propagation=propagation)

    def retain_claims(self, statefulset: Json) -> None:
        """Take the claims out of the set's hands, which may be set to delete them when it is scaled or deleted.

        The controller removes its owner references from the claims; this waits for that. Source: KEP-1847,
        persistentVolumeClaimRetentionPolicy.

        Raises:
            TimedOutError: it did not, so that going on would delete data that is to be kept.
        """
        ref = ObjectRef.of(statefulset)
        policy = dig(statefulset, "spec", "persistentVolumeClaimRetentionPolicy", default={})
        if "Delete" not in policy.values():
            return
        self._alive()
        kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
        this = {"uid": statefulset["metadata"]["uid"]}
        self._kube.patch(ref, {"metadata": this, "spec": {"persistentVolumeClaimRetentionPolicy": kept}})
        started = self._monotonic()
        with Mirror(self._kube, self._namespace) as mirror:
            mirror.follow("", "PersistentVolumeClaim")
            while True:
                mirror.take()
                self._alive()
                held = [
                    claim
                    for claim in mirror.all("PersistentVolumeClaim").values()
                    if any(
                        owner["kind"] in ("StatefulSet", "Pod")
                        and (owner["name"] == ref.name or ordinal_of(owner["name"], ref.name) is not None)
                        for owner in dig(claim, "metadata", "ownerReferences", default=[])
                    )
                ]
                if mirror.synced("PersistentVolumeClaim") and not held:
                    return
                if self._monotonic() - started > self._patience.timeout:
                    raise TimedOutError(
                        Problem(
                            f"claim {claim['metadata']['name']} still belongs to {ref}, and would be deleted with it",
                            why="the controller did not take its owner reference away",
                            hint="is the set healthy? nothing was deleted",
                        )
                        for claim in held
                    )

    def scale_to_zero(self, statefulset: Json) -> Iterator[Event]:
        """Stop the pods from the highest ordinal down, and wait until none is left."""
        ref = ObjectRef.of(statefulset)
        with Mirror(self._kube, self._namespace) as mirror:
            mirror.follow("", "Pod")
            # The picture comes first, so that no pod stops unseen.
            while not mirror.synced("Pod"):
                mirror.take()
                self._alive()
            gone = dig(statefulset, "metadata", "deletionTimestamp")
            if not gone and dig(statefulset, "spec", "replicas", default=1) != 0:
                self._kube.scale(ref, 0, uid=statefulset["metadata"]["uid"])
            yield from self._until_stopped(statefulset, mirror)

    def _until_stopped(self, statefulset: Json, mirror: Mirror) -> Iterator[Event]:
        ref = ObjectRef.of(statefulset)
        started = moved = self._monotonic()
        present: set[int] = set()
        stopping: set[int] = set()
        while True:
            owned = owned_pods(statefulset, mirror.all("Pod").values())
            present |= set(owned)
            now = self._monotonic()
            for ordinal in sorted(present - stopping, reverse=True):
                if ordinal not in owned or dig(owned[ordinal], "metadata", "deletionTimestamp"):
                    stopping.add(ordinal)
                    moved = now
                    grace = dig(statefulset, "spec", "template", "spec", "terminationGracePeriodSeconds", default=30)
                    pod = pod_name(ref.name, ordinal)
                    yield OrdinalState(ref.name, ordinal, pod, "stopping", f"up to {grace}s")
            for ordinal in sorted(present - set(owned), reverse=True):
                present.discard(ordinal)
                moved = now
                yield OrdinalState(ref.name, ordinal, pod_name(ref.name, ordinal), "gone", done=True)
            if not owned:
                return
            if not stopping & set(owned) and now - moved > _STALLED:
                left = ", ".join(pod["metadata"]["name"] for _, pod in sorted(owned.items()))
                yield Notice(
                    f"{ref.name} does not scale down any further ({left}): a pod that is not ready blocks "
                    "the order; deleting the set with all its pods",
                    "warning",
                )
                return
            if now - started > self._patience.timeout:
                raise self._late([ObjectRef("", "Pod", ref.namespace, pod_name(ref.name, o)) for o in sorted(owned)])
            mirror.take()
            self._alive()

    def until_gone(self, refs: Sequence[ObjectRef]) -> Iterator[Event]:
        """Wait until objects no longer exist.

        Raises:
            TimedOutError: some still do; the error names their finalizers and, for claims, the pods that use them.
        """
        waiting = [ref for ref in refs if self._kube.get(ref) is not None]
        if not waiting:
            return
        started = spoke = self._monotonic()
        with Mirror(self._kube, self._namespace) as mirror:
            for group, kind in sorted({(ref.group, ref.kind) for ref in waiting}):
                mirror.follow(group, kind)
            while True:
                mirror.take()
                self._alive()
                waiting = [ref for ref in waiting if not mirror.synced(ref.kind) or mirror.get(ref) is not None]
                now = self._monotonic()
                if not waiting:
                    return
                if now - started > self._patience.timeout:
                    raise self._late(waiting)
                if now - spoke >= SILENCE:
                    spoke = now
                    names = ", ".join(f"{ref.kind}/{ref.name}" for ref in waiting[:5])
                    yield StillWaiting(names, tuple(self._held(ref) for ref in waiting[:5]), now - started)

    def _late(self, waiting: Sequence[ObjectRef]) -> TimedOutError:
        seconds = format_duration(self._patience.timeout)
        return TimedOutError(
            Problem(
                f"{ref} is still there after {seconds}",
                why=self._held(ref),
                hint="remove what holds it, and run the same command again",
            )
            for ref in waiting
        )

    def _held(self, ref: ObjectRef) -> str:
        """What keeps an object from going: its finalizers, and the pods that use a claim."""
        try:
            body = self._kube.get(ref)
            pods = self._kube.list("", "Pod", ref.namespace).items if ref.kind == "PersistentVolumeClaim" else []
        except BerthError as error:
            return f"it cannot be read: {error.problems[0].what}"
        if body is None:
            return "it is gone by now"
        finalizers = ", ".join(dig(body, "metadata", "finalizers", default=[]))
        held = f"held by finalizer {finalizers}" if finalizers else "it has no finalizer; the server is still at it"
        users = [
            pod["metadata"]["name"]
            for pod in pods
            for volume in dig(pod, "spec", "volumes", default=[])
            if dig(volume, "persistentVolumeClaim", "claimName") == ref.name
        ]
        return held + (f", in use by pod {', '.join(users)}" if users else "")
