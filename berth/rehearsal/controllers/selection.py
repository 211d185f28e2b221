"""Label selectors, and indexes that answer who selects a pod and which pods are selected without reading them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from berth.core.objects import Json
from berth.rehearsal.kinds import PODS, Kind
from berth.rehearsal.store import Change, Store

Labels = Mapping[str, str]
#: A namespace, and one label of it that must be there; None where a selector demands no single label.
_Shelf = tuple[str, tuple[str, str] | None]


def labels_of(body: Json) -> Labels:
    """The labels of an object."""
    return body["metadata"].get("labels") or {}


def matches(selector: Json | None, labels: Labels) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) selects these labels.

    None selects nothing, an empty selector everything. Source: apimachinery pkg/apis/meta/v1 LabelSelectorAsSelector.
    """
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions") or ())


def _holds(rule: Json, labels: Labels) -> bool:
    key, values = rule["key"], rule.get("values") or []
    match rule["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


class PodIndex:
    """The pods of each namespace by label. It follows the store; ``of`` gives one index to all controllers of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[tuple[str, str, str], dict[str, None]] = {}
        for pod in store.each(PODS):
            self._add(pod)
        store.listeners.append(self._follow)

    @classmethod
    def of(cls, store: Store) -> PodIndex:
        """The index of a store; the first who asks makes it."""
        return store.follower(cls) or cls(store)

    def selected(self, namespace: str, selector: Json | None) -> list[Json]:
        """The pods of a namespace that a LabelSelector selects, by name."""
        if selector is None:
            return []
        candidates: Iterable[Json | None]
        wanted = selector.get("matchLabels") or {}
        if wanted:
            shelves = [self._names.get((namespace, key, value), {}) for key, value in wanted.items()]
            smallest = min(shelves, key=len)
            candidates = (self._store.get(PODS, namespace, name) for name in sorted(smallest))
        else:
            candidates = self._store.list(PODS, namespace)
        return [pod for pod in candidates if pod is not None and matches(selector, labels_of(pod))]

    def _follow(self, change: Change) -> None:
        if change.kind is not PODS:
            return
        if change.type == "MODIFIED" and change.old is not None and labels_of(change.old) == labels_of(change.object):
            return
        if change.old is not None:
            namespace, name = change.key
            for key, value in labels_of(change.old).items():
                shelf = self._names.get((namespace, key, value))
                if shelf is not None:
                    shelf.pop(name, None)
                    if not shelf:
                        del self._names[namespace, key, value]
        if change.type != "DELETED":
            self._add(change.object)

    def _add(self, pod: Json) -> None:
        meta = pod["metadata"]
        for key, value in labels_of(pod).items():
            self._names.setdefault((meta["namespace"], key, value), {})[meta["name"]] = None


class SelectorIndex:
    """The objects of a kind by what they select: which services, budgets or sets may mean a pod with these labels.

    ``selector`` reads the LabelSelector of an object, None for one that selects nothing.
    """

    def __init__(self, store: Store, kind: Kind, selector: Callable[[Json], Json | None]) -> None:
        self._store, self._kind, self._selector = store, kind, selector
        self._shelves: dict[_Shelf, dict[str, None]] = {}
        for body in store.each(kind):
            self._put(body)
        store.listeners.append(self._follow)

    def selecting(self, namespace: str, labels: Labels) -> Iterator[Json]:
        """The objects of a namespace that select these labels, in no order."""
        shelves: list[_Shelf] = [(namespace, None), *((namespace, item) for item in labels.items())]
        for shelf in shelves:
            for name in self._shelves.get(shelf, ()):
                body = self._store.get(self._kind, namespace, name)
                if body is not None and matches(self._selector(body), labels):
                    yield body

    def _follow(self, change: Change) -> None:
        if change.kind is not self._kind:
            return
        if change.old is not None:
            if change.type == "MODIFIED" and self._selector(change.old) == self._selector(change.object):
                return
            shelf = self._shelf(change.old)
            names = self._shelves.get(shelf, {})
            names.pop(change.key[1], None)
            if not names:
                self._shelves.pop(shelf, None)
        if change.type != "DELETED":
            self._put(change.object)

    def _put(self, body: Json) -> None:
        self._shelves.setdefault(self._shelf(body), {})[body["metadata"]["name"]] = None

    def _shelf(self, body: Json) -> _Shelf:
        selector = self._selector(body) or {}
        demanded = selector.get("matchLabels") or {}
        return body["metadata"]["namespace"], min(demanded.items(), default=None)
