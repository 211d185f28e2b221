"""HorizontalPodAutoscalers. Source: kubernetes pkg/apis/autoscaling/validation."""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.amounts import canonical
from berth.rehearsal.kinds import AUTOSCALERS
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.errors import (
    NOT_NEGATIVE,
    POSITIVE,
    Errors,
    all_invalid,
    forbidden,
    invalid,
    not_negative,
    not_supported,
    required,
)
from berth.rehearsal.validation.resources import container_resource, number

_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
#: The field of each type, in the order in which the server looks for them.
_FIELDS = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_MOST_PERIOD, _MOST_WINDOW = 1800, 3600


def create_autoscaler(new: Json) -> Errors:
    """A new HorizontalPodAutoscaler."""
    return metadata.created(AUTOSCALERS, new["metadata"], formats.subdomain) + _spec(new["spec"])


def update_autoscaler(new: Json, old: Json) -> Errors:
    """A HorizontalPodAutoscaler that is there already."""
    return metadata.changed(new, old) + _spec(new["spec"])


def update_autoscaler_status(new: Json, old: Json) -> Errors:
    """The status of a HorizontalPodAutoscaler."""
    status = new.get("status") or {}
    wrong = metadata.changed(new, old)
    for key in ("currentReplicas", "desiredReplicas"):
        wrong += not_negative(f"status.{key}", status.get(key))
    return wrong


