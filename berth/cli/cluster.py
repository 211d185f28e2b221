"""cluster.start, status, stop, delete and env: the clusters of this machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context

from berth.cli.common import Flags, Option, ask, berth_task, note, on_terminal, one_of
from berth.cli.engines import ENGINES, REHEARSAL, Engine, engine, other
from berth.core.errors import ExitCode, InputError

_NAME = Option("name", "name of the cluster, for a second one beside the first", "default")
_ENGINE = Option("engine", f"what it is: {' or '.join(ENGINES)}", REHEARSAL)


@berth_task(
    _NAME,
    _ENGINE,
    Option(
        "pace",
        "rehearsal: how fast time passes: brisk, real, instant, or such as 10x (default: that of before, else brisk)",
    ),
    Option("seed", "rehearsal: a number that makes what is random come out the same each time"),
    Option("scenario", "rehearsal: a scenario's name or file: what fails, and how long things take; none for no more"),
    Option("idle", "rehearsal: end by itself after so long without a request, such as 30m; 0 for never (default: 60m)"),
    Option("port", "rehearsal: port of the API (default: that of before, else a free one)"),
    Option("binaries", "kubernetes: directory with the programs (default: BERTH_CONTROLPLANE_BINARIES, cache, build)"),
)
def start(ctx: Context, flags: Flags) -> int | None:
    """Start a cluster on this machine: a rehearsal, which simulates Kubernetes in one process, or a real control plane.

    Does nothing where it is up. What was in the cluster before a stop, a crash or a reboot is in it again. The control
    plane (--engine kubernetes) has three simulated nodes; its programs are built the first time.
    """
    chosen = engine(flags.engine)
    for line in chosen.start(flags):
        print(line)
    print(f"kubectl finds it after: {_export(chosen.kubeconfig(flags.name))}")
    return ExitCode.DONE


@berth_task(_NAME, _ENGINE, Option("output", "text or json", "text"))
def status(ctx: Context, flags: Flags) -> int | None:
    """Show what of the cluster is alive; the exit code is 0 where all of it is, else 1."""
    one_of("output", flags.output, ("text", "json"))
    chosen = engine(flags.engine)
    found = chosen.status(flags.name)
    if flags.output == "json":
        print(json.dumps(found.to_json()))
    else:
        print("\n".join(chosen.describe(flags.name)))
        _mention(flags)
    return ExitCode.DONE if found.running else ExitCode.FAILED


@berth_task(_NAME, _ENGINE)
def stop(ctx: Context, flags: Flags) -> int | None:
    """Stop the cluster's processes; what is in it stays for the next start."""
    chosen = engine(flags.engine)
    alive = chosen.stop(flags.name)
    print(f"{chosen.what} {flags.name} is stopped" if alive else f"{chosen.what} {flags.name} was not running")
    _mention(flags)
    return ExitCode.DONE


@berth_task(_NAME, _ENGINE, Option("yes", "delete without asking", False))
def delete(ctx: Context, flags: Flags) -> int | None:
    """Stop the cluster and delete everything that was in it. A control plane's built programs stay in the cache."""
    chosen = engine(flags.engine)
    directory = chosen.status(flags.name).state_dir
    if not directory.is_dir():
        print(f"there is no {chosen.what} {flags.name}")
        _mention(flags)
        return ExitCode.DONE
    if not flags.yes and not _confirmed(chosen, flags.name, directory):
        note("nothing was deleted")
        return ExitCode.FAILED
    chosen.delete(flags.name)
    return ExitCode.DONE


@berth_task(_NAME, _ENGINE)
def env(ctx: Context, flags: Flags) -> int | None:
    """Print the line that makes kubectl talk to the cluster: eval "$(invoke cluster.env)".

    A rehearsal that does not run is started: it may have ended by itself, and kubectl could not start it.
    """
    print(_export(engine(flags.engine).ready(flags.name)))
    return ExitCode.DONE


def _confirmed(chosen: Engine, name: str, directory: Path) -> bool:
    if not on_terminal():
        raise InputError(
            f"deleting {chosen.what} {name} deletes everything in its cluster",
            where=str(directory),
            why="nobody is here to ask: standard input is no terminal",
            hint="add --yes",
        )
    answer = ask(f"Delete {chosen.what} {name} and everything in its cluster, {directory}? [y/N]")
    return answer in ("y", "yes")


def _mention(flags: Flags) -> None:
    """Say that a cluster of the same name but of the other engine runs, which may be the one that was meant."""
    beside = other(flags.engine)
    if beside.status(flags.name).running:
        note(f"{beside.what} {flags.name} runs, too: --engine {beside.name}")


def _export(kubeconfig: Path) -> str:
    return f"export KUBECONFIG={shlex.quote(str(kubeconfig))}"


cluster = Collection("cluster", start, status, stop, delete, env)
