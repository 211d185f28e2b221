"""Desired x live -> Plan: what `up` would do with each object, in phases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from berth.core.diff import ABSENT, MASKED, Change, changes, immutable_changes
from berth.core.errors import ImmutableError, InputError, Problem
from berth.core.objects import (
    FIELD_MANAGER,
    KEEP_ANNOTATION,
    MANAGED_BY_LABEL,
    Json,
    Manifest,
    ObjectRef,
    dig,
)
from berth.core.order import references
from berth.core.quantities import parse_quantity
from berth.core.resize import Growth


class Action(StrEnum):
    """What happens to an object."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Step:
    """One object of a plan. ``manifest`` is None for what is deleted or kept; ``why`` explains those.

    ``growth`` is set for a StatefulSet that is replaced around its running pods, because its claims grow.
    """

    ref: ObjectRef
    action: Action
    manifest: Manifest | None = None
    changes: tuple[Change, ...] = ()
    why: str = ""
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one release in phases, those that remove what is no longer rendered last."""

    release: str
    namespace: str
    phases: tuple[tuple[Step, ...], ...]
    removals: tuple[Step, ...] = ()
    namespace_missing: bool = False

    @property
    def steps(self) -> Iterator[Step]:
        """All steps in the order in which they are taken."""
        for phase in self.phases:
            yield from phase
        yield from self.removals

    @property
    def empty(self) -> bool:
        """Whether nothing would be written."""
        return not self.namespace_missing and all(step.action in (Action.UNCHANGED, Action.KEEP) for step in self.steps)

    def count(self, *actions: Action) -> int:
        """How many steps have one of the actions."""
        return sum(1 for step in self.steps if step.action in actions)


@dataclass(frozen=True, slots=True)
class Known:
    """What the cluster says before a plan: live objects, the dry run's results, and those known to be unchanged.

    ``unchanged`` holds objects whose manifest and live state are exactly those that the last `up` left behind, so
    that no dry run was needed to know what applying them would do. ``inventory`` is what the release held before;
    ``adopted`` are those of it that existed before berth, and are never deleted. A changed field that holds one of the
    ``secrets`` is masked, wherever it is.
    """

    live: Mapping[ObjectRef, Json] = field(default_factory=dict)
    dry_run: Mapping[ObjectRef, Json] = field(default_factory=dict)
    unchanged: frozenset[ObjectRef] = frozenset()
    inventory: tuple[ObjectRef, ...] = ()
    adopted: frozenset[ObjectRef] = frozenset()
    secrets: tuple[str, ...] = ()
    growths: Mapping[ObjectRef, Growth] = field(default_factory=dict)
    namespace_missing: bool = False


def leave_replicas(manifests: Iterable[Manifest], autoscaled: frozenset[ObjectRef]) -> tuple[Manifest, ...]:
    """The manifests, without ``spec.replicas`` where an autoscaler sets it.

    Applying our number over its own would shrink a loaded set on every run. A number that a person set with
    `kubectl scale` is a conflict instead.
    """
    return tuple(
        replace(manifest, body={**manifest.body, "spec": _without(manifest.body["spec"], "replicas")})
        if manifest.ref in autoscaled
        else manifest
        for manifest in manifests
    )


def scaled_by_controller(live: Json) -> bool:
    """Whether kube-controller-manager, of which the autoscaler is a part, has set ``spec.replicas``."""
    return any(
        entry.get("subresource") == "scale"
        and entry.get("manager") == "kube-controller-manager"
        and dig(entry, "fieldsV1", "f:spec", "f:replicas") is not None
        for entry in dig(live, "metadata", "managedFields", default=[])
    )


def _without(body: Json, key: str) -> Json:
    return {name: value for name, value in body.items() if name != key}


def make_plan(release: str, namespace: str, phases: Sequence[Sequence[Manifest]], known: Known) -> Plan:
    """The plan for a release; ``phases`` are its manifests in the order of their references."""
    wanted = {manifest.ref for phase in phases for manifest in phase}
    return Plan(
        release,
        namespace,
        tuple(tuple(_step(manifest, known) for manifest in phase) for phase in phases),
        _removals(tuple(ref for ref in known.inventory if ref not in wanted and ref in known.live), known),
        known.namespace_missing,
    )


def check_immutable(manifests: Iterable[Manifest], live: Mapping[ObjectRef, Json], teardown: str) -> None:
    """Refuse changes that the API server would refuse, naming field, values and the least disruptive way.

    ``teardown`` is the command that takes the release down, without what it says of the data.

    Raises:
        ImmutableError: one problem per field; nothing has been applied.
    """
    problems: list[Problem] = []
    for manifest in manifests:
        before = live.get(manifest.ref)
        if before is None:
            continue
        for change in immutable_changes(before, manifest.body):
            origin = manifest.origin_of(change.path)
            came_from = f" (from {', '.join(origin.values)})" if origin.values else ""
            problems.append(
                Problem(
                    f"{manifest.ref}: {change.path} cannot be changed in place: it is {_show(change.old)}, "
                    f"and would become {_show(change.new)}",
                    where=f"{origin.template}{came_from}",
                    why="Kubernetes fixes this field when the object is created",
                    hint=_way(manifest, change, teardown),
                )
            )
    if problems:
        raise ImmutableError(problems)


def foreign(manifest: Manifest, live: Json | None) -> bool:
    """Whether a cluster-scoped object exists that berth did not make: it may be anybody's, and stays as it is."""
    return (
        not manifest.ref.namespace
        and live is not None
        and (dig(live, "metadata", "labels", MANAGED_BY_LABEL) != FIELD_MANAGER)
    )


