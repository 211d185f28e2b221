"""The ledger: the claims and volumes of a release, and what an action would do to the data in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from berth.core.objects import INSTANCE_LABEL, MANAGED_BY_LABEL, UNUSABLE_ANNOTATION, Json, claim_ordinal, dig


class Fate(StrEnum):
    """What happens to the data of a claim."""

    KEPT = "kept"
    DELETED = "deleted"
    VOLUME_KEPT = "claim deleted, volume kept"


@dataclass(frozen=True, slots=True)
class Line:
    """One claim: ``ordinal`` is -1 where the name tells none; ``condemned`` means that no set wants its ordinal now."""

    claim: str
    ordinal: int
    size: str
    storage_class: str
    volume: str
    reclaim_policy: str
    phase: str
    condemned: bool
    fate: Fate
    why: str
    finalizers: tuple[str, ...] = ()
    uid: str = ""


@dataclass(frozen=True, slots=True)
class LeftVolume:
    """A Released volume that a claim deleted earlier left behind, with its data."""

    volume: str
    size: str
    claim: str


@dataclass(frozen=True, slots=True)
class SetShape:
    """What of a StatefulSet names its claims: its name, its claim templates, the ordinals it wants.

    ``ours`` is False for a set that existed before berth.
    """

    name: str
    templates: tuple[str, ...]
    wanted: range
    ours: bool = True


def release_claims(release: str, shapes: Sequence[SetShape], claims: Iterable[Json]) -> list[tuple[Json, int, bool]]:
    """The claims of a release with ordinal and whether they are condemned, also those of ordinals scaled away.

    A claim belongs when its name is one that a set of the release makes and no label says otherwise (labels are lost
    in restores, names are not), or when its labels name the release and berth: a template or a set may have had
    another name. The release alone is not enough, for other tools use the same label, and their claims are not ours.
    What a set that existed before berth makes is never the release's.
    """
    theirs = [shape for shape in shapes if not shape.ours]
    shapes = [shape for shape in shapes if shape.ours]
    found: list[tuple[Json, int, bool]] = []
    for claim in claims:
        name = str(claim["metadata"]["name"])
        if _place(name, theirs)[0] >= 0:
            continue
        instance = dig(claim, "metadata", "labels", INSTANCE_LABEL)
        ordinal, condemned = _place(name, shapes)
        ours = dig(claim, "metadata", "labels", MANAGED_BY_LABEL) == "berth"
        if (instance in (None, release) and ordinal >= 0) or (instance == release and ours):
            found.append((claim, ordinal, condemned))
    return sorted(found, key=lambda entry: (entry[1], str(entry[0]["metadata"]["name"])))


def make_ledger(
    owned: Sequence[tuple[Json, int, bool]],
    volumes: Mapping[str, Json] | None,
    classes: Mapping[str, Json],
    delete_claims: bool,
    delete_volumes: bool = False,
) -> tuple[Line, ...]:
    """One line per claim. ``volumes`` by name; None when they may not be read, then the class tells the policy."""
    return tuple(
        _line(claim, ordinal, condemned, volumes, classes, delete_claims, delete_volumes)
        for claim, ordinal, condemned in owned
    )


def released_volumes(volumes: Iterable[Json], namespace: str, claims: Iterable[str]) -> list[Json]:
    """Volumes that claims of these names left behind: Released, their data still there."""
    names = set(claims)
    return [
        volume
        for volume in volumes
        if dig(volume, "status", "phase") == "Released"
        and dig(volume, "spec", "claimRef", "namespace") == namespace
        and dig(volume, "spec", "claimRef", "name") in names
    ]


def left_volume(volume: Json) -> LeftVolume:
    """The ledger's view of a Released volume."""
    claim, size = dig(volume, "spec", "claimRef", "name"), dig(volume, "spec", "capacity", "storage")
    return LeftVolume(str(volume["metadata"]["name"]), str(size), str(claim))


def _place(name: str, shapes: Sequence[SetShape]) -> tuple[int, bool]:
    """The ordinal of a claim of that name, and whether it is condemned.

    Names are ambiguous: data-a-b-0 is of template data and set a-b, or of template data-a and set b. A set that wants
    the ordinal settles it.
    """
    condemned = -1
    for shape in shapes:
        for template in shape.templates:
            ordinal = claim_ordinal(name, template, shape.name)
            if ordinal is not None and ordinal in shape.wanted:
                return ordinal, False
            if ordinal is not None:
                condemned = ordinal
    return condemned, condemned >= 0


def _line(
    claim: Json,
    ordinal: int,
    condemned: bool,
    volumes: Mapping[str, Json] | None,
    classes: Mapping[str, Json],
    delete_claims: bool,
    delete_volumes: bool,
) -> Line:
    volume_name = str(dig(claim, "spec", "volumeName", default=""))
    class_name = str(dig(claim, "spec", "storageClassName", default=""))
    volume = (volumes or {}).get(volume_name)
    assumed = " (so its class says; the volume may not be read)" if volumes is None else ""
    policy = dig(volume or {}, "spec", "persistentVolumeReclaimPolicy") or dig(
        classes.get(class_name) or {}, "reclaimPolicy", default="unknown"
    )
    phase = str(dig(claim, "status", "phase", default="Pending"))
    unusable = dig(claim, "metadata", "annotations", UNUSABLE_ANNOTATION)
    if not delete_claims and unusable:
        fate, why = Fate.KEPT, f"the claim stays, and no pod may take it again: {unusable}"
    elif not delete_claims:
        fate, why = Fate.KEPT, "the claim stays, and a later up takes it again"
    elif not volume_name:
        fate, why = Fate.DELETED, "never bound, holds no data"
    elif policy == "Retain" and not delete_volumes:
        fate, why = Fate.VOLUME_KEPT, f"reclaim policy Retain leaves the volume Released, with its data{assumed}"
    elif policy == "Retain":
        fate, why = Fate.DELETED, "the volume object is deleted; the storage behind it may need cleaning by hand"
    elif policy == "unknown":
        fate, why = Fate.DELETED, "the volume's reclaim policy is not known: the data must be taken as lost"
    else:
        fate, why = Fate.DELETED, f"reclaim policy {policy} deletes the volume and its data{assumed}"
    return Line(
        claim=str(claim["metadata"]["name"]),
        ordinal=ordinal,
        size=str(dig(claim, "status", "capacity", "storage") or dig(claim, "spec", "resources", "requests", "storage")),
        storage_class=class_name,
        volume=volume_name,
        reclaim_policy=str(policy),
        phase=phase,
        condemned=condemned,
        fate=fate,
        why=why,
        finalizers=tuple(dig(claim, "metadata", "finalizers", default=[])),
        uid=str(dig(claim, "metadata", "uid", default="")),
    )
