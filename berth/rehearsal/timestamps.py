"""Times as the API server reads and writes them (RFC 3339, UTC; metadata in seconds, Events and Leases in millionths).

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (Time, MicroTime).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_ANY = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def read(text: str) -> datetime | None:
    """The time; None where the text is none."""
    if not _ANY.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)
    except ValueError:
        return None


def seconds(value: Any) -> Any:
    """A time as metadata has it; what is none stays as it is."""
    if not isinstance(value, str) or _SECONDS.fullmatch(value):
        return value
    found = read(value)
    return value if found is None else found.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(value: Any) -> Any:
    """A time as Leases have it; what is none stays as it is."""
    if not isinstance(value, str) or _MICRO.fullmatch(value):
        return value
    found = read(value)
    return value if found is None else found.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
