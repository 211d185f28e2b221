"""From options to a cluster, and from nothing to the rehearsal cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import stage
from berth.cli.common import Flags, note, setting
from berth.cluster.target import LOCAL_PLANE, REHEARSAL, NoTarget, Target, local_name, resolve
from berth.core.errors import InputError

if TYPE_CHECKING:
    from berth.cluster.kube import Kube
    from berth.cluster.record import ReleaseRecord


def choose(ctx: Context, flags: Flags, before_start: Callable[[], object] = lambda: None) -> Target:
    """The target that the options, ``invoke.yaml`` and the kubeconfig name.

    Where there is no kubeconfig at all, it is the default rehearsal cluster. A rehearsal cluster, however it was
    chosen, is started where it does not run: it ends by itself when nobody uses it, and has everything in it again.
    ``before_start`` is called before that, so that nothing is started for a typing error.

    Raises:
        TargetError: there is none, or it is not the one that was asked for.
    """
    context = setting(ctx, "context", flags.context)
    kubeconfig = setting(ctx, "kubeconfig", flags.kubeconfig)

    def look(context: str | None) -> Target:
        return resolve(context, kubeconfig, os.environ, lambda chosen: _local(chosen, before_start))

    try:
        target = look(context)
    except NoTarget as none:
        if not _runs():
            note(f"no cluster is configured: {none.problems[0].why}")
            note("starting a rehearsal cluster: Kubernetes simulated in one process, in which no containers run")
            if _running_plane(LOCAL_PLANE):
                note(f"A control plane runs on this machine; to use it: --context {LOCAL_PLANE}")
        context, target = REHEARSAL, look(REHEARSAL)
    if stage.is_own(target.file):
        return replace(target, description=stage.DESCRIPTION)
    name = _name_of(target)
    if name is None:
        return target
    if not _runs(name):
        _rehearsal(name, before_start)
        # Its port may have been taken meanwhile.
        target = look(context)
    return _simulated(target, name)


def require_one(flags: Flags) -> None:
    """Refuse options that do not name one release.

    Raises:
        InputError: neither --name nor --profile is given, or both are.
    """
    if bool(flags.name) == bool(flags.profile):
        raise InputError("which release?", hint="--name NAME, or --profile NAME")


@contextmanager
def one_release(ctx: Context, flags: Flags) -> Iterator[tuple[Kube, ReleaseRecord, str]]:
    """The cluster, the record of the release that the options name, and the target in words.

    Raises:
        InputError: the options name none, or there is none of that name.
        TargetError: see `choose`.
    """
    require_one(flags)
    from berth.cluster.release import find_release

    target = choose(ctx, flags)
    namespace = setting(ctx, "namespace", flags.namespace) or target.namespace or "default"
    with closing(target.connect()) as kube:
        yield kube, find_release(kube, namespace, flags.name, flags.profile), target.description


def named(context: str, kubeconfig: str | None) -> Target:
    """The target of a context that the user named; a rehearsal cluster is started where it does not run.

    Raises:
        TargetError: there is no such context.
    """
    target = resolve(context, kubeconfig, os.environ, lambda chosen: _local(chosen, lambda: None))
    name = _name_of(target)
    return target if name is None else _simulated(target, name)


def _simulated(target: Target, name: str) -> Target:
    """The target, which says of itself that it is a rehearsal."""
    which = "rehearsal cluster" if name == "default" else f"rehearsal cluster {name}"
    return replace(target, description=f"{which} (simulated; nothing runs in it)")


def _local(context: str, before_start: Callable[[], object]) -> Path | None:
    """The kubeconfig of a cluster of this machine by its reserved name; None where it does not run."""
    name = local_name(context, REHEARSAL)
    return _rehearsal(name, before_start) if name is not None else _running_plane(context)


def _name_of(target: Target) -> str | None:
    """The name of the rehearsal whose own kubeconfig was chosen; None where it is another one."""
    from berth import rehearsal

    name = target.file.parent.name
    try:
        return name if rehearsal.kubeconfig_path(name) == target.file.absolute() else None
    except InputError:
        return None


def _runs(name: str = "default") -> bool:
    from berth import rehearsal

    return rehearsal.status(name).running


def _rehearsal(name: str, before_start: Callable[[], object]) -> Path:
    """The kubeconfig of a rehearsal cluster that runs now."""
    from berth import rehearsal

    if not _runs(name):
        before_start()
    return rehearsal.start(name, report=note).kubeconfig


def _running_plane(context: str) -> Path | None:
    from berth import controlplane

    status = controlplane.status(local_name(context, LOCAL_PLANE) or controlplane.DEFAULT_NAME)
    return status.kubeconfig if status.running else None
