"""How the API server writes times, selectors and quantities in cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.amounts import NotAQuantity, canonical, text_of
from berth.rehearsal.clock import seconds_of

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def human(seconds: float) -> str:
    """A duration with two or three significant figures: 119s, 9m59s, 179m, 7h59m, 47h, 7d23h, 729d, 2y5d.

    Source: k8s.io/apimachinery/pkg/util/duration, HumanDuration. A clock that is a second behind makes no difference.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{max(whole, 0)}s"
    for limit, large, small, letters in (
        (10 * _MINUTE, _MINUTE, 1, "ms"),
        (3 * _HOUR, _MINUTE, 0, "m"),
        (8 * _HOUR, _HOUR, _MINUTE, "hm"),
        (2 * _DAY, _HOUR, 0, "h"),
        (8 * _DAY, _DAY, _HOUR, "dh"),
        (2 * _YEAR, _DAY, 0, "d"),
        (8 * _YEAR, _YEAR, _DAY, "yd"),
    ):
        if whole < limit:
            rest = whole % large // small if small else 0
            return f"{whole // large}{letters[0]}" + (f"{rest}{letters[1]}" if rest else "")
    return f"{whole // _YEAR}y"


def since(time: Any, now: float) -> str:
    """How long ago a time of an object is; ``<unknown>`` where it says none."""
    return human(now - seconds_of(time)) if time else "<unknown>"


def age(one: Json, now: float) -> str:
    """How long the object has been there."""
    return since((one.get("metadata") or {}).get("creationTimestamp"), now)


def labels(pairs: Mapping[str, str] | None) -> str:
    """Labels as one selector: a=b,c=d; ``<none>`` where there are none."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items())) or "<none>"


def selector(wanted: Json | None) -> str:
    """A label selector in kubectl's words: a=b,c in (d,e),!f."""
    wanted = wanted or {}
    words = {key: [f"{key}={value}"] for key, value in sorted((wanted.get("matchLabels") or {}).items())}
    for one in wanted.get("matchExpressions") or []:
        words.setdefault(one["key"], []).append(_requirement(one))
    return ",".join(word for key in sorted(words) for word in words[key]) or "<none>"


def _requirement(one: Json) -> str:
    key, values = one["key"], ",".join(sorted(one.get("values") or []))
    match one["operator"]:
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "Exists":
            return str(key)
    return f"!{key}"


def quantity(value: Any) -> str:
    """A quantity in its canonical form; "0" where there is none."""
    if value is None:
        return "0"
    try:
        return canonical(text_of(value))
    except NotAQuantity:
        return str(value)


def access_modes(modes: list[str] | None) -> str:
    """RWO,RWX for access modes, each once, in the API server's order."""
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(word for mode, word in short.items() if mode in (modes or ()))


def several(words: list[str], most: int, nothing: str) -> str:
    """The first words; how many more there are."""
    if len(words) > most:
        return f"{','.join(words[:most])} + {len(words) - most} more..."
    return ",".join(words) or nothing
