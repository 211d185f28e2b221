"""The task verify."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options, stage
from berth.cli.common import Flags, Option, berth_task, note, one_of
from berth.cli.site import meant
from berth.core.errors import ExitCode, InterruptedRunError

if TYPE_CHECKING:
    from berth.actions.verify import View
    from berth.cluster.kube import Kube
    from berth.cluster.record import ReleaseRecord
    from berth.cluster.waiting import Patience
    from berth.core.events import Event
    from berth.core.verify import Check


@berth_task(
    *options.ONE_RELEASE,
    *options.SITE,
    options.TEXT_OR_JSON,
    Option("disruptive", "delete one pod, the one of the highest ordinal, and see what comes back", False),
    options.TIMEOUT,
)
def verify(ctx: Context, flags: Flags) -> int | None:
    """Prove on a live release what a StatefulSet promises: names, DNS, order, and claims that outlive their pods.

    Reads only, unless --disruptive is given. Exit code 0 when nothing failed, else 1; what is not shown is no failure.
    Without --profile and --name: every release of the project's site.
    """
    one_of("output", flags.output, ("text", "json"))
    from berth.cli.lifecycle import patience_of
    from berth.cli.target import one_release

    patience = patience_of(ctx, flags)
    if wanted := meant(flags):
        from berth.cli import site_runs

        return site_runs.verify(ctx, flags, wanted)
    with one_release(ctx, flags) as (kube, record, target):
        if flags.output == "text":
            print(f"target: {target}", flush=True)
        return prove(flags, patience, kube, record, target)


def prove(flags: Flags, patience: Patience, kube: Kube, record: ReleaseRecord, target: str) -> ExitCode:
    """Prove it of one release, and show what came of it."""
    from berth.actions.verify import verify as look

    try:
        checks = look(
            kube,
            record,
            worked_out,
            disruptive=flags.disruptive,
            patience=patience,
            clock=stage.clock(),
            say=_say if flags.output == "text" else _remark,
        )
    except KeyboardInterrupt:
        stands = "a pod that was deleted comes back by itself" if flags.disruptive else "nothing was changed"
        raise InterruptedRunError(f"interrupted; {stands}") from None
    _show(record, checks, flags.output, target)
    return ExitCode.FAILED if _count(checks)["failed"] else ExitCode.DONE


def worked_out(view: View, name: str, kind: str) -> tuple[str, ...]:
    """The data of a name's records, by the rules of `invoke dns`."""
    from berth.rehearsal.dns import answer

    return tuple(record.data for record in answer(view, name, kind).records)


def _say(event: Event) -> None:
    """What happens meanwhile, for people."""
    from berth.output.plain import lines

    print("\n".join(lines(event)), flush=True)


def _remark(event: Event) -> None:
    """What must be said although standard output is for a machine."""
    from berth.core.events import Notice
    from berth.output.plain import lines

    if isinstance(event, Notice):
        note("\n".join(lines(event)))


def _show(record: ReleaseRecord, checks: Sequence[Check], output: str, target: str) -> None:
    counts = _count(checks)
    if output == "json":
        head = {"target": target, "release": record.name, "namespace": record.namespace, "profile": record.profile}
        told = [
            {"set": one.set_name, "guarantee": one.guarantee, "outcome": one.outcome.value, "evidence": one.evidence}
            for one in checks
        ]
        print(json.dumps({**head, "checks": told, **{word.replace(" ", "_"): n for word, n in counts.items()}}))
        return
    from berth.output.plain import harmless

    print(f"release {record.name} in {record.namespace} (profile {record.profile}, revision {record.revision})")
    width = max(len(one.set_name) for one in checks)
    for one in checks:
        print(f"  {one.set_name:<{width}}  {one.guarantee:<8}  {one.outcome.value:<9}  {harmless(one.evidence)}")
    print("verify: " + ", ".join(f"{number} {word}" for word, number in counts.items()))


def _count(checks: Sequence[Check]) -> dict[str, int]:
    from berth.core.verify import Outcome

    order = (Outcome.PROVED, Outcome.NOT_SHOWN, Outcome.FAILED)
    return {outcome.value: sum(one.outcome is outcome for one in checks) for outcome in order}
