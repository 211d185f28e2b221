"""Rollouts: what a profile says of them, and which ordinals come next.

A set under RollingUpdate is rolled by its partition: pods at or above it are of the newest revision, and lowering it by
one lets the next ordinal go. A set under OnDelete is rolled by deleting its pods, one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from berth.core.errors import InputError, Problem
from berth.core.objects import Json, Manifest, ObjectRef, dig, ordinals
from berth.core.readiness import outdated, owned_pods

if TYPE_CHECKING:
    from berth.core.profile import Profile

#: Why a rollout stands still that was told to.
PAUSED = "paused"

#: In which order the pods of a set go that are restarted, or rolled under OnDelete.
ORDERS: Mapping[str, str] = {
    "highest-first": "from the highest ordinal down, as Kubernetes does",
    "lowest-first": "from the lowest ordinal up",
}
#: Which changes of the major version, the first number of the image's tag, an engine takes in place.
MAJORS: Mapping[str, str] = {
    "any": "every change",
    "forward": "to the next one only, and never back",
    "fixed": "none",
}

#: The part ``rollout`` of a profile file.
ROLLOUT_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "order": {
            "type": "string",
            "enum": list(ORDERS),
            "description": "In which order pods are restarted, or rolled under OnDelete (default: highest-first)",
        },
        "last": {
            "type": "string",
            "minLength": 1,
            "description": "What the operation role prints in the pods that come after all others, such as primary",
        },
        "majors": {
            "type": "string",
            "enum": list(MAJORS),
            "description": "Which changes of the image's major version the engine takes in place (default: any)",
        },
        "container": {
            "type": "string",
            "minLength": 1,
            "description": "The container whose image has that version (default: the first)",
        },
        "instead": {"type": "string", "minLength": 1, "description": "What to do where a change is not taken"},
    },
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a profile says of rollouts."""

    order: str = "highest-first"
    last: str = ""
    majors: str = "any"
    container: str = ""
    instead: str = ""


def rules_of(profile: Profile) -> Rules:
    """The rules of a profile and its bases."""
    return Rules(**profile.rollout)


def with_partition(manifest: Manifest, partition: int) -> Manifest:
    """The set's manifest, with this partition in place of its own."""
    spec = manifest.body["spec"]
    rolling = {**dig(spec, "updateStrategy", "rollingUpdate", default={}), "partition": partition}
    strategy = {"type": "RollingUpdate", **(spec.get("updateStrategy") or {}), "rollingUpdate": rolling}
    return replace(manifest, body={**manifest.body, "spec": {**spec, "updateStrategy": strategy}})


def partition_of(statefulset: Json) -> int:
    """The partition of a set: how many of its pods, from the lowest ordinal on, an update leaves as they are."""
    return int(dig(statefulset, "spec", "updateStrategy", "rollingUpdate", "partition", default=0))


def on_delete(statefulset: Json) -> bool:
    """Whether the set's pods are updated only when somebody deletes them."""
    return bool(dig(statefulset, "spec", "updateStrategy", "type") == "OnDelete")


def old_ordinals(statefulset: Json, pods: Iterable[Json]) -> list[int]:
    """The ordinals whose pods are of another revision than the set's newest."""
    owned = owned_pods(statefulset, pods)
    return [ordinal for ordinal in ordinals(statefulset) if ordinal in owned and outdated(statefulset, owned[ordinal])]


def in_order(order: str, wanted: Iterable[int], last: Collection[int] = ()) -> list[int]:
    """Ordinals in an order of `ORDERS`, those of ``last`` after all others."""
    sign = 1 if order == "lowest-first" else -1
    return sorted(wanted, key=lambda ordinal: (ordinal in last, sign * ordinal))


def count_problem(flag: str, count: int, available: int, what: str) -> Problem | None:
    """Why so many ordinals cannot go; None where they can."""
    if 0 < count <= available:
        return None
    if available == 0:
        return Problem(
            f"{flag} {count}: no ordinal of {what} is left to go", hint="`rollout.status` shows how it stands"
        )
    return Problem(f"{flag} {count}: {what} has {available} to go", hint=f"a number from 1 to {available}")


