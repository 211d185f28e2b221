"""How releases stand, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from berth.core.diagnosis import Cause
from berth.core.diff import shown_value
from berth.core.drift import Drift
from berth.core.quantities import format_duration
from berth.core.readiness import Verdict
from berth.core.report import BudgetReport, ClaimReport, Finding, OrdinalReport, ReleaseReport, SetReport
from berth.output.plain import harmless

#: Lines of drift that are shown for a release; the rest are counted, and whole with ``--output json``.
_DRIFT_LINES = 10
#: Characters of a value that are shown.
_VALUE = 60

HEADINGS = ("POD", "PHASE", "READY", "REVISION", "RESTARTS", "AGE", "NODE", "ROLE", "CLAIMS", "DNS NAME")


def lines(reports: Sequence[ReleaseReport], notes: Sequence[str], *, roles: bool = True) -> list[str]:
    """Plain lines: each release with its ordinals, then what could not be found out, and the verdicts' sum."""
    shown: list[str] = []
    for one in reports:
        shown += [*head(one)]
        for group in one.sets:
            shown += _set_lines(group, roles)
        shown += tail(one)
    shown += [f"note: {note}" for note in notes]
    return [harmless(line.rstrip()) for line in [*shown, total(reports)]]


def total(reports: Sequence[ReleaseReport]) -> str:
    """How many releases are current, in one line."""
    down = sum(one.down for one in reports)
    current = sum(one.verdict.current for one in reports)
    apart = f"; {down} taken down" if down else ""
    return f"{current} of {len(reports) - down} releases current{apart}"


def head(one: ReleaseReport) -> list[str]:
    """The release and its verdict, and what to try where it is not current."""
    environment = f", environment {one.environment}" if one.environment else ""
    told = f"(profile {one.profile}{environment}, revision {one.revision}, {one.status})"
    shown = [f"release {one.release} in {one.namespace} {told}", f"  {one.verdict.status}: {one.verdict.message}"]
    causes = [row.cause for group in one.sets for row in group.ordinals if row.cause]
    if one.verdict.hint and not any(cause.hint == one.verdict.hint for cause in causes):
        shown.append(f"  try: {one.verdict.hint}")
    return shown


def tail(one: ReleaseReport) -> list[str]:
    """What is said below the ordinals: causes, claims that no pod uses, budgets, drift."""
    shown: list[str] = []
    for group in one.sets:
        shown += [line for row in group.ordinals if row.cause for line in cause_lines(row.cause)]
    for group in one.sets:
        if group.left_claims:
            claims = ", ".join(claim_text(claim) for claim in group.left_claims)
            shown.append(f"  claims of {group.name} that no pod uses: {claims}")
    for budget in one.budgets:
        shown.append(f"  budget {budget.name}: {_budget(budget)}")
    return shown + _drift_lines(one.drift)


def cause_lines(cause: Cause) -> list[str]:
    """The root cause of one ordinal, and what to try."""
    return [f"  {cause.reason}: {cause.message}", *([f"    try: {cause.hint}"] if cause.hint else [])]


def set_title(group: SetReport) -> str:
    """One line of a set."""
    counted = f"{group.ready} of {group.replicas} ready, {group.updated} of the newest revision"
    return f"StatefulSet/{group.name}  {counted}"


def cells(row: OrdinalReport) -> tuple[str, ...]:
    """One line of the table, in the order of the headings."""
    where = f"{row.node} ({row.zone})" if row.zone else row.node
    return (
        row.pod,
        row.phase + (" (condemned)" if row.condemned else ""),
        "yes" if row.ready else "no",
        row.revision if row.phase != "Absent" else "-",
        str(row.restarts) if row.phase != "Absent" else "-",
        _age(row.age_seconds),
        where or "-",
        row.role or "-",
        ", ".join(claim_text(claim) for claim in row.claims) or "-",
        row.dns or "-",
    )


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds}s" if seconds < 10 else format_duration(seconds)


def headings(roles: bool) -> list[int]:
    """The columns that are shown."""
    return [index for index, title in enumerate(HEADINGS) if roles or title != "ROLE"]


def claim_text(claim: ClaimReport) -> str:
    """A claim with its size, its class, and its phase where it is not bound."""
    phase = "" if claim.phase == "Bound" else claim.phase
    return " ".join(part for part in (claim.name, claim.size, claim.storage_class, phase) if part)


def _set_lines(group: SetReport, roles: bool) -> list[str]:
    shown = [f"  {set_title(group)}"]
    if group.ordinals:
        columns = headings(roles)
        table = [HEADINGS, *(cells(row) for row in group.ordinals)]
        widths = [max(len(row[column]) for row in table) for column in columns]
        for row in table:
            told = (f"{row[column]:<{width}}" for column, width in zip(columns, widths, strict=True))
            shown.append("  " + "  ".join(told))
    return shown


def _budget(budget: BudgetReport) -> str:
    pods = "disruption" if budget.allowed == 1 else "disruptions"
    return f"{budget.allowed} {pods} allowed; {budget.healthy} of {budget.pods} healthy, {budget.desired} needed"


