"""Findings of lint for people, and as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from berth.core.lint.model import Finding, Severity, format_version
from berth.core.lint.report import Report

_WORDS = {
    Severity.ERROR: ("error", "errors"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.INFO: ("note", "notes"),
}


def as_text(report: Report, *, strict: bool) -> Iterator[str]:
    """Lines: the findings by profile, the worst first, what was waived, and the verdict last."""
    for profile, findings in groupby(report.findings, key=lambda finding: finding.profile):
        yield profile or "all profiles"
        for finding in findings:
            yield from _lines(finding, report)
        yield ""
    for waived in report.waived:
        finding = waived.finding
        yield f"waived  {finding.rule}  {finding.profile}  {finding.object}: {waived.reason}"
    if report.waived:
        yield ""
    checked = f"against Kubernetes {format_version(report.kubernetes)}" if report.schemas else "without schemas"
    yield (
        f"{_many(len(report.profiles), 'profile')}, {_many(report.renderings, 'rendering')}, "
        f"{_many(report.manifests, 'manifest')} checked {checked}"
    )
    yield verdict(report, strict=strict)


def verdict(report: Report, *, strict: bool) -> str:
    """The last line: passed or failed, and how many of what."""
    counts = [f"{report.count(level)} {_WORDS[level][report.count(level) != 1]}" for level in Severity]
    if report.waived:
        counts.append(f"{len(report.waived)} waived")
    return f"lint {'failed' if report.exit_code(strict=strict) else 'passed'}: {', '.join(counts)}"


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _lines(finding: Finding, report: Report) -> Iterator[str]:
    yield f"  {_WORDS[finding.severity][0]:<8}{finding.message}  [{finding.rule}]"
    where = "  ".join(part for part in (str(finding.position), finding.object, finding.path) if part)
    if where:
        yield f"          at {where}"
    if finding.values:
        yield f"          from {', '.join(f'values.{path}' for path in finding.values)}"
    if finding.environments and finding.environments != (None,):
        yield f"          in {', '.join(name or 'no environment' for name in finding.environments)}"
    yield f"          fix: {finding.fix}"


def as_json(report: Report, *, strict: bool) -> Iterator[str]:
    """One object a line: an event Finding for each, Waived for each, and Verdict last. Fields are only ever added."""
    for finding in report.findings:
        yield _dump({"event": "Finding", **fields(finding)})
    for waived in report.waived:
        yield _dump({"event": "Waived", **fields(waived.finding), "reason": waived.reason})
    yield _dump(
        {
            "event": "Verdict",
            "passed": not report.exit_code(strict=strict),
            "strict": strict,
            "kubernetes": format_version(report.kubernetes),
            "schemas": report.schemas,
            "profiles": list(report.profiles),
            "renderings": report.renderings,
            "manifests": report.manifests,
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "notes": report.count(Severity.INFO),
            "waived": len(report.waived),
        }
    )


def fields(finding: Finding) -> dict[str, Any]:
    """A finding as JSON: what is not known is null. An environment of null is the profile without one."""
    ref = finding.ref
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "profile": finding.profile or None,
        "environments": list(finding.environments),
        "object": {"group": ref.group, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name} if ref else None,
        "path": finding.path or None,
        "message": finding.message,
        "fix": finding.fix,
        "file": finding.position.file or None,
        "line": finding.position.line or None,
        "column": finding.position.column or None,
        "values": list(finding.values),
    }


def _dump(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)
