"""A whole simulated cluster: objects, the API's verbs over them, controllers, and time.

One lock guards it all, and one thread (or, in process, whoever calls ``settle``) does the controllers' work, one key at
a time in the order in which the keys came up: with one seed and the same requests, everything happens again in the same
way.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from berth.core.errors import LocalError
from berth.rehearsal import bootstrap
from berth.rehearsal.client import Client
from berth.rehearsal.clock import REAL, Clock, Pace, Timer
from berth.rehearsal.controllers import make_all
from berth.rehearsal.kinds import KINDS
from berth.rehearsal.recorder import Events
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.registry import Registry
from berth.rehearsal.scenario import Scenario
from berth.rehearsal.store import Change, Store

_log = logging.getLogger(__name__)

Key = tuple[str, str]

#: Seconds that the engine works before it lets requests in between.
_SLICE = 0.01
#: Virtual seconds until a key is tried again after a conflict or a refusal, doubling up to the last.
_BACKOFF = (0.005, 30.0)

#: Seconds until the state is saved again where it cannot be.
_UNSAVED_WAIT = 1.0


class Controller(Protocol):
    """Brings what is to what should be, one key (namespace, name) at a time."""

    name: str

    def interested(self, change: Change) -> Iterable[Key]:
        """The keys to look at after a change."""
        ...

    def sync(self, key: Key) -> None:
        """Look at a key and do what is to be done; once more does nothing. ApiError means: again, later."""
        ...


class Listener(Protocol):
    """An open watch."""

    @property
    def listens_to(self) -> str:
        """The kind of the objects that it follows: Pod."""
        ...

    def has_told(self, version: int) -> bool:
        """Whether all that happened was sent, and nothing of it is later than this version."""
        ...


class World:
    """The cluster. Take ``request()`` around everything that is done from outside."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        pace: Pace = REAL,
        seed: int | None = None,
        scenario: Scenario | None = None,
        start: float | None = None,
        strict: bool = False,
    ) -> None:
        """Open a cluster on what the store holds; with an empty one, the beginnings of a cluster are made.

        ``start`` is the virtual time at the beginning, in seconds since the epoch. ``strict`` raises what a controller
        fails with, where otherwise it is logged and tried again (for tests).
        """
        self.lock = threading.RLock()
        #: Woken after every write, for those who watch.
        self.news = threading.Condition(self.lock)
        self.store = store or Store()
        self.clock = Clock(start, pace)
        # With a state from before, the same seed must not make the same UIDs again.
        self.random = random.Random(None if seed is None else f"{seed}/{self.store.version}")
        self.scenario = scenario or Scenario()
        self.registry = Registry(self.store, self.clock, self.random)
        self.events = Events(self)
        self._strict = strict
        self._queue: deque[tuple[Controller, Key]] = deque()
        self._queued: set[tuple[str, Key]] = set()
        self._failures: dict[tuple[str, Key], int] = {}
        #: What was logged already, of keys that a controller fails on and of timers.
        self._logged: dict[object, str] = {}
        #: Why the state cannot be saved at present.
        self._unsaved: LocalError | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = self._held = False
        self._told = self.store.version
        #: Open watches, the latest last: who must have heard all that happened before more of it happens.
        self.audience: list[Listener] = []
        self.controllers: tuple[Controller, ...] = ()
        bootstrap.populate(self)
        self.controllers = make_all(self)
        self.store.listeners.append(self._changed)
        self._resume()

    def client(self, manager: str) -> Client:
        """A way to read and write for a controller."""
        return Client(self, manager)

    def at(self, seconds: float, action: Callable[[], None], *, recurring: bool = False) -> Timer:
        """Have something done in so many virtual seconds; ``recurring`` if it goes on for ever (see clock)."""
        timer = self.clock.at(seconds, action, recurring=recurring)
        self._wake.set()
        return timer

    def enqueue(self, controller: Controller, key: Key) -> None:
        """Have a controller look at a key, once for however often it is asked before it comes to it."""
        mark = (controller.name, key)
        if mark not in self._queued:
            self._queued.add(mark)
            self._queue.append((controller, key))

    def _changed(self, change: Change) -> None:
        self.clock.busy()
        for controller in self.controllers:
            for key in controller.interested(change):
                self.enqueue(controller, key)

    def _resume(self) -> None:
        """Show the controllers everything that is there, as an informer's first list does."""
        for kind in KINDS:
            for body in self.store.list(kind):
                self._changed(Change("ADDED", kind, body, None, self.store.version))

    def _step(self) -> bool:
        """Do one thing that can be done now; whether there was one."""
        if self._queue:
            controller, key = self._queue.popleft()
            self._queued.discard((controller.name, key))
            self._sync(controller, key)
            return True
        action = self.clock.take_due()
        if action is not None:
            self._guarded(action)
            return True
        return False

    def _sync(self, controller: Controller, key: Key) -> None:
        mark = (controller.name, key)
        try:
            controller.sync(key)
        except ApiError as error:
            _log.debug("%s %s: %s", controller.name, key, error.message)
            self._again(controller, key)
        except LocalError:
            # The state cannot be saved, which is logged where it happens first.
            self._again(controller, key)
        except Exception as error:
            if self._strict:
                raise
            self._log_once(
                mark,
                error,
                f"controller {controller.name} failed on {'/'.join(key)}; more and more rarely it is tried again",
            )
            self._again(controller, key)
        else:
            self._failures.pop(mark, None)
            self._logged.pop(mark, None)

    def _again(self, controller: Controller, key: Key) -> None:
        """Have a key looked at again, later each time that it fails."""
        mark = (controller.name, key)
        failures = self._failures[mark] = self._failures.get(mark, 0) + 1
        shortest, longest = _BACKOFF
        # Without a bound, the power itself fails one day.
        delay = min(longest, shortest * 2 ** min(failures - 1, 16))
        self.at(delay, lambda: self.enqueue(controller, key), recurring=failures > 12)

    def _log_once(self, about: object, error: Exception, words: str) -> None:
        """Log a failure of ours with its traceback, but not the same one of the same thing again."""
        said = f"{type(error).__name__}: {error}"
        if self._logged.get(about) != said:
            self._logged[about] = said
            _log.error(words, exc_info=error)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except LocalError:
            pass  # the state cannot be saved: logged where it happens first
        except Exception as error:
            if self._strict:
                raise
            self._log_once(getattr(action, "__qualname__", ""), error, "a timer failed")

    def settle(self, limit_seconds: float = 86_400.0) -> None:
        """Do all that there is to do, jumping through virtual time, until only what recurs for ever is left."""
        with self.request():
            limit = self.clock.now() + limit_seconds
            while self._step() or self.clock.jump(limit=limit):
                pass

    def advance(self, seconds: float) -> None:
        """Let so much virtual time pass, with all that happens in it, recurring things included."""
        with self.request():
            limit = self.clock.now() + seconds
            while self._step() or self.clock.jump(recurring=True, limit=limit):
                pass
            self.clock.move_to(limit)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Hold the world still for a request; what it wrote is saved, and told to those who watch, at its end.

        Raises:
            LocalError: it has written something, and the state cannot be saved. Whether it counts, nobody knows, as
                after a timeout; later ones are refused before they write. What is only read is there as before.
        """
        with self.lock:
            before = self.store.version
            try:
                yield
            finally:
                failure = self._save()
                if failure is not None and self.store.version != before:
                    raise failure
        self._wake.set()

    def _tell(self) -> None:
        if self.store.version != self._told:
            self.store.flush()
            self._told = self.store.version
            self.news.notify_all()

    def _save(self) -> LocalError | None:
        """Save what was written and tell those who watch; why that cannot be done, logged when it begins and ends."""
        try:
            self._tell()
        except LocalError as error:
            if self._unsaved is None:
                _log.error("%s", error)
            self._unsaved = error
            return error
        if self._unsaved is not None:
            _log.error("the state can be written again, and all of it is")
            self._unsaved = None
        return None

    def pass_time(self, seconds: float) -> None:
        """Let virtual time pass until something is written, recurring things included, or so many seconds are over."""
        with self.request():
            limit, version = self.clock.now() + seconds, self.store.version
            while self.store.version == version:
                if not self._step() and not self.clock.jump(recurring=True, limit=limit):
                    self.clock.move_to(limit)
                    return

    def start(self, *, held: bool = False) -> None:
        """Work by itself, in a thread, until ``close``; where time is ``held``, it passes in ``pass_time`` only."""
        self._held = held
        if not held:
            self.clock.flow()
        self._thread = threading.Thread(target=self._run, name="rehearsal", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            with self.lock:
                wait = self._work()
            # Without a pause the lock goes straight back to this thread, and requests starve.
            if wait is None or wait > 0:
                self._wake.wait(wait)
            else:
                time.sleep(0.0002)

    def _work(self) -> float | None:
        """Work for one slice; the real seconds to wait until there is more, None for nothing known."""
        if self._unsaved is not None and self._save() is not None:
            return _UNSAVED_WAIT
        until = time.monotonic() + _SLICE
        wait: float | None = 0.0
        while time.monotonic() < until:
            if self._step():
                continue
            if self._held:
                wait = None
                break
            if not (self.clock.pace.instant and self.clock.jump()):
                wait = self.clock.wait_for()
                break
        return wait if self._save() is None else _UNSAVED_WAIT

    def close(self) -> None:
        """End the thread, if there is one, and save the state."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self.lock:
            self.news.notify_all()
            self.store.close()

    @property
    def live(self) -> bool:
        """Whether time passes by itself, for those outside."""
        return self._thread is not None

    @property
    def closed(self) -> bool:
        """Whether it has been closed: those who watch should end."""
        return self._closed
