"""Values that remember where they came from while templates work with them.

Strings, numbers, lists and mappings are wrapped once in subclasses that carry the dotted paths of the profile values
they were made of. ``true``, ``false`` and null cannot be subclassed; for them the compiler's static reading of the
expression stands in (see ``templating``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

#: Private-use characters that delimit tokens and marks in rendered text, see ``tokens``.
OPEN, CLOSE, MARK, END = "\uf5e0", "\uf5e1", "\uf5e2", "\uf5e3"
#: Characters that neither templates nor values may hold.
RESERVED = re.compile(f"[{OPEN}{CLOSE}{MARK}{END}]")


class Text(str):
    """A string with its origin."""

    paths: tuple[str, ...] = ()


class Whole(int):
    """A whole number with its origin."""

    paths: tuple[str, ...] = ()


class Decimal(float):
    """A number with its origin."""

    paths: tuple[str, ...] = ()


class Listing(list[Any]):
    """A list with its origin; its items carry their own."""

    paths: tuple[str, ...] = ()


class Mapped(dict[str, Any]):
    """A mapping with its origin; its entries carry their own."""

    paths: tuple[str, ...] = ()


_TRACKED = frozenset((Text, Whole, Decimal, Listing, Mapped))
_WRAPPERS: dict[type, type] = {str: Text, int: Whole, float: Decimal}
#: The kinds of the wrapped types, in the words that messages use.
NAMES = {"Text": "text", "Whole": "a whole number", "Decimal": "a number", "Listing": "a list", "Mapped": "a mapping"}


def escape_key(key: str) -> str:
    r"""A key as a dotted path holds it: a dot inside becomes ``\.``."""
    return key.replace("\\", "\\\\").replace(".", "\\.") if "." in key or "\\" in key else key


def track(value: Any, path: str = "") -> Any:
    """A copy of plain data whose every part, but true, false and null, knows its dotted path."""
    kind = type(value)
    made: Any
    if kind is dict:
        prefix = f"{path}." if path else ""
        made = Mapped((key, track(item, prefix + escape_key(key))) for key, item in value.items())
    elif kind is list:
        made = Listing(track(item, f"{path}.{index}") for index, item in enumerate(value))
    elif kind in _WRAPPERS:
        made = _WRAPPERS[kind](value)
    else:
        return value
    made.paths = (path,) if path else ()
    return made


def paths_of(*values: Any) -> tuple[str, ...]:
    """The dotted paths that values carry, each once, in order."""
    found: dict[str, None] = {}
    for value in values:
        if type(value) in _TRACKED:
            for path in value.paths:
                found[path] = None
    return tuple(found)


def derive(text: str, sources: Iterable[Any]) -> str:
    """A text made from others, with the origins of them all."""
    paths = paths_of(*sources)
    if not paths:
        return text
    made = Text(text)
    made.paths = paths
    return made


def carry(result: Any, *sources: Any) -> Any:
    """A result with the origins of what it was made of; true, false and null come back as they are."""
    kind = type(result)
    if kind not in _WRAPPERS and kind is not list and kind is not dict:
        return result
    paths = paths_of(*sources)
    if not paths:
        return result
    wrapper: Any = Listing if kind is list else Mapped if kind is dict else _WRAPPERS[kind]
    made = wrapper(result)
    made.paths = paths
    return made
