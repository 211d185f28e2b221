"""What a whole run of lint found."""

from __future__ import annotations

from dataclasses import dataclass

from berth.core.errors import ExitCode
from berth.core.lint.model import Finding, Severity, Version, Waived


@dataclass(frozen=True, slots=True)
class Report:
    """What lint found.

    ``renderings`` counts pairs of a profile and an environment; ``schemas`` says whether Kubernetes' were checked.
    """

    findings: tuple[Finding, ...]
    waived: tuple[Waived, ...]
    profiles: tuple[str, ...]
    renderings: int
    manifests: int
    kubernetes: Version
    schemas: bool

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(finding.severity is severity for finding in self.findings)

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """2 with errors, under ``strict`` also with warnings; else 0."""
        bad = self.count(Severity.ERROR) + (self.count(Severity.WARNING) if strict else 0)
        return ExitCode.BAD_INPUT if bad else ExitCode.DONE
