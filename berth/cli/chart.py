"""The task chart."""

from __future__ import annotations

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, note
from berth.core.errors import ExitCode


@berth_task(
    options.PROFILE,
    Option("all", "every profile of the project, or every built-in one", False),
    Option("env", "environment whose values become the chart's defaults (default: a values file for each)"),
    Option("output-dir", "directory for a directory per chart (default: charts in the project)"),
    Option("check", "write nothing; exit with 5 where the charts there are not what would be written", False),
)
def chart(ctx: Context, flags: Flags) -> int | None:
    """Write a Helm chart for each profile, without a cluster."""
    from berth.actions.chart import charts_of, chosen, directory_of, stale, write
    from berth.library import open_library, shown

    library = open_library()
    # Not the environment of invoke.yaml: a chart has a values file for each.
    charts = charts_of(library, chosen(library, flags.profile, flags.all), flags.env)
    directory = directory_of(flags.output_dir)
    if flags.check:
        found = stale(charts, directory)
        for line in found:
            print(line)
        if found:
            note("invoke chart writes them anew, with the same options")
        return ExitCode.CHANGES if found else None
    write(charts, directory)
    for made in charts:
        fixed = ", ".join(part.path for part in made.fixed)
        print(
            f"{shown(directory / made.name)}: {len(made.files)} files, "
            + (f"fixed: {fixed}" if fixed else "every value can be set")
        )
    return None
