"""profiles, profiles.show and profiles.new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, one_of, setting
from berth.core.errors import ExitCode, InputError

if TYPE_CHECKING:
    from berth.actions.profiles import Shown

_PROFILE = Option("profile", "profile to show")


@berth_task(options.TEXT_OR_JSON, name="list")
def list_(ctx: Context, flags: Flags) -> int | None:
    """List the profiles that can be installed, the project's and the built-in ones."""
    one_of("output", flags.output, ("text", "json"))
    from berth.actions.profiles import listed
    from berth.core.errors import ProfileError
    from berth.library import open_library

    found = listed(open_library())
    if flags.output == "json":
        print(json.dumps([entry.to_json() for entry in found], indent=2, ensure_ascii=False))
    else:
        rows = [("NAME", "VERSION", "SOURCE", "ENVIRONMENTS", "REQUIRES", "DESCRIPTION")]
        for entry in found:
            profile = entry.profile
            if profile is None:
                rows.append((entry.name, "-", "-", "-", "-", "broken, see below"))
            else:
                names = (" ".join(profile.environments) or "-", " ".join(profile.requires) or "-")
                rows.append((entry.name, profile.version, profile.origin, *names, profile.description))
        print("\n".join(aligned(rows)))
    broken = [problem for entry in found for problem in entry.problems]
    if broken:
        raise ProfileError(broken)
    return ExitCode.DONE


@berth_task(
    _PROFILE,
    options.ENV,
    options.VALUES,
    options.SET,
    Option("output", "text, json, or schema: the JSON Schema of the values, for editors", "text"),
)
def show(ctx: Context, flags: Flags) -> int | None:
    """Show every value of a profile: what it is, what it means, its default, and who set it where."""
    one_of("output", flags.output, ("text", "json", "schema"))
    if not flags.profile:
        raise InputError("which profile?", hint="--profile NAME; `invoke profiles` lists them")
    from berth.actions.prepare import Request, opened
    from berth.actions.profiles import editor_schema
    from berth.actions.profiles import show as run
    from berth.library import open_library

    library = open_library()
    if flags.output == "schema":
        profile, _ = opened(library, library.load(flags.profile))
        print(json.dumps(editor_schema(profile), indent=2, ensure_ascii=False))
        return ExitCode.DONE
    environment = setting(ctx, "env", flags.env)
    request = Request(flags.profile, environment=environment, value_files=tuple(flags.values), sets=tuple(flags.set))
    profile, entries = run(library, request)
    if flags.output == "json":
        head = {"profile": profile.name, "version": profile.version, "environment": environment}
        if profile.chart:
            head["chart"] = str(profile.chart)
        print(json.dumps({**head, "values": [entry.to_json() for entry in entries]}, indent=2, ensure_ascii=False))
        return ExitCode.DONE
    print(f"{profile.name} {profile.version}: {profile.description}")
    if profile.chart:
        print(f"chart: {profile.chart}" + (f", without {', '.join(profile.chart.skip)}" if profile.chart.skip else ""))
    print(f"environment: {environment or 'none'} (there are: {', '.join(profile.environments) or 'none'})\n")
    print("\n".join(described(entries)))
    return ExitCode.DONE


@berth_task(
    Option("name", "name of the new profile"),
    Option("dir", "root of the project (default: the one around the current directory)"),
)
def new(ctx: Context, flags: Flags) -> int | None:
    """Write a new profile with its templates; it renders and passes lint at once."""
    if not flags.name:
        raise InputError("which name?", hint="--name redis")
    from berth.actions.profiles import create
    from berth.library import open_library, shown

    directory = Path(flags.dir) if flags.dir else None
    for path in create(open_library(directory), flags.name, directory):
        print(f"wrote {shown(path)}")
    print(f"next: invoke render --profile {flags.name}, then invoke lint --profile {flags.name}")
    return ExitCode.DONE


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns under one another; the last column is as long as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def described(entries: Sequence[Shown]) -> list[str]:
    """Values for people: path, value and source in columns, then description and default below."""
    from berth.actions.profiles import compact

    rows = [("VALUE", "", "SET BY"), *((entry.path, compact(entry.value), entry.source) for entry in entries)]
    lines = aligned(rows)
    made = [lines[0]]
    for entry, line in zip(entries, lines[1:], strict=True):
        made.append(line)
        said = f"{entry.description or 'no description'} ({entry.expects})"
        if entry.value != entry.default:
            said += f"; default {compact(entry.default)}"
        made.append(f"    {said}")
    return made


profiles = Collection("profiles")
profiles.add_task(list_, default=True)
profiles.add_task(show)
profiles.add_task(new)
