"""One step of a StatefulSet towards what it should be: which pods are created, deleted or waited for.

Pods are made in the order of their ordinals, and go in the reverse order; under OrderedReady one at a time, each after
all before it run, are ready and available. A set is scaled before it is updated.
Source: kubernetes pkg/controller/statefulset/stateful_set_control.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from berth.core.objects import Json
from berth.rehearsal.controllers import statefulset_pods as pods
from berth.rehearsal.controllers.podstate import (
    is_available,
    is_running_and_ready,
    is_terminal,
    is_terminating,
    phase,
)
from berth.rehearsal.controllers.statefulset_effects import Effects, together
from berth.rehearsal.controllers.statefulset_status import Status
from berth.rehearsal.refusal import ApiError

#: Pods that are made at once under Parallel double from one up to this, so that a failure stops the rest early.
_LARGEST_BATCH = 500
#: Stands for a pod that is missing and whose turn has not come.
_UNREACHED: Json = {"metadata": {"name": ""}, "spec": {}}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step came to: the status to be written, and why it has to be taken again, if it has."""

    status: Status
    error: ApiError | None = None


#: Pods of one set at most. The real controller tries any number, and dies of some; a slip such as a million replicas
#: must not take the whole rehearsal with it.
MOST_PODS = 10_000


class Step:
    """One step of one set, at one time."""

    def __init__(
        self,
        effects: Effects,
        set_: Json,
        current: Json,
        update: Json,
        members: Sequence[Json],
        status: Status,
        now: float,
        *,
        max_unavailable: bool = False,
    ) -> None:
        """Prepare a step of ``set_``, which is ``current`` and ``update`` at these revisions, with its ``members``.

        ``status`` names the revisions. ``max_unavailable`` says whether the cluster knows that field of a rolling
        update (feature MaxUnavailableStatefulSet, off by default in 1.36).
        """
        self._effects, self._set, self._update, self._now = effects, set_, update, now
        self._max_unavailable = max_unavailable
        self._monotonic = not pods.allows_burst(set_)
        self._min_ready = int(set_["spec"].get("minReadySeconds") or 0)
        start, wanted = pods.start_ordinal(set_), min(pods.replicas_of(set_), MOST_PODS)
        by_ordinal: dict[int, Json] = {}
        condemned: list[Json] = []
        for pod in members:
            ordinal = pods.ordinal_of(pod)
            if start <= ordinal < start + wanted:
                by_ordinal[ordinal] = pod
            elif ordinal >= 0:
                condemned.append(pod)
        names = (status.current_revision, status.update_revision)
        self._replicas: list[Json] = []
        reached = True
        for ordinal in range(start, start + wanted):
            if ordinal in by_ordinal:
                self._replicas.append(by_ordinal[ordinal])
                continue
            # Under OrderedReady only the first pod that is missing can be made in this step.
            pod = pods.versioned_pod(current, update, *names, ordinal) if reached else _UNREACHED
            self._replicas.append(pod)
            reached = reached and not self._monotonic
        self._condemned = sorted(condemned, key=pods.ordinal_of, reverse=True)
        self._status = status.counting(members, self._min_ready, now)
        candidates = (*self._replicas, *reversed(self._condemned))
        self._first_unavailable = next((pod for pod in candidates if self._unavailable(pod)), None)

    def take(self) -> Outcome:
        """Do what can be done now. Of a set that is being deleted only the status is kept up."""
        if "deletionTimestamp" in self._set["metadata"]:
            return Outcome(self._status)
        for group, action in (
            (self._replicas, self._replica),
            (self._condemned, self._own_claims_of_condemned),
            (self._condemned, self._condemned_pod),
        ):
            stopped, error = self._for_all(group, action)
            if stopped or error is not None:
                return Outcome(self._counted(), error)
        status = self._counted()
        strategy = self._set["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return Outcome(status)
        rolling = strategy.get("rollingUpdate") or {}
        partition = int(rolling.get("partition") or 0)
        allowed = self._allowed_unavailable(rolling) if self._max_unavailable else None
        return self._roll(status, partition) if allowed is None else self._roll_several(status, partition, allowed)

    def _counted(self) -> Status:
        return self._status.counting((*self._replicas, *self._condemned), self._min_ready, self._now)

    def _unavailable(self, pod: Json) -> bool:
        return is_terminating(pod) or not is_available(pod, self._min_ready, self._now)

    def _for_all(self, group: Sequence[Json], action: Callable[[Json], bool]) -> tuple[bool, ApiError | None]:
        """Act on each pod; whether that stopped, and by which failure. Only under OrderedReady a pod stops the rest."""
        if self._monotonic:
            for pod in group:
                try:
                    if action(pod):
                        return True, None
                except ApiError as error:
                    return True, error
            return False, None
        done, size = 0, 1
        while done < len(group):
            errors = []
            for pod in group[done : done + size]:
                try:
                    action(pod)
                except ApiError as error:
                    errors.append(error)
            if errors:
                return True, together(errors)
            done, size = done + size, min(2 * size, _LARGEST_BATCH)
        return False, None

    def _replica(self, pod: Json) -> bool:
        """See to one pod that is wanted; whether those after it have to wait."""
        if is_terminal(pod):
            # Also one that ended well: only the reason why it ended could tell an eviction, and the pod does not.
            if not is_terminating(pod):
                self._effects.delete(self._set, pod)
            return True
        if not phase(pod):
            if self._effects.claim_is_stale(self._set, pod):
                return True
            self._effects.create(self._set, pod)
            if self._monotonic:
                return True
        if phase(pod) == "Pending":
            self._effects.ensure_claims(self._set, pod)
        if self._monotonic and (
            is_terminating(pod) or not is_running_and_ready(pod) or not is_available(pod, self._min_ready, self._now)
        ):
            return True
        matches = pods.identity_matches(self._set, pod) and pods.storage_matches(self._set, pod)
        if not (matches and self._effects.claims_are_owned(self._update, pod)):
            self._effects.correct(self._update, pod)
        return False

    def _own_claims_of_condemned(self, pod: Json) -> bool:
        if not self._effects.claims_are_owned(self._update, pod):
            self._effects.own_claims(self._update, pod)
        return False

    def _condemned_pod(self, pod: Json) -> bool:
        """Delete one pod that is no longer wanted, when its turn has come; whether those before it have to wait."""
        if is_terminating(pod):
            return self._monotonic
        healthy = is_running_and_ready(pod) and is_available(pod, self._min_ready, self._now)
        if self._monotonic and not healthy and pod is not self._first_unavailable:
            return True
        self._effects.delete(self._set, pod)
        return True

    def _outdated(self, pod: Json) -> bool:
        return pods.revision_of(pod) != self._status.update_revision and not is_terminating(pod)

    def _roll(self, status: Status, partition: int) -> Outcome:
        """Delete the last pod that is not at the update's revision, unless one after it is not available yet."""
        for pod in reversed(self._replicas[partition:]):
            if self._outdated(pod):
                return self._deleting(status, [pod])
            if self._unavailable(pod):
                break
        return Outcome(status)

    def _roll_several(self, status: Status, partition: int, allowed: int) -> Outcome:
        """Delete as many pods, from the last on, as may be unavailable beside those that are."""
        free = allowed - sum(self._unavailable(pod) for pod in self._replicas)
        outdated = [pod for pod in reversed(self._replicas[partition:]) if self._outdated(pod)]
        return self._deleting(status, outdated[: max(0, free)])

    def _deleting(self, status: Status, doomed: Sequence[Json]) -> Outcome:
        for pod in doomed:
            try:
                self._effects.delete(self._set, pod)
            except ApiError as error:
                return Outcome(status, error)
            status = status.with_one_less()
        return Outcome(status)

    def _allowed_unavailable(self, rolling: Json) -> int:
        """How many pods a rolling update may have unavailable: 1 unless said, a percentage rounded down, 1 at least."""
        asked = rolling.get("maxUnavailable")
        if asked is None:
            return 1
        if isinstance(asked, str):
            return max(1, math.floor(int(asked.removesuffix("%")) * len(self._replicas) / 100))
        return max(1, int(asked))
