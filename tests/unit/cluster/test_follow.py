"""Logs that are followed: through connections that break, restarts of the container, and another pod of the name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from berth.cluster.follow import Followed, Following, Line, Said
from berth.cluster.kube import Listing
from berth.cluster.refusals import InvalidError
from berth.cluster.transport import Broken
from berth.core.errors import DeniedError
from berth.core.objects import Json

pytestmark = pytest.mark.unit

#: What a request for a log gives: stamped lines, then an end, which may be an error.
Act = tuple[Sequence[str], Exception | None]
Asked = dict[str, list[str]]
OVER: Act = ((), None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth.cluster.follow._AGAIN", 0.01)


class Stream:
    """Lines, and then nothing until it is closed, or an end."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines, self.closed = lines, threading.Event()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed.set()

    def lines(self, *, last: bool = False) -> Iterator[bytes]:
        yield from self._lines


@dataclass
class Fake:
    """A cluster of one pod; ``acts`` are the answers to requests for its log, the last one for all that follow, or
    what makes one of a request."""

    pods: list[Json]
    acts: list[Act] | Callable[[Asked], Act]
    asked: list[Asked] = field(default_factory=list)
    events: SimpleQueue[Json] = field(default_factory=SimpleQueue)

    @property
    def session(self) -> Fake:
        return self

    def list(self, *_: object, **__: object) -> Listing:
        return Listing(self.pods, "1")

    def watch(self, *_: object, **__: object) -> Any:
        import json

        def lines() -> Iterator[bytes]:
            while not stream.closed.is_set():
                if not self.events.empty():
                    yield json.dumps(self.events.get()).encode()
                stream.closed.wait(0.01)

        stream = Stream(lines())
        return stream

    def open(self, path: str, *_: object, **__: object) -> Any:
        self.asked.append(parse_qs(urlsplit(path).query))
        if callable(self.acts):
            lines, error = self.acts(self.asked[-1])
        else:
            lines, error = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(error, DeniedError | InvalidError):
            raise error

        def give() -> Iterator[bytes]:
            yield from (line.encode() for line in lines)
            if error is not None:
                raise error

        return Stream(give())


def pod(uid: str = "1", run: str = "a", state: str = "running") -> Json:
    status = {"name": "web", "containerID": f"containerd://{run}" if run else "", "state": {state: {}}}
    meta = {"name": "web-0", "namespace": "shop", "uid": uid, "resourceVersion": "2"}
    return {"metadata": meta, "spec": {"containers": [{"name": "web"}]}, "status": {"containerStatuses": [status]}}


def following(fake: Fake, tail: int | None = 5) -> Following:
    container: Callable[[Json], str | None] = lambda pod: "web"  # noqa: E731
    return Following(fake, "shop", "app=web", container, tail)  # type: ignore[arg-type]


def first(followed: Following, number: int) -> list[Followed]:
    """So many items, or those that came in some seconds."""
    got: list[Followed] = []
    errors: list[Exception] = []

    def take() -> None:
        try:
            got.extend(islice(followed, number))
        except DeniedError as error:
            errors.append(error)

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    taking.join(10)
    assert not taking.is_alive(), "less came"
    for error in errors:
        raise error
    return got


def stamped(second: int, text: str) -> str:
    return f"2026-11-21T10:00:{second:02}.5Z {text}"


def test_a_broken_connection_costs_no_line_and_says_none_twice() -> None:
    one, two, three = (stamped(at, text) for at, text in ((1, "one"), (2, "two  x"), (3, "three")))
    fake = Fake([pod()], [((one, two), Broken("reset")), ((two,), None), ((two, three), None), OVER])
    with following(fake) as followed:
        got = first(followed, 4)
    assert [item.text for item in got if isinstance(item, Line)] == ["one", "two  x", "three"]
    assert [item.text for item in got if isinstance(item, Said)] == ["web-0: its log is lost for now: reset"]
    options = [{key: values[0] for key, values in asked.items()} for asked in fake.asked]
    same = {"container": "web", "follow": "true", "timestamps": "true"}
    assert options[0] == same | {"tailLines": "5"}
    assert options[1] == options[2] == same | {"sinceTime": "2026-11-21T10:00:02Z"}


@pytest.mark.parametrize(
    ("other", "how"), [(pod("1", "b"), "was started again"), (pod("2", "b"), "was replaced")], ids=["restart", "pod"]
)
def test_another_run_is_followed_on_with_all_that_it_wrote(other: Json, how: str) -> None:
    def answer(asked: Asked) -> Act:
        if "sinceTime" in asked:
            return OVER
        return ((stamped(1, "old"),) if "tailLines" in asked else (stamped(1, "new"), stamped(1, "new"))), None

    fake = Fake([pod()], answer)
    with following(fake) as followed:
        assert first(followed, 1) == [Line("web-0", "old")]
        fake.events.put({"type": "MODIFIED", "object": other})
        new = Line("web-0", "new")
        assert first(followed, 3) == [Said(f"web-0 {how}; its log goes on"), new, new]


def test_a_run_that_has_ended_is_read_once_and_one_that_has_not_begun_not_at_all() -> None:
    for found, times in ((pod(state="terminated"), 1), (pod(run="", state="waiting"), 0)):
        fake = Fake([found], [((stamped(1, "bye"),), None)])
        with following(fake) as followed:
            assert first(followed, times) == [Line("web-0", "bye")] * times
            fake.events.put({"type": "DELETED", "object": found})
            assert first(followed, times) == [Said("web-0 is gone; its log goes on when it is back")] * times
        assert len(fake.asked) == times


def test_a_log_that_may_not_be_read_ends_it() -> None:
    fake = Fake([pod()], [((), DeniedError("not allowed to get pods/log"))])
    with following(fake) as followed, pytest.raises(DeniedError, match="pods/log"):
        first(followed, 1)


def test_a_log_that_is_not_there_yet_is_asked_for_again() -> None:
    fake = Fake([pod()], [((), InvalidError("no", why="waiting to start")), ((stamped(1, "up"),), None), OVER])
    with following(fake) as followed:
        got = first(followed, 2)
    assert got == [Said("web-0: its log is lost for now: waiting to start"), Line("web-0", "up")]
