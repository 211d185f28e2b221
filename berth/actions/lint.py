"""`lint`: every profile in every environment, rendered and checked, without a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from berth.actions.prepare import Request, prepare
from berth.actions.schemafiles import open_schemas
from berth.core.errors import BerthError, InputError, Position, ProfileError, did_you_mean
from berth.core.kubeschema import Schemas
from berth.core.lint.catalogue import API_VERSION, NO_SCHEMA, NO_SCHEMAS, RENDER, SCHEMA, SECOND
from berth.core.lint.model import (
    DEFAULT_KUBERNETES,
    Facts,
    Finding,
    Hit,
    Version,
    Waived,
    finding_of,
    format_version,
)
from berth.core.lint.report import Report
from berth.core.lint.run import facts_of, look, merge
from berth.core.lint.waivers import examine, part
from berth.core.objects import CLUSTER_SCOPED, Manifest
from berth.core.render import Release
from berth.core.secretvalues import Unread
from berth.library import Library


@dataclass(frozen=True, slots=True)
class _Result:
    findings: tuple[Finding, ...] = ()
    waived: tuple[Waived, ...] = ()
    renderings: int = 0
    manifests: int = 0


def lint(
    library: Library,
    profiles: Sequence[str] = (),
    environment: str | None = None,
    kubernetes: Version = DEFAULT_KUBERNETES,
    *,
    with_schemas: bool = True,
) -> Report:
    """Check profiles (default: all) in an environment (default: each, and without one).

    A profile that does not load or render is a finding, and the others are checked all the same.

    Raises:
        InputError: a profile, environment or version that was asked for does not exist.
    """
    names = list(dict.fromkeys(profiles)) or library.names()
    if environment is not None and not profiles:
        names = _having(library, names, environment)
    unknown = [name for name in names if name not in library.all_names()]
    if unknown:
        raise ProfileError(f"there is no profile {unknown[0]!r}", hint=did_you_mean(unknown[0], library.names()))
    schemas = open_schemas(kubernetes) if with_schemas else None
    results = [_check_profile(library, name, environment, kubernetes, schemas) for name in names]
    return _report(names, results, kubernetes, schemas, with_schemas)


def lint_releases(
    releases: Sequence[tuple[Release, Sequence[Release]]],
    kubernetes: Version = DEFAULT_KUBERNETES,
    *,
    with_schemas: bool = True,
) -> Report:
    """Check releases as they are to be installed, each with those that are there before it.

    Raises:
        InputError: the version of Kubernetes is not known.
    """
    schemas = open_schemas(kubernetes) if with_schemas else None
    results = []
    for release, before in releases:
        others = [manifest for other in before for manifest in other.manifests]
        facts = facts_of(release, kubernetes=kubernetes, others=others)
        found = [*look(release.manifests, facts), *_against_schemas(release.manifests, facts, schemas)]
        standing, waived = part(merge(found), release.profile.waivers)
        results.append(_Result(tuple(standing), tuple(waived), 1, len(release.manifests)))
    names = list(dict.fromkeys(release.profile.name for release, _ in releases))
    return _report(names, results, kubernetes, schemas, with_schemas)


def _report(
    names: Sequence[str], results: Sequence[_Result], kubernetes: Version, schemas: Schemas | None, with_schemas: bool
) -> Report:
    findings = [finding for result in results for finding in result.findings]
    if with_schemas and schemas is None and names:
        message = "the schemas of Kubernetes are not installed, so no manifest was checked against them"
        findings.append(Finding(NO_SCHEMAS.id, NO_SCHEMAS.severity, None, "", message, NO_SCHEMAS.fix, Position("")))
    return Report(
        findings=merge(findings),
        waived=tuple(waived for result in results for waived in result.waived),
        profiles=tuple(names),
        renderings=sum(result.renderings for result in results),
        manifests=sum(result.manifests for result in results),
        kubernetes=kubernetes,
        schemas=schemas is not None,
    )


def _having(library: Library, names: list[str], environment: str) -> list[str]:
    """The profiles that have an environment; one that does not load is kept, so that it is reported.

    Raises:
        InputError: no profile has it.
    """
    known: dict[str, frozenset[str] | None] = {}
    for name in names:
        try:
            known[name] = frozenset(library.load(name).environments)
        except ProfileError:
            known[name] = None
    everything = {each for environments in known.values() if environments for each in environments}
    if environment not in everything:
        raise InputError(f"no profile has an environment {environment!r}", hint=did_you_mean(environment, everything))
    return [name for name, environments in known.items() if environments is None or environment in environments]


def _check_profile(
    library: Library, name: str, environment: str | None, kubernetes: Version, schemas: Schemas | None
) -> _Result:
    try:
        profile = library.load(name)
    except BerthError as error:
        return _Result(tuple(_unrendered(error, name, environment)))
    environments = (environment,) if environment is not None else (None, *profile.environments)
    found: list[Finding] = []
    manifests = 0
    for each in environments:
        try:
            release, others = _render(library, Request(name, environment=each))
        except BerthError as error:
            found += _unrendered(error, name, each)
            continue
        manifests += len(release.manifests)
        facts = facts_of(release, kubernetes=kubernetes, others=others)
        found += look(release.manifests, facts)
        found += _against_schemas(release.manifests, facts, schemas)
        if each == environments[0]:
            found += _second(library, release, facts)
    merged = merge(found)
    standing, waived = part(merged, profile.waivers)
    standing += examine(name, profile.waivers, merged, everywhere=environment is None and schemas is not None)
    return _Result(tuple(standing), tuple(waived), len(environments), manifests)


def _render(library: Library, request: Request) -> tuple[Release, list[Manifest]]:
    """The release that a request asks for, and the manifests of those that it requires."""
    releases = prepare(library, [request], Unread())  # What a secret is makes no difference to any rule.
    own = next(release for release in releases if release.name == request.release)
    return own, [manifest for release in releases if release is not own for manifest in release.manifests]


def _second(library: Library, first: Release, facts: Facts) -> Iterator[Finding]:
    """What would collide if the profile were installed again under another name, in the same namespace."""
    request = Request(first.profile.name, name=f"{first.name[:38]}-2", environment=first.environment)
    try:
        second, _ = _render(library, request)
    except BerthError as error:
        yield from _unrendered(error, first.profile.name, first.environment)
        return
    there = {manifest.ref for manifest in second.manifests}
    for manifest in first.manifests:
        if manifest.ref in there and manifest.ref.kind not in CLUSTER_SCOPED:
            message = f"a second release of this profile would make the same {manifest.ref.kind} {manifest.ref.name!r}"
            yield finding_of(SECOND, Hit(manifest, "metadata.name", message), facts)


def _against_schemas(manifests: Sequence[Manifest], facts: Facts, schemas: Schemas | None) -> Iterator[Finding]:
    if schemas is None:
        return
    version = format_version(facts.kubernetes)
    for manifest in manifests:
        body = manifest.body
        if schemas.knows(body):
            for violation in schemas.violations(body):
                yield finding_of(SCHEMA, Hit(manifest, violation.path, violation.message, violation.hint), facts)
            continue
        elsewhere = schemas.other_versions(body)
        if schemas.owns_group(body) or elsewhere:
            message = f"Kubernetes {version} has no {body['kind']} in {body['apiVersion']}"
            hint = f"write apiVersion: {' or '.join(elsewhere)}" if elsewhere else ""
            yield finding_of(API_VERSION, Hit(manifest, "apiVersion", message, hint), facts)
        else:
            message = f"{body['kind']} of {body['apiVersion']} is not Kubernetes' own, and was not checked"
            yield finding_of(NO_SCHEMA, Hit(manifest, "kind", message), facts)


def _unrendered(error: BerthError, profile: str, environment: str | None) -> Iterator[Finding]:
    for problem in error.problems:
        yield replace(
            Finding(RENDER.id, RENDER.severity, None, "", problem.what, problem.hint or RENDER.fix, Position("")),
            position=_position(problem.where),
            profile=profile,
            environments=(environment,),
        )


def _position(where: str) -> Position:
    """The position at the beginning of what a problem says of its place: "file:line:column ..."."""
    found = re.match(r"(?P<file>[^:\s][^:]*)(?::(?P<line>\d+))?(?::(?P<column>\d+))?", where)
    if not found:
        return Position("")
    return Position(found["file"].strip(), int(found["line"] or 0), int(found["column"] or 0))
