"""StatefulSets and their revisions. Source: kubernetes pkg/apis/apps/validation."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.kinds import REVISIONS, STATEFUL_SETS
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.claims import claim_spec
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    forbidden,
    go_json,
    immutable,
    invalid,
    invalid_as,
    not_negative,
    not_supported,
    required,
)
from berth.rehearsal.validation.internal import compact
from berth.rehearsal.validation.numbers import at_most_all, many_or_percent, read
from berth.rehearsal.validation.pods import template
from berth.rehearsal.validation.selectors import convertible, label_selector, selects

_CHANGEABLE = (
    *("replicas", "template", "updateStrategy", "minReadySeconds", "ordinals", "revisionHistoryLimit"),
    "persistentVolumeClaimRetentionPolicy",
)
_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_COUNTS = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


def create_set(new: Json) -> Errors:
    """A new StatefulSet."""
    wrong = metadata.created(STATEFUL_SETS, new["metadata"], formats.label)
    return wrong + _spec(new["spec"], check_name=True, check_claims=True, check_template=True)


def update_set(new: Json, old: Json) -> Errors:
    """A StatefulSet that is there already: what it says of its pods may change, what it says of their claims not."""
    wrong = metadata.changed(new, old)
    # A set whose template was never right may still be scaled.
    right = not _spec(old["spec"], check_name=False, check_claims=False, check_template=True)
    wrong += _spec(new["spec"], check_name=False, check_claims=False, check_template=right)
    if _fixed(new["spec"]) != _fixed(old["spec"]):
        wrong.append(forbidden("spec", _FORBIDDEN))
    return wrong


def update_set_status(new: Json, old: Json) -> Errors:
    """The status of a StatefulSet."""
    status, before = new.get("status") or {}, old.get("status") or {}
    wrong: Errors = []
    for key in (*_COUNTS, "observedGeneration", "collisionCount"):
        wrong += not_negative(f"status.{key}", status.get(key))
    for key in _COUNTS[1:]:
        if status.get(key, 0) > status.get("replicas", 0):
            wrong.append(invalid(f"status.{key}", status.get(key, 0), "cannot be greater than status.replicas"))
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        detail = "cannot be greater than status.readyReplicas"
        wrong.append(invalid("status.availableReplicas", status.get("availableReplicas", 0), detail))
    wrong += metadata.changed(new, old)
    count, older = status.get("collisionCount"), before.get("collisionCount")
    if older is not None and (count is None or count < older):
        wrong.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))
    return wrong


def _fixed(spec: Json) -> Json:
    return {key: value for key, value in spec.items() if key not in _CHANGEABLE}


def _spec(spec: Json, *, check_name: bool, check_claims: bool, check_template: bool) -> Errors:
    wrong: Errors = []
    policy = spec.get("podManagementPolicy", "")
    if policy not in ("OrderedReady", "Parallel"):
        detail = "must be 'OrderedReady' or 'Parallel'"
        wrong.append(invalid("spec.podManagementPolicy", policy, detail))
    wrong += _strategy("spec.updateStrategy", spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for key in ("whenDeleted", "whenScaled"):
        if retention and retention.get(key) not in ("Retain", "Delete"):
            at = f"spec.persistentVolumeClaimRetentionPolicy.{key}"
            wrong.append(not_supported(at, retention.get(key, ""), ("Retain", "Delete")))
    claims = spec.get("volumeClaimTemplates") or []
    if check_claims:
        for index, claim in enumerate(claims):
            wrong += claim_spec(f"spec.volumeClaimTemplates[{index}].spec", claim["spec"])
    wrong += not_negative("spec.replicas", spec.get("replicas"))
    wrong += not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    wrong += not_negative("spec.ordinals.start", (spec.get("ordinals") or {}).get("start"))
    service = spec.get("serviceName", "")
    if check_name and service:
        wrong += all_invalid("spec.serviceName", service, formats.label(service))
    selector = spec.get("selector")
    if selector is None:
        wrong.append(required("spec.selector"))
    else:
        wrong += label_selector("spec.selector", selector)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            wrong.append(invalid("spec.selector", selector, "empty selector is invalid for statefulset"))
    return wrong + _template(spec, selector, claims, check_template)


def _template(spec: Json, selector: Json | None, claims: list[Json], check: bool) -> Errors:
    wrong: Errors = []
    found: Json = spec["template"]
    labels = found["metadata"].get("labels")
    if not convertible(selector):
        wrong.append(invalid_as("spec.selector", compact("meta.LabelSelector", selector), ""))
    else:
        # Nothing matches a set that selects nothing, but an empty selector matches all.
        empty = selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")
        if not empty and not selects(selector, labels or {}):
            detail = "`selector` does not match template `labels`"
            wrong.append(invalid_as("spec.template.metadata.labels", _labels(labels), detail))
        if check:
            wrong += template("spec.template", _with_claims(found, claims))
        wrong += metadata.labels("spec.template.labels", labels)
        wrong += metadata.annotated("spec.template.annotations", found["metadata"].get("annotations"))
    policy = found["spec"].get("restartPolicy", "")
    if policy != "Always":
        wrong.append(not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if found["spec"].get("activeDeadlineSeconds") is not None:
        at = "spec.template.spec.activeDeadlineSeconds"
        wrong.append(forbidden(at, "activeDeadlineSeconds in StatefulSet is not Supported"))
    return wrong


def _labels(found: Any) -> str:
    return "null" if found is None else go_json(found)


def _with_claims(found: Json, claims: list[Json]) -> Json:
    """The template as its pods will be: names of their own, and a volume for each claim, in place of one so named."""
    spec = {key: value for key, value in found["spec"].items() if key not in ("subdomain", "hostname")}
    if claims:
        names = [claim["metadata"].get("name", "") for claim in claims]
        added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in dict.fromkeys(names)]
        spec["volumes"] = added + [each for each in spec.get("volumes") or () if each.get("name", "") not in names]
    return {**found, "spec": spec}


def _strategy(path: str, found: Json) -> Errors:
    kind, rolling = found.get("type", ""), found.get("rollingUpdate")
    if not kind:
        return [required(path)]
    if kind == "OnDelete":
        if rolling is None:
            return []
        detail = "only allowed for updateStrategy 'RollingUpdate'"
        return [invalid_as(f"{path}.rollingUpdate", compact("apps.RollingUpdateStatefulSetStrategy", rolling), detail)]
    if kind != "RollingUpdate":
        written = compact("apps.StatefulSetUpdateStrategy", found)
        return [invalid_as(path, written, "must be 'RollingUpdate' or 'OnDelete'")]
    wrong: Errors = []
    if rolling is not None:
        wrong += not_negative(f"{path}.rollingUpdate.partition", rolling.get("partition"))
        most = rolling.get("maxUnavailable")
        if most is not None:
            at = f"{path}.rollingUpdate.maxUnavailable"
            wrong += many_or_percent(at, most)
            if read(most) == 0:
                wrong.append(invalid(at, most, "cannot be 0"))
            wrong += at_most_all(at, most)
    return wrong


def create_revision(new: Json) -> Errors:
    """A new ControllerRevision."""
    wrong = _revision(new)
    data = new.get("data")
    if data is None:
        wrong.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        wrong.append(required("data", "data must be a valid JSON object"))
    return wrong


def update_revision(new: Json, old: Json) -> Errors:
    """A ControllerRevision that is there already: its data are history."""
    wrong = metadata.changed(new, old) + _revision(new)
    return wrong + immutable("data", new.get("data"), old.get("data"), go_json(new.get("data")))


def _revision(new: Json) -> Errors:
    wrong = metadata.created(REVISIONS, new["metadata"], formats.subdomain)
    return wrong + not_negative("revision", new.get("revision"))
