"""The guarantee that an ordinal keeps its claims and volumes, whatever becomes of its pods: facts -> check."""

from __future__ import annotations

from datetime import timedelta

from berth.core.objects import Json, dig, pod_name
from berth.core.quantities import format_duration
from berth.core.readiness import pod_ready
from berth.core.verify import Check, Facts, Findings, Replaced, claims_of_pod, listed, made, no_pods, of_old_revision
from berth.core.verify_order import happenings

#: A claim that is older than its pod by so much was not made for it: the controller makes both in one go.
_BEFORE = timedelta(seconds=60)


def claims(facts: Facts, replaced: Replaced | None = None) -> Check:
    """Each ordinal has claims and volumes of its own, and a pod's successor has those of the pod."""
    if not facts.templates:
        return Findings(unclear=["the set has no volumeClaimTemplates, so no claims"]).check(facts, "claims")
    if not facts.wanted:
        return no_pods(facts, "claims")
    found, volumes = Findings(), dict[str, str]()  # Claims by volume.
    for ordinal in facts.wanted:
        for name in claims_of_pod(facts, ordinal):
            _look_at(facts, ordinal, name, found)
            volume = str(dig(facts.claims.get(name), "spec", "volumeName", default=""))
            if volume and volume in volumes:
                found.wrong.append(f"{volumes[volume]} and {name} have the same volume {volume}")
            volumes[volume] = name
    sound = not (found.wrong or found.unclear)
    if replaced is not None:
        _after(replaced, found)
    elif sound:
        _by_history(facts, found)
    if sound:
        number = len(volumes)
        found.shown.append(
            "its claim is Bound" if number == 1 else f"{number} claims, all Bound, each with a volume of its own"
        )
    return found.check(facts, "claims")


def _look_at(facts: Facts, ordinal: int, name: str, found: Findings) -> None:
    """One claim: it is there, bound, and the one that the pod uses."""
    claim, pod = facts.claims.get(name), facts.owned.get(ordinal)
    who = pod_name(facts.name, ordinal)
    if pod is None:
        found.unclear.append(f"{who} is not there")
        return
    settled = pod_ready(pod) and not of_old_revision(facts, pod)
    if name not in _used(pod):
        (found.wrong if settled else found.unclear).append(f"{who} does not use the claim {name}")
    elif claim is None:
        (found.wrong if settled else found.unclear).append(f"{who} uses the claim {name}, which is not there")
    elif dig(claim, "metadata", "deletionTimestamp"):
        found.unclear.append(f"{name} was deleted by somebody, and goes when {who} goes")
    elif (phase := dig(claim, "status", "phase", default="Pending")) != "Bound":
        (found.wrong if settled or phase == "Lost" else found.unclear).append(f"{name} of {who} is {phase}")


def _after(replaced: Replaced, found: Findings) -> None:
    """What the deletion of a pod has shown."""
    pod = replaced.pod
    if replaced.old_uid == replaced.new_uid:
        found.wrong.append(f"{pod} is the pod that was deleted")
    for name, before in replaced.before.items():
        after = replaced.after.get(name)
        if after is None:
            found.wrong.append(f"{name} went with its pod {pod}")
        elif after[0] != before[0]:
            found.wrong.append(f"{name} is another claim since {pod} was deleted (uid {before[0]}, now {after[0]})")
        elif after[1] != before[1]:
            found.wrong.append(f"{name} has another volume since {pod} was deleted ({before[1]}, now {after[1]})")
    found.wrong += [
        f"the marker that was written to {name} before is not there, or another one"
        for name, same in replaced.markers.items()
        if not same
    ]
    said = (
        f"{pod} was deleted, and another pod of that name was ready {format_duration(replaced.seconds)} later, "
        f"with the same {_kept(replaced)}"
    )
    if read := [name for name, same in replaced.markers.items() if same]:
        said += f"; the marker that was written to {listed(read)} before was read in it"
    for why in dict.fromkeys(replaced.unwritten.values()):
        names = [name for name, reason in replaced.unwritten.items() if reason == why]
        said += f"; by the identity of claim and volume only for {listed(names)}: {why}"
    found.shown.append(said)


def _kept(replaced: Replaced) -> str:
    names = list(replaced.before)
    return f"claim {names[0]} and its volume" if len(names) == 1 else f"claims {listed(names)} and their volumes"


def _by_history(facts: Facts, found: Findings) -> None:
    """Whether what is there shows that a pod came after another one, and has its claim."""
    kept = {ordinal: why for ordinal in facts.wanted if (why := _successor(facts, ordinal))}
    for ordinal, why in list(kept.items())[:3]:
        name = pod_name(facts.name, ordinal)
        found.shown.append(f"{name} uses {listed(claims_of_pod(facts, ordinal))}, and is not its first pod: {why}")
    if len(kept) > 3:
        found.shown.append(f"so do {len(kept) - 3} more")
    if not kept:
        found.unclear.append("nothing shows that a pod was replaced; --disruptive deletes one and looks")


def _successor(facts: Facts, ordinal: int) -> str:
    """How it can be told that an earlier pod used the claims of an ordinal; "" where it cannot."""
    pod, name = facts.owned.get(ordinal), pod_name(facts.name, ordinal)
    born = made(pod)
    own = [claim for one in claims_of_pod(facts, ordinal) if (claim := facts.claims.get(one)) is not None]
    if born is None or not own:
        return ""
    since = [at for claim in own if (at := made(claim)) is not None]
    first = happenings(facts, "Create").get(ordinal)
    # The claims must be of the time of that earlier pod, not of a later one.
    if first is not None and first.first < born and since and max(since) <= first.first:
        return f"an event tells of one that was made {_ago(born - first.first)} before"
    # A pod that was refused at first (a quota) is younger than its claim, too.
    refused = happenings(facts, "Create", "Failed").get(ordinal)
    if since and born - max(since) > _BEFORE and refused is None:
        return f"the claim was made {_ago(born - max(since))} before {name}"
    return ""


def _ago(span: timedelta) -> str:
    return f"{span.total_seconds():.0f}s" if span < timedelta(minutes=1) else format_duration(span.total_seconds())


def _used(pod: Json) -> set[str]:
    volumes = dig(pod, "spec", "volumes", default=[]) or []
    return {str(dig(volume, "persistentVolumeClaim", "claimName", default="")) for volume in volumes}
