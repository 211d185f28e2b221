"""Waivers: findings that a profile accepts, each with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from berth.core.errors import did_you_mean
from berth.core.lint.catalogue import BY_ID, WAIVER_REASON, WAIVER_RULE, WAIVER_UNUSED
from berth.core.lint.model import Finding, Rule, Waived

if TYPE_CHECKING:
    from berth.core.profile import Waiver


def covers(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver is for this finding. Its object may hold ``*``: StatefulSet/* is every set."""
    if waiver.rule != finding.rule or not waiver.reason.strip():
        return False
    return waiver.object is None or fnmatchcase(finding.object, waiver.object)


def part(findings: Iterable[Finding], waivers: Sequence[Waiver]) -> tuple[list[Finding], list[Waived]]:
    """The findings that stand, and those that a waiver covers with its reason."""
    standing: list[Finding] = []
    waived: list[Waived] = []
    for finding in findings:
        reason = next((waiver.reason for waiver in waivers if covers(waiver, finding)), None)
        if reason is None:
            standing.append(finding)
        else:
            waived.append(Waived(finding, reason))
    return standing, waived


def examine(
    profile: str, waivers: Sequence[Waiver], found: Sequence[Finding], *, everywhere: bool
) -> Iterator[Finding]:
    """What is wrong with the waivers themselves.

    ``found`` is what was found before waivers were applied. Only a run over all environments (``everywhere``) can tell
    that a waiver is not needed.
    """
    for waiver in waivers:
        if waiver.rule not in BY_ID:
            message = f"there is no rule {waiver.rule!r}"
            yield _finding(WAIVER_RULE, profile, waiver, message, did_you_mean(waiver.rule, BY_ID))
        elif not waiver.reason.strip():
            yield _finding(WAIVER_REASON, profile, waiver, f"the waiver of {waiver.rule} gives no reason")
        elif everywhere and not any(covers(waiver, finding) for finding in found):
            of = f" of {waiver.object}" if waiver.object else ""
            yield _finding(WAIVER_UNUSED, profile, waiver, f"nothing needs the waiver of {waiver.rule}{of}")


def _finding(rule: Rule, profile: str, waiver: Waiver, message: str, fix: str = "") -> Finding:
    return Finding(rule.id, rule.severity, None, "", message, fix or rule.fix, waiver.position, profile=profile)
