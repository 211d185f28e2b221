from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from berth.cluster.refusals import Cause, Status
from berth.cluster.retry import GivenUp, Pace, Retry
from berth.cluster.transport import Broken, Stalled, Unreachable, WireError
from tests.unit.cluster.conftest import Time

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Reply:
    refused: Status | None = None


class Script:
    """A call that gives what it is told, in order; an endless last item."""

    def __init__(self, *items: WireError | Status | None) -> None:
        self.items: Iterator[WireError | Status | None] = iter(items)
        self.last: WireError | Status | None = None
        self.calls = 0

    def __call__(self) -> Reply:
        self.calls += 1
        self.last = next(self.items, self.last)
        if isinstance(self.last, WireError):
            raise self.last
        return Reply(self.last)


OK = None
TOO_MANY = Status(429)
RACE = Status(409, "Conflict", "Operation cannot be fulfilled: the object has been modified")
OWNED = Status(409, "Conflict", "Apply failed", (Cause("FieldManagerConflict", ".spec", 'conflict with "kubectl"'),))


@pytest.mark.parametrize(
    "trouble",
    [
        TOO_MANY,
        Status(500),
        Status(502),
        Status(503),
        Status(504),
        Broken("reset"),
        Stalled("silent"),
        Unreachable("network", "x"),
    ],
)
def test_passing_trouble_is_sat_out(retry: Retry, time: Time, trouble: WireError | Status) -> None:
    call = Script(trouble, trouble, OK)
    assert retry.run(call).answer.refused is None
    assert call.calls == 3
    assert time.slept == [0.1, 0.2]


@pytest.mark.parametrize(
    "final", [Status(400), Status(401), Status(403), Status(404), RACE, OWNED, Status(410), Status(422)]
)
def test_a_decision_is_final(retry: Retry, final: Status) -> None:
    call = Script(final)
    assert retry.run(call).answer.refused == final
    assert call.calls == 1


def test_a_lost_race_is_run_again_only_where_no_version_matters(retry: Retry) -> None:
    assert retry.run(Script(RACE, OK), contended=True).answer.refused is None
    assert retry.run(Script(OWNED, OK), contended=True).answer.refused == OWNED


@pytest.mark.parametrize(
    "message",
    [
        "etcdserver: leader changed",
        "etcdserver: request timed out",
        'Internal error occurred: failed calling webhook "x": connection refused',
    ],
)
def test_messages_of_passing_trouble_count_whatever_the_code(retry: Retry, message: str) -> None:
    assert retry.run(Script(Status(500, message=message), OK)).answer.refused is None
    assert retry.run(Script(Status(400, message=message), OK)).answer.refused is None


def test_a_quota_that_is_being_counted_is_passing(retry: Retry) -> None:
    busy = Status(409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified')
    assert retry.run(Script(busy, OK)).answer.refused is None


def test_an_apply_with_an_unknown_field_is_not_the_servers_trouble(retry: Retry) -> None:
    wrong = Status(500, message="failed to create typed patch object (x): .bad: field not declared in schema")
    call = Script(wrong)
    assert retry.run(call).answer.refused == wrong
    assert call.calls == 1


def test_the_servers_wish_is_a_minimum(retry: Retry, time: Time) -> None:
    retry.run(Script(Status(429, retry_after=5.0), OK))
    assert 5.0 <= time.slept[0] <= 5.2


def test_a_wish_longer_than_our_patience_ends_it(retry: Retry, time: Time) -> None:
    with pytest.raises(GivenUp) as caught:
        retry.run(Script(Status(503, retry_after=3600.0)))
    assert (caught.value.tries, time.slept) == (1, [])


def test_tries_are_bounded_and_the_last_cause_is_kept(retry: Retry) -> None:
    call = Script(Broken("reset by peer"))
    with pytest.raises(GivenUp, match="reset by peer") as caught:
        retry.run(call)
    assert caught.value.tries == call.calls == 4


def test_time_is_bounded(time: Time) -> None:
    def stall() -> Reply:
        time.now += 30
        raise Stalled("silent")

    with pytest.raises(GivenUp) as caught:
        Retry(Pace(tries=100, budget=100), time.clock, time.sleep, lambda: 1.0).run(stall)
    assert caught.value.tries == 4


@pytest.mark.parametrize("kind", ["refused", "dns", "tls", "timeout", "proxy"])
def test_a_server_that_never_answered_is_not_waited_for(retry: Retry, kind: str) -> None:
    call = Script(Unreachable(kind, "x"))
    with pytest.raises(GivenUp):
        retry.run(call)
    assert call.calls == 1


def test_a_server_that_answered_before_is_waited_for(retry: Retry) -> None:
    retry.run(Script(OK))
    assert retry.run(Script(Unreachable("refused", "x"), OK)).answer.refused is None


def test_what_must_not_be_sent_twice_is_not(retry: Retry) -> None:
    for trouble in (Broken("reset"), Stalled("silent")):
        call = Script(trouble)
        with pytest.raises(GivenUp):
            retry.run(call, repeatable=False)
        assert call.calls == 1
    assert retry.run(Script(Status(500), OK), repeatable=False).answer.refused == Status(500)
    for harmless in (TOO_MANY, Status(503, retry_after=1.0), Unreachable("network", "x")):
        assert retry.run(Script(harmless, OK), repeatable=False).answer.refused is None


def test_whether_an_earlier_try_may_have_acted(retry: Retry) -> None:
    retry.reached = True
    assert not retry.run(Script(OK)).uncertain
    assert not retry.run(Script(TOO_MANY, Unreachable("refused", "x"), OK)).uncertain
    for trouble in (Broken("x"), Stalled("x"), Status(500), Status(504)):
        assert retry.run(Script(trouble, OK)).uncertain


def test_a_stop_ends_the_waiting(retry: Retry) -> None:
    retry.stopped.set()
    with pytest.raises(GivenUp) as caught:
        retry.run(Script(TOO_MANY))
    assert caught.value.tries == 1


def test_waits_double_up_to_a_bound_and_spread() -> None:
    pace = Pace(first=0.1, longest=1.0)
    assert [pace.wait(tried, 1.0) for tried in (1, 2, 3, 4, 5, 60)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pace.wait(3, 0.0) == 0.2
