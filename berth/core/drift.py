"""What of a release's objects is not as it was recorded, field by field, and who changed it.

Compared is what the recorded manifest says, and what others have added since; what the server fills in by itself is no
drift. Who did it is what ``metadata.managedFields`` says: a field that was taken away belongs to nobody, and then the
newest writer is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from berth.core.diff import ABSENT, MASKED, list_key, same_value
from berth.core.objects import FIELD_MANAGER, GENERATED_ANNOTATION, Json, ObjectRef, dig, field_path

#: Writes into objects by itself, and changes nothing that anybody has said; only its autoscaler does.
_CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
#: kubectl's copy of a whole manifest.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

#: What an API server may leave out, for it says nothing.
_EMPTY: tuple[Any, ...] = (None, "", 0, False, [], {})


@dataclass(frozen=True, slots=True)
class _Element:
    """An element of a list whose elements are told apart by a key."""

    key: str
    value: str | int


_Part = str | int | _Element


@dataclass(frozen=True, slots=True)
class Drift:
    """One field that is not as recorded; ``path`` is empty where it is the object as a whole.

    ``manager`` is the field manager that changed it, "" where nobody tells. Values of Secrets are masked.
    """

    ref: ObjectRef
    path: str
    recorded: Any
    live: Any
    manager: str = ""


def missing(ref: ObjectRef) -> Drift:
    """That the object itself is not there any more."""
    return Drift(ref, "", "recorded", ABSENT)


def drift(recorded: Json, live: Json, since: datetime) -> tuple[Drift, ...]:
    """The fields of a live object that differ from its recorded manifest, or were added by others after ``since``.

    A Secret's recorded data is not known: of it only the keys are compared, and that it was written to.
    """
    ref, secret = ObjectRef.of(live), live.get("kind") == "Secret"
    generated = str(dig(recorded, "metadata", "annotations", GENERATED_ANNOTATION, default="")).split(",")
    found: dict[str, Drift] = {}
    for path, old, new in _differences((), recorded, live):
        if path[0] not in ("apiVersion", "kind", "status"):
            found[_text(path)] = Drift(ref, _text(path), old, new, manager_of(live, path))
    for path, manager in _added(recorded, live, since):
        before, now = ABSENT, _at(live, path)
        if secret and path[0] == "data":
            before, now = MASKED if path[-1] in generated else ABSENT, _mask(now)
        found.setdefault(_text(path), Drift(ref, _text(path), before, now, manager))
    if secret and not found:
        return (Drift(ref, "data", MASKED, MASKED, _newest_writer(live)),)
    return tuple(found.values())


def manager_of(live: Json, path: Sequence[_Part]) -> str:
    """Who owns a field of a live object, the newest of several; else who of the others wrote to it last."""
    owners = [entry for entry in _entries(live) if (owned := entry.get("fieldsV1")) and _owns(owned, path)]
    return _newest(owners) if owners else _newest_writer(live)


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
    if said == MASKED or (live == ABSENT and said in _EMPTY):
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


def _added(recorded: Json, live: Json, since: datetime) -> Iterator[tuple[tuple[_Part, ...], str]]:
    """The fields that others have written since, and that the manifest does not speak of."""
    for entry in _entries(live):
        manager, time = str(entry.get("manager", "")), str(entry.get("time", ""))
        controller = manager in _CONTROLLERS and entry.get("subresource") != "scale"
        if _own(entry) or controller or not time or datetime.fromisoformat(time) < since.replace(microsecond=0):
            continue
        for path in _paths(entry.get("fieldsV1") or {}, ()):
            there, said = _at(live, path), _at(recorded, path)
            if there not in (ABSENT, *_EMPTY) and said == ABSENT and path[-1] != _LAST_APPLIED:
                yield path, manager


def _paths(fields: Mapping[str, Any], path: tuple[_Part, ...]) -> Iterator[tuple[_Part, ...]]:
    """The outermost paths of fieldsV1 at which something of its own begins: leaves, and whole elements of lists."""
    inner = [(key, value) for key, value in fields.items() if key[:2] in ("f:", "k:")]
    if not inner or (path and "." in fields and isinstance(path[-1], _Element)):
        if path:
            yield path
        return
    for key, value in inner:
        part = _part(key)
        if part is not None:
            yield from _paths(value or {}, (*path, part))


def _part(key: str) -> _Part | None:
    if key.startswith("f:"):
        return key[2:]
    known = json.loads(key[2:])
    name = next(iter(known), None)
    return _Element(name, known[name]) if name is not None else None


def _owns(fields: Mapping[str, Any], path: Sequence[_Part]) -> bool:
    for part in path:
        if not isinstance(part, str):
            if isinstance(part, _Element):
                inner = [v for k, v in fields.items() if k.startswith("k:") and _matches(json.loads(k[2:]), part)]
                if inner:
                    fields = inner[0] or {}
                    continue
            # A list that is owned as a whole.
            return not any(key.startswith("k:") for key in fields)
        if f"f:{part}" not in fields:
            return not fields  # What is around it may be owned as a whole.
        fields = fields[f"f:{part}"] or {}
    return True


def _matches(known: Mapping[str, Any], element: _Element) -> bool:
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
