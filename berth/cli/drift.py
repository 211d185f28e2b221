"""drift: what somebody has changed, and how it is taken back."""

from __future__ import annotations

import json
from contextlib import closing

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, one_of
from berth.cli.status import selection_of
from berth.core.errors import ExitCode


@berth_task(
    options.PROFILE,
    options.NAME,
    options.NAMESPACE,
    Option("all-namespaces", "releases of every namespace", False),
    *options.TARGET,
    options.TEXT_OR_JSON,
    Option("exit-code", f"exit with {ExitCode.CHANGES:d} when there is drift", False),
)
def drift(ctx: Context, flags: Flags) -> int | None:
    """Name each field of releases that somebody else has changed, who it was, and what takes it back.

    Nothing is written. Exit code 0; with --exit-code 5 where there is drift.
    """
    one_of("output", flags.output, ("text", "json"))
    from berth.actions.drift import find_drift
    from berth.cli import target as targets
    from berth.output import drift as shown

    target = targets.choose(ctx, flags)
    where = [
        word for flag in ("context", "kubeconfig") if (value := getattr(flags, flag)) for word in (f"--{flag}", value)
    ]
    selection = selection_of(ctx, flags, target.namespace)
    with closing(target.connect()) as kube:
        found = find_drift(kube, selection)
    if flags.output == "json":
        releases = [shown.as_json(one.record, one.fields, where) for one in found.releases]
        print(json.dumps({"releases": releases, "notes": list(found.notes)}))
    else:
        print(f"target: {target.description}")
        for one in found.releases:
            print("\n".join(shown.release_lines(one.record, one.fields, where)))
        print("\n".join(f"note: {note}" for note in found.notes), end="\n" if found.notes else "")
        none = f"no releases in {selection.namespace or 'any namespace'}"
        print(shown.total([one.fields for one in found.releases]) if found.releases else none)
    return ExitCode.CHANGES if flags.exit_code and any(one.fields for one in found.releases) else ExitCode.DONE
