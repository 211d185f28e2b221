"""Processes that outlive the program that started them, and are never confused with others.

A pid alone names whichever process has that number today. A record therefore holds the pid, the process's start time as
the kernel counts it, and the id of the boot: a record from before a reboot, or of a number used again, names nobody.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from berth.core.errors import LocalError
from berth.local.files import write_private

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
POLL = 0.02

#: Children of this very program: a dead one is a zombie until it is waited for.
_children: set[int] = set()


@dataclass(frozen=True, slots=True)
class Record:
    """Which process something is. ``began`` is its start time in seconds since the epoch, for people."""

    pid: int
    start_time: str
    boot: str
    began: float

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        if self.pid in _children and os.waitpid(self.pid, os.WNOHANG) != (0, 0):
            _children.discard(self.pid)
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


def environment(*, python: bool = False) -> dict[str, str]:
    """What a process sees of the caller's environment: enough to run, and no proxy, token or Kubernetes setting.

    With ``python`` it finds the package that runs now, wherever it was imported from, also from a checkout that is not
    installed.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
    if python:
        package_parent = Path(__file__).resolve().parents[2]
        search = [str(package_parent), *(entry for entry in sys.path if entry)]
        kept["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(search))
    return kept


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    record: Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    hint: str = "",
) -> Record:
    """Start a process in a session of its own, its output in ``log``, and write down which one it is.

    The log of the process before it, which may have crashed, is kept beside the new one.

    ``hint`` says what to try where it does not run.

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
            hint=hint,
        ) from error
    finally:
        os.close(descriptor)
    _children.add(child.pid)
    # Without this, Python warns at its own end of a process that is meant to stay.
    child.returncode = 0
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


def matching(belongs: Callable[[Sequence[str]], bool]) -> list[Record]:
    """Running processes of this user whose command line belongs; none where the system has no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid != os.getuid():
                continue
            arguments = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
        except OSError:
            continue
        if belongs(arguments):
            pid = int(entry.name)
            found.append(Record(pid, start_time(pid), boot_id(), 0.0))
    return found
