"""Pods that have no node yet: those for which there is none, and those whose volumes are being bound first.

A pod that fitted nowhere is tried again when something changes that may help it, but not at once each time: after a
second, then two, four, eight, ten (podInitialBackoffSeconds and podMaxBackoffSeconds of kube-scheduler).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.clock import Timer

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """A pod that has its node but not yet its volumes."""

    uid: str
    node: str
    claims: tuple[str, ...]
    timer: Timer


@dataclass(slots=True)
class _Failed:
    uid: str
    by_volumes: bool
    has_neighbours: bool
    failures: int
    not_before: float
    timer: Timer | None = field(default=None)


class Pending:
    """Keeps the two kinds of pods, and asks for another try of the first at the right time."""

    def __init__(self, world: World, retry: Callable[[Key], None]) -> None:
        """Nobody waits yet."""
        self._world, self._retry = world, retry
        self._failed: dict[Key, _Failed] = {}
        self._reserved: dict[Key, Reservation] = {}

    def wants_claims(self, key: Key) -> bool:
        """Whether what the pod waits for has to do with its claims."""
        return key in self._reserved or (key in self._failed and self._failed[key].by_volumes)

    def reserve(self, key: Key, reservation: Reservation) -> None:
        """A pod has a node for when its volumes are bound."""
        self._drop_failed(key)
        self._reserved[key] = reservation

    def reservation(self, key: Key) -> Reservation | None:
        """The node that a pod is to get."""
        return self._reserved.get(key)

    def failed(self, key: Key, uid: str, pod: Json, *, by_volumes: bool, again: bool = False) -> None:
        """There is no node for a pod.

        ``by_volumes``: its claims have a part in that. ``again``: it is to be tried again even if nothing changes.
        """
        reservation = self._reserved.pop(key, None)
        if reservation is not None:
            reservation.timer.cancel()
        before = self._failed.get(key)
        count = before.failures + 1 if before and before.uid == uid else 1
        self._drop_failed(key)
        wait = min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(count - 1, 5))
        spec = pod["spec"]
        has_neighbours = bool(spec.get("topologySpreadConstraints") or spec.get("affinity"))
        entry = _Failed(uid, by_volumes, has_neighbours, count, self._world.clock.now() + wait)
        self._failed[key] = entry
        if again:
            self._later(key, entry)

    def held_back(self, key: Key) -> bool:
        """Whether it is too early to try a pod again; then it will be tried when the time has come."""
        entry = self._failed.get(key)
        if entry is None or entry.not_before <= self._world.clock.now():
            return False
        self._later(key, entry)
        return True

    def forget(self, key: Key, uid: str) -> None:
        """A pod is gone, or has its node."""
        reservation = self._reserved.get(key)
        if reservation is not None and reservation.uid == uid:
            reservation.timer.cancel()
            del self._reserved[key]
        entry = self._failed.get(key)
        if entry is not None and entry.uid == uid:
            self._drop_failed(key)

    def wake(self, *, by_volumes: bool = False, near: bool = False) -> None:
        """Try again what fitted nowhere: only ``by_volumes``, only those that want others ``near``, or all."""
        for key, entry in list(self._failed.items()):
            if (by_volumes and not entry.by_volumes) or (near and not entry.has_neighbours):
                continue
            self._later(key, entry)

    def _later(self, key: Key, entry: _Failed) -> None:
        if entry.timer is not None:
            return
        wait = entry.not_before - self._world.clock.now()

        def again() -> None:
            entry.timer = None
            self._retry(key)

        if wait <= 0:
            self._retry(key)
        else:
            # The eighth failure in a row is no longer a thing that time alone will mend.
            entry.timer = self._world.at(wait, again, recurring=entry.failures > 8)

    def _drop_failed(self, key: Key) -> None:
        entry = self._failed.pop(key, None)
        if entry is not None and entry.timer is not None:
            entry.timer.cancel()
