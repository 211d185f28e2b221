"""Where actions take place: in the world, or in a rehearsal of this very process, with a time of its own.

Without a rehearsal, nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from berth.actions.clock import Clock

#: What the first and the last line of a rehearsed run say of their target.
DESCRIPTION = "throw-away rehearsal cluster (simulated; nothing runs in it)"


@dataclass(frozen=True, slots=True)
class Stage:
    """A rehearsal under way.

    ``now`` is its time, in seconds since the epoch; ``pass_time``, where it is not None, lets that pass while an action
    waits, see `berth.cluster.mirror`; ``command`` is how an action is rehearsed again: {} stands for the action.
    """

    kubeconfig: Path
    now: Callable[[], float]
    pass_time: Callable[[Mapping[str, int] | None], None] | None
    command: str


_stage: Stage | None = None


@contextmanager
def on(stage: Stage) -> Iterator[None]:
    """Let actions take place there, and live in its time: so patience ends when it would, however fast time passes."""
    from berth.cluster import copies, mirror

    global _stage
    _stage, mirror.pass_time, copies.standing_in = stage, stage.pass_time, True
    try:
        yield
    finally:
        _stage, mirror.pass_time, copies.standing_in = None, None, False


def is_own(kubeconfig: Path) -> bool:
    """Whether this is the kubeconfig of the rehearsal under way."""
    return _stage is not None and kubeconfig == _stage.kubeconfig


def rehearsed() -> bool:
    """Whether a rehearsal is under way."""
    return _stage is not None


def again(action: str) -> str:
    """The command that rehearses another action in the same way; the action itself where nothing is rehearsed."""
    return _stage.command.format(action) if _stage is not None else action


def clock() -> Clock:
    """The clock for an action."""
    from berth.actions.clock import Clock

    if _stage is None:
        return Clock()
    now = _stage.now
    return Clock(now, lambda: datetime.fromtimestamp(now(), UTC))
