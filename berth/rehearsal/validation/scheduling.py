"""Where a pod may run: affinity, spread, gates. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from berth.core.objects import Json
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import (
    POSITIVE,
    Errors,
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from berth.rehearsal.validation.selectors import label_name, label_selector, node_selector, preferred_terms, weight

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity(path: str, found: Json | None) -> Errors:
    """``spec.affinity``."""
    wrong: Errors = []
    for key, part in (found or {}).items():
        if part is not None and key == "nodeAffinity":
            if part.get(_REQUIRED) is not None:
                wrong += node_selector(f"{path}.{key}.{_REQUIRED}", part[_REQUIRED])
            wrong += preferred_terms(f"{path}.{key}.{_PREFERRED}", part.get(_PREFERRED) or ())
    for key in ("podAffinity", "podAntiAffinity"):
        part = (found or {}).get(key)
        if part is not None:
            wrong += _pod_terms(f"{path}.{key}", part)
    return wrong


def _pod_terms(path: str, part: Json) -> Errors:
    wrong: Errors = []
    for index, term in enumerate(part.get(_REQUIRED) or ()):
        wrong += _pod_term(f"{path}.{_REQUIRED}[{index}]", term)
    for index, each in enumerate(part.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        wrong += weight(f"{at}.weight", each.get("weight", 0))
        wrong += _pod_term(f"{at}.podAffinityTerm", each.get("podAffinityTerm") or {})
    return wrong


def _pod_term(path: str, term: Json) -> Errors:
    wrong = label_selector(f"{path}.labelSelector", term.get("labelSelector"))
    wrong += label_selector(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    for name in term.get("namespaces") or ():
        wrong += all_invalid(f"{path}.namespace", name, formats.label(name))
    keys, other = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    wrong += label_keys(path, keys, other, term.get("labelSelector"))
    topology = term.get("topologyKey", "")
    if not topology:
        wrong.append(required(f"{path}.topologyKey", "can not be empty"))
    return wrong + label_name(f"{path}.topologyKey", topology)


def label_keys(path: str, keys: Sequence[str], other: Sequence[str], selector: Json | None) -> Errors:
    """``matchLabelKeys`` and ``mismatchLabelKeys``."""
    wrong: Errors = []
    for label, found in (("matchLabelKeys", keys), ("mismatchLabelKeys", other)):
        if found and selector is None:
            wrong.append(forbidden(f"{path}.{label}", "must not be specified when labelSelector is not set"))
        elif found:
            for index, key in enumerate(found):
                wrong += label_name(f"{path}.{label}[{index}]", key)
    if selector is not None:
        seen = set(selector.get("matchLabels") or {})
        for each in selector.get("matchExpressions") or ():
            key = each.get("key", "")
            if key in keys and key in seen:
                detail = "exists in both matchLabelKeys and labelSelector"
                wrong.append(invalid(f"{path}[{list(keys).index(key)}]", key, detail))
            seen.add(key)
    for index, key in enumerate(keys):
        if key in other:
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            wrong.append(invalid(f"{path}.matchLabelKeys[{index}]", key, detail))
    return wrong


def spread(path: str, constraints: Sequence[Json]) -> Errors:
    """``topologySpreadConstraints``."""
    wrong: Errors = []
    for index, each in enumerate(constraints):
        at = f"{path}[{index}]"
        skew, key, action = each.get("maxSkew", 0), each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")
        if skew <= 0:
            wrong.append(invalid(f"{at}.maxSkew", skew, POSITIVE))
        if not key:
            wrong.append(required(f"{at}.topologyKey", "can not be empty"))
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            wrong.append(not_supported(f"{at}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway")))
        for later in constraints[index + 1 :]:
            if later.get("topologyKey", "") == key and later.get("whenUnsatisfiable", "") == action:
                wrong.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
                break
        domains = each.get("minDomains")
        if domains is not None:
            if domains <= 0:
                wrong.append(invalid(f"{at}.minDomains", domains, POSITIVE))
            if action != "DoNotSchedule":
                detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                wrong.append(invalid(f"{at}.minDomains", domains, detail))
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if each.get(policy) not in (None, "Honor", "Ignore"):
                wrong.append(not_supported(f"{at}.{policy}", each[policy], ("Honor", "Ignore")))
        wrong += label_keys(at, each.get("matchLabelKeys") or [], [], each.get("labelSelector"))
        wrong += label_selector(f"{at}.labelSelector", each.get("labelSelector"))
    return wrong


def gates(path: str, found: Iterable[Json]) -> Errors:
    """``schedulingGates``."""
    wrong: Errors = []
    seen: set[str] = set()
    for index, each in enumerate(found):
        name = each.get("name", "")
        wrong += label_name(f"{path}[{index}]", name)
        if name in seen:
            wrong.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return wrong
