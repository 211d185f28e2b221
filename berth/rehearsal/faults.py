"""Requests that fail because the scenario says so. The server asks before it does what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from berth.rehearsal import scenarioclock
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import ApiError, conflict
from berth.rehearsal.scenario import ApiRule, CallMatch

if TYPE_CHECKING:
    from berth.rehearsal.world import World

Cut = Literal["", "before", "after", "truncate"]
_CUTS: dict[str, Cut] = {"reset": "before", "reset-after": "after", "truncate": "truncate"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``verb`` is the API's: get, list, watch, create, update, patch, delete or deletecollection."""

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What becomes of a request: first it waits ``delay`` real seconds, without the world's lock.

    Then, if ``error`` is set, that is the answer, and nothing is done. ``cut`` "before" closes the connection with
    nothing done and nothing said; "after" and "truncate" do what was asked, and then close it without an answer, or
    in the middle of one.
    """

    error: ApiError | None = None
    cut: Cut = ""
    delay: float = 0.0


class ApiFaults:
    """The failures of one world's API. Not thread-safe: ask while holding the world's lock."""

    def __init__(self, world: World) -> None:
        """Count requests from now on."""
        self._world = world
        self._begin()

    def _begin(self) -> None:
        self._rules = self._world.scenario.api
        self._seen = [0] * len(self._rules)
        self._failed = [0] * len(self._rules)

    def of(self, call: Call) -> Failure | None:
        """What becomes of a request; None when nothing happens to it. Each call of this counts as one request."""
        rules = self._world.scenario.api
        if not rules:
            return None
        if rules is not self._rules:  # A world that was calm until now.
            self._begin()
        elapsed = scenarioclock.elapsed(self._world)
        for index, rule in enumerate(rules):
            if rule.period.holds(elapsed) and _fits(rule.match, call) and self._counts(index, rule):
                return _failure(rule, call)
        return None

    def _counts(self, index: int, rule: ApiRule) -> bool:
        number = self._seen[index] = self._seen[index] + 1
        if number <= rule.skip or (number - rule.skip) % rule.every:
            return False
        if rule.times is not None and self._failed[index] >= rule.times:
            return False
        self._failed[index] += 1
        return True


def _fits(match: CallMatch, call: Call) -> bool:
    kind = match.kind.lower()
    return (
        (not match.verbs or call.verb in match.verbs)
        and (not kind or kind in (call.kind.kind.lower(), call.kind.plural, *call.kind.short))
        and (match.subresource is None or match.subresource == call.subresource)
        and fnmatchcase(call.namespace, match.namespace)
        and fnmatchcase(call.name, match.name)
        and fnmatchcase(call.agent, match.agent)
    )


def _failure(rule: ApiRule, call: Call) -> Failure:
    if rule.answer in _CUTS:
        return Failure(cut=_CUTS[rule.answer], delay=rule.delay)
    if not rule.answer:
        return Failure(delay=rule.delay)
    return Failure(_error(rule, call), delay=rule.delay)


def _error(rule: ApiRule, call: Call) -> ApiError:
    if rule.answer == "409":
        return conflict(call.kind, call.name, rule.message)
    reason, usual = {
        "429": ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        "500": ("InternalError", "Internal error occurred: etcdserver: leader changed"),
        "503": ("ServiceUnavailable", "the server is currently unable to handle the request"),
        "504": ("Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"),
    }[rule.answer]
    details, headers = {}, {}
    if rule.retry_after is not None:
        seconds = int(rule.retry_after)
        details, headers = {"retryAfterSeconds": seconds}, {"Retry-After": str(seconds)}
    return ApiError(int(rule.answer), reason, rule.message or usual, details, headers)
