"""plan, up and teardown."""

from __future__ import annotations

import inspect as inspection
import json
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options, stage
from berth.cli.common import Flags, Option, ask, ask_unstick, berth_task, note, on_terminal, one_of, setting
from berth.cli.render import requests
from berth.cli.site import meant
from berth.core.errors import ExitCode, InputError

if TYPE_CHECKING:
    from berth.actions.plan import During
    from berth.cluster.kube import Kube
    from berth.cluster.record import ReleaseRecord
    from berth.cluster.waiting import Patience
    from berth.core.events import Event, Ledger
    from berth.core.render import Release
    from berth.output import Printer

_PLAN = (*options.RELEASE, *options.SITE, *options.TARGET, options.FORCE_CONFLICTS, options.RESIZE)


@berth_task(
    *_PLAN, options.TEXT_OR_JSON, Option("exit-code", f"exit with {ExitCode.CHANGES:d} when there are changes", False)
)
def plan(ctx: Context, flags: Flags) -> int | None:
    """Show what up would change, per object and field; nothing is written.

    Without --profile: of all releases of the project's site.
    """
    return _plan(ctx, flags)


@berth_task(
    *_PLAN,
    options.EVENTS,
    options.TIMEOUT,
    options.PATIENCE,
    options.UNSTICK,
    Option("end-rollout", "also where a rollout has not come to its end: all its ordinals go to these values", False),
    Option("check", "only show what would change: the same as plan", False),
    Option("prune", "of a site: take down the releases that left its file; they are listed, and asked for", False),
    Option("soak", "of a site: how long clusters of one order must stay as they are before the next, such as 5m"),
    Option("max-failed", "of a site: after so many clusters with a failure no later order begins (default: 1)"),
    options.PARALLEL,
    options.DATA,
    options.VOLUMES,
    options.YES,
)
def up(ctx: Context, flags: Flags) -> int | None:
    """Install or update releases, and wait until every ordinal is ready.

    A second run changes nothing and writes nothing; a run that was stopped is taken up by running it again. Without
    --profile: all releases of the project's site, those that others need first, independent ones at the same time.
    """
    if flags.check:
        flags.exit_code = False
        return _plan(ctx, flags)
    if wanted := meant(flags):
        from berth.cli import site_runs

        return site_runs.up(ctx, flags, wanted)
    if flags.data or flags.volumes != "keep":
        raise InputError("--data and --volumes are for what --prune takes down", hint="leave them away")
    from berth.actions.applying import Options
    from berth.actions.up import up as run
    from berth.cli import target as targets
    from berth.core.events import TargetChosen
    from berth.output import printer

    shown = printer(flags.output)
    patience = patience_of(ctx, flags)
    target = targets.choose(ctx, flags, lambda: _releases(ctx, flags, ""))
    releases = _releases(ctx, flags, target.namespace)
    with closing(target.connect()) as kube, shown:
        shown.show(TargetChosen(target.description))
        chosen = Options(
            patience,
            flags.force_conflicts,
            flags.resize,
            unstick=flags.unstick,
            ask_unstick=ask_unstick(shown, flags.output),
        )
        during: During = "end" if flags.end_rollout else "refuse"
        follow(run(kube, releases, chosen, stage.clock(), rollout=during), shown)
    return ExitCode.DONE


