"""When to ask again, how long to wait, and when to give up.

The policy is for every verb. What a verb must say is only whether it may be repeated when nobody knows if the
server acted (``repeatable``). The jitter keeps many clients from coming back at the same moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import random
from typing import Generic, Protocol, TypeVar

from berth.cluster.refusals import Status
from berth.cluster.transport import Unreachable, WireError

#: Connection failures that will not go away in seconds: fail at once when the server never answered before.
_HOPELESS = frozenset({"refused", "dns", "tls", "timeout", "proxy"})


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient to be, in seconds: waits double from ``first`` to ``longest``; all tries together take ``budget``."""

    tries: int = 10
    first: float = 0.1
    longest: float = 8.0
    budget: float = 120.0

    def wait(self, tried: int, chance: float) -> float:
        """Seconds to wait after that many tries; ``chance`` from 0 to 1 spreads it over the upper half."""
        return min(self.first * 2.0 ** (tried - 1), self.longest) * (0.5 + chance / 2)


class Answer(Protocol):
    """What a try gives back when the server answered: ``refused`` is None for success."""

    @property
    def refused(self) -> Status | None:
        """The Status of a refusal."""


A = TypeVar("A", bound=Answer)


class GivenUp(Exception):
    """No answer worth having in the time and the tries given.

    ``wire`` is the last failure of the connection, or ``status`` the last refusal.
    """

    def __init__(self, tries: int, seconds: float, wire: WireError | None, status: Status | None) -> None:
        """Remember how hard it was tried."""
        super().__init__(self.words(wire, status))
        self.tries, self.seconds, self.wire, self.status = tries, seconds, wire, status

    @staticmethod
    def words(wire: WireError | None, status: Status | None) -> str:
        """The last cause."""
        if status is not None:
            return f"{status.message or 'no reason given'} (HTTP {status.code})"
        return str(wire)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[A]):
    """The answer, and whether an earlier try may have acted already (its answer was lost)."""

    answer: A
    uncertain: bool


@dataclass(slots=True)
class Retry:
    """Repeats a call at a pace; the clock, the sleep and the chance are given, so that tests need no time."""

    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    chance: Callable[[], float] = random
    #: Whether the server ever answered: then a refused connection is a restart, not a wrong address.
    reached: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, call: Callable[[], A], *, repeatable: bool = True, contended: bool = False) -> Outcome[A]:
        """The first answer that is final, be it success or a refusal that no repetition changes.

        ``repeatable``: sending it twice does no harm. ``contended``: the call does not depend on the version of the
        object, so that losing a race against another writer (409) is a reason to try again.

        Raises:
            GivenUp: there was none.
        """
        begun, tried, uncertain = self.clock(), 0, False
        while True:
            tried += 1
            wire: WireError | None = None
            status: Status | None = None
            try:
                answer = call()
            except WireError as error:
                wire = error
                again = self._again_after_failure(error, repeatable)
                uncertain = uncertain or not isinstance(error, Unreachable)
            else:
                self.reached = True
                status = answer.refused
                again = status is not None and _again_after_refusal(status, repeatable, contended)
                if not again:
                    return Outcome(answer, uncertain)
                # 429 and a refused conflict are decisions; after a 5xx the request may have been carried out.
                uncertain = uncertain or (status is not None and status.code >= 500)
            spent = self.clock() - begun
            wait = self._wait(tried, status)
            if not again or tried >= self.pace.tries or spent + wait > self.pace.budget or self.stopped.is_set():
                raise GivenUp(tried, spent, wire, status)
            (self.sleep or self.stopped.wait)(wait)

    def _again_after_failure(self, error: WireError, repeatable: bool) -> bool:
        if isinstance(error, Unreachable):
            return (self.reached and error.kind != "tls") or error.kind not in _HOPELESS
        return repeatable

    def _wait(self, tried: int, status: Status | None) -> float:
        own = self.pace.wait(tried, self.chance())
        asked = status.retry_after if status is not None else None
        # The server's wish is a minimum; coming back exactly then is what every other client does.
        return own if asked is None else max(own, asked + own / 4)


def _again_after_refusal(status: Status, repeatable: bool, contended: bool) -> bool:
    """Whether the same request may fare better later."""
    if status.code == 429 or (status.code == 503 and status.retry_after is not None):
        return True
    if status.code == 409:
        return status.passing or (contended and status.raced)
    if status.our_fault:
        return False
    return repeatable and (status.code in (500, 502, 503, 504) or (status.passing and status.code >= 400))
