"""Which of the nodes that will do is the best one: the sum of weighted scores from 0 to 100.

Weights and formulas are those of kube-scheduler's default profile. The real one draws among equals; here the one with
the fewest pods is taken, then the first by name, so that a rehearsal can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from berth.rehearsal.controllers.scheduling import resources, selecting
from berth.rehearsal.controllers.scheduling.filters import Attempt
from berth.rehearsal.controllers.scheduling.resources import Amounts
from berth.rehearsal.controllers.scheduling.snapshot import NodeInfo, PodInfo


def best(attempt: Attempt, nodes: Sequence[NodeInfo]) -> NodeInfo:
    """The node to take of those that passed every filter."""
    if len(nodes) == 1:
        return nodes[0]
    total = dict.fromkeys((node.name for node in nodes), 0)
    for weight, scores in (
        (3, _taints(attempt.pod, nodes)),
        (2, _affinity(attempt.pod, nodes)),
        (2, attempt.spreading.scores(nodes)),
        (2, attempt.neighbours.scores(nodes)),
        (1, {node.name: _least_allocated(attempt.pod, node) for node in nodes}),
        (1, {node.name: _balance(attempt.pod, node) for node in nodes}),
    ):
        for name, score in scores.items():
            total[name] += weight * score
    return min(nodes, key=lambda node: (-total[node.name], len(node.pods), node.name))


def _taints(pod: PodInfo, nodes: Sequence[NodeInfo]) -> dict[str, int]:
    """Few PreferNoSchedule taints that the pod does not tolerate."""
    tolerations = [
        one for one in pod.body["spec"].get("tolerations") or [] if one.get("effect") in (None, "", "PreferNoSchedule")
    ]
    raw = {
        node.name: sum(
            one["effect"] == "PreferNoSchedule" and not selecting.tolerates(tolerations, one) for one in node.taints
        )
        for node in nodes
    }
    most = max(raw.values())
    return {name: 100 if most == 0 else 100 - 100 * value // most for name, value in raw.items()}


def _affinity(pod: PodInfo, nodes: Sequence[NodeInfo]) -> Mapping[str, int]:
    """Preferred node affinity."""
    terms = ((pod.body["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "preferredDuringSchedulingIgnoredDuringExecution"
    )
    if not terms:
        return {}
    raw = {
        node.name: sum(
            one["weight"]
            for one in terms
            if not one["preference"] or selecting.node_term_matches(one["preference"], node.labels, node.name)
        )
        for node in nodes
    }
    most = max(raw.values())
    return {name: 100 * value // most if most else 0 for name, value in raw.items()}


def _least_allocated(pod: PodInfo, node: NodeInfo) -> int:
    """Much cpu and memory left."""
    scores = []
    for name in resources.ASSUMED:
        has = node.allocatable.get(name, 0)
        if has:
            wanted = node.assumed[name] + pod.assumed[name]
            scores.append(0 if wanted > has else 100 * (has - wanted) // has)
    return sum(scores) // len(scores) if scores else 0


def _balance(pod: PodInfo, node: NodeInfo) -> int:
    """As much of the cpu as of the memory in use, compared with how it was before."""
    asked = {name: pod.requests.get(name, 0) for name in resources.ASSUMED}
    if not any(asked.values()):
        return 0
    before = {name: node.requested.get(name, 0) for name in asked}
    after = {name: before[name] + asked[name] for name in asked}
    return 50 + (50 + _evenness(after, node.allocatable) - _evenness(before, node.allocatable)) // 2


def _evenness(used: Amounts, has: Amounts) -> int:
    fractions = [min(1.0, value / has[name]) for name, value in used.items() if has.get(name)]
    deviation = abs(fractions[0] - fractions[1]) / 2 if len(fractions) == 2 else 0.0
    return int((1 - deviation) * 100)