def _spec(spec: Json) -> Errors:
    wrong: Errors = []
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        wrong.append(invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most == 0:
        wrong.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        wrong.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        wrong.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    wrong += _reference("spec.scaleTargetRef", spec.get("scaleTargetRef") or {}, needs_group=True)
    metrics = spec.get("metrics") or []
    for index, each in enumerate(metrics):
        wrong += _metric(f"spec.metrics[{index}]", each)
    if least == 0 and not any(each.get("type") in ("Object", "External") for each in metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        wrong.append(forbidden("spec.metrics", detail))
    for key in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(key)
        if rules is not None:
            wrong += _rules(f"spec.behavior.{key}", rules)
    return wrong


def _reference(path: str, found: Json, *, needs_group: bool) -> Errors:
    wrong: Errors = []
    for key in ("kind", "name"):
        text = found.get(key, "")
        wrong += all_invalid(f"{path}.{key}", text, formats.path_segment(text)) if text else [required(f"{path}.{key}")]
    version = found.get("apiVersion", "")
    if version.count("/") > 1:
        wrong.append(invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif needs_group and "/" not in version.strip("/"):
        wrong.append(invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))
    return wrong


def _metric(path: str, found: Json) -> Errors:
    wrong: Errors = []
    kind = found.get("type", "")
    if not kind:
        wrong.append(required(f"{path}.type", "must specify a metric source type"))
    if kind not in _TYPES:
        wrong.append(not_supported(f"{path}.type", kind, _TYPES))
    present = [key for key in _FIELDS.values() if found.get(key) is not None]
    if present:
        wrong += _metric_source(f"{path}.{present[0]}", present[0], found[present[0]])
    expected = _FIELDS.get(kind)
    if expected is None:
        wrong.append(not_supported(f"{path}.type", kind, _TYPES))
    elif expected not in present:
        wrong.append(required(f"{path}.{expected}", "must populate information for the given metric source"))
    if len(present) != 1:
        others = [key for key in present if key != expected]
        wrong += [forbidden(f"{path}.{key}", "must populate the given metric source only") for key in others]
    return wrong


def _metric_source(path: str, key: str, found: Json) -> Errors:
    wrong: Errors = []
    target = found.get("target") or {}
    if key == "object":
        wrong += _reference(f"{path}.describedObject", found.get("describedObject") or {}, needs_group=False)
    if key in ("object", "external", "pods"):
        name = (found.get("metric") or {}).get("name", "")
        at = f"{path}.metric.name"
        missing = [required(at, "must specify a metric name")]
        wrong += all_invalid(at, name, formats.path_segment(name)) if name else missing
    else:
        name = found.get("name", "")
        if not name:
            wrong.append(required(f"{path}.name", "must specify a resource name"))
        elif key == "containerResource":
            wrong += container_resource(name, f"{path}.name")
    if key == "containerResource":
        name = found.get("container", "")
        missing = [required(f"{path}.container", "must specify a container")]
        wrong += all_invalid(f"{path}.container", name, formats.label(name)) if name else missing
    return wrong + _target(f"{path}.target", target) + _target_kind(f"{path}.target", key, target)


def _target(path: str, found: Json) -> Errors:
    wrong: Errors = []
    kind = found.get("type", "")
    if not kind:
        wrong.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in ("Utilization", "Value", "AverageValue"):
        wrong.append(invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for key in ("value", "averageValue"):
        if found.get(key) is not None and number(found[key]) <= 0:
            wrong.append(invalid(f"{path}.{key}", canonical(found[key]), "must be positive"))
    percent = found.get("averageUtilization")
    if percent is not None and percent < 1:
        wrong.append(invalid(f"{path}.averageUtilization", percent, "must be greater than 0"))
    return wrong


def _target_kind(path: str, key: str, target: Json) -> Errors:
    value, average = target.get("value"), target.get("averageValue")
    percent = target.get("averageUtilization")
    if key == "object" and value is None and average is None:
        return [required(f"{path}.averageValue", "must set either a target value or averageValue")]
    if key == "external":
        if value is None and average is None:
            detail = "must set either a target value for metric or a per-pod target"
            return [required(f"{path}.averageValue", detail)]
        if value is not None and average is not None:
            detail = "may not set both a target value for metric and a per-pod target"
            return [forbidden(f"{path}.value", detail)]
    if key == "pods" and average is None:
        return [required(f"{path}.averageValue", "must specify a positive target averageValue")]
    if key in ("resource", "containerResource"):
        if percent is None and average is None:
            detail = "must set either a target raw value or a target utilization"
            return [required(f"{path}.averageUtilization", detail)]
        if percent is not None and average is not None:
            detail = "may not set both a target raw value and a target utilization"
            return [forbidden(f"{path}.averageValue", detail)]
    return []


def _rules(path: str, rules: Json) -> Errors:
    wrong: Errors = []
    window, at = rules.get("stabilizationWindowSeconds"), f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        wrong.append(invalid(at, window, "must be greater than or equal to zero"))
    if window is not None and window > _MOST_WINDOW:
        wrong.append(invalid(at, window, f"must be less than or equal to {_MOST_WINDOW}"))
    select = rules.get("selectPolicy")
    if select is not None and select not in ("Disabled", "Max", "Min"):
        wrong.append(not_supported(f"{path}.selectPolicy", select, ("Disabled", "Max", "Min")))
    policies = rules.get("policies") or []
    if not policies:
        wrong.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, each in enumerate(policies):
        wrong += _policy(f"{path}.policies[{index}]", each)
    tolerance = rules.get("tolerance")
    if tolerance is not None and number(tolerance) < 0:
        wrong.append(invalid(f"{path}.tolerance", canonical(tolerance), NOT_NEGATIVE))
    return wrong


def _policy(path: str, each: Json) -> Errors:
    wrong: Errors = []
    if each.get("type") not in ("Percent", "Pods"):
        wrong.append(not_supported(f"{path}.type", each.get("type", ""), ("Percent", "Pods")))
    period = each.get("periodSeconds", 0)
    for key in ("value", "periodSeconds"):
        if each.get(key, 0) <= 0:
            wrong.append(invalid(f"{path}.{key}", each.get(key, 0), POSITIVE))
    if period > _MOST_PERIOD:
        detail = f"must be less than or equal to {_MOST_PERIOD}"
        wrong.append(invalid(f"{path}.periodSeconds", period, detail))
    return wrong
