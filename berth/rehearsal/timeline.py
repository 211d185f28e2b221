"""What happened to every ordinal and claim, in order, with times: made from the changes of a store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from berth.core.objects import Json
from berth.rehearsal import bootstrap, tales
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import CLAIMS, EVENTS, NODES, PODS, STATEFUL_SETS, VOLUMES, Kind
from berth.rehearsal.scenario import Happening
from berth.rehearsal.store import Change
from berth.rehearsal.tales import State
from berth.rehearsal.world import World

__all__ = ["Lane", "Moment", "Recorder", "Span", "State", "Timeline"]

#: The kind of a moment that the scenario made.
SCENARIO = "Scenario"
#: Kinds in the words of people, who read a column of them.
_WORDS = {
    STATEFUL_SETS.kind: "set",
    PODS.kind: "pod",
    CLAIMS.kind: "claim",
    VOLUMES.kind: "volume of",
    NODES.kind: "node",
    SCENARIO: "scenario",
}
_LANES = (PODS, CLAIMS, NODES)


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened: ``seconds`` since the beginning, to which object, in words.

    The name of a volume is that of its claim, which says more.
    """

    seconds: float
    kind: str
    name: str
    words: str
    bad: bool = False

    @property
    def about(self) -> str:
        """The object in the words of people: pod web-0."""
        return f"{_WORDS.get(self.kind, self.kind)} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Span:
    """A lane's state from one time to another, in seconds since the beginning; ``note`` says more of it.

    Of a ready pod that is the hash of its revision.
    """

    begin: float
    end: float
    state: State
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the picture: an ordinal, a claim or a node, and its states. In between it did not exist."""

    kind: str
    name: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A rehearsal from its beginning to its end.

    ``revisions`` has the images of every revision that pods were of, by its hash; ``to_come`` says what the scenario
    would have done later.
    """

    title: str
    seconds: float
    moments: tuple[Moment, ...]
    lanes: tuple[Lane, ...]
    revisions: Mapping[str, str] = field(default_factory=dict)
    to_come: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The same as JSON: times in seconds since the beginning."""
        return {
            "title": self.title,
            "seconds": round(self.seconds, 3),
            "moments": [
                {
                    "seconds": round(moment.seconds, 3),
                    "kind": moment.kind,
                    "name": moment.name,
                    "event": moment.words,
                    "bad": moment.bad,
                }
                for moment in self.moments
            ],
            "lanes": [
                {
                    "kind": lane.kind,
                    "name": lane.name,
                    "spans": [
                        {
                            "from": round(span.begin, 3),
                            "to": round(span.end, 3),
                            "state": span.state.value,
                            "note": span.note,
                        }
                        for span in lane.spans
                    ],
                }
                for lane in self.lanes
            ],
            "revisions": dict(self.revisions),
        }

    def to_lines(self) -> list[str]:
        """The same for people: one line a moment; ! marks what is bad."""
        width = max((len(moment.about) for moment in self.moments), default=0)
        return [
            f"{moment.seconds:>8.1f}s {'!' if moment.bad else ' '} {moment.about:<{width}}  {moment.words}"
            for moment in self.moments
        ]


#: Kind, namespace and name.
_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Row:
    state: State | None = None
    note: str = ""
    since: float = 0.0
    spans: list[Span] = field(default_factory=list)


class Recorder:
    """Listens to a world from the moment it is made until ``finish``."""

    def __init__(self, world: World) -> None:
        """Begin: what is there already has its state from second 0 on."""
        self._world = world
        self._moments: list[tuple[float, _Key, str, bool]] = []
        self._rows: dict[_Key, _Row] = {}
        self._revisions: dict[str, str] = {}
        #: The bad news of an object since it last was well: a back-off repeats it for ever.
        self._told: dict[_Key, set[str]] = {}
        with world.lock:
            self._began = world.clock.now()
            for kind in _LANES:
                for body in world.store.list(kind):
                    self._show(kind, body)
            world.store.listeners.append(self._changed)

    def finish(self, title: str) -> Timeline:
        """Stop listening, and tell."""
        with self._world.lock:
            self._world.store.listeners.remove(self._changed)
            seconds = self._now()
            done, due = self._scenario(seconds)
        self._moments = sorted([*self._moments, *done], key=lambda moment: moment[0])
        spaces = {key[1] for _, key, _, _ in self._moments if key[1]}
        several = len(spaces) > 1

        def named(key: _Key) -> tuple[str, str]:
            return key[0], f"{key[1]}/{key[2]}" if several and key[1] else key[2]

        lanes = []
        for key, row in self._rows.items():
            self._close(row, seconds)
            dull = key[0] == NODES.kind and all(span.state is State.READY for span in row.spans)
            elsewhere = key[1] and spaces and key[1] not in spaces
            if row.spans and not dull and not elsewhere:
                lanes.append(Lane(*named(key), tuple(row.spans)))
        order = {kind.kind: number for number, kind in enumerate(_LANES)}
        lanes.sort(key=lambda lane: (order[lane.kind], _natural(lane.name)))
        moments = tuple(Moment(when, *named(key), words, bad) for when, key, words, bad in self._moments)
        return Timeline(title, seconds, moments, tuple(lanes), dict(self._revisions), due)

    def _scenario(self, seconds: float) -> tuple[list[tuple[float, _Key, str, bool]], tuple[str, ...]]:
        """What the scenario has done by itself until now, and what is left."""
        offset = bootstrap.began(self._world) - self._began
        done, due = [], []
        for happening in sorted(self._world.scenario.happenings, key=lambda one: one.at):
            when, words = happening.at + offset, _words(happening)
            if when <= seconds:
                done.append((when, (SCENARIO, "", ""), words, False))
            else:
                due.append(f"{words} at {when:g} s")
        return done, tuple(due)

    def _now(self) -> float:
        return self._world.clock.now() - self._began

    def _changed(self, change: Change) -> None:
        if change.kind is EVENTS:
            self._warned(change)
            return
        old = change.old if change.type != "ADDED" else None
        new = change.object if change.type != "DELETED" else None
        key = _key(change.kind, new or old or {})
        for words, bad in tales.tell(change.kind.key, old, new):
            self._tell(key, words, bad)
        if change.kind in _LANES:
            if new is None:
                self._set(key, None, "")
            else:
                self._show(change.kind, new)

    def _warned(self, change: Change) -> None:
        words = tales.warning(change.object) if change.type == "ADDED" else ""
        about = change.object.get("involvedObject") or {}
        if words and about.get("kind") in _WORDS:
            key = (about["kind"], about.get("namespace", ""), about.get("name", ""))
            self._tell(key, words.splitlines()[0], True)

    def _tell(self, key: _Key, words: str, bad: bool) -> None:
        told = self._told.setdefault(key, set())
        if not bad:
            told.clear()
        elif words in told:
            return
        else:
            told.add(words)
        self._moments.append((self._now(), key, words, bad))

    def _show(self, kind: Kind, body: Json) -> None:
        if kind is PODS:
            state, note = tales.pod_state(body)
            self._revisions.setdefault(tales.revision(body), tales.images(body))
        else:
            state, note = (tales.claim_state if kind is CLAIMS else tales.node_state)(body)
        self._set(_key(kind, body), state, note)

    def _set(self, key: _Key, state: State | None, note: str) -> None:
        row = self._rows.setdefault(key, _Row())
        if (row.state, row.note) == (state, note):
            return
        if row.state is state is State.FAILING:
            row.note = note  # ErrImagePull and ImagePullBackOff take turns: that is one trouble.
            return
        now = self._now()
        self._close(row, now)
        row.state, row.note, row.since = state, note, now

    @staticmethod
    def _close(row: _Row, now: float) -> None:
        if row.state is not None:
            row.spans.append(Span(row.since, now, row.state, row.note))
            row.state = None


def _key(kind: Kind, body: Json) -> _Key:
    meta = body["metadata"]
    if kind is VOLUMES:
        claim = dig(body, "spec", "claimRef") or {}
        return kind.kind, claim.get("namespace", ""), claim.get("name") or meta["name"]
    return kind.kind, meta.get("namespace", ""), meta["name"]


def _words(happening: Happening) -> str:
    node = happening.node
    return {
        "lose": f"{node} falls silent",
        "recover": f"{node} comes back",
        "cordon": f"{node} is cordoned",
        "uncordon": f"{node} takes pods again",
        "drain": f"{node} is drained",
        "delete_pod": "pods are deleted",
    }[happening.action]


def _natural(name: str) -> tuple[tuple[int, str | int], ...]:
    """Sorts web-2 before web-10."""
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name) if part)
