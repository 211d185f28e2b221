"""Every error that a user can meet.

    BerthError                    exit code
    ├── InputError                2   profile, values, template or flags are wrong; nothing was changed
    │   ├── ProfileError              a profile file: unknown, broken, a cycle in extends or requires
    │   ├── ValuesError               a value: unknown, of a wrong type, out of bounds
    │   ├── TemplateError             a template: syntax, undefined variable, no or invalid YAML
    │   └── LintError                 manifests that contradict one another or the policy
    ├── TargetError               3   no target, unreachable, or not the one that was meant
    │   └── DeniedError               authenticated but not allowed, or no longer authenticated
    ├── PreflightError            1   the cluster cannot take this release as it is; nothing was changed
    ├── ClusterError              1   the cluster refused, or did not get there
    │   ├── ConflictError             another field manager owns a field that we set
    │   ├── ImmutableError            a field that cannot be changed in place
    │   ├── LockedError               another run holds the release, or a rollout has not ended
    │   └── FailedError               objects ended failed or stuck
    ├── LocalError                1   this machine: disk full, a program missing, a component that dies
    ├── TimedOutError             4   not there in time
    └── InterruptedRunError       130 the user stopped the run

An error carries one or more problems. A problem says what is wrong, where (file:line, object, field), why, and what
to try.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process says when it ends."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NO_TARGET = 3
    TIMED_OUT = 4
    CHANGES = 5
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file: ``file`` as the user would type it; ``line`` and ``column`` from 1, 0 where unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """The form that editors and terminals make clickable: file:line[:column]."""
        parts = [self.file] + [str(number) for number in (self.line, self.column) if number]
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    ``excerpt`` holds source lines to show under the message, caret line included, never a secret value.
    """

    what: str
    where: str = ""
    why: str = ""
    hint: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        """Several lines: the message, then where, the excerpt, why and what to try, each only where known."""
        lines = [self.what]
        if self.where:
            lines.append(f"  at {self.where}")
        lines += [f"    {line}" for line in self.excerpt.splitlines()]
        if self.why:
            lines.append(f"  because {self.why}")
        if self.hint:
            lines.append(f"  try: {self.hint}")
        return "\n".join(lines)


class BerthError(Exception):
    """The root: nothing that berth raises on purpose is anything else."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, what: str | Iterable[Problem], *, where: str = "", why: str = "", hint: str = "") -> None:
        """Take one problem in words, or any number of them made before."""
        if isinstance(what, str):
            what = [Problem(what, where, why, hint)]
        self.problems = tuple(what)
        super().__init__(str(self))

    def __str__(self) -> str:
        """All problems, one after the other."""
        return "\n".join(str(problem) for problem in self.problems)


class InputError(BerthError):
    """What the user wrote is wrong; nothing was changed."""

    exit_code = ExitCode.BAD_INPUT


class ProfileError(InputError):
    """A profile is unknown, unreadable, or contradicts itself."""


class ValuesError(InputError):
    """A value is unknown, of a wrong type, or out of bounds."""


class TemplateError(InputError):
    """A template does not compile, does not run, or does not give valid manifests."""


class LintError(InputError):
    """Manifests contradict one another or the policy."""


class TargetError(BerthError):
    """No cluster to talk to, or it does not answer."""

    exit_code = ExitCode.NO_TARGET


class DeniedError(TargetError):
    """The cluster answers, but not to us, or not for this."""


class PreflightError(BerthError):
    """The cluster cannot take this release as it is; nothing was changed."""


class ClusterError(BerthError):
    """The cluster refused a request, or did not get to where it should."""


class ConflictError(ClusterError):
    """Another field manager owns a field that we set."""


class ImmutableError(ClusterError):
    """A field that cannot be changed in place."""


class LockedError(ClusterError):
    """Another run holds the release, or a rollout of it has not come to its end."""


class FailedError(ClusterError):
    """Objects ended failed or stuck."""


class LocalError(BerthError):
    """This machine is in the way: disk full, a program missing, a component that dies."""


class TimedOutError(BerthError):
    """The cluster did not get there in the time given."""

    exit_code = ExitCode.TIMED_OUT


class InterruptedRunError(BerthError):
    """The user stopped the run; the message says what stands."""

    exit_code = ExitCode.INTERRUPTED


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, else all of them (at most twelve); empty when none is known."""
    names = sorted(known)
    close = get_close_matches(wrong, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:12])
    return f"one of: {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
