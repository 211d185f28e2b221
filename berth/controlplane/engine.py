"""Start, stop and state of a control plane: one process per component, one directory per plane."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from berth.controlplane import binaries as programs
from berth.controlplane import bootstrap, components, kubeconfig, nodes, pki
from berth.controlplane.api import Client, Unreachable
from berth.controlplane.components import COMPONENTS, Ports
from berth.controlplane.model import Component, Status
from berth.controlplane.paths import Layout
from berth.core.errors import LocalError, TimedOutError
from berth.local import ports, processes
from berth.local.files import private_dir, write_private
from berth.local.locks import exclusive

Report = Callable[[str], None]

START_TIMEOUT = 120.0
#: An API server that is asked to end lets requests finish; a watch would keep it for a minute.
STOP_GRACE = 8.0
#: etcd takes longer than it may while somebody still holds a watch, as in the middle of a plane that is half up.
STRAY_GRACE = 2.0
#: Seconds that ports of the last start may still be held by what is just ending.
PORT_GRACE = 2.0
POLL = 0.03
#: A port that was free when it was chosen may be taken a moment later: choose again.
PORT_ATTEMPTS = 3


class PortTaken(Exception):
    """A component died because its port is in use."""


def status(name: str) -> Status:
    """See `berth.controlplane.status`."""
    layout = Layout.of(name)
    settings = _settings(layout)
    found = []
    began = []
    for component in COMPONENTS if settings else ():
        record = processes.read(layout.pid(component))
        alive = record is not None and record.alive()
        found.append(Component(component, record.pid if record else None, alive, layout.log(component)))
        if record is not None and alive:
            began.append(record.began)
    return Status(
        name=name,
        running=bool(found) and all(part.alive for part in found),
        components=tuple(found),
        kubeconfig=layout.kubeconfig,
        server=settings[0].server if settings else "",
        version=settings[1] if settings else "",
        state_dir=layout.root,
        since=datetime.fromtimestamp(min(began), tz=UTC) if began else None,
    )


def estimate(name: str, *, binaries: str | Path | None = None) -> str:
    """See `berth.controlplane.estimate`."""
    if status(name).running:
        return "no time: it is up"
    if programs.available(binaries):
        return "about 8 seconds"
    from berth.controlplane.build import expectation

    return f"{expectation()} for the first build, then 8 seconds"


def start(name: str, *, binaries: str | Path | None, report: Report) -> Status:
    """See `berth.controlplane.start`."""
    layout = Layout.of(name)
    up = _up(layout, report)
    if up is not None:
        return up
    where = programs.directory(binaries, report=report)
    private_dir(layout.root.parent)
    with exclusive(layout.lock, doing=f"start of control plane {name}", timeout=2 * START_TIMEOUT, report=report):
        # Again: whoever held the lock meanwhile may have started it.
        up = _up(layout, report)
        if up is not None:
            return up
        began = time.monotonic()
        layout.create()
        pki.ensure(layout.pki)
        _end_strays(layout, report)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                _bring_up(layout, where, report)
                break
            except PortTaken as error:
                _stop(layout)
                layout.settings.unlink(missing_ok=True)
                if attempt == PORT_ATTEMPTS:
                    raise LocalError(f"no free port after {attempt} attempts", where=str(layout.root)) from error
        report(f"control plane {name} is up after {time.monotonic() - began:.1f} s: {layout.kubeconfig}")
        return status(name)


def stop(name: str, *, report: Report) -> Status:
    """See `berth.controlplane.stop`."""
    layout = Layout.of(name)
    if layout.root.is_dir():
        with exclusive(layout.lock, doing=f"stop of control plane {name}", timeout=2 * START_TIMEOUT, report=report):
            _stop(layout, report)
    return status(name)


def delete(name: str, *, report: Report) -> None:
    """See `berth.controlplane.delete`."""
    layout = Layout.of(name)
    if not layout.root.is_dir():
        return
    with exclusive(layout.lock, doing=f"delete of control plane {name}", timeout=2 * START_TIMEOUT, report=report):
        _stop(layout, report)
        # Out of the way in one step first: a delete that is cut short must not leave half a control plane.
        doomed = layout.root.with_name(f".{layout.name}.deleted-{os.getpid()}")
        layout.root.rename(doomed)
        shutil.rmtree(doomed)
    report(f"control plane {name} is deleted")


def _up(layout: Layout, report: Report) -> Status | None:
    """The status of a plane that is wholly up and answers."""
    found = status(layout.name)
    if not (found.running and _answers(layout, found.server)):
        return None
    report(f"control plane {layout.name} is up: {found.server}")
    return found


def _bring_up(layout: Layout, where: Path, report: Report) -> None:
    """Start what is not alive, in order, each when what it needs is there; then wait for nodes that take pods."""
    alive = set()
    for component in COMPONENTS:
        record = processes.read(layout.pid(component))
        if record is not None and record.alive():
            alive.add(component)
        else:
            # Of a process that crashed, or of before a reboot: from here on a record of a dead process means trouble.
            layout.pid(component).unlink(missing_ok=True)
    chosen = _ports(layout, keep=bool(alive))
    version = programs.version()
    write_private(layout.settings, json.dumps({"ports": chosen.to_json(), "version": version}))
    for component in ("kube-controller-manager", "kube-scheduler", "kwok"):
        kubeconfig.write_component(layout, component, chosen.server)
    kubeconfig.write_admin(layout, chosen.server)
    write_private(layout.conf / "kube-scheduler.yaml", components.scheduler_config(layout))
    nodes.write_config(layout, version)

    deadline = time.monotonic() + START_TIMEOUT
    client = _client(layout, chosen.server)
    try:
        for component in ("etcd", "kube-apiserver"):
            _spawn(component, layout, chosen, where, alive, report)
        _wait(layout, "the API server to be ready", client.ready, deadline)
        for component in ("kube-controller-manager", "kube-scheduler"):
            _spawn(component, layout, chosen, where, alive, report)
        bootstrap.create(client)
        for component in ("kwok", "provisioner"):
            _spawn(component, layout, chosen, where, alive, report)
        _wait(layout, "nodes to take pods", lambda: ports.listening(chosen.kwok) and bootstrap.usable(client), deadline)
    finally:
        client.close()


def _spawn(component: str, layout: Layout, chosen: Ports, where: Path, alive: set[str], report: Report) -> None:
    if component in alive:
        return
    processes.spawn(
        components.command(component, layout, chosen, where),
        log=layout.log(component),
        record=layout.pid(component),
        cwd=layout.root,
        environment=components.environment(component),
        hint="it may be made for another kind of machine; name another directory, or none: --binaries DIR",
    )
    report(f"started {component}")


def _wait(layout: Layout, what: str, reached: Callable[[], bool], deadline: float) -> None:
    while True:
        _check_alive(layout)
        try:
            if reached():
                return
        except Unreachable:
            pass
        if time.monotonic() > deadline:
            raise TimedOutError(
                f"the control plane did not come up in {START_TIMEOUT:.0f} s: still waiting for {what}",
                where=str(layout.root / "logs"),
                hint="look at the logs there; a start continues where this one ended",
            )
        time.sleep(POLL)


def _check_alive(layout: Layout) -> None:
    for component in COMPONENTS:
        record = processes.read(layout.pid(component))
        if record is None or record.alive():
            continue
        log = layout.log(component)
        last = processes.tail(log)
        if any("address already in use" in line for line in last):
            raise PortTaken(component)
        raise LocalError(
            f"{component} ended while the control plane was starting",
            where=str(log),
            why="its last words were:\n" + "\n".join(f"    {line[:300]}" for line in last),
            hint="the log has the rest; `cluster.delete --yes` and a new start lose what the cluster held",
        )


def _stop(layout: Layout, report: Report = lambda line: None) -> None:
    """End the components in reverse, the API server before etcd so that nothing is written to a store that is gone."""
    for group in (("provisioner", "kwok", "kube-scheduler", "kube-controller-manager"), ("kube-apiserver",), ("etcd",)):
        records = [record for component in group if (record := processes.read(layout.pid(component)))]
        living = [record for record in records if record.alive()]
        if living:
            processes.end(living, grace=STOP_GRACE)
            report(f"stopped {', '.join(group)}")
        for component in group:
            layout.pid(component).unlink(missing_ok=True)
    _end_strays(layout, report)


def _end_strays(layout: Layout, report: Report) -> None:
    """End processes of this plane that no record names: a start that was killed between the two steps left them."""
    known = {record.pid for name in COMPONENTS if (record := processes.read(layout.pid(name))) and record.alive()}
    strays = [record for record in components.running(layout.root) if record.pid not in known]
    if strays:
        report(f"ending {len(strays)} processes of an interrupted start")
        processes.end(strays, grace=STRAY_GRACE)


def _ports(layout: Layout, *, keep: bool) -> Ports:
    """The ports of the last start, so that kubeconfigs stay good; fresh ones where one of them is taken now."""
    settings = _settings(layout)
    if settings and (keep or ports.become_free(settings[0].to_json().values(), PORT_GRACE)):
        return settings[0]
    return Ports(*ports.free(4))


def _settings(layout: Layout) -> tuple[Ports, str] | None:
    try:
        data = json.loads(layout.settings.read_text(encoding="utf-8"))
        return Ports(**data["ports"]), str(data["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answers(layout: Layout, server: str) -> bool:
    client = _client(layout, server)
    try:
        return client.ready()
    finally:
        client.close()


def _client(layout: Layout, server: str) -> Client:
    return Client.of(server, layout.pki, "admin", timeout=5.0)
