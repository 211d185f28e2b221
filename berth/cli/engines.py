"""What runs a cluster on this machine: the rehearsal, or Kubernetes itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from berth.cli.common import Flags, note, one_of
from berth.core.errors import InputError

if TYPE_CHECKING:
    from berth.controlplane import Status as PlaneStatus
    from berth.rehearsal import Status as RehearsalStatus
    from berth.rehearsal import Wishes

REHEARSAL = "rehearsal"
KUBERNETES = "kubernetes"
#: The first is the default.
ENGINES = (REHEARSAL, KUBERNETES)


class Status(Protocol):
    """What the statuses of both have in common."""

    @property
    def running(self) -> bool:
        """Whether all of it is alive."""

    @property
    def state_dir(self) -> Path:
        """Where its state is, or would be."""

    def to_json(self) -> dict[str, object]:
        """All that is known, for machines."""


class Engine(Protocol):
    """One way to run a cluster. ``what`` names one of its clusters in sentences."""

    name: str
    what: str

    def start(self, flags: Flags) -> list[str]:
        """Bring it up as the options say; what to tell about it."""

    def status(self, name: str) -> Status:
        """What of it is alive."""

    def describe(self, name: str) -> list[str]:
        """The status in lines for people."""

    def stop(self, name: str) -> bool:
        """End its processes; whether any was alive."""

    def delete(self, name: str) -> None:
        """End its processes and delete its state."""

    def kubeconfig(self, name: str) -> Path:
        """Where its kubeconfig is, or will be."""

    def ready(self, name: str) -> Path:
        """The kubeconfig of a cluster that kubectl can talk to. Raises InputError where it must be started first."""


def engine(name: str) -> Engine:
    """The engine of this name. Raises InputError when there is none."""
    return _Rehearsal() if one_of("engine", name, ENGINES) == REHEARSAL else _Kubernetes()


def other(name: str) -> Engine:
    """The engine that was not chosen."""
    return _Kubernetes() if name == REHEARSAL else _Rehearsal()


def _refuse(flags: Flags, options: tuple[str, ...], belongs_to: str) -> None:
    """Say so where an option of the other engine was given, instead of leaving it out."""
    given = [name for name in options if getattr(flags, name, None) is not None]
    if given:
        listed = ", ".join(f"--{name}" for name in given)
        raise InputError(f"{listed}: that is for the engine {belongs_to}", hint=f"add --engine {belongs_to}")


class _Kubernetes:
    """A real control plane."""

    name = KUBERNETES
    what = "control plane"

    def start(self, flags: Flags) -> list[str]:
        _refuse(flags, ("pace", "seed", "scenario", "idle", "port"), REHEARSAL)
        from berth import controlplane

        if not controlplane.status(flags.name).running:
            note(f"this takes {controlplane.estimate(flags.name, binaries=flags.binaries)}")
        found = controlplane.start(flags.name, binaries=flags.binaries, report=note)
        return [f"Kubernetes {found.version} at {found.server}"]

    def status(self, name: str) -> PlaneStatus:
        from berth import controlplane

        return controlplane.status(name)

    def describe(self, name: str) -> list[str]:
        found = self.status(name)
        alive = sum(part.alive for part in found.components)
        if not found.components:
            return [f"control plane {found.name}: never started", f"  state  {found.state_dir}"]
        partly = f"{alive} of {len(found.components)} components alive" if alive else "stopped"
        lines = [f"control plane {found.name}: {'running' if found.running else partly}"]
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

    def stop(self, name: str) -> bool:
        from berth import controlplane

        alive = any(part.alive for part in controlplane.status(name).components)
        controlplane.stop(name, report=note)
        return alive

    def delete(self, name: str) -> None:
        from berth import controlplane

        controlplane.delete(name, report=note)

    def kubeconfig(self, name: str) -> Path:
        return self.status(name).kubeconfig

    def ready(self, name: str) -> Path:
        path = self.kubeconfig(name)
        if not path.is_file():
            raise InputError(
                f"control plane {name} has no kubeconfig yet",
                where=str(path),
                hint="start it first: cluster.start --engine kubernetes",
            )
        return path


class _Rehearsal:
    """A simulated Kubernetes."""

    name = REHEARSAL
    what = "rehearsal"

    def start(self, flags: Flags) -> list[str]:
        _refuse(flags, ("binaries",), KUBERNETES)
        from berth import rehearsal

        found = rehearsal.start(flags.name, _wishes(flags), report=note)
        return [f"simulated Kubernetes {found.version} at {found.server}", f"DNS at {found.dns}"]

    def status(self, name: str) -> RehearsalStatus:
        from berth import rehearsal

        return rehearsal.status(name)

    def describe(self, name: str) -> list[str]:
        found = self.status(name)
        if not found.running:
            state = "stopped" if found.server else "never started"
            return [f"rehearsal {name}: {state}", f"  state       {found.state_dir}"]
        return list(_facts(found))

    def stop(self, name: str) -> bool:
        from berth import rehearsal

        alive = rehearsal.status(name).pid is not None
        rehearsal.stop(name, report=note)
        return alive

    def delete(self, name: str) -> None:
        from berth import rehearsal

        rehearsal.delete(name, report=note)

    def kubeconfig(self, name: str) -> Path:
        from berth import rehearsal

        return rehearsal.kubeconfig_path(name)

    def ready(self, name: str) -> Path:
        from berth import rehearsal

        if not rehearsal.status(name).running:
            note(f"starting rehearsal {name}")
        return rehearsal.start(name, report=note).kubeconfig


def _facts(found: RehearsalStatus) -> Iterator[str]:
    from berth.core.quantities import format_duration

    since = f" since {found.since.astimezone():%Y-%m-%d %H:%M:%S}" if found.since else ""
    ends = f"ends after {format_duration(found.idle)} without a request" if found.idle else "runs until stopped"
    chosen = [f"pace {found.pace}"]
    chosen += [] if found.seed is None else [f"seed {found.seed}"]
    chosen += [f"scenario {found.scenario}"] if found.scenario else []
    yield f"rehearsal {found.name}: running{since}, pid {found.pid}"
    yield f"  Kubernetes  {found.version}, simulated, at {found.server}"
    yield f"  DNS         {found.dns}"
    yield f"  time        {', '.join(chosen)}; {ends}"
    yield f"  kubeconfig  {found.kubeconfig}"
    yield f"  state       {found.state_dir}"
    yield f"  log         {found.log}"


def _wishes(flags: Flags) -> Wishes:
    from berth import rehearsal
    from berth.core.quantities import parse_duration

    return rehearsal.Wishes(
        pace=flags.pace,
        seed=_number("seed", flags.seed),
        scenario=flags.scenario,
        idle=None if flags.idle is None else 0.0 if flags.idle in ("0", "never") else parse_duration(flags.idle),
        port=_number("port", flags.port),
    )


def _number(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--{option} {text} is no whole number") from None
