"""Selectors of labels, nodes and topologies, tolerations and taints.

Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation, kubernetes pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from berth.core.objects import Json
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    duplicate,
    duplicate_as,
    forbidden,
    invalid,
    not_supported,
    required,
)
from berth.rehearsal.validation.internal import compact
from berth.rehearsal.validation.metadata import labels

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def label_selector(path: str, selector: Json | None) -> Errors:
    """A selector by labels and expressions."""
    if not selector:
        return []
    found = labels(f"{path}.matchLabels", selector.get("matchLabels"))
    for index, each in enumerate(selector.get("matchExpressions") or ()):
        found += _label_requirement(f"{path}.matchExpressions[{index}]", each)
    return found


def label_name(path: str, name: str) -> Errors:
    """The key of a label."""
    return all_invalid(path, name, formats.label_key(name))


def selects(selector: Json | None, found: Mapping[str, str]) -> bool:
    """Whether a selector without mistakes matches the labels. Nothing selects nothing."""
    if selector is None:
        return False
    if any(found.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or ():
        key, values = each.get("key", ""), each.get("values") or []
        match each.get("operator"):
            case "In":
                fits = found.get(key) in values if key in found else False
            case "NotIn":
                fits = found.get(key) not in values if key in found else True
            case "Exists":
                fits = key in found
            case _:
                fits = key not in found
        if not fits:
            return False
    return True


def convertible(selector: Json | None) -> bool:
    """Whether the server can make a matcher of the selector at all."""
    if not selector:
        return True
    for key, value in (selector.get("matchLabels") or {}).items():
        if formats.label_key(key) or formats.label_value(value):
            return False
    return all(not _label_requirement("", each) for each in selector.get("matchExpressions") or ())


def node_selector(path: str, selector: Json) -> Errors:
    """What a node must be like."""
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    return [error for index, term in enumerate(terms) for error in _term(f"{path}.nodeSelectorTerms[{index}]", term)]


def _term(path: str, term: Json, *, check_values: bool = True) -> Errors:
    found: Errors = []
    for index, each in enumerate(term.get("matchExpressions") or ()):
        found += _label_requirement(f"{path}.matchExpressions[{index}]", each, compares=True, check_values=check_values)
    for index, each in enumerate(term.get("matchFields") or ()):
        found += _field_requirement(f"{path}.matchFields[{index}]", each)
    return found


def _label_requirement(path: str, each: Json, *, compares: bool = False, check_values: bool = True) -> Errors:
    """What is wrong with a requirement on labels; those on a node's may compare numbers (``compares``)."""
    found: Errors = []
    operator, values = each.get("operator", ""), each.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            found.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(forbidden(f"{path}.values", detail))
    elif compares and operator in ("Gt", "Lt"):
        if len(values) != 1:
            found.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        found.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    found += label_name(f"{path}.key", each.get("key", ""))
    if check_values:
        for index, value in enumerate(values):
            found += all_invalid(f"{path}.values[{index}]", value, formats.label_value(value))
    return found


def _field_requirement(path: str, each: Json) -> Errors:
    found: Errors = []
    operator, key, values = each.get("operator", ""), each.get("key", ""), each.get("values") or []
    if operator in ("In", "NotIn"):
        if len(values) != 1:
            detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            found.append(required(f"{path}.values", detail))
    else:
        found.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    if key != "metadata.name":
        return [*found, invalid(f"{path}.key", key, "not a valid field selector key")]
    for index, value in enumerate(values):
        found += all_invalid(f"{path}.values[{index}]", value, formats.subdomain(value))
    return found


def preferred_terms(path: str, terms: Iterable[Json]) -> Errors:
    """Node selectors with weights."""
    found: Errors = []
    for index, each in enumerate(terms):
        found += weight(f"{path}[{index}].weight", each.get("weight", 0))
        found += _term(f"{path}[{index}].preference", each.get("preference") or {}, check_values=False)
    return found


def weight(path: str, number: int) -> Errors:
    """How much a preference counts."""
    return [] if 0 < number <= 100 else [invalid(path, number, "must be in the range 1-100")]


def topology_terms(path: str, terms: Iterable[Json]) -> Errors:
    """The topologies that a StorageClass allows."""
    found: Errors = []
    seen: list[dict[str, frozenset[str]]] = []
    for index, term in enumerate(terms):
        expressions: dict[str, frozenset[str]] = {}
        for number, each in enumerate(term.get("matchLabelExpressions") or ()):
            at = f"{path}[{index}].matchLabelExpressions[{number}]"
            values = each.get("values") or []
            if not values:
                found.append(required(f"{at}.values"))
            for position, value in enumerate(values):
                if value in values[:position]:
                    found.append(duplicate(f"{at}.values[{position}]", value))
            found += label_name(f"{at}.key", each.get("key", ""))
            if each.get("key", "") in expressions:
                found.append(duplicate(f"{at}.key", each.get("key", "")))
            expressions[each.get("key", "")] = frozenset(values)
        if expressions in seen:
            found.append(duplicate(f"{path}[{index}].matchLabelExpressions", ""))
        seen.append(expressions)
    return found


def tolerations(path: str, found: Iterable[Json]) -> Errors:
    """What taints a pod bears."""
    wrong: Errors = []
    for index, each in enumerate(found):
        wrong += _toleration(f"{path}[{index}]", each)
    return wrong


def _toleration(path: str, each: Json) -> Errors:
    found: Errors = []
    key, operator, effect = each.get("key", ""), each.get("operator", ""), each.get("effect", "")
    value = each.get("value", "")
    if key:
        found += label_name(f"{path}.key", key)
    if not key and operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        found.append(invalid(f"{path}.operator", operator, detail))
    if each.get("tolerationSeconds") is not None and effect != "NoExecute":
        found.append(invalid(f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator in ("Equal", ""):
        if wrong := formats.label_value(value):
            found.append(invalid(f"{path}.operator", value, ";".join(wrong)))
    elif operator == "Exists":
        if value:
            found.append(invalid(f"{path}.operator", value, "value must be empty when `operator` is 'Exists'"))
    elif operator in ("Lt", "Gt"):
        found.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists", "Lt", "Gt")))
    else:
        found.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    return found + (_effect(f"{path}.effect", effect) if effect else [])


def _effect(path: str, effect: str) -> Errors:
    return [] if effect in EFFECTS else [not_supported(path, effect, EFFECTS)]


def taints(path: str, found: Iterable[Json]) -> Errors:
    """The taints of a node."""
    wrong: Errors = []
    seen: set[tuple[str, str]] = set()
    for index, each in enumerate(found):
        at = f"{path}[{index}]"
        effect = each.get("effect", "")
        wrong += label_name(f"{at}.key", each.get("key", ""))
        if messages := formats.label_value(each.get("value", "")):
            wrong.append(invalid(f"{at}.value", each.get("value", ""), ";".join(messages)))
        wrong += _effect(f"{at}.effect", effect) if effect else [required(f"{at}.effect")]
        if (effect, each.get("key", "")) in seen:
            written = compact("core.Taint", each)
            wrong.append(duplicate_as(at, written, "taints must be unique by key and effect pair"))
            continue
        seen.add((effect, each.get("key", "")))
    return wrong
