"""The task lint."""

from __future__ import annotations

import json

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, one_of


@berth_task(
    options.PROFILE,
    Option("env", "only this environment (default: each, and none)"),
    Option("kubernetes", "minor version of Kubernetes to check against", "1.36"),
    Option("output", "text, json (one object a line) or sarif", "text"),
    Option("strict", "fail on warnings, too", False),
    Option("no-schemas", "do without Kubernetes' schemas", False),
)
def lint(ctx: Context, flags: Flags) -> int | None:
    """Check profiles in every environment, without a cluster: schemas, cross-object rules, policy."""
    one_of("output", flags.output, ("text", "json", "sarif"))
    from berth import __version__
    from berth.actions.lint import lint as run
    from berth.core.lint.catalogue import RULES
    from berth.core.lint.model import parse_version
    from berth.library import open_library

    report = run(
        open_library(),
        flags.profile,
        flags.env,
        parse_version(flags.kubernetes),
        with_schemas=not flags.no_schemas,
    )
    if flags.output == "sarif":
        from berth.output.sarif import as_sarif

        print(json.dumps(as_sarif(report.findings, report.waived, RULES, __version__), indent=2))
    else:
        from berth.output.findings import as_json, as_text

        show = as_json if flags.output == "json" else as_text
        for line in show(report, strict=flags.strict):
            print(line)
    return report.exit_code(strict=flags.strict)
