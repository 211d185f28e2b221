"""What the linter is made of: severities, rules, hits, findings, and the facts of a release that rules may ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from berth.core.errors import InputError, Position
from berth.core.objects import Manifest, ObjectRef

if TYPE_CHECKING:
    from berth.core.lint.scene import Scene

#: A minor version of Kubernetes: (1, 36).
Version = tuple[int, int]
#: The version that is checked against unless told otherwise.
DEFAULT_KUBERNETES: Version = (1, 36)

#: Names of environments that nobody relies on, and of those that people do.
_DEVELOPMENT = frozenset({"dev", "development", "local", "test"})
_PRODUCTION = frozenset({"prod", "production"})


class Severity(StrEnum):
    """How bad a finding is: an error fails the run, a warning does under ``--strict``, a note never does."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst, so that sorting puts it first."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may know of a release besides its manifests.

    ``values`` are the merged ones, None where they are not known. ``others`` are manifests of the releases that it
    requires: a reference to one of them resolves. ``operations`` is the profile's own section of that name.
    """

    release: str
    namespace: str
    profile: str = ""
    environment: str | None = None
    kubernetes: Version = DEFAULT_KUBERNETES
    values: Mapping[str, Any] | None = None
    operations: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Manifest, ...] = ()

    @property
    def is_development(self) -> bool:
        """Whether the environment is one that nobody relies on; rules that guard a service's uptime say so."""
        return self.environment in _DEVELOPMENT

    @property
    def is_production(self) -> bool:
        """Whether the environment is one that people rely on."""
        return self.environment in _PRODUCTION


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule does not hold. ``fix`` is given where the place allows a better one than the rule's own.

    Messages never quote a value that may be secret: they name fields.
    """

    manifest: Manifest
    path: str
    message: str
    fix: str = ""


Check = Callable[["Scene"], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A promise that manifests should keep.

    ``id`` is subject/name and never changes meaning; ``doc`` says why; ``structural`` rules also guard `up`, because
    what they find the cluster refuses, or it deadlocks, or data is lost.
    """

    id: str
    title: str
    severity: Severity
    doc: str
    fix: str
    structural: bool
    check: Check

    @property
    def subject(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]


def rule(id: str, title: str, severity: Severity, *, fix: str, structural: bool = False) -> Callable[[Check], Rule]:
    """Make a rule of a function that yields its hits; the function's docstring is the rule's reason."""

    def decorate(function: Check) -> Rule:
        return Rule(id, title, severity, cleandoc(function.__doc__ or ""), fix, structural, function)

    return decorate


def _nothing(scene: Scene) -> Iterator[Hit]:
    yield from ()


def declared(id: str, title: str, severity: Severity, doc: str, *, fix: str) -> Rule:
    """A rule that is not looked for in a scene but reported by the run itself (waivers, schemas, rendering)."""
    return Rule(id, title, severity, doc, fix, False, _nothing)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that does not hold, where, and what to do about it.

    ``ref`` is None and ``path`` empty when the finding is about a profile and not about an object. ``values`` are the
    profile values that the field was made of. ``environments`` holds every environment in which the same was found
    (None: without one).
    """

    rule: str
    severity: Severity
    ref: ObjectRef | None
    path: str
    message: str
    fix: str
    position: Position
    values: tuple[str, ...] = ()
    profile: str = ""
    environments: tuple[str | None, ...] = ()

    @property
    def object(self) -> str:
        """Kind/name, as waivers write it; empty for a finding about the profile."""
        return f"{self.ref.kind}/{self.ref.name}" if self.ref else ""


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding that the profile accepts, and the reason it gives."""

    finding: Finding
    reason: str


def finding_of(rule: Rule, hit: Hit, facts: Facts) -> Finding:
    """The finding that a hit amounts to, with the template line and the values that the field came from."""
    origin = hit.manifest.origin_of(hit.path)
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        ref=hit.manifest.ref,
        path=hit.path,
        message=hit.message,
        fix=hit.fix or rule.fix,
        position=origin.template,
        values=origin.values,
        profile=facts.profile,
        environments=(facts.environment,),
    )


def parse_version(text: str) -> Version:
    """The minor version that a user names: "1.36", "v1.36" or "1.36.2".

    Raises:
        InputError: it is not of that form.
    """
    found = re.fullmatch(r"v?(\d{1,3})\.(\d{1,4})(?:\.\d+)?", text.strip())
    if not found:
        raise InputError(f"{text!r} is not a version of Kubernetes", hint="write a minor version, such as 1.36")
    return int(found[1]), int(found[2])


def format_version(version: Version) -> str:
    """A minor version as people write it: 1.36."""
    return f"{version[0]}.{version[1]}"
