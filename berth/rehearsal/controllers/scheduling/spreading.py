"""topologySpreadConstraints, hard ones as a rule and soft ones as a score.

Source: kubernetes pkg/scheduler/framework/plugins/podtopologyspread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from berth.rehearsal.controllers.scheduling import selecting
from berth.rehearsal.controllers.scheduling.attachment import selected
from berth.rehearsal.controllers.scheduling.selecting import Selection
from berth.rehearsal.controllers.scheduling.snapshot import Cluster, NodeInfo, PodInfo
from berth.rehearsal.controllers.scheduling.verdicts import Rejection

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"

MISMATCH = "node(s) didn't match pod topology spread constraints"

#: What a pod of a Service or a set gets that states no constraint itself (systemDefaultConstraints).
DEFAULTS: tuple[tuple[str, int], ...] = ((HOSTNAME, 3), (ZONE, 5))


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint, with its selector ready for use."""

    key: str
    max_skew: int
    pods: Selection
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


@dataclass(frozen=True, slots=True)
class _Spread:
    constraint: Constraint
    by_value: Mapping[str, int]
    least: int
    own: int


class Spreading:
    """How evenly the pods of a selection are spread, seen by one pod that is to join them."""

    def __init__(self, pod: PodInfo, cluster: Cluster, default_selectors: Sequence[Mapping[str, Any]] = ()) -> None:
        """Count for every constraint. ``default_selectors``: of the Services and the set that the pod belongs to."""
        self._pod, self._cluster = pod, cluster
        written = pod.body["spec"].get("topologySpreadConstraints") or []
        self._hard = [self._count(_constraint(one, pod)) for one in written if _hard(one)]
        self._soft = [_constraint(one, pod) for one in written if not _hard(one)]
        self._partial = not written
        if not written and default_selectors:
            joined = {"matchExpressions": [one for selector in default_selectors for one in _expressions(selector)]}
            together = selecting.selection(joined)
            self._soft = [Constraint(key, skew, together) for key, skew in DEFAULTS]

    def _count(self, constraint: Constraint) -> _Spread:
        """The pods in each domain. Only nodes that the pod may use count, and of those only with every hard key."""
        counts = self._counts(constraint)
        by_value: dict[str, int] = {}
        keys = [one["topologyKey"] for one in self._pod.body["spec"]["topologySpreadConstraints"] if _hard(one)]
        for node in self._cluster.nodes.values():
            if all(key in node.labels for key in keys) and self._eligible(constraint, node):
                value = node.labels[constraint.key]
                by_value[value] = by_value.get(value, 0) + counts.get(node.name, 0)
        least = min(by_value.values(), default=0) if len(by_value) >= constraint.min_domains else 0
        return _Spread(constraint, by_value, least, int(constraint.pods.matches(self._pod.labels)))

    def _counts(self, constraint: Constraint) -> Mapping[str, int]:
        return self._cluster.count(self._pod.namespace, constraint.pods, terminating=False)

    def _eligible(self, constraint: Constraint, node: NodeInfo) -> bool:
        if constraint.honor_affinity and not selected(self._pod, node):
            return False
        if not constraint.honor_taints:
            return True
        tolerations = self._pod.body["spec"].get("tolerations") or []
        return all(one["effect"] == "PreferNoSchedule" or selecting.tolerates(tolerations, one) for one in node.taints)

    def rejection(self, node: NodeInfo) -> Rejection | None:
        """Why the pod may not join here."""
        for one in self._hard:
            value = node.labels.get(one.constraint.key)
            if value is None:
                return Rejection((f"{MISMATCH} (missing required label)",), final=True)
            if one.by_value.get(value, 0) + one.own - one.least > one.constraint.max_skew:
                return Rejection((MISMATCH,))
        return None

    def scores(self, nodes: Sequence[NodeInfo]) -> dict[str, int]:
        """0 to 100 for each node, 100 where fewest of the selection are; the empty mapping when nothing is asked."""
        if not self._soft:
            return {}
        usable = [node for node in nodes if self._partial or all(one.key in node.labels for one in self._soft)]
        raw = dict.fromkeys((node.name for node in usable), 0.0)
        for constraint in self._soft:
            counts = self._counts(constraint)
            hostname = constraint.key == HOSTNAME
            domains: dict[str, int] = {}
            if not hostname:
                domains = {node.labels.get(constraint.key, ""): 0 for node in usable}
                for node in self._cluster.nodes.values():
                    value = node.labels.get(constraint.key, "")
                    if value in domains and self._eligible(constraint, node):
                        domains[value] += counts.get(node.name, 0)
            weight = log((len(usable) if hostname else len(domains)) + 2)
            for node in usable:
                if constraint.key in node.labels:
                    number = counts.get(node.name, 0) if hostname else domains[node.labels[constraint.key]]
                    raw[node.name] += number * weight + constraint.max_skew - 1
        whole = {name: round(value) for name, value in raw.items()}
        most, least = max(whole.values(), default=0), min(whole.values(), default=0)
        found = {node.name: 0 for node in nodes}
        for name, score in whole.items():
            found[name] = 100 if most == 0 else 100 * (most + least - score) // most
        return found


def _hard(constraint: Mapping[str, Any]) -> bool:
    return bool(constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule")


def _constraint(one: Mapping[str, Any], pod: PodInfo) -> Constraint:
    extra = {key: pod.labels[key] for key in one.get("matchLabelKeys") or [] if key in pod.labels}
    return Constraint(
        one["topologyKey"],
        int(one["maxSkew"]),
        selecting.selection(one.get("labelSelector"), extra),
        int(one.get("minDomains") or 1),
        one.get("nodeAffinityPolicy", "Honor") == "Honor",
        one.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


def _expressions(selector: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A LabelSelector as requirements only, so that several can be joined."""
    written = [
        {"key": key, "operator": "In", "values": [value]} for key, value in (selector.get("matchLabels") or {}).items()
    ]
    return [*written, *(selector.get("matchExpressions") or [])]
