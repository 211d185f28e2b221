"""Virtual time: what the objects' times say, and when timers are due.

Time passes as fast as the pace says. At the brisk pace it passes ten times as fast as outside while something is under
way (a pod starts, stops, or has to stay ready for a while), and as outside while nothing is; where it has come ahead of
the time outside, it then goes at half speed until that has caught up.

At the instant pace it jumps to the next timer as soon as all is done that can be done now. What goes on for ever
(back-offs, probes), and what waits for its hour however long nobody does anything, is marked as recurring: time does
not jump from one such timer to the next, or an idle rehearsal would race through the years. While only those are left
it passes as outside for a second, in which clients may act, then a hundred times as fast, so that nobody waits long for
what comes of waiting.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from berth.core.errors import InputError

#: How fast time passes at the instant pace while nothing but recurring timers is left, after so many seconds.
_IDLE_FACTOR = 100.0
_IDLE_GRACE = 1.0


#: How fast time passes at the brisk pace while something is under way, and while virtual time is ahead of the real one.
_BRISK_FACTOR = 10.0
_BRISK_BRAKE = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """Virtual seconds in one real second; ``factor`` 0 is the instant pace, -1 the brisk one."""

    factor: float

    @property
    def brisk(self) -> bool:
        """Whether time hurries while something is under way."""
        return self.factor == -1

    @property
    def instant(self) -> bool:
        """Whether time jumps."""
        return self.factor == 0

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Read "brisk", "real", "instant", or a factor such as "10x".

        Raises:
            InputError: it is none of these.
        """
        if text in _PACES:
            return cls(_PACES[text])
        try:
            factor = float(text.removesuffix("x"))
        except ValueError:
            factor = 0
        if not 0.01 <= factor <= 10000:
            raise InputError(
                f"there is no pace {text!r}",
                hint="brisk, real, instant, or how many times as fast as real: 10x (0.01 to 10000)",
            )
        return cls(factor)

    def __str__(self) -> str:
        return next((word for word, factor in _PACES.items() if factor == self.factor), f"{self.factor:g}x")


_PACES = {"brisk": -1.0, "real": 1.0, "instant": 0.0}
BRISK = Pace(-1.0)
REAL = Pace(1.0)
INSTANT = Pace(0.0)


@dataclass(order=True, slots=True)
class Timer:
    """Something due at a virtual time; ``cancel`` makes it nothing."""

    due: float
    order: int
    recurring: bool = field(compare=False)
    action: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        """It will not happen."""
        self.action = None


class Clock:
    """The time of a rehearsal. Not thread-safe: the world's lock guards it."""

    def __init__(
        self, start: float | None = None, pace: Pace = REAL, real: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin at ``start``, in seconds since the epoch; None is the time of this machine."""
        self.pace = pace
        self._real = real
        self._virtual = time.time() if start is None else start
        self._read_at = real()
        #: What virtual time may not be ahead of for long, at the brisk pace: the time outside, in ours.
        self._offset = time.time() - self._read_at
        self._flows = False
        self._idle = 0.0
        self._timers: list[Timer] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Seconds since the epoch, in virtual time; never goes back."""
        real = self._real()
        elapsed, self._read_at = real - self._read_at, real
        if self.pace.instant:
            if self._flows:
                slow = min(elapsed, max(0.0, _IDLE_GRACE - self._idle))
                self._idle += elapsed
                self._virtual += slow + (elapsed - slow) * _IDLE_FACTOR
        else:
            self._virtual += elapsed * self._factor()
        return self._virtual

    def _factor(self) -> float:
        if not self.pace.brisk:
            return self.pace.factor
        if self._under_way():
            return _BRISK_FACTOR
        return _BRISK_BRAKE if self._virtual - self._offset > self._read_at else 1.0

    def _under_way(self) -> bool:
        return any(timer.action and not timer.recurring for timer in self._timers)

    def flow(self) -> None:
        """At the instant pace, let time pass also while nothing is due: somebody outside waits for it."""
        self._read_at, self._flows = self._real(), True

    def busy(self) -> None:
        """Something was done: the next second passes as outside."""
        self._idle = 0.0

    def timestamp(self) -> str:
        """Now, as objects have it, to the second."""
        return timestamp(self.now())

    def micro_timestamp(self) -> str:
        """Now, as Leases and Events of the newer kind have it, to the microsecond."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def at(self, seconds: float, action: Callable[[], None], *, recurring: bool = False) -> Timer:
        """Have something done so many virtual seconds from now."""
        timer = Timer(self.now() + max(0.0, seconds), next(self._numbers), recurring, action)
        heapq.heappush(self._timers, timer)
        return timer

    def take_due(self) -> Callable[[], None] | None:
        """What is due now, one at a time; None when nothing is."""
        head = self._head()
        if head is None or head.due > self.now():
            return None
        heapq.heappop(self._timers)
        return head.action

    def jump(self, *, recurring: bool = False, limit: float | None = None) -> bool:
        """Go to the next timer's time, if one is worth jumping for and lies within ``limit``; whether it did."""
        head = self._head()
        if head is None or (limit is not None and head.due > limit):
            return False
        if not recurring and not self._under_way():
            return False
        self._virtual = max(self.now(), head.due)
        return True

    def move_to(self, seconds: float) -> None:
        """Let it be that late, if it is not later already."""
        self._virtual = max(self.now(), seconds)

    def wait_for(self) -> float | None:
        """Real seconds until the next timer is due; None when there is none."""
        head = self._head()
        if head is None:
            return None
        left = max(0.0, head.due - self.now())
        if not self.pace.instant:
            return left / self._factor()
        slow = min(left, max(0.0, _IDLE_GRACE - self._idle))
        return slow + (left - slow) / _IDLE_FACTOR

    def _head(self) -> Timer | None:
        while self._timers and self._timers[0].action is None:
            heapq.heappop(self._timers)
        return self._timers[0] if self._timers else None


def timestamp(seconds: float) -> str:
    """A time as objects have it: 2026-11-21T14:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str) -> float:
    """The seconds since the epoch that a time of an object says."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