def version_problems(
    profile: Profile,
    manifests: Iterable[Manifest],
    live: Mapping[ObjectRef, Json],
    proved: Mapping[ObjectRef, Json] | None = None,
) -> list[Problem]:
    """What speaks against changes of the engine's version: of those that its profile says it cannot take in place.

    The data is of the version that was ``proved`` last, by a run that came to its end; only where none is known, of the
    live one, which somebody may have changed by mistake. But an engine that goes forward may have begun to, wherever
    the live one is newer. What is live already is no change.
    """
    rules = rules_of(profile)
    found: list[Problem] = []
    for manifest in manifests:
        now = live.get(manifest.ref)
        if manifest.ref.kind != "StatefulSet" or now is None:
            continue
        path, image = _image(manifest.body, rules.container)
        _, image_now = _image(now, rules.container)
        _, image_proved = _image((proved or {}).get(manifest.ref, now), rules.container)
        if _major(image) == _major(image_now):
            continue
        for before in dict.fromkeys([image_proved] if rules.majors == "fixed" else [image_now, image_proved]):
            problem = _version_problem(profile, rules, before, image)
            if problem:
                found.append(replace(problem, what=f"{manifest.ref}: {problem.what}", where=_place(manifest, path)))
                break
    return found


def _version_problem(profile: Profile, rules: Rules, before: str, after: str) -> Problem | None:
    old, new = _major(before), _major(after)
    if old is None or new is None or _TAKES[rules.majors](old, new):
        return None
    why = "the data on its volumes is of the other version"
    if rules.majors == "forward":
        why += "; it takes the next major version, and never an older one"
    what = f"{profile.name} cannot go from version {old} to {new} in place ({before} -> {after})"
    return Problem(what, why=why, hint=rules.instead)


def _place(manifest: Manifest, path: str) -> str:
    return str(manifest.origin_of(path).template)


_TAKES: Mapping[str, Callable[[int, int], bool]] = {
    "any": lambda old, new: True,
    "forward": lambda old, new: new in (old, old + 1),
    "fixed": lambda old, new: new == old,
}


def _image(statefulset: Json, container: str) -> tuple[str, str]:
    """The path and the image of a container, the first for ""; "" where there is none."""
    containers = dig(statefulset, "spec", "template", "spec", "containers", default=[])
    for index, one in enumerate(containers):
        if container in ("", one.get("name")):
            return f"spec.template.spec.containers[{index}].image", str(one.get("image", ""))
    return "", ""


def _major(image: str) -> int | None:
    """The first number of an image's tag; None where it has no tag that begins with one."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = re.match(r"v?(\d+)(?![0-9A-Za-z])", tag)
    return int(found[1]) if found else None


def moved_text(statefulset: Json, pods: Iterable[Json]) -> str:
    """How far a rollout is, in words."""
    wanted, left = len(ordinals(statefulset)), len(old_ordinals(statefulset, pods))
    where = "" if on_delete(statefulset) else f", partition {partition_of(statefulset)}"
    return f"{wanted - left} of {wanted} pods are of the newest revision{where}"


def image_values(current: Any, reference: str) -> Json:
    """The value ``image`` for an image as one writes it, in the form in which the profile has it.

    Raises:
        InputError: the profile has no such value, or the reference has neither tag nor digest.
    """
    name, _, digest = reference.partition("@")
    path, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{path}/{last}" if path else last
    if not last or not (tag or digest):
        raise InputError(f"--image {reference} is no image with a tag or a digest", hint="--image postgres:17.2")
    if isinstance(current, str):
        return {"image": reference}
    if not isinstance(current, Mapping) or not {"repository", "tag"} <= current.keys():
        raise InputError(
            "--image sets the value image, or its repository and tag, and this profile has none",
            hint="--set, with the value that it has for that; `invoke profiles.show` lists them",
        )
    made: Json = {"repository": repository, **({"tag": tag} if tag else {})}
    return {"image": {**made, "digest": digest or None} if digest or "digest" in current else made}


def ways(release: str, namespace: str) -> str:
    """The ways out of a rollout that stands still."""
    which = f"--name {release} --namespace {namespace}"
    return f"`invoke rollout.promote {which}` goes on, `invoke rollout.undo {which}` goes back"
