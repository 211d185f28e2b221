"""cluster.start, status, stop, delete and env: the control plane on this machine."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from berth.cli.common import Flags, Option, ask, berth_task, note, on_terminal, one_of
from berth.core.errors import ExitCode, InputError

if TYPE_CHECKING:
    from berth.controlplane import Status

ENGINES = ("kubernetes",)

_NAME = Option("name", "name of the control plane, for a second one beside the first", "default")
_ENGINE = Option("engine", f"what runs it: {', '.join(ENGINES)}", "kubernetes")
_BINARIES = Option(
    "binaries", "directory with the programs (default: BERTH_CONTROLPLANE_BINARIES, else the cache, else a build)"
)


@berth_task(_NAME, _ENGINE, _BINARIES)
def start(ctx: Context, flags: Flags) -> int | None:
    """Start a real control plane with three simulated nodes on this machine; the first time, build it.

    Does nothing where it is up. What was in the cluster before a stop, a crash or a reboot is in it again.
    """
    one_of("engine", flags.engine, ENGINES)
    from berth import controlplane

    if not controlplane.status(flags.name).running:
        note(f"this takes {controlplane.estimate(flags.name, binaries=flags.binaries)}")
    status = controlplane.start(flags.name, binaries=flags.binaries, report=note)
    print(f"Kubernetes {status.version} at {status.server}")
    print(f"kubectl finds it after: {_export(status)}")
    return ExitCode.DONE


@berth_task(_NAME, _ENGINE, Option("output", "text or json", "text"))
def status(ctx: Context, flags: Flags) -> int | None:
    """Show what of the control plane is alive; the exit code is 0 where all of it is, else 1."""
    one_of("engine", flags.engine, ENGINES)
    one_of("output", flags.output, ("text", "json"))
    from berth import controlplane

    found = controlplane.status(flags.name)
    if flags.output == "json":
        print(json.dumps(found.to_json()))
    else:
        print("\n".join(describe(found)))
    return ExitCode.DONE if found.running else ExitCode.FAILED


@berth_task(_NAME, _ENGINE)
def stop(ctx: Context, flags: Flags) -> int | None:
    """Stop the control plane's processes; what is in the cluster stays for the next start."""
    one_of("engine", flags.engine, ENGINES)
    from berth import controlplane

    before = controlplane.status(flags.name)
    controlplane.stop(flags.name, report=note)
    alive = any(part.alive for part in before.components)
    print(f"control plane {flags.name} is stopped" if alive else f"control plane {flags.name} was not running")
    return ExitCode.DONE


@berth_task(_NAME, _ENGINE, Option("yes", "delete without asking", False))
def delete(ctx: Context, flags: Flags) -> int | None:
    """Stop the control plane and delete everything that was in the cluster. The built programs stay in the cache."""
    one_of("engine", flags.engine, ENGINES)
    from berth import controlplane

    found = controlplane.status(flags.name)
    if not found.state_dir.is_dir():
        print(f"there is no control plane {flags.name}")
        return ExitCode.DONE
    if not flags.yes:
        if not on_terminal():
            raise InputError(
                f"deleting control plane {flags.name} deletes everything in its cluster",
                where=str(found.state_dir),
                why="nobody is here to ask: standard input is no terminal",
                hint="add --yes",
            )
        answer = ask(f"Delete control plane {flags.name} and everything in its cluster, {found.state_dir}? [y/N]")
        if answer not in ("y", "yes"):
            note("nothing was deleted")
            return ExitCode.FAILED
    controlplane.delete(flags.name, report=note)
    return ExitCode.DONE


@berth_task(_NAME)
def env(ctx: Context, flags: Flags) -> int | None:
    """Print the line that makes kubectl talk to the control plane: eval "$(invoke cluster.env)"."""
    from berth import controlplane

    found = controlplane.status(flags.name)
    if not found.kubeconfig.is_file():
        raise InputError(
            f"control plane {flags.name} has no kubeconfig yet",
            where=str(found.kubeconfig),
            hint="start it first: cluster.start",
        )
    print(_export(found))
    return ExitCode.DONE


def describe(found: Status) -> list[str]:
    """The status in lines for people."""
    alive = sum(part.alive for part in found.components)
    if not found.components:
        return [f"control plane {found.name}: never started", f"  state  {found.state_dir}"]
    state = (
        "running" if found.running else f"{alive} of {len(found.components)} components alive" if alive else "stopped"
    )
    lines = [f"control plane {found.name}: {state}"]
    if found.since:
        lines[0] += f" since {found.since.astimezone():%Y-%m-%d %H:%M:%S}"
    lines += [
        f"  Kubernetes  {found.version} at {found.server}",
        f"  kubeconfig  {found.kubeconfig}",
        f"  state       {found.state_dir}",
    ]
    width = max(len(part.name) for part in found.components)
    for part in found.components:
        process = f"alive, pid {part.pid}" if part.alive else "not running"
        lines.append(f"  {part.name:<{width}}  {process:<18}  {part.log}")
    return lines


def _export(found: Status) -> str:
    return f"export KUBECONFIG={shlex.quote(str(found.kubeconfig))}"


cluster = Collection("cluster", start, status, stop, delete, env)
