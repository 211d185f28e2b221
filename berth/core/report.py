"""What is known of releases, and the report that is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from berth.core.diagnosis import Cause, Scene
from berth.core.drift import Drift
from berth.core.objects import Json, ObjectRef
from berth.core.readiness import Verdict

#: Of a release in one of these states nothing is expected to be there.
DOWN = ("removed", "orphaned")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What of a release's record a report needs; ``domain`` is the cluster's, under which its Services have names.

    ``rollout`` says why a rollout stands still, "" where it does not know, and None where there is none.
    """

    name: str
    namespace: str
    profile: str
    environment: str | None
    revision: int
    status: str
    updated: datetime
    refs: tuple[ObjectRef, ...]
    manifests: tuple[Json, ...]
    domain: str = "cluster.local"
    rollout: str | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """What a profile's operation said in a ready pod; ``failed`` says why it did not pass."""

    operation: str
    text: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read. ``pods`` are by the uid of their controller, ``claims`` by namespace, ``nodes`` by name.

    ``busy`` says, by namespace and release, who holds its lock; ``roles`` are by namespace and pod. ``evidence`` is
    what a diagnosis looks at beyond pods and claims, by namespace; it is only needed for what is not current.
    """

    live: Mapping[ObjectRef, Json]
    now: datetime
    pods: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    claims: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    budgets: Sequence[Json] = ()
    nodes: Mapping[str, Json] = field(default_factory=dict)
    busy: Mapping[tuple[str, str], str] = field(default_factory=dict)
    roles: Mapping[tuple[str, str], Sequence[Role]] = field(default_factory=dict)
    evidence: Mapping[str, Scene] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimReport:
    """A claim; ``volume`` is "" until it is bound."""

    name: str
    size: str
    storage_class: str
    volume: str
    phase: str


@dataclass(frozen=True, slots=True)
class OrdinalReport:
    """One ordinal; ``phase`` is its pod's, or Terminating, or Absent; ``revision`` is current, update or other.

    ``role`` is None where no operation told it, ``age_seconds`` where there is no pod.
    """

    ordinal: int
    pod: str
    phase: str
    ready: bool
    revision: str
    node: str
    zone: str
    claims: tuple[ClaimReport, ...]
    restarts: int
    age_seconds: int | None
    role: str | None
    dns: str
    cause: Cause | None
    condemned: bool


@dataclass(frozen=True, slots=True)
class SetReport:
    """One StatefulSet; ``left_claims`` are those of ordinals that it does not want, which no pod uses."""

    name: str
    replicas: int
    ready: int
    updated: int
    verdict: Verdict
    ordinals: tuple[OrdinalReport, ...]
    left_claims: tuple[ClaimReport, ...]


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """A PodDisruptionBudget: how many pods may be evicted now, how many are healthy, and how many must be."""

    name: str
    allowed: int
    healthy: int
    desired: int
    pods: int


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """One release; ``status`` is what its record says of the last run."""

    release: str
    namespace: str
    profile: str
    environment: str | None
    revision: int
    status: str
    verdict: Verdict
    sets: tuple[SetReport, ...]
    budgets: tuple[BudgetReport, ...]
    drift: tuple[Drift, ...]

    @property
    def down(self) -> bool:
        """Whether it was taken down on purpose."""
        return self.status in DOWN


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one ordinal, with the last lines of the log that belongs to it.

    What is wrong with the release as a whole has the ordinal -1, and no set.
    """

    set_name: str
    ordinal: int
    cause: Cause
    log: tuple[str, ...] = ()
