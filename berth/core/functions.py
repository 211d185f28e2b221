"""The filters and tests that templates have.

What is not here does not exist in templates. Nothing here reads a file, a clock or the network, and nothing returns
text that counts as template text: ``guard`` sees to that.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shlex
from collections.abc import Callable, Iterable
from typing import Any

from jinja2.filters import FILTERS
from jinja2.tests import TESTS
from markupsafe import Markup

from berth.core.provenance import carry
from berth.core.quantities import format_bytes, parse_duration, parse_quantity
from berth.core.strictyaml import OMIT, Rejected
from berth.core.tokens import MARKS, MAX_ITEMS, MAX_TEXT, SESSION, to_text

_TAKEN = (
    "abs capitalize count d default dictsort first float groupby int items last length list lower map max min "
    "reject rejectattr reverse round select selectattr sort sum title unique upper"
).split()
_TESTS = (
    "boolean callable defined divisibleby eq equalto even false filter float ge gt greaterthan in integer iterable le "
    "lessthan lower lt mapping ne none number odd sameas sequence string test true undefined upper == != > >= < <="
).split()

#: Filters of Jinja that are left out on purpose, and what to write instead.
INSTEAD = {
    "safe": "values are inserted as they are; there is nothing to mark safe",
    "escape": "values are inserted as they are; there is nothing to escape",
    "e": "values are inserted as they are; there is nothing to escape",
    "tojson": "use to_json",
    "toyaml": "insert the value itself: {{ x }} becomes a mapping or list with its type",
    "to_yaml": "insert the value itself: {{ x }} becomes a mapping or list with its type",
    "quote": "insert the value itself; strings stay strings",
    "nindent": "insert the value itself; no indentation is needed",
    "random": "templates always give the same result; generate(32) makes a secret",
    "format": "join with ~",
    "b64": "use b64encode",
}


def guard(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that sees rendered text as data, returns data, and passes origins on."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        session = SESSION.get()
        plain = [session.data(arg) for arg in args]
        result = function(*plain, **{key: session.data(value) for key, value in kwargs.items()})
        return carry(session.data(result), *plain[:3])

    return wrapper


def limit_text(length: int) -> None:
    """Refuse to make a text that no manifest could hold.

    Raises:
        Rejected: it would be too long.
    """
    if length > MAX_TEXT:
        raise Rejected(f"a text of {length} characters is too long", f"at most {MAX_TEXT} are possible")


def limit_items(count: int) -> None:
    """Refuse to make a list that no manifest could hold.

    Raises:
        Rejected: it would be too long.
    """
    if count > MAX_ITEMS:
        raise Rejected(f"a list of {count} items is too long", f"at most {MAX_ITEMS} are possible")


def combine(base: Any, *others: Any) -> dict[str, Any]:
    """Mappings merged deeply, later ones over earlier ones; lists are replaced."""
    result = dict(_mapping(base))
    SESSION.get().step(len(result))
    for other in others:
        for key, value in _mapping(other).items():
            if isinstance(value, dict) and isinstance(result.get(key), dict):
                result[key] = combine(result[key], value)
            else:
                result[key] = value
    return result


def _mapping(value: Any) -> dict[str, Any]:
    if value is None or value is OMIT:
        return {}
    if not isinstance(value, dict):
        raise Rejected(f"combine takes mappings, not {kind(value)}")
    return value


def quantity(value: Any) -> int | float:
    """The number that a Kubernetes quantity stands for, in bytes or cores: ``"1Gi"`` is 1073741824, "500m" is 0.5."""
    number = parse_quantity(_scalar(value, "quantity"))
    return int(number) if number == number.to_integral_value() else float(number)


def size(value: Any) -> str:
    """The shortest binary form of a number of bytes: 1073741824 is 1Gi."""
    return format_bytes(int(quantity(value)))


def percent_of(percent: Any, whole: Any) -> int:
    """A part of a quantity in whole numbers, rounded down: 25 percent of "2Gi" is 536870912."""
    return int(parse_quantity(_scalar(whole, "percent_of")) * parse_quantity(_scalar(percent, "percent_of")) / 100)


def seconds(value: Any) -> int | float:
    """The seconds of a duration: ``"1m30s"`` is 90."""
    number = parse_duration(_scalar(value, "seconds"))
    return int(number) if number == int(number) else number


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON text, keys in their order."""
    plain = SESSION.get().plain(value, (), lambda path, paths: None)
    return json.dumps(None if plain is OMIT else plain, indent=indent, ensure_ascii=False)


def b64encode(value: Any) -> str:
    """The base64 form of a text's UTF-8 bytes."""
    return base64.b64encode(to_text(value).encode()).decode()


