"""Budgets, network policies, quotas, priorities and leases. Source: kubernetes pkg/apis/*/validation."""

from __future__ import annotations

from collections.abc import Mapping

from berth.core.objects import Json
from berth.rehearsal.kinds import LEASES, POLICIES, PRIORITY_CLASSES, QUOTAS
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    forbidden,
    immutable,
    invalid,
    invalid_as,
    not_negative,
    not_supported,
    required,
    shown,
)
from berth.rehearsal.validation.internal import compact
from berth.rehearsal.validation.numbers import at_most_all, many_or_percent
from berth.rehearsal.validation.resources import QUOTA, amount, quota_resource
from berth.rehearsal.validation.selectors import label_selector

PROTOCOLS = ("TCP", "UDP", "SCTP")
#: The highest priority that is not the system's.
MOST_PRIORITY = 1_000_000_000
_SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_SCOPES = (
    *("Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "VolumeAttributesClass"),
    "CrossNamespacePodAffinity",
)
_POD_SCOPES = frozenset(
    {"Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"}
)
_POD_RESOURCES = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_MUST_EXIST = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_OPPOSITES = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def budget(new: Json) -> Errors:
    """A PodDisruptionBudget; whether it is new makes no difference, and its metadata are not judged here."""
    spec = new["spec"]
    wrong: Errors = []
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        detail = "minAvailable and maxUnavailable cannot be both set"
        wrong.append(invalid_as("spec", compact("policy.PodDisruptionBudgetSpec", spec), detail))
    for key, found in (("minAvailable", least), ("maxUnavailable", most)):
        if found is not None:
            wrong += many_or_percent(f"spec.{key}", found) + at_most_all(f"spec.{key}", found)
    wrong += label_selector("spec.selector", spec.get("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        wrong.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget")))
    return wrong


def budget_status(new: Json) -> Errors:
    """The status of a PodDisruptionBudget."""
    keys = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    return [error for key in keys for error in not_negative(f"status.{key}", (new.get("status") or {}).get(key))]


def create_network_policy(new: Json) -> Errors:
    """A new NetworkPolicy."""
    return metadata.created(POLICIES, new["metadata"], formats.subdomain) + _network_policy(new["spec"])


def update_network_policy(new: Json, old: Json) -> Errors:
    """A NetworkPolicy that is there already."""
    return metadata.changed(new, old) + _network_policy(new["spec"])


