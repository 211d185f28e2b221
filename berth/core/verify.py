"""The guarantees of a StatefulSet, looked for in what a cluster shows: facts -> checks. Nothing here reads a cluster.

A check is *failed* only where what is seen contradicts the promise for sure. What could have come about in an honest
way (a pod that restarted, a release that was scaled, claims that are used again) is *not shown*, with the reason.

Source of the promises: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/, "Pod Identity" and
"Deployment and Scaling Guarantees".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from berth.core.objects import Json, claim_name, dig, ordinals, pod_name
from berth.core.readiness import outdated, owned_pods, pod_ready

POD_LABEL, INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


class Outcome(StrEnum):
    """What became of a check."""

    PROVED = "proved"
    FAILED = "failed"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True)
class Check:
    """One guarantee of one set: ``guarantee`` is names, dns, creation, deletion or claims."""

    set_name: str
    guarantee: str
    outcome: Outcome
    evidence: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command in the container of a pod answered, word by word; None where it was not asked, and ``why``."""

    pod: str
    said: tuple[str, ...] | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one set.

    ``pods`` are those that it controls, ``claims`` those of the namespace by name. ``events`` are those about the set,
    None where they may not be read. ``records`` holds the data of each DNS record by name (without a dot at its end)
    and type, None where they may not be known. ``hostnames`` are by pod, ``resolved`` by the name that was asked for.
    """

    body: Json
    pods: Sequence[Json] = ()
    claims: Mapping[str, Json] = field(default_factory=dict)
    service: Json | None = None
    events: Sequence[Json] | None = ()
    records: Mapping[tuple[str, str], tuple[str, ...]] | None = None
    domain: str = "cluster.local"
    hostnames: Mapping[str, Asked] = field(default_factory=dict)
    resolved: Mapping[str, Asked] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The set's name."""
        return str(self.body["metadata"]["name"])

    @property
    def wanted(self) -> range:
        """The ordinals that the set is to have."""
        return ordinals(self.body)

    @property
    def owned(self) -> dict[int, Json]:
        """Its pods by ordinal."""
        return owned_pods(self.body, self.pods)

    @property
    def templates(self) -> list[str]:
        """The names of its claim templates."""
        return [str(one["metadata"]["name"]) for one in self.body["spec"].get("volumeClaimTemplates") or []]

    @property
    def zone(self) -> str:
        """The name of the set's Service in the cluster's DNS, under which its pods have theirs; "" without one."""
        service = dig(self.body, "spec", "serviceName", default="")
        space = dig(self.body, "metadata", "namespace", default="default")
        return f"{service}.{space}.svc.{self.domain}" if service else ""


@dataclass(slots=True)
class Findings:
    """What a look has brought up: what contradicts the promise, what leaves it open, and what shows it."""

    wrong: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def check(self, facts: Facts, guarantee: str) -> Check:
        """The check that follows: one contradiction is enough, and so is one gap."""
        if self.wrong:
            return Check(facts.name, guarantee, Outcome.FAILED, "; ".join(self.wrong))
        if self.unclear:
            return Check(facts.name, guarantee, Outcome.NOT_SHOWN, "; ".join([*self.unclear, *self.shown]))
        return Check(facts.name, guarantee, Outcome.PROVED, "; ".join(self.shown))


def no_pods(facts: Facts, guarantee: str) -> Check:
    """The check of a set that is to have no pods."""
    return Check(facts.name, guarantee, Outcome.NOT_SHOWN, "the set is to have 0 pods; `invoke scale` brings them back")


def names(facts: Facts) -> Check:
    """Pod names, hostnames and labels: web-0 is called web-0 everywhere."""
    if not facts.wanted:
        return no_pods(facts, "names")
    found, owned, good = Findings(), facts.owned, []
    for ordinal in facts.wanted:
        name, pod = pod_name(facts.name, ordinal), owned.get(ordinal)
        if pod is None:
            found.unclear.append(f"{name} is not there")
            continue
        flaws, unclear = _identity(facts, ordinal, pod)
        found.wrong += flaws
        found.unclear += unclear
        good += [] if flaws or unclear else [name]
    found.unclear += [
        f"{pod_name(facts.name, ordinal)} is not wanted any more, and not gone yet"
        for ordinal in sorted(set(owned) - set(facts.wanted))
    ]
    numbered = {pod["metadata"]["name"] for pod in owned.values()}
    strangers = sorted({str(pod["metadata"]["name"]) for pod in facts.pods} - numbered)
    found.wrong += [f"{stranger} is a pod of the set and has no ordinal" for stranger in strangers]
    if good:
        found.shown.append(
            f"{listed(good)}: pod name, hostname and labels agree; {_where(facts.hostnames, _ASKED_NAME)}"
        )
    return found.check(facts, "names")


