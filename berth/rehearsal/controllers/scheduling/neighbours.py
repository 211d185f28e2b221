"""Pod affinity and anti-affinity: rules and preferences.

Source: kubernetes pkg/scheduler/framework/plugins/interpodaffinity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from berth.rehearsal.controllers.scheduling.selecting import Labels
from berth.rehearsal.controllers.scheduling.snapshot import AffinityTerm, Cluster, NodeInfo, PodInfo
from berth.rehearsal.controllers.scheduling.verdicts import Rejection

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"

#: How much a required affinity of a pod that is there draws others to it (hardPodAffinityWeight).
_REQUIRED_WEIGHT = 1

Place = tuple[str, str]


class Neighbours:
    """Who is where, as far as a pod's terms, or those of pods that are there, ask for it."""

    def __init__(
        self,
        pod: PodInfo,
        cluster: Cluster,
        namespace_labels: Callable[[str], Labels],
        namespaces: Callable[[], list[str]],
    ) -> None:
        """Count for every required term; ``namespaces`` lists them all, for terms with a namespaceSelector."""
        self._pod, self._cluster = pod, cluster
        self._labels_of, self._all = namespace_labels, namespaces
        self._own_labels = namespace_labels(pod.namespace)
        self._near = self._all_at_once(pod.affinity)
        self._far: dict[Place, int] = {}
        for term in pod.anti_affinity:
            self._gather(term, self._far)
        self._refused = self._refusals()

    def rejection(self, node: NodeInfo) -> Rejection | None:
        """Why the pod may not be here."""
        if self._pod.affinity and not self._wanted_near(node):
            return Rejection((AFFINITY,), final=True)
        for term in self._pod.anti_affinity:
            value = node.labels.get(term.topology_key)
            if value is not None and self._far.get((term.topology_key, value), 0) > 0:
                return Rejection((ANTI_AFFINITY,))
        if self._refused and any(place in self._refused for place in node.labels.items()):
            return Rejection((EXISTING,))
        return None

    def scores(self, nodes: Sequence[NodeInfo]) -> dict[str, int]:
        """0 to 100 for each node by preference; the empty mapping when nobody prefers anything."""
        places: dict[Place, int] = {}
        for term in self._pod.preferred:
            self._gather(term, places, term.weight)
        for term, on_nodes in self._cluster.wishes.about(self._pod.labels):
            if self._concerned(term):
                for name, number in on_nodes.items():
                    value = self._cluster.nodes[name].labels.get(term.topology_key)
                    if value is not None:
                        place = (term.topology_key, value)
                        places[place] = places.get(place, 0) + number * (term.weight or _REQUIRED_WEIGHT)
        if not places:
            return {}
        raw = {
            node.name: sum(weight for (key, value), weight in places.items() if node.labels.get(key) == value)
            for node in nodes
        }
        most, least = max(raw.values()), min(raw.values())
        return {name: 100 * (value - least) // (most - least) if most > least else 0 for name, value in raw.items()}

    def _all_at_once(self, terms: Sequence[AffinityTerm]) -> dict[Place, int]:
        """Where the pods are that satisfy all the terms together: affinity counts only those."""
        found: dict[Place, int] = {}
        if not terms:
            return found
        for node in self._cluster.nodes.values():
            for other in node.pods.values():
                if all(self._means(term, other) for term in terms):
                    for term in terms:
                        value = node.labels.get(term.topology_key)
                        if value is not None:
                            found[term.topology_key, value] = found.get((term.topology_key, value), 0) + 1
        return found

    def _wanted_near(self, node: NodeInfo) -> bool:
        there = True
        for term in self._pod.affinity:
            value = node.labels.get(term.topology_key)
            if value is None:
                return False
            there = there and self._near.get((term.topology_key, value), 0) > 0
        # The first of its kind may start anywhere, or none ever would.
        return there or (not self._near and all(self._means(term, self._pod) for term in self._pod.affinity))

    def _means(self, term: AffinityTerm, other: PodInfo) -> bool:
        return term.covers(other.namespace, self._labels_of(other.namespace)) and term.pods.matches(other.labels)

    def _gather(self, term: AffinityTerm, places: dict[Place, int], weight: int = 1) -> None:
        """Add up, for each place, the pods that a term of ours means."""
        meant = term.namespaces
        if term.spaces is not None:
            meant |= {name for name in self._all() if term.spaces.matches(self._labels_of(name))}
        for namespace in meant:
            for name, number in self._cluster.count(namespace, term.pods, terminating=True).items():
                value = self._cluster.nodes[name].labels.get(term.topology_key)
                if value is not None and number:
                    places[term.topology_key, value] = places.get((term.topology_key, value), 0) + number * weight

    def _concerned(self, term: AffinityTerm) -> bool:
        return term.covers(self._pod.namespace, self._own_labels) and term.pods.matches(self._pod.labels)

    def _refusals(self) -> frozenset[Place]:
        """The places where a pod will not have us."""
        return frozenset(
            (term.topology_key, value)
            for term, on_nodes in self._cluster.refusals.about(self._pod.labels)
            if self._concerned(term)
            for name in on_nodes
            if (value := self._cluster.nodes[name].labels.get(term.topology_key)) is not None
        )
