"""One at a time, across processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from berth.core.errors import TimedOutError

POLL = 0.1
REPEAT = 15.0


@contextmanager
def exclusive(path: Path, *, doing: str, timeout: float, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file; while another process holds it, wait and say so every 15 seconds.

    The kernel lets go of the lock when its holder dies, however it dies.

    Raises:
        TimedOutError: another process still held it after ``timeout`` seconds.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, path, doing, timeout, report)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, doing: str, timeout: float, report: Callable[[str], None]) -> None:
    began = time.monotonic()
    told = -REPEAT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        waited = time.monotonic() - began
        holder = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
        if waited > timeout:
            raise TimedOutError(
                f"{doing}: another process still holds the lock after {timeout:.0f} s",
                where=str(path),
                why=f"process {holder} has it",
                hint="wait for that process, or end it",
            )
        if waited - told >= REPEAT:
            told = waited
            report(f"{doing}: waiting for process {holder}, which is at it already ({waited:.0f} s)")
        time.sleep(POLL)
