"""Durations as Go and Kubernetes write them: 500ms, 2s, 1m30s, 1h."""

from __future__ import annotations

import re

from berth.core.errors import InputError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")


def seconds_in(text: str | int | float) -> float:
    """The seconds that a duration stands for, zero included; a plain number counts seconds.

    Raises:
        InputError: it is not a duration, or it is negative.
    """
    hint = "write it as 500ms, 2s or 1m30s"
    if isinstance(text, bool):
        raise InputError(f"{str(text).lower()} is not a duration", hint=hint)
    if isinstance(text, (int, float)):
        if text < 0:
            raise InputError(f"{text} is before the beginning: a time cannot be negative", hint=hint)
        return float(text)
    written = text.strip()
    if written.startswith("-") and _PART.match(written[1:]):
        raise InputError(f"{text!r} is before the beginning: a time cannot be negative", hint=hint)
    if re.fullmatch(r"\d+(?:\.\d+)?", written):
        return float(written)
    parts = _PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise InputError(f"{text!r} is not a duration", hint=hint)
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts), 9)


def go_duration(seconds: float) -> str:
    """A duration as Go prints it, to the millisecond: 10s, 1m20s, 5m0s, 100ms, 1.5s."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    whole, rest = divmod(milliseconds, 1000)
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f"{left}.{rest:03d}".rstrip("0") if rest else str(left)
    if hours:
        return f"{hours}h{minutes}m{tail}s"
    return f"{minutes}m{tail}s" if minutes else f"{tail}s"
