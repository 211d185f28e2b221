"""Findings of lint as SARIF 2.1.0, the format that code scanners show beside the lines of a file.

The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from berth.core.lint.model import Finding, Rule, Severity, Waived

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
#: The name by which a viewer knows the directory that relative URIs start from.
_ROOT = "%SRCROOT%"


def as_sarif(
    findings: Iterable[Finding], waived: Iterable[Waived], rules: Iterable[Rule], version: str
) -> dict[str, Any]:
    """One run of one tool. Waived findings are results with a suppression, so that a scanner shows them as accepted."""
    listed = list(rules)
    places = {rule.id: index for index, rule in enumerate(listed)}
    results = [_result(finding, places) for finding in findings]
    results += [
        {**_result(each.finding, places), "suppressions": [{"kind": "external", "justification": each.reason}]}
        for each in waived
    ]
    driver = {
        "name": "berth lint",
        "semanticVersion": version,
        "rules": [_rule(rule) for rule in listed],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The directory in which lint ran"}}},
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.replace("/", "-").split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.doc},
        "help": {"text": f"{rule.doc}\n\nFix: {rule.fix}", "markdown": f"{rule.doc}\n\n**Fix:** {rule.fix}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["kubernetes", rule.subject]},
    }


def _result(finding: Finding, places: dict[str, int]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": places[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. Fix: {finding.fix}"},
        "partialFingerprints": {"berthFinding/v1": fingerprint(finding)},
        "properties": {
            "profile": finding.profile,
            "environments": [name or "" for name in finding.environments],
            "values": list(finding.values),
        },
    }
    location: dict[str, Any] = {}
    if finding.position.file:
        place: dict[str, Any] = {"artifactLocation": _artifact(finding.position.file)}
        if finding.position.line:
            place["region"] = {"startLine": finding.position.line}
            if finding.position.column:
                place["region"]["startColumn"] = finding.position.column
        location["physicalLocation"] = place
    if finding.ref:
        name = f"{finding.object}:{finding.path}" if finding.path else finding.object
        location["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "object"}]
    if location:
        result["locations"] = [location]
    return result


def _artifact(file: str) -> dict[str, str]:
    """A relative URI where the file is below the directory in which lint ran, which is what scanners can open."""
    if PurePath(file).is_absolute():
        return {"uri": Path(file).as_uri()}
    return {"uri": quote(PurePath(file).as_posix()), "uriBaseId": _ROOT}


def fingerprint(finding: Finding) -> str:
    """What stays the same when lines move, so that a scanner does not report a known finding as new."""
    parts = (finding.rule, finding.profile, finding.object, finding.path, "" if finding.ref else finding.message)
    return sha256("\n".join(parts).encode()).hexdigest()
