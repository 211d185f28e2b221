"""The task render."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, note, one_of, setting
from berth.cli.site import meant
from berth.core.errors import InputError

if TYPE_CHECKING:
    from berth.actions.prepare import Request


@berth_task(
    *options.RELEASE,
    *options.SITE,
    Option("output-dir", "directory for one file an object, instead of standard output"),
    Option("output", "yaml or json", "yaml"),
)
def render(ctx: Context, flags: Flags) -> int | None:
    """Print the manifests of releases in apply order, without a cluster; secret text is hidden.

    Without --profile: of all releases of the project's site, target by target.
    """
    one_of("output", flags.output, ("yaml", "json"))
    if flags.output_dir and flags.output == "json":
        raise InputError("--output-dir writes YAML", hint="leave --output away")
    from berth.actions.prepare import prepare
    from berth.actions.render import as_json, as_yaml, write
    from berth.library import open_library

    wanted = meant(flags)
    if wanted and flags.output_dir:
        raise InputError("--output-dir is for a profile", hint="`invoke export --format dir` writes a site")
    if wanted:
        releases = tuple(one.release for one in wanted.placed())
    else:
        releases = prepare(open_library(), requests(ctx, flags))
    if flags.output_dir:
        files = write(releases, Path(flags.output_dir))
        note(f"{len(files)} file{'s' if len(files) != 1 else ''} in {flags.output_dir}")
    elif flags.output == "json":
        print(as_json(releases))
    else:
        print(as_yaml(releases), end="")
    return None


def requests(ctx: Context, flags: Flags, namespace: str = "") -> list[Request]:
    """What the options of a release ask for; ``namespace`` is the target's own.

    Raises:
        InputError: no profile, or one name for several.
    """
    from berth.actions.prepare import Request

    if not flags.profile:
        raise InputError("which profile?", hint="--profile NAME; `invoke profiles` lists them; or write a site.yaml")
    if flags.name and len(flags.profile) > 1:
        raise InputError("--name is for one profile", hint="run once for each")
    return [
        Request(
            profile=profile,
            name=flags.name,
            namespace=setting(ctx, "namespace", flags.namespace) or namespace or "default",
            environment=setting(ctx, "env", flags.env),
            value_files=tuple(flags.values),
            sets=tuple(flags.set),
        )
        for profile in flags.profile
    ]
