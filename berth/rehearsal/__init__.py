"""A simulated Kubernetes: one process of the user's that answers as an API server does, with all that is behind it.

Objects, controllers, nodes, volumes, DNS and a clock of its own; containers do not run. It starts in under a second,
its state survives the process, and it ends by itself when nobody uses it.

Law of this room: it behaves as Kubernetes does, never as berth would like it. Of the core it imports errors, objects,
quantities and kubeschema, and for scenario files schema and strictyaml; nothing of what it is there to test (readiness,
plan, render, diagnosis, removal), nor the rooms above them: one misunderstanding must not hide on both sides. It is
reached from the command line only. Importing the package is cheap; each function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from berth.rehearsal.process import Status
    from berth.rehearsal.settings import Wishes

__all__ = [
    "DEFAULT_CONTEXT",
    "DEFAULT_NAME",
    "Status",
    "Wishes",
    "context",
    "delete",
    "kubeconfig_path",
    "start",
    "status",
    "stop",
]

DEFAULT_NAME = "default"
#: The context of the default rehearsal; that of another one is this with its name behind it.
DEFAULT_CONTEXT = "berth-rehearsal"


def _silent(line: str) -> None:
    """Report nothing."""


def __getattr__(name: str) -> object:
    """Give the classes without importing them until they are asked for."""
    if name == "Status":
        from berth.rehearsal import process

        return process.Status
    if name == "Wishes":
        from berth.rehearsal import settings

        return settings.Wishes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def status(name: str = DEFAULT_NAME) -> Status:
    """Say whether the rehearsal runs and where, from its state directory and the process table alone.

    Starts nothing and makes no request. Raises InputError for a bad name.
    """
    from berth.rehearsal import process

    return process.status(name)


def start(name: str = DEFAULT_NAME, wishes: Wishes | None = None, *, report: Callable[[str], None] = _silent) -> Status:
    """Bring the rehearsal up and return when it answers; does nothing where it is up as wished.

    What is not wished stays as at its last start. One that runs otherwise than wished is ended and started anew, with
    everything in it. ``report`` gets one line per thing that happens.

    Raises:
        InputError: the name, the pace, the scenario or a port is not good.
        LocalError: its state cannot be read, or it does not come up.
        TimedOutError: it takes too long.
    """
    from berth.rehearsal import process, settings

    return process.start(name, wishes or settings.Wishes(), report)


def stop(name: str = DEFAULT_NAME, *, report: Callable[[str], None] = _silent) -> Status:
    """End the process, the state stays; does nothing where none runs."""
    from berth.rehearsal import process

    return process.stop(name, report)


def delete(name: str = DEFAULT_NAME, *, report: Callable[[str], None] = _silent) -> None:
    """End the process and remove the state directory, with everything that was in the cluster."""
    from berth.rehearsal import process

    process.delete(name, report)


def kubeconfig_path(name: str = DEFAULT_NAME) -> Path:
    """Where the kubeconfig of this rehearsal is, or will be once it has been started."""
    from berth.rehearsal.paths import Layout

    return Layout.of(name).kubeconfig


def context(name: str = DEFAULT_NAME) -> str:
    """The context in its kubeconfig."""
    return DEFAULT_CONTEXT if name == DEFAULT_NAME else f"{DEFAULT_CONTEXT}-{name}"
