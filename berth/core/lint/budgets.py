"""PodDisruptionBudgets: whose pods they protect, and whether a node can still be drained."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.quorum import needs_quorum
from berth.core.lint.scene import Part, Scene, Workload, selects_all


def _budgets(scene: Scene) -> Iterator[tuple[Part, list[Workload]]]:
    for budget in scene.of_kind("PodDisruptionBudget"):
        yield budget.at("spec"), scene.matched(budget.at("spec", "selector"))


def _count(value: object, total: int) -> int | None:
    """The pods that a number or a percentage means, rounded up as the disruption controller does."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    found = re.fullmatch(r"(\d{1,3})%", value) if isinstance(value, str) else None
    return math.ceil(int(found[1]) * total / 100) if found else None


def _disruptions(spec: Part, replicas: int) -> int | None:
    """How many of ``replicas`` healthy pods the budget lets go at once; None when it does not say."""
    at_most, at_least = _count(spec.get("maxUnavailable"), replicas), _count(spec.get("minAvailable"), replicas)
    if at_most is not None:
        return at_most
    return None if at_least is None else max(0, replicas - at_least)


@rule(
    "budgets/selects",
    "A budget selects the pods of exactly one workload",
    Severity.ERROR,
    fix="give it the selector of the set",
    structural=True,
)
def selects(scene: Scene) -> Iterator[Hit]:
    """A budget that selects nothing protects nothing; one that selects too much lets its pods stand for each other.

    An empty selector takes every pod of the namespace.
    """
    for spec, found in _budgets(scene):
        if selects_all(spec.at("selector")):
            yield spec.hit("the selector is empty, and so takes every pod of the namespace", "selector")
        elif not found:
            yield spec.hit("the selector meets no pod of this release", "selector")
        elif len(found) > 1:
            names = " and of ".join(workload.title for workload in found)
            yield spec.hit(f"the selector meets the pods of {names}", "selector")


@rule(
    "budgets/overlap",
    "No pod has two budgets",
    Severity.ERROR,
    fix="keep one of them",
    structural=True,
)
def overlap(scene: Scene) -> Iterator[Hit]:
    """The eviction API answers with an error for a pod that two budgets select, so its node cannot be drained."""
    seen: list[Workload] = []
    for spec, found in _budgets(scene):
        for workload in found:
            if any(workload is other for other in seen):
                yield spec.hit(f"another budget selects the pods of {workload.title}, too", "selector")
        seen += found


@rule(
    "budgets/drain",
    "A budget lets a node be drained",
    Severity.ERROR,
    fix="set maxUnavailable: 1",
)
def drain(scene: Scene) -> Iterator[Hit]:
    """A budget that never lets a pod go blocks node upgrades until somebody deletes the pod by force."""
    for spec, found in _budgets(scene):
        if spec.get("maxUnavailable") is not None and spec.get("minAvailable") is not None:
            yield spec.hit("the API accepts maxUnavailable or minAvailable, and not both")
            continue
        key = "minAvailable" if spec.get("minAvailable") is not None else "maxUnavailable"
        # A budget that says neither lets nothing be evicted, once it selects a pod.
        replicas = max((workload.replicas for workload in found), default=1)
        if replicas and not (_disruptions(spec, replicas) or 0) > 0:
            yield spec.hit(f"none of {replicas} pods may ever be evicted", key)


@rule(
    "budgets/quorum",
    "A budget keeps the quorum",
    Severity.ERROR,
    fix="set maxUnavailable: 1",
    structural=True,
)
def quorum(scene: Scene) -> Iterator[Hit]:
    """A drain that takes more than a minority of the members at once takes the service down."""
    for spec, found in _budgets(scene):
        for workload in found:
            spared = (workload.replicas - 1) // 2
            allowed = _disruptions(spec, workload.replicas)
            if workload.replicas > 2 and allowed is not None and allowed > spared and needs_quorum(workload):
                yield spec.hit(f"{allowed} of {workload.replicas} members may go at once; the quorum spares {spared}")


@rule(
    "budgets/missing",
    "A set with replicas has a disruption budget",
    Severity.WARNING,
    fix="add a PodDisruptionBudget with maxUnavailable: 1",
)
def missing(scene: Scene) -> Iterator[Hit]:
    """Without one, draining two nodes at once takes two pods at once. Not asked of development environments."""
    if scene.facts.is_development:
        return
    covered = [workload for _, found in _budgets(scene) for workload in found]
    for workload in scene.sets:
        if workload.replicas > 1 and not any(workload is other for other in covered):
            yield workload.root.hit(f"no budget protects the {workload.replicas} pods")
