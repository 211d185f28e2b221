"""What may change in a pod that runs: almost nothing. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

from collections.abc import Sequence

from berth.core.objects import Json
from berth.rehearsal.kinds import PODS
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.errors import (
    MAX_INT32,
    Errors,
    all_invalid,
    between,
    forbidden,
    immutable,
    invalid,
    invalid_as,
    required,
)
from berth.rehearsal.validation.internal import compact, difference
from berth.rehearsal.validation.pods import of_pod
from berth.rehearsal.validation.selectors import tolerations

_CHANGEABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_update(new: Json, old: Json) -> Errors:
    """A pod that is there already."""
    wrong = metadata.changed(new, old) + metadata.created(PODS, new["metadata"], formats.subdomain) + of_pod(new)
    spec, before = new["spec"], old["spec"]
    for key in ("containers", "initContainers"):
        errors, stop = _containers(f"spec.{key}", spec.get(key) or (), before.get(key) or ())
        wrong += errors
        if stop:
            return wrong
    wrong += _deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    wrong += _tolerations(spec.get("tolerations") or [], before.get("tolerations") or [])
    wrong += _gates(spec.get("schedulingGates") or [], before.get("schedulingGates") or [])
    if spec == before:
        return wrong
    munged = _munged(spec, before)
    if before.get("schedulingGates"):
        wrong += _gated(munged, before)
    if munged != before:
        changed = difference("core.PodSpec", before, munged)
        wrong.append(forbidden("spec", f"pod updates may not change fields other than {_CHANGEABLE}\n{changed}"))
    return wrong


def _munged(spec: Json, before: Json) -> Json:
    """The new spec with everything taken back that may change."""
    munged = dict(spec)
    for key in ("containers", "initContainers"):
        if spec.get(key):
            pairs = zip(spec[key], before[key], strict=True)
            munged[key] = [{**each, "image": older["image"]} if "image" in older else each for each, older in pairs]
    for key in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        munged.pop(key, None)
        if key in before:
            munged[key] = before[key]
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    return munged


def _containers(path: str, new: Sequence[Json], old: Sequence[Json]) -> tuple[Errors, bool]:
    if len(new) != len(old):
        return [forbidden(path, "pod updates may not add or remove containers")], True
    wrong: Errors = []
    for index, each in enumerate(new):
        image = each.get("image", "")
        if not image:
            wrong.append(required(f"{path}[{index}].image"))
        if image.strip() != image:
            detail = "must not have leading or trailing whitespace"
            wrong.append(invalid(f"{path}[{index}].image", image, detail))
    return wrong, False


def _deadline(new: int | None, old: int | None) -> Errors:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        detail = "must not update from a positive integer to nil value"
        return [] if old is None else [invalid_as(path, "null", detail)]
    if not 0 <= new <= MAX_INT32:
        return [invalid(path, new, between(0, MAX_INT32))]
    if old is not None and old < new:
        return [invalid(path, new, "must be less than or equal to previous value")]
    return []


def _tolerations(new: list[Json], old: list[Json]) -> Errors:
    for each in old:
        kept = any({**each, "tolerationSeconds": None} == {**other, "tolerationSeconds": None} for other in new)
        if not kept:
            detail = "existing toleration can not be modified except its tolerationSeconds"
            return [forbidden("spec.tolerations", detail)]
    return tolerations("spec.tolerations", new)


def _gates(new: list[Json], old: list[Json]) -> Errors:
    known = {each.get("name", "") for each in old}
    wrong: Errors = []
    for index, each in enumerate(new):
        name = each.get("name", "")
        if name not in known:
            detail = f"only deletion is allowed, but found new scheduling gate '{name}'"
            wrong.append(forbidden(f"spec.schedulingGates[{index}].name", detail))
    return wrong


def _gated(munged: Json, before: Json) -> Errors:
    """A pod that still waits at a gate may be bound to fewer nodes."""
    wrong: Errors = []
    selector, older = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if selector != older:
        if any(selector.get(key) != value for key, value in older.items()):
            detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            wrong.append(invalid("spec.nodeSelector", selector, detail))
        munged.pop("nodeSelector", None)
        if older:
            munged["nodeSelector"] = older
    affinity = (munged.get("affinity") or {}).get("nodeAffinity")
    older_affinity = (before.get("affinity") or {}).get("nodeAffinity")
    if affinity != older_affinity:
        wrong += _node_affinity(affinity or {}, older_affinity or {})
        munged["affinity"] = before.get("affinity")
        if munged["affinity"] is None:
            munged.pop("affinity")
    return wrong


def _node_affinity(new: Json, old: Json) -> Errors:
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    path = f"spec.affinity.nodeAffinity.{key}.nodeSelectorTerms"
    older = (old.get(key) or {}).get("nodeSelectorTerms") or []
    newer = (new.get(key) or {}).get("nodeSelectorTerms") or []
    if older and len(older) != len(newer):
        written = "[" + ",".join(compact("core.NodeSelectorTerm", term) for term in newer) + "]"
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [invalid_as(path, written if newer else "null", detail)]
    wrong: Errors = []
    for index, (term, before) in enumerate(zip(newer, older, strict=False)):
        if not _only_more(term, before):
            detail = "only additions are allowed (no mutations or deletions)"
            wrong.append(invalid_as(f"{path}[{index}]", compact("core.NodeSelectorTerm", term), detail))
    return wrong


def _only_more(new: Json, old: Json) -> bool:
    empty = not old.get("matchExpressions") and not old.get("matchFields")
    if empty and (new.get("matchExpressions") or new.get("matchFields")):
        return False
    return all((new.get(key) or [])[: len(old.get(key) or [])] == (old.get(key) or []) for key in old)


def check_status(new: Json, old: Json) -> Errors:
    """The status of a pod."""
    status, before = new.get("status") or {}, old.get("status") or {}
    wrong = metadata.changed(new, old)
    for index, condition in enumerate(status.get("conditions") or ()):
        kind = condition.get("type", "")
        if kind not in ("PodScheduled", "Ready", "Initialized"):
            wrong += all_invalid(f"status.conditions[{index}].Type", kind, formats.label_key(kind))
    nominated = status.get("nominatedNodeName", "")
    if nominated and nominated != before.get("nominatedNodeName"):
        wrong += all_invalid("status.nominatedNodeName", nominated, formats.subdomain(nominated))
    wrong += immutable("status.qosClass", status.get("qosClass", ""), before.get("qosClass", ""))
    return wrong