def sha256(value: Any) -> str:
    """The SHA-256 of a text's UTF-8 bytes, in hexadecimal digits; of a list or mapping, that of its JSON form."""
    text = to_json(value) if isinstance(value, (list, dict)) else to_text(value)
    return hashlib.sha256(text.encode()).hexdigest()


def shell(value: Any) -> str:
    """A text quoted so that a POSIX shell reads it as one word."""
    return shlex.quote(to_text(value))


def replace(value: Any, old: Any, new: Any, count: int = -1) -> str:
    """A text with one part replaced by another."""
    text, old, new = to_text(value), to_text(old), to_text(new)
    limit_text(len(text) + max(text.count(old), 0) * len(new))
    return text.replace(old, new, -1 if count is None else count)


def join(value: Iterable[Any], separator: Any = "", attribute: str | None = None) -> str:
    """The texts of a list's items, joined."""
    data = SESSION.get().data
    items = [data(item) for item in value]
    if attribute is not None:
        items = [item[attribute] for item in items]
    texts = [to_text(item) for item in items]
    limit_text(sum(map(len, texts)) + len(texts) * len(separator))
    return str(carry(to_text(separator).join(texts), *items)) if texts else ""


def string(value: Any) -> str:
    """A value as text: 80 is "80", true is "true"."""
    return to_text(value)


def trim(value: Any) -> Any:
    """A text without the blanks around it; rendered text stays rendered text."""
    if type(value) is not Markup:
        return carry(to_text(value).strip(), value)
    text = str(value)
    visible = MARKS.sub(lambda found: "\0" * len(found[0]), text)
    start = len(visible) - len(visible.lstrip("\0 \t\n"))
    end = len(visible.rstrip("\0 \t\n"))
    lead = MARKS.findall(text[:start])
    return Markup("".join(lead[-1:]) + text[start : max(end, start)])


def indent(value: Any, width: int = 4, first: bool = False, blank: bool = False) -> Any:
    """A text with every line but the first moved right; rendered text stays rendered text."""
    if not 0 <= width <= 100:
        raise Rejected(f"indent takes 0 to 100 blanks, not {width}")
    rendered = type(value) is Markup
    lead = " " * width
    lines = str(value).split("\n") if rendered else to_text(value).split("\n")
    limit_text(len(lines) * width)
    made = [
        line if (number == 0 and not first) or not (blank or MARKS.sub("", line).strip()) else lead + line
        for number, line in enumerate(lines)
    ]
    joined = "\n".join(made)
    return Markup(joined) if rendered else carry(joined, value)


def counted(iterable: Any) -> Any:
    """What a loop runs over, its length counted against what a run may do."""
    session = SESSION.get()
    if isinstance(iterable, Markup):
        raise Rejected("rendered text cannot be looped over")
    if hasattr(iterable, "__len__"):
        session.step(len(iterable))
        return iterable
    items: list[Any] = []
    for item in iterable:
        session.step()
        items.append(item)
    return items


def resolved(value: Any) -> Any:
    """A value as conditions and comparisons see it."""
    return SESSION.get().data(value)


def _scalar(value: Any, name: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Rejected(f"{name} takes text or a number, not {kind(value)}")
    return value


def kind(value: Any) -> str:
    """The kind of a value, in the words that messages use."""
    if value is None:
        return "null"
    for known, name in ((bool, "true or false"), (str, "text"), (dict, "a mapping"), (list, "a list")):
        if isinstance(value, known):
            return name
    return "a number" if isinstance(value, (int, float)) else f"a {type(value).__name__}"


#: Names that the compiler uses; they are no names that a template could write.
COUNTED, RESOLVED = "berth counted", "berth resolved"

_OWN: dict[str, Callable[..., Any]] = {
    "combine": combine,
    "quantity": quantity,
    "size": size,
    "percent_of": percent_of,
    "seconds": seconds,
    "to_json": to_json,
    "b64encode": b64encode,
    "sha256": sha256,
    "shell": shell,
    "replace": replace,
    "join": join,
    "string": string,
}
_JINJA_FILTERS: Any = FILTERS
_JINJA_TESTS: Any = TESTS
FILTER_TABLE: dict[str, Callable[..., Any]] = {
    **{name: guard(_JINJA_FILTERS[name]) for name in _TAKEN},
    **{name: guard(own) for name, own in _OWN.items()},
    "trim": trim,
    "indent": indent,
    COUNTED: counted,
    RESOLVED: resolved,
}
TEST_TABLE: dict[str, Callable[..., Any]] = {
    **{name: guard(_JINJA_TESTS[name]) for name in _TESTS},
    "startingwith": guard(lambda value, start: to_text(value).startswith(to_text(start))),
    "endingwith": guard(lambda value, end: to_text(value).endswith(to_text(end))),
}
#: Filters that turn rendered text into rendered text.
RENDERING = frozenset({"trim", "indent"})
