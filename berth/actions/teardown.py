"""`teardown`: from running pods to nothing, and the data only as told.

The order: pods in reverse (by scaling to 0 and waiting: deleting a set promises no order), sets, Services and the
rest in reverse phases, claims, volumes, StorageClass, namespace, record. Each step is skipped where its objects are
gone already, so a stopped run is taken up by running it again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace

from berth.actions.applying import nothing
from berth.actions.clock import Clock
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.record import Entry, ReleaseRecord, UnreadableError
from berth.cluster.refusals import MissingError
from berth.cluster.release import list_releases, remove, save
from berth.cluster.removal import Removal
from berth.cluster.runner import all_of, in_parallel
from berth.cluster.waiting import Patience
from berth.core.errors import BerthError, DeniedError, InterruptedRunError
from berth.core.events import Event, Ledger, Notice, PhaseStarted, ReleaseDone, ReleaseStarted, StepDone
from berth.core.ledger import Fate, Line, SetShape, left_volume, make_ledger, release_claims, released_volumes
from berth.core.objects import (
    KEEP_ANNOTATION,
    MANAGED_BY_LABEL,
    PART_OF_LABEL,
    Json,
    ObjectRef,
    applyset_id,
    claim_ordinal,
    dig,
    ordinals,
)
from berth.core.removal import class_users, namespace_rest, reverse_phases


@dataclass(frozen=True, slots=True)
class Options:
    """What happens to the data; ``orphan`` deletes only the StatefulSets, and leaves their pods running.

    ``check`` is called before each write and while waiting, and may raise to stop the run.
    """

    delete_claims: bool = False
    delete_volumes: bool = False
    orphan: bool = False
    patience: Patience = field(default_factory=Patience)
    check: Callable[[], None] = nothing


@dataclass(frozen=True, slots=True)
class Inspection:
    """A release as it stands: its live objects, the ledger of its data, and volumes that earlier claims left."""

    record: ReleaseRecord
    live: dict[ObjectRef, Json]
    claims: tuple[Json, ...]
    ledger: tuple[Line, ...]
    volumes: dict[str, Json] | None
    released: tuple[Json, ...]

    def ledger_event(self, delete_volumes: bool) -> Ledger:
        """The ledger, to be shown."""
        left = tuple(left_volume(volume) for volume in self.released if _stays(volume))
        return Ledger(self.record.name, self.ledger, left, delete_volumes)


def inspect(kube: Kube, record: ReleaseRecord, delete_claims: bool, delete_volumes: bool) -> Inspection:
    """Read everything that the teardown would touch; nothing is changed."""
    refs = [entry.ref for entry in record.inventory]
    live = {ref: body for ref, body in zip(refs, all_of(refs, kube.get), strict=True) if body is not None}
    claims = kube.list("", "PersistentVolumeClaim", record.namespace).items
    volumes = _by_name(kube, "", "PersistentVolume")
    classes = _by_name(kube, "storage.k8s.io", "StorageClass") or {}
    shapes = set_shapes(record, live)
    owned = release_claims(record.name, shapes, claims)
    ledger = make_ledger(owned, volumes, classes, delete_claims, delete_volumes)
    names = [
        claim for shape in shapes if shape.ours for claim in _possible_claims(shape, volumes or {}, record.namespace)
    ]
    left = released_volumes((volumes or {}).values(), record.namespace, names)
    return Inspection(record, live, tuple(claim for claim, _, _ in owned), ledger, volumes, tuple(left))


def set_shapes(record: ReleaseRecord, live: dict[ObjectRef, Json]) -> list[SetShape]:
    """The sets of a release as they were recorded: one that is gone, or being scaled to 0, still wants the same."""
    theirs = _theirs(record, live)
    bodies = {ref: body for ref, body in live.items() if ref.kind == "StatefulSet"}
    bodies.update({ObjectRef.of(body): body for body in record.manifests if body["kind"] == "StatefulSet"})
    return [
        SetShape(
            ref.name,
            tuple(t["metadata"]["name"] for t in body["spec"].get("volumeClaimTemplates") or []),
            ordinals(body),
            ref not in theirs,
        )
        for ref, body in sorted(bodies.items())
    ]


def teardown(
    kube: Kube, seen: Inspection, options: Options, clock: Clock, command: str
) -> Generator[Event, None, None]:
    """Take a release down, yielding what happens; ``command`` is what would delete the data that is kept.

    Raises:
        BerthError: something could not be removed; what is left was said.
    """
    started = clock.monotonic()
    record = seen.record
    yield ReleaseStarted(record.name, record.namespace, record.profile, record.environment)
    if not options.orphan:
        yield seen.ledger_event(options.delete_volumes)
    run = _Run(kube, seen, options, clock, command)
    try:
        with Lock(kube, record.namespace, record.name) as lock:
            run.guard(lock.check)
            yield from run.orphan() if options.orphan else run.everything()
    except (BerthError, KeyboardInterrupt) as error:
        yield run.done(clock.monotonic() - started, error)
        if isinstance(error, KeyboardInterrupt):
            raise InterruptedRunError(
                "interrupted; what is left is still recorded", hint="run the same command again: it goes on from there"
            ) from None
        raise
    yield from run.namespace()
    yield run.done(clock.monotonic() - started, None)


class _Run:
    """One teardown: what was done so far, and what is left."""

    def __init__(self, kube: Kube, seen: Inspection, options: Options, clock: Clock, command: str) -> None:
        self._kube, self._seen, self._options, self._clock, self._command = kube, seen, options, clock, command
        self._record = seen.record
        self._theirs = _theirs(seen.record, seen.live)
        self._alive: Callable[[], None] = options.check
        self._removal = Removal(kube, seen.record.namespace, options.patience, clock.monotonic, lambda: self._alive())
        self._steps: list[StepDone] = []

    def guard(self, alive: Callable[[], None]) -> None:
        """Call this too before each write from now on."""

        def both() -> None:
            self._options.check()
            alive()

        self._alive = both

    def orphan(self) -> Iterator[Event]:
        """Delete the sets and leave their pods, their Services and all else."""
        yield PhaseStarted(1, 1, "StatefulSet, its pods stay")
        for ref in self._sets():
            self._removal.retain_claims(self._seen.live[ref])
            self._removal.delete(self._seen.live[ref], propagation="Orphan")
            yield self._note(StepDone(ref, "deleted", "its pods run on; a later up adopts them"))
            yield from self._removal.until_gone([ref])
        self._save("orphaned", self._record.inventory)

    def everything(self) -> Iterator[Event]:
        """All phases."""
        self._save("removing", self._record.inventory)
        yield PhaseStarted(1, 4, "pods in reverse order, then their StatefulSet")
        for ref in sorted(ref for ref in self._theirs if ref.kind == "StatefulSet" and ref in self._seen.live):
            yield self._note(StepDone(ref, "kept", f"{self._theirs[ref]}; its pods and claims stay, too"))
        for ref in reversed(self._sets()):
            if not self._options.delete_claims:
                self._removal.retain_claims(self._seen.live[ref])
            yield from self._removal.scale_to_zero(self._seen.live[ref])
            self._removal.delete(self._seen.live[ref], propagation="Background")
            yield from self._removal.until_gone([ref])
            yield self._note(StepDone(ref, "deleted"))
        yield PhaseStarted(2, 4, "Services and the rest")
        yield from self._rest()
        yield PhaseStarted(3, 4, "claims and volumes")
        yield from self._claims()
        yield from self._volumes()
        yield PhaseStarted(4, 4, "StorageClass and record")
        yield from self._classes()
        yield from self._close()

    def namespace(self) -> Iterator[Event]:
        """The namespace goes when berth made it and nothing is in it; the lock is given back before that."""
        if self._options.orphan or self._kept():
            return
        ref = ObjectRef("", "Namespace", "", self._record.namespace)
        try:
            live = self._kube.get(ref)
            if live is None or dig(live, "metadata", "deletionTimestamp"):
                return
            rest = namespace_rest(live, self._contents())
            if rest:
                if rest != "not ours":
                    yield self._note(StepDone(ref, "kept", rest))
                return
            self._kube.delete(ref, uid=live["metadata"]["uid"], propagation="Background")
        except DeniedError:
            return
        yield self._note(StepDone(ref, "deleted"))

    def done(self, seconds: float, error: BaseException | None) -> ReleaseDone:
        """The recap; what is left is named last."""
        actions = [step.action for step in self._steps]
        kept = [f"{step.ref.kind}/{step.ref.name}" for step in self._steps if step.action == "kept"]
        if error is not None:
            verdict = "interrupted" if isinstance(error, KeyboardInterrupt) else "not torn down"
        elif self._options.orphan:
            verdict = "the set is gone, its pods run on"
        else:
            verdict = f"torn down; left: {', '.join(kept)}" if kept else "torn down, nothing is left"
        return ReleaseDone(
            self._record.name,
            self._record.namespace,
            ok=len(actions),
            changed=actions.count("deleted"),
            failed=1 if isinstance(error, BerthError) else 0,
            skipped=actions.count("kept"),
            seconds=seconds,
            verdict=verdict,
            succeeded=error is None,
        )

    def _sets(self) -> list[ObjectRef]:
        return sorted(ref for ref in self._seen.live if ref.kind == "StatefulSet" and ref not in self._theirs)

    def _rest(self) -> Iterator[Event]:
        later = ("StatefulSet", "StorageClass", "Namespace", "PersistentVolumeClaim", "PersistentVolume")
        refs = [ref for ref in self._seen.live if ref.kind not in later]
        for phase in reverse_phases(refs, self._record.manifests):
            due: list[ObjectRef] = []
            for ref in phase:
                if ref in self._theirs:
                    yield self._note(StepDone(ref, "kept", self._theirs[ref]))
                elif self._opens_data(ref) and not self._data_goes():
                    yield self._note(StepDone(ref, "kept", "it opens what the claims hold"))
                else:
                    due.append(ref)
            for ref, outcome in in_parallel(due, lambda ref: self._removal.delete(self._seen.live[ref])):
                if isinstance(outcome, BerthError):
                    raise outcome
                yield self._note(StepDone(ref, "deleted"))
            yield from self._removal.until_gone(due)

    def _opens_data(self, ref: ObjectRef) -> bool:
        return bool(dig(self._seen.live[ref], "metadata", "annotations", KEEP_ANNOTATION))

    def _data_goes(self) -> bool:
        return self._options.delete_claims or not self._seen.claims

    def _claims(self) -> Iterator[Event]:
        fates = {line.claim: line for line in self._seen.ledger}
        due: list[Json] = []
        for claim in self._seen.claims:
            line = fates[claim["metadata"]["name"]]
            if line.fate is Fate.KEPT:
                yield self._note(StepDone(_claim_ref(claim), "kept", f"{line.size}, {line.volume or 'no volume'}"))
            else:
                due.append(claim)
        if not due:
            return
        for _, outcome in in_parallel(due, self._removal.delete):
            if isinstance(outcome, BerthError):
                raise outcome
        yield from self._removal.until_gone([_claim_ref(claim) for claim in due])
        for claim in due:
            kept = fates[claim["metadata"]["name"]].fate is Fate.VOLUME_KEPT
            yield self._note(StepDone(_claim_ref(claim), "deleted", "its volume is kept" if kept else ""))

    def _volumes(self) -> Iterator[Event]:
        """Volumes that Retain leaves behind, of these claims and of earlier ones; others go by themselves."""
        volumes = self._seen.volumes or {}
        names = {line.volume for line in self._seen.ledger if line.fate is not Fate.KEPT and line.volume in volumes}
        names |= {volume["metadata"]["name"] for volume in self._seen.released}
        retained = {name for name in names if _stays(volumes[name])}
        if self._options.delete_claims:
            going = [ObjectRef("", "PersistentVolume", "", name) for name in sorted(names - retained)]
            yield from self._removal.until_gone(going)
        for name in sorted(retained):
            ref = ObjectRef("", "PersistentVolume", "", name)
            if not self._options.delete_volumes:
                yield self._note(
                    StepDone(ref, "kept", "Released, its data is still there; --volumes delete removes it")
                )
                continue
            self._removal.delete(volumes[name])
            yield from self._removal.until_gone([ref])
            yield self._note(StepDone(ref, "deleted", "the storage behind it may need cleaning by hand"))

    def _classes(self) -> Iterator[Event]:
        for ref in sorted(ref for ref in self._seen.live if ref.kind == "StorageClass"):
            why = self._theirs.get(ref) or self._class_users(ref)
            if why:
                yield self._note(StepDone(ref, "kept", why))
                continue
            self._removal.delete(self._seen.live[ref])
            yield self._note(StepDone(ref, "deleted"))

    def _class_users(self, ref: ObjectRef) -> str:
        """Who still needs a class; what may not be read counts as a user, for the class may be anybody's."""
        try:
            claims = self._kube.list("", "PersistentVolumeClaim").items
            volumes = self._kube.list("", "PersistentVolume").items
            records = list_releases(self._kube, None)
        except DeniedError:
            return "whether others use it may not be read with these credentials"
        except UnreadableError as error:
            return f"{error.problems[0].where} cannot be read, so that release may use it"
        me = (self._record.namespace, self._record.name)
        others = [
            f"{record.namespace}/{record.name}"
            for record in records
            if (record.namespace, record.name) != me and any(entry.ref == ref for entry in record.inventory)
        ]
        return class_users(ref.name, claims, volumes, others)

    def _close(self) -> Iterator[Event]:
        """Forget the release, or, where data is kept, remember what that data needs."""
        kept = {step.ref for step in self._steps if step.action == "kept"}
        if not any(ref.kind in ("PersistentVolumeClaim", "PersistentVolume") for ref in kept):
            remove(self._kube, self._record)
            return
        self._save("removed", tuple(entry for entry in self._record.inventory if entry.ref in kept))
        more = " --volumes delete" if any(ref.kind == "PersistentVolume" for ref in kept) else ""
        yield Notice(f"data is kept; this deletes it: {self._command}{more}")

    def _kept(self) -> bool:
        return any(step.action == "kept" and step.ref.namespace for step in self._steps)

    def _contents(self) -> list[Json]:
        kinds = [
            ("", "Pod"),
            ("", "PersistentVolumeClaim"),
            ("", "Service"),
            ("", "ConfigMap"),
            ("", "Secret"),
            ("", "ServiceAccount"),
            ("apps", "StatefulSet"),
            ("apps", "Deployment"),
            ("apps", "DaemonSet"),
            ("batch", "Job"),
            ("batch", "CronJob"),
        ]
        lists: list[list[Json]] = all_of(kinds, lambda k: self._of_kind(*k))
        return [body for items in lists for body in items]

    def _of_kind(self, group: str, kind: str) -> list[Json]:
        try:
            return self._kube.list(group, kind, self._record.namespace).items
        except MissingError:
            # The cluster does not serve the kind, so there is none of it.
            return []

    def _save(self, status: str, inventory: tuple[Entry, ...]) -> None:
        # A rollout ends with what it was about, or nobody could bring the release up again.
        now = self._clock.now(self._kube)
        made = replace(self._record, status=status, inventory=inventory, updated=now, rollout=None)
        self._record = save(self._kube, made)

    def _note(self, step: StepDone) -> StepDone:
        self._steps.append(step)
        return step


