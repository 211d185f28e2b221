"""What a scheduler remembers: the nodes, the pods on them, what those take; kept up by changes, never recounted."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from berth.core.objects import Json
from berth.rehearsal.controllers.scheduling import resources, selecting
from berth.rehearsal.controllers.scheduling.resources import Amounts
from berth.rehearsal.controllers.scheduling.selecting import Labels, Selection, Shelf

#: Selections whose counts are kept; a set and its Service make two or three.
_KEPT_COUNTS = 1024

#: A namespace, a selection in it, and whether pods that are ending count.
_Asked = tuple[str, Selection, bool]


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One PodAffinityTerm of a pod: which pods, and where they count.

    ``weight`` is how much they attract; below zero they repel. A required term has 0.
    """

    topology_key: str
    namespaces: frozenset[str]
    spaces: Selection | None
    pods: Selection
    weight: int = 0

    def covers(self, namespace: str, labels_of_namespace: Labels) -> bool:
        """Whether pods of the namespace are meant."""
        return namespace in self.namespaces or (self.spaces is not None and self.spaces.matches(labels_of_namespace))


@dataclass(frozen=True, slots=True)
class PodInfo:
    """What scheduling needs of a pod."""

    body: Json
    namespace: str
    name: str
    uid: str
    labels: Labels
    requests: Amounts
    assumed: Amounts
    ports: frozenset[tuple[str, int, str]]
    affinity: tuple[AffinityTerm, ...] = ()
    anti_affinity: tuple[AffinityTerm, ...] = ()
    preferred: tuple[AffinityTerm, ...] = ()

    @property
    def terminating(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.body["metadata"]


def pod_info(body: Json) -> PodInfo:
    """Read a pod."""
    meta, spec = body["metadata"], body["spec"]
    labels: Labels = meta.get("labels") or {}
    affinity = spec.get("affinity") or {}
    near, far = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    required, preferred = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    return PodInfo(
        body,
        meta["namespace"],
        meta["name"],
        meta["uid"],
        labels,
        resources.requests(body),
        resources.assumed_requests(body),
        frozenset(_host_ports(spec)),
        tuple(_term(one, meta, labels) for one in near.get(required) or []),
        tuple(_term(one, meta, labels) for one in far.get(required) or []),
        (
            *(_term(one["podAffinityTerm"], meta, labels, one["weight"]) for one in near.get(preferred) or []),
            *(_term(one["podAffinityTerm"], meta, labels, -one["weight"]) for one in far.get(preferred) or []),
        ),
    )


def _term(term: Json, meta: Json, labels: Labels, weight: int = 0) -> AffinityTerm:
    named = term.get("namespaces") or []
    everywhere = term.get("namespaceSelector")
    extra = {key: labels[key] for key in term.get("matchLabelKeys") or [] if key in labels}
    return AffinityTerm(
        term["topologyKey"],
        frozenset(named or ([] if everywhere is not None else [meta["namespace"]])),
        None if everywhere is None else selecting.selection(everywhere),
        selecting.selection(term.get("labelSelector"), extra),
        weight,
    )


def _host_ports(spec: Json) -> Iterable[tuple[str, int, str]]:
    for container in spec.get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                yield port.get("protocol", "TCP"), int(port["hostPort"]), port.get("hostIP") or "0.0.0.0"


@dataclass(slots=True)
class NodeInfo:
    """A node, and what the pods on it take together."""

    body: Json
    name: str
    labels: Labels
    taints: list[Json]
    allocatable: Amounts
    pods: dict[str, PodInfo] = field(default_factory=dict)
    requested: Amounts = field(default_factory=dict)
    assumed: Amounts = field(default_factory=lambda: dict.fromkeys(resources.ASSUMED, 0))

    def put(self, pod: PodInfo) -> None:
        """A pod is on the node."""
        self.pods[pod.uid] = pod
        self._count(pod, 1)

    def drop(self, pod: PodInfo) -> None:
        """A pod is no longer on the node."""
        del self.pods[pod.uid]
        self._count(pod, -1)

    def _count(self, pod: PodInfo, sign: int) -> None:
        for name, value in pod.requests.items():
            self.requested[name] = self.requested.get(name, 0) + sign * value
        for name, value in pod.assumed.items():
            self.assumed[name] += sign * value


class Terms:
    """Terms of the pods that are there, by the labels that they are about: how many pods on which node have them."""

    def __init__(self) -> None:
        """No pod has any."""
        self._shelves: dict[Shelf, dict[AffinityTerm, Counter[str]]] = {}

    def count(self, terms: Iterable[AffinityTerm], node: str, sign: int) -> None:
        """A pod with these terms came to a node, or left it."""
        for term in terms:
            shelf = self._shelves.setdefault(term.pods.shelf, {})
            nodes = shelf.setdefault(term, Counter())
            nodes[node] += sign
            if nodes[node] <= 0:
                del nodes[node]
                if not nodes:
                    del shelf[term]
                    if not shelf:
                        del self._shelves[term.pods.shelf]

    def about(self, labels: Labels) -> Iterator[tuple[AffinityTerm, Mapping[str, int]]]:
        """The terms that may mean a pod with these labels, with the number of pods that have them on each node."""
        for shelf in selecting.shelves(labels):
            yield from self._shelves.get(shelf, {}).items()


class Counts:
    """How many pods of a selection are on each node, for the selections that were asked for lately."""

    def __init__(self) -> None:
        """Nobody has asked."""
        self._known: OrderedDict[_Asked, dict[str, int]] = OrderedDict()
        self._shelves: dict[Shelf, dict[_Asked, None]] = {}

    def get(self, asked: _Asked, nodes: Iterable[NodeInfo]) -> Mapping[str, int]:
        """The counts, from memory or counted on the nodes."""
        found = self._known.get(asked)
        if found is not None:
            self._known.move_to_end(asked)
            return found
        counts: dict[str, int] = {}
        for node in nodes:
            number = sum(_counted(pod, asked) for pod in node.pods.values())
            if number:
                counts[node.name] = number
        self._known[asked] = counts
        self._shelves.setdefault(asked[1].shelf, {})[asked] = None
        if len(self._known) > _KEPT_COUNTS:
            oldest, _ = self._known.popitem(last=False)
            del self._shelves[oldest[1].shelf][oldest]
        return counts

    def count(self, pod: PodInfo, node: str, sign: int) -> None:
        """A pod came to a node, or left it."""
        for shelf in selecting.shelves(pod.labels):
            for asked in self._shelves.get(shelf, ()):
                if _counted(pod, asked):
                    counts = self._known[asked]
                    counts[node] = counts.get(node, 0) + sign

    def clear(self) -> None:
        """Count anew when asked again."""
        self._known.clear()
        self._shelves.clear()


class Cluster:
    """The nodes by name, and what is known of their pods together."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.nodes: dict[str, NodeInfo] = {}
        #: What pods that are there demand of others, and what they would like.
        self.refusals, self.wishes = Terms(), Terms()
        self._where: dict[str, str] = {}
        #: Pods on nodes that are not, or no longer, there.
        self._homeless: dict[str, dict[str, PodInfo]] = {}
        self._counts = Counts()

    def put_node(self, body: Json) -> None:
        """A node is new or has changed."""
        name, status = body["metadata"]["name"], body.get("status") or {}
        info = NodeInfo(
            body,
            name,
            body["metadata"].get("labels") or {},
            (body.get("spec") or {}).get("taints") or [],
            resources.amounts(status.get("allocatable") or status.get("capacity")),
        )
        known = self.nodes.get(name)
        self.nodes[name] = info
        if known is not None:
            for pod in known.pods.values():
                info.put(pod)
            return
        for pod in self._homeless.pop(name, {}).values():
            self._settle(info, pod)

    def drop_node(self, name: str) -> None:
        """A node is gone; its pods may outlive it."""
        info = self.nodes.get(name)
        if info is not None:
            for pod in list(info.pods.values()):
                self._unsettle(info, pod)
                self._homeless.setdefault(name, {})[pod.uid] = pod
            del self.nodes[name]
            self._counts.clear()

    def put_pod(self, pod: PodInfo, node: str) -> None:
        """A pod is on a node (or will be: it counts from the moment that the node is chosen), or has changed."""
        self.drop_pod(pod.uid)
        self._where[pod.uid] = node
        info = self.nodes.get(node)
        if info is None:
            self._homeless.setdefault(node, {})[pod.uid] = pod
        else:
            self._settle(info, pod)

    def drop_pod(self, uid: str) -> None:
        """A pod is gone, or ended: then it takes nothing any more."""
        node = self._where.pop(uid, None)
        if node is None:
            return
        info = self.nodes.get(node)
        if info is None:
            self._homeless.get(node, {}).pop(uid, None)
        else:
            self._unsettle(info, info.pods[uid])

    def node_of(self, uid: str) -> str | None:
        """The node that a pod is on."""
        return self._where.get(uid)

    def pod(self, uid: str) -> PodInfo | None:
        """A pod that is on a node that is there."""
        info = self.nodes.get(self._where.get(uid, ""))
        return info.pods.get(uid) if info else None

    def count(self, namespace: str, selection: Selection, *, terminating: bool) -> Mapping[str, int]:
        """How many pods of a namespace are selected on each node; ``terminating``: those that are ending too."""
        return self._counts.get((namespace, selection, terminating), self.nodes.values())

    def _settle(self, node: NodeInfo, pod: PodInfo) -> None:
        node.put(pod)
        self._learn(pod, node.name, 1)

    def _unsettle(self, node: NodeInfo, pod: PodInfo) -> None:
        node.drop(pod)
        self._learn(pod, node.name, -1)

    def _learn(self, pod: PodInfo, node: str, sign: int) -> None:
        self._counts.count(pod, node, sign)
        self.refusals.count(pod.anti_affinity, node, sign)
        self.wishes.count((*pod.preferred, *pod.affinity), node, sign)


def _counted(pod: PodInfo, asked: _Asked) -> bool:
    namespace, selection, terminating = asked
    return pod.namespace == namespace and (terminating or not pod.terminating) and selection.matches(pod.labels)
