"""From options to a cluster, and from nothing to the offer of a local one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from invoke.context import Context

from berth.cli.common import Flags, ask, note, on_terminal, setting
from berth.cluster.target import LOCAL_PLANE, NoTarget, Target, resolve
from berth.core.errors import TargetError


def choose(ctx: Context, flags: Flags, before_offer: Callable[[], object] = lambda: None) -> Target:
    """The target that the options, ``invoke.yaml`` and the kubeconfig name.

    Where there is no kubeconfig at all, the local control plane is used when it runs, and offered when it does not;
    ``before_offer`` is called before that, so that nobody waits for a cluster to be told of a typing error.

    Raises:
        TargetError: there is none, or it is not the one that was asked for.
    """
    context = setting(ctx, "context", flags.context)
    kubeconfig = setting(ctx, "kubeconfig", flags.kubeconfig)
    try:
        return resolve(context, kubeconfig, os.environ, _running_plane)
    except NoTarget as none:
        if _running_plane() is None:
            before_offer()
            _offer(flags.yes, none.problems[0].why)
        return resolve(LOCAL_PLANE, None, os.environ, _running_plane)


def _running_plane() -> Path | None:
    from berth import controlplane

    status = controlplane.status()
    return status.kubeconfig if status.running else None


def _offer(yes: bool, why: str) -> None:
    from berth import controlplane

    takes = controlplane.estimate()
    if not yes and not on_terminal():
        raise TargetError(
            "there is no cluster to talk to",
            why=why,
            hint="--kubeconfig FILE; or, with --yes, a real Kubernetes control plane on this machine "
            f"with simulated nodes, which takes {takes}",
        )
    note("There is no kubeconfig. berth can start a real Kubernetes control plane on this machine, with simulated")
    note(f"nodes: the API is real, containers do not run. It takes {takes}.")
    if not yes and ask("Start it now? [y/N]") not in ("y", "yes"):
        raise TargetError("there is no cluster to talk to", why=why, hint="--kubeconfig FILE")
    controlplane.start(report=note)
