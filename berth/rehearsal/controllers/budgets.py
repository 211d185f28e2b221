"""PodDisruptionBudgets: how many of their pods are healthy, and how many may be disrupted.

Source: kubernetes pkg/controller/disruption/disruption.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.clock import Timer, seconds_of
from berth.rehearsal.controllers.ownership import controller_of
from berth.rehearsal.controllers.podstate import is_ready, is_terminating
from berth.rehearsal.controllers.selection import PodIndex, SelectorIndex, labels_of
from berth.rehearsal.controllers.statefulset_pods import replicas_of
from berth.rehearsal.kinds import BUDGETS, PODS, of
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

#: Seconds within which a pod that an eviction was granted for has to be gone; afterwards it counts again.
DELETION_TIMEOUT = 120.0
_SOURCE = "controllermanager"
_CONDITION = "DisruptionAllowed"


class _Unknown(Exception):
    """How many pods there should be cannot be told; the message is the condition's."""


class BudgetController:
    """Keeps the status of every budget."""

    name = "disruption"

    def __init__(self, world: World) -> None:
        """Work on a world."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._pods = PodIndex.of(world.store)
        self._selecting = SelectorIndex(world.store, BUDGETS, lambda body: body["spec"].get("selector"))
        self._timers: dict[Key, Timer] = {}

    def interested(self, change: Change) -> Iterable[Key]:
        """Budgets that changed, and those of a pod that changed.

        A set that is scaled is noticed with the first pod that comes or goes, as the real controller does.
        """
        kind, namespace = change.kind, change.key[0]
        if kind is BUDGETS:
            return () if change.type == "DELETED" else (change.key,)
        if kind is PODS:
            if change.old is not None and change.type == "MODIFIED" and not _matters(change.old, change.object):
                return ()
            bodies = [change.object] if change.old is None else [change.object, change.old]
            found = {
                budget["metadata"]["name"]: None
                for body in bodies
                for budget in self._selecting.selecting(namespace, labels_of(body))
            }
            return [(namespace, name) for name in found]
        return ()

    def sync(self, key: Key) -> None:
        """See to one budget. Raises ApiError where that has to be done again."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        budget = self._client.get(BUDGETS, *key)
        if budget is None:
            return
        pods = self._pods.selected(key[0], budget["spec"].get("selector"))
        if not pods:
            self._client.event(budget, "Normal", "NoPods", "No matching pods found", _SOURCE)
        try:
            expected, desired = self._expected(budget, pods)
        except _Unknown as error:
            words = f"Failed to calculate the number of expected pods: {error}"
            self._client.event(budget, "Warning", "CalculateExpectedPodCountFailed", words, _SOURCE)
            self._write(budget, {**(budget.get("status") or {}), "disruptionsAllowed": 0}, str(error))
            return
        now = self._world.clock.now()
        disrupted = self._disrupted(budget, pods, now)
        healthy = sum(
            is_ready(pod) and not is_terminating(pod) and pod["metadata"]["name"] not in disrupted for pod in pods
        )
        status: Json = {"currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected}
        status["disruptionsAllowed"] = max(0, healthy - desired) if expected > 0 else 0
        if disrupted:
            status["disruptedPods"] = disrupted
            due = min(seconds_of(since) for since in disrupted.values()) + DELETION_TIMEOUT
            self._timers[key] = self._world.at(due - now + 0.001, lambda: self._world.enqueue(self, key))
        status["observedGeneration"] = budget["metadata"].get("generation", 0)
        self._write(budget, status)

    def _expected(self, budget: Json, pods: Sequence[Json]) -> tuple[int, int]:
        """How many pods there should be, and how many of them healthy."""
        spec = budget["spec"]
        if spec.get("maxUnavailable") is not None:
            expected = self._scale(budget, pods)
            return expected, max(0, expected - _of(spec["maxUnavailable"], expected))
        wanted = spec.get("minAvailable")
        if isinstance(wanted, str):
            expected = self._scale(budget, pods)
            return expected, _of(wanted, expected)
        return (0, 0) if wanted is None else (len(pods), int(wanted))

    def _scale(self, budget: Json, pods: Sequence[Json]) -> int:
        """How many pods the owners of these pods want, together."""
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                unmanaged = True
            elif owner["uid"] not in scales:
                scales[owner["uid"]] = self._scale_of(owner, pod)
        if unmanaged:
            words = (
                f"Pods selected by this PodDisruptionBudget (selector: {_go_selector(budget['spec']['selector'])}) "
                "were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which "
                'may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of '
                "the PDB to an integer value."
            )
            self._client.event(budget, "Warning", "UnmanagedPods", words, _SOURCE)
        return sum(scales.values())

    def _scale_of(self, owner: Json, pod: Json) -> int:
        """How many pods the owner of a pod wants."""
        kind = of(owner)
        if kind is None:
            raise _Unknown(f'no matches for kind "{owner["kind"]}" in version "{owner["apiVersion"]}"')
        if "scale" not in kind.subresources:
            raise _Unknown(f"{kind.qualified} does not implement the scale subresource")
        body = self._client.get(kind, pod["metadata"]["namespace"], owner["name"])
        if body is None or body["metadata"]["uid"] != owner["uid"]:
            raise _Unknown(f'found no controllers for pod "{pod["metadata"]["name"]}"')
        return replicas_of(body)

    def _disrupted(self, budget: Json, pods: Sequence[Json], now: float) -> dict[str, str]:
        """The pods that evictions were granted for and that are still there, with the times of that."""
        granted: Mapping[str, str] = (budget.get("status") or {}).get("disruptedPods") or {}
        kept = {}
        for pod in pods:
            since = granted.get(pod["metadata"]["name"])
            if since is None or is_terminating(pod):
                continue
            if seconds_of(since) + DELETION_TIMEOUT >= now:
                kept[pod["metadata"]["name"]] = since
            else:
                namespace = budget["metadata"]["namespace"]
                words = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
                self._client.event(pod, "Warning", "NotDeleted", words, _SOURCE)
        return kept

    def _write(self, budget: Json, status: Json, failure: str = "") -> None:
        """Write the status with its condition, if that changes anything."""
        old = budget.get("status") or {}
        others = [entry for entry in old.get("conditions") or () if entry["type"] != _CONDITION]
        before = next((entry for entry in old.get("conditions") or () if entry["type"] == _CONDITION), None)
        allowed = status.get("disruptionsAllowed", 0) > 0
        reason = "SyncFailed" if failure else "SufficientPods" if allowed else "InsufficientPods"
        value = "True" if allowed else "False"
        same = before is not None and before["status"] == value
        since = before["lastTransitionTime"] if before is not None and same else self._world.clock.timestamp()
        condition = {
            "type": _CONDITION,
            "status": value,
            "observedGeneration": status.get("observedGeneration", 0),
            "lastTransitionTime": since,
            "reason": reason,
            "message": failure,
        }
        new = {**status, "conditions": [*others, condition]}
        if new != old:
            self._client.update_status(BUDGETS, {**budget, "status": new})


def _matters(old: Json, new: Json) -> bool:
    """Whether a pod's change can change a budget's figures."""
    return (
        is_ready(old) != is_ready(new)
        or is_terminating(old) != is_terminating(new)
        or labels_of(old) != labels_of(new)
        or controller_of(old) != controller_of(new)
    )


def _of(amount: int | str, total: int) -> int:
    """A number, or a percentage of the total, rounded up."""
    if isinstance(amount, str):
        return ceil(int(amount.removesuffix("%")) * total / 100)
    return int(amount)


def _go_selector(selector: Json) -> str:
    """A LabelSelector as Go prints it in a message."""
    labels = ",".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    rules = "".join(
        f"LabelSelectorRequirement{{Key:{rule['key']},Operator:{rule['operator']},"
        f"Values:[{' '.join(rule.get('values') or ())}],}},"
        for rule in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{rules}}},}}"
    )