@berth_task(
    *(options.PROFILE, options.NAME, options.NAMESPACE, *options.SITE, *options.TARGET, options.EVENTS),
    Option("all", "all releases in the namespace, or everywhere with --all-namespaces", False),
    Option("all-namespaces", "with --all: releases of every namespace", False),
    options.DATA,
    options.VOLUMES,
    Option("orphan", "delete the StatefulSets and leave their pods running; a later up adopts them", False),
    options.TIMEOUT,
    options.PARALLEL,
    options.YES,
)
def teardown(ctx: Context, flags: Flags) -> int | None:
    """Take releases down: pods in reverse order first, data only as told.

    The ledger of claims and volumes is shown before anything happens. With no release named, those of the project's
    site; where there is none, all on the target are listed, and one is asked for.
    """
    if wanted := meant(flags, ("all", "all_namespaces")):
        from berth.cli import site_runs

        return site_runs.teardown(ctx, flags, wanted)
    from berth.actions.teardown import Options, inspect
    from berth.actions.teardown import teardown as run
    from berth.cli import target as targets
    from berth.core.events import TargetChosen
    from berth.output import printer

    data = one_of("data", flags.data or ("ask" if on_terminal() else "keep"), ("ask", "keep", "delete"))
    volumes = one_of("volumes", flags.volumes, ("keep", "delete"))
    shown = printer(flags.output)
    patience = patience_of(ctx, flags)
    target = targets.choose(ctx, flags)
    namespace = setting(ctx, "namespace", flags.namespace) or target.namespace or "default"
    with closing(target.connect()) as kube:
        named = flags.name or flags.profile
        records = _chosen(kube, flags, namespace)
        if not records:
            note(f"nothing to take down; target: {target.description}")
            return ExitCode.DONE
        todo = []
        for record in records:
            deletes = data == "delete"
            seen = inspect(kube, record, deletes, volumes == "delete")
            if seen.ledger and data == "ask" and not flags.yes and not flags.orphan:
                deletes = _ask_data(seen.ledger_event(volumes == "delete"))
                seen = inspect(kube, record, deletes, volumes == "delete")
            todo.append((seen, Options(deletes, volumes == "delete", flags.orphan, patience)))
        with shown:
            shown.show(TargetChosen(target.description))
            for seen, chosen in todo:
                record = seen.record
                where = f"--namespace {record.namespace} --context {target.context}"
                command = f"invoke teardown --name {record.name} {where} --data delete"
                if stage.rehearsed():
                    which = "" if named else f" --name {record.name} --namespace {record.namespace}"
                    command = stage.again(f"teardown{which} --data delete")
                follow(run(kube, seen, chosen, stage.clock(), command), shown)
    return ExitCode.DONE


def follow(events: Generator[Event, None, None], shown: Printer) -> None:
    """Show what happens until the run ends.

    A Ctrl-C that comes while something is being shown is handed to the run: it alone knows what stands, and holds the
    lock.
    """
    stop: KeyboardInterrupt | None = None
    while True:
        try:
            event = next(events) if stop is None else events.throw(stop)
            stop = None
            shown.show(event)
        except StopIteration:
            return
        except KeyboardInterrupt as interrupt:
            if (
                inspection.getgeneratorstate(events) == inspection.GEN_CLOSED
            ):  # The run has ended, by this very interrupt.
                raise
            stop = interrupt


def _plan(ctx: Context, flags: Flags) -> int | None:
    if wanted := meant(flags):
        from berth.cli import site_runs

        return site_runs.plan(ctx, flags, wanted)
    from berth.actions.plan import plan_all, plan_json, plan_lines
    from berth.cli import target as targets

    one_of("output", flags.output, ("text", "json"))
    target = targets.choose(ctx, flags, lambda: _releases(ctx, flags, ""))
    releases = _releases(ctx, flags, target.namespace)
    changed = False
    if flags.output == "text":
        print(f"target: {target.description}")
    with closing(target.connect()) as kube:
        during: During = "end" if getattr(flags, "end_rollout", False) else "refuse"
        for planned in plan_all(kube, releases, force=flags.force_conflicts, resize=flags.resize, rollout=during):
            changed = changed or not planned.plan.empty
            print(json.dumps(plan_json(planned)) if flags.output == "json" else "\n".join(plan_lines(planned)))
    return ExitCode.CHANGES if changed and flags.exit_code else ExitCode.DONE


