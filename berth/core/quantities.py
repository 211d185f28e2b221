"""Sizes and durations, as Kubernetes and people write them."""

from __future__ import annotations

import re
from decimal import Decimal

from berth.core.errors import InputError

_SUFFIXES = {
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?))")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_quantity(text: str | int | float) -> Decimal:
    """The number that a Kubernetes quantity stands for ("500m" is 0.5, "1Gi" is 2**30).

    The grammar is that of k8s.io/apimachinery/pkg/api/resource.

    Raises:
        InputError: it is not a quantity.
    """
    found = _QUANTITY.fullmatch(str(text).strip())
    if not found:
        raise InputError(f"{text!r} is not a quantity", hint="write a number with a unit, such as 500m, 2Gi or 20Gi")
    number, exponent, suffix = found.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * _SUFFIXES[suffix or ""]


def format_bytes(number: Decimal | int) -> str:
    """The shortest exact binary form of a size, in whole units: 21474836480 is 20Gi."""
    value = int(number)
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        unit = int(_SUFFIXES[suffix])
        if value and value % unit == 0:
            return f"{value // unit}{suffix}"
    return str(value)


def parse_duration(text: str | int | float) -> float:
    """The seconds that a duration stands for: "90", "90s", "2m", "1h30m".

    Raises:
        InputError: it is not a duration, or it is not above zero.
    """
    written = str(text).strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", written):
        seconds = float(written)
    else:
        found = _DURATION.fullmatch(written)
        if not written or not found:
            raise InputError(f"{text!r} is not a duration", hint="write it as 90s, 2m or 1h30m")
        hours, minutes, rest = (float(part or 0) for part in found.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if seconds <= 0:
        raise InputError(f"{text!r} is not a duration above zero", hint="write it as 90s, 2m or 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    """A duration for people, rounded to what matters: 0.3s, 42s, 2m05s, 3h10m, 12d."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 2 * 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"
