"""What a StatefulSet's status says of its pods, and when a rolling update counts as complete. Pure.

Source: kubernetes pkg/controller/statefulset/stateful_set_control.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from berth.core.objects import Json
from berth.rehearsal.controllers.podstate import is_available, is_running_and_ready, is_terminating, phase
from berth.rehearsal.controllers.statefulset_pods import replicas_of, revision_of


@dataclass(frozen=True, slots=True)
class Status:
    """The status of one sync; fields as in the API."""

    observed_generation: int
    current_revision: str
    update_revision: str
    collision_count: int
    replicas: int = 0
    ready: int = 0
    available: int = 0
    current: int = 0
    updated: int = 0

    def counting(self, pods: Iterable[Json], min_ready_seconds: int, now: float) -> Status:
        """The same with these pods counted, and no others; pods that were only thought of count for nothing."""
        replicas = ready = available = current = updated = 0
        for pod in pods:
            if not phase(pod):
                continue
            replicas += 1
            if is_running_and_ready(pod):
                ready += 1
                available += is_available(pod, min_ready_seconds, now)
            if not is_terminating(pod):
                revision = revision_of(pod)
                current += revision == self.current_revision
                updated += revision == self.update_revision
        return replace(self, replicas=replicas, ready=ready, available=available, current=current, updated=updated)

    def completed(self, set_: Json) -> Status:
        """The same, with the update's revision as the current one once every pod has it and is ready."""
        wanted = replicas_of(set_)
        rolling = (set_["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate"
        if rolling and self.updated == self.ready == self.replicas == wanted:
            return replace(self, current=self.updated, current_revision=self.update_revision)
        return self

    def with_one_less(self) -> Status:
        """The same after one pod of the current revision was deleted for the update."""
        return replace(self, current=self.current - 1)

    def differs(self, set_: Json) -> bool:
        """Whether the set's status has to be written. Conditions, and the count of collisions, do not matter to it."""
        live = set_.get("status") or {}
        return self.observed_generation > int(live.get("observedGeneration") or 0) or any(
            (live.get(key) or empty) != value
            for key, empty, value in (
                ("replicas", 0, self.replicas),
                ("currentReplicas", 0, self.current),
                ("readyReplicas", 0, self.ready),
                ("updatedReplicas", 0, self.updated),
                ("availableReplicas", 0, self.available),
                ("currentRevision", "", self.current_revision),
                ("updateRevision", "", self.update_revision),
            )
        )

    def to_json(self) -> Json:
        """As the API writes it: counts of zero are left out, but for replicas, available and collisions."""
        counts = {
            "readyReplicas": self.ready,
            "currentReplicas": self.current,
            "updatedReplicas": self.updated,
        }
        return {
            "observedGeneration": self.observed_generation,
            "replicas": self.replicas,
            **{key: value for key, value in counts.items() if value},
            "currentRevision": self.current_revision,
            "updateRevision": self.update_revision,
            "collisionCount": self.collision_count,
            "availableReplicas": self.available,
        }
