"""This repository's tasks: those of berth, and test, check and bench for those who work on it."""

from __future__ import annotations

import json
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
#: How many tests may fail at first, on a busy machine; more are no accident.
FEW = 5


def _run(ctx: Context, command: str) -> None:
    """Run a command with this interpreter's tools, echoing it; a failure ends the task with its exit code."""
    with ctx.cd(str(ROOT)):
        ctx.run(_with_tools(command), echo=True)


def _with_tools(command: str) -> str:
    return f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH {command}"


@task(
    auto_shortflags=False,
    help={"quick": "only what takes seconds: no control plane", "select": "an expression for pytest -k"},
)
def test(ctx: Context, quick: bool = False, select: str = "") -> None:
    """Run the tests; the local control plane is started for those that need one, and built if need be."""
    chosen = f" -k {shlex.quote(select)}" if select else ""
    _run_patiently(ctx, f"-m 'not controlplane and not node'{chosen}", "-n 2")
    if quick:
        return
    was_up = controlplane.status(PLANE).running
    try:
        _run_patiently(ctx, f"-m controlplane{chosen}", "-n 4")
    finally:
        if not was_up:
            controlplane.stop(PLANE)


@task(auto_shortflags=False, help={"select": "an expression for pytest -k"})
def test_node(ctx: Context, select: str = "") -> None:
    """Run the tests of real containers on the cluster whose kubeconfig BERTH_NODE_KUBECONFIG names."""
    chosen = f" -k {shlex.quote(select)}" if select else ""
    # A file to a process, but pages of the documentation one by one: see tests/conftest.py.
    _run_patiently(ctx, f"-m node{chosen}", "-n 5 --dist loadfile --no-loadscope-reorder --durations 15")


def _run_patiently(ctx: Context, selection: str, spread: str) -> None:
    """Run tests; a few that fail while the machine is busy are run once more, alone, and said to be so.

    Kubernetes promises no deadline: on a small machine under full load any wait can be too short.
    """
    record = ROOT / ".pytest_cache/v/cache/lastfailed"
    record.unlink(missing_ok=True)
    with ctx.cd(str(ROOT)):
        first = ctx.run(_with_tools(f"pytest -q {spread} {selection}"), echo=True, warn=True)
    if first is None or first.ok:
        return
    failed = list(json.loads(record.read_text("utf-8"))) if record.exists() else []
    if first.exited != 1 or not 0 < len(failed) <= FEW:
        sys.exit(first.exited)
    print("\nThese failed while the machine was busy, and run once more, alone:", *failed, sep="\n  ", flush=True)
    _run(ctx, f"pytest -q --last-failed --last-failed-no-failures none {selection}")


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


for extra in (test, test_node, check, checkov, bench):
    namespace.add_task(extra)
