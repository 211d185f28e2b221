"""`export`: releases as files for those that apply them: kubectl, kustomize, Argo CD or Flux. No cluster is asked."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

from berth.actions.files import Difference, Listing, differences, write_files
from berth.actions.prepare import Request, prepare
from berth.actions.secrets import Untold
from berth.actions.sitefile import placed
from berth.core.export.argocd import Argo, argocd
from berth.core.export.flux import Flux, flux
from berth.core.export.model import Exported, Part
from berth.core.export.plain import kustomize, plain
from berth.core.site import Site
from berth.library import Library

#: Lists the files of an export in their directory.
LISTING = ".berth-export"
#: Lines of one file's difference that are shown.
_LINES = 12


def asked(library: Library, requests: Sequence[Request]) -> tuple[Part, ...]:
    """The releases of requests, and what they require, on the run's own target.

    Raises:
        InputError: see `prepare`.
    """
    return tuple(
        Part("", release, tuple((release.namespace, name) for name in release.profile.requires))
        for release in prepare(library, requests, Untold())
    )


def of_site(library: Library, site: Site, limit: Sequence[str], only: Sequence[str]) -> tuple[Part, ...]:
    """The releases of a site, on their targets; ``limit`` and ``only`` as in `sitefile.limited`.

    Raises:
        InputError: see `sitefile.placed`.
    """
    found = placed(library, site, limit, only, Untold())
    return tuple(Part(one.target, one.release, one.needs) for one in found)


def files_of(releases: Sequence[Exported], form: str, engine: Argo | Flux | None) -> dict[str, str]:
    """The text of each file by its path, for one of the formats: "dir", "kustomize", or that of an engine.

    Raises:
        InputError: two releases would have the same name in the engine.
    """
    if isinstance(engine, Argo):
        return argocd(releases, engine)
    if isinstance(engine, Flux):
        return flux(releases, engine)
    return kustomize(releases) if form == "kustomize" else plain(releases)


def write(files: dict[str, str], directory: Path, form: str) -> list[Path]:
    """Replace what the last export of this format left in the directory.

    Raises:
        InputError: the directory holds files of others, or of another format.
        LocalError: it cannot be written.
    """
    return write_files(directory, files, _listing(form))


def check(files: dict[str, str], directory: Path, form: str) -> list[Difference]:
    """What `write` would change; nothing is written.

    Raises:
        InputError: see `write`.
        LocalError: it cannot be read.
    """
    return differences(directory, files, _listing(form))


def _listing(form: str) -> Listing:
    return Listing(LISTING, f"berth export --format {form}")


def described(difference: Difference) -> Iterator[str]:
    """The lines that tell of a file: what is wrong with it, and the first lines that differ."""
    if difference.old is None or difference.new is None:
        yield f"{'missing' if difference.old is None else 'left over':<9}  {difference.name}"
        return
    yield f"{'changed':<9}  {difference.name}"
    found = difflib.unified_diff(difference.old.splitlines(), difference.new.splitlines(), n=0, lineterm="")
    lines = [line for line in list(found)[2:] if not line.startswith("@@")]
    for line in lines[:_LINES]:
        yield "  " + "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)[:160]
    if len(lines) > _LINES:
        yield f"  ... and {len(lines) - _LINES} more lines"
