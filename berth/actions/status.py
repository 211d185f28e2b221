"""Reads how releases stand: one list per kind for all of them, at the same time; nothing here writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from berth.actions.inventory import drifted, listings, live_objects, optional, recorded_of, selectors
from berth.actions.roles import SHORT, Operations, read_roles
from berth.cluster.evidence import read_evidence
from berth.cluster.kube import Kube
from berth.cluster.lock import held_by
from berth.cluster.record import RECORD_TYPE, RELEASE_LABEL, ReleaseRecord
from berth.cluster.release import list_releases, load
from berth.cluster.runner import all_of
from berth.cluster.watch import Trouble, Watcher, WatchEvent
from berth.core.diagnosis import Scene
from berth.core.errors import DeniedError, InputError, did_you_mean
from berth.core.objects import MANAGED_BY_LABEL, Json
from berth.core.report import ReleaseReport, Snapshot
from berth.core.status import by_controller, report

#: How long news are gathered before a watched status is read again, in seconds, and after how long at the latest.
_GATHER, _LATEST = 0.3, 10.0

_BUDGET, _SET = ("policy", "PodDisruptionBudget"), ("apps", "StatefulSet")


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
    longest: float = SHORT,
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
    recorded = [recorded_of(record, unread) for record in records]
    notes = [f"may not be read, and is left out: {kind}" for kind in sorted(kind for _, kind in unread)]
    drifts = [tuple(drifted(record, seen.live, unread)) for record in records]
    if operations is not None:
        roles, said = read_roles(kube, recorded, seen, operations, wanted, longest)
        seen, notes = replace(seen, roles=roles), [*notes, *said]
    pairs = list(zip(recorded, drifts, strict=True))
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
    _, instance = selectors(records)
    unread: set[tuple[str, str]] = set()
    namespace = selection.namespace
    # Budgets are listed whole: also those that the releases did not make hold for their pods.
    work: list[Callable[[], Any]] = [*listings(kube, namespace, records, unread, besides=(_BUDGET,), always=(_SET,))]
    denied: set[tuple[str, str]] = set()
    managed = f"{MANAGED_BY_LABEL}=berth"
    work += [
        lambda: kube.list("", "Pod", namespace, label_selector=instance).items,
        lambda: kube.list("", "PersistentVolumeClaim", namespace).items,
        lambda: optional(kube, *_BUDGET, namespace, None, unread),
        lambda: optional(kube, "coordination.k8s.io", "Lease", namespace, managed, denied),
        lambda: optional(kube, "", "Node", None, None, denied),
    ]
    *owned, pods, claims, budgets, leases, nodes = all_of(work, lambda task: task())
    live = live_objects(kube, records, (body for bodies in (*owned, budgets) for body in bodies), unread)
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
