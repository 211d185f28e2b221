"""What of a release's objects is not as it was recorded, field by field, and who changed it.

Compared is what the recorded manifest says, and what others have added since; what the server fills in by itself is no
drift. Who did it is what ``metadata.managedFields`` says: a field that was taken away belongs to nobody, and then the
newest writer is named. How it is taken back follows from who owns the field now (server-side apply refuses to set what
another manager owns, unless forced: kubernetes.io/docs/reference/using-api/server-side-apply, "Conflicts").
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from berth.core.diff import ABSENT, MASKED, list_key, same_value
from berth.core.objects import FIELD_MANAGER, GENERATED_ANNOTATION, Json, ObjectRef, dig, field_path

#: Writes into objects by itself, and changes nothing that anybody has said; only its autoscaler does.
_CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
#: kubectl's copy of a whole manifest.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

#: Maps that are owned as a whole, and in which an API server fills nothing in. Source: listType and mapType "atomic" in
#: kubernetes staging/src/k8s.io/api.
_WHOLE = frozenset({"selector", "nodeSelector", "podSelector", "namespaceSelector", "labelSelector", "matchLabels"})

#: What an API server may leave out, for it says nothing.
_EMPTY: tuple[Any, ...] = (None, "", 0, False, [], {})


@dataclass(frozen=True, slots=True)
class _Element:
    """An element of a list whose elements are told apart by a key."""

    key: str
    value: str | int


_Part = str | int | _Element


class Way(StrEnum):
    """What takes a field back.

    UP: the next `up`, for nobody else owns the field, or it is missing. FORCE: `up --force-conflicts`, for another
    manager owns it. STAYS: nothing, for berth has said nothing of it. BY_HAND: `up` cannot: a port was given another
    number, which makes it another element of its list, and apply neither removes what others added nor may add a second
    port of that name.
    """

    UP = "up"
    FORCE = "force-conflicts"
    STAYS = "stays"
    BY_HAND = "by-hand"


@dataclass(frozen=True, slots=True)
class Drift:
    """One field that is not as recorded; ``path`` is empty where it is the object as a whole.

    ``manager`` is the field manager that changed it, "" where nobody tells. Values of Secrets are masked. ``way`` is
    what takes it back.
    """

    ref: ObjectRef
    path: str
    recorded: Any
    live: Any
    manager: str = ""
    way: Way = Way.UP


def missing(ref: ObjectRef) -> Drift:
    """That the object itself is not there any more."""
    return Drift(ref, "", "recorded", ABSENT)


def drift(recorded: Json, live: Json, since: datetime, besides: Collection[str] = ()) -> tuple[Drift, ...]:
    """The fields of a live object that differ from its recorded manifest, or were added by others after ``since``.

    ``besides`` are paths, as `Drift` writes them, that are left out with all that is below them. A Secret's recorded
    data is not known: of it only the keys are compared, and that it was written to.
    """
    ref, secret = ObjectRef.of(live), live.get("kind") == "Secret"
    generated = str(dig(recorded, "metadata", "annotations", GENERATED_ANNOTATION, default="")).split(",")
    found: dict[str, Drift] = {}
    renumbered: list[Any] = []
    for path, old, new in _differences((), recorded, live):
        if path[0] not in ("apiVersion", "kind", "status"):
            way = _way(live, path)
            if way is Way.BY_HAND:
                renumbered.append(_at(live, path[:-1]))
            found[_text(path)] = Drift(ref, _text(path), old, new, manager_of(live, path), way)
    for path, manager, way in _added(recorded, live, since):
        before, now = ABSENT, _at(live, path)
        if secret and path[0] == "data":
            before, now = MASKED if path[-1] in generated else ABSENT, _mask(now)
        if not any(now is one for one in renumbered):
            found.setdefault(_text(path), Drift(ref, _text(path), before, now, manager, way))
    if secret and not found:
        way = Way.FORCE if _data_of_others(recorded, live) else Way.UP
        found["data"] = Drift(ref, "data", MASKED, MASKED, _newest_writer(live), way)
    return tuple(one for path, one in found.items() if not _within(path, besides))


def _within(path: str, besides: Collection[str]) -> bool:
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in besides)


def manager_of(live: Json, path: Sequence[_Part]) -> str:
    """Who owns a field of a live object, the newest of several; else who of the others wrote to it last."""
    owners = _owners(live, path)
    return _newest(owners) if owners else _newest_writer(live)


def _owners(live: Json, path: Sequence[_Part]) -> list[Json]:
    return [entry for entry in _entries(live) if (owned := entry.get("fieldsV1")) and _owns(owned, path, live)]


def _way(live: Json, path: Sequence[_Part]) -> Way:
    """What takes back a field of which berth has said something."""
    if all(_own(entry) for entry in _owners(live, path)):
        return Way.UP
    renumbered = len(path) > 2 and path[-3] == "ports" and path[-1] in ("port", "containerPort", "protocol")
    return Way.BY_HAND if renumbered and isinstance(path[-2], _Element) else Way.FORCE


def _data_of_others(recorded: Json, live: Json) -> bool:
    """Whether another manager owns a key of a Secret that berth says."""
    said = [key for part in ("data", "stringData") for key in recorded.get(part) or {}]
    return any(not _own(entry) for key in said for entry in _owners(live, ("data", key)))


def _newest_writer(live: Json) -> str:
    others = [e for e in _entries(live) if not _own(e) and e.get("manager") not in _CONTROLLERS]
    return _newest(others)


def _newest(entries: Sequence[Json]) -> str:
    # Of several owners another's word is the news: ours is what is recorded.
    chosen = max(entries, key=lambda entry: (not _own(entry), str(entry.get("time", ""))), default=None)
    return str(chosen.get("manager", "")) if chosen else ""


def _own(entry: Json) -> bool:
    return str(entry.get("manager", "")).startswith(FIELD_MANAGER)


def _entries(live: Json) -> list[Json]:
    return [e for e in dig(live, "metadata", "managedFields", default=[]) or [] if e.get("subresource") != "status"]


def _differences(path: tuple[_Part, ...], said: Any, live: Any) -> Iterator[tuple[tuple[_Part, ...], Any, Any]]:
    """The fields that ``said`` states and ``live`` has otherwise."""
    if said == MASKED or (live == ABSENT and said in _EMPTY and not _tells(path)):
        return
    if isinstance(said, Mapping) and isinstance(live, Mapping):
        for key, value in said.items():
            if path == () and key in ("data", "stringData") and said.get("kind") == "Secret":
                gone = [name for name in value or {} if name not in (live.get("data") or {})]
                yield from ((("data", name), MASKED, ABSENT) for name in gone)
                continue
            yield from _differences((*path, key), value, live.get(key, ABSENT))
    elif isinstance(said, list) and isinstance(live, list):
        key_name = list_key(said, live)
        if key_name:
            there = {item[key_name]: item for item in live}
            for item in said:
                element = _Element(key_name, item[key_name])
                yield from _differences((*path, element), item, there.get(item[key_name], ABSENT))
        elif len(said) == len(live):
            for index, (one, other) in enumerate(zip(said, live, strict=True)):
                yield from _differences((*path, index), one, other)
        else:
            yield path, said, MASKED if MASKED in str(said) else live
    elif not same_value(path, said, live):
        yield path, said, live


def _added(recorded: Json, live: Json, since: datetime) -> Iterator[tuple[tuple[_Part, ...], str, Way]]:
    """The fields that others have written since, and that the manifest does not speak of."""
    for entry in _entries(live):
        manager, time = str(entry.get("manager", "")), str(entry.get("time", ""))
        controller = manager in _CONTROLLERS and entry.get("subresource") != "scale"
        if _own(entry) or controller or not time or datetime.fromisoformat(time) < since.replace(microsecond=0):
            continue
        for path in _paths(entry.get("fieldsV1") or {}, (), recorded):
            there, said = _at(live, path), _at(recorded, path)
            if said != ABSENT:
                yield from ((inner, manager, Way.FORCE) for inner in _beyond(path, said, there))
            elif path[-1] != _LAST_APPLIED and there != ABSENT and (there not in _EMPTY or _tells(path)):
                yield path, manager, Way.STAYS


def _beyond(path: tuple[_Part, ...], said: Any, live: Any) -> Iterator[tuple[_Part, ...]]:
    """What is more in a live value that another manager owns as a whole, besides what a server fills in."""
    if isinstance(said, Mapping) and isinstance(live, Mapping):
        if path[-1] in _WHOLE:
            yield from ((*path, key) for key in live if key not in said)
        for key in live:
            if key in said:
                yield from _beyond((*path, key), said[key], live[key])
    elif isinstance(said, list) and isinstance(live, list):
        key_name = list_key(said, live)
        if key_name:
            known = {item[key_name]: item for item in said}
            for item in live:
                inner = (*path, _Element(key_name, item[key_name]))
                if item[key_name] in known:
                    yield from _beyond(inner, known[item[key_name]], item)
                else:
                    yield inner
        elif len(said) == len(live):
            for index, (one, other) in enumerate(zip(said, live, strict=True)):
                yield from _beyond((*path, index), one, other)


def _tells(path: Sequence[_Part]) -> bool:
    """Whether an empty value says something there: a label's key does."""
    return len(path) > 1 and path[-2] in ("labels", "annotations")


