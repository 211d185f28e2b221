"""From the site file to releases on targets, rendered, in an order in which they can come up; nothing is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from berth.actions.prepare import Request, prepare, raise_inputs
from berth.core.errors import InputError, Problem, did_you_mean
from berth.core.order import layers
from berth.core.profile import Layer
from berth.core.render import Release
from berth.core.secretvalues import Reading
from berth.core.site import Site, SiteRelease, read_site
from berth.library import Library, find_project, read_text, shown

#: The name of the site file at the root of a project.
SITE_FILE = "site.yaml"

#: Namespace and name of a release.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Placed:
    """A release on a target: "" is the one of the run.

    ``needs`` are those on the same target that come first; ``before`` are these, and all that they need in turn.
    """

    target: str
    release: Release
    needs: tuple[Key, ...] = ()
    before: tuple[Release, ...] = field(default=(), repr=False)

    @property
    def key(self) -> Key:
        """What the release is called on its target."""
        return self.release.namespace, self.release.name


def find_site(named: str | None = None) -> Path | None:
    """The site file: the named one, else that of the project around the current directory, if it has one."""
    if named:
        return Path(named)
    project = find_project()
    path = project / SITE_FILE if project else None
    return path if path is not None and path.is_file() else None


def load_site(path: Path) -> Site:
    """The site of a file.

    Raises:
        InputError: it cannot be read, or with every problem in it.
    """
    return read_site(read_text(path, InputError), shown(path))


def placed(
    library: Library,
    site: Site,
    limit: Sequence[str] = (),
    only: Sequence[str] = (),
    reading: Reading | None = None,
) -> tuple[Placed, ...]:
    """The releases of a site, target by target in their order, each after what it needs.

    ``limit`` and ``only`` are as in `limited`, ``reading`` as in `prepare`. What a profile requires and the site does
    not have is added beside the release whose profile it is.

    Raises:
        InputError: see `limited`; or with the problems of every release.
    """
    chosen, targets = limited(site, limit, only)
    found: list[Placed] = []
    errors: list[InputError] = []
    made: dict[object, tuple[Release, ...]] = {}
    for target in targets:
        there = [release for release in site.releases if target in (release.targets or ("",))]
        values = site.targets[target].layers if target else ()
        # Clusters that are alike are rendered once.
        alike = (tuple(map(id, there)), tuple(map(id, values)))
        try:
            if alike not in made:
                made[alike] = prepare(library, [_request(site, release, values) for release in there], reading)
            found += _in_order(target, made[alike], there, {release.key for release in there if release in chosen})
        except InputError as error:
            errors.append(error)
    raise_inputs(errors)
    return tuple(found)


def limited(site: Site, limit: Sequence[str] = (), only: Sequence[str] = ()) -> tuple[list[SiteRelease], list[str]]:
    """The releases that are meant, and the targets in their order; "" stands for the target of the run.

    ``limit`` names releases (NAME or NAMESPACE/NAME), targets or groups, ``only`` targets or groups: these releases on
    these targets. With neither, the targets that have no release are there too: some may have left the file.

    Raises:
        InputError: a name is not there or means two things, or no release is left.
    """
    places = {*site.targets, *site.groups}
    named = {word: [r for r in site.releases if word in (r.name, f"{r.namespace}/{r.name}")] for word in limit}
    unknown = [word for word, releases in named.items() if not releases and word not in places]
    if unknown:
        known = [*places, *(release.name for release in site.releases)]
        raise InputError(
            Problem(f"the site has no release, target or group {word!r}", site.file, hint=did_you_mean(word, known))
            for word in unknown
        )
    twofold = [word for word, releases in named.items() if releases and word in places]
    if twofold:
        raise InputError(
            Problem(
                f"--limit {word} may be a release or a target of the site",
                site.file,
                hint=f"--limit {named[word][0].namespace}/{word}, or --target {word}",
            )
            for word in twofold
        )
    chosen = [release for releases in named.values() for release in releases] or list(site.releases)
    meant = {"", *site.targets}
    for words in ([word for word, releases in named.items() if not releases], only):
        meant &= set(site.targets_of(words)) if words else meant
    used = {target for release in chosen for target in release.targets or ("",)}
    if limit or only:
        meant &= used
        chosen = [release for release in chosen if meant & set(release.targets or ("",))]
        if not chosen:
            raise InputError("no release of the site is both of what --limit and --target say", where=site.file)
    elif "" not in used:
        meant.discard("")
    by_order = sorted(site.targets.values(), key=lambda target: target.order)
    return chosen, [name for name in ("", *(target.name for target in by_order)) if name in meant]


def _request(site: Site, release: SiteRelease, below: tuple[Layer, ...]) -> Request:
    home = Path(site.file).parent
    return Request(
        release.profile,
        release.name,
        release.namespace,
        release.environment,
        tuple(str(home / name) for name in release.value_files),
        below=below,
        last=(release.values,) if release.values.data else (),
        site=site.name,
        where=str(release.position),
    )


def _in_order(target: str, releases: Sequence[Release], asked: Sequence[SiteRelease], chosen: set[Key]) -> list[Placed]:
    """Those that are chosen, and what their profiles require beside the site, each after what it needs."""
    needs: dict[Key, list[Key]] = {
        (one.namespace, one.name): [(one.namespace, required) for required in one.profile.requires] for one in releases
    }
    for one in asked:
        needs[one.key] = list(dict.fromkeys([*one.needs, *needs[one.key]]))
    by_key = {(one.namespace, one.name): one for one in releases}
    ordered = [key for layer in layers(needs, "/".join, "releases") for key in layer]
    of_site, kept = {one.key for one in asked}, set(chosen)
    for key in reversed(ordered):
        if key in kept:
            kept.update(need for need in needs[key] if need not in of_site)
    before: dict[Key, dict[Key, None]] = {}
    for key in ordered:
        before[key] = {one: None for need in needs[key] for one in (*before[need], need)}
    return [
        Placed(target, by_key[key], tuple(needs[key]), tuple(by_key[one] for one in before[key]))
        for key in ordered
        if key in kept
    ]
