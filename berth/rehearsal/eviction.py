"""The eviction subresource of pods: deletes a pod unless a PodDisruptionBudget stands against it.

Source: kubernetes pkg/registry/core/pod/storage/eviction.go, and what a real 1.36 answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.controllers.podstate import is_ready, phase
from berth.rehearsal.controllers.selection import matches
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import BUDGETS, PODS
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.registry import Options

if TYPE_CHECKING:
    from berth.rehearsal.world import World

#: Evictions that the budget's controller has not seen yet, at most (MaxDisruptedPodSize).
_MOST_DISRUPTED = 2000
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def evict(world: World, namespace: str, name: str, body: Json, options: Options) -> Json:
    """Evict a pod: the answer is a Status of success, to be sent with 201.

    ``body`` is a policy/v1 Eviction. With its own dry run or that of the options, nothing is done.

    Raises:
        ApiError: 404 there is no such pod; 400 the body is about another; 409 a precondition does not hold; 429 the
            budget does not allow it now; 500 there is more than one budget.
    """
    pod = world.registry.get(PODS, namespace, name)
    if dig(body, "metadata", "name") != name:
        raise bad_request("name in URL does not match name in Eviction object")
    wish = dict(body.get("deleteOptions") or {})
    dry_run = options.dry_run or bool(wish.pop("dryRun", None))
    options = Options(manager=options.manager, dry_run=dry_run, trusted=True)
    if not _spared(pod):
        return _remove(world, pod, wish, options)
    budget = _budget(world, pod)
    if budget is not None and not _may_go_unhealthy(pod, budget):
        _take(world, budget, name, dry_run)
    return _remove(world, pod, wish, options)


def _spared(pod: Json) -> bool:
    """Whether budgets count for the pod: not for one that has not started, has ended, or is going anyway."""
    return phase(pod) not in ("Succeeded", "Failed", "Pending") and "deletionTimestamp" not in pod["metadata"]


def _budget(world: World, pod: Json) -> Json | None:
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    budgets = [
        budget
        for budget in world.store.list(BUDGETS, meta["namespace"])
        if matches(dig(budget, "spec", "selector"), labels)
    ]
    if len(budgets) > 1:
        words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError(500, "", words)
    return budgets[0] if budgets else None


def _may_go_unhealthy(pod: Json, budget: Json) -> bool:
    """Whether a pod that is not ready may go without being counted."""
    if is_ready(pod):
        return False
    if dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = int(status.get("desiredHealthy", 0))
    return desired > 0 and int(status.get("currentHealthy", 0)) >= desired


def _take(world: World, budget: Json, pod: str, dry_run: bool) -> None:
    """Take one disruption from the budget, and note the pod for the budget's controller."""
    name, status = budget["metadata"]["name"], dict(budget.get("status") or {})
    if int(status.get("observedGeneration", 0)) < int(budget["metadata"].get("generation", 1)):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
    if len(status.get("disruptedPods") or {}) > _MOST_DISRUPTED:
        words = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        details = {"name": name, "group": "policy", "kind": "poddisruptionbudget"}
        raise ApiError(403, "Forbidden", f'poddisruptionbudget.policy "{name}" is forbidden: {words}', details)
    allowed = int(status.get("disruptionsAllowed", 0))
    if allowed <= 0:
        raise _too_many(_why_not(name, status))
    if dry_run:
        return
    status["disruptionsAllowed"] = allowed - 1
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod: world.clock.timestamp()}
    if allowed == 1:
        status["conditions"] = [_disallowed(world, one) for one in status.get("conditions") or ()]
    world.client("kube-apiserver").update_status(BUDGETS, {**budget, "status": status})


def _disallowed(world: World, condition: Json) -> Json:
    if condition["type"] != "DisruptionAllowed" or condition["status"] == "False":
        return condition
    now = world.clock.timestamp()
    return {**condition, "status": "False", "reason": "InsufficientPods", "message": "", "lastTransitionTime": now}


def _why_not(name: str, status: Json) -> str:
    conditions = status.get("conditions") or ()
    condition: Json = next((one for one in conditions if one["type"] == "DisruptionAllowed"), {})
    said = condition.get("message", "") if condition.get("status") == "False" else ""
    current, desired = int(status.get("currentHealthy", 0)), int(status.get("desiredHealthy", 0))
    head = f"The disruption budget {name}"
    if said and condition.get("reason") == "SyncFailed":
        return f"{head} does not allow evicting pods currently because it failed sync: {said}"
    if current <= desired:
        return f"{head} needs {desired} healthy pods and has {current} currently"
    if said:
        return f"{head} does not allow evicting pods currently ({condition.get('reason')}): {said}"
    return f"{head} does not allow evicting pods currently"


def _too_many(cause: str, seconds: int = 0) -> ApiError:
    details: Json = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    if seconds:
        details["retryAfterSeconds"] = seconds
    return ApiError(429, "TooManyRequests", _REFUSED, details, {"Retry-After": str(seconds)} if seconds else None)


def _remove(world: World, pod: Json, wish: Json, options: Options) -> Json:
    meta = pod["metadata"]
    if not options.dry_run:
        _check(meta, wish.get("preconditions") or {})
        # The API server writes this past the field managers.
        marked = world.store.update(PODS, _marked(world, pod))
        wanted = dict(wish.get("preconditions") or {})
        if wanted.get("resourceVersion"):
            wish = {**wish, "preconditions": {**wanted, "resourceVersion": marked["metadata"]["resourceVersion"]}}
    world.registry.delete(PODS, meta["namespace"], meta["name"], wish, options)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _check(meta: Json, wanted: Json) -> None:
    for key, word, end in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        if wanted.get(key) and wanted[key] != meta[key]:
            why = f"the {word} in the precondition ({wanted[key]}) does not match the {word} in record ({meta[key]}). "
            why += f"The object might have been {end}"
            message = f'Operation cannot be fulfilled on Pod "{meta["name"]}": {why}'
            raise ApiError(409, "Conflict", message, {"name": meta["name"], "kind": "Pod"})


def _marked(world: World, pod: Json) -> Json:
    """The pod with the condition that says why it goes."""
    status = pod.get("status") or {}
    condition: Json = {"lastProbeTime": None, "lastTransitionTime": world.clock.timestamp()}
    condition |= {"message": "Eviction API: evicting", "reason": "EvictionByEvictionAPI"}
    condition |= {"status": "True", "type": "DisruptionTarget"}
    others = [one for one in status.get("conditions") or () if one["type"] != "DisruptionTarget"]
    return {**pod, "status": {**status, "conditions": [*others, condition]}}