def _paths(fields: Mapping[str, Any], path: tuple[_Part, ...], recorded: Json) -> Iterator[tuple[_Part, ...]]:
    """The outermost paths of fieldsV1 at which something of its own begins: leaves, and new elements of lists."""
    inner = [(key, value) for key, value in fields.items() if key[:2] in ("f:", "k:")]
    new = path and "." in fields and isinstance(path[-1], _Element) and _at(recorded, path) == ABSENT
    if not inner or new:
        if path:
            yield path
        return
    for key, value in inner:
        part = _part(key)
        if part is not None:
            yield from _paths(value or {}, (*path, part), recorded)


def _part(key: str) -> _Part | None:
    if key.startswith("f:"):
        return key[2:]
    known = json.loads(key[2:])
    name = next(iter(known), None)
    return _Element(name, known[name]) if name is not None else None


def _owns(fields: Mapping[str, Any], path: Sequence[_Part], live: Any) -> bool:
    for part in path:
        live = _at(live, (part,))
        if not isinstance(part, str):
            if isinstance(part, _Element):
                inner = [v for k, v in fields.items() if k.startswith("k:") and _matches(json.loads(k[2:]), part, live)]
                if inner:
                    fields = inner[0] or {}
                    continue
            # A list that is owned as a whole.
            return not any(key.startswith("k:") for key in fields)
        if f"f:{part}" not in fields:
            return not fields  # What is around it may be owned as a whole.
        fields = fields[f"f:{part}"] or {}
    return True


def _matches(known: Mapping[str, Any], element: _Element, item: Any) -> bool:
    """Whether the keys by which a server knows an element are those of a live one, which people know by another."""
    if isinstance(item, Mapping):
        return all(item.get(key) == value for key, value in known.items())
    return bool(known.get(element.key) == element.value)


def _at(body: Any, path: Sequence[_Part]) -> Any:
    for part in path:
        if isinstance(part, _Element):
            items = body if isinstance(body, list) else []
            body = next((i for i in items if isinstance(i, Mapping) and i.get(part.key) == part.value), ABSENT)
        elif isinstance(part, int):
            body = body[part] if isinstance(body, list) and part < len(body) else ABSENT
        else:
            body = body.get(part, ABSENT) if isinstance(body, Mapping) else ABSENT
    return body


def _mask(value: Any) -> Any:
    return ABSENT if value == ABSENT else MASKED


def _text(path: Sequence[_Part]) -> str:
    text = ""
    for part in path:
        if isinstance(part, _Element):
            text += f"[{part.key}={part.value}]"
        else:
            step = field_path((part,))
            text += step if step.startswith("[") or not text else f".{step}"
    return text
