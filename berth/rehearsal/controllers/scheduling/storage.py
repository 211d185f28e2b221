"""What a pod's claims say about where it may run.

Source: kubernetes pkg/scheduler/framework/plugins/volumebinding and volumerestrictions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from berth.core.objects import Json
from berth.rehearsal.controllers import volumes
from berth.rehearsal.controllers.scheduling import selecting
from berth.rehearsal.controllers.scheduling.snapshot import NodeInfo, PodInfo
from berth.rehearsal.controllers.scheduling.verdicts import Rejection, Unschedulable

ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity"
NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
VANISHED = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
IN_USE = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
)


class View(Protocol):
    """What the rules read of the cluster."""

    def claim(self, namespace: str, name: str) -> Json | None:
        """A claim."""
        ...

    def volume(self, name: str) -> Json | None:
        """A volume."""
        ...

    def storage_class(self, name: str) -> Json | None:
        """A StorageClass."""
        ...

    def volumes_of(self, class_name: str) -> Iterable[Json]:
        """The volumes of a class."""
        ...

    def users(self, namespace: str, claim: str) -> Iterable[Json]:
        """The pods that use a claim."""
        ...


@dataclass(slots=True)
class Choice:
    """What choosing a node means for the pod's unbound claims: bind these, have the others provisioned there."""

    bindings: list[tuple[Json, Json]] = field(default_factory=list)
    to_provision: list[Json] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether all claims are bound already."""
        return not self.bindings and not self.to_provision


class PodStorage:
    """A pod's claims, sorted by what is to be done with them."""

    def __init__(self, pod: PodInfo, view: View) -> None:
        """Look at every claim of the pod.

        Raises:
            Unschedulable: no node will do, for a claim is missing, going, lost, or not bound though it should be.
        """
        self._view, self._bound, self._waiting = view, list[Json](), list[Json]()
        self._choices: dict[str, Choice] = {}
        names = volumes.claims_of(pod.body)
        found = [self._usable(pod.namespace, name) for name in names]
        self._in_use = any(
            "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ()) and self._others(pod, claim)
            for claim in found
        )
        immediate = False
        for claim in found:
            if volumes.fully_bound(claim):
                self._bound.append(claim)
            elif claim["spec"].get("volumeName") or not self._delayed(claim):
                immediate = True
            else:
                self._waiting.append(claim)
        if immediate:
            raise Unschedulable("pod has unbound immediate PersistentVolumeClaims")

    def _usable(self, namespace: str, name: str) -> Json:
        claim = self._view.claim(namespace, name)
        if claim is None:
            raise Unschedulable(f'persistentvolumeclaim "{name}" not found')
        if (claim.get("status") or {}).get("phase") == "Lost":
            volume = claim["spec"].get("volumeName", "")
            raise Unschedulable(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"')
        if "deletionTimestamp" in claim["metadata"]:
            raise Unschedulable(f'persistentvolumeclaim "{name}" is being deleted')
        return claim

    def _delayed(self, claim: Json) -> bool:
        return volumes.waits_for_consumer(self._view.storage_class(volumes.class_of(claim)))

    def _others(self, pod: PodInfo, claim: Json) -> bool:
        meta = claim["metadata"]
        return any(
            one["spec"].get("nodeName") and one["metadata"]["uid"] != pod.uid
            for one in self._view.users(meta["namespace"], meta["name"])
        )

    def rejection(self, node: NodeInfo) -> Rejection | None:
        """Why the node will not do; when it will, `choice` says what is to be done."""
        if self._in_use:
            return Rejection((IN_USE,))
        reasons: list[str] = []
        for claim in self._bound:
            volume = self._view.volume(claim["spec"]["volumeName"])
            if volume is None:
                reasons.append(VANISHED)
                break
            if not volumes.reachable(volume, node.labels, node.name):
                reasons.append(ELSEWHERE)
                break
        choice = self._choose(node)
        if choice is None:
            reasons.append(NO_VOLUME)
        if reasons:
            # Bound volumes elsewhere are named before unbound ones, and vanished ones last.
            return Rejection(tuple(sorted(reasons, key=(ELSEWHERE, NO_VOLUME, VANISHED).index)), final=True)
        return None

    def choice(self, node: NodeInfo) -> Choice:
        """What is to be done with the unbound claims when the node is chosen, which `rejection` did not reject."""
        return self._choices.get(node.name) or Choice()

    def _choose(self, node: NodeInfo) -> Choice | None:
        choice = Choice()
        unmatched: list[Json] = []
        taken: set[str] = set()
        for claim in sorted(self._waiting, key=volumes.size_of):
            selected = volumes.annotations_of(claim).get(volumes.SELECTED_NODE)
            if selected is not None:
                # The choice was made before; it holds until provisioning there has failed.
                if selected != node.name:
                    return None
                unmatched.append(claim)
                continue
            candidates = self._view.volumes_of(volumes.class_of(claim))
            volume = volumes.best_match(claim, candidates, delayed=True, node=(node.name, node.labels), taken=taken)
            if volume is None:
                unmatched.append(claim)
            else:
                taken.add(volume["metadata"]["name"])
                choice.bindings.append((volume, claim))
        for claim in unmatched:
            storage_class = self._view.storage_class(volumes.class_of(claim)) or {}
            if storage_class.get("provisioner", "") in ("", volumes.NO_PROVISIONER):
                return None
            if not selecting.topology_allowed(storage_class.get("allowedTopologies"), node.labels):
                return None
            choice.to_provision.append(claim)
        self._choices[node.name] = choice
        return choice
