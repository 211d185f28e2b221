"""Reads how releases stand: one list per kind for all of them, at the same time; nothing here writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from berth.actions.operations import Outcome, Result, run_operation
from berth.cluster.evidence import read_evidence
from berth.cluster.kube import Kube
from berth.cluster.lock import held_by
from berth.cluster.release import RECORD_TYPE, RELEASE_LABEL, ReleaseRecord, list_releases, live_digest, load
from berth.cluster.runner import all_of, in_parallel
from berth.cluster.watch import Trouble, Watcher, WatchEvent
from berth.core.diagnosis import Scene, telling
from berth.core.drift import Drift, drift, missing
from berth.core.errors import BerthError, DeniedError, InputError, did_you_mean
from berth.core.objects import INSTANCE_LABEL, MANAGED_BY_LABEL, PART_OF_LABEL, Json, ObjectRef, applyset_id, dig
from berth.core.operations import Operation
from berth.core.readiness import pod_ready
from berth.core.report import DOWN, Recorded, ReleaseReport, Role, Snapshot
from berth.core.status import by_controller, report

#: Of more releases than this the objects are listed by what they have in common, not by their names.
_MANY = 20
#: How long a profile's operation may take in a pod, in seconds: a status is no place to wait.
_SHORT = 5.0
#: How long news are gathered before a watched status is read again, in seconds, and after how long at the latest.
_GATHER, _LATEST = 0.3, 10.0

_BUDGET = ("policy", "PodDisruptionBudget")

#: The operations of a profile by name.
Operations = Callable[[str], Mapping[str, Operation]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which releases: of one namespace, or of all for None; by name, by profiles, by both, else every one."""

    namespace: str | None
    name: str | None = None
    profiles: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether the releases were named, so that one that was taken down is not what was expected."""
        return bool(self.name or self.profiles)


@dataclass(frozen=True, slots=True)
class Found:
    """The reports, by namespace and release, and what could not be found out, in words."""

    reports: tuple[ReleaseReport, ...]
    notes: tuple[str, ...] = ()


def choose(kube: Kube, selection: Selection) -> list[ReleaseRecord]:
    """The records of the releases that are meant, by namespace and name.

    Raises:
        InputError: a name or a profile that no release has.
        UnreadableError: a record is damaged.
    """
    if selection.name and selection.namespace and not selection.profiles:
        # Without reading the others, of which one may be damaged.
        named = load(kube, selection.namespace, selection.name)
        if named is not None:
            return [named]
    records = list_releases(kube, selection.namespace)
    where = f"in {selection.namespace}" if selection.namespace else "in any namespace"
    if selection.name:
        records = tuple(_having("name", selection.name, records, where))
    if selection.profiles:
        chosen = {id(r): r for word in selection.profiles for r in _having("profile", word, records, where)}
        return [record for record in records if id(record) in chosen]
    return list(records)


def _having(what: str, word: str, records: Sequence[ReleaseRecord], where: str) -> list[ReleaseRecord]:
    found = [record for record in records if getattr(record, what) == word]
    if not found:
        known = {str(getattr(record, what)) for record in records}
        said = f"no release {word} {where}" if what == "name" else f"no release of profile {word} {where}"
        hint = did_you_mean(word, known) if known else "`invoke up` makes one; or another --namespace or --context?"
        raise InputError(said, hint=hint)
    return found


def status(
    kube: Kube,
    selection: Selection,
    operations: Operations | None,
    wanted: Sequence[str] = ("role",),
    longest: float = _SHORT,
) -> Found:
    """How the chosen releases stand.

    ``operations`` gives those of a profile, of which the ``wanted`` are run in pods that run, each for ``longest``
    seconds at most; None runs none. Events and the like are read only where a release is not current.

    Raises:
        InputError: see `choose`.
        DeniedError: no permission for what there is no status without: records, sets, pods, claims.
    """
    records = choose(kube, selection)
    if not records:
        return Found(())
    seen, unread = _read(kube, selection, records)
    recorded = [_recorded(record, unread) for record in records]
    notes = [f"may not be read, and is left out: {kind}" for kind in sorted(kind for _, kind in unread)]
    drifted = [tuple(_drift(record, seen.live, unread)) for record in records]
    if operations is not None:
        roles, said = _roles(kube, recorded, seen, operations, wanted, longest)
        seen, notes = replace(seen, roles=roles), [*notes, *said]
    pairs = list(zip(recorded, drifted, strict=True))
    reports = [report(one, seen, its) for one, its in pairs]
    spaces = sorted({one.namespace for one in reports if not one.verdict.current and not one.down})
    if spaces:
        evidence = _evidence(kube, spaces)
        seen = replace(seen, evidence=evidence)
        reports = [
            report(one, seen, its) if one.namespace in evidence else done
            for (one, its), done in zip(pairs, reports, strict=True)
        ]
    return Found(tuple(reports), tuple(notes))


def _evidence(kube: Kube, spaces: Sequence[str]) -> dict[str, Scene]:
    """What explains the releases of some namespaces, read for all of them at once."""
    scene = read_evidence(kube, spaces[0] if len(spaces) == 1 else None)
    events = _by_namespace(scene.events)
    return {space: replace(scene, events=events.get(space, ())) for space in spaces}


def _read(
    kube: Kube, selection: Selection, records: Sequence[ReleaseRecord]
) -> tuple[Snapshot, frozenset[tuple[str, str]]]:
    """The live objects, and the kinds that may not be read."""
    up = [record for record in records if record.status not in DOWN]
    wanted = {entry.ref for record in up for entry in record.inventory}
    # Budgets are listed whole: also those that the releases did not make hold for their pods.
    kinds = sorted({(ref.group, ref.kind) for ref in wanted} - {_BUDGET} | {("apps", "StatefulSet")})
    member, instance = _selectors(records)
    unread: set[tuple[str, str]] = set()
    namespace = selection.namespace

    def own(kind: tuple[str, str]) -> list[Json]:
        return _optional(kube, *kind, namespace, member, unread if kind != ("apps", "StatefulSet") else None)

    work: list[Callable[[], Any]] = [lambda kind=kind: own(kind) for kind in kinds]  # type: ignore[misc]
    denied: set[tuple[str, str]] = set()
    managed = f"{MANAGED_BY_LABEL}=berth"
    work += [
        lambda: kube.list("", "Pod", namespace, label_selector=instance).items,
        lambda: kube.list("", "PersistentVolumeClaim", namespace).items,
        lambda: _optional(kube, *_BUDGET, namespace, None, unread),
        lambda: _optional(kube, "coordination.k8s.io", "Lease", namespace, managed, denied),
        lambda: _optional(kube, "", "Node", None, None, denied),
    ]
    *owned, pods, claims, budgets, leases, nodes = all_of(work, lambda task: task())
    live = {ref: body for bodies in (*owned, budgets) for body in bodies if (ref := ObjectRef.of(body)) in wanted}
    # Labels are lost in restores: what no list has shown is asked for by its name.
    rest = sorted(ref for ref in wanted - live.keys() if (ref.group, ref.kind) not in unread)
    live.update({ref: body for ref, body in zip(rest, all_of(rest, kube.get), strict=True) if body is not None})
    now = kube.server_time()
    seen = Snapshot(
        live,
        now,
        by_controller(pods),
        _by_namespace(claims),
        budgets,
        {body["metadata"]["name"]: body for body in nodes},
        _busy(leases, now),
    )
    return seen, frozenset(unread)


def _selectors(records: Sequence[ReleaseRecord]) -> tuple[str, str]:
    """What selects the objects of the releases, and what their pods."""
    if len(records) > _MANY:
        return PART_OF_LABEL, INSTANCE_LABEL
    ids = ",".join(applyset_id(record.name, record.namespace) for record in records)
    names = ",".join(sorted({record.name for record in records}))
    return f"{PART_OF_LABEL} in ({ids})", f"{INSTANCE_LABEL} in ({names})"


def _optional(
    kube: Kube,
    group: str,
    kind: str,
    namespace: str | None,
    selector: str | None,
    unread: set[tuple[str, str]] | None,
) -> list[Json]:
    try:
        return kube.list(group, kind, namespace, label_selector=selector).items
    except DeniedError:
        if unread is None:
            raise
        unread.add((group, kind))
        return []


def _by_namespace(bodies: Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for body in bodies:
        found.setdefault(str(body["metadata"].get("namespace", "")), []).append(body)
    return found


def _busy(leases: Iterable[Json], now: datetime) -> dict[tuple[str, str], str]:
    prefix = "berth.release."
    return {
        (str(meta.get("namespace", "")), str(meta["name"]).removeprefix(prefix)): holder
        for lease in leases
        if (meta := lease["metadata"])["name"].startswith(prefix) and (holder := held_by(lease, now))
    }


def _recorded(record: ReleaseRecord, unread: frozenset[tuple[str, str]]) -> Recorded:
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
    )


def _drift(
    record: ReleaseRecord, live: Mapping[ObjectRef, Json], unread: frozenset[tuple[str, str]]
) -> Iterator[Drift]:
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
            yield from drift(manifest, body, record.updated)


def _roles(
    kube: Kube,
    recorded: Sequence[Recorded],
    seen: Snapshot,
    operations: Operations,
    wanted: Sequence[str],
    longest: float,
) -> tuple[dict[tuple[str, str], list[Role]], list[str]]:
    """What the profiles' operations say in the pods that run, and what was not found out.

    One is asked first: where that runs no containers, nor do the others.
    """
    tasks, notes = _tasks(recorded, seen, operations, wanted, longest)
    silent: dict[tuple[str, str], list[str]] = {}
    roles: dict[tuple[str, str], list[Role]] = {}
    for some in (tasks[:1], tasks[1:]):
        for (namespace, operation, pod), outcome in in_parallel(some, lambda task: _run(kube, *task)):
            name = pod["metadata"]["name"]
            if isinstance(outcome, BerthError):
                notes.append(f"operation {operation.name} was not run: {outcome.problems[0].what}")
            elif outcome.outcome is Outcome.NOT_RUN:
                notes.append(f"operations were not run: {name}: {outcome.why}")
                if not roles and pod is tasks[0][2]:
                    return roles, notes
            elif outcome.code is None:
                # A busy machine is no broken release, and a container that went away in between is told by its pod.
                silent.setdefault((operation.name, outcome.why), []).append(name)
            else:
                roles.setdefault((namespace, name), []).append(_role(operation.name, outcome, pod_ready(pod)))
    notes += [f"operation {name} has no result in {', '.join(pods)}: {why}" for (name, why), pods in silent.items()]
    return roles, list(dict.fromkeys(notes))


def _tasks(
    recorded: Sequence[Recorded], seen: Snapshot, operations: Operations, wanted: Sequence[str], longest: float
) -> tuple[list[tuple[str, Operation, Json]], list[str]]:
    """Which operation is to be run in which pod, by namespace: only a ready pod has to pass others than ``role``."""
    tasks: list[tuple[str, Operation, Json]] = []
    notes: list[str] = []
    known: dict[str, Mapping[str, Operation]] = {}
    for one in recorded:
        running = [
            pod
            for pod in _pods(one, seen)
            if dig(pod, "status", "phase") == "Running" and not dig(pod, "metadata", "deletionTimestamp")
        ]
        if running and one.profile not in known:
            try:
                known[one.profile] = operations(one.profile)
            except InputError as error:
                known[one.profile] = {}
                notes.append(f"operations of profile {one.profile} were not run: {error.problems[0].what}")
        for operation in (known[one.profile][name] for name in wanted if running and name in known[one.profile]):
            short = replace(operation, timeout=min(operation.timeout, longest))
            tasks += [(one.namespace, short, pod) for pod in running if operation.name == "role" or pod_ready(pod)]
    return tasks, notes


def _run(kube: Kube, namespace: str, operation: Operation, pod: Json) -> Result:
    return run_operation(kube, namespace, operation, [pod])[0]


def _role(name: str, result: Result, ready: bool) -> Role:
    """Only of the operation ``role`` the output is a role; a pod that is not ready need not pass any."""
    output = result.output.strip().splitlines()
    if result.passed:
        return Role(name, output[0] if output and name == "role" else "")
    if not ready:
        return Role(name)
    said = telling(output)
    return Role(name, "", f"{result.outcome}: {result.why}" + (f": {said}" if said else ""))


def _pods(one: Recorded, seen: Snapshot) -> Iterator[Json]:
    for manifest in one.manifests:
        if manifest.get("kind") == "StatefulSet":
            live = seen.live.get(ObjectRef.of(manifest))
            yield from seen.pods.get(str(dig(live, "metadata", "uid", default="")), ())


def follow(kube: Kube, selection: Selection, look: Callable[[], None]) -> None:
    """Call ``look`` now, and whenever sets, pods, claims or records change, until it raises.

    Raises:
        DeniedError: one of them may not be watched.
    """
    news, ended = threading.Event(), []

    def deliver(event: WatchEvent) -> None:
        if isinstance(event, Trouble) and event.final:
            ended.append(event.message)
        news.set()

    records = f"{MANAGED_BY_LABEL}=berth,{RELEASE_LABEL}"
    kinds = [
        ("apps", "StatefulSet", None, None),
        ("", "Pod", None, None),
        ("", "PersistentVolumeClaim", None, None),
        ("", "Secret", records, f"type={RECORD_TYPE}"),
    ]
    watchers = [
        Watcher(kube, group, kind, selection.namespace, deliver, label_selector=labels, field_selector=fields)
        for group, kind, labels, fields in kinds
    ]
    try:
        for watcher in watchers:
            watcher.start()
        while True:
            news.clear()
            look()
            news.wait(_LATEST)
            time.sleep(_GATHER)
            if ended:
                raise DeniedError("the releases can no longer be followed", why=ended[0])
    finally:
        for watcher in watchers:
            watcher.stop()