def _network_policy(spec: Json) -> Errors:
    wrong = label_selector("spec.podSelector", spec.get("podSelector"))
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(side) or ()):
            at = f"spec.{side}[{index}]"
            for number, each in enumerate(rule.get("ports") or ()):
                wrong += _policy_port(f"{at}.ports[{number}]", each)
            for number, each in enumerate(rule.get(peers) or ()):
                wrong += _peer(f"{at}.{peers}[{number}]", each)
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        return [*wrong, invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes")]
    for index, kind in enumerate(kinds):
        if kind not in ("Ingress", "Egress"):
            wrong.append(not_supported(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress")))
    return wrong


def _policy_port(path: str, each: Json) -> Errors:
    wrong: Errors = []
    protocol, port, end = each.get("protocol"), each.get("port"), each.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        wrong.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if port is None:
        if end is not None:
            wrong.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(port, str):
        if end is not None:
            wrong.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        wrong += all_invalid(f"{path}.port", port, formats.port_name(port))
    else:
        wrong += all_invalid(f"{path}.port", port, formats.port_number(port))
        if end is not None:
            if end < port:
                wrong.append(invalid(f"{path}.endPort", port, "must be greater than or equal to `port`"))
            wrong += all_invalid(f"{path}.endPort", end, formats.port_number(end))
    return wrong


def _peer(path: str, each: Json) -> Errors:
    wrong: Errors = []
    for key in ("podSelector", "namespaceSelector"):
        wrong += label_selector(f"{path}.{key}", each.get(key))
    block = each.get("ipBlock")
    if block is not None:
        wrong += _block(f"{path}.ipBlock", block)
    many = sum(each.get(key) is not None for key in ("podSelector", "namespaceSelector", "ipBlock"))
    if many == 0:
        wrong.append(required(path, "must specify a peer"))
    elif many > 1 and block is not None:
        wrong.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return wrong


def _block(path: str, block: Json) -> Errors:
    text = block.get("cidr", "")
    if not text:
        return [required(f"{path}.cidr")]
    wrong = all_invalid(f"{path}.cidr", text, formats.cidr(text))
    outer = formats.network(text)
    for index, each in enumerate(block.get("except") or ()):
        at = f"{path}.except[{index}]"
        wrong += all_invalid(at, each, formats.cidr(each)) if outer else []
        inner = formats.network(each)
        if outer is None or inner is None:
            continue
        inside = inner.version == outer.version and inner.network_address in outer
        if not inside or inner.prefixlen <= outer.prefixlen:
            wrong.append(invalid(at, each, "must be a strict subset of `cidr`"))
    return wrong


def create_quota(new: Json) -> Errors:
    """A new ResourceQuota."""
    wrong = metadata.created(QUOTAS, new["metadata"], formats.subdomain) + _quota(new["spec"])
    return wrong + _amounts(new, ("hard", "used"))


def update_quota(new: Json, old: Json) -> Errors:
    """A ResourceQuota that is there already: what it counts stays."""
    wrong = metadata.changed(new, old) + _quota(new["spec"])
    scopes = new["spec"].get("scopes")
    if set(scopes or ()) != set(old["spec"].get("scopes") or ()):
        wrong += immutable("spec.scopes", scopes, object(), "null" if scopes is None else shown(scopes))
    return wrong


def update_quota_status(new: Json, old: Json) -> Errors:
    """The status of a ResourceQuota."""
    return metadata.changed(new, old) + _amounts(new, ("hard", "used"))


def _amounts(new: Json, keys: tuple[str, ...]) -> Errors:
    wrong: Errors = []
    for key in keys:
        found: Mapping[str, str] = (new.get("status") or {}).get(key) or {}
        for name, text in found.items():
            wrong += quota_resource(name, f"status.{key}[{name}]") + amount(name, text, f"status.{key}[{name}]")
    return wrong


def _quota(spec: Json) -> Errors:
    wrong: Errors = []
    hard: Mapping[str, str] = spec.get("hard") or {}
    for name, text in hard.items():
        wrong += quota_resource(name, f"spec.hard[{name}]") + amount(name, text, f"spec.hard[{name}]")
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            wrong.append(invalid("spec.scopes", scopes, "unsupported scope"))
        for name in sorted(hard):
            if name in QUOTA and not _counts(scope, name):
                wrong.append(invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    for pair in _OPPOSITES:
        if set(pair) <= set(scopes):
            wrong.append(invalid("spec.scopes", scopes, "conflicting scopes"))
    if spec.get("scopeSelector") is not None:
        wrong += _scope_selector(spec, hard)
    return wrong


def _counts(scope: str, name: str) -> bool:
    if scope in _POD_SCOPES:
        return name in _POD_RESOURCES
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return True


def _scope_selector(spec: Json, hard: Mapping[str, str]) -> Errors:
    wrong: Errors = []
    path, selector = "spec.scopeSelector.matchExpressions", spec["scopeSelector"]
    for each in selector.get("matchExpressions") or ():
        scope, operator, values = each.get("scopeName", ""), each.get("operator", ""), each.get("values") or []
        if scope not in _SCOPES:
            wrong.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        for name in sorted(hard):
            if name in QUOTA and not _counts(scope, name):
                written = compact("core.ScopeSelector", selector)
                wrong.append(invalid_as(path, written, "unsupported scope applied to resource"))
        if scope in _SCOPES and scope not in ("PriorityClass", "VolumeAttributesClass") and operator != "Exists":
            wrong.append(invalid(f"{path}.operator", operator, _MUST_EXIST))
        if operator in ("In", "NotIn"):
            if not values:
                detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                wrong.append(required(f"{path}.values", detail))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                wrong.append(invalid(f"{path}.values", values, detail))
        else:
            wrong.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return wrong


def create_priority(new: Json) -> Errors:
    """A new PriorityClass."""
    wrong = metadata.created(PRIORITY_CLASSES, new["metadata"], formats.subdomain)
    name, value = new["metadata"].get("name", ""), new.get("value", 0)
    if name.startswith("system-"):
        if why := _not_systems(name, value, bool(new.get("globalDefault"))):
            reserved = "priority class names with 'system-' prefix are reserved for system use only. error: "
            wrong.append(forbidden("metadata.name", reserved + why))
    elif value > MOST_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {MOST_PRIORITY}"
        wrong.append(forbidden("value", detail))
    return wrong + _preemption(new.get("preemptionPolicy"))


def _not_systems(name: str, value: int, everywhere: bool) -> str:
    known = _SYSTEM_PRIORITIES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if value != known:
        return f"value of {name} PriorityClass must be {known}"
    return f"globalDefault of {name} PriorityClass must be false" if everywhere else ""


def _preemption(policy: str | None) -> Errors:
    values = ("PreemptLowerPriority", "Never")
    return [] if policy is None or policy in values else [not_supported("preemptionPolicy", policy, values)]


def update_priority(new: Json, old: Json) -> Errors:
    """A PriorityClass that is there already: its value stays."""
    wrong = metadata.changed(new, old)
    if new.get("value", 0) != old.get("value", 0):
        wrong.append(forbidden("value", "may not be changed in an update."))
    return wrong + immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def create_lease(new: Json) -> Errors:
    """A new Lease."""
    return metadata.created(LEASES, new["metadata"], formats.subdomain, standard_finalizers=False) + _lease(new["spec"])


def update_lease(new: Json, old: Json) -> Errors:
    """A Lease that is there already."""
    return metadata.changed(new, old, standard_finalizers=False) + _lease(new["spec"])


def _lease(spec: Json) -> Errors:
    wrong: Errors = []
    seconds, moves = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        wrong.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if moves is not None and moves < 0:
        wrong.append(invalid("spec.leaseTransitions", moves, "must be greater than or equal to 0"))
    return wrong
