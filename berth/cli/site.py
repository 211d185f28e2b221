"""The task site, and how the other tasks get at a site: which one, what of it, and its clusters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from berth.cli import options, stage
from berth.cli.common import Flags, Option, berth_task, one_of, setting
from berth.core.errors import InputError, Problem, TargetError

if TYPE_CHECKING:
    from berth.actions.site import Cluster
    from berth.actions.sitefile import Placed
    from berth.cluster.target import Target
    from berth.core.site import Site, SiteRelease

#: What the site file says, so that it cannot be said beside it.
_OF_THE_FILE = ("name", "namespace", "env", "values", "set")
#: What only makes sense with a site.
_OF_SITES = ("limit", "target", "prune", "soak", "max_failed", "parallel")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A site, and what of it is meant: by --limit and --target, none for everything."""

    site: Site
    limit: tuple[str, ...]
    only: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether everything is meant."""
        return not self.limit and not self.only

    def limited(self) -> tuple[list[SiteRelease], list[str]]:
        """Its releases, as the file has them, and the names of their targets; see `sitefile.limited`."""
        from berth.actions.sitefile import limited

        return limited(self.site, self.limit, self.only)

    def placed(self, *, secrets: bool = True) -> tuple[Placed, ...]:
        """Its releases, rendered; without ``secrets`` none is read, for what shows and needs none.

        Raises:
            InputError: with the problems of all.
        """
        from berth.actions.sitefile import placed
        from berth.core.secretvalues import Unread
        from berth.library import open_library

        return placed(open_library(), self.site, self.limit, self.only, None if secrets else Unread())


def meant(flags: Flags, besides: Sequence[str] = ()) -> Chosen | None:
    """The site that the options mean: the named one, or the project's where neither profile nor release is named.

    ``besides`` are more options that mean something else than the site.

    Raises:
        InputError: the site cannot be read, or options contradict one another.
    """
    from berth.actions.sitefile import find_site, load_site

    given = [word for word in ("profile", *_OF_THE_FILE, *besides) if getattr(flags, word, None)]
    if given and flags.site is not None:
        word = given[0].replace("_", "-")
        raise InputError(f"--site and --{word} exclude one another", hint="say it in the site file, or use --profile")
    path = None if given else find_site(flags.site)
    if path is not None:
        return Chosen(load_site(path), tuple(flags.limit), tuple(flags.target))
    for word in _OF_SITES:
        if getattr(flags, word, None):
            raise InputError(
                f"--{word.replace('_', '-')} is for a site, and none is meant here",
                hint="write a site.yaml, or name one with --site; and leave --profile and --name away",
            )
    return None


@contextmanager
def clusters(ctx: Context, flags: Flags, site: Site, names: Sequence[str]) -> Iterator[tuple[list[Cluster], list[str]]]:
    """Connections to targets of a site ("" is the one that --context names), and each target in words.

    Raises:
        InputError: --context is given, and every release names its target; or several are rehearsed on one cluster; or
            two targets are one cluster.
        TargetError: contexts that do not exist, all of them at once; nothing was changed anywhere.
    """
    from berth.actions.site import Cluster, require_different
    from berth.cli import target as targets

    if flags.context and "" not in names:
        raise InputError("--context is given, and every release names its target", hint="--target chooses among those")
    if stage.rehearsed() and len(names) > 1:
        raise InputError("a rehearsal has one cluster, and this is about several", hint="--target NAME chooses one")
    files = {name: _kubeconfig(site, name) or setting(ctx, "kubeconfig", flags.kubeconfig) for name in names}
    found: dict[str, Target] = {}
    errors: list[TargetError] = []
    for name in names:
        try:
            if name and not stage.rehearsed():
                found[name] = targets.named(site.targets[name].context, files[name])
            else:
                found[name] = targets.choose(ctx, flags)
        except TargetError as error:
            errors.append(_of_target(error, site, name))
    if errors:
        rest = ", ".join(filter(None, found))
        untouched = f"nothing was changed, also not on {rest}" if rest else "nothing was changed"
        raise TargetError([*(problem for error in errors for problem in error.problems), Problem(untouched)])
    with ExitStack() as stack:
        made = [
            Cluster(
                name,
                target.context,
                stack.enter_context(closing(target.connect())),
                site.targets[name].order if name else 0,
                files[name] or "",
            )
            for name, target in found.items()
        ]
        require_different(made)
        yield made, [f"{name}: {one.description}" if name else one.description for name, one in found.items()]


def _kubeconfig(site: Site, name: str) -> str | None:
    """The kubeconfig that the file names for a target, from the file's directory on."""
    told = site.targets[name].kubeconfig if name else None
    return str(Path(site.file).parent / Path(told).expanduser()) if told else None


def _of_target(error: TargetError, site: Site, name: str) -> TargetError:
    """The error, with the target of the site that it is about."""
    if not name:
        return error
    said = f"target {name} is that context ({site.targets[name].position})"
    return type(error)(replace(one, why=f"{one.why}; {said}" if one.why else said) for one in error.problems)


@berth_task(*options.SITE, Option("output", "text or json", "text"))
def show(ctx: Context, flags: Flags) -> int | None:
    """Show what the site file says: targets in their order, and their releases in the order in which they come up."""
    one_of("output", flags.output, ("text", "json"))
    wanted = _required(flags)
    releases = wanted.placed(secrets=False)
    if flags.output == "json":
        for one in releases:
            body: dict[str, object] = {"target": one.target, "namespace": one.key[0], "release": one.key[1]}
            body |= {"profile": one.release.profile.name, "needs": ["/".join(need) for need in one.needs]}
            print(json.dumps({**body, "environment": one.release.environment, "objects": len(one.release.manifests)}))
        return None
    print(f"site {wanted.site.name} ({wanted.site.file})")
    for name in dict.fromkeys(one.target for one in releases):
        target = wanted.site.targets.get(name)
        print(f"target {name}: context {target.context}, order {target.order}" if target else "target of the run")
        rows = [
            (
                "/".join(one.key),
                one.release.profile.name,
                one.release.environment or "-",
                ", ".join(map("/".join, one.needs)),
            )
            for one in releases
            if one.target == name
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False))
            print(f"  {cells}  {f'needs {row[3]}' if row[3] else ''}".rstrip())
    return None


@berth_task()
def schema(ctx: Context, flags: Flags) -> int | None:
    """Print the JSON Schema of site files, by which editors complete and check them."""
    from berth.core.site import SITE_SCHEMA

    print(json.dumps(SITE_SCHEMA, indent=2))
    return None


def _required(flags: Flags) -> Chosen:
    wanted = meant(flags)
    if wanted is None:
        raise InputError("there is no site here", hint="write a site.yaml, or name one with --site")
    return wanted


site = Collection("site", schema)
site.add_task(show, default=True)