def _releases(ctx: Context, flags: Flags, namespace: str) -> tuple[Release, ...]:
    """What the options ask for, rendered, and what that requires, in the order in which it comes up."""
    from berth.actions.prepare import prepare
    from berth.library import open_library

    return prepare(open_library(), requests(ctx, flags, namespace))


def patience_of(ctx: Context, flags: Flags) -> Patience:
    """How long to wait, by the options, ``invoke.yaml``, or as usual."""
    from berth.cluster.waiting import Patience
    from berth.core.quantities import parse_duration

    timeout = setting(ctx, "timeout", flags.timeout)
    patience = setting(ctx, "patience", getattr(flags, "patience", None))
    usual = Patience()
    return Patience(
        parse_duration(timeout) if timeout else usual.timeout, parse_duration(patience) if patience else usual.suspect
    )


def _chosen(kube: Kube, flags: Flags, namespace: str) -> list[ReleaseRecord]:
    """The releases to take down, the last one installed first; the user is asked where none is named."""
    from berth.cluster.release import list_releases, load
    from berth.core.errors import DeniedError

    named = bool(flags.name or flags.profile)
    if flags.name and not flags.all_namespaces and (record := load(kube, namespace, flags.name)):
        return [record]  # Without reading the others, of which one may be damaged.
    try:
        # With nothing named, what is on the whole target is shown; a name is looked for in its namespace only.
        everywhere = flags.all_namespaces or not (named or flags.all or flags.namespace)
        found = list_releases(kube, None if everywhere else namespace)
    except DeniedError:
        found = list_releases(kube, namespace)
    if named:
        chosen = _named(flags, found, namespace)
    elif flags.all or not found:
        chosen = list(found)
    else:
        chosen = _picked(found)
    return sorted(chosen, key=lambda record: record.updated, reverse=True)


def _named(flags: Flags, found: Sequence[ReleaseRecord], namespace: str) -> list[ReleaseRecord]:
    """The releases of a name or of profiles; a profile that is installed several times needs a name, or --all."""
    from berth.core.errors import did_you_mean

    attribute, words = ("name", [flags.name]) if flags.name else ("profile", flags.profile)
    chosen: list[ReleaseRecord] = []
    for word in words:
        matching = [record for record in found if getattr(record, attribute) == word]
        if not matching:
            close = did_you_mean(word, {record.name for record in found})
            raise InputError(f"no release {word} in {namespace}", hint=close or "another --namespace or --context?")
        if len(matching) > 1 and not flags.all:
            names = ", ".join(f"{record.namespace}/{record.name}" for record in matching)
            raise InputError(f"{word} means several releases: {names}", hint="--name NAME --namespace NS, or --all")
        chosen += matching
    return chosen


def _picked(found: Sequence[ReleaseRecord]) -> list[ReleaseRecord]:
    """What the user picks from the list of all there are."""
    known = {f"{record.namespace}/{record.name}": record for record in found}
    listed = [f"  {name}  (profile {record.profile}, {record.status})" for name, record in known.items()]
    if not on_terminal():
        raise InputError(
            "no release is named; there are:\n" + "\n".join(listed), hint="--name NAME --namespace NS, or --all"
        )
    note("\n".join(["releases on this target:", *listed]))
    answer = ask("which one is to be taken down? [NAMESPACE/NAME, all, or none]")
    if answer == "all":
        return list(found)
    if answer in ("", "none"):
        return []
    if answer not in known:
        raise InputError(f"{answer} is none of them, so nothing was done", hint=f"one of: {', '.join(known)}")
    return [known[answer]]


def _ask_data(ledger: Ledger) -> bool:
    """Whether the data goes; anything but one of the two words stops."""
    from berth.output.ledger import ledger_lines

    note("\n".join(ledger_lines(ledger)))
    answer = ask(f"data of {ledger.release}: keep it, or delete it for good? [keep/delete]")
    if answer not in ("keep", "delete"):
        raise InputError("neither keep nor delete was answered, so nothing was done", hint="--data keep or delete")
    return answer == "delete"
