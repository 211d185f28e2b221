"""Places in values: paths, written with dots, and what is there. Values are plain data, and tokens in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from berth.core.provenance import escape_key
from berth.core.secretvalues import Given
from berth.core.strictyaml import Path


def dotted(path: Path) -> str:
    """The dotted form of a path."""
    return ".".join(escape_key(part) if isinstance(part, str) else str(part) for part in path)


def split_path(text: str) -> list[str]:
    """The parts of a dotted path, backslashes resolved."""
    parts = [""]
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            parts[-1] += next(letters, "")
        elif letter == ".":
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def get(data: Any, path: str) -> Any:
    """The value at a dotted path, or None."""
    for part in split_path(path):
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def step_into(data: Any, part: str) -> str | int:
    """A part of a dotted path, as what it leads into is indexed."""
    return int(part) if isinstance(data, list) else part


def strings(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in the data, keys as well, and where it is."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, item in data.items():
            yield (*path, key), key
            yield from strings(item, (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from strings(item, (*path, index))


def sources_in(data: Any, path: Path = ()) -> Iterator[tuple[Path, Given]]:
    """Every source in the data, and where it is."""
    if isinstance(data, Given):
        yield path, data
        return
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        yield from sources_in(item, (*path, key))


def copied(value: Any) -> Any:
    """A copy that shares no mapping and no list."""
    if isinstance(value, Given):
        return Given(value)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def dig(data: Any, path: Path) -> Any:
    """The value at a path, or None."""
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data
