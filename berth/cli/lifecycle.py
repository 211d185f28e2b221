"""plan, up and teardown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, ask, berth_task, note, on_terminal, one_of, setting
from berth.cli.render import requests
from berth.core.errors import ExitCode, InputError

if TYPE_CHECKING:
    from berth.cluster.kube import Kube
    from berth.cluster.release import ReleaseRecord
    from berth.cluster.waiting import Patience
    from berth.core.events import Ledger
    from berth.core.render import Release

_PLAN = (*options.RELEASE, *options.TARGET, options.FORCE_CONFLICTS, options.YES)


@berth_task(
    *_PLAN, options.TEXT_OR_JSON, Option("exit-code", f"exit with {ExitCode.CHANGES:d} when there are changes", False)
)
def plan(ctx: Context, flags: Flags) -> int | None:
    """Show what up would change, per object and field; nothing is written."""
    return _plan(ctx, flags)


@berth_task(
    *_PLAN,
    options.EVENTS,
    options.TIMEOUT,
    options.PATIENCE,
    Option("check", "only show what would change: the same as plan", False),
)
def up(ctx: Context, flags: Flags) -> int | None:
    """Install or update releases, and wait until every ordinal is ready.

    A second run changes nothing and writes nothing; a run that was stopped is taken up by running it again.
    """
    if flags.check:
        flags.exit_code = False
        return _plan(ctx, flags)
    from berth.actions.up import Clock, Options
    from berth.actions.up import up as run
    from berth.cli import target as targets
    from berth.core.events import TargetChosen
    from berth.output import printer

    shown = printer(flags.output)
    patience = _patience(ctx, flags)
    target = targets.choose(ctx, flags, lambda: _releases(ctx, flags, ""))
    releases = _releases(ctx, flags, target.namespace)
    kube = target.connect()
    with shown:
        shown.show(TargetChosen(target.description))
        for event in run(kube, releases, Options(patience, flags.force_conflicts), Clock()):
            shown.show(event)
    return ExitCode.DONE


@berth_task(
    *(options.PROFILE, options.NAME, options.NAMESPACE, *options.TARGET, options.EVENTS),
    Option("all", "all releases in the namespace, or everywhere with --all-namespaces", False),
    Option("all-namespaces", "with --all: releases of every namespace", False),
    Option("data", "ask, keep or delete the claims and what opens them (default: ask on a terminal, else keep)"),
    Option("volumes", "keep or delete volumes that reclaim policy Retain leaves behind (default: keep)", "keep"),
    Option("orphan", "delete the StatefulSets and leave their pods running; a later up adopts them", False),
    options.TIMEOUT,
    options.YES,
)
def teardown(ctx: Context, flags: Flags) -> int | None:
    """Take releases down: pods in reverse order first, data only as told.

    The ledger of claims and volumes is shown before anything happens. With no release named, those of the namespace
    are listed, and asked about.
    """
    from berth.actions.teardown import Options, inspect
    from berth.actions.teardown import teardown as run
    from berth.actions.up import Clock
    from berth.cli import target as targets
    from berth.core.events import TargetChosen
    from berth.output import printer

    data = one_of("data", flags.data or ("ask" if on_terminal() else "keep"), ("ask", "keep", "delete"))
    volumes = one_of("volumes", flags.volumes, ("keep", "delete"))
    shown = printer(flags.output)
    patience = _patience(ctx, flags)
    target = targets.choose(ctx, flags)
    namespace = setting(ctx, "namespace", flags.namespace) or target.namespace or "default"
    kube = target.connect()
    records = _chosen(kube, flags, namespace)
    if not records:
        note(f"nothing of berth's is in {namespace}; target: {target.description}")
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
            command = f"invoke teardown --name {record.name} --namespace {record.namespace} --data delete"
            for event in run(kube, seen, chosen, Clock(), command):
                shown.show(event)
    return ExitCode.DONE


def _plan(ctx: Context, flags: Flags) -> int | None:
    from berth.actions.plan import plan_all, plan_json, plan_lines
    from berth.cli import target as targets

    one_of("output", flags.output, ("text", "json"))
    target = targets.choose(ctx, flags, lambda: _releases(ctx, flags, ""))
    releases = _releases(ctx, flags, target.namespace)
    kube = target.connect()
    changed = False
    if flags.output == "text":
        print(f"target: {target.description}")
    for planned in plan_all(kube, releases, force=flags.force_conflicts):
        changed = changed or not planned.plan.empty
        print(json.dumps(plan_json(planned)) if flags.output == "json" else "\n".join(plan_lines(planned)))
    return ExitCode.CHANGES if changed and flags.exit_code else ExitCode.DONE


def _releases(ctx: Context, flags: Flags, namespace: str) -> tuple[Release, ...]:
    """What the options ask for, rendered, and what that requires, in the order in which it comes up."""
    from berth.actions.prepare import prepare
    from berth.library import open_library

    return prepare(open_library(), requests(ctx, flags, namespace))


def _patience(ctx: Context, flags: Flags) -> Patience:
    from berth.cluster.waiting import Patience
    from berth.core.quantities import parse_duration

    timeout = setting(ctx, "timeout", flags.timeout)
    patience = setting(ctx, "patience", getattr(flags, "patience", None))
    usual = Patience()
    return Patience(
        parse_duration(timeout) if timeout else usual.timeout, parse_duration(patience) if patience else usual.suspect
    )


def _chosen(kube: Kube, flags: Flags, namespace: str) -> list[ReleaseRecord]:
    """The releases to take down, the last one installed first."""
    from berth.cluster.release import list_releases
    from berth.core.errors import did_you_mean

    found = list_releases(kube, None if flags.all_namespaces else namespace)
    named = set(flags.profile) | ({flags.name} if flags.name else set())
    if flags.name:
        chosen = [record for record in found if record.name == flags.name]
    elif flags.profile:
        chosen = [record for record in found if record.profile in flags.profile]
    elif flags.all or not found:
        chosen = list(found)
    else:
        listed = ", ".join(f"{record.name} ({record.profile}, {record.status})" for record in found)
        if not on_terminal() and not flags.yes:
            raise InputError(f"no release is named; in {namespace} there are: {listed}", hint="--name NAME, or --all")
        if not flags.yes and ask(f"take down all of these in {namespace}: {listed}? [y/N]") not in ("y", "yes"):
            return []
        chosen = list(found)
    if named and not chosen:
        known = {record.name for record in found}
        raise InputError(
            f"no release {', '.join(sorted(named))} in {namespace}",
            hint=did_you_mean(next(iter(named)), known) or "another --namespace or --context?",
        )
    return sorted(chosen, key=lambda record: record.updated, reverse=True)


def _ask_data(ledger: Ledger) -> bool:
    """Whether the data goes; anything but one of the two words stops."""
    from berth.output.ledger import ledger_lines

    note("\n".join(ledger_lines(ledger)))
    answer = ask(f"data of {ledger.release}: keep it, or delete it for good? [keep/delete]")
    if answer not in ("keep", "delete"):
        raise InputError("neither keep nor delete was answered, so nothing was done", hint="--data keep or delete")
    return answer == "delete"
