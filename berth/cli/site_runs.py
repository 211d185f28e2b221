"""What plan, up, teardown, status and verify do with a site in place of a profile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import stage
from berth.cli.common import Flags, ask, count_of, note, on_terminal, one_of
from berth.cli.site import Chosen, clusters
from berth.core.errors import BerthError, ExitCode, InputError, InterruptedRunError

if TYPE_CHECKING:
    from berth.actions.plan import During
    from berth.actions.site import Cluster
    from berth.actions.sitefile import Placed
    from berth.actions.teardown import Inspection
    from berth.actions.together import Outcome, Place
    from berth.cluster.record import ReleaseRecord
    from berth.core.events import Event
    from berth.core.site import Site
    from berth.library import Library
    from berth.output import Printer


def plan(ctx: Context, flags: Flags, wanted: Chosen) -> ExitCode:
    """What `up` would do with the releases of a site; nothing is written."""
    from berth.actions.plan import plan_json, plan_lines
    from berth.actions.site import plan_site

    one_of("output", flags.output, ("text", "json"))
    releases, (_, names) = wanted.placed(), wanted.limited()
    changed, errors = 0, []
    with clusters(ctx, flags, wanted.site, names) as (found, described):
        text = flags.output == "text"
        if text:
            _say(described)
        kubes = {one.name: one.kube for one in found}
        plans = plan_site(kubes, releases, force=flags.force_conflicts, resize=flags.resize, rollout=_during(flags))
        for one, planned in plans:
            named = _named(one.target, one.key)
            if isinstance(planned, BerthError):
                errors.append(planned)
                print("\n".join(_no_plan(named, planned)) if text else json.dumps(_no_plan_json(one, planned)))
                continue
            joins = {"joins": planned.joins} if planned.joins else {}
            changed += not planned.plan.empty or bool(joins)
            if not text:
                print(json.dumps({"target": one.target, **plan_json(planned), **joins}))
            elif planned.plan.empty and not planned.warnings and not joins:
                print(f"{named}: unchanged")
            else:
                _, *lines = plan_lines(planned)
                print("\n".join([f"{named} (profile {planned.release.profile.name})", *joins.values(), *lines]))
        gone, unknown = _left(found, wanted, releases)
    for cluster, record in gone:
        about = {"target": cluster.name, "release": record.name, "namespace": record.namespace, "left": True}
        print(_told_left(cluster, record) if text else json.dumps(about))
    for warning in unknown:
        note(f"warning: {warning}")
    if text:
        same = len(releases) - changed - len(errors)
        print(f"site {wanted.site.name}: {changed} to change, {same} unchanged, {len(errors)} without a plan")
    if errors:
        return _code_of({error.exit_code for error in errors})
    return ExitCode.CHANGES if (changed or gone) and flags.exit_code else ExitCode.DONE


def up(ctx: Context, flags: Flags, wanted: Chosen) -> ExitCode:
    """Bring the releases of a site up; with --prune, take down those that left it."""
    from berth.actions.applying import Options
    from berth.actions.site import Pace, up_site
    from berth.cli.lifecycle import patience_of
    from berth.core.events import Notice, TargetChosen
    from berth.core.quantities import parse_duration
    from berth.output import printer

    if flags.prune and not wanted.whole:
        raise InputError("--prune looks at the whole site", hint="leave --limit and --target away")
    if flags.prune:
        _require_answer(flags, "--prune takes releases down")
    elif flags.data or flags.volumes != "keep":
        raise InputError("--data and --volumes are for what --prune takes down", hint="add --prune, or leave them away")
    _fates(flags)
    shown = printer(flags.output)
    pace = Pace(
        _parallel(flags),
        parse_duration(flags.soak) if flags.soak else 0.0,
        count_of("max-failed", flags.max_failed) or 1,
        Options(patience_of(ctx, flags), flags.force_conflicts, flags.resize, unstick=flags.unstick),
        _during(flags),
    )
    releases, (_, names) = wanted.placed(), wanted.limited()
    with clusters(ctx, flags, wanted.site, names) as (found, described):
        with shown:
            for target in described:
                shown.show(TargetChosen(target))
            code = _follow(up_site(wanted.site.name, found, releases, pace, stage.clock()), shown)
            gone, unknown = _left(found, wanted, releases) if code is not ExitCode.INTERRUPTED else ([], [])
            for one, record in [] if flags.prune else gone:
                shown.show(Notice(_told_left(one, record)))
            for warning in unknown:
                shown.show(Notice(warning, "warning"))
        if not flags.prune:
            return code
        if code or unknown:
            note("nothing is pruned, since not all of the site came up" if code else "nothing is pruned")
            return code or ExitCode.FAILED
        return _take_down(ctx, flags, wanted, gone) if gone else code


def teardown(ctx: Context, flags: Flags, wanted: Chosen) -> ExitCode:
    """Take the releases of a site down, with one ledger for all; those that belong to no site or another one stay."""
    from berth.actions.site import owned

    _fates(flags)
    releases, names = wanted.limited()
    with clusters(ctx, flags, wanted.site, names) as (found, described):
        note("\n".join(f"target: {target}" for target in described))
        records: list[tuple[Cluster, ReleaseRecord]] = []
        for one in found:
            keys = {release.key for release in releases if one.name in (release.targets or ("",))}
            mine, others = owned(one.kube, wanted.site.name, keys, wanted.whole)
            records += [(one, record) for record in mine]
            for other in others:
                whose = f"site {other.site}" if other.site else "no site"
                note(f"{_named(one.name, (other.namespace, other.name))} belongs to {whose}, and stays")
        if not records:
            note(f"nothing to take down of site {wanted.site.name}")
            return ExitCode.DONE
        return _take_down(ctx, flags, wanted, records)


def status(ctx: Context, flags: Flags, wanted: Chosen) -> ExitCode:
    """How the releases of a site stand, target by target; one that is not installed counts as not current."""
    from berth.actions.site import status_of
    from berth.cli.status import library_operations
    from berth.output import status as told

    releases, names = wanted.limited()
    codes: set[ExitCode] = set()
    everything: list[dict[str, object]] = []
    operations = None if flags.no_operations else library_operations()
    with clusters(ctx, flags, wanted.site, names) as (found, described):
        if flags.output == "text":
            _say(described)
        for one in found:
            keys = [release.key for release in releases if one.name in (release.targets or ("",))]
            if flags.output == "text" and one.name:
                print(f"target {one.name}:")
            try:
                seen, missing = status_of(one.kube, keys, operations)
            except BerthError as error:  # The other clusters are worth knowing all the more.
                codes.add(error.exit_code)
                everything.append({"target": one.name, "errors": _told_error(one, error)})
                continue
            if missing or not all(report.verdict.current for report in seen.reports):
                codes.add(ExitCode.FAILED)
            body = {"target": one.name, **told.as_json(seen.reports, seen.notes)}
            everything.append({**body, "missing": ["/".join(key) for key in missing]})
            if flags.output == "text" and seen.reports:
                print("\n".join(told.lines(seen.reports, seen.notes, roles=not flags.no_operations)))
            for key in missing if flags.output == "text" else ():
                print(f"{_named(one.name, key)}: not installed")
    if flags.output == "json":
        print(json.dumps({"site": wanted.site.name, "targets": everything}))
    return _code_of(codes)


def verify(ctx: Context, flags: Flags, wanted: Chosen) -> ExitCode:
    """Prove what the StatefulSets of a site promise, release by release."""
    from berth.actions.site import installed
    from berth.cli.lifecycle import patience_of
    from berth.cli.verify import prove

    patience = patience_of(ctx, flags)
    releases, names = wanted.limited()
    codes: set[ExitCode] = set()
    with clusters(ctx, flags, wanted.site, names) as (found, described):
        if flags.output == "text":
            _say(described)
        for one in found:
            keys = {release.key for release in releases if one.name in (release.targets or ("",))}
            try:
                records = installed(one.kube, keys)
                codes |= {prove(flags, patience, one.kube, record, one.name) for record in records}
            except BerthError as error:
                if isinstance(error, InterruptedRunError):
                    raise
                codes.add(error.exit_code)
                _told_error(one, error)
                continue
            for key in sorted(keys - {(record.namespace, record.name) for record in records}):
                about = {"target": one.name, "release": key[1], "namespace": key[0], "missing": True}
                print(f"{_named(one.name, key)}: not installed" if flags.output == "text" else json.dumps(about))
                codes.add(ExitCode.FAILED)
    return _code_of(codes)


def _code_of(codes: set[ExitCode]) -> ExitCode:
    """The exit code of several: that of what went wrong, where all went wrong in one way, else 1."""
    wrong = codes - {ExitCode.DONE}
    return ExitCode.FAILED if len(wrong) > 1 else next(iter(wrong), ExitCode.DONE)


def _told_error(one: Cluster, error: BerthError) -> list[str]:
    """Say what went wrong on a cluster, and return it."""
    where = f"target {one.name}: " if one.name else ""
    problems = [str(problem) for problem in error.problems]
    for problem in problems:
        note(f"error: {where}{problem}")
    return problems


def _say(targets: Sequence[str]) -> None:
    print("\n".join(f"target: {target}" for target in targets), flush=True)


def _during(flags: Flags) -> During:
    return "end" if getattr(flags, "end_rollout", False) else "refuse"


def _parallel(flags: Flags) -> int:
    """How many releases at a time; in a rehearsal one, whose time passes while it waits."""
    from berth.actions.site import PARALLEL

    return 1 if stage.rehearsed() else count_of("parallel", flags.parallel) or PARALLEL


def _named(target: str, key: tuple[str, str]) -> str:
    release = f"release {key[1]} in {key[0]}"
    return f"{target} {release}" if target else release


def _no_plan(named: str, error: BerthError) -> list[str]:
    return [f"{named}: no plan", *(f"  {line}" for one in error.problems for line in f"error: {one}".splitlines())]


def _no_plan_json(one: Placed, error: BerthError) -> dict[str, object]:
    head = {"target": one.target, "release": one.key[1], "namespace": one.key[0]}
    return {**head, "errors": [str(problem) for problem in error.problems]}


def _follow(events: Generator[Event, None, list[Outcome]], shown: Printer) -> ExitCode:
    """Show what happens, and return the exit code of it all."""
    from berth.actions.together import code_of
    from berth.cli.lifecycle import follow

    ended: list[Outcome] = []

    def heard() -> Generator[Event, None, None]:
        ended.extend((yield from events))

    follow(heard(), shown)
    return code_of(ended)


def _left(
    found: Sequence[Cluster], wanted: Chosen, releases: Sequence[Placed]
) -> tuple[list[tuple[Cluster, ReleaseRecord]], list[str]]:
    """What left the site file, where the whole site is meant; and, in words, where that could not be found out."""
    from berth.actions.site import left

    gone: list[tuple[Cluster, ReleaseRecord]] = []
    unknown: list[str] = []
    for one in found if wanted.whole else ():
        known = {release.key for release in releases if release.target == one.name}
        try:
            gone += [(one, record) for record in left(one.kube, wanted.site.name, known)]
        except BerthError as error:
            where = f" on {one.name}" if one.name else ""
            unknown.append(f"what left the site file{where} is not known: {error.problems[0].what}")
    return gone, unknown


def _told_left(one: Cluster, record: ReleaseRecord) -> str:
    named = _named(one.name, (record.namespace, record.name))
    return f"{named} is of site {record.site}, and not in its file; `up --prune` takes it down"


def _fates(flags: Flags) -> tuple[str, bool]:
    """What happens to claims (ask, keep or delete), and whether volumes that stay behind are deleted.

    Raises:
        InputError: an option says something else.
    """
    data = one_of("data", flags.data or ("ask" if on_terminal() else "keep"), ("ask", "keep", "delete"))
    return data, one_of("volumes", flags.volumes, ("keep", "delete")) == "delete"


def _require_answer(flags: Flags, why: str) -> None:
    if not flags.yes and not on_terminal():
        raise InputError(f"{why}, and there is nobody to ask", hint="--yes; what happens to data is said with --data")


def _take_down(
    ctx: Context, flags: Flags, wanted: Chosen, records: Sequence[tuple[Cluster, ReleaseRecord]]
) -> ExitCode:
    """Show the ledger of releases, ask, and take them down; those that were, and whose data stays, are left out."""
    from berth.actions.site import Removal, teardown_site
    from berth.actions.teardown import Options, inspect
    from berth.cli.lifecycle import patience_of
    from berth.library import open_library
    from berth.output import printer

    site = wanted.site.name
    data, volumes = _fates(flags)
    patience, orphan = patience_of(ctx, flags), getattr(flags, "orphan", False)
    asks = data == "ask" and not flags.yes and not orphan
    deletes = data == "delete"
    seen = [(one, inspect(one.kube, record, deletes, volumes)) for one, record in records]
    if not deletes and not asks:
        seen = [(one, its) for one, its in seen if its.record.status != "removed"]
    if not seen:
        note("nothing to take down: only data that is kept is left, which --data delete would delete")
        return ExitCode.DONE
    for one, its in seen:
        note("\n".join(_ledger(one, its, orphan, volumes)))
    these = f"{len(seen)} release{'s' if len(seen) > 1 else ''} of site {site}"
    _require_answer(flags, f"{these} would be taken down")
    if not flags.yes and ask(f"take {these} down? [yes/no]") not in ("y", "yes"):
        raise InputError("the answer was not yes, so nothing was done")
    if asks and any(its.ledger for _, its in seen):
        answer = ask("their data: keep it, or delete it for good? [keep/delete]")
        if answer not in ("keep", "delete"):
            raise InputError("neither keep nor delete was answered, so nothing was done", hint="--data keep or delete")
        deletes = answer == "delete"
        seen = [(one, inspect(one.kube, its.record, deletes, volumes)) for one, its in seen]
    chosen = Options(deletes, volumes, orphan, patience)
    library = open_library()
    removals = [Removal(one, its, chosen, _needs(library, wanted.site, one, its.record)) for one, its in seen]

    def command(removal: Removal) -> str:
        cluster, record = removal.cluster, removal.seen.record
        if stage.rehearsed():
            return stage.again(f"teardown --name {record.name} --namespace {record.namespace} --data delete")
        where = ["--namespace", record.namespace, "--context", cluster.context]
        where += ["--kubeconfig", cluster.kubeconfig] if cluster.kubeconfig else []
        return shlex.join(["invoke", "teardown", "--name", record.name, *where, "--data", "delete"])

    with printer(flags.output) as shown:
        return _follow(teardown_site(site, removals, _parallel(flags), stage.clock(), command), shown)


def _ledger(one: Cluster, its: Inspection, orphan: bool, volumes: bool) -> list[str]:
    """A release and its data, with what tells whose it is: two files may have given their sites one name."""
    from berth.output.ledger import ledger_lines

    record = its.record
    by = f" by {record.history[-1].user}" if record.history and record.history[-1].user else ""
    what = f"profile {record.profile}, revision {record.revision}, of {record.updated:%Y-%m-%d %H:%M}{by}"
    lines = [] if orphan else ledger_lines(its.ledger_event(volumes))
    return [f"{_named(one.name, (record.namespace, record.name))} ({what})", *(f"  {line}" for line in lines)]


def _needs(library: Library, site: Site, one: Cluster, record: ReleaseRecord) -> tuple[Place, ...]:
    """What a release needs on its cluster: by the site file, and by its profile, where that is still here."""
    key = (record.namespace, record.name)
    here = [release for release in site.releases if one.name in (release.targets or ("",)) and release.key == key]
    needs = [need for release in here for need in release.needs]
    try:
        needs += [(record.namespace, required) for required in library.load(record.profile).requires]
    except InputError:
        pass
    return tuple((one.name, *need) for need in needs)
