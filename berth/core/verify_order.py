"""The guarantee of order: pods come one after the other, and go in reverse; judged by recorded times.

The cluster keeps few of them. Events of the set say when the controller made and deleted pods, for about an hour. The
times of pods are those of the present ones, which may be successors of the first. Claims are made by the controller
just before the first pod of their ordinal, and outlive it. All times are whole seconds, so that equal ones speak for
the order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from berth.core.objects import Json, dig, ordinal_of, pod_name
from berth.core.quantities import format_duration
from berth.core.readiness import pod_ready
from berth.core.verify import Check, Facts, Findings, Outcome, claims_of_pod, listed, made, moment, no_pods

#: How far the clocks of API server and scheduler may be apart before a contradiction is one.
_SKEW = timedelta(seconds=5)
#: What the controller says of a pod; source: kubernetes pkg/controller/statefulset/stateful_pod_control.go.
_ABOUT_A_POD = re.compile(r"(?i)^(?:create|delete) pod (\S+) in statefulset ")


@dataclass(frozen=True, slots=True)
class Span:
    """When something happened first and last, by the events that are kept."""

    first: datetime
    last: datetime


def happenings(facts: Facts, verb: str, outcome: str = "Successful") -> dict[int, Span]:
    """When the controller did something to the pod of an ordinal: ``verb`` is Create or Delete."""
    found: dict[int, Span] = {}
    for event in facts.events or ():
        about = _ABOUT_A_POD.match(str(event.get("message") or ""))
        ordinal = ordinal_of(about[1], facts.name) if about and event.get("reason") == outcome + verb else None
        times = [at for key in ("firstTimestamp", "lastTimestamp", "eventTime") if (at := moment(event.get(key)))]
        times += [at] if (at := moment(dig(event, "series", "lastObservedTime"))) else []
        if ordinal is not None and times:
            before = found.get(ordinal)
            times += [before.first, before.last] if before else []
            found[ordinal] = Span(min(times), max(times))
    return found


def creation(facts: Facts) -> Check:
    """Each pod was made when the one before it was ready."""
    if not facts.wanted:
        return no_pods(facts, "creation")
    if parallel := _parallel(facts):
        return Findings(unclear=[parallel]).check(facts, "creation")
    if len(facts.wanted) == 1:
        return Findings(unclear=["one pod alone has no order"]).check(facts, "creation")
    found, told = Findings(), dict[str, list[str]]()
    for before, after in pairwise(facts.wanted):
        outcome, source, text = _pair(facts, before, after)
        if outcome is Outcome.PROVED:
            told.setdefault(source, []).append(text)
        else:
            (found.wrong if outcome is Outcome.FAILED else found.unclear).append(text)
    for source, texts in told.items():
        found.shown += [f"{text} ({source})" for text in texts[:2]]
        if len(texts) > 2:
            found.shown.append(f"and so on, up to {pod_name(facts.name, facts.wanted[-1])}")
    return found.check(facts, "creation")


def _pair(facts: Facts, before: int, after: int) -> tuple[Outcome, str, str]:
    """Outcome, source and words for two neighbours: from what says most to what says least."""
    low, high = pod_name(facts.name, before), pod_name(facts.name, after)
    one, other = facts.owned.get(before), facts.owned.get(after)
    if one is None or other is None:
        return Outcome.NOT_SHOWN, "", f"{low if one is None else high} is not there"
    if late := _contradiction(facts, one, other):
        return Outcome.FAILED, "", f"{high} was made {_seconds(late)} before {low} had so much as a node"
    ready, born = _since(one, "Ready") if pod_ready(one) else None, made(other)
    in_time = ready is not None and born is not None and ready <= born
    first = happenings(facts, "Create")
    if in_time and _first_pod(facts, after, first):
        assert ready is not None and born is not None
        return Outcome.PROVED, "times of the pods", f"{high} was made {_after(born - ready)} {low} was ready"
    if before in first and after in first and first[before].first <= first[after].first:
        gap = first[after].first - first[before].first
        return Outcome.PROVED, "events", f"{high} was first made {_after(gap)} {low} was"
    claims = [made(facts.claims.get(name)) for o in (before, after) for name in claims_of_pod(facts, o)[:1]]
    if len(claims) == 2 and claims[0] and claims[1] and claims[0] <= claims[1] and _of_this_set(facts, claims[0]):
        names = [claims_of_pod(facts, ordinal)[0] for ordinal in (before, after)]
        gap = claims[1] - claims[0]
        return Outcome.PROVED, "claims, made with their first pods", f"{names[1]} was made {_after(gap)} {names[0]} was"
    if in_time:
        assert ready is not None and born is not None
        text = f"{high}, which is not its first pod, was made {_after(born - ready)} {low} was ready"
        return Outcome.PROVED, "times of the pods", text
    if not pod_ready(one):
        return Outcome.NOT_SHOWN, "", f"{low} is not ready now, and nothing tells since when it was"
    why = "one of them has been replaced or became ready again since"
    return Outcome.NOT_SHOWN, "", f"the times of {low} and {high} say nothing of their order: {why}"


def _contradiction(facts: Facts, one: Json, other: Json) -> timedelta | None:
    """By how much the pod ``other`` was there too early; None where nothing speaks against it.

    Only what no honest history can bring about counts: both are of this very set, the first of them was there, and it
    had no node yet, so that it cannot have been ready. (When a container started says less: a node may lose them all.)
    """
    scheduled, born, earlier = _since(one, "PodScheduled"), made(other), made(one)
    if scheduled is None or born is None or earlier is None or facts.wanted.start != 0:
        return None
    if not (_of_this_set(facts, born) and _of_this_set(facts, earlier) and earlier <= born):
        return None
    return scheduled - born if scheduled - born > _SKEW else None


def deletion(facts: Facts) -> Check:
    """Pods go highest first.

    Only what is asked of pods is recorded, not when they were gone; and there are honest histories for any order (a pod
    that failed is deleted, too), so that nothing can contradict it.
    """
    if parallel := _parallel(facts):
        return Findings(unclear=[parallel]).check(facts, "deletion")
    if facts.events is None:
        return Findings(unclear=["events, which alone tell of it, may not be read"]).check(facts, "deletion")
    last = {ordinal: span.last for ordinal, span in happenings(facts, "Delete").items()}
    scaled = sorted((ordinal for ordinal in last if ordinal >= facts.wanted.stop), reverse=True)
    rolled = sorted((ordinal for ordinal in last if ordinal in facts.wanted), reverse=True)
    for going, why in ((scaled, "as the set became smaller"), (rolled, "to be replaced")):
        if len(going) > 1 and all(last[high] <= last[low] for high, low in pairwise(going)):
            pods = listed([pod_name(facts.name, ordinal) for ordinal in going])
            span = last[going[-1]] - last[going[0]]
            within = _seconds(span) if span else "the same second"
            said = f"{pods} were deleted in this order {why}, within {within} (events)"
            return Findings(shown=[said]).check(facts, "deletion")
    if not last:
        why = "no event tells of a pod that the set has deleted (they are kept for about an hour)"
    elif len(last) == 1:
        why = f"events tell of one deletion only, that of {pod_name(facts.name, next(iter(last)))}"
    else:
        why = (
            f"{listed([pod_name(facts.name, o) for o in sorted(last, reverse=True)])} were deleted on several occasions"
        )
    return Findings(unclear=[why]).check(facts, "deletion")


def _parallel(facts: Facts) -> str:
    policy = dig(facts.body, "spec", "podManagementPolicy", default="OrderedReady")
    return "podManagementPolicy Parallel promises none" if policy == "Parallel" else ""


def _first_pod(facts: Facts, ordinal: int, first: dict[int, Span]) -> bool:
    """Whether nothing tells of an earlier pod of the ordinal."""
    born = made(facts.owned[ordinal])
    if born is None or (ordinal in first and first[ordinal].first < born):
        return False
    older = [at for name in claims_of_pod(facts, ordinal) if (at := made(facts.claims.get(name))) and born - at > _SKEW]
    return not older


def _of_this_set(facts: Facts, at: datetime) -> bool:
    """Whether something is not older than the set: pods and claims may come from an earlier one of other ways."""
    begun = made(facts.body)
    return begun is not None and at >= begun


def _since(pod: Json, condition: str) -> datetime | None:
    """Since when a condition of a pod is True."""
    found: Iterator[Json] = (
        one for one in dig(pod, "status", "conditions", default=[]) or [] if one["type"] == condition
    )
    one = next(found, {})
    return moment(one.get("lastTransitionTime")) if one.get("status") == "True" else None


def _after(gap: timedelta) -> str:
    return f"{_seconds(gap)} after" if gap.total_seconds() else "in the second in which"


def _seconds(gap: timedelta) -> str:
    """Whole seconds are known, no parts of them."""
    return f"{gap.total_seconds():.0f}s" if gap.total_seconds() < 60 else format_duration(gap.total_seconds())
