"""The task import."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, setting


@berth_task(
    Option("statefulset", "name of the StatefulSet; may be left away where the namespace has one"),
    options.NAMESPACE,
    Option("profile", "name of the new profile (default: the name that its claims are labelled with, else the set's)"),
    Option("output-dir", "directory that gets profiles/ and templates/ (default: the project, else this one)"),
    Option("force", "replace files that are there", False),
    Option("check", "write no file, only show what would be written and what differs", False),
    *options.TARGET,
    name="import",
)
def import_set(ctx: Context, flags: Flags) -> int | None:
    """Write a profile of a StatefulSet that runs already; `up` then takes it over without a restart.

    Nothing is written to the cluster.
    """
    from berth.actions.import_set import import_set as run
    from berth.actions.import_set import lines
    from berth.cli import target as targets
    from berth.library import find_project, open_library

    target = targets.choose(ctx, flags)
    namespace = setting(ctx, "namespace", flags.namespace) or target.namespace or "default"
    directory = Path(flags.output_dir) if flags.output_dir else find_project() or Path.cwd()
    where = [
        word for flag in ("context", "kubeconfig") if (value := getattr(flags, flag)) for word in (f"--{flag}", value)
    ]
    with closing(target.connect()) as kube:
        done = run(
            kube,
            namespace,
            flags.statefulset,
            flags.profile,
            directory,
            library=open_library(),
            check=flags.check,
            force=flags.force,
        )
    print(f"target: {target.description}")
    if done.written and directory.resolve() != (find_project() or directory).resolve():
        print(f"project: {directory}; the commands below are for there")
    print("\n".join(lines(done, where)))
    return None
