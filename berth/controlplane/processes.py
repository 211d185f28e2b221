"""Processes that outlive the program that started them, and are never confused with others.

A pid alone names whichever process has that number today. A record therefore holds the pid, the process's start time as
the kernel counts it, and the id of the boot: a record from before a reboot, or of a number used again, names nobody.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from berth.controlplane.components import COMPONENTS, PROVISIONER
from berth.controlplane.paths import write_private
from berth.core.errors import LocalError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
POLL = 0.02

#: Children of this very program: kept so that their end is noticed (a dead child is a zombie until it is waited for),
#: and so that Python does not warn about processes that are meant to stay.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Record:
    """Which process a component is. ``began`` is its start time in seconds since the epoch, for people."""

    pid: int
    start_time: str
    boot: str
    began: float

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        child = _children.get(self.pid)
        if child is not None:
            child.poll()
        return self.boot == boot_id() and self.start_time != "" and start_time(self.pid) == self.start_time

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to exactly this process, to no other that has its number now."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass


def boot_id() -> str:
    """What tells this boot of the machine from the one before; empty where the system has no such thing."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_time(pid: int) -> str:
    """When the process started, in the system's own notation; empty when there is no such process or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _start_time_by_ps(pid) if not Path("/proc/self/stat").exists() else ""
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else ticks


def _start_time_by_ps(pid: int) -> str:
    # Systems without /proc, such as macOS.
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C", "PATH": "/bin"})
    except OSError:
        return ""
    state, _, began = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else began.strip()


def spawn(
    argv: Sequence[str], *, log: Path, record: Path, cwd: Path, environment: Mapping[str, str] | None = None
) -> Record:
    """Start a process in a session of its own, its output in ``log``, and write down which one it is.

    The log of the process before it, which may have crashed, is kept beside the new one.

    Raises:
        LocalError: the program cannot be executed.
    """
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
            umask=0o077,
        )
    except OSError as error:
        raise LocalError(
            f"{argv[0]} does not run",
            why=error.strerror or str(error),
            hint="it may be made for another kind of machine; name another directory, or none: --binaries DIR",
        ) from error
    finally:
        os.close(descriptor)
    _children[child.pid] = child
    made = Record(child.pid, start_time(child.pid), boot_id(), time.time())
    write_private(record, json.dumps(asdict(made)))
    return made


def read(record: Path) -> Record | None:
    """The record in the file; None when there is none, or it was cut short by a crash."""
    try:
        data = json.loads(record.read_text(encoding="utf-8"))
        return Record(int(data["pid"]), str(data["start_time"]), str(data["boot"]), float(data["began"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def end(records: Sequence[Record], *, grace: float) -> bool:
    """Ask the processes to end, wait ``grace`` seconds, then kill what is left; whether none had to be killed."""
    for record in records:
        record.signal(signal.SIGTERM)
    if _gone(records, grace):
        return True
    for record in records:
        record.signal(signal.SIGKILL)
    _gone(records, 10.0)
    return False


def _gone(records: Sequence[Record], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(record.alive() for record in records):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def tail(log: Path, lines: int = 12) -> list[str]:
    """The last lines of a log, empty where there is none; reads at most its last 64 KiB."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65536))
            return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def of_directory(root: Path) -> list[Record]:
    """Components that run with files of this state directory; none where the system has no /proc.

    What a user does with those files (an editor, a pager) is no component: the program's name decides, too.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid != os.getuid():
                continue
            arguments = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
        except OSError:
            continue
        named = Path(arguments[0]).name in COMPONENTS or PROVISIONER in arguments[1:4]
        if named and any(f"{root}/" in argument for argument in arguments):
            pid = int(entry.name)
            found.append(Record(pid, start_time(pid), boot_id(), 0.0))
    return found
