"""The task scale."""

from __future__ import annotations

import json

from invoke.context import Context

from berth.cli import options, stage
from berth.cli.common import Flags, Option, berth_task
from berth.cli.lifecycle import follow, patience_of
from berth.core.errors import ExitCode, InputError


@berth_task(
    *options.ONE_RELEASE,
    Option("replicas", "how many pods it shall have; 0 stops them all and keeps their claims"),
    Option(
        "force", "also where that is unwise: below a quorum, past a disruption budget, past pods that do not run", False
    ),
    Option(
        "discard-claims",
        "claim of an earlier pod to delete, with what is in it, before a new pod takes it; may be given several times",
        many=True,
    ),
    options.FORCE_CONFLICTS,
    options.EVENTS,
    options.TIMEOUT,
    options.PATIENCE,
    Option("check", "only show the steps, the ledger, and what would change", False),
)
def scale(ctx: Context, flags: Flags) -> int | None:
    """Give a release another number of pods, step by step where its profile asks for it.

    Its recorded values stay. Claims of pods that go are kept; a new pod takes again the claim that its ordinal had. A
    run that was stopped is taken up by running it again.
    """
    replicas = _replicas(flags.replicas)
    from berth.actions.applying import Options
    from berth.actions.plan import plan_all, plan_json, plan_lines
    from berth.actions.scale import find_scaling
    from berth.actions.up import up
    from berth.cli.target import one_release
    from berth.core.events import Notice, TargetChosen
    from berth.core.scaling import Wishes
    from berth.library import open_library
    from berth.output import printer

    shown, wait = printer(flags.output), patience_of(ctx, flags)
    wishes = Wishes(flags.force, tuple(flags.discard_claims))
    with one_release(ctx, flags) as (kube, record, target):
        found = find_scaling(kube, open_library(), record, replicas, wishes)
        if wishes.discard and found.settled:
            raise InputError("no pod is added, so that no claim is discarded", hint="leave --discard-claims out")
        with shown:
            shown.show(TargetChosen(target))
            if found.settled:
                name = found.live["metadata"]["name"]
                shown.show(Notice(f"StatefulSet/{name} has {replicas} pods already; nothing to do"))
                return ExitCode.DONE
            if found.ledger.claims:
                shown.show(found.ledger)
            if flags.check:
                for planned in plan_all(kube, [found.release], force=flags.force_conflicts, wishes=wishes):
                    text = json.dumps(plan_json(planned)) if flags.output == "json" else "\n".join(plan_lines(planned))
                    print(text)
                return ExitCode.DONE
            chosen = Options(wait, flags.force_conflicts, scaling=wishes)
            follow(up(kube, [found.release], chosen, stage.clock(), action="scale"), shown)
            if flags.output == "text":
                shown.show(Notice(f"a later up sets what its own values say: put `replicas: {replicas}` there"))
    return ExitCode.DONE


def _replicas(written: str | None) -> int:
    """The number of pods.

    Raises:
        InputError: it is none.
    """
    if written is None:
        raise InputError("how many pods?", hint="--replicas 3")
    if not written.isascii() or not written.isdecimal() or len(written) > 9:
        raise InputError(f"--replicas {written} is no number of pods", hint="a whole number, 0 or more")
    return int(written)
