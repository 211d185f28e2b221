"""Scenarios: what happens in a rehearsal beyond all going well.

A scenario says how long things take, which pods, claims and requests fail and when, what commands inside containers
answer, and what befalls the nodes. ``berth.rehearsal.scenariofile`` reads one from YAML; the pages of the reference say
what each key means. Of the rules that match and are in force, the first that states a field decides that field.

Times are seconds; those of rules and events count from the beginning of the rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from berth.core.objects import Json

#: What no time ever reaches.
NEVER = float("inf")

PodFault = Literal["image", "crash", "oom", "init", "unready", "liveness", "config", "mount"]
Answer = Literal["409", "429", "500", "503", "504", "reset", "reset-after", "truncate", ""]
Action = Literal["lose", "recover", "cordon", "uncordon", "drain", "delete_pod"]


@dataclass(frozen=True, slots=True)
class Ordinals:
    """Numbers of pods of a set: ranges, both ends included; an open end is None."""

    ranges: tuple[tuple[int, int | None], ...]

    def __contains__(self, ordinal: int) -> bool:
        return any(low <= ordinal and (high is None or ordinal <= high) for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may ask of a pod. ``revision`` is "current" or "update", "" for a pod of no set."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    set: str = ""
    ordinal: int = -1
    revision: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class PodMatch:
    """Which pods, and of those which containers. Names are globs; every key that is stated must fit."""

    namespace: str = "*"
    name: str = "*"
    set: str = ""
    ordinals: Ordinals | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""
    node: str = "*"
    container: str = "*"
    image: str = "*"

    def fits(self, pod: Facts) -> bool:
        """Whether the pod is meant."""
        return (
            _like(pod.namespace, self.namespace)
            and _like(pod.name, self.name)
            and _like(pod.node, self.node)
            and (not self.set or (bool(pod.set) and _like(pod.set, self.set)))
            and (self.ordinals is None or pod.ordinal in self.ordinals)
            and (not self.revision or pod.revision == self.revision)
            and all(_like(pod.labels.get(key, ""), value) for key, value in self.labels.items())
        )

    def fits_container(self, name: str, image: str) -> bool:
        """Whether a container of a pod that fits is meant."""
        return _like(name, self.container) and _like(image, self.image)


@dataclass(frozen=True, slots=True)
class Period:
    """When a rule is in force: from one time up to another."""

    begin: float = 0.0
    end: float = NEVER

    def holds(self, elapsed: float) -> bool:
        """Whether it is in force so long after the beginning."""
        return self.begin <= elapsed < self.end

    def borders(self) -> Iterator[float]:
        """The times at which it begins and ends, as far as there are any."""
        if self.begin > 0:
            yield self.begin
        if self.end != NEVER:
            yield self.end


@dataclass(frozen=True, slots=True)
class Fault:
    """How a container fails.

    ``times`` is how many starts (or pulls) of the container fail, None for all; ``after`` how long the container runs
    before it fails. ``exit_code`` and ``message`` are None and "" where Kubernetes' usual ones will do.
    """

    kind: PodFault
    exit_code: int | None = None
    message: str = ""
    after: float = 0.0
    times: int | None = None


@dataclass(frozen=True, slots=True)
class ExecAnswer:
    """What a command inside a container gives back."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class ExecRule:
    """The answer to commands whose words, joined by blanks, match a glob."""

    command: str
    answer: ExecAnswer


