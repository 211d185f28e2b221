"""What happens during a run, one frozen class each. The runner yields them, printers show them.

Times are not in here: a printer stamps what it shows, so that a run with a still clock gives equal events.
"""

from __future__ import annotations

from dataclasses import dataclass

from berth.core.ledger import LeftVolume, Line
from berth.core.objects import ObjectRef


@dataclass(frozen=True, slots=True)
class TargetChosen:
    """The cluster that the run talks to, said first and last."""

    target: str


@dataclass(frozen=True, slots=True)
class ReleaseStarted:
    """A release is next."""

    release: str
    namespace: str
    profile: str
    environment: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know, that is no failure."""

    message: str
    level: str = "info"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The claims and volumes of a release, and what will happen to the data in them."""

    release: str
    claims: tuple[Line, ...]
    volumes: tuple[LeftVolume, ...]
    delete_volumes: bool


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase of the plan begins."""

    number: int
    total: int
    title: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """An object was handled: ``action`` is created, updated, unchanged, deleted, kept, adopted or failed."""

    ref: ObjectRef
    action: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class OrdinalState:
    """Where one ordinal is: ``stage`` of claim, scheduling, image, start, ready, settling, stopping, gone."""

    set_name: str
    ordinal: int
    pod: str
    stage: str
    detail: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class StillWaiting:
    """Nothing moved for a while: what is waited for, and why."""

    waiting_for: str
    why: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class OrdinalFailed:
    """The root cause for one ordinal, with what to try and the last lines of its log."""

    set_name: str
    ordinal: int
    reason: str
    message: str
    hint: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OperationDone:
    """An operation of the profile ended in some pods of a set in the same way.

    ``outcome`` is passed, failed, timed out or not run; ``message`` says why it did not pass, ``output`` holds the last
    lines that it printed then.
    """

    operation: str
    set_name: str
    pods: tuple[str, ...]
    outcome: str
    message: str = ""
    output: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PodRow:
    """One line of the final table: a pod, its stage, where it runs, and its claims with size and class."""

    pod: str
    stage: str
    node: str
    claims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseDone:
    """A release ended: counts in Ansible's words, and the verdict in a sentence."""

    release: str
    namespace: str
    ok: int
    changed: int
    failed: int
    skipped: int
    seconds: float
    verdict: str
    succeeded: bool
    pods: tuple[PodRow, ...] = ()


ReleaseEvent = (
    TargetChosen
    | ReleaseStarted
    | Notice
    | Ledger
    | PhaseStarted
    | StepDone
    | OrdinalState
    | StillWaiting
    | OrdinalFailed
    | OperationDone
    | ReleaseDone
)


@dataclass(frozen=True, slots=True)
class OfRelease:
    """What happens to one of several releases that are worked on at the same time.

    ``target`` is "" where the run has but one.
    """

    target: str
    namespace: str
    release: str
    event: ReleaseEvent

    @property
    def label(self) -> str:
        """Which release, in a word or two."""
        name = f"{self.namespace}/{self.release}"
        return f"{self.target} {name}" if self.target else name


@dataclass(frozen=True, slots=True)
class SiteRow:
    """What became of one release of a site: ``result`` is ok, changed, failed or skipped; counts as in its recap."""

    target: str
    namespace: str
    release: str
    result: str
    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class TargetCode:
    """The exit code of what was done on one target of a site."""

    target: str
    code: int


@dataclass(frozen=True, slots=True)
class SiteDone:
    """A run over a site ended. ``codes`` are those of its targets, where it names some."""

    site: str
    rows: tuple[SiteRow, ...]
    codes: tuple[TargetCode, ...]
    seconds: float


Event = ReleaseEvent | OfRelease | SiteDone
