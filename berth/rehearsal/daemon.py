"""The process that a rehearsal is: `python -m berth.rehearsal.daemon NAME DIRECTORY [--exact-port]`.

It holds the state's lock for as long as it lives, so that two of them never share one state; it opens the state,
listens on the loopback interface, and writes the kubeconfig and then `up.json`, which says that it answers. It ends at
SIGTERM and SIGINT, and when nobody has asked it anything for as long as its settings say. A start that fails says why
in `failure.json`, for the one who started it.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from berth.core import errors
from berth.core.errors import BerthError, LocalError
from berth.local import ports
from berth.local.files import write_private
from berth.rehearsal import kubeconfig
from berth.rehearsal import settings as remembered
from berth.rehearsal.paths import Layout

if TYPE_CHECKING:
    from berth.rehearsal.dns_server import DnsServer
    from berth.rehearsal.scenario import Scenario
    from berth.rehearsal.world import World

#: The file's fact that says until when virtual time had passed.
TIME = "time"
#: The fact that says which scenario, by its text, was in force last.
SCENARIO = "scenario-text"
#: Seconds that ports of the last start may still be held by what is just ending.
PORT_GRACE = 1.0
PORT_ATTEMPTS = 8
#: Seconds that virtual time begins behind this machine's. At the brisk pace it gains on it, and clients such as kubectl
#: show an age that lies in their future as invalid.
HEAD_START = 120.0
#: Seconds between two looks whether the state directory is still there.
LOOK = 30.0


def main(arguments: list[str]) -> int:
    """Serve until the end; the exit code."""
    name, root, *rest = arguments
    layout = Layout(name, Path(root))
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        with alone(layout):
            _serve(layout, ending, exact="--exact-port" in rest)
    except BerthError as error:
        _tell(layout, error)
        print(error, file=sys.stderr, flush=True)
        return error.exit_code
    return 0


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Hold the state for this process; the kernel lets go of it when the process dies, however it dies.

    Raises:
        LocalError: another process has it.
    """
    descriptor = os.open(layout.serving, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
            raise LocalError(
                f"another server has the state of rehearsal {layout.name}",
                where=str(layout.root),
                why=f"process {holder} holds its lock",
                hint=f"end that process, or use a rehearsal of another name: --name {layout.name}-2",
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _serve(layout: Layout, ending: threading.Event, *, exact: bool) -> None:
    from berth.rehearsal import server as http
    from berth.rehearsal.bootstrap import KUBELET_VERSION
    from berth.rehearsal.clock import BRISK, Pace
    from berth.rehearsal.dns_server import DnsServer
    from berth.rehearsal.server import certificate
    from berth.rehearsal.store import Store
    from berth.rehearsal.world import World

    chosen = remembered.read(layout.settings)
    scenario = _scenario(chosen.scenario)
    pace = Pace.parse(chosen.pace or scenario.pace or str(BRISK))
    with ExitStack() as stack:
        store = Store(layout.state)
        world = World(
            store,
            pace=pace,
            seed=scenario.seed if chosen.seed is None and chosen.scenario else chosen.seed,
            scenario=scenario,
            start=_beginning(store.fact(TIME), scenario.begin),
        )
        stack.callback(world.close)
        _begin_anew(world)
        # With every write, so that time does not go back for those who read the objects after a SIGKILL.
        store.listeners.append(lambda change: store.remember(TIME, str(world.clock.now())))
        api_port = _port(chosen.port, layout, exact=exact)
        secured = certificate.ensure(layout.root)
        server = http.serve(world, port=api_port, token=chosen.token, certificate=secured)
        stack.callback(server.close)
        names = _dns(DnsServer, world, chosen.dns_port)
        stack.callback(names.close)
        world.start()
        url = f"https://{ports.LOOPBACK}:{api_port}"
        kubeconfig.write(layout, url, chosen.token, secured.certificate.read_text(encoding="ascii"))
        replace(chosen, port=api_port, dns_port=names.port, server=url).write(layout.settings)
        told = {
            "pid": os.getpid(),
            "pace": str(pace),
            "dns": f"{ports.LOOPBACK}:{names.port}",
            "version": KUBELET_VERSION,
        }
        write_private(layout.up, json.dumps(told))
        stack.callback(layout.up.unlink, missing_ok=True)
        _wait(layout, ending, chosen.idle, lambda: max(server.last_used, names.last_used))


def _scenario(name: str) -> Scenario:
    from berth.rehearsal.scenario import DEFAULT

    if not name:
        return DEFAULT
    from berth.rehearsal import scenariofile

    return scenariofile.find(name)


def _beginning(stopped_at: str | None, begin: float | None) -> float:
    """When virtual time goes on: never before it stopped, and not in the past unless the scenario lies there."""
    if stopped_at is None:
        return time.time() - HEAD_START if begin is None else begin
    return float(stopped_at) if begin is not None else max(time.time() - HEAD_START, float(stopped_at))


def _begin_anew(world: World) -> None:
    """Let the times of a scenario count from now where another one, or none, was in force before."""
    from berth.rehearsal import scenarioclock
    from berth.rehearsal.controllers.director import Director

    before, now = world.store.fact(SCENARIO) or "", world.scenario.source
    if before == now:
        return
    with world.request():
        world.store.remember(SCENARIO, now)
        if scenarioclock.has_begun(world):
            for controller in world.controllers:
                if isinstance(controller, Director):
                    controller.begin()


def _port(wanted: int, layout: Layout, *, exact: bool) -> int:
    """The port of the last start, so that kubeconfigs stay good; a fresh one where it is taken.

    Raises:
        LocalError: it is taken, and it was asked for.
    """
    if wanted and ports.become_free([wanted], PORT_GRACE):
        return wanted
    if exact:
        raise LocalError(
            f"port {wanted} is taken",
            where=f"{ports.LOOPBACK}:{wanted}",
            why="another process listens on it, or this user may not",
            hint="another --port, or none: then a free one is chosen",
        )
    return ports.free(1)[0]


def _dns(make: Callable[[World, int], DnsServer], world: World, wanted: int) -> DnsServer:
    """The DNS server, on the port of the last start where it is free."""
    # Below the ports that the system hands out, like that of the API, so that they are free the next time, too.
    for port in (*((wanted,) if wanted else ()), *ports.free(PORT_ATTEMPTS)):
        with suppress(OSError):
            return make(world, port)
    raise LocalError(f"no free port for DNS after {PORT_ATTEMPTS} attempts", where=ports.LOOPBACK)


def _wait(layout: Layout, ending: threading.Event, idle: float, last_used: Callable[[], float]) -> None:
    """Return when asked to end, or when idle for so many seconds (0: never).

    A `start` touches ``up.json`` to keep the process. The file goes away before that is looked at for the last time: a
    start that still found it is heard, and one that does not starts the next process.
    """
    while not ending.wait(min(LOOK, _until_idle(layout.up, idle, last_used))):
        if not layout.up.exists():
            print("the state directory is gone, so nobody can find this process any more", flush=True)
            return
        if _until_idle(layout.up, idle, last_used) > 0:
            continue
        leaving = layout.up.with_suffix(".leaving")
        try:
            layout.up.rename(leaving)
        except FileNotFoundError:
            continue
        if _until_idle(leaving, idle, last_used) == 0:
            leaving.unlink()
            print(f"nobody asked for anything for {idle:g} s", flush=True)
            return
        leaving.rename(layout.up)


def _until_idle(asked_for: Path, idle: float, last_used: Callable[[], float]) -> float:
    """Seconds until the process counts as idle."""
    if not idle:
        return math.inf
    try:
        asked = time.time() - asked_for.stat().st_mtime
    except OSError:
        return 0.0
    return max(0.0, idle - max(0.0, min(asked, time.monotonic() - last_used())))


def _tell(layout: Layout, error: BerthError) -> None:
    """Write down why the start failed; the class by the name that `berth.core.errors` has for it."""
    kind = next(one.__name__ for one in type(error).__mro__ if getattr(errors, one.__name__, None) is one)
    problems = [asdict(problem) for problem in error.problems]
    try:
        write_private(layout.failure, json.dumps({"type": kind, "problems": problems}))
    except OSError as unwritten:
        print(unwritten, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