def _drift_lines(drift: Sequence[Drift]) -> list[str]:
    if not drift:
        return []
    objects = len({one.ref for one in drift})
    fields = f"{len(drift)} field{'' if len(drift) == 1 else 's'}"
    shown = [f"  drift: {fields} of {objects} object{'' if objects == 1 else 's'} not as recorded"]
    for one in drift[:_DRIFT_LINES]:
        name, by = f"{one.ref.kind}/{one.ref.name}", f"  (by {one.manager})" if one.manager else ""
        if one.path:
            recorded, live = (shown_value(value, _VALUE) for value in (one.recorded, one.live))
            shown.append(f"    {name} {one.path}: {recorded} -> {live}{by}")
        else:
            shown.append(f"    {name}: is not there any more")
    if len(drift) > _DRIFT_LINES:
        shown.append(f"    and {len(drift) - _DRIFT_LINES} more; --output json has them all")
    return shown


def as_json(reports: Sequence[ReleaseReport], notes: Sequence[str] = ()) -> dict[str, Any]:
    """The reports for machines."""
    return {"releases": [_release(one) for one in reports], "notes": list(notes)}


def _release(one: ReleaseReport) -> dict[str, Any]:
    return {
        "release": one.release,
        "namespace": one.namespace,
        "profile": one.profile,
        "environment": one.environment,
        "revision": one.revision,
        "status": one.status,
        "verdict": _verdict(one.verdict),
        "sets": [_set(group) for group in one.sets],
        "budgets": [
            {"name": b.name, "allowed": b.allowed, "healthy": b.healthy, "desired": b.desired, "pods": b.pods}
            for b in one.budgets
        ],
        "drift": [
            {
                "kind": d.ref.kind,
                "name": d.ref.name,
                "path": d.path,
                "recorded": d.recorded,
                "live": d.live,
                "manager": d.manager,
            }
            for d in one.drift
        ],
    }


def _set(group: SetReport) -> dict[str, Any]:
    return {
        "name": group.name,
        "replicas": group.replicas,
        "ready": group.ready,
        "updated": group.updated,
        "verdict": _verdict(group.verdict),
        "ordinals": [_ordinal(row) for row in group.ordinals],
        "left_claims": [_claim(claim) for claim in group.left_claims],
    }


def _ordinal(row: OrdinalReport) -> dict[str, Any]:
    return {
        "ordinal": row.ordinal,
        "pod": row.pod,
        "phase": row.phase,
        "ready": row.ready,
        "condemned": row.condemned,
        "revision": row.revision,
        "node": row.node,
        "zone": row.zone,
        "claims": [_claim(claim) for claim in row.claims],
        "restarts": row.restarts,
        "age_seconds": row.age_seconds,
        "role": row.role,
        "dns": row.dns,
        "cause": cause_json(row.cause),
    }


def diagnosis_lines(
    reports: Sequence[ReleaseReport], wrong: Mapping[tuple[str, str], Sequence[Finding]], notes: Sequence[str]
) -> list[str]:
    """Of each release that is not current a line of cause for each ordinal, the log, and what to try."""
    shown: list[str] = []
    for one in reports:
        if one.verdict.current or one.down:
            continue
        shown.append(f"release {one.release} in {one.namespace}: {one.verdict.status}: {one.verdict.message}")
        for finding in wrong.get((one.namespace, one.release), ()):
            cause = finding.cause
            shown.append(f"  {cause.reason}: {cause.message}")
            shown += [f"    | {line}" for line in finding.log]
            shown += [f"    try: {cause.hint}"] if cause.hint else []
    shown += [f"note: {note}" for note in notes]
    return [harmless(line.rstrip()) for line in [*shown, total(reports)]]


def diagnosis_json(
    reports: Sequence[ReleaseReport], wrong: Mapping[tuple[str, str], Sequence[Finding]], notes: Sequence[str]
) -> dict[str, Any]:
    """The diagnosis for machines: every release, those that are current without causes."""
    return {
        "releases": [
            {
                "release": one.release,
                "namespace": one.namespace,
                "profile": one.profile,
                "verdict": _verdict(one.verdict),
                "causes": [
                    {
                        "set": finding.set_name or None,
                        "ordinal": finding.ordinal if finding.ordinal >= 0 else None,
                        **(cause_json(finding.cause) or {}),
                        "log": list(finding.log),
                    }
                    for finding in wrong.get((one.namespace, one.release), ())
                ],
            }
            for one in reports
        ],
        "notes": list(notes),
    }


def cause_json(cause: Cause | None) -> dict[str, Any] | None:
    """A cause for machines."""
    if cause is None:
        return None
    return {"weight": cause.weight, "reason": cause.reason, "message": cause.message, "hint": cause.hint}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"status": verdict.status, "reason": verdict.reason, "message": verdict.message, "hint": verdict.hint}


def _claim(claim: ClaimReport) -> dict[str, Any]:
    return {
        "name": claim.name,
        "size": claim.size,
        "class": claim.storage_class,
        "volume": claim.volume,
        "phase": claim.phase,
    }
