"""drain-check: whether nodes may be drained."""

from __future__ import annotations

import json
from contextlib import closing

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, one_of
from berth.cli.status import library_operations, selection_of
from berth.core.errors import ExitCode


@berth_task(
    options.PROFILE,
    options.NAME,
    options.NAMESPACE,
    Option("all-namespaces", "releases of every namespace", False),
    Option("node", "only this node; may be given several times (default: each that holds their pods)", many=True),
    *options.TARGET,
    options.TEXT_OR_JSON,
    Option("no-operations", "do not run what the profile declares in the pods", False),
)
def drain_check(ctx: Context, flags: Flags) -> int | None:
    """Say what draining a node would do: evictions that budgets refuse, lost quorums, pods that cannot come back.

    Each node is looked at by itself, and nothing is written. Exit code 0 when all are safe to drain, else 1.
    """
    one_of("output", flags.output, ("text", "json"))
    from berth.actions.drain import drain_check as look
    from berth.cli import target as targets
    from berth.output import drain as shown

    target = targets.choose(ctx, flags)
    selection = selection_of(ctx, flags, target.namespace)
    operations = None if flags.no_operations else library_operations()
    with closing(target.connect()) as kube:
        found = look(kube, selection, tuple(dict.fromkeys(flags.node)), operations)
    if flags.output == "json":
        print(json.dumps({"nodes": [shown.as_json(one) for one in found.nodes], "notes": list(found.notes)}))
    else:
        print(f"target: {target.description}")
        shown_lines = [line for one in found.nodes for line in shown.node_lines(one)]
        shown_lines += [f"note: {note}" for note in found.notes]
        none = f"no releases in {selection.namespace or 'any namespace'}"
        print("\n".join([*shown_lines, shown.total(found.nodes) if found.releases else none]))
    return ExitCode.DONE if all(one.safe for one in found.nodes) else ExitCode.FAILED
