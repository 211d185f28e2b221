"""Scaling: from how many pods a set has, and how many are wanted, to the steps between; and what claims allow.

A profile says by its operations beforeScaleDown, afterScaleDown and afterScaleUp what its engine needs when pods go or
come. Where it declares none, a set is scaled in one go, and nothing here is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from berth.core.errors import Problem
from berth.core.objects import UNUSABLE_ANNOTATION, Json, claim_ordinal, dig, ordinals, pod_name
from berth.core.operations import SCALING, Operation
from berth.core.quantities import format_duration


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user says of scaling: ``insist`` on what is only unwise; claims, by name, to ``discard`` beforehand."""

    insist: bool = False
    discard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScaleStep:
    """One step, from ``origin`` pods to ``replicas``; ``origin`` equals it where the set must first be whole as it is.

    ``before`` must pass before anything is changed, ``after`` when all pods are ready. ``between`` are values that hold
    because it is not the last step. ``condemned`` are the ordinals that go, highest first; ``added`` those that come.
    """

    origin: int
    replicas: int
    before: Operation | None = None
    after: Operation | None = None
    between: Mapping[str, Any] = field(default_factory=dict)
    condemned: tuple[int, ...] = ()
    added: tuple[int, ...] = ()


def scaling_steps(
    live: int,
    wanted: int,
    operations: Mapping[str, Operation],
    *,
    first: int = 0,
    mark: tuple[int, int] | None = None,
    whole: bool = True,
) -> tuple[ScaleStep, ...]:
    """The steps from ``live`` to ``wanted`` pods, the lowest ordinal being ``first``; none where one go will do.

    ``mark`` is the step (from, to) that an earlier run began and did not end: where it leads the same way, its end
    comes first, what ran before it having passed. ``whole`` says whether all pods are ready now: an engine does not
    grow before they are.

    To 0 is a stop, not a loss of members, so that no operation runs. A set that rests there, which its mark tells,
    comes back as it was, before it grows or shrinks.
    """
    if not SCALING & operations.keys():
        return ()
    if live == 0 or wanted == 0:
        return _rest(live, wanted, operations, first, mark)
    ends = mark is not None and mark[1] == live and mark[0] > 0 and _leads(mark, wanted)
    before, after = _operations(operations, (live, wanted) if live != wanted else mark if ends else None)
    if before is None and after is None:
        return ()
    sizes = _sizes(live, wanted, [one.step for one in (before, after) if one and one.step])
    pairs = list(zip([live, *sizes], sizes, strict=False))
    steps = [_step(origin, size, before, after, first) for origin, size in pairs]
    if ends and mark is not None:
        steps.insert(0, _step(mark[0], live, None, after, first))
    elif after is not None and after.step and wanted > live and not whole:
        steps.insert(0, ScaleStep(live, live))
    return _between(steps, before, after)


def quorum_of(statefulset: Json) -> int:
    """How many of its members a set needs to be ready; 0 for one whose annotation asks for no quorum."""
    from berth.core.lint.quorum import READINESS_ANNOTATION

    places = (("metadata",), ("spec", "template", "metadata"))
    said = [dig(statefulset, *place, "annotations", READINESS_ANNOTATION) for place in places]
    return len(ordinals(statefulset)) // 2 + 1 if "quorum" in said else 0


def quorum_problem(statefulset: Json, wanted: int) -> Problem | None:
    """Why a set whose pods need a quorum must not shrink so far; None where nothing speaks against it."""
    live, name, quorum = len(ordinals(statefulset)), statefulset["metadata"]["name"], quorum_of(statefulset)
    if not quorum or wanted == 0 or wanted >= quorum:
        return None
    return Problem(
        f"StatefulSet/{name} has {live} members, and {wanted} would be left",
        why=f"a quorum of {live} takes {quorum}: {wanted} of them cannot have decided alone what the others saw last",
        hint=f"go to {quorum if quorum % 2 else quorum + 1} first, or `invoke scale --replicas {wanted} --force`",
    )


def claims_of(statefulset: Json, claims: Iterable[Json], wanted: Iterable[int]) -> list[tuple[int, Json]]:
    """The claims, with their ordinals, that the set's templates name for these ordinals."""
    templates = [template["metadata"]["name"] for template in statefulset["spec"].get("volumeClaimTemplates") or []]
    name, wanted = statefulset["metadata"]["name"], set(wanted)
    found = [
        (ordinal, claim)
        for claim in claims
        for template in templates
        if (ordinal := claim_ordinal(claim["metadata"]["name"], template, name)) in wanted
    ]
    return sorted(((o, c) for o, c in found if o is not None), key=lambda one: (one[0], one[1]["metadata"]["name"]))


def unusable(claim: Json) -> str:
    """Why no pod may take a claim again; "" where one may."""
    return str(dig(claim, "metadata", "annotations", UNUSABLE_ANNOTATION, default=""))


def unusable_problems(statefulset: Json, live: range, claims: Sequence[Json], discard: Iterable[str]) -> list[Problem]:
    """One problem for each claim that a pod which does not exist yet would take, and must not."""
    new = set(ordinals(statefulset)) - set(live)
    gone, set_name = set(discard), statefulset["metadata"]["name"]
    space = dig(statefulset, "metadata", "namespace", default="")
    return [
        Problem(
            f"{pod_name(set_name, ordinal)} would take claim {name}, which must not be used again",
            why=unusable(claim),
            hint=f"`invoke scale ... --discard-claims {name}` deletes it with all that is in it; if the engine can "
            f"take it after all: `kubectl annotate pvc {name} -n {space} {UNUSABLE_ANNOTATION}-`",
        )
        for ordinal, claim in claims_of(statefulset, claims, new)
        if unusable(claim) and (name := claim["metadata"]["name"]) not in gone
    ]


