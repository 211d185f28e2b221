"""Polling with a deadline, for what has no watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], timeout: float = 60.0, every: float = 0.1) -> Found:
    """What ``look`` returns once it is not None; fails after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found is not None:
            return found
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(every)
