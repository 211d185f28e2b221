"""`drift`: what others have changed of releases since their last run, and what takes it back; nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from berth.actions.inventory import drifted, listings, live_objects, recorded_of
from berth.actions.status import Selection, choose
from berth.actions.survey import autoscaled_sets
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.cluster.runner import all_of
from berth.core.drift import Drift, Way
from berth.core.objects import Json, ObjectRef
from berth.core.report import DOWN, Recorded


@dataclass(frozen=True, slots=True)
class ReleaseDrift:
    """What of one release is not as recorded."""

    record: Recorded
    fields: tuple[Drift, ...]

    @property
    def down(self) -> bool:
        """Whether it was taken down, so that there is nothing to compare."""
        return self.record.status in DOWN


@dataclass(frozen=True, slots=True)
class FoundDrift:
    """The releases by namespace and name, and what could not be found out, in words."""

    releases: tuple[ReleaseDrift, ...]
    notes: tuple[str, ...] = ()


def find_drift(kube: Kube, selection: Selection) -> FoundDrift:
    """What others have changed of the chosen releases: one list per kind for all of them.

    Raises:
        InputError: a name or a profile that no release has.
        DeniedError: the records may not be read.
    """
    records = choose(kube, selection)
    unread: set[tuple[str, str]] = set()
    lists = all_of(listings(kube, selection.namespace, records, unread), lambda task: task())
    live = live_objects(kube, records, (body for bodies in lists for body in bodies), unread)
    notes = [f"may not be read, and is left out: {kind}" for kind in sorted(kind for _, kind in unread)]
    releases = [
        ReleaseDrift(recorded_of(record, unread), tuple(_told(kube, record, live, unread))) for record in records
    ]
    return FoundDrift(tuple(releases), tuple(notes))


def _told(
    kube: Kube, record: ReleaseRecord, live: dict[ObjectRef, Json], unread: set[tuple[str, str]]
) -> Iterator[Drift]:
    """The drift of a release; the number of pods that an autoscaler sets is its own, and `up` leaves it."""
    fields = tuple(drifted(record, live, unread))
    sets = {one.ref: live[one.ref] for one in fields if one.path == "spec.replicas" and one.ref in live}
    autoscaled = autoscaled_sets(kube, record.namespace, sets) if sets else frozenset()
    for one in fields:
        yield replace(one, way=Way.STAYS) if one.path == "spec.replicas" and one.ref in autoscaled else one
