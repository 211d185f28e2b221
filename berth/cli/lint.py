"""The task lint."""

from __future__ import annotations

import json
from pathlib import Path

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, one_of
from berth.core.errors import InputError


@berth_task(
    options.PROFILE,
    Option("site", "the releases of this site file, with their values, in place of profiles"),
    Option("env", "only this environment (default: each, and none)"),
    Option("kubernetes", "minor version of Kubernetes to check against", "1.36"),
    Option("output", "text, json (one object a line) or sarif", "text"),
    Option("strict", "fail on warnings, too", False),
    Option("no-schemas", "do without Kubernetes' schemas", False),
)
def lint(ctx: Context, flags: Flags) -> int | None:
    """Check profiles in every environment, or a site, without a cluster: schemas, cross-object rules, policy."""
    one_of("output", flags.output, ("text", "json", "sarif"))
    if flags.site and (flags.profile or flags.env):
        raise InputError("--site says which profiles, in which environment", hint="leave --profile and --env away")
    from berth import __version__
    from berth.actions.lint import lint as run
    from berth.actions.lint import lint_releases
    from berth.actions.sitefile import load_site, placed
    from berth.core.lint.catalogue import RULES
    from berth.core.lint.model import parse_version
    from berth.core.secretvalues import Unread
    from berth.library import open_library

    version, with_schemas = parse_version(flags.kubernetes), not flags.no_schemas
    if flags.site:
        releases = placed(open_library(), load_site(Path(flags.site)), reading=Unread())
        report = lint_releases([(one.release, one.before) for one in releases], version, with_schemas=with_schemas)
    else:
        report = run(open_library(), flags.profile, flags.env, version, with_schemas=with_schemas)
    if flags.output == "sarif":
        from berth.output.sarif import as_sarif

        print(json.dumps(as_sarif(report.findings, report.waived, RULES, __version__), indent=2))
    else:
        from berth.output.findings import as_json, as_text

        show = as_json if flags.output == "json" else as_text
        for line in show(report, strict=flags.strict):
            print(line)
    return report.exit_code(strict=flags.strict)
