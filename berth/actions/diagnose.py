"""Reads why releases are not current: root causes with the last lines of the logs that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from berth.actions.roles import Operations
from berth.actions.status import Found, Selection, status
from berth.cluster.evidence import last_lines
from berth.cluster.kube import Kube
from berth.cluster.runner import all_of
from berth.core.diagnosis import explained
from berth.core.report import Finding, ReleaseReport
from berth.core.status import findings

#: The operations of which a ready pod must pass those that its profile has.
_OPERATIONS = ("ready", "role")
#: How long each may take in a pod, in seconds.
_LONGEST = 30.0


def diagnose(
    kube: Kube, selection: Selection, operations: Operations | None
) -> tuple[Found, dict[tuple[str, str], tuple[Finding, ...]]]:
    """How the chosen releases stand, and by namespace and release what is wrong with each that is not current.

    Raises:
        InputError, DeniedError: see `status`.
    """
    found = status(kube, selection, operations, _OPERATIONS, _LONGEST)
    wrong = [(one, finding) for one in found.reports for finding in findings(one)]
    told = all_of(wrong, lambda pair: _with_log(kube, *pair))
    grouped: dict[tuple[str, str], tuple[Finding, ...]] = {}
    for (one, _), finding in zip(wrong, told, strict=True):
        key = (one.namespace, one.release)
        grouped[key] = (*grouped.get(key, ()), finding)
    return found, grouped


def _with_log(kube: Kube, one: ReleaseReport, finding: Finding) -> Finding:
    if finding.cause.logs is None:
        return finding
    log: Sequence[str] = last_lines(kube, one.namespace, finding.cause.logs)
    return replace(finding, cause=explained(finding.cause, log), log=tuple(log))
