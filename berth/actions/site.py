"""`up` and `teardown` over a site: clusters in their order, releases as they need one another, one recap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from berth.actions.applying import Applying, Options
from berth.actions.clock import Clock
from berth.actions.plan import During, Planned, plan_release
from berth.actions.roles import Operations
from berth.actions.sitefile import Key, Placed
from berth.actions.status import Found, Selection, status
from berth.actions.teardown import Inspection, teardown
from berth.actions.teardown import Options as TeardownOptions
from berth.actions.together import STOPPED, Outcome, Place, Work, code_of, places, work_through
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.cluster.release import list_releases, load
from berth.cluster.runner import all_of, in_parallel
from berth.core.errors import BerthError, DeniedError, InputError, InterruptedRunError, Problem
from berth.core.events import Event, Notice, SiteDone, TargetCode
from berth.core.objects import ObjectRef
from berth.core.quantities import format_duration
from berth.core.report import ReleaseReport

#: How many releases are worked on at the same time.
PARALLEL = 8

_KUBE_SYSTEM = ObjectRef("", "Namespace", "", "kube-system")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of the run: the target's name in the site ("" for the one of the run), its context, a connection.

    ``kubeconfig`` is the file that has to be named beside the context, or "".
    """

    name: str
    context: str
    kube: Kube
    order: int = 0
    kubeconfig: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run goes from cluster to cluster.

    ``soak`` is how many seconds the releases of one order must stay as they are before the next begins; at
    ``max_failed`` clusters with a failure nothing of a later order is begun.
    """

    parallel: int = PARALLEL
    soak: float = 0.0
    max_failed: int = 1
    options: Options = field(default_factory=Options)
    rollout: During = "refuse"


def up_site(
    site: str, clusters: Sequence[Cluster], releases: Sequence[Placed], pace: Pace, clock: Clock
) -> Generator[Event, None, list[Outcome]]:
    """Bring the releases of a site up, and return how each ended.

    Clusters of the same order are worked on at the same time. Each release is planned when those that it needs are up:
    its checks may depend on what they bring. A failed one stops what needs it on its cluster, and nothing else there.
    """
    started = clock.monotonic()
    outcomes: list[Outcome] = []
    stopped = threading.Event()
    used = [cluster for cluster in clusters if any(one.target == cluster.name for one in releases)]
    waves = [list(wave) for _, wave in groupby(sorted(used, key=_order), key=_order)]
    for number, wave in enumerate(waves):
        kubes = {cluster.name: cluster.kube for cluster in wave}
        here = [one for one in releases if one.target in kubes]
        failed = _failed(outcomes)
        if stopped.is_set() or len(failed) >= pace.max_failed:
            names = ", ".join(name or "the target of the run" for name in failed)
            why = STOPPED if stopped.is_set() else f"{names} failed"
            outcomes += [Outcome((one.target, *one.key), skipped=why) for one in here]
            continue
        works = [
            Work(
                (one.target, *one.key),
                _up(kubes[one.target], one, pace, clock),
                tuple((one.target, *need) for need in one.needs),
            )
            for one in here
        ]
        ended = yield from work_through(works, pace.parallel, stopped)
        outcomes += ended
        bad = set(_failed(outcomes))
        last = number == len(waves) - 1
        if pace.soak and not last and not stopped.is_set() and len(bad) < pace.max_failed:
            stands = [one for one, outcome in zip(here, ended, strict=True) if outcome.good]
            broke = yield from _soak(kubes, stands, bad, pace, clock, stopped)
            outcomes = [replace(one, error=one.error or broke.get(one.place)) for one in outcomes]
    yield recap(site, outcomes, clock.monotonic() - started)
    return outcomes


def plan_site(
    kubes: Mapping[str, Kube],
    releases: Sequence[Placed],
    *,
    force: bool = False,
    resize: bool = False,
    rollout: During = "refuse",
) -> Iterator[tuple[Placed, Planned | BerthError]]:
    """The plan of each release, or why there is none, in the order of the releases; nothing is written."""

    def plan(one: Placed) -> Planned:
        return plan_release(
            kubes[one.target], one.release, force=force, resize=resize, others=one.before, rollout=rollout
        )

    yield from in_parallel(releases, plan)


def recap(site: str, outcomes: Sequence[Outcome], seconds: float) -> SiteDone:
    """The last event of a run over a site."""
    codes = tuple(TargetCode(name, int(code_of(ended))) for name, ended in places(outcomes).items() if name)
    return SiteDone(site, tuple(outcome.row() for outcome in outcomes), codes, seconds)


def _up(kube: Kube, one: Placed, pace: Pace, clock: Clock) -> Callable[[Callable[[], None]], Iterator[Event]]:
    def start(check: Callable[[], None]) -> Iterator[Event]:
        options = replace(pace.options, check=check)
        return up(kube, [one.release], options, clock, rollout=pace.rollout, before=one.before)

    return start


def _failed(outcomes: Sequence[Outcome]) -> list[str]:
    """The targets on which something failed; what is skipped only follows from that."""
    return [name for name, ended in places(outcomes).items() if any(outcome.error for outcome in ended)]


class _Over(Exception):
    """The soak has come to its end, for another release broke in it."""


def _soak(
    kubes: Mapping[str, Kube],
    releases: Sequence[Placed],
    failed: set[str],
    pace: Pace,
    clock: Clock,
    stopped: threading.Event,
) -> Generator[Event, None, dict[Place, BerthError | None]]:
    """Look whether releases stay as they are, and return what those say that do not.

    It ends once so many clusters ``failed`` that no later order begins.
    """
    names = ", ".join(dict.fromkeys(one.target or "the target of the run" for one in releases))
    yield Notice(f"soaking {names} for {format_duration(pace.soak)}")

    def stay(one: Placed) -> Callable[[Callable[[], None]], Iterator[Event]]:
        def start(check: Callable[[], None]) -> Iterator[Event]:
            def look() -> None:
                check()
                if len(failed) >= pace.max_failed:
                    raise _Over

            sets = [manifest.ref for manifest in one.release.manifests if manifest.ref.kind == "StatefulSet"]
            applying = Applying(kubes[one.target], one.release, pace.options, clock)
            try:
                yield from applying.waiting.stay_current(sets, pace.soak, look)
            except _Over:
                return
            except KeyboardInterrupt:
                raise InterruptedRunError("interrupted while it was soaking; what was applied stands") from None
            except BerthError:
                failed.add(one.target)
                raise

        return start

    works = [Work((one.target, *one.key), stay(one)) for one in releases]
    return {outcome.place: outcome.error for outcome in (yield from work_through(works, len(works), stopped))}


def _order(cluster: Cluster) -> int:
    return cluster.order


@dataclass(frozen=True, slots=True)
class Removal:
    """A release to take down: where, what stands there, and how; ``needs`` go after it."""

    cluster: Cluster
    seen: Inspection
    options: TeardownOptions
    needs: tuple[Place, ...] = ()

    @property
    def place(self) -> Place:
        """Target, namespace and name."""
        return self.cluster.name, self.seen.record.namespace, self.seen.record.name


def teardown_site(
    site: str, removals: Sequence[Removal], parallel: int, clock: Clock, command: Callable[[Removal], str]
) -> Generator[Event, None, list[Outcome]]:
    """Take releases down, each before what it needs, and return how each ended.

    ``command`` is what would delete the data of one that is kept.
    """
    started = clock.monotonic()
    users: dict[Place, list[Place]] = {}
    for removal in removals:
        for need in removal.needs:
            users.setdefault(need, []).append(removal.place)
    works = [Work(one.place, _down(one, clock, command(one)), tuple(users.get(one.place, ()))) for one in removals]
    outcomes = yield from work_through(works, parallel)
    yield recap(site, outcomes, clock.monotonic() - started)
    return outcomes


def require_different(clusters: Sequence[Cluster]) -> None:
    """Refuse two targets that are one cluster: what one has of the site would be what left the site on the other.

    A cluster is known by the UID of its namespace kube-system, where that may be read; contexts and addresses of one
    cluster may differ, and those of two be the same (behind a proxy).

    Raises:
        InputError: naming the two.
    """
    if len(clusters) < 2:
        return
    known: dict[str, str] = {}
    problems = []
    for cluster, body in in_parallel(clusters, lambda one: one.kube.get(_KUBE_SYSTEM)):
        if isinstance(body, BerthError) or body is None:
            continue  # What cannot be reached says so where it is needed.
        name = cluster.name or "the target of the run"
        other = known.setdefault(str(body["metadata"]["uid"]), name)
        if other != name:
            hint = "name it once, and let the releases of both name that target"
            problems.append(Problem(f"{other} and {name} are one and the same cluster", hint=hint))
    if problems:
        raise InputError(problems)


def installed(kube: Kube, keys: Collection[Key]) -> list[ReleaseRecord]:
    """The records of those releases that are there, in the order of their keys; those taken down do not count."""
    found = all_of(sorted(keys), lambda key: load(kube, *key))
    return [record for record in found if record is not None and record.status != "removed"]


def owned(kube: Kube, site: str, keys: Collection[Key], whole: bool) -> tuple[list[ReleaseRecord], list[ReleaseRecord]]:
    """What a site has on a cluster: the releases of the keys and, ``whole``, those that left its file; and the others.

    The others are those of the keys that belong to no site or to another one. What left the file and was taken down
    with its data kept is the site's no more: that data was kept on purpose.
    """
    found = all_of(sorted(keys), lambda key: load(kube, *key))
    there = [record for record in found if record is not None]
    mine, others = [one for one in there if one.site == site], [one for one in there if one.site != site]
    return [*mine, *(left(kube, site, keys) if whole else ())], others


def left(kube: Kube, site: str, known: Collection[Key]) -> list[ReleaseRecord]:
    """The releases on a cluster that belong to the site and are none of the known; those taken down do not count."""
    records = [record for record in _records(kube, known) if record.site == site and record.status != "removed"]
    return [record for record in records if _key(record) not in known]


def status_of(kube: Kube, keys: Sequence[Key], operations: Operations | None) -> tuple[Found, list[Key]]:
    """How releases of a cluster stand, and which of them are not there, or were taken down."""
    there = {_key(record) for record in installed(kube, keys)}
    reports: list[ReleaseReport] = []
    notes: list[str] = []
    for space in sorted({namespace for namespace, _ in there}):
        found = status(kube, Selection(space), operations)
        reports += [one for one in found.reports if (one.namespace, one.release) in there]
        notes += found.notes
    return Found(tuple(reports), tuple(dict.fromkeys(notes))), [key for key in keys if key not in there]


def _records(kube: Kube, keys: Collection[Key]) -> list[ReleaseRecord]:
    """The records of all releases; where not every namespace may be read, of those in the namespaces of the keys."""
    try:
        return list(list_releases(kube, None))
    except DeniedError:
        spaces = sorted({namespace for namespace, _ in keys})
        return [record for namespace in spaces for record in list_releases(kube, namespace)]


def _key(record: ReleaseRecord) -> Key:
    return record.namespace, record.name


def _down(one: Removal, clock: Clock, command: str) -> Callable[[Callable[[], None]], Iterator[Event]]:
    return lambda check: teardown(one.cluster.kube, one.seen, replace(one.options, check=check), clock, command)
