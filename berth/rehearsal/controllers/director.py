"""Does what the scenario's timeline says, when it says so, each thing once; and sets its quotas.

A drain goes on as kubectl's does: the node is cordoned, its pods are evicted, and a pod that a budget protects is tried
again every five seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal import eviction, scenarioclock
from berth.rehearsal.clock import Timer
from berth.rehearsal.controllers import nodes
from berth.rehearsal.controllers.kubelet import Kubelet
from berth.rehearsal.controllers.podplan import facts_of
from berth.rehearsal.kinds import BUDGETS, NAMESPACES, NODES, PODS, QUOTAS
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.registry import Options
from berth.rehearsal.scenario import Happening
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

#: Seconds between two tries of a drain that a budget holds up, as kubectl waits.
RETRY = 5.0
_DRAIN = "drain"


class Director:
    """Keys are ("", namespace) for quotas, and ("drain", node)."""

    name = "scenario"

    def __init__(self, world: World) -> None:
        """Arm what is still to come, if it has begun; what was due while the process was away happens at once."""
        self._world = world
        #: Nodes that are drained, and when the next try is due.
        self._draining: dict[str, float] = {}
        self._timers: dict[str, Timer] = {}
        self._armed: list[Timer] = []
        if scenarioclock.has_begun(world):
            self._arm()

    def begin(self) -> None:
        """Let the scenario's times count from now, whatever has happened before."""
        scenarioclock.begin(self._world)
        if self._world.scenario.quotas:
            for space in self._world.store.list(NAMESPACES):
                self._world.enqueue(self, ("", space["metadata"]["name"]))
        for index in range(len(self._world.scenario.happenings)):
            self._world.store.remember(_fact(index), "")
        self._arm()

    def _arm(self) -> None:
        world, elapsed = self._world, scenarioclock.elapsed(self._world)
        for timer in self._armed:
            timer.cancel()
        # Clients are not to be overtaken: what has its hour waits for it, however little there is to do until then.
        waits = world.live
        self._armed = [
            world.at(at - elapsed, self._wake, recurring=waits) for at in world.scenario.borders() if at > elapsed
        ]
        for index, happening in enumerate(world.scenario.happenings):
            state = world.store.fact(_fact(index))
            if not state or (state == "begun" and happening.action == "drain"):
                act = self._later(index, happening)
                self._armed.append(world.at(max(0.0, happening.at - elapsed), act, recurring=waits))

    def _wake(self) -> None:
        """A rule begins or ends: let the nodes see what it makes of their pods."""
        for one in self._world.controllers:
            if isinstance(one, Kubelet):
                one.look_at_all()

    def interested(self, change: Change) -> Iterable[Key]:
        """Namespaces that come, where there are quotas; budgets and pods that change, while a node is drained."""
        if scenarioclock.is_first_workload(self._world, change):
            self.begin()
        if change.kind is NAMESPACES:
            if change.type == "ADDED" and self._world.scenario.quotas:
                return (("", change.key[1]),)
        elif self._draining and change.kind in (BUDGETS, PODS):
            return [(_DRAIN, node) for node in sorted(self._draining)]
        return ()

    def sync(self, key: Key) -> None:
        """Set the quotas of a namespace, or go on with a drain."""
        if key[0] == _DRAIN:
            self._go_on_draining(key[1])
        elif self._world.store.get(NAMESPACES, "", key[1]) is not None:
            self._set_quotas(key[1])

    def _later(self, index: int, happening: Happening) -> Callable[[], None]:
        def act() -> None:
            self._world.store.remember(_fact(index), "begun" if happening.action == "drain" else "done")
            self._act(happening)

        return act

    def _act(self, happening: Happening) -> None:
        node = happening.node
        match happening.action:
            case "lose":
                nodes.lose(self._world, node)
            case "recover":
                nodes.recover(self._world, node)
            case "cordon":
                nodes.cordon(self._world, node)
            case "uncordon":
                nodes.cordon(self._world, node, unschedulable=False)
            case "drain":
                nodes.cordon(self._world, node)
                self._draining[node] = 0.0
                self._world.enqueue(self, (_DRAIN, node))
            case "delete_pod":
                self._delete_pods(happening)

    def _delete_pods(self, happening: Happening) -> None:
        client = self._world.client("kubectl")
        grace = None if happening.grace is None else int(happening.grace)
        for pod in self._world.store.list(PODS):
            if happening.pods.fits(facts_of(self._world.store, pod)):
                client.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], grace=grace)

    def _go_on_draining(self, node: str) -> None:
        world = self._world
        if node not in self._draining:
            return
        left = [pod for pod in world.store.list(PODS) if pod["spec"].get("nodeName") == node]
        if not left or world.store.get(NODES, "", node) is None:
            del self._draining[node]
            for index, happening in enumerate(world.scenario.happenings):
                if (happening.action, happening.node) == ("drain", node) and world.store.fact(_fact(index)) == "begun":
                    world.store.remember(_fact(index), "done")
            return
        staying = [pod for pod in left if "deletionTimestamp" not in pod["metadata"]]
        now = world.clock.now()
        if now < self._draining[node] - 0.001:
            # Something changed meanwhile: the next try is worth waiting for.
            self._try_at(node, self._draining[node], recurring=False)
            return
        if staying and not all([self._evict(pod) for pod in staying]):
            self._draining[node] = now + RETRY
            self._try_at(node, now + RETRY, recurring=True)

    def _try_at(self, node: str, moment: float, *, recurring: bool) -> None:
        timer = self._timers.get(node)
        if timer is not None:
            timer.cancel()
        delay = moment - self._world.clock.now()
        self._timers[node] = self._world.at(
            delay, lambda: self._world.enqueue(self, (_DRAIN, node)), recurring=recurring
        )

    def _evict(self, pod: Json) -> bool:
        meta = pod["metadata"]
        body: Json = {"apiVersion": "policy/v1", "kind": "Eviction"}
        body["metadata"] = {"name": meta["name"], "namespace": meta["namespace"]}
        try:
            eviction.evict(self._world, meta["namespace"], meta["name"], body, Options(manager="kubectl"))
        except ApiError as error:
            return error.code == 404
        return True

    def _set_quotas(self, namespace: str) -> None:
        if namespace.startswith("kube-"):
            return
        for quota in self._world.scenario.quotas:
            fact = f"quota/{namespace}/{quota.name}"
            # Once: one that somebody changes or deletes stays so.
            if fnmatchcase(namespace, quota.namespace) and self._world.store.fact(fact) is None:
                self._world.store.remember(fact, "yes")
                meta = {"name": quota.name, "namespace": namespace}
                body: Json = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta}
                body["spec"] = {"hard": dict(quota.hard)}
                self._world.client("kubectl").create(QUOTAS, body)


def _fact(index: int) -> str:
    return f"timeline/{index}"
