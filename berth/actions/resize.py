"""Grows the claims of a set, and takes the set away from around its running pods, to be applied anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from berth.cluster.kube import Kube
from berth.cluster.mirror import Mirror
from berth.cluster.removal import Removal
from berth.cluster.waiting import SILENCE
from berth.core.errors import Problem, TimedOutError
from berth.core.events import Event, Notice, StepDone, StillWaiting
from berth.core.objects import Json, ObjectRef, dig
from berth.core.resize import ClaimGrowth, Growth, grown, waits_for_pod


def make_room(
    kube: Kube,
    growth: Growth,
    statefulset: Json,
    removal: Removal,
    timeout: float,
    monotonic: Callable[[], float],
    alive: Callable[[], None],
) -> Iterator[Event]:
    """Grow the claims, wait until the volumes have grown, then delete the set and leave its pods running.

    Stopped anywhere, the same command goes on from there: claims that have grown are left out, and a set that is gone
    is simply made.

    Raises:
        TimedOutError: a volume did not grow in time; the set still stands.
    """
    namespace = growth.ref.namespace
    for one in growth.claims:
        alive()
        ref = ObjectRef("", "PersistentVolumeClaim", namespace, one.claim)
        kube.patch(ref, {"spec": {"resources": {"requests": {"storage": one.new}}}})
        yield StepDone(ref, "updated", f"{one.old} -> {one.new}")
    yield from _until_grown(kube, namespace, growth.claims, timeout, monotonic, alive)
    removal.retain_claims(statefulset)
    removal.delete(statefulset, propagation="Orphan")
    yield from removal.until_gone([growth.ref])
    yield Notice(f"{growth.ref.kind}/{growth.ref.name} is replaced around its running pods")


def _until_grown(
    kube: Kube,
    namespace: str,
    claims: tuple[ClaimGrowth, ...],
    timeout: float,
    monotonic: Callable[[], float],
    alive: Callable[[], None],
) -> Iterator[Event]:
    if not claims:
        return
    with Mirror(kube, namespace) as mirror:
        mirror.follow("", "PersistentVolumeClaim")
        started = spoke = monotonic()
        while True:
            mirror.take()
            alive()
            present = mirror.all("PersistentVolumeClaim")
            waiting = [one for one in claims if one.claim not in present or not grown(present[one.claim], one.new)]
            if not waiting:
                break
            why = tuple(f"{one.claim}: {_said(present.get(one.claim, {}))}" for one in waiting)
            if monotonic() - started > timeout:
                raise TimedOutError(
                    Problem(
                        f"claim {one.claim} has not grown to {one.new}", why=text, hint="look at the storage driver"
                    )
                    for one, text in zip(waiting, why, strict=True)
                )
            if monotonic() - spoke >= SILENCE:
                spoke = monotonic()
                yield StillWaiting("volumes to grow", why, monotonic() - started)
        pending = [one.claim for one in claims if waits_for_pod(present[one.claim])]
    if pending:
        yield Notice(f"the file system of {', '.join(pending)} grows when the pod starts again", "warning")


def _said(claim: Json) -> str:
    """What the driver says of growing a volume."""
    conditions = dig(claim, "status", "conditions", default=[])
    return "; ".join(str(c.get("message") or c["type"]) for c in conditions) or "the driver has not begun"
