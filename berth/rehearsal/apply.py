"""Server-side apply: the object that comes of what a manager states, and who then owns which of its fields.

Source: k8s.io/apimachinery, pkg/util/managedfields; sigs.k8s.io/structured-merge-diff, merge. The texts are those of a
real API server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from berth.core.objects import Json
from berth.rehearsal import conformity, fieldsets, managed, merging, typed
from berth.rehearsal.fieldsets import Fields
from berth.rehearsal.managed import APPLY, BEFORE_FIRST_APPLY, UPDATE, Entries, Identity
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.schema import QUANTITY, Node

#: Where kubectl keeps what was applied from its own side.
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
#: The manager whose applies take over what kubectl applied from its own side.
_KUBECTL: Final = "kubectl"
#: Bytes that the annotations of an object may have together.
_MOST_ANNOTATIONS: Final = 256 * 1024

#: Conflicting fields, by who owns them.
_Conflicts = dict[Identity, Fields]


class _Conflicted(Exception):
    """Fields that others own would change."""

    def __init__(self, conflicts: _Conflicts) -> None:
        super().__init__()
        self.conflicts = conflicts


@dataclass(frozen=True, slots=True)
class _Request:
    kind: Node
    live: Json
    config: Json
    manager: str
    force: bool
    now: str
    subresource: str

    @property
    def key(self) -> Identity:
        return self.manager or "unknown", APPLY, "", self.subresource


def apply(
    kind_schema: Node,
    live: Json | None,
    config: Json,
    manager: str,
    force: bool,
    now: str,
    subresource: str = "",
) -> tuple[Json, list[Json]]:
    """The object as it has to become, before defaults and admission, and its managedFields.

    ``config`` is what was sent, as it was sent; ``live`` is the stored object, None where there is none. Where nothing
    changes, the object is the live one but for its managedFields, in which no time has moved. What ``config`` states
    and the resource cannot set (the status) is in the object, and owned by nobody; taking it back is for the caller.

    Raises ApiError: 409 with every conflict as a cause; 400 for another kind, or managedFields in ``config``; 500 for
    what does not fit the schema, as a real API server does.
    """
    _check(kind_schema, config)
    stored = live or {}
    entries = managed.decoded(stored.get("metadata", {}).get("managedFields"))
    if entries is None:
        raise ApiError(500, "", "failed to decode managed fields")
    if not entries and live is not None:
        before = managed.tracked(kind_schema, None, live, BEFORE_FIRST_APPLY, UPDATE, subresource, now)
        entries = managed.decoded(before) or {}
    request = _Request(kind_schema, stored, config, manager, force, now, subresource)
    try:
        new, after = _applied(request, entries, force)
    except _Conflicted as error:
        conflicts = _not_kubectls(request, error.conflicts)
        if conflicts:
            raise _conflict(conflicts) from None
        new, after = _applied(request, entries, True)
    if manager == _KUBECTL:
        new = _with_last_applied(new, config)
    return _decoded(typed.type_of(kind_schema), new), managed.encoded(after)


def _check(kind_schema: Node, config: Json) -> None:
    version, kind = config.get("apiVersion") or "", config.get("kind") or ""
    group, slash, rest = str(version).partition("/")
    written = f"{group}/{rest}, Kind={kind}" if slash else f"/{group}, Kind={kind}"
    if (version, kind) != (kind_schema.api_version, kind_schema.kind):
        raise bad_request(f"invalid object type: {written}")
    meta = config.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    if meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    name = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}; {written.removeprefix('/') if slash else written}"
    type_ = typed.type_of(kind_schema)
    found = conformity.violations(type_, config)
    if found:
        raise ApiError(500, "", f"failed to create typed patch object ({name}): {conformity.described(found)}")
    if conformity.fractions(type_, config):
        why = f"unable to convert unstructured object to {written}: cannot convert float64 to int32"
        raise ApiError(500, "", f"failed to convert new object ({name}) to proper version: {why}")


def _applied(request: _Request, before: Entries, force: bool) -> tuple[Json, Entries]:
    """The merged object and the entries; raises `_Conflicted`, unless told to take what others own."""
    type_ = typed.type_of(request.kind)
    unseen = managed.ignored(request.kind.kind, request.subresource)
    entries = dict(before)
    last = entries.pop(request.key, None)
    said = fieldsets.without(typed.stated(type_, request.config), unseen)
    live = managed.without_entries(request.live)
    new = merging.merge(type_, live, request.config)
    if last is not None and last["fieldsV1"]:
        new = _pruned(type_, new, last["fieldsV1"], fieldsets.union(_owned(entries), said))
    changed, removed = typed.compare(type_, live, new)
    changed, removed = fieldsets.without(changed, unseen), fieldsets.without(removed, unseen)
    conflicts = {key: fieldsets.intersection(one["fieldsV1"], changed) for key, one in entries.items()}
    conflicts = {key: fields for key, fields in conflicts.items() if fields}
    if conflicts and not force:
        raise _Conflicted(conflicts)
    managed.release(entries, fieldsets.union(changed, removed))
    said = managed.stripped(said)
    same = new == live
    if said:
        time = (last or {}).get("time") if same else request.now
        entries[request.key] = managed.entry(request.key, request.kind.api_version, said, time)
    return (live if same else new), entries


def _owned(entries: Entries) -> Fields:
    found: Fields = {}
    for one in entries.values():
        found = fieldsets.union(found, one["fieldsV1"])
    return found


def _pruned(type_: typed.Type, merged: Json, last: Fields, owned: Fields) -> Json:
    """The object without what the manager stated before and nobody states or owns any more.

    ``owned`` is what the others own, and what is stated now.
    """
    last = merging.with_named_fields(type_, last)
    there = merging.with_named_fields(type_, typed.stated(type_, merged))
    without_last = merging.remove(type_, merged, last) or {}
    left = merging.with_named_fields(type_, typed.stated(type_, without_last))
    kept = fieldsets.union(left, merging.with_named_fields(type_, owned))
    pruned = merging.remove(type_, merged, fieldsets.difference(there, kept)) or {}
    # What hangs below a removed item and was never the manager's own stays, and so does the item.
    left = merging.with_named_fields(type_, typed.stated(type_, pruned))
    gone = fieldsets.intersection(fieldsets.difference(there, left), last)
    found: Json = merging.remove(type_, merged, gone) or {}
    return found


def _not_kubectls(request: _Request, conflicts: _Conflicts) -> _Conflicts:
    """The conflicts that kubectl's own last apply does not explain, where it is kubectl that applies now.

    None where it explains them all: the fields are taken then.
    """
    if request.manager != _KUBECTL:
        return conflicts
    text = (request.live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        former = json.loads(text) if text else None
    except ValueError:
        return conflicts
    type_ = typed.type_of(request.kind)
    if not isinstance(former, dict) or former.get("apiVersion") != request.kind.api_version:
        return conflicts
    if conformity.violations(type_, former):
        return conflicts
    changed, removed = typed.compare(type_, former, request.live)
    allowed = fieldsets.difference(typed.stated(type_, former), fieldsets.union(changed, removed))
    left = {key: fieldsets.difference(fields, allowed) for key, fields in conflicts.items()}
    return {key: fields for key, fields in left.items() if fields}


def _with_last_applied(new: Json, config: Json) -> Json:
    """The object with kubectl's annotation brought up to date, where it has one."""
    annotations = new.get("metadata", {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return new
    meta = {**config.get("metadata", {})}
    if isinstance(meta.get("annotations"), dict):
        meta["annotations"] = {key: value for key, value in meta["annotations"].items() if key != LAST_APPLIED}
    text = json.dumps({**config, "metadata": meta}, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    annotations = {**annotations, LAST_APPLIED: text}
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _MOST_ANNOTATIONS:
        del annotations[LAST_APPLIED]
    return {**new, "metadata": {**new["metadata"], "annotations": annotations}}


def _conflict(conflicts: _Conflicts) -> ApiError:
    causes: list[Json] = []
    lines: list[str] = []
    for key in sorted(conflicts, key=managed.identifier):
        who = _named(key)
        lines.append(f"conflicts with {who}:")
        for path in fieldsets.paths(conflicts[key]):
            where = fieldsets.written(path)
            lines.append(f"- {where}")
            causes.append({"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": where})
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, {"causes": causes})


def _named(key: Identity) -> str:
    manager, operation, version, subresource = key
    found = json.dumps(manager, ensure_ascii=False)
    if subresource:
        found += f" with subresource {json.dumps(subresource)}"
    return f"{found} using {version}" if operation == UPDATE else found


def _decoded(kind: typed.Type, value: Any) -> Any:
    """The value as the server reads it: null is nothing in a struct, and the empty value in a map."""
    if not _holds_null(value):
        return value
    if isinstance(value, list):
        return [_decoded(kind.element or typed.ANYTHING, item) for item in value]
    found = {}
    for key, inner in value.items():
        below = kind.child(key) or typed.ANYTHING
        if inner is not None:
            found[key] = _decoded(below, inner)
        elif below.node is None:
            found[key] = None
        elif not kind.declares(key):
            found[key] = "0" if below.node.format == QUANTITY else ""
    return found


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(
            inner is None or _holds_null(inner) for inner in (value.values() if isinstance(value, dict) else value)
        )
    return False
