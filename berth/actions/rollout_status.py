"""`rollout.status`: how far a rollout is."""

from __future__ import annotations

from dataclasses import dataclass

from berth.actions.operations import pods_of
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.core.objects import ObjectRef, ordinals, pod_name
from berth.core.readiness import outdated, owned_pods, pod_ready
from berth.core.rollout import PAUSED, moved_text, on_delete, partition_of, ways


@dataclass(frozen=True, slots=True)
class Row:
    """One ordinal: whether its pod is of the set's newest revision, and ready; ``newest`` is None without a pod."""

    pod: str
    newest: bool | None
    ready: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """One set; ``partition`` is None under OnDelete."""

    name: str
    text: str
    partition: int | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """How a release stands: ``state`` is none, under way or stopped, paused, or why it is held."""

    record: ReleaseRecord
    state: str
    sets: tuple[Progress, ...]

    @property
    def broken(self) -> bool:
        """Whether it is held because an ordinal did not hold."""
        return self.record.rollout is not None and self.record.rollout.held not in ("", PAUSED)


def look(kube: Kube, record: ReleaseRecord) -> RolloutStatus:
    """How far the rollout of a release is; without one, which revisions its pods are of."""
    mark = record.rollout
    state = "none" if mark is None else (mark.held or "under way, or stopped")
    sets = [body for body in record.manifests if body["kind"] == "StatefulSet"]
    live = [body for one in sets if (body := kube.get(ObjectRef.of(one))) is not None]
    pods = pods_of(kube, record)
    found = []
    for body in live:
        owned, name = owned_pods(body, pods), str(body["metadata"]["name"])
        rows = tuple(
            Row(
                pod_name(name, ordinal),
                None if ordinal not in owned else not outdated(body, owned[ordinal]),
                ordinal in owned and pod_ready(owned[ordinal]),
            )
            for ordinal in ordinals(body)
        )
        partition = None if on_delete(body) else partition_of(body)
        found.append(Progress(name, moved_text(body, pods), partition, rows))
    return RolloutStatus(record, state, tuple(found))


def lines(found: RolloutStatus) -> list[str]:
    """The status for people."""
    record, mark = found.record, found.record.rollout
    head = f"release {record.name} in {record.namespace}, revision {record.revision}"
    if mark is None:
        shown = [f"{head}: no rollout is under way"]
    else:
        origin = f" from revision {mark.origin}" if mark.origin else ""
        shown = [f"{head}: a rollout{origin}: {'held: ' if mark.held else ''}{found.state}"]
    for one in found.sets:
        shown.append(f"  StatefulSet/{one.name}: {one.text}")
        shown += [
            f"    {row.pod}  {'absent' if row.newest is None else 'new' if row.newest else 'old'}"
            f"{'' if row.ready else '  not ready'}"
            for row in one.rows
        ]
    if mark is not None:
        shown.append(ways(record.name, record.namespace))
    return shown


def as_json(found: RolloutStatus) -> dict[str, object]:
    """The status for machines."""
    record, mark = found.record, found.record.rollout
    return {
        "release": record.name,
        "namespace": record.namespace,
        "revision": record.revision,
        "rollout": None if mark is None else {"set": mark.set_name, "origin": mark.origin, "held": mark.held},
        "sets": [
            {
                "name": one.name,
                "partition": one.partition,
                "pods": [{"pod": row.pod, "newest": row.newest, "ready": row.ready} for row in one.rows],
            }
            for one in found.sets
        ],
    }
