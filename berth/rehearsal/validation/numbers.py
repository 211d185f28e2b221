"""Numbers that may be percentages. Source: kubernetes pkg/apis/apps/validation."""

from __future__ import annotations

from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import Errors, all_invalid, invalid, not_negative

NumberOrPercent = int | str


def many_or_percent(path: str, found: NumberOrPercent) -> Errors:
    """A number that is not negative, or a percentage."""
    if isinstance(found, str):
        return all_invalid(path, found, formats.percent(found))
    return not_negative(path, found)


def at_most_all(path: str, found: NumberOrPercent) -> Errors:
    """A percentage goes up to a hundred."""
    if isinstance(found, str) and not formats.percent(found) and int(found[:-1]) > 100:
        return [invalid(path, found, "must not be greater than 100%")]
    return []


def read(found: NumberOrPercent) -> int:
    """The number, or that of the percentage; zero where it is neither."""
    if isinstance(found, str):
        return int(found[:-1]) if not formats.percent(found) else 0
    return found