def _possible_claims(shape: SetShape, volumes: dict[str, Json], namespace: str) -> Iterator[str]:
    for volume in volumes.values():
        name = str(dig(volume, "spec", "claimRef", "name", default=""))
        if dig(volume, "spec", "claimRef", "namespace") == namespace:
            if any(claim_ordinal(name, template, shape.name) is not None for template in shape.templates):
                yield name


def _theirs(record: ReleaseRecord, live: dict[ObjectRef, Json]) -> dict[ObjectRef, str]:
    """What berth did not make, and why it is known: it was there before, or has neither our uid nor our label."""
    found = {entry.ref: "it existed before berth" for entry in record.inventory if not entry.created}
    marks = {PART_OF_LABEL: applyset_id(record.name, record.namespace), MANAGED_BY_LABEL: "berth"}
    for entry in record.inventory:
        meta = live.get(entry.ref, {}).get("metadata") or {}
        mark = PART_OF_LABEL if entry.ref.namespace else MANAGED_BY_LABEL
        anew = entry.uid and meta and meta["uid"] != entry.uid
        if anew and (meta.get("labels") or {}).get(mark) != marks[mark]:
            found.setdefault(entry.ref, "somebody made it anew since")
    return found


def _stays(volume: Json) -> bool:
    """Whether a volume outlives its claim; others go by themselves, though not at once."""
    return bool(dig(volume, "spec", "persistentVolumeReclaimPolicy") == "Retain")


def _by_name(kube: Kube, group: str, kind: str) -> dict[str, Json] | None:
    try:
        return {body["metadata"]["name"]: body for body in kube.list(group, kind).items}
    except DeniedError:
        return None


def _claim_ref(claim: Json) -> ObjectRef:
    return ObjectRef("", "PersistentVolumeClaim", claim["metadata"]["namespace"], claim["metadata"]["name"])
