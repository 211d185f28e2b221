"""Pods leave a node with a NoExecute taint: at once, after the seconds that they tolerate it for, or never.

Source: kubernetes pkg/controller/tainteviction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.clock import Timer, seconds_of
from berth.rehearsal.controllers.conditions import with_condition
from berth.rehearsal.controllers.scheduling.selecting import toleration_matches
from berth.rehearsal.kinds import NODES, PODS

if TYPE_CHECKING:
    from berth.rehearsal.world import World

SOURCE = "taint-eviction-controller"


@dataclass(slots=True)
class _Pending:
    timer: Timer
    due: float


class TaintEviction:
    """The pods that are to leave, and when."""

    def __init__(self, world: World) -> None:
        """Nobody is to leave yet."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._pending: dict[str, _Pending] = {}
        self._tainted: set[str] = set()

    def node_changed(self, node: Json) -> None:
        """Decide anew for every pod of a node, if it has, or had, NoExecute taints."""
        name = node["metadata"]["name"]
        taints = _no_execute(node)
        if not taints and name not in self._tainted:
            return
        if taints:
            self._tainted.add(name)
        else:
            self._tainted.discard(name)
        for pod in self._world.store.list(PODS):
            if pod["spec"].get("nodeName") == name:
                self.pod_changed(pod, node)

    def pod_changed(self, pod: Json, node: Json) -> None:
        """Decide for one pod."""
        taints, meta = _no_execute(node), pod["metadata"]
        if "deletionTimestamp" in meta:
            self.forget(pod)
            return
        due = _leaves_at(pod, taints, self._world.clock.now())
        pending = self._pending.get(meta["uid"])
        if due is None:
            if pending is not None:
                self.forget(pod)
                text = f"Cancelling deletion of Pod {meta['namespace']}/{meta['name']}"
                self._client.event(pod, "Normal", "TaintManagerEviction", text, SOURCE)
            return
        if pending is not None:
            if pending.due <= due:
                return
            pending.timer.cancel()
        namespace, name, uid = meta["namespace"], meta["name"], meta["uid"]
        wait = due - self._world.clock.now()
        timer = self._world.at(wait, lambda: self._evict(namespace, name, uid))
        self._pending[uid] = _Pending(timer, due)

    def forget(self, pod: Json) -> None:
        """The pod is gone, or going."""
        pending = self._pending.pop(pod["metadata"]["uid"], None)
        if pending is not None:
            pending.timer.cancel()

    def _evict(self, namespace: str, name: str, uid: str) -> None:
        self._pending.pop(uid, None)
        pod = self._client.get(PODS, namespace, name)
        if pod is None or pod["metadata"]["uid"] != uid:
            return
        node = self._client.get(NODES, "", pod["spec"].get("nodeName", ""))
        if node is None or not _no_execute(node):
            return
        text = f"Marking for deletion Pod {namespace}/{name}"
        self._client.event(pod, "Normal", "TaintManagerEviction", text, SOURCE)
        disrupt(self._world, pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
        self._client.delete(PODS, namespace, name, uid=uid)


def disrupt(world: World, pod: Json, reason: str, message: str, *, failed: bool = False) -> Json:
    """Write down why a pod is taken away, before it is."""
    client = world.client("kube-controller-manager")
    new = with_condition(pod, world.clock.timestamp(), "DisruptionTarget", "True", reason, message)
    if failed and (new.get("status") or {}).get("phase") not in ("Failed", "Succeeded"):
        new = {**new, "status": {**new["status"], "phase": "Failed"}}
    return pod if new is pod else client.update_status(PODS, new)


def _no_execute(node: Json) -> list[Json]:
    return [one for one in node["spec"].get("taints") or () if one["effect"] == "NoExecute"]


def _leaves_at(pod: Json, taints: list[Json], now: float) -> float | None:
    """When the pod has to leave; None for never. The tolerated seconds count from when the first taint was added."""
    if not taints:
        return None
    tolerations = pod["spec"].get("tolerations") or []
    used: list[Json] = []
    for taint in taints:
        fitting = next((one for one in tolerations if toleration_matches(one, taint)), None)
        if fitting is None:
            return now
        used.append(fitting)
    limits = [int(one["tolerationSeconds"]) for one in used if one.get("tolerationSeconds") is not None]
    if not limits:
        return None
    added = min((seconds_of(one["timeAdded"]) for one in taints if one.get("timeAdded")), default=now)
    return max(now, max(added, seconds_of(pod["metadata"]["creationTimestamp"])) + max(0, min(limits)))