@dataclass(frozen=True, slots=True)
class PodRule:
    """What some pods do for some time; None where the rule does not say."""

    match: PodMatch = PodMatch()
    period: Period = Period()
    pull: float | None = None
    init: float | None = None
    start: float | None = None
    ready: float | None = None
    stop: float | None = None
    fault: Fault | None = None
    logs: tuple[str, ...] | None = None
    exec: tuple[ExecRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a pod's containers do now.

    ``pull`` is how long an image takes that the node does not have yet, ``init`` how long each init container runs,
    ``start`` how long the containers take to run, ``ready`` how long after that their probes pass, ``stop`` how long
    they take to end when told to (``NEVER``: they do not).
    """

    pull: float = 0.1
    init: float = 0.1
    start: float = 0.4
    ready: float = 0.0
    stop: float = 0.2


@dataclass(frozen=True, slots=True)
class ClaimMatch:
    """Which claims; names are globs."""

    namespace: str = "*"
    name: str = "*"
    set: str = ""
    template: str = "*"
    ordinals: Ordinals | None = None
    storage_class: str = "*"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """How long volumes of some claims take to be made (``NEVER``: they are not), and what the provisioner says then."""

    match: ClaimMatch = ClaimMatch()
    period: Period = Period()
    bind: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Storage:
    """How long the storage takes to make a volume, and to make one larger."""

    provision: float = 0.1
    expand: float = 0.1


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint of a node."""

    key: str
    effect: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node of the rehearsal; ``cpu`` and ``memory`` are quantities."""

    name: str
    zone: str = ""
    region: str = "local"
    cpu: str = "32"
    memory: str = "256Gi"
    pods: int = 500
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """Something done once.

    ``node`` is for what befalls a node, ``pods`` for ``delete_pod``, where ``grace`` None is the pod's own.
    """

    at: float
    action: Action
    node: str = ""
    pods: PodMatch = PodMatch()
    grace: float | None = None


@dataclass(frozen=True, slots=True)
class CallMatch:
    """Which requests. Verbs are the API's (get, list, watch, create, update, patch, delete, deletecollection)."""

    verbs: frozenset[str] = frozenset()
    kind: str = ""
    subresource: str | None = None
    namespace: str = "*"
    name: str = "*"
    agent: str = "*"


@dataclass(frozen=True, slots=True)
class ApiRule:
    """What the API server does with some requests: of those after the first ``skip``, every ``every``-th, so often.

    ``delay`` is in real seconds, for a client's patience is.
    """

    match: CallMatch
    period: Period = Period()
    answer: Answer = ""
    delay: float = 0.0
    retry_after: float | None = None
    message: str = ""
    times: int | None = None
    every: int = 1
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """A ResourceQuota in every namespace whose name fits the glob, Kubernetes' own namespaces apart."""

    hard: Mapping[str, str]
    namespace: str = "*"
    name: str = "rehearsal"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario; without arguments, the one in which all goes well.

    ``begin`` is the virtual time of the beginning, in seconds since the epoch, None for this machine's. ``nodes`` is
    empty for the usual ones. ``probes`` makes the probes' own delays, periods and thresholds count. ``source`` is the
    text that it was read from.
    """

    name: str = "default"
    description: str = ""
    seed: int = 0
    pace: str = ""
    begin: float | None = None
    probes: bool = False
    nodes: tuple[NodeSpec, ...] = ()
    storage: Storage = Storage()
    pods: tuple[PodRule, ...] = ()
    claims: tuple[ClaimRule, ...] = ()
    happenings: tuple[Happening, ...] = ()
    api: tuple[ApiRule, ...] = ()
    quotas: tuple[Quota, ...] = ()
    source: str = ""

    def rules(self, pod: Facts, elapsed: float) -> list[PodRule]:
        """The rules about a pod that are in force, first things first."""
        return [rule for rule in self.pods if rule.period.holds(elapsed) and rule.match.fits(pod)]

    def claim_rule(self, claim: Json, elapsed: float) -> ClaimRule | None:
        """The first rule about a claim that is in force; rules that end later than the claim is asked for count too."""
        for rule in self.claims:
            if rule.period.holds(elapsed) and _claim_fits(rule.match, claim):
                return rule
        return None

    def borders(self) -> list[float]:
        """The times at which rules about pods or claims begin or end, in order."""
        periods = [rule.period for rule in self.pods] + [rule.period for rule in self.claims]
        return sorted({border for period in periods for border in period.borders()})


#: The scenario in which all goes well.
DEFAULT = Scenario()


def behaviour(rules: Sequence[PodRule]) -> Behaviour:
    """How long things take by these rules; the usual times where none says."""
    if not rules:
        return _USUAL
    values: dict[str, float] = {}
    for name in ("pull", "init", "start", "ready", "stop"):
        stated = next((value for rule in rules if (value := getattr(rule, name)) is not None), None)
        if stated is not None:
            values[name] = stated
    return Behaviour(**values)


_USUAL = Behaviour()


def fault(rules: Iterable[PodRule], container: str, image: str, *, init: bool) -> Fault | None:
    """How a container fails by these rules: the first that fits.

    The fault ``init`` is for init containers alone; those that come of running (crash, probes) are for the others,
    unless the rule names the container.
    """
    for rule in rules:
        if rule.fault is None or not rule.match.fits_container(container, image):
            continue
        named = rule.match.container != "*"
        if (rule.fault.kind == "init") != init and not (
            rule.fault.kind in ("image", "config", "mount") or (init and named)
        ):
            continue
        return rule.fault
    return None


def logs(rules: Iterable[PodRule], container: str, image: str) -> tuple[str, ...] | None:
    """The lines that a container prints; None when no rule says."""
    return next(
        (rule.logs for rule in rules if rule.logs is not None and rule.match.fits_container(container, image)), None
    )


def exec_answer(rules: Iterable[PodRule], container: str, image: str, command: Sequence[str]) -> ExecAnswer | None:
    """What a command answers; None when no rule says."""
    text = " ".join(command)
    for rule in rules:
        if rule.match.fits_container(container, image):
            for known in rule.exec:
                if fnmatchcase(text, known.command):
                    return known.answer
    return None


def _like(text: str, pattern: str) -> bool:
    return pattern == "*" or fnmatchcase(text, pattern)


def _claim_fits(match: ClaimMatch, claim: Mapping[str, Any]) -> bool:
    metadata = claim["metadata"]
    name = metadata["name"]
    labels = metadata.get("labels") or {}
    # A claim of a set is called template-set-ordinal (Kubernetes: getPersistentVolumeClaimName).
    stem, _, number = name.rpartition("-")
    ordinal = int(number) if number.isdecimal() else -1
    if match.set or match.ordinals is not None or match.template != "*":
        if ordinal < 0 or (match.ordinals is not None and ordinal not in match.ordinals):
            return False
        if not fnmatchcase(stem, f"{match.template}-{match.set or '*'}"):
            return False
    return (
        _like(metadata.get("namespace", ""), match.namespace)
        and _like(name, match.name)
        and _like(str(claim.get("spec", {}).get("storageClassName") or ""), match.storage_class)
        and all(_like(labels.get(key, ""), value) for key, value in match.labels.items())
    )
