"""history."""

from __future__ import annotations

import json

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, count_of, one_of


@berth_task(
    *options.ONE_RELEASE,
    Option("revision", "show this one with all its values"),
    options.TEXT_OR_JSON,
)
def history(ctx: Context, flags: Flags) -> int | None:
    """Show what was done to a release: when, by whom, with which values and result; the last ten runs.

    Secret values are hidden. `rollback --to REVISION` brings one back.
    """
    one_of("output", flags.output, ("text", "json"))
    number = count_of("revision", flags.revision)
    from berth.actions import history as past
    from berth.cli.profiles import aligned
    from berth.cli.target import one_release
    from berth.core.yamltext import dump

    with one_release(ctx, flags) as (_, record, target):
        entries = past.history(record) if number is None else (past.one(record, number),)
    if flags.output == "json":
        head = {"release": record.name, "namespace": record.namespace, "status": record.status}
        print(json.dumps({**head, "history": [past.as_json(entry) for entry in entries]}))
        return None
    print(f"target: {target}")
    print(f"release {record.name} in {record.namespace} (profile {record.profile}), {record.status}")
    print("\n".join(f"  {line}" for line in aligned(past.rows(entries))))
    if number is not None:
        print(dump(entries[0].revision.values), end="")
    return None
