"""Selectors: of pods by labels, of nodes by labels and names, of topologies by StorageClasses.

Semantics of k8s.io/apimachinery/pkg/labels and k8s.io/component-helpers/scheduling/corev1/nodeaffinity.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]
#: One label, or None.
Shelf = tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Selection:
    """A LabelSelector, ready for use. Equal ones have equal ``text``; only labels with ``shelf`` can be selected."""

    text: str
    matches: Matcher = field(compare=False)
    #: One label that is demanded; None where no single one is. It makes indexes of selections possible.
    shelf: Shelf = field(compare=False)


def selection(selector: Mapping[str, Any] | None, extra: Labels | None = None) -> Selection:
    """Read a LabelSelector: None selects nothing, an empty one everything; ``extra`` labels are demanded besides."""
    return _selection(json.dumps([selector, dict(extra) if extra else None], sort_keys=True))


@lru_cache(maxsize=4096)
def _selection(text: str) -> Selection:
    selector, extra = json.loads(text)
    wanted = {**((selector or {}).get("matchLabels") or {}), **(extra or {})}
    for one in (selector or {}).get("matchExpressions") or ():
        if one["operator"] == "In" and len(one.get("values") or ()) == 1:
            wanted.setdefault(one["key"], one["values"][0])
    return Selection(text, _label_matcher(text), min(wanted.items(), default=None))


def shelves(labels: Labels) -> Iterator[Shelf]:
    """Where the selections are that these labels may satisfy."""
    yield None
    yield from labels.items()


def _label_matcher(text: str) -> Matcher:
    selector, extra = json.loads(text)
    if selector is None:
        return lambda labels: False
    wanted = list(({**(selector.get("matchLabels") or {}), **(extra or {})}).items())
    expressions: list[dict[str, Any]] = selector.get("matchExpressions") or []
    if not expressions:
        return lambda labels: all(labels.get(key) == value for key, value in wanted)
    return lambda labels: (
        all(labels.get(key) == value for key, value in wanted) and all(_holds(one, labels) for one in expressions)
    )


def _holds(expression: Mapping[str, Any], labels: Labels) -> bool:
    """One requirement of a label or node selector."""
    key, values = expression["key"], expression.get("values") or []
    value = labels.get(key)
    match expression["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                mine, bound = int(value or ""), int(values[0])
            except (ValueError, IndexError):
                return False
            return mine > bound if operator == "Gt" else mine < bound
    return False


def node_term_matches(term: Mapping[str, Any], labels: Labels, name: str) -> bool:
    """Whether a node satisfies one NodeSelectorTerm; an empty term is satisfied by none."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_holds(one, labels) for one in expressions) and all(
        _holds(one, {"metadata.name": name}) for one in fields
    )


def node_selector_matches(selector: Mapping[str, Any], labels: Labels, name: str) -> bool:
    """Whether a node satisfies a NodeSelector: any of its terms."""
    return any(node_term_matches(term, labels, name) for term in selector.get("nodeSelectorTerms") or [])


def named_nodes(selector: Mapping[str, Any]) -> frozenset[str] | None:
    """The only nodes that a NodeSelector allows by name; None when some term names none."""
    names: set[str] = set()
    for term in selector.get("nodeSelectorTerms") or []:
        chosen: set[str] | None = None
        for one in term.get("matchFields") or []:
            if one["key"] == "metadata.name" and one["operator"] == "In":
                values = set(one.get("values") or [])
                chosen = values if chosen is None else chosen & values
        if chosen is None:
            return None
        names |= chosen
    return frozenset(names) if names or selector.get("nodeSelectorTerms") else None


def topology_allowed(terms: Sequence[Mapping[str, Any]] | None, labels: Labels) -> bool:
    """Whether a node's labels satisfy a StorageClass' allowedTopologies; no terms allow every node."""
    if not terms:
        return True
    return any(
        all(labels.get(one["key"]) in (one.get("values") or []) for one in term.get("matchLabelExpressions") or [])
        for term in terms
        if term.get("matchLabelExpressions")
    )


def tolerates(tolerations: Sequence[Mapping[str, Any]], taint: Mapping[str, Any]) -> bool:
    """Whether one of the tolerations is for the taint."""
    return any(toleration_matches(one, taint) for one in tolerations)


def toleration_matches(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration is for a taint (k8s.io/api/core/v1 ``ToleratesTaint``)."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")
