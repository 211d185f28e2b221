"""The task export."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, note, one_of
from berth.cli.render import requests
from berth.cli.site import meant
from berth.core.errors import ExitCode, InputError, Problem

if TYPE_CHECKING:
    from berth.core.export.argocd import Argo
    from berth.core.export.flux import Flux
    from berth.core.export.model import Exported, Part

_FORMATS = ("dir", "kustomize", "argocd", "flux")
#: What a Kustomization of Flux can take its files from.
_SOURCES = ("GitRepository", "OCIRepository", "Bucket")
#: Options that name an object, by attribute.
_NAMES = ("argocd_namespace", "project", "applicationset", "flux_namespace", "source_name")
#: Options that only some formats have, by attribute.
_OF_ENGINES = {
    "repo_url": ("argocd", "flux"),
    "revision": ("argocd", "flux"),
    "path": ("argocd", "flux"),
    "argocd_namespace": ("argocd",),
    "project": ("argocd",),
    "applicationset": ("argocd",),
    "flux_namespace": ("flux",),
    "source_name": ("flux",),
    "source_kind": ("flux",),
}


@berth_task(
    Option("format", f"what to write: {', '.join(_FORMATS)}", "dir"),
    Option("output-dir", "directory to write, which holds nothing else; D/TARGET/NAMESPACE/RELEASE/ has the objects"),
    Option("check", "write nothing; end with 5 where the directory is not what would be written", False),
    *options.RELEASE,
    *options.SITE,
    Option(
        "repo-url", "git repository that the directory is committed to; for argocd, and for flux to write its source"
    ),
    Option("revision", "argocd: branch, tag or commit (default: HEAD); flux: branch, or refs/... (default: main)"),
    Option("path", "where the directory lies in the repository or source (default: --output-dir as it is given)"),
    Option("argocd-namespace", "argocd: namespace of its objects (default: argocd)"),
    Option("project", "argocd: project (default: default)"),
    Option("applicationset", "argocd: write an ApplicationSet of this name for each target, and no Applications"),
    Option("flux-namespace", "flux: namespace of its objects (default: flux-system)"),
    Option("source-name", "flux: name of the source (default: flux-system)"),
    Option("source-kind", f"flux: {', '.join(_SOURCES)} (default: GitRepository)"),
)
def export(ctx: Context, flags: Flags) -> int | None:
    """Write releases as files for kubectl, kustomize, Argo CD or Flux, without a cluster and without Secret values.

    Without --profile: all releases of the project's site.
    """
    one_of("format", flags.format, _FORMATS)
    _check_options(flags)
    engine = _engine(flags)
    from berth.actions import export as exports
    from berth.core.export.model import export as exported

    releases = exported(_parts(ctx, flags))
    files = exports.files_of(releases, flags.format, engine)
    directory = Path(flags.output_dir)
    if flags.check:
        return _compare(files, directory, flags.format)
    written = exports.write(files, directory, flags.format)
    note(f"{len(written)} file{'s' if len(written) != 1 else ''} in {flags.output_dir}")
    _mention_secrets(releases, flags.output_dir)
    return None


def _compare(files: dict[str, str], directory: Path, form: str) -> int:
    from berth.actions.export import check, described

    found = check(files, directory, form)
    for difference in found:
        print("\n".join(described(difference)))
    if not found:
        note(f"{directory} is current: {len(files)} file{'s' if len(files) != 1 else ''}")
        return ExitCode.DONE
    note(f"{directory} is stale: the same command without --check writes it")
    return ExitCode.CHANGES


def _mention_secrets(releases: tuple[Exported, ...], directory: str) -> None:
    for release in releases:
        for secret in release.withheld:
            where = f"{directory.rstrip('/')}/{release.directory}/secrets.md"
            note(f"left out: {secret.ref} ({', '.join(secret.keys)}); {where} says how to make it")


def _parts(ctx: Context, flags: Flags) -> tuple[Part, ...]:
    from berth.actions.export import asked, of_site
    from berth.library import open_library

    wanted, library = meant(flags), open_library()
    if wanted:
        return of_site(library, wanted.site, wanted.limit, wanted.only)
    return asked(library, requests(ctx, flags))


def _check_options(flags: Flags) -> None:
    """Raise for all that is wrong with the options, at once."""
    from berth.core.profile import DNS_LABEL

    problems = []
    if not flags.output_dir:
        problems.append(Problem("--output-dir is missing", hint="name the directory that the export is written to"))
    for attribute, formats in _OF_ENGINES.items():
        if getattr(flags, attribute) is not None and flags.format not in formats:
            what = f"--{attribute.replace('_', '-')} is not for --format {flags.format}"
            problems.append(Problem(what, hint=f"it is for: {', '.join(formats)}"))
    for attribute in _NAMES:
        name = getattr(flags, attribute)
        if name is not None and not DNS_LABEL.fullmatch(name):
            hint = "lower case letters, digits and inner -, at most 63"
            problems.append(Problem(f"--{attribute.replace('_', '-')} {name!r} is no name for it", hint=hint))
    if flags.format == "argocd" and not flags.repo_url:
        why = "an Application says which repository its files are in"
        problems.append(
            Problem("--repo-url is missing", why=why, hint="the URL that Argo CD clones, without a password")
        )
    if flags.repo_url and _has_password(flags.repo_url):
        problems.append(
            Problem("--repo-url has a password in it, which the export would write down", hint="leave it out")
        )
    if flags.source_kind is not None and flags.source_kind not in _SOURCES:
        problems.append(
            Problem(f"--source-kind {flags.source_kind} is not known", hint=f"one of: {', '.join(_SOURCES)}")
        )
    elif flags.format == "flux" and flags.repo_url:
        if flags.source_kind not in (None, "GitRepository"):
            problems.append(Problem(f"--repo-url is for a GitRepository, not for a {flags.source_kind}"))
        if not flags.repo_url.startswith(("https://", "http://", "ssh://")):
            hint = "https://HOST/PATH, or ssh://git@HOST/PATH in place of git@HOST:PATH"
            problems.append(Problem(f"--repo-url {flags.repo_url} is not one that Flux takes", hint=hint))
    if problems:
        raise InputError(problems)


def _has_password(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        raise InputError("--repo-url is no URL", hint="https://HOST/PATH") from None


def _engine(flags: Flags) -> Argo | Flux | None:
    if flags.format not in ("argocd", "flux"):
        return None
    from berth.core.export.argocd import Argo
    from berth.core.export.flux import Flux

    path = _path(flags)
    if flags.format == "argocd":
        return Argo(
            flags.repo_url,
            flags.revision or "HEAD",
            path,
            flags.argocd_namespace or "argocd",
            flags.project or "default",
            flags.applicationset or "",
        )
    return Flux(
        flags.source_name or "flux-system",
        flags.source_kind or "GitRepository",
        path,
        flags.flux_namespace or "flux-system",
        flags.repo_url or "",
        flags.revision or "main",
    )


def _path(flags: Flags) -> str:
    """Where the directory lies in the repository, "" for its root."""
    path = PurePosixPath(Path(flags.output_dir if flags.path is None else flags.path).as_posix())
    if path.is_absolute() or ".." in path.parts:
        if flags.path is None:
            what, hint = f"where in the repository does {flags.output_dir} lie?", "--path deploy, for instance"
        else:
            what, hint = f"--path {flags.path} leads out of the repository", "a path from its root on"
        raise InputError(what, hint=hint)
    return "" if path == PurePosixPath(".") else str(path)
