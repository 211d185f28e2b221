"""Which lines of a log have come already, where it has to be asked for a second time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Seen:
    """The lines of one container's run, by the time stamps that the API puts in front of them.

    A log can be asked for from a whole second on, no finer: kubelets are told no fraction of it. So that much comes
    again, and is known by its stamps. Source: k8s.io/apimachinery/pkg/apis/meta/v1/time.go (MarshalQueryParameter).
    """

    #: From when on to ask, "" for a log of which no line has come.
    since: str = ""
    _second: str = ""
    _stamps: Counter[str] = field(default_factory=Counter)
    _again: Counter[str] = field(default_factory=Counter)

    def again(self) -> None:
        """The log is about to be asked for anew, from ``since`` on."""
        self._again = self._stamps.copy()

    def new(self, stamp: str) -> bool:
        """Whether the line of this stamp (RFC 3339) has not come before; to be asked once for each that arrives."""
        if self._again[stamp] > 0:
            self._again[stamp] -= 1
            return False
        second = stamp[:19]
        if second > self._second:
            # The zone, which is the node's own, stands behind the fraction.
            self._second, self.since = second, second + stamp[19:].lstrip(".0123456789")
            self._stamps.clear()
        if second == self._second:
            self._stamps[stamp] += 1
        return True