def foreign_differences(manifests: Iterable[Manifest], live: Mapping[ObjectRef, Json]) -> tuple[str, ...]:
    """Where a class that is not ours is not what the profile would have made: reclaimPolicy decides over data."""
    return tuple(
        f"{manifest.ref} exists and is not berth's, so it stays as it is: {change.path} is {_show(change.old)}, "
        f"the profile would have {_show(change.new)}"
        for manifest in manifests
        if (before := live.get(manifest.ref)) is not None and foreign(manifest, before)
        for change in immutable_changes(before, manifest.body)
    )


def _step(manifest: Manifest, known: Known) -> Step:
    ref = manifest.ref
    before = known.live.get(ref)
    if before is None:
        return Step(ref, Action.CREATE, manifest)
    if foreign(manifest, before):
        return Step(ref, Action.KEEP, manifest, why="it existed before berth, and stays as it is")
    if ref in known.unchanged:
        return Step(ref, Action.UNCHANGED, manifest)
    missing = [key for key in manifest.generated if key not in (before.get("data") or {})]
    found = changes(before, _with_generated(known.dry_run[ref], before, manifest)) if ref in known.dry_run else ()
    found += tuple(Change(f"data.{key}", ABSENT, "(generated)") for key in missing)
    found = tuple(
        Change(change.path, MASKED, MASKED)
        if any(secret in str(value) for secret in known.secrets for value in (change.old, change.new))
        else change
        for change in found
    )
    growth = known.growths.get(ref)
    why = "replaced around its running pods" if growth else ""
    return Step(ref, Action.UPDATE if found else Action.UNCHANGED, manifest, found, why, growth)


def _with_generated(after: Json, before: Json, manifest: Manifest) -> Json:
    """What is there afterwards: a key that was given and is generated now stays as it is, see `generate_keys`."""
    held = before.get("data") or {}
    kept = {key: held[key] for key in manifest.generated if key in held}
    return {**after, "data": {**(after.get("data") or {}), **kept}} if kept else after


def _removals(refs: Sequence[ObjectRef], known: Known) -> tuple[Step, ...]:
    """What is no longer rendered: deleted, unless it was there before berth, holds data, or serves what holds it."""
    steps = [
        Step(ref, Action.KEEP, why="no longer rendered, and it existed before berth")
        if ref in known.adopted
        else _removal(ref, known.live[ref])
        for ref in refs
    ]
    served: dict[ObjectRef, ObjectRef] = {}
    for step in steps:
        if step.ref.kind == "StatefulSet" and step.action is Action.KEEP:
            served.update(dict.fromkeys(_used_by(known.live[step.ref], frozenset(known.inventory)), step.ref))
    return tuple(
        replace(
            step,
            action=Action.KEEP,
            why=f"no longer rendered, but {served[step.ref].kind}/{served[step.ref].name} needs it",
        )
        if step.action is Action.DELETE and step.ref in served
        else step
        for step in steps
    )


def _used_by(body: Json, known: frozenset[ObjectRef]) -> tuple[ObjectRef, ...]:
    try:
        return tuple(references(body, known))
    except InputError:  # It names what is gone: then nothing is sure, and nothing of it is deleted.
        return tuple(known)


def _removal(ref: ObjectRef, live: Json) -> Step:
    if ref.kind in ("StatefulSet", "PersistentVolumeClaim", "PersistentVolume", "Namespace", "StorageClass"):
        return Step(ref, Action.KEEP, why="no longer rendered, but data may hang on it: remove it with teardown")
    if dig(live, "metadata", "annotations", KEEP_ANNOTATION):
        return Step(ref, Action.KEEP, why="no longer rendered, but it opens what the claims hold")
    return Step(ref, Action.DELETE, why="no longer rendered")


def _way(manifest: Manifest, change: Change, teardown: str) -> str:
    kind = manifest.ref.kind
    if kind == "StatefulSet":
        if change.path.endswith("resources.requests.storage"):
            return _resize_way(change)
        if change.path.startswith("spec.selector"):
            return "a set with another selector does not own the running pods: install it under another --name"
        if change.path.endswith("spec.storageClassName"):
            return (
                "claims that exist keep their class: keep the value, or move the data to a release with another --name"
            )
        if change.path == "spec.volumeClaimTemplates" or change.path.endswith("].metadata.name"):
            return (
                f"running pods cannot get other claims: `{teardown} --data keep`, then this command again makes them "
                "anew, with the claims that exist under the names of the new templates"
            )
        return (
            f"`{teardown} --orphan` deletes the set and leaves its pods running, then this command again adopts them "
            "without a restart"
        )
    if kind == "StorageClass":
        return "a class is never recreated for you: use another class name, or the values that the class has"
    if kind == "Service":
        return f"`kubectl delete service {manifest.ref.name} -n {manifest.ref.namespace}`, then run this again"
    return "use another name, or remove the object first"


def _resize_way(change: Change) -> str:
    try:
        shrinks = parse_quantity(change.new) < parse_quantity(change.old)
    except InputError:
        shrinks = False
    if shrinks:
        return "a volume can only grow: keep the old size, or move the data to a release with another --name"
    return (
        "--resize, if the class allows expansion: it grows each claim, and replaces the set around its running pods, "
        "which are not restarted"
    )


def _show(value: object) -> str:
    return str(value) if value == ABSENT else repr(value)