_ASKED_NAME = ("hostname asked", "spec.hostname only")
_ASKED_DNS = ("looked up", "nothing was looked up in a pod")


def _identity(facts: Facts, ordinal: int, pod: Json) -> tuple[list[str], list[str]]:
    """What of a pod's own names is wrong, and what is missing."""
    name = pod_name(facts.name, ordinal)
    wanted = {
        "spec.hostname": (dig(pod, "spec", "hostname"), name),
        "spec.subdomain": (
            dig(pod, "spec", "subdomain", default=""),
            dig(facts.body, "spec", "serviceName", default=""),
        ),
        f"label {POD_LABEL}": (dig(pod, "metadata", "labels", POD_LABEL), name),
    }
    wrong = [f"{name}: {what} is {is_!r}, not {due!r}" for what, (is_, due) in wanted.items() if is_ != due]
    index, unclear = dig(pod, "metadata", "labels", INDEX_LABEL), []
    if index is None:
        # Pods that are older than Kubernetes 1.28 on their cluster have none.
        unclear.append(f"{name} has no label {INDEX_LABEL}")
    elif index != str(ordinal):
        wrong.append(f"{name}: label {INDEX_LABEL} is {index!r}, not '{ordinal}'")
    asked = facts.hostnames.get(name)
    if asked is not None and asked.said is not None and not dig(pod, "spec", "hostNetwork", default=False):
        # With setHostnameAsFQDN a container says its whole name.
        said = " ".join(asked.said)
        if said not in (name, f"{name}.{facts.zone}"):
            wrong.append(f"{name}: its container calls itself {said!r}")
    return wrong, unclear


def dns(facts: Facts) -> Check:
    """An address for each pod's own name, the Service's name for all of them, and SRV records for its named ports."""
    if not facts.wanted:
        return no_pods(facts, "dns")
    if not facts.zone:
        return Findings(unclear=["the set names no Service, so its pods have no names in DNS"]).check(facts, "dns")
    service = dig(facts.body, "spec", "serviceName")
    if facts.records is None:
        return Findings(unclear=["Services or EndpointSlices may not be read"]).check(facts, "dns")
    if facts.service is None:
        said = f"there is no Service {service}, under which the pods would have names"
        return Findings(wrong=[said]).check(facts, "dns")
    found, published = Findings(), _published(facts)
    for ordinal in facts.wanted:
        name = pod_name(facts.name, ordinal)
        if name not in published:
            why = "is not ready, and has no records until it is" if ordinal in facts.owned else "is not there"
            found.unclear.append(f"{name} {why}")
    for name, due in published.items():
        got = _addresses(facts, f"{name}.{facts.zone}")
        if got != due:
            found.wrong.append(
                f"{name}.{service} leads to {listed(sorted(got))}, and the pod has {listed(sorted(due))}"
            )
    missing = sorted({one for due in published.values() for one in due} - _addresses(facts, facts.zone))
    if missing:
        found.wrong.append(f"{service} does not lead to {listed(missing)}")
    services = _locations(facts, published, found)
    found.wrong += _looked_up(facts)
    if published and not found.wrong:
        each = f"name{'' if len(services) > 1 else 's'} {_each(published)}"
        kinds = f"; SRV {listed(services)} {each}" if services else "; the Service has no named ports"
        found.shown.append(
            f"{listed(list(published))}: the A record of each leads to its pod, that of {service} to "
            f"{_each(published)}{kinds}; worked out from EndpointSlices; {_where(facts.resolved, _ASKED_DNS)}"
        )
    return found.check(facts, "dns")


def _published(facts: Facts) -> dict[str, set[str]]:
    """The wanted pods that DNS should know, with the addresses of the families that their Service has."""
    everyone = dig(facts.service, "spec", "publishNotReadyAddresses", default=False)
    families = dig(facts.service, "spec", "ipFamilies", default=None) or ["IPv4", "IPv6"]
    found: dict[str, set[str]] = {}
    for ordinal in facts.wanted:
        pod = facts.owned.get(ordinal)
        if pod is None or not (pod_ready(pod) or (everyone and not dig(pod, "metadata", "deletionTimestamp"))):
            continue
        addresses = {str(one["ip"]) for one in dig(pod, "status", "podIPs", default=[]) or [] if one.get("ip")}
        due = {one for one in addresses if ("IPv6" if ":" in one else "IPv4") in families}
        if due:
            found[pod_name(facts.name, ordinal)] = due
    return found


