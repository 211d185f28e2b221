"""Every object of a rehearsal: in memory for reading, in SQLite for the next process, and what changed lately.

Writes are numbered (``resourceVersion``). They reach the file at ``flush``, which the server calls before anything that
holds them leaves the process: so a client never saw what a crash can undo, and a storm of writes is one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from berth.core.errors import LocalError
from berth.core.objects import Json
from berth.rehearsal.jsontree import Sharing
from berth.rehearsal.kinds import KINDS, Kind, by_key
from berth.rehearsal.refusal import already_exists, expired, not_found

T = TypeVar("T")

#: Says in the file whose it is (SQLite's application_id): "brth" in ASCII.
APPLICATION_ID = 0x62727468
#: Of the tables below; another number is another berth's file.
FORMAT = 1
#: How every SQLite database begins.
_SQLITE = b"SQLite format 3\0"
#: Changes that are remembered for watches. A watch from before them is told 410 and lists anew.
HISTORY = 5_000

_TABLES = """
CREATE TABLE objects (kind TEXT, namespace TEXT, name TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, namespace, name))
    WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One write. ``type`` is ADDED, MODIFIED or DELETED; ``old`` is what was there before."""

    type: str
    kind: Kind
    object: Json
    old: Json | None
    version: int

    @property
    def key(self) -> tuple[str, str]:
        """Namespace ("" where the kind has none) and name."""
        meta = self.object["metadata"]
        return meta.get("namespace", ""), meta["name"]


class Store:
    """The objects. Not thread-safe: the world's lock guards it. What it hands out is shared: never change it."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the file, or make it; None keeps everything in memory.

        Raises:
            LocalError: the file is none of ours, damaged, from another version of berth, or cannot be written.
        """
        self.version = 0
        self.listeners: list[Callable[[Change], None]] = []
        self._path = path
        self._objects: dict[str, dict[str, dict[str, Json]]] = {kind.key: {} for kind in KINDS}
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._sharing = Sharing()
        self._unsaved: dict[tuple[str, str, str], Json | None] = {}
        #: Whether the last attempt to save failed: nothing is written until one succeeds.
        self.failing = False
        self._facts: dict[str, str] = {}
        self._unsaved_facts: dict[str, str] = {}
        try:
            self._open(path)
        except sqlite3.Error as error:
            raise _unreadable(path, str(error)) from error
        self._oldest = self.version

    def _open(self, path: Path | None) -> None:
        if path is not None and path.is_file():
            with path.open("rb") as file:
                # SQLite takes a file of some bytes for an empty database, and writes over it.
                if file.read(len(_SQLITE)) not in (b"", _SQLITE):
                    raise _unreadable(path, "it is no SQLite database")
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        if path is not None:
            path.chmod(0o600)
        owner = self._db.execute("PRAGMA application_id").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables == 0 and owner == 0:
            # WAL with NORMAL keeps every commit when the process is killed; only a power cut can undo the last ones.
            self._db.executescript(
                f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN; {_TABLES}"
                f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
            )
            return
        if owner != APPLICATION_ID:
            raise _unreadable(path, "it was not made by berth")
        made_by = self._db.execute("PRAGMA user_version").fetchone()[0]
        if made_by != FORMAT:
            raise _unreadable(path, f"it has format {made_by}, this berth reads {FORMAT}")
        self._db.execute("PRAGMA synchronous = NORMAL")
        damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise _unreadable(path, f"it is damaged: {damage}")
        try:
            self._read()
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(path, f"it is damaged: {error}") from error

    def _read(self) -> None:
        self._facts = {name: value for name, value in self._db.execute("SELECT name, value FROM facts")}
        self.version = int(self._facts.get("version", "0"))
        for key, namespace, name, body in self._db.execute("SELECT kind, namespace, name, body FROM objects"):
            by_key(key)
            self._objects[key].setdefault(namespace, {})[name] = json.loads(body)

    def follower(self, kind: type[T]) -> T | None:
        """What of this class listens to the store with one of its methods; None where nothing does."""
        owners = (getattr(listener, "__self__", None) for listener in self.listeners)
        return next((owner for owner in owners if isinstance(owner, kind)), None)

    def fact(self, name: str) -> str | None:
        """Something that the rehearsal remembers beside its objects."""
        return self._facts.get(name)

    def remember(self, name: str, value: str) -> None:
        """Keep a fact for the next process."""
        self._facts[name] = self._unsaved_facts[name] = value

    def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """One object; None where there is none."""
        inner = self._objects[kind.key].get(namespace)
        return inner.get(name) if inner else None

    def list(self, kind: Kind, namespace: str | None = None) -> list[Json]:
        """The objects of a kind, of one namespace or of all, by namespace and name."""
        spaces = self._objects[kind.key]
        if namespace is not None:
            found = spaces.get(namespace, {})
            return [found[name] for name in sorted(found)]
        return [spaces[space][name] for space in sorted(spaces) for name in sorted(spaces[space])]

    def each(self, kind: Kind, namespace: str | None = None) -> Iterator[Json]:
        """The same objects, in no order and without a copy: nothing may be written meanwhile."""
        spaces = self._objects[kind.key]
        for space in spaces.values() if namespace is None else (spaces.get(namespace, {}),):
            yield from space.values()

    def count(self, kind: Kind) -> int:
        """How many there are of a kind."""
        return sum(len(space) for space in self._objects[kind.key].values())

    def create(self, kind: Kind, body: Json) -> Json:
        """Add an object; the answer carries its version.

        Raises:
            ApiError: there is one of that name.
        """
        namespace, name = _key(body)
        if self.get(kind, namespace, name) is not None:
            raise already_exists(kind, name)
        return self._write("ADDED", kind, body, None)

    def update(self, kind: Kind, body: Json) -> Json:
        """Replace an object; the answer carries its version.

        Raises:
            ApiError: there is none.
        """
        namespace, name = _key(body)
        old = self.get(kind, namespace, name)
        if old is None:
            raise not_found(kind, name)
        return self._write("MODIFIED", kind, body, old)

    def delete(self, kind: Kind, namespace: str, name: str) -> Json:
        """Remove an object; the answer is its last state, with the version of its end.

        Raises:
            ApiError: there is none.
        """
        old = self.get(kind, namespace, name)
        if old is None:
            raise not_found(kind, name)
        return self._write("DELETED", kind, old, old)

    def _write(self, kind_of_change: str, kind: Kind, body: Json, old: Json | None) -> Json:
        if self.failing:
            # What could not be saved must not be answered with success later, nor pile up.
            self.flush()
        self.version += 1
        meta = {**body["metadata"], "resourceVersion": str(self.version)}
        if meta.get("managedFields"):
            meta["managedFields"] = [
                {**entry, "fieldsV1": self._sharing.of(entry.get("fieldsV1"))} for entry in meta["managedFields"]
            ]
        body = {**body, "metadata": meta}
        namespace, name = _key(body)
        space = self._objects[kind.key].setdefault(namespace, {})
        if kind_of_change == "DELETED":
            del space[name]
        else:
            space[name] = body
        if self._path is not None:
            self._unsaved[kind.key, namespace, name] = None if kind_of_change == "DELETED" else body
        if len(self._history) == HISTORY:
            self._oldest = self._history[0].version
        change = Change(kind_of_change, kind, body, old, self.version)
        self._history.append(change)
        for listener in self.listeners:
            listener(change)
        return body

    def changes_since(self, version: int, kind: Kind, namespace: str | None = None) -> Sequence[Change]:
        """What was written to a kind after a version, in order.

        Raises:
            ApiError: 410, that is no longer remembered.
        """
        if version < self._oldest:
            raise expired(version, self._oldest)
        if version >= self.version:
            return []
        found = []
        for change in reversed(self._history):
            if change.version <= version:
                break
            if change.kind is kind and (namespace is None or change.key[0] == namespace):
                found.append(change)
        return found[::-1]

    def forget(self) -> None:
        """Forget all history, as a compaction of etcd does: watches from before are told 410."""
        self._history.clear()
        self._oldest = self.version

    def flush(self) -> None:
        """Bring to the file what was written since the last time, in one transaction.

        Raises:
            LocalError: it cannot be written (disk full). What was not saved is tried again at the next flush, and
                before the next write, which fails as long as it cannot be.
        """
        if not self._unsaved and not self._unsaved_facts:
            return
        self.remember("version", str(self.version))
        gone = [key for key, body in self._unsaved.items() if body is None]
        kept = [
            (*key, json.dumps(body, separators=(",", ":"))) for key, body in self._unsaved.items() if body is not None
        ]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", gone)
            self._db.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", kept)
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", self._unsaved_facts.items())
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self.failing = True
            raise LocalError(
                "the rehearsal's state cannot be written", where=str(self._path or "memory"), why=str(error)
            ) from error
        self.failing = False
        self._unsaved.clear()
        self._unsaved_facts.clear()

    def close(self) -> None:
        """Save what is left and let go of the file."""
        self.flush()
        self._db.close()


def _key(body: Json) -> tuple[str, str]:
    meta = body["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _unreadable(path: Path | None, why: str) -> LocalError:
    return LocalError(
        "this file is not the state of a rehearsal that can be opened",
        where=str(path),
        why=why,
        hint="name another one, or delete it: cluster.delete --engine rehearsal",
    )
