"""The live objects that releases hold, one list per kind for all of them, and what of them is not as recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord, live_digest
from berth.cluster.runner import all_of
from berth.core.drift import Drift, drift, missing
from berth.core.errors import DeniedError
from berth.core.objects import INSTANCE_LABEL, PART_OF_LABEL, Json, ObjectRef, applyset_id, dig
from berth.core.readiness import pod_selector
from berth.core.report import DOWN, Recorded

#: A group and a kind.
Kind = tuple[str, str]

#: Of more releases than this the objects are listed by what they have in common, not by their names.
_MANY = 20


def listings(
    kube: Kube,
    namespace: str | None,
    records: Sequence[ReleaseRecord],
    unread: set[Kind],
    *,
    besides: Collection[Kind] = (),
    always: Collection[Kind] = (),
) -> list[Callable[[], list[Json]]]:
    """One list per kind of what the releases hold, to be done at the same time, without the kinds of ``besides``.

    A kind that may not be read is added to ``unread``. Those of ``always`` are listed in any case.

    Raises:
        DeniedError: one of ``always`` may not be read.
    """
    kinds = sorted({(ref.group, ref.kind) for ref in _held(records)} - {*besides} | {*always})
    member, _ = selectors(records)

    def own(kind: Kind) -> list[Json]:
        return optional(kube, *kind, namespace, member, None if kind in always else unread)

    return [partial(own, kind) for kind in kinds]


def live_objects(
    kube: Kube, records: Sequence[ReleaseRecord], listed: Iterable[Json], unread: Collection[Kind]
) -> dict[ObjectRef, Json]:
    """Those of the listed objects that the releases hold, and what no list has shown, asked for by its name.

    Labels are lost in restores.
    """
    wanted = _held(records)
    live = {ref: body for body in listed if (ref := ObjectRef.of(body)) in wanted}
    rest = sorted(ref for ref in wanted - live.keys() if (ref.group, ref.kind) not in unread)
    live.update({ref: body for ref, body in zip(rest, all_of(rest, kube.get), strict=True) if body is not None})
    return live


def _held(records: Sequence[ReleaseRecord]) -> set[ObjectRef]:
    return {entry.ref for record in records if record.status not in DOWN for entry in record.inventory}


def selectors(records: Sequence[ReleaseRecord]) -> tuple[str, str | None]:
    """What selects the objects of the releases, and what their pods, None being all."""
    named = all(pod_selector(one.name, one.manifests) == f"{INSTANCE_LABEL}={one.name}" for one in records)
    if len(records) > _MANY:
        return PART_OF_LABEL, INSTANCE_LABEL if named else None
    ids = ",".join(applyset_id(record.name, record.namespace) for record in records)
    names = ",".join(sorted({record.name for record in records}))
    return f"{PART_OF_LABEL} in ({ids})", f"{INSTANCE_LABEL} in ({names})" if named else None


def optional(
    kube: Kube,
    group: str,
    kind: str,
    namespace: str | None,
    selector: str | None,
    unread: set[Kind] | None,
) -> list[Json]:
    """The objects of a kind; where they may not be read none, which is noted in ``unread``.

    Raises:
        DeniedError: they may not be read, and ``unread`` is None.
    """
    try:
        return kube.list(group, kind, namespace, label_selector=selector).items
    except DeniedError:
        if unread is None:
            raise
        unread.add((group, kind))
        return []


def drifted(record: ReleaseRecord, live: Mapping[ObjectRef, Json], unread: Collection[Kind]) -> Iterator[Drift]:
    """What changed since the last run; of an object that was never applied nothing is known."""
    if record.status in DOWN:
        return
    manifests = {ObjectRef.of(manifest): manifest for manifest in record.manifests}
    for entry in record.inventory:
        body, manifest = live.get(entry.ref), manifests.get(entry.ref)
        if (entry.ref.group, entry.ref.kind) in unread or manifest is None or not entry.live_digest:
            continue
        if body is None:
            yield missing(entry.ref)
        elif entry.live_digest != live_digest(body):
            yield from (one for one in drift(manifest, body, record.updated) if not _rolling(record, one))


def _rolling(record: ReleaseRecord, one: Drift) -> bool:
    """Whether a rollout that is under way has done it: it lowers the partition step by step."""
    mark = record.rollout
    return (
        mark is not None and one.ref.name == mark.set_name and one.path.startswith("spec.updateStrategy.rollingUpdate")
    )


def recorded_of(record: ReleaseRecord, unread: Collection[Kind] = ()) -> Recorded:
    """What of a record is told, without the objects of kinds that may not be read."""
    return Recorded(
        record.name,
        record.namespace,
        record.profile,
        record.environment,
        record.revision,
        record.status,
        record.updated,
        tuple(entry.ref for entry in record.inventory if (entry.ref.group, entry.ref.kind) not in unread),
        record.manifests,
        str(dig(record.values, "clusterDomain", default="cluster.local")),
        record.rollout.held if record.rollout else None,
    )
