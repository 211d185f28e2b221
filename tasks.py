"""This repository's tasks: those of berth, and test, check and bench for those who work on it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from berth import controlplane
from berth.cli import namespace

ROOT = Path(__file__).resolve().parent
#: The control plane that the tests use, beside a user's own.
PLANE = "tests"


def _run(ctx: Context, command: str) -> None:
    """Run a command with this interpreter's tools, echoing it; a failure ends the task with its exit code."""
    tools = shlex.quote(str(Path(sys.executable).parent))
    with ctx.cd(str(ROOT)):
        ctx.run(f"PATH={tools}:$PATH {command}", echo=True)


@task(
    auto_shortflags=False,
    help={"quick": "only what takes seconds: no control plane", "select": "an expression for pytest -k"},
)
def test(ctx: Context, quick: bool = False, select: str = "") -> None:
    """Run the tests; the local control plane is started for those that need one, and built if need be."""
    chosen = f" -k {shlex.quote(select)}" if select else ""
    _run(ctx, f"pytest -q -n 2 -m 'not controlplane'{chosen}")
    if quick:
        return
    was_up = controlplane.status(PLANE).running
    try:
        _run(ctx, f"pytest -q -n 4 -m controlplane{chosen}")
    finally:
        if not was_up:
            controlplane.stop(PLANE)


@task(auto_shortflags=False)
def check(ctx: Context) -> None:
    """Check style, types, import directions, profiles, and the wheel from an empty environment."""
    _run(ctx, "ruff format --check .")
    _run(ctx, "ruff check .")
    _run(ctx, "mypy")
    _run(ctx, "lint-imports")
    _run(ctx, "invoke lint")
    _run(ctx, "invoke lint --kubernetes 1.30")
    _run(ctx, "python tests/checks/wheel.py")


@task(auto_shortflags=False)
def checkov(ctx: Context) -> None:
    """Run checkov over the rendered production environments; what is not waived by name fails."""
    _run(ctx, "python tests/checks/checkov.py")


@task(
    auto_shortflags=False,
    help={"repeat": "how many runs the median is of", "only": "peers or rehearsal; the figures of the other stay"},
)
def bench(ctx: Context, repeat: int = 5, only: str = "") -> None:
    """Measure berth beside its peers on the local control plane, and the rehearsal; write bench/RESULTS.md."""
    _run(ctx, f"python -m bench --repeat {repeat}" + (f" --only {shlex.quote(only)}" if only else ""))


for extra in (test, check, checkov, bench):
    namespace.add_task(extra)
