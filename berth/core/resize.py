"""Growing the volumes of a set.

Kubernetes fixes a claim template when the set is made (kubernetes/kubernetes#68737), but a claim can grow where its
class allows it. So each claim is grown, then the set is deleted without its pods and made anew around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from berth.core.diff import Change, immutable_changes
from berth.core.errors import Problem
from berth.core.objects import Json, Manifest, ObjectRef, claim_name, dig, ordinals
from berth.core.quantities import parse_quantity

_SIZE = "resources.requests.storage"


@dataclass(frozen=True, slots=True)
class ClaimGrowth:
    """One claim: its name, the size that it asks for now, and the one that it will ask for."""

    claim: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Growth:
    """A set whose claim templates grow, and its claims that are smaller than the new size."""

    ref: ObjectRef
    claims: tuple[ClaimGrowth, ...]


def find_growths(
    manifests: Iterable[Manifest], live: Mapping[ObjectRef, Json], claims: Iterable[Json], classes: Iterable[Json]
) -> tuple[dict[ObjectRef, Growth], tuple[Problem, ...]]:
    """The sets for which larger claims are the only immutable change, and what keeps their claims from growing."""
    by_name = {str(claim["metadata"]["name"]): claim for claim in claims}
    growing = {str(c["metadata"]["name"]) for c in classes if c.get("allowVolumeExpansion")}
    found: dict[ObjectRef, Growth] = {}
    problems: list[Problem] = []
    for manifest in manifests:
        before = live.get(manifest.ref)
        if manifest.ref.kind != "StatefulSet" or before is None:
            continue
        if not _only_grows(immutable_changes(before, manifest.body)):
            continue
        grown = _claims(manifest.body, before, by_name)
        found[manifest.ref] = Growth(manifest.ref, grown)
        for one in grown:
            class_name = dig(by_name[one.claim], "spec", "storageClassName", default="")
            if class_name not in growing:
                problems.append(
                    Problem(
                        f"claim {one.claim} cannot grow from {one.old} to {one.new}",
                        why=f"StorageClass {class_name or '(none)'} does not set allowVolumeExpansion",
                        hint="keep the size, or allow it in the class if its driver can",
                    )
                )
    return found, tuple(problems)


def grown(claim: Json, size: str) -> bool:
    """Whether the volume has the size; its file system may still be waiting for the pod to start again."""
    capacity = dig(claim, "status", "capacity", "storage")
    return (capacity is not None and parse_quantity(capacity) >= parse_quantity(size)) or waits_for_pod(claim)


def waits_for_pod(claim: Json) -> bool:
    """Whether only the file system remains to be grown, which some drivers do when the pod starts again."""
    conditions = dig(claim, "status", "conditions", default=[])
    return any(c["type"] == "FileSystemResizePending" and c["status"] == "True" for c in conditions)


def _only_grows(changed: Sequence[Change]) -> bool:
    return bool(changed) and all(
        change.path.endswith(_SIZE) and parse_quantity(change.new) > parse_quantity(change.old) for change in changed
    )


def _claims(desired: Json, live: Json, by_name: Mapping[str, Json]) -> tuple[ClaimGrowth, ...]:
    """Claims of the ordinals that are, or will be, there; those of ordinals scaled away keep their size."""
    wanted = sorted({*ordinals(desired), *ordinals(live)})
    grown: list[ClaimGrowth] = []
    for template in desired["spec"].get("volumeClaimTemplates") or []:
        size = str(dig(template, "spec", "resources", "requests", "storage"))
        for ordinal in wanted:
            name = claim_name(template["metadata"]["name"], str(desired["metadata"]["name"]), ordinal)
            has = dig(by_name.get(name), "spec", "resources", "requests", "storage")
            if has is not None and parse_quantity(has) < parse_quantity(size):
                grown.append(ClaimGrowth(name, str(has), size))
    return tuple(grown)
