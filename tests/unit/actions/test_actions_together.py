"""Works on several releases at the same time: their order, how many at once, and what a failure or Ctrl-C stops."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Iterator, Sequence

import pytest

from berth.actions.together import STOPPED, Outcome, Place, Work, code_of, work_through
from berth.core.errors import (
    BerthError,
    ClusterError,
    ExitCode,
    FailedError,
    InputError,
    InterruptedRunError,
    Problem,
    TimedOutError,
)
from berth.core.events import Event, Notice, OfRelease, ReleaseDone

pytestmark = pytest.mark.unit

#: A deadlock ends a test after this many seconds.
LONG = 20.0

Check = Callable[[], None]


def place(name: str) -> Place:
    return "east", "shop", name


def done(name: str, changed: int = 1) -> ReleaseDone:
    return ReleaseDone(name, "shop", 3, changed, 0, 0, 1.5, f"{name} is current", True)


def work(name: str, *needs: str, start: Callable[[Check], Iterator[Event]] | None = None) -> Work:
    """One that succeeds at once, unless ``start`` says what it does."""
    return Work(place(name), start or (lambda check: iter([done(name)])), tuple(map(place, needs)))


def failing(name: str, *needs: str, error: BerthError | None = None) -> Work:
    def start(check: Check) -> Iterator[Event]:
        yield Notice("soon")
        raise error or FailedError("no node", hint="add one")

    return work(name, *needs, start=start)


def rest(running: Generator[Event, None, list[Outcome]], events: list[Event] | None = None) -> list[Outcome]:
    """How each ended, once all have; what happens meanwhile is added to ``events``."""
    while True:
        try:
            event = next(running)
        except StopIteration as stop:
            return list(stop.value)
        if events is not None:
            events.append(event)


def to_the_end(works: Sequence[Work], parallel: int = 8) -> tuple[list[Event], list[Outcome]]:
    """What happens, and how each ended."""
    events: list[Event] = []
    outcomes = rest(work_through(works, parallel), events)
    return events, outcomes


def ended(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The word of the recap for each."""
    return {outcome.place[2]: outcome.row().result for outcome in outcomes}


