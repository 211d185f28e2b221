"""`history`: what was done to a release, by whom, and with which values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from berth.cluster.record import ReleaseRecord, Revision
from berth.core.diff import shown_value
from berth.core.errors import InputError
from berth.core.masking import HIDDEN
from berth.core.objects import Json
from berth.core.secretvalues import is_source, words_of

#: How long a value may be in a line, in characters.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision, and what of the values it changed: path, before, after; None stands for absent."""

    revision: Revision
    changes: tuple[tuple[str, Any, Any], ...]
    now: bool
    possible: bool


def history(record: ReleaseRecord) -> tuple[Entry, ...]:
    """The revisions of a release that are kept, the oldest first; ``possible`` says whether one can go back to it."""
    entries: list[Entry] = []
    before: Json | None = None
    for revision in record.history:
        now = revision.revision == record.revision
        changes = () if before is None or not revision.values else tuple(_changes(before, revision.values))
        possible = bool(revision.manifests) and not (now and record.status == "deployed")
        entries.append(Entry(revision, changes, now, possible))
        before = revision.values or before
    return tuple(entries)


def one(record: ReleaseRecord, number: int) -> Entry:
    """The entry of a revision.

    Raises:
        InputError: there is none.
    """
    entries = history(record)
    found = [entry for entry in entries if entry.revision.revision == number]
    if not found:
        known = ", ".join(str(entry.revision.revision) for entry in entries)
        raise InputError(
            f"the history of release {record.name} has no revision {number}",
            hint=f"one of: {known}" if known else "it is empty so far",
        )
    return found[0]


def rows(entries: tuple[Entry, ...]) -> list[tuple[str, ...]]:
    """A table for people, its head first; times are UTC."""
    shown: list[tuple[str, ...]] = [("REVISION", "WHEN (UTC)", "WHO", "WHAT", "PROFILE", "RESULT", "CHANGED VALUES")]
    for entry in entries:
        revision = entry.revision
        shown.append(
            (
                f"{revision.revision}{'*' if entry.now else ''}",
                f"{revision.time:%Y-%m-%d %H:%M:%S}",
                revision.user,
                revision.action,
                revision.profile_version,
                revision.result,
                ", ".join(_text(*change) for change in entry.changes) or "-",
            )
        )
    return shown


def as_json(entry: Entry) -> Json:
    """An entry for machines; secret values are masked in the record already."""
    revision = entry.revision
    return {
        "revision": revision.revision,
        "time": revision.time.isoformat(),
        "user": revision.user,
        "action": revision.action,
        "profileVersion": revision.profile_version,
        "berthVersion": revision.berth_version,
        "environment": revision.environment,
        "result": revision.result,
        "values": revision.values,
        "changes": [{"path": path, "old": old, "new": new} for path, old, new in entry.changes],
        "current": entry.now,
        "possible": entry.possible,
    }


def _changes(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and not (is_source(before) or is_source(after)):
        for key in dict.fromkeys((*before, *after)):
            inner = f"{path}.{key}" if path else str(key)
            yield from _changes(before.get(key), after.get(key), inner)
    elif before != after:
        yield path, before, after


def _text(path: str, before: Any, after: Any) -> str:
    if HIDDEN in (before, after):
        return f"{path}: {HIDDEN}"
    return f"{path}: {_value(before)} -> {_value(after)}"


def _value(value: Any) -> str:
    if is_source(value):
        return words_of(value)
    return "-" if value is None else shown_value(value, _SHOWN)
