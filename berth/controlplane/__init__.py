"""A real Kubernetes control plane on this machine.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler run as processes of the user, with kwok as the nodes
and a small provisioner of ours (`berth.controlplane.provisioner`) for the volumes. Pods are simulated; everything else,
from admission to garbage collection, is Kubernetes itself.

Law of this room: it knows nothing of profiles, releases or plans, and nothing here imports the `kubernetes` client.
Importing the package is cheap; each function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from berth.controlplane.model import Component, Status

__all__ = ["DEFAULT_NAME", "Component", "Status", "delete", "estimate", "kubeconfig_path", "start", "status", "stop"]

DEFAULT_NAME = "default"


def _silent(line: str) -> None:
    """Report nothing."""


def __getattr__(name: str) -> object:
    """Give the classes of `model` without importing them until they are asked for."""
    if name in ("Component", "Status"):
        from berth.controlplane import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def status(name: str = DEFAULT_NAME) -> Status:
    """Say what of the control plane is alive, from its state directory and process table alone.

    Takes about a millisecond, starts no process and makes no request. A plane that was never started has no components.
    """
    from berth.controlplane import engine

    return engine.status(name)


def start(
    name: str = DEFAULT_NAME,
    *,
    binaries: str | Path | None = None,
    report: Callable[[str], None] = _silent,
) -> Status:
    """Bring the control plane up and return when pods can be scheduled; does nothing where it is up already.

    ``binaries`` is a directory that holds the programs; None means the environment, the cache, or a build from source.
    ``report`` gets one line per thing that happens. Raises InputError for a bad name or directory, LocalError when a
    program cannot be built or a component does not come up, TimedOutError when it takes too long.
    """
    from berth.controlplane import engine

    return engine.start(name, binaries=binaries, report=report)


def stop(name: str = DEFAULT_NAME, *, report: Callable[[str], None] = _silent) -> Status:
    """Stop every process of the control plane, the data stays; does nothing where none runs."""
    from berth.controlplane import engine

    return engine.stop(name, report=report)


def delete(name: str = DEFAULT_NAME, *, report: Callable[[str], None] = _silent) -> None:
    """Stop the control plane and remove its state directory, with everything that was in the cluster."""
    from berth.controlplane import engine

    engine.delete(name, report=report)


def kubeconfig_path(name: str = DEFAULT_NAME) -> Path:
    """Where the kubeconfig of this control plane is, or will be once it has been started."""
    from berth.controlplane.paths import Layout

    return Layout.of(name).kubeconfig


def estimate(name: str = DEFAULT_NAME, *, binaries: str | Path | None = None) -> str:
    """How long a start takes here, in words that fit behind "this takes"."""
    from berth.controlplane import engine

    return engine.estimate(name, binaries=binaries)
