"""rollout and what belongs to it, and restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from berth.cli import options, stage
from berth.cli.common import Flags, Option, ask_unstick, berth_task, count_of, one_of, ordinals_of
from berth.cli.lifecycle import follow, patience_of
from berth.core.errors import ExitCode, InputError

if TYPE_CHECKING:
    from berth.actions.applying import Options
    from berth.cluster.kube import Kube
    from berth.cluster.record import ReleaseRecord
    from berth.core.events import Event
    from berth.core.render import Release

_RUN = (options.EVENTS, options.TIMEOUT, options.PATIENCE)
_SOAK = Option("soak", "how long all pods must stay ready each time before the next ordinal goes, such as 2m")


@berth_task(
    *options.ONE_RELEASE,
    Option("image", "the image to go to, such as postgres:17.2 (sets the value image)"),
    options.VALUES,
    options.SET,
    Option("canary", "so many ordinals go first, the highest; then one after the other (default: 1)"),
    Option("pause", "stop after the canary; rollout.promote goes on", False),
    _SOAK,
    Option("auto-undo", "where an ordinal does not hold, go back to what was before", False),
    options.FORCE_CONFLICTS,
    options.UNSTICK,
    *_RUN,
    Option("check", "only show what would change", False),
)
def rollout(ctx: Context, flags: Flags) -> int | None:
    """Take a release to another image or other values, ordinal by ordinal, each proved before the next goes.

    Recorded values stay but for what is said here. Where an ordinal does not hold, the rollout is held there. A run
    that was stopped is taken up by running it again.
    """
    if not (flags.image or flags.set or flags.values):
        raise InputError("to what?", hint="--image IMAGE, --set PATH=VALUE or --values FILE")
    canary = count_of("canary", flags.canary)
    soak = _seconds(flags.soak)
    from berth.actions.plan import plan_json, plan_lines
    from berth.actions.prepare import recorded
    from berth.actions.rollout import Wanted, plan_rollout
    from berth.actions.rollout import rollout as run
    from berth.cli.target import one_release
    from berth.core.rollout import image_values
    from berth.library import open_library

    if flags.image:
        image_values("", flags.image)  # A typing error is told before a cluster is asked for anything.
    library = open_library()

    def release_of(record: ReleaseRecord) -> Release:
        changed = image_values(record.values.get("image"), flags.image) if flags.image else {}
        return recorded(library, record, changed, "--image", tuple(flags.values), tuple(flags.set))

    def events(kube: Kube, record: ReleaseRecord, chosen: Options) -> Generator[Event, None, None]:
        release = release_of(record)
        return run(
            kube, library, record, release, Wanted(canary, flags.pause, soak, flags.auto_undo), chosen, stage.clock()
        )

    if not flags.check:
        return _run(ctx, flags, events)
    with one_release(ctx, flags) as (kube, record, target):
        planned, _ = plan_rollout(kube, record, release_of(record), flags.force_conflicts)
    text = "\n".join([f"target: {target}", *plan_lines(planned)])
    print(json.dumps(plan_json(planned)) if flags.output == "json" else text)
    return ExitCode.DONE


@berth_task(
    *options.ONE_RELEASE, Option("by", "how many ordinals go; then it is held again (default: all)"), _SOAK, *_RUN
)
def promote(ctx: Context, flags: Flags) -> int | None:
    """Go on with a rollout that stands still, one ordinal after the other."""
    by, soak = count_of("by", flags.by), _seconds(flags.soak)
    from berth.actions.rollout import promote as run
    from berth.library import open_library

    return _run(
        ctx, flags, lambda kube, record, chosen: run(kube, open_library(), record, by, soak, chosen, stage.clock())
    )


@berth_task(
    *options.ONE_RELEASE,
    Option("to", "revision to go back to (default: the last that came to its end); history lists them"),
    options.FORCE_CONFLICTS,
    options.UNSTICK,
    *_RUN,
)
def undo(ctx: Context, flags: Flags) -> int | None:
    """Take back a rollout, or the last change of a release: only the ordinals that differ are replaced."""
    return _back(ctx, flags, "undo")


@berth_task(
    *options.ONE_RELEASE,
    Option("to", "revision to go back to; history lists them"),
    options.FORCE_CONFLICTS,
    options.UNSTICK,
    *_RUN,
)
def rollback(ctx: Context, flags: Flags) -> int | None:
    """Bring a release back to what a revision of its history was: its manifests and values, not its data.

    Secrets stay as they are, and the number of pods must be that of now.
    """
    if flags.to is None:
        raise InputError("to which revision?", hint="--to REVISION; `invoke history` lists them")
    return _back(ctx, flags, "rollback")


def _back(ctx: Context, flags: Flags, word: str) -> int | None:
    to = count_of("to", flags.to)
    from berth.actions.rollout import go_back
    from berth.library import open_library

    return _run(
        ctx, flags, lambda kube, record, chosen: go_back(kube, open_library(), record, to, chosen, stage.clock(), word)
    )


@berth_task(*options.ONE_RELEASE, options.TEXT_OR_JSON)
def status(ctx: Context, flags: Flags) -> int | None:
    """Show how far a rollout is, which pods are of the newest revision, and why it stands still.

    Exit code 1 where it is held because an ordinal did not hold.
    """
    one_of("output", flags.output, ("text", "json"))
    from berth.actions.rollout_status import as_json, lines, look
    from berth.cli.target import one_release

    with one_release(ctx, flags) as (kube, record, target):
        found = look(kube, record)
    if flags.output == "json":
        print(json.dumps(as_json(found)))
    else:
        print("\n".join([f"target: {target}", *lines(found)]))
    return ExitCode.FAILED if found.broken else ExitCode.DONE


_RESTART = (
    _SOAK,
    Option("force", "also where the release is not whole, or a disruption budget is against it", False),
    *_RUN,
)


@berth_task(*options.ONE_RELEASE, *_RESTART)
def restart_all(ctx: Context, flags: Flags) -> int | None:
    """Make all pods of a release anew as they are, one after the other, each proved before the next goes."""
    return _restart(ctx, flags, ())


@berth_task(
    *options.ONE_RELEASE, Option("ordinal", "the ordinal to restart; may be given several times", many=True), *_RESTART
)
def restart(ctx: Context, flags: Flags) -> int | None:
    """Make the pod of an ordinal anew as it is; its claims stay."""
    if not flags.ordinal:
        raise InputError("which ordinal?", hint="--ordinal K; `invoke rollout.restart` restarts all")
    return _restart(ctx, flags, ordinals_of(flags.ordinal))


def _restart(ctx: Context, flags: Flags, ordinals: tuple[int, ...]) -> int | None:
    soak = _seconds(flags.soak)
    from berth.actions.restart import restart as run
    from berth.library import open_library

    return _run(
        ctx,
        flags,
        lambda kube, record, chosen: run(
            kube, open_library(), record, ordinals, soak, flags.force, chosen, stage.clock()
        ),
    )


def _run(
    ctx: Context, flags: Flags, events: Callable[[Kube, ReleaseRecord, Options], Generator[Event, None, None]]
) -> int | None:
    """Show what happens to the release that the flags name."""
    from berth.actions.applying import Options
    from berth.cli.target import one_release
    from berth.core.events import TargetChosen
    from berth.output import printer

    shown = printer(flags.output)
    force, unstick = getattr(flags, "force_conflicts", False), getattr(flags, "unstick", False)
    asked = ask_unstick(shown, flags.output) if hasattr(flags, "unstick") else None
    chosen = Options(patience_of(ctx, flags), force, unstick=unstick, ask_unstick=asked)
    with one_release(ctx, flags) as (kube, record, target), shown:
        shown.show(TargetChosen(target))
        follow(events(kube, record, chosen), shown)
    return ExitCode.DONE


def _seconds(written: str | None) -> float:
    from berth.core.quantities import parse_duration

    try:
        return parse_duration(written) if written else 0.0
    except InputError as error:
        raise InputError(f"--soak: {error.problems[0].what}", hint=error.problems[0].hint or "--soak 2m") from None


rollouts = Collection("rollout")
rollouts.add_task(rollout, default=True)
rollouts.add_task(promote)
rollouts.add_task(undo)
rollouts.add_task(status)
rollouts.add_task(restart_all, "restart")
