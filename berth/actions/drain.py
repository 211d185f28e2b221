"""`drain-check`: what a drain of nodes would do to the pods of releases; nothing here writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from berth.actions.inventory import optional, recorded_of
from berth.actions.roles import Operations, read_roles
from berth.actions.status import Selection, choose
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.cluster.runner import all_of
from berth.core.drain import NodeDrain, Scene, check, unplaced
from berth.core.errors import InputError, did_you_mean
from berth.core.objects import Json, ObjectRef
from berth.core.report import DOWN, Snapshot
from berth.core.status import by_controller


@dataclass(frozen=True, slots=True)
class FoundDrains:
    """The nodes by name, how many releases were looked at, and what could not be found out, in words."""

    nodes: tuple[NodeDrain, ...]
    releases: int
    notes: tuple[str, ...] = ()


def drain_check(
    kube: Kube, selection: Selection, nodes: Sequence[str] = (), operations: Operations | None = None
) -> FoundDrains:
    """What a drain of each node would do: of those named, else of all that hold pods of the chosen releases.

    ``operations`` gives those of a profile, of which ``role`` is run in pods that run, for five seconds at most; None
    runs none. One list per kind for all releases.

    Raises:
        InputError: a name or a profile that no release has; a node that does not exist.
        DeniedError: records, sets, pods, claims or budgets may not be read.
    """
    records = choose(kube, selection)
    unread: set[tuple[str, str]] = set()
    space = selection.namespace

    def whole(group: str, kind: str) -> Callable[[], list[Json]]:
        return lambda: kube.list(group, kind, space).items

    work: list[Callable[[], list[Json]]] = [
        whole("apps", "StatefulSet"),
        whole("", "Pod"),
        whole("", "PersistentVolumeClaim"),
        whole("policy", "PodDisruptionBudget"),
        lambda: optional(kube, "", "PersistentVolume", None, None, unread),
        lambda: optional(kube, "", "Node", None, None, unread),
    ]
    sets, pods, claims, budgets, volumes, known = all_of(work, lambda task: task())
    by_ref = {ObjectRef.of(body): body for body in sets}
    scene = Scene(
        [(record.name, body) for record in records for body in _sets(record, by_ref)],
        pods,
        claims,
        budgets,
        None if ("", "PersistentVolume") in unread else {body["metadata"]["name"]: body for body in volumes},
        None if ("", "Node") in unread else {body["metadata"]["name"]: body for body in known},
    )
    if scene.nodes is not None:
        _require(nodes, scene.nodes)
    notes = [*_notes(records, unread), *(f"{pod} has no node yet, and is left out" for pod in unplaced(scene))]
    if operations is not None:
        seen = Snapshot(by_ref, kube.server_time(), by_controller(pods))
        recorded = [recorded_of(record) for record in records if record.status not in DOWN]
        found, said = read_roles(kube, recorded, seen, operations)
        roles = {pod: role.text for pod, some in found.items() for role in some if role.text and not role.failed}
        scene, notes = replace(scene, roles=roles), [*notes, *said]
    return FoundDrains(check(scene, nodes), len(records), tuple(notes))


def _sets(record: ReleaseRecord, live: dict[ObjectRef, Json]) -> list[Json]:
    if record.status in DOWN:
        return []
    return [live[ref] for ref in map(ObjectRef.of, record.manifests) if ref in live]


def _require(wanted: Sequence[str], known: Collection[str]) -> None:
    missing = [node for node in wanted if node not in known]
    if missing:
        hint = did_you_mean(missing[0], known) or f"one of: {', '.join(sorted(known))}"
        raise InputError(f"there is no node {', '.join(missing)}", hint=hint)


def _notes(records: Sequence[ReleaseRecord], unread: set[tuple[str, str]]) -> list[str]:
    words = {"Node": "whether pods could run elsewhere", "PersistentVolume": "where volumes are bound to"}
    orphaned = [one for one in records if one.status == "orphaned"]
    said = [f"{kind}s may not be listed: {words[kind]} is not known" for _, kind in sorted(unread)]
    said += [f"release {one.name} was taken down: it has no pods" for one in records if one.status == "removed"]
    said += [f"the set of release {one.name} was deleted: a drain loses its pods" for one in orphaned]
    return said
