"""Which nodes could take a pod, as far as its own rules and its volumes tell.

Looked at are readiness and cordons, taints, nodeSelector, required node affinity, required pod anti-affinity of the pod
itself, and the node affinity of volumes. Not looked at are resources, spreads, affinity to pods, other pods' rules and
what plugins of a scheduler add: a node that is named here may still refuse the pod. Source: kubernetes
pkg/scheduler/framework/plugins and staging/src/k8s.io/component-helpers/scheduling/corev1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from berth.core.objects import Json, dig
from berth.core.status import selects

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def schedulable(node: Json, pod: Json) -> bool:
    """Whether the scheduler would look at the node at all: ready, with the labels asked for, no taint in the way.

    ``pod`` is the pod's spec.
    """
    return not _closed(node, pod) and _selected(node, pod)


def why_not(node: Json, pod: Json, nodes: Mapping[str, Json], pods: Iterable[Json]) -> str:
    """Why a node does not take a pod; "" where nothing is seen that speaks against it."""
    closed = _closed(node, pod["spec"])
    if closed:
        return closed
    required = dig(pod, "spec", "affinity", "nodeAffinity", _REQUIRED)
    if not _selected(node, pod["spec"]) or (required is not None and not meets(node, required)):
        return "has not the labels that it asks for"
    return _apart(node, pod, nodes, pods)


def reachable(volume: Json, node: Json) -> bool:
    """Whether a node can use a volume: its node affinity, which local and zonal volumes have."""
    required = dig(volume, "spec", "nodeAffinity", "required")
    return required is None or meets(node, required)


def meets(node: Json, selector: Json) -> bool:
    """Whether a node meets a node selector: one of its terms, and all of that one's rules; an empty term meets none."""
    return any(_meets_term(node, term) for term in selector.get("nodeSelectorTerms") or [])


def _meets_term(node: Json, term: Json) -> bool:
    labels: Mapping[str, str] = dig(node, "metadata", "labels", default={}) or {}
    rules = [(rule, labels) for rule in term.get("matchExpressions") or []]
    rules += [(rule, {"metadata.name": str(node["metadata"]["name"])}) for rule in term.get("matchFields") or []]
    return bool(rules) and all(_meets_rule(rule, given) for rule, given in rules)


def _meets_rule(rule: Json, given: Mapping[str, str]) -> bool:
    if rule["operator"] in ("Gt", "Lt"):
        try:
            value, bound = int(given[rule["key"]]), int(rule["values"][0])
        except (KeyError, IndexError, ValueError):
            return False
        return value > bound if rule["operator"] == "Gt" else value < bound
    return selects({"matchExpressions": [rule]}, given)


def _closed(node: Json, pod: Json) -> str:
    conditions = dig(node, "status", "conditions", default=[])
    if not any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
        return "is not ready"
    if dig(node, "spec", "unschedulable"):
        return "is cordoned"
    for taint in dig(node, "spec", "taints", default=[]):
        if taint.get("effect") in ("NoSchedule", "NoExecute"):
            if not any(_tolerates(toleration, taint) for toleration in pod.get("tolerations") or []):
                return f"has taint {taint.get('key')}"
    return ""


def _selected(node: Json, pod: Json) -> bool:
    labels = dig(node, "metadata", "labels", default={})
    return all(labels.get(key) == value for key, value in (pod.get("nodeSelector") or {}).items())


def _apart(node: Json, pod: Json, nodes: Mapping[str, Json], pods: Iterable[Json]) -> str:
    """Which pod is there that this one must be apart from; a node without the topology's label is apart from all."""
    terms: Sequence[Any] = dig(pod, "spec", "affinity", "podAntiAffinity", _REQUIRED, default=[]) or []
    space, name = pod["metadata"].get("namespace"), pod["metadata"]["name"]
    for term in terms:
        key, domain = term.get("topologyKey"), dig(node, "metadata", "labels", term.get("topologyKey", ""))
        if domain is None:
            continue
        spaces = term.get("namespaces") or [space]
        for other in pods:
            meta = other["metadata"]
            if (meta.get("namespace"), meta["name"]) == (space, name) or meta.get("namespace") not in spaces:
                continue
            where = nodes.get(str(dig(other, "spec", "nodeName", default="")))
            ended = dig(other, "status", "phase") in ("Succeeded", "Failed")
            if ended or where is None or dig(where, "metadata", "labels", key) != domain:
                continue
            if selects(term.get("labelSelector"), meta.get("labels") or {}):
                return f"has {meta['name']}, from which it must be apart"
    return ""


def _tolerates(toleration: Json, taint: Json) -> bool:
    """Source: Toleration.ToleratesTaint in k8s.io/api/core/v1; an empty key or effect meets all."""
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint.get("key")):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")