def budget_problems(
    statefulset: Json, budgets: Iterable[Json], pods: Sequence[Json], wanted: int, ready: Iterable[int]
) -> list[Problem]:
    """What disruption budgets have against fewer pods; ``ready`` are the ordinals that are ready now."""
    condemned = set(ordinals(statefulset)[wanted:])
    found: list[Problem] = []
    for budget in budgets:
        if not any(_selects(dig(budget, "spec", "selector"), pod) for pod in pods) or wanted == 0:
            continue
        name, least = budget["metadata"]["name"], dig(budget, "spec", "minAvailable")
        status = budget.get("status") or {}
        healthy, expected = int(status.get("currentHealthy", 0)), int(status.get("expectedPods", 0))
        if isinstance(least, int) and least > wanted:
            what, why = f"wants {least} pods to be available", f"{wanted} would be left, and no node could be drained"
        elif status.get("disruptionsAllowed") == 0 and healthy < expected and condemned & set(ready):
            what, why = "allows no disruption at this moment", f"{healthy} of {expected} pods are healthy"
        else:
            continue
        hint = "see to the budget or the pods first, or --force"
        found.append(Problem(f"PodDisruptionBudget/{name} {what}", why=why, hint=hint))
    return found


def reuse_lines(statefulset: Json, live: range, claims: Sequence[Json], now: datetime) -> list[str]:
    """Which claims that are there already the new pods take, and how old they are."""
    new = set(ordinals(statefulset)) - set(live)
    lines = []
    for ordinal, claim in claims_of(statefulset, claims, new):
        made = dig(claim, "metadata", "creationTimestamp")
        age = f", {format_duration((now - datetime.fromisoformat(made)).total_seconds())} old" if made else ""
        size = dig(claim, "status", "capacity", "storage") or dig(claim, "spec", "resources", "requests", "storage")
        pod = pod_name(statefulset["metadata"]["name"], ordinal)
        lines.append(f"{pod} takes claim {claim['metadata']['name']} again, with what is in it ({size}{age})")
    return lines


def step_lines(set_name: str, steps: Sequence[ScaleStep]) -> list[str]:
    """What the steps are, for people."""
    if not steps:
        return []
    way = " -> ".join(map(str, dict.fromkeys([steps[0].origin, *(step.replicas for step in steps)])))
    lines = [f"StatefulSet/{set_name} goes {way}, with all pods ready in between"]
    for step in steps:
        parts = [f"{step.origin} -> {step.replicas}" if step.origin != step.replicas else f"at {step.replicas}"]
        parts += [f"{key}: {json.dumps(value)}" for key, value in step.between.items()]
        parts += [f"{one.name} {when}" for one, when in ((step.before, "first"), (step.after, "afterwards")) if one]
        lines.append("  " + ", ".join(parts))
    return lines


def _rest(
    live: int, wanted: int, operations: Mapping[str, Operation], first: int, mark: tuple[int, int] | None
) -> tuple[ScaleStep, ...]:
    if live == wanted:
        return ()
    before = mark[0] if mark is not None and mark[1] == 0 else 0
    if wanted == 0 or before in (0, wanted):
        return (_step(live, wanted, None, None, first),)
    way = scaling_steps(before, wanted, operations, first=first)
    steps = [_step(0, before, None, None, first), *(way or (_step(before, wanted, None, None, first),))]
    return _between(steps, *_operations(operations, (before, wanted)))


def _between(steps: Sequence[ScaleStep], before: Operation | None, after: Operation | None) -> tuple[ScaleStep, ...]:
    """The steps, with the values that hold for all but the last."""
    values = {**(before.between if before else {}), **(after.between if after else {})}
    return (
        *(replace(step, between=values) for step in steps[:-1]),
        *(replace(step, between={}) for step in steps[-1:]),
    )


def _leads(mark: tuple[int, int], wanted: int) -> bool:
    """Whether a step that was begun goes where the set is to go now."""
    return wanted >= mark[1] if mark[1] > mark[0] else wanted <= mark[1]


def _operations(
    operations: Mapping[str, Operation], way: tuple[int, int] | None
) -> tuple[Operation | None, Operation | None]:
    """What runs before and after a step in a direction."""
    if way is None:
        return None, None
    if way[1] > way[0]:
        return None, operations.get("afterScaleUp")
    return operations.get("beforeScaleDown"), operations.get("afterScaleDown")


def _sizes(live: int, wanted: int, steps: Sequence[int]) -> list[int]:
    """The numbers of pods on the way, the last one included."""
    if live == wanted:
        return []
    by = min(steps, default=abs(wanted - live))
    way = range(live + by, wanted, by) if wanted > live else range(live - by, wanted, -by)
    return [*way, wanted]


def _step(origin: int, replicas: int, before: Operation | None, after: Operation | None, first: int) -> ScaleStep:
    condemned = tuple(range(first + origin - 1, first + replicas - 1, -1))
    return ScaleStep(origin, replicas, before, after, {}, condemned, tuple(range(first + origin, first + replicas)))


def _selects(selector: Any, pod: Json) -> bool:
    """Whether a budget's labels are the pod's; expressions count as a yes, for they only narrow it down."""
    labels = dig(pod, "metadata", "labels", default={})
    wanted = dig(selector, "matchLabels", default={}) or {}
    return selector is not None and all(labels.get(key) == value for key, value in wanted.items())
