"""Run rules over releases, and put together what several environments have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from berth.core.errors import LintError, Problem
from berth.core.lint.catalogue import RULES, STRUCTURAL
from berth.core.lint.model import DEFAULT_KUBERNETES, Facts, Finding, Rule, Severity, Version, finding_of
from berth.core.lint.scene import Scene
from berth.core.lint.waivers import part
from berth.core.objects import INSTANCE_LABEL, Manifest, dig

if TYPE_CHECKING:
    from berth.core.profile import Waiver
    from berth.core.render import Release


def facts_of(release: Release, *, kubernetes: Version = DEFAULT_KUBERNETES, others: Iterable[Manifest] = ()) -> Facts:
    """What the rules may know of a rendered release; ``others`` are the manifests of releases that it requires."""
    return Facts(
        release=release.name,
        namespace=release.namespace,
        profile=release.profile.name,
        environment=release.environment,
        kubernetes=kubernetes,
        values=release.values.data,
        operations=release.profile.operations,
        others=tuple(others),
    )


def look(manifests: Sequence[Manifest], facts: Facts, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """What rules find in a release's manifests, waivers not considered; the worst first, then in the rules' order."""
    scene = Scene.of(tuple(manifests), facts)
    found = [finding_of(rule, hit, facts) for rule in rules for hit in rule.check(scene)]
    return tuple(sorted(found, key=lambda finding: finding.severity.rank))


def check(manifests: Sequence[Manifest], facts: Facts, waivers: Sequence[Waiver] = ()) -> tuple[Finding, ...]:
    """The structural errors of a release: what the cluster would refuse, what deadlocks, what loses data.

    This is what `up` asks first. It reads no schemas and takes a few milliseconds.
    """
    standing, _ = part(look(manifests, facts, STRUCTURAL), waivers)
    return tuple(finding for finding in standing if finding.severity is Severity.ERROR)


def require_sound(manifests: Sequence[Manifest], facts: Facts | None = None, waivers: Sequence[Waiver] = ()) -> None:
    """Refuse a release with structural errors; without ``facts`` they are read from the labels of the manifests.

    Raises:
        LintError: with every finding.
    """
    found = check(manifests, facts or _facts_from(manifests), waivers)
    if found:
        raise LintError(problem_of(finding) for finding in found)


def require_sound_release(release: Release, others: Iterable[Manifest] = ()) -> None:
    """Refuse a release with structural errors that its profile does not waive.

    Raises:
        LintError: with every finding.
    """
    require_sound(release.manifests, facts_of(release, others=others), release.profile.waivers)


def problem_of(finding: Finding) -> Problem:
    """A finding as a problem of an error: what, where, and what to try."""
    where = f"{finding.position}" + (f" ({finding.object}: {finding.path})" if finding.ref else "")
    why = f"it is made of {', '.join(f'values.{path}' for path in finding.values)}" if finding.values else ""
    return Problem(f"{finding.message} [{finding.rule}]", where, why, finding.fix)


def _facts_from(manifests: Sequence[Manifest]) -> Facts:
    labels = Counter(dig(manifest.body, "metadata", "labels", INSTANCE_LABEL) for manifest in manifests)
    spaces = Counter(dig(manifest.body, "metadata", "namespace") for manifest in manifests)
    return Facts(release=_most(labels), namespace=_most(spaces))


def _most(counted: Counter[object]) -> str:
    """The most frequent text; of equally frequent ones the first."""
    return next((text for text, _ in counted.most_common() if isinstance(text, str)), "")


def merge(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that are the same in several environments, once, with all their environments, sorted for people."""
    merged: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        key = (finding.profile, finding.rule, finding.ref, finding.path, finding.message, finding.position)
        earlier = merged.get(key)
        if earlier is None:
            merged[key] = finding
        else:
            both = dict.fromkeys((*earlier.environments, *finding.environments))
            merged[key] = replace(earlier, environments=tuple(both))
    return tuple(sorted(merged.values(), key=_order))


def _order(finding: Finding) -> tuple[object, ...]:
    return (finding.profile, finding.severity.rank, finding.position, finding.rule, finding.object, finding.path)