def _addresses(facts: Facts, name: str) -> set[str]:
    records = facts.records or {}
    return {*records.get((name, "A"), ()), *records.get((name, "AAAA"), ())}


def _locations(facts: Facts, published: Iterable[str], found: Findings) -> list[str]:
    """The SRV names of the Service's named ports; a pod that one of them leaves out is wrong."""
    services = []
    for port in dig(facts.service, "spec", "ports", default=[]) or []:
        if not port.get("name"):
            continue
        name = f"_{port['name']}._{port.get('protocol', 'TCP').lower()}"
        targets = {
            data.split()[-1].rstrip(".") for data in (facts.records or {}).get((f"{name}.{facts.zone}", "SRV"), ())
        }
        missing = [pod for pod in published if f"{pod}.{facts.zone}" not in targets]
        if missing:
            found.wrong.append(f"SRV {name} does not name {listed(missing)}")
        services.append(name)
    return services


def _looked_up(facts: Facts) -> list[str]:
    """What resolvers in the pods say otherwise; they give the addresses of one family."""
    wrong = []
    for name, asked in facts.resolved.items():
        if asked.said is None:
            continue
        said, due = set(asked.said), _addresses(facts, name)
        sixes = any(":" in one for one in said)
        if not said or said != {one for one in due if (":" in one) == sixes}:
            got = listed(sorted(said)) if said else "nothing"
            wrong.append(f"in {asked.pod} {name.removesuffix(f'.{facts.domain}')} leads to {got}")
    return wrong


@dataclass(frozen=True, slots=True)
class Replaced:
    """One pod that was deleted on purpose, and what came in its place after ``seconds``.

    ``before`` and ``after`` hold uid and volume of its claims by name. ``markers`` says for each claim whether what was
    written before was read afterwards; claims that could not be written to or read are in ``unwritten``, with why.
    """

    pod: str
    old_uid: str
    new_uid: str
    before: Mapping[str, tuple[str, str]]
    after: Mapping[str, tuple[str, str]]
    seconds: float = 0.0
    markers: Mapping[str, bool] = field(default_factory=dict)
    unwritten: Mapping[str, str] = field(default_factory=dict)


def listed(words: Sequence[str], most: int = 5) -> str:
    """The words with commas, of many only the first and the last: "web-0, web-1"; "nothing" for none."""
    if not words:
        return "nothing"
    if len(words) <= most:
        return ", ".join(words)
    return f"{words[0]} to {words[-1]} ({len(words)})"


def _each(things: Iterable[str]) -> str:
    number = len(list(things))
    return {1: "it", 2: "both"}.get(number, f"all {number}")


def _where(asked: Mapping[str, Asked], words: tuple[str, str]) -> str:
    """In how many containers it was asked, and why in others not."""
    done, otherwise = words
    places = {one.pod for one in asked.values() if one.said is not None}
    reasons = list(dict.fromkeys(one.why for one in asked.values() if one.said is None and one.why))
    if not places:
        return f"{listed(reasons, 3)}: {otherwise}" if reasons else otherwise
    said = f"{done} in {len(places)} container{'' if len(places) == 1 else 's'}"
    return f"{said}, not everywhere: {listed(reasons, 3)}" if reasons else said


def made(body: Json | None) -> datetime | None:
    """When an object was created, by the API server's clock."""
    return moment(dig(body, "metadata", "creationTimestamp"))


def moment(text: object) -> datetime | None:
    """A time as the API writes it; None where there is none."""
    return datetime.fromisoformat(str(text)) if text else None


def claims_of_pod(facts: Facts, ordinal: int) -> list[str]:
    """The names of the claims that an ordinal is to have."""
    return [claim_name(template, facts.name, ordinal) for template in facts.templates]


def of_old_revision(facts: Facts, pod: Json) -> bool:
    """Whether a pod is of another revision, or older than the set: it may have been made from other templates."""
    begun, born = made(facts.body), made(pod)
    return outdated(facts.body, pod) or (begun is not None and born is not None and born < begun)
