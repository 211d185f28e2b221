"""A cause with what the log of its container adds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from berth.core.diagnosis.model import Cause, Weight

#: How engines say that their volume is full: ENOSPC and EDQUOT in the words of the C library, Go and Java.
_FULL = re.compile(
    r"no space left on device|disk quota exceeded|not enough space|insufficient disk space|disk full", re.I
)
#: Words of the line that says why, among those that only say that.
_TELLING = re.compile(r"\b(fatal|panic|refused|exception|error|denied|invalid|cannot|could not|failed)\b", re.I)
#: The reasons of causes that say no more than that a container ended, or is not done.
_BARE = ("CrashLoopBackOff", "Crashed", "Initializing")
_LONGEST = 300


def telling(lines: Iterable[str]) -> str:
    """The line that says why, of the last ones that somebody wrote: a full disk, a failure, else the last line."""
    said = [line.strip() for line in lines if line.strip()]
    for pattern in (_FULL, _TELLING):
        for line in reversed(said):
            if pattern.search(line):
                return line[:_LONGEST]
    return said[-1][:_LONGEST] if said else ""


def explained(cause: Cause, log: Sequence[str]) -> Cause:
    """The cause with the line of the log that says why; a full disk is one of its own."""
    line = telling(log)
    # What a container wrote for its end is in the message already, and mostly is from its log.
    known = any(said.strip() in cause.message for said in log if said.strip())
    message = cause.message if known or not line else f"{cause.message}: {line}"
    if _FULL.search(line):
        hint = "its volume is full: make it larger with up --set storage.size=... --resize, or free space in it"
        weight = Weight.SUSPECT if cause.weight is Weight.TRANSIENT else cause.weight
        return replace(cause, weight=weight, reason="DiskFull", message=message, hint=hint)
    return replace(cause, message=message) if cause.reason in _BARE else cause
