"""status and diagnose."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, one_of, setting
from berth.cli.site import meant
from berth.core.errors import ExitCode, InputError

if TYPE_CHECKING:
    from rich.console import Group

    from berth.actions.roles import Operations
    from berth.actions.status import Found, Selection
    from berth.cluster.kube import Kube
    from berth.core.report import SetReport

_SELECTION = (
    options.PROFILE,
    options.NAME,
    options.NAMESPACE,
    Option("all", "all releases of the namespace, which is also what no name means", False),
    Option("all-namespaces", "releases of every namespace", False),
    *options.TARGET,
    options.TEXT_OR_JSON,
    Option("no-operations", "do not run what the profile declares in the pods", False),
)


@berth_task(
    *_SELECTION, *options.SITE, Option("watch", "show it again whenever something changes, until Ctrl-C", False)
)
def status(ctx: Context, flags: Flags) -> int | None:
    """Show how releases stand: their verdict, each ordinal, claims, budgets, and what differs from the record.

    Exit code 0 when all are current, else 1. A release that was taken down counts where it is named. Where nothing is
    named, and the project has a site: all of its releases, those that are not installed included.
    """
    _check(flags)
    if wanted := meant(flags, ("all", "all_namespaces", "watch")):
        from berth.cli import site_runs

        return site_runs.status(ctx, flags, wanted)
    from berth.actions.status import status as look
    from berth.cli import target as targets

    target = targets.choose(ctx, flags)
    selection = selection_of(ctx, flags, target.namespace)
    operations = None if flags.no_operations else library_operations()
    if flags.output == "text" and not flags.watch:
        print(f"target: {target.description}")
    with closing(target.connect()) as kube:
        if flags.watch:
            return _watch(kube, selection, operations, flags, target.description)
        found = look(kube, selection, operations)
    _show(found, flags, selection)
    return _code(found, selection)


@berth_task(*_SELECTION)
def diagnose(ctx: Context, flags: Flags) -> int | None:
    """Say why releases are not current: one root cause for each ordinal, its last log lines, and what to try.

    Exit code 0 when all are current, else 1. A release that was taken down counts where it is named.
    """
    _check(flags)
    from berth.actions.diagnose import diagnose as look
    from berth.cli import target as targets
    from berth.output import status as shown

    target = targets.choose(ctx, flags)
    selection = selection_of(ctx, flags, target.namespace)
    with closing(target.connect()) as kube:
        found, wrong = look(kube, selection, None if flags.no_operations else library_operations())
    if flags.output == "json":
        print(json.dumps(shown.diagnosis_json(found.reports, wrong, found.notes)))
        return _code(found, selection)
    print(f"target: {target.description}")
    if found.reports:
        print("\n".join(shown.diagnosis_lines(found.reports, wrong, found.notes)))
    else:
        print(f"no releases in {selection.namespace or 'any namespace'}")
    return _code(found, selection)


def _check(flags: Flags) -> None:
    """What is wrong with the options, before a cluster is looked for."""
    one_of("output", flags.output, ("text", "json"))
    if flags.all and (flags.name or flags.profile):
        raise InputError("--all means every release, and one is named too", hint="leave one of both out")


def selection_of(ctx: Context, flags: Flags, namespace: str) -> Selection:
    """The releases that the options name; ``namespace`` is the target's own."""
    from berth.actions.status import Selection

    chosen = setting(ctx, "namespace", flags.namespace) or namespace or "default"
    return Selection(None if flags.all_namespaces else chosen, flags.name, tuple(flags.profile))


def library_operations() -> Operations:
    """The operations of profiles, by their names."""
    from berth.core.operations import operations_of
    from berth.library import open_library

    library = open_library()
    return lambda profile: operations_of(library.load(profile))


def _watch(
    kube: Kube, selection: Selection, operations: Operations | None, flags: Flags, target: str
) -> ExitCode | None:
    """Show what changes until Ctrl-C; the exit code is of what was shown last."""
    from contextlib import ExitStack, suppress
    from dataclasses import replace

    from berth.actions.status import follow
    from berth.actions.status import status as look

    code: ExitCode | None = None
    before: object = None
    with ExitStack() as stack:
        live = None
        if flags.output == "text" and _terminal():
            from rich.console import Console
            from rich.live import Live

            live = stack.enter_context(Live(console=Console(), auto_refresh=False, screen=True))

        def show() -> None:
            nonlocal code, before
            found = look(kube, selection, operations)
            code = _code(found, selection)
            if live is not None:
                live.update(_picture(found, flags, selection, target), refresh=True)
                return
            # Pods grow older all the time: that alone is nothing new.
            news = [replace(one, sets=tuple(map(_ageless, one.sets))) for one in found.reports]
            if news != before:
                before = news
                if flags.output == "text":
                    print(f"{kube.server_time():%Y-%m-%d %H:%M:%S} UTC  {target}")
                _show(found, flags, selection)

        with suppress(KeyboardInterrupt):
            follow(kube, selection, show)
    return code


def _ageless(group: SetReport) -> SetReport:
    from dataclasses import replace

    return replace(group, ordinals=tuple(replace(row, age_seconds=None) for row in group.ordinals))


def _code(found: Found, selection: Selection) -> ExitCode:
    expected = [one for one in found.reports if selection.named or not one.down]
    return ExitCode.DONE if all(one.verdict.current for one in expected) else ExitCode.FAILED


def _show(found: Found, flags: Flags, selection: Selection) -> None:
    from berth.output import status as shown

    if flags.output == "json":
        print(json.dumps(shown.as_json(found.reports, found.notes)), flush=True)
    elif not found.reports:
        print(f"no releases in {selection.namespace or 'any namespace'}", flush=True)
    elif _terminal():
        from rich.console import Console

        Console().print(_picture(found, flags, selection))
    else:
        print("\n".join(shown.lines(found.reports, found.notes, roles=not flags.no_operations)), flush=True)


def _picture(found: Found, flags: Flags, selection: Selection, target: str = "") -> Group:
    from rich.console import Group
    from rich.text import Text

    from berth.output.status_table import picture

    above = [Text(f"target: {target}", style="dim")] if target else []
    if not found.reports:
        return Group(*above, Text(f"no releases in {selection.namespace or 'any namespace'}"))
    return Group(*above, picture(found.reports, found.notes, roles=not flags.no_operations))


def _terminal() -> bool:
    """Whether tables and colours can be shown."""
    if not sys.stdout.isatty():
        return False
    from rich.console import Console

    console = Console()
    return console.is_terminal and not console.is_dumb_terminal
