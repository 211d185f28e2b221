"""ControllerRevisions: what of a StatefulSet they remember, how they are named, and which of them are equal.

The name is the real controller's: the same template gives the same hash on any cluster of this version.
Source: kubernetes pkg/controller/history/controller_history.go and pkg/controller/statefulset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.controllers.ownership import controller_reference
from berth.rehearsal.jsontree import dig

HASH_LABEL = "controller.kubernetes.io/hash"
#: No vowels and nothing that reads as another. Source: apimachinery pkg/util/rand.
_SAFE_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
#: What Go's encoding/json escapes beside what JSON asks for.
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_LONGEST_PREFIX = 223


def data_of(set_: Json) -> Json:
    """What a revision of the set remembers: its pod template, as a strategic merge patch that replaces it."""
    return {"spec": {"template": {"$patch": "replace", **set_["spec"]["template"]}}}


def restored(set_: Json, revision: Json) -> Json:
    """The set with the pod template that a revision remembers."""
    saved = dig(revision, "data", "spec", "template")
    if not isinstance(saved, dict):
        return set_  # Somebody else's revision that the set's selector adopted.
    template = {key: value for key, value in saved.items() if key != "$patch"}
    return {**set_, "spec": {**set_["spec"], "template": template}}


def hash_of(data: Any, collisions: int) -> str:
    """The hash in the name and label of a revision: FNV-1 over its data and the number of collisions so far."""
    total = 0x811C9DC5
    for byte in (go_json(data) + str(collisions)).encode():
        total = (total * 0x01000193 & 0xFFFFFFFF) ^ byte
    return "".join(_SAFE_CHARACTERS[ord(digit) % len(_SAFE_CHARACTERS)] for digit in str(total))


def go_json(tree: Any) -> str:
    """A tree of JSON as Go's encoding/json writes a map: keys sorted, no spaces, HTML characters escaped."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).translate(_GO_ESCAPES)


def revision_name(set_name: str, digest: str) -> str:
    """The name of a revision."""
    return f"{set_name[:_LONGEST_PREFIX]}-{digest}"


def new_revision(set_: Json, number: int, collisions: int) -> Json:
    """The revision that remembers the set as it is, not yet created."""
    meta = set_["metadata"]
    # In the order of Go's maps: `kubectl rollout undo` compares the bytes.
    data = json.loads(go_json(data_of(set_)))
    digest = hash_of(data, collisions)
    labels = {**((set_["spec"]["template"].get("metadata") or {}).get("labels") or {}), HASH_LABEL: digest}
    body_meta: Json = {"name": revision_name(meta["name"], digest), "namespace": meta["namespace"], "labels": labels}
    if meta.get("annotations"):
        body_meta["annotations"] = dict(meta["annotations"])
    body_meta["ownerReferences"] = [controller_reference(set_)]
    body: Json = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": body_meta}
    return {**body, "data": data, "revision": number}


def in_order(revisions: Iterable[Json]) -> list[Json]:
    """Oldest first: by number, then by time of creation, then by name."""
    return sorted(revisions, key=_age)


def _age(revision: Json) -> tuple[int, str, str]:
    meta = revision["metadata"]
    return int(revision.get("revision") or 0), meta["creationTimestamp"], meta["name"]


def next_number(revisions: Sequence[Json]) -> int:
    """The number that the next revision gets."""
    return int(revisions[-1].get("revision") or 0) + 1 if revisions else 1


def superfluous(revisions: Sequence[Json], live: set[str], limit: int) -> list[Json]:
    """The revisions beyond the history limit, oldest first; those that pods or the status name do not count."""
    history = [body for body in revisions if body["metadata"]["name"] not in live]
    return [] if limit < 0 else history[: max(0, len(history) - limit)]