class Log:
    """Notes who begins and ends, and how many are under way at most."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.now = self.most = 0
        self._lock = threading.Lock()

    def work(self, name: str, *needs: str, fails: bool = False) -> Work:
        def start(check: Check) -> Iterator[Event]:
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
                self.order.append(name)
            yield Notice("at work")
            with self._lock:
                self.now -= 1
            if fails:
                raise FailedError("no")
            yield done(name)

        return work(name, *needs, start=start)


def test_nothing_to_do() -> None:
    assert to_the_end([]) == ([], [])


def test_each_begins_when_what_it_needs_has_ended() -> None:
    log = Log()
    works = [log.work("c", "b"), log.work("b", "a"), log.work("a"), log.work("d", "a", "c")]
    _, outcomes = to_the_end(works)
    assert log.order == ["a", "b", "c", "d"]
    assert [outcome.place[2] for outcome in outcomes] == ["c", "b", "a", "d"], "in the order of the works"
    assert all(outcome.good for outcome in outcomes)


def test_a_need_that_is_none_of_the_works_is_there_already() -> None:
    assert ended(to_the_end([work("web", "database")])[1]) == {"web": "changed"}


def test_releases_of_one_name_on_two_targets_are_two() -> None:
    west = Work(("west", "shop", "web"), lambda check: iter([done("web")]), (("west", "shop", "db"),))
    _, outcomes = to_the_end([failing("db"), work("web", "db"), west])
    assert [outcome.row().result for outcome in outcomes] == ["failed", "skipped", "changed"]


def test_independent_ones_are_under_way_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=LONG)

    def start(check: Check) -> Iterator[Event]:
        meeting.wait()
        yield done("it")

    assert all(one.good for one in to_the_end([work(name, start=start) for name in "abc"], 3)[1])


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_never_more_than_so_many_at_once(parallel: int) -> None:
    log = Log()
    _, outcomes = to_the_end([log.work(str(number)) for number in range(40)], parallel)
    assert len(outcomes) == 40 and log.most <= parallel


def test_a_failure_stops_what_needs_it_and_nothing_else() -> None:
    works = [failing("db"), work("web", "db"), work("cdn", "web"), work("other"), work("both", "other", "db")]
    events, outcomes = to_the_end(works)
    assert ended(outcomes) == {
        "db": "failed",
        "web": "skipped",
        "cdn": "skipped",
        "other": "changed",
        "both": "skipped",
    }
    skipped = {outcome.place[2]: outcome.skipped for outcome in outcomes if outcome.skipped}
    assert skipped == {"web": "it needs shop/db", "cdn": "it needs shop/web", "both": "it needs shop/db"}
    assert OfRelease(*place("db"), Notice("no node\n  try: add one", "error")) in events


def test_what_waits_for_several_is_skipped_only_when_all_have_ended() -> None:
    """So that its line in the recap names all of them."""
    _, outcomes = to_the_end([failing("a"), failing("b", "a2"), work("a2"), work("c", "a", "b")])
    assert outcomes[3].skipped == "it needs shop/a, shop/b"


def test_the_row_of_a_release() -> None:
    row = Outcome(place("web"), done("web")).row()
    assert (row.target, row.namespace, row.release, row.result, row.ok, row.seconds) == (
        *place("web"),
        "changed",
        3,
        1.5,
    )
    assert Outcome(place("web"), done("web", changed=0)).row().result == "ok"
    before = Outcome(place("web"), None, InputError("no")).row()
    assert (before.result, before.failed, before.verdict) == ("failed", 1, "no")


@pytest.mark.parametrize(
    ("errors", "skipped", "code"),
    [
        ([], 0, ExitCode.DONE),
        ([FailedError("no")], 2, ExitCode.FAILED),
        ([TimedOutError("no")], 0, ExitCode.TIMED_OUT),
        ([TimedOutError("no"), TimedOutError("neither")], 1, ExitCode.TIMED_OUT),
        ([TimedOutError("no"), InputError("no")], 0, ExitCode.FAILED),
        ([InputError("no")], 1, ExitCode.BAD_INPUT),
        ([], 1, ExitCode.FAILED),
        ([InterruptedRunError("stop"), FailedError("no")], 1, ExitCode.INTERRUPTED),
    ],
)
def test_the_exit_code_of_several(errors: list[BerthError], skipped: int, code: ExitCode) -> None:
    outcomes = [Outcome(place("good"), done("good"))]
    outcomes += [Outcome(place(str(number)), None, error) for number, error in enumerate(errors)]
    outcomes += [Outcome(place(f"s{number}"), skipped="it needs shop/x") for number in range(skipped)]
    assert code_of(outcomes) is code


def test_what_ctrl_c_kept_from_beginning_counts_as_interrupted() -> None:
    assert code_of([Outcome(place("web"), skipped=STOPPED)]) is ExitCode.INTERRUPTED


# Ctrl-C


def gated(name: str, free: threading.Semaphore, *needs: str) -> Work:
    """One that comes to its end when there is a permit, and does not look whether it is to stop."""

    def start(check: Check) -> Iterator[Event]:
        yield Notice("at work")
        assert free.acquire(timeout=LONG)
        yield done(name)

    return work(name, *needs, start=start)


def waiting(name: str, begun: threading.Semaphore, *needs: str) -> Work:
    """One that says it is under way, and then looks whether it is to stop until it is; as `up` does."""

    def start(check: Check) -> Iterator[Event]:
        yield Notice("at work")
        begun.release()
        try:
            turn = threading.Event()
            while not turn.wait(0.001):
                check()
        except KeyboardInterrupt:
            yield ReleaseDone(name, "shop", 1, 1, 0, 2, 1.0, "interrupted", False)
            raise InterruptedRunError("interrupted; StatefulSet/web created") from None

    return work(name, *needs, start=start)


def test_ctrl_c_stops_what_is_under_way_and_begins_nothing_else() -> None:
    begun = threading.Semaphore(0)
    works = [waiting("a", begun), waiting("b", begun), work("next"), work("later", "a")]
    running = work_through(works, 2)
    next(running)
    for _ in range(2):
        assert begun.acquire(timeout=LONG)
    events = [running.throw(KeyboardInterrupt)]
    assert events == [Notice("stopping: what is under way ends as it stands, nothing else is begun", "warning")]
    outcomes = rest(running, events)
    assert ended(outcomes) == {"a": "failed", "b": "failed", "next": "skipped", "later": "skipped"}
    assert [outcome.skipped for outcome in outcomes[2:]] == [STOPPED, STOPPED]
    assert outcomes[0].row().verdict == "interrupted; StatefulSet/web created" and outcomes[0].row().changed == 1
    assert code_of(outcomes) is ExitCode.INTERRUPTED
    assert OfRelease(*place("a"), Notice("interrupted; StatefulSet/web created", "error")) in events


def test_one_that_comes_to_its_end_at_ctrl_c_is_good_and_the_rest_is_not_begun() -> None:
    stopped, free = threading.Event(), threading.Semaphore(0)
    running = work_through([gated("a", free), work("b", "a")], 2, stopped)
    next(running)
    running.throw(KeyboardInterrupt)
    free.release()
    outcomes = rest(running)
    assert ended(outcomes) == {"a": "changed", "b": "skipped"} and stopped.is_set()
    assert code_of(outcomes) is ExitCode.INTERRUPTED


def test_nothing_is_begun_after_a_ctrl_c_of_before() -> None:
    stopped = threading.Event()
    stopped.set()
    events: list[Event] = []
    outcomes = rest(work_through([failing("a"), work("b", "a")], 2, stopped), events)
    assert [outcome.skipped for outcome in outcomes] == [STOPPED, STOPPED] and not events


def test_a_second_ctrl_c_gives_up_at_once() -> None:
    """Also where a work hangs in a request and does not look whether it is to stop."""
    begun, free = threading.Event(), threading.Event()
    holds_the_process: list[bool] = []

    def start(check: Check) -> Iterator[Event]:
        yield Notice("at work")
        holds_the_process.append(not threading.current_thread().daemon)
        begun.set()
        free.wait(LONG)
        yield done("hangs")

    running = work_through([work("hangs", start=start)], 1)
    next(running)
    assert begun.wait(LONG)
    running.throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt)
    assert not free.is_set() and holds_the_process == [False]
    free.set()


def test_who_looks_no_further_stops_what_is_under_way() -> None:
    begun, over = threading.Semaphore(0), threading.Event()

    def start(check: Check) -> Iterator[Event]:
        yield Notice("at work")
        try:
            begun.release()
            turn = threading.Event()
            while not turn.wait(0.001):
                check()
        finally:
            over.set()

    running = work_through([work("a", start=start)], 1)
    next(running)
    assert begun.acquire(timeout=LONG)
    running.close()
    assert over.wait(LONG)


# Faults of berth itself


def test_an_unexpected_exception_is_raised_and_the_others_stop() -> None:
    begun = threading.Semaphore(0)

    def start(check: Check) -> Iterator[Event]:
        assert begun.acquire(timeout=LONG)
        yield Notice("at work")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(work_through([waiting("a", begun), work("b", start=start), work("c", "b")], 2))


def test_an_unexpected_exception_before_the_first_event_is_raised() -> None:
    def start(check: Check) -> Iterator[Event]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(work_through([work("a", start=start)], 2))


# Many


def graph(seed: int, size: int = 200) -> list[tuple[str, list[str], bool]]:
    """Names, what each needs of those before it, and whether it fails; in an order of chance."""
    dice = random.Random(seed)
    names = [f"r{number}" for number in range(size)]
    made = [
        (name, dice.sample(names[:number], min(number, dice.choice([0, 0, 1, 1, 2, 5]))), dice.random() < 0.05)
        for number, name in enumerate(names)
    ]
    dice.shuffle(made)
    return made


@pytest.mark.parametrize("parallel", range(1, 9))
def test_graphs_of_chance_come_to_their_ends(parallel: int) -> None:
    wanted, log = graph(parallel), Log()
    works = [log.work(name, *needs, fails=fails) for name, needs, fails in wanted]
    _, outcomes = to_the_end(works, parallel)
    assert log.most <= parallel and len(set(log.order)) == len(log.order)
    began = {name: number for number, name in enumerate(log.order)}
    result, needs_of = ended(outcomes), {name: needs for name, needs, _ in wanted}
    for name, needs, fails in wanted:
        if any(result[need] != "changed" for need in needs):
            assert result[name] == "skipped" and name not in began
        else:
            assert result[name] == ("failed" if fails else "changed")
            assert all(began[need] < began[name] for need in needs_of[name])


@pytest.mark.parametrize("seed", range(5))
def test_ctrl_c_at_any_moment_ends_all_and_is_told(seed: int) -> None:
    moment, free = random.Random(seed).randrange(1, 100), threading.Semaphore(0)
    running = work_through([gated(name, free, *needs) for name, needs, _ in graph(seed)], 4)
    for _ in range(moment):
        next(running)
        free.release()
    running.throw(KeyboardInterrupt)
    free.release(200)
    outcomes = rest(running)
    assert len(outcomes) == 200 and code_of(outcomes) is ExitCode.INTERRUPTED
    result = ended(outcomes)
    assert sum(word == "changed" for word in result.values()) <= moment + 4
    assert all(
        result[need] == "changed" for name, needs, _ in graph(seed) for need in needs if result[name] == "changed"
    )


def test_every_event_of_a_work_comes_before_its_end_and_in_its_order() -> None:
    def start(check: Check) -> Iterator[Event]:
        yield from (Notice(str(number)) for number in range(50))
        raise ClusterError([Problem("first"), Problem("second")])

    events, _ = to_the_end([work(name, start=start) for name in "ab"], 2)
    mine = [of.event for of in events if isinstance(of, OfRelease) and of.release == "a"]
    assert mine == [*(Notice(str(number)) for number in range(50)), Notice("first", "error"), Notice("second", "error")]
