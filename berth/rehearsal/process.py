"""Start, stop and state of the process that a rehearsal is; what runs in it is `berth.rehearsal.daemon`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from berth.core import errors
from berth.core.errors import BerthError, LocalError, Problem, TimedOutError
from berth.local import files, processes
from berth.local.locks import exclusive
from berth.rehearsal import settings as remembered
from berth.rehearsal.paths import Layout
from berth.rehearsal.settings import Wishes

Report = Callable[[str], None]

DAEMON = "berth.rehearsal.daemon"
START_TIMEOUT = 60.0
STOP_GRACE = 10.0
POLL = 0.005


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a rehearsal.

    ``server``, ``dns`` (address and port, both for UDP and TCP) and ``version`` are empty where it was never started;
    ``since`` is None where it does not run. ``idle`` is in seconds, 0 for never.
    """

    name: str
    running: bool
    pid: int | None
    server: str
    dns: str
    version: str
    pace: str
    seed: int | None
    scenario: str
    idle: float
    kubeconfig: Path
    state_dir: Path
    log: Path
    since: datetime | None

    def to_json(self) -> dict[str, object]:
        """The same as one JSON object, for `cluster.status --output json`."""
        return {
            "name": self.name,
            "engine": "rehearsal",
            "running": self.running,
            "pid": self.pid,
            "server": self.server,
            "dns": self.dns,
            "version": self.version,
            "pace": self.pace,
            "seed": self.seed,
            "scenario": self.scenario,
            "idle": self.idle,
            "kubeconfig": str(self.kubeconfig),
            "stateDir": str(self.state_dir),
            "log": str(self.log),
            "since": self.since.isoformat() if self.since else None,
        }


def status(name: str) -> Status:
    """See `berth.rehearsal.status`."""
    return _status(Layout.of(name))


def start(name: str, wishes: Wishes, report: Report) -> Status:
    """See `berth.rehearsal.start`."""
    layout = Layout.of(name)
    up = _up(layout, wishes)
    if up is not None:
        return up
    # Wrong wishes are told before anything is made or ended.
    remembered.read(layout.settings).with_wishes(wishes)
    files.private_dir(layout.root.parent)
    with exclusive(layout.lock, doing=f"start of rehearsal {name}", timeout=2 * START_TIMEOUT, report=report):
        # Again: whoever held the lock meanwhile may have started it.
        up = _up(layout, wishes)
        if up is not None:
            return up
        if _status(layout).running:
            report(f"rehearsal {name} is started anew with what it holds")
        _end(layout)
        files.private_dir(layout.root)
        remembered.read(layout.settings).with_wishes(wishes).write(layout.settings)
        return _spawn(layout, wishes)


def stop(name: str, report: Report) -> Status:
    """See `berth.rehearsal.stop`."""
    layout = Layout.of(name)
    if layout.root.is_dir():
        with exclusive(layout.lock, doing=f"stop of rehearsal {name}", timeout=2 * START_TIMEOUT, report=report):
            _end(layout)
    return _status(layout)


def delete(name: str, report: Report) -> None:
    """See `berth.rehearsal.delete`."""
    layout = Layout.of(name)
    if not layout.root.is_dir():
        return
    with exclusive(layout.lock, doing=f"delete of rehearsal {name}", timeout=2 * START_TIMEOUT, report=report):
        _end(layout)
        # Out of the way in one step first: a delete that is cut short must not leave half a state.
        doomed = layout.root.with_name(f".{layout.name}.deleted-{os.getpid()}")
        layout.root.rename(doomed)
        shutil.rmtree(doomed)
    report(f"rehearsal {name} is deleted")


def _status(layout: Layout) -> Status:
    record = processes.read(layout.record)
    alive = record is not None and record.alive()
    told = _json(layout.up)
    chosen = remembered.read(layout.settings)
    running = alive and record is not None and told.get("pid") == record.pid
    return Status(
        name=layout.name,
        running=running,
        pid=record.pid if record is not None and alive else None,
        server=chosen.server,
        dns=str(told.get("dns", "")) if running else "",
        version=str(told.get("version", "")),
        pace=str(told.get("pace") or chosen.pace or "brisk"),
        seed=chosen.seed,
        scenario=chosen.scenario,
        idle=chosen.idle,
        kubeconfig=layout.kubeconfig,
        state_dir=layout.root,
        log=layout.log,
        since=datetime.fromtimestamp(record.began, tz=UTC) if record is not None and running else None,
    )


def _up(layout: Layout, wishes: Wishes) -> Status | None:
    """The status of a rehearsal that answers and is as wished; being asked for keeps it from ending as idle."""
    try:
        os.utime(layout.up)
    except OSError:
        return None
    found = _status(layout)
    if not found.running:
        return None
    now = remembered.read(layout.settings)
    return found if now.with_wishes(wishes) == now else None


def _spawn(layout: Layout, wishes: Wishes) -> Status:
    layout.failure.unlink(missing_ok=True)
    record = processes.spawn(
        [sys.executable, "-m", DAEMON, layout.name, str(layout.root), *(["--exact-port"] if wishes.port else [])],
        log=layout.log,
        record=layout.record,
        cwd=layout.root,
        environment=processes.environment(python=True),
    )
    deadline = time.monotonic() + START_TIMEOUT
    while _json(layout.up).get("pid") != record.pid:
        if not record.alive():
            raise _failure(layout)
        if time.monotonic() > deadline:
            processes.end([record], grace=1.0)
            raise TimedOutError(
                f"rehearsal {layout.name} did not come up in {START_TIMEOUT:.0f} s", where=str(layout.log)
            )
        time.sleep(POLL)
    return _status(layout)


def _failure(layout: Layout) -> BerthError:
    """Why the process ended: as it said itself, else what its log says last."""
    told = _json(layout.failure)
    kind = getattr(errors, str(told.get("type", "")), None)
    if isinstance(kind, type) and issubclass(kind, BerthError):
        return kind(Problem(**one) for one in _list(told.get("problems")))
    last = "\n".join(f"    {line[:300]}" for line in processes.tail(layout.log))
    return LocalError(
        f"rehearsal {layout.name} ended while it was starting",
        where=str(layout.log),
        why=f"its last words were:\n{last}" if last else "it said nothing",
        hint="the log has the rest; `cluster.delete --engine rehearsal` and a new start lose what it held",
    )


def _end(layout: Layout) -> None:
    """End the process, and those that no record names: of a start that was killed, or of a directory that was lost."""
    record = processes.read(layout.record)
    ending = [record] if record is not None and record.alive() else []
    known = {one.pid for one in ending}
    ending += [one for one in processes.matching(lambda line: _is_daemon(line, layout)) if one.pid not in known]
    if ending:
        processes.end(ending, grace=STOP_GRACE)
    layout.record.unlink(missing_ok=True)
    layout.up.unlink(missing_ok=True)


def _is_daemon(arguments: Sequence[str], layout: Layout) -> bool:
    return DAEMON in arguments[1:4] and str(layout.root) in arguments[3:6]


def _list(value: object) -> list[dict[str, str]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _json(path: Path) -> dict[str, object]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
