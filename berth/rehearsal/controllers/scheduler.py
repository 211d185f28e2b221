"""Gives pods their nodes.

The rules are in `scheduling`; here they are fed with what changes, and what they decide is written: the node, or why
there is none. Source: kubernetes pkg/scheduler. There is no preemption, and a pod is looked at again only when
something has changed that may help it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.clock import Timer
from berth.rehearsal.controllers.binding import bind
from berth.rehearsal.controllers.conditions import with_condition
from berth.rehearsal.controllers.pending import Pending, Reservation
from berth.rehearsal.controllers.podstate import is_terminal
from berth.rehearsal.controllers.scheduling import filters, scores, verdicts
from berth.rehearsal.controllers.scheduling.filters import Attempt
from berth.rehearsal.controllers.scheduling.neighbours import Neighbours
from berth.rehearsal.controllers.scheduling.snapshot import Cluster, NodeInfo, PodInfo, pod_info
from berth.rehearsal.controllers.scheduling.spreading import Spreading
from berth.rehearsal.controllers.scheduling.storage import Choice, PodStorage
from berth.rehearsal.controllers.scheduling.verdicts import Rejection, Unschedulable
from berth.rehearsal.controllers.selection import SelectorIndex
from berth.rehearsal.controllers.storage_view import StorageView
from berth.rehearsal.controllers.volumes import SELECTED_NODE, annotated, annotations_of, bound_volume, fully_bound
from berth.rehearsal.kinds import CLAIMS, CLASSES, NAMESPACES, NODES, PODS, SERVICES, STATEFUL_SETS, VOLUMES
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

SOURCE = "default-scheduler"
#: Seconds that the volumes of a pod may take to be bound (bindTimeoutSeconds).
BIND_TIMEOUT = 600.0

_TIMED_OUT = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
_WITHDRAWN = 'running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "{}"'


class Scheduler:
    """Gives every pod without a node one, if it is the default scheduler's. Keys are pods."""

    name = "scheduler"

    def __init__(self, world: World) -> None:
        """Know no nodes yet; what is there comes in as changes."""
        self._world = world
        self._client = world.client("kube-scheduler")
        self._cluster = Cluster()
        self._view = StorageView(world.store)
        self._services = SelectorIndex(world.store, SERVICES, _service_selector)
        self._pending = Pending(world, lambda key: world.enqueue(self, key))

    def interested(self, change: Change) -> Iterable[Key]:
        """Pods that need a node; and those that have none yet, when something changes that may help."""
        self._view.observe(change)
        if change.kind is PODS:
            return self._after_pod(change)
        if change.kind is NODES:
            return self._after_node(change)
        if change.kind is CLAIMS:
            # Both the pods that wait for their volumes to be bound, and those that could not begin without.
            return [key for key in self._view.pods_of(change.key) if self._pending.wants_claims(key)]
        if change.kind in (VOLUMES, CLASSES) and change.type != "DELETED":
            self._pending.wake(by_volumes=True)
        return ()

    def _after_pod(self, change: Change) -> Iterable[Key]:
        pod, uid = change.object, change.object["metadata"]["uid"]
        if change.type == "DELETED" or is_terminal(pod):
            if change.type == "DELETED":
                self._pending.forget(change.key, uid)
            if self._cluster.node_of(uid) is not None:
                self._cluster.drop_pod(uid)
                self._pending.wake()
            return ()
        if not pod["spec"].get("nodeName"):
            return (change.key,) if change.old is None or _retry(pod, change.old) else ()
        known = self._cluster.pod(uid)
        relabelled = known is not None and known.labels != (pod["metadata"].get("labels") or {})
        ending = known is not None and not known.terminating and "deletionTimestamp" in pod["metadata"]
        if known is None or relabelled or ending:
            self._cluster.put_pod(pod_info(pod), pod["spec"]["nodeName"])
            self._pending.wake(near=True)
        return ()

    def _after_node(self, change: Change) -> Iterable[Key]:
        if change.type == "DELETED":
            self._cluster.drop_node(change.key[1])
            return ()
        old = change.old
        same = old is not None and all(
            (old.get("spec") or {}).get(key) == (change.object.get("spec") or {}).get(key)
            for key in ("taints", "unschedulable")
        )
        same = same and old is not None and old["metadata"].get("labels") == change.object["metadata"].get("labels")
        had = (old or {}).get("status") or {}
        same = same and had.get("allocatable") == (change.object.get("status") or {}).get("allocatable")
        if not same:
            self._cluster.put_node(change.object)
            self._pending.wake()
        return ()

    def sync(self, key: Key) -> None:
        """Look for a node for a pod, or go on with one whose volumes had to be bound first."""
        pod = self._client.get(PODS, *key)
        if pod is None or pod["spec"].get("nodeName") or is_terminal(pod) or "deletionTimestamp" in pod["metadata"]:
            return
        if pod["spec"].get("schedulerName", SOURCE) != SOURCE or pod["spec"].get("schedulingGates"):
            return
        reservation = self._pending.reservation(key)
        if reservation is not None and reservation.uid == pod["metadata"]["uid"]:
            self._continue(pod, reservation)
        elif not self._pending.held_back(key):
            self._schedule(pod)

    def _schedule(self, pod: Json) -> None:
        nodes = self._cluster.nodes
        if not nodes:
            self._fail(pod, verdicts.NO_NODES)
            return
        info = pod_info(pod)
        try:
            storage = PodStorage(info, self._view)
        except Unschedulable as error:
            self._fail(pod, verdicts.unfit_anywhere(len(nodes), str(error)))
            return
        attempt = self._attempt(info, storage)
        fitting: list[NodeInfo] = []
        rejections: dict[str, Rejection] = {}
        for name in sorted(nodes):
            why = filters.rejection(attempt, nodes[name])
            if why is None:
                fitting.append(nodes[name])
            else:
                rejections[name] = why
        if not fitting:
            may_preempt = pod["spec"].get("preemptionPolicy") != "Never"
            self._fail(pod, verdicts.unfit(len(nodes), rejections, may_preempt=may_preempt))
            return
        node = scores.best(attempt, fitting)
        # From now on the place is taken, though the pod itself does not say so yet.
        self._cluster.put_pod(info, node.name)
        choice = storage.choice(node)
        if choice.empty:
            self._bind(pod, node.name)
        else:
            self._reserve(pod, node.name, choice)

    def _attempt(self, pod: PodInfo, storage: PodStorage) -> Attempt:
        selectors = [] if pod.body["spec"].get("topologySpreadConstraints") else self._selectors(pod)
        spreading = Spreading(pod, self._cluster, selectors)
        return Attempt(
            pod, self._cluster, storage, spreading, Neighbours(pod, self._cluster, self._labels, self._spaces)
        )

    def _selectors(self, pod: PodInfo) -> list[Json]:
        """What selects the pod: its Services, and the set that owns it. Its like are spread even if nobody asks."""
        found: list[Json] = []
        for service in self._services.selecting(pod.namespace, pod.labels):
            found.append({"matchLabels": service["spec"]["selector"]})
        found.sort(key=str)
        for owner in pod.body["metadata"].get("ownerReferences") or ():
            if owner.get("controller") and owner["kind"] == "StatefulSet":
                owning = self._client.get(STATEFUL_SETS, pod.namespace, owner["name"])
                if owning is not None:
                    found.append(owning["spec"]["selector"])
        return found

    def _labels(self, namespace: str) -> dict[str, str]:
        space = self._client.get(NAMESPACES, "", namespace)
        return (space["metadata"].get("labels") or {}) if space else {}

    def _spaces(self) -> list[str]:
        return [space["metadata"]["name"] for space in self._client.list(NAMESPACES)]

    def _reserve(self, pod: Json, node: str, choice: Choice) -> None:
        """Have the pod's volumes bound, or made, for the node; the pod gets it when they are."""
        meta = pod["metadata"]
        key = (meta["namespace"], meta["name"])
        if (pod.get("status") or {}).get("nominatedNodeName") != node:
            pod = self._client.update_status(PODS, {**pod, "status": {**pod["status"], "nominatedNodeName": node}})
        claims = tuple(claim["metadata"]["name"] for _, claim in choice.bindings) + tuple(
            claim["metadata"]["name"] for claim in choice.to_provision
        )
        timer = self._timeout(key, meta["uid"])
        self._pending.reserve(key, Reservation(meta["uid"], node, claims, timer))
        for volume, claim in choice.bindings:
            new = bound_volume(volume, claim)
            if new is not volume:
                self._client.update(VOLUMES, new)
        for claim in choice.to_provision:
            if annotations_of(claim).get(SELECTED_NODE) != node:
                self._client.update(CLAIMS, annotated(claim, **{SELECTED_NODE: node}))

    def _timeout(self, key: Key, uid: str) -> Timer:
        def give_up() -> None:
            reservation = self._pending.reservation(key)
            pod = self._client.get(PODS, *key)
            if reservation is not None and reservation.uid == uid and pod is not None:
                self._unreserve(pod, _TIMED_OUT)

        # A claim that is never served comes to this again and again.
        return self._world.at(BIND_TIMEOUT, give_up, recurring=True)

    def _continue(self, pod: Json, reservation: Reservation) -> None:
        for name in reservation.claims:
            claim = self._client.get(CLAIMS, pod["metadata"]["namespace"], name)
            if claim is None:
                self._unreserve(pod, f'running PreBind plugin "VolumeBinding": binding volumes: {_absent(name)}')
                return
            if not fully_bound(claim):
                chosen = annotations_of(claim).get(SELECTED_NODE)
                if name in reservation.claims and chosen not in (None, reservation.node):
                    self._unreserve(pod, _WITHDRAWN.format(name))
                return
        self._pending.forget((pod["metadata"]["namespace"], pod["metadata"]["name"]), reservation.uid)
        self._bind(pod, reservation.node)

    def _unreserve(self, pod: Json, why: str) -> None:
        self._cluster.drop_pod(pod["metadata"]["uid"])
        self._fail(pod, why, "SchedulerError")

    def _bind(self, pod: Json, node: str) -> None:
        meta = pod["metadata"]
        pod = bind(self._world, self._client.get(PODS, meta["namespace"], meta["name"]) or pod, node)
        self._pending.forget((meta["namespace"], meta["name"]), meta["uid"])
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._client.event(pod, "Normal", "Scheduled", text, SOURCE, action="Binding")

    def _fail(self, pod: Json, message: str, reason: str = "Unschedulable") -> None:
        """Say why there is no node; the pod waits for something to change."""
        meta = pod["metadata"]
        self._client.event(pod, "Warning", "FailedScheduling", verdicts.note(message), SOURCE, action="Scheduling")
        status = {key: value for key, value in (pod.get("status") or {}).items() if key != "nominatedNodeName"}
        now = self._world.clock.timestamp()
        new = with_condition({**pod, "status": status}, now, "PodScheduled", "False", reason, message)
        if new["status"] != pod.get("status"):
            self._client.update_status(PODS, new)
        # Every text about claims and volumes has one of the two words.
        by_volumes = "olume" in message or "torage" in message
        key, again = (meta["namespace"], meta["name"]), reason == "SchedulerError"
        self._pending.failed(key, meta["uid"], pod, by_volumes=by_volumes, again=again)


def _service_selector(service: Json) -> Json | None:
    wanted = service["spec"].get("selector")
    return {"matchLabels": wanted} if wanted else None


def _retry(pod: Json, old: Json) -> bool:
    """Whether a change of a pod without a node may help it: what it says itself, not what is said of it."""
    return bool(pod["spec"] != old["spec"] or pod["metadata"].get("labels") != old["metadata"].get("labels"))


def _absent(claim: str) -> str:
    return f'failed to check provisioning pvc: could not find v1.PersistentVolumeClaim "{claim}"'
