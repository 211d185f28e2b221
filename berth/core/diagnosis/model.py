"""What a diagnosis says, and what it looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from berth.core.objects import Json, dig


class Weight(StrEnum):
    """What a cause means for the run."""

    TERMINAL = "terminal"
    SUSPECT = "suspect"
    TRANSIENT = "transient"


@dataclass(frozen=True, slots=True)
class LogsOf:
    """Which container's last lines belong to a cause; ``previous`` means the run before the restart."""

    pod: str
    container: str
    previous: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an ordinal is not ready: a reason in one word, a line for people, what to try."""

    weight: Weight
    reason: str
    message: str
    hint: str = ""
    logs: LogsOf | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a diagnosis looks at, all of one namespace. Mappings are by name; None is what may not be read.

    Without ``now`` a pod that does not stop cannot be told from one that takes its time. What an event said before
    ``since`` (RFC 3339, UTC) may have been mended in the meantime, outside of the set.
    """

    pods: Sequence[Json] = ()
    claims: Mapping[str, Json] = field(default_factory=dict)
    classes: Mapping[str, Json] | None = None
    events: Sequence[Json] = ()
    volumes: Mapping[str, Json] | None = None
    attachments: Sequence[Json] = ()
    nodes: Mapping[str, Json] | None = None
    now: datetime | None = None
    since: str = ""


def latest(events: Iterable[Json], about: Json, reasons: Sequence[str], says: str = "") -> Json | None:
    """The newest event about this very object with one of the reasons, and with some words in its message.

    A pod comes back under its name, and events outlive what they are about by an hour: the uid tells them apart.
    """
    uid = dig(about, "metadata", "uid")
    matching = [
        event
        for event in events
        if event.get("reason") in reasons
        and dig(event, "involvedObject", "kind") == about.get("kind", dig(event, "involvedObject", "kind"))
        and dig(event, "involvedObject", "name") == about["metadata"]["name"]
        and (uid is None or dig(event, "involvedObject", "uid", default=uid) == uid)
        and says in str(event.get("message", ""))
    ]
    # Times are whole seconds: of equal ones the event that is listed last was made last.
    return max(reversed(matching), key=event_time, default=None)


def event_time(event: Json) -> str:
    """When an event was last seen, whichever field says so."""
    times = (event.get("lastTimestamp"), event.get("eventTime"), dig(event, "series", "lastObservedTime"))
    return max((str(time) for time in times if time), default="")


def namespace_of(body: Json) -> str:
    """The namespace of an object, for a command."""
    return str(dig(body, "metadata", "namespace", default="default"))


def held_by(body: Json, besides: Sequence[str] = ()) -> str:
    """The finalizers of an object, each with the field manager that set it, where that is known."""
    held: list[str] = []
    for finalizer in dig(body, "metadata", "finalizers", default=[]) or []:
        if finalizer in besides:
            continue
        setters = [
            str(entry.get("manager"))
            for entry in dig(body, "metadata", "managedFields", default=[]) or []
            if dig(entry, "fieldsV1", "f:metadata", "f:finalizers", f'v:"{finalizer}"') is not None
        ]
        held.append(f"{finalizer} (set by {setters[0]})" if setters else finalizer)
    return ", ".join(held)
