"""Pods that nobody runs any more: those of nodes that were deleted, or declared out of service, are removed for good.

Source: kubernetes pkg/controller/podgc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.controllers.conditions import found
from berth.rehearsal.controllers.taints import disrupt
from berth.rehearsal.kinds import NODES, PODS

if TYPE_CHECKING:
    from berth.rehearsal.world import World

#: Seconds that a node must be gone before its pods are taken (quarantineTime), and between two looks (gcCheckPeriod).
QUARANTINE, PERIOD = 40.0, 20.0
#: The taint by which an operator says that a lost node's pods do not run any more.
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class OrphanCollector:
    """Waits whether the node comes back, then removes its pods."""

    def __init__(self, world: World) -> None:
        """Nobody is orphaned yet."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._waiting: set[str] = set()

    def node_gone(self, name: str) -> None:
        """A node was deleted, or a pod names one that never was."""
        if name not in self._waiting:
            self._waiting.add(name)
            self._world.at(QUARANTINE + PERIOD, lambda: self._collect(name))

    def node_changed(self, node: Json) -> None:
        """Remove what is ending on a node that is out of service."""
        if _out_of_service(node):
            for pod in self._world.store.list(PODS):
                if pod["spec"].get("nodeName") == node["metadata"]["name"]:
                    self.pod_changed(pod, node)

    def pod_changed(self, pod: Json, node: Json) -> None:
        """The same for one pod."""
        if "deletionTimestamp" in pod["metadata"] and _out_of_service(node):
            self._remove(pod)

    def _remove(self, pod: Json) -> None:
        meta = pod["metadata"]
        self._client.delete(PODS, meta["namespace"], meta["name"], uid=meta["uid"], grace=0)

    def _collect(self, name: str) -> None:
        self._waiting.discard(name)
        if self._client.get(NODES, "", name) is not None:
            return
        for pod in self._world.store.list(PODS):
            if pod["spec"].get("nodeName") == name:
                text = "PodGC: node no longer exists"
                self._remove(disrupt(self._world, pod, "DeletionByPodGC", text, failed=True))


def _out_of_service(node: Json) -> bool:
    ready = (found(node, "Ready") or {}).get("status") == "True"
    return not ready and any(one["key"] == OUT_OF_SERVICE for one in node["spec"].get("taints") or ())
