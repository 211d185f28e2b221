"""Works on several releases at the same time, each after what it needs; one that fails stops only what needs it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from berth.core.errors import BerthError, ExitCode, InterruptedRunError
from berth.core.events import Event, Notice, OfRelease, ReleaseDone, ReleaseEvent, SiteRow

#: A release on a target: the target's name ("" where there is one), namespace and name.
Place = tuple[str, str, str]

#: Why a work was not begun after Ctrl-C.
STOPPED = "the run was stopped"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done with a release, after ``needs``.

    ``start`` takes a function that raises when the run is to stop, to be called before each write and while waiting,
    and gives the events.
    """

    place: Place
    start: Callable[[Callable[[], None]], Iterator[Event]]
    needs: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the work on a release ended: ``error`` is None for success, ``skipped`` says why it was not begun, or ""."""

    place: Place
    done: ReleaseDone | None = None
    error: BerthError | None = None
    skipped: str = ""

    @property
    def good(self) -> bool:
        """Whether it came to its end."""
        return self.error is None and not self.skipped

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped it, or kept it from being begun."""
        return isinstance(self.error, InterruptedRunError) or self.skipped == STOPPED

    def row(self) -> SiteRow:
        """The line of the recap."""
        done = self.done
        if self.skipped:
            return SiteRow(*self.place, "skipped", verdict=self.skipped)
        failed = max(done.failed if done else 0, 1 if self.error is not None else 0)
        result = "failed" if self.error is not None else "changed" if done and done.changed else "ok"
        verdict = self.error.problems[0].what if self.error is not None else done.verdict if done else ""
        if done is None:
            return SiteRow(*self.place, result, failed=failed, verdict=verdict)
        return SiteRow(*self.place, result, done.ok, done.changed, failed, done.skipped, done.seconds, verdict)


def code_of(outcomes: Sequence[Outcome]) -> ExitCode:
    """The exit code of several: that of what went wrong where it went wrong in one way, else 1."""
    if any(outcome.interrupted for outcome in outcomes):
        return ExitCode.INTERRUPTED
    codes = {outcome.error.exit_code for outcome in outcomes if outcome.error is not None}
    if len(codes) == 1:
        return codes.pop()
    return ExitCode.FAILED if any(not outcome.good for outcome in outcomes) else ExitCode.DONE


def work_through(
    works: Sequence[Work], parallel: int, stopped: threading.Event | None = None
) -> Generator[Event, None, list[Outcome]]:
    """Do the works, at most ``parallel`` at a time, and return how each ended, in their order.

    A work whose needs are among the works waits for them, and is skipped where one did not come to its end; needs form
    no circle. At Ctrl-C nothing new is begun, and what is under way stops as it does alone; a second one gives up at
    once. ``stopped`` is set then; where it is set already, nothing is begun.
    """
    return (yield from _Many(works, parallel, stopped or threading.Event()).run())


class _Many:
    """Works under way, each in a thread of its own, whose events come through one queue.

    A Ctrl-C may come between any two lines of `run`. So it is the threads that note how a work ended, and `run` only
    looks: what it had just taken from the queue may be lost to be shown, never to be known.
    """

    def __init__(self, works: Sequence[Work], parallel: int, stopped: threading.Event) -> None:
        self._works = {work.place: work for work in works}
        self._parallel, self._stopped = parallel, stopped
        self._news: queue.SimpleQueue[tuple[Place, ReleaseEvent | Outcome | None]] = queue.SimpleQueue()
        self._threads: dict[Place, threading.Thread] = {}
        self._outcomes: dict[Place, Outcome] = {}
        self._fault: BaseException | None = None

    def run(self) -> Generator[Event, None, list[Outcome]]:
        while True:
            try:
                self._begin()
                if self._fault is not None:
                    self._stopped.set()
                    self._join()
                    raise self._fault
                if len(self._outcomes) == len(self._works):
                    self._join()
                    while not self._news.empty():
                        yield from self._told(*self._news.get())
                    return [self._outcomes[place] for place in self._works]
                yield from self._told(*self._news.get())
            except KeyboardInterrupt:
                if self._stopped.is_set():
                    raise
                self._stopped.set()
                yield Notice("stopping: what is under way ends as it stands, nothing else is begun", "warning")
            except GeneratorExit:
                self._stopped.set()
                raise

    def _begin(self) -> None:
        """Begin what is due, and skip what cannot be any more; the news of either has this called again."""
        for place, work in self._works.items():
            begun = place in self._threads and self._threads[place].ident is not None
            if begun or place in self._outcomes or not self._ready(work):
                continue
            if why := self._hindrance(work):
                self._end(Outcome(place, skipped=why))
            elif sum(other not in self._outcomes for other in self._threads) < self._parallel:
                # No thread of a pool: the second Ctrl-C must not wait for it, nor must the end of the process.
                self._threads[place] = threading.Thread(target=self._do, args=(work,), daemon=True)
                self._threads[place].start()

    def _join(self) -> None:
        """Let the threads come to their ends; they have noted how their works ended, or are being stopped."""
        for thread in self._threads.values():
            if thread.ident is not None:
                thread.join()

    def _told(self, place: Place, news: ReleaseEvent | Outcome | None) -> Iterator[Event]:
        if isinstance(news, Outcome):
            for problem in news.error.problems if news.error is not None else ():
                yield OfRelease(*place, Notice(str(problem), "error"))
        elif news is not None:
            yield OfRelease(*place, news)

    def _ready(self, work: Work) -> bool:
        return all(need in self._outcomes for need in work.needs if need in self._works)

    def _hindrance(self, work: Work) -> str:
        bad = [need for need in work.needs if need in self._outcomes and not self._outcomes[need].good]
        if self._stopped.is_set():
            return STOPPED
        names = ", ".join(f"{namespace}/{name}" for _, namespace, name in bad)
        return f"it needs {names}" if bad else ""

    def _do(self, work: Work) -> None:
        """In a thread of its own: the work to its end, however it ends."""
        done: ReleaseDone | None = None
        try:
            self._check()
            for event in work.start(self._check):
                if isinstance(event, ReleaseDone):
                    done = event
                self._news.put((work.place, event))  # type: ignore[arg-type]
            self._end(Outcome(work.place, done))
        except BerthError as error:
            self._end(Outcome(work.place, done, error))
        except KeyboardInterrupt:
            stopped = InterruptedRunError("interrupted; nothing was changed", hint="run the same command again")
            self._end(Outcome(work.place, done, stopped))
        except BaseException as error:  # A fault of berth itself: it ends the run, and is told as such.
            self._fault = error
            self._news.put((work.place, None))

    def _end(self, outcome: Outcome) -> None:
        self._outcomes[outcome.place] = outcome
        self._news.put((outcome.place, outcome))

    def _check(self) -> None:
        if self._stopped.is_set():
            raise KeyboardInterrupt


def places(outcomes: Sequence[Outcome]) -> Mapping[str, list[Outcome]]:
    """The outcomes by target."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.place[0], []).append(outcome)
    return found
