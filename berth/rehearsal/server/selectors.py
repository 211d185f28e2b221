"""Label selectors, as the API server reads and refuses them.

Source of grammar, requirements and messages: kubernetes staging/src/k8s.io/apimachinery/pkg/labels/selector.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from berth.rehearsal.refusal import ApiError, bad_request

_SYMBOLS = ("==", "!=", "=", "!", "(", ")", ">", "<", ",")
_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_NAME_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_IDENTIFIER, _END = "identifier", "end"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label: "exists", "absent", "in", "notin", ">" or "<"."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it; a label that is not there is in no set and no more or less than anything."""
        value = labels.get(self.key)
        if self.operator == "exists":
            return value is not None
        if self.operator == "absent":
            return value is None
        if self.operator == "in":
            return value in self.values
        if self.operator == "notin":
            return value not in self.values
        if value is None or not _INTEGER.fullmatch(value):
            return False
        (bound,) = self.values
        return int(value) > int(bound) if self.operator == ">" else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements together; none of them selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is meant."""
        return all(requirement.matches(labels or {}) for requirement in self.requirements)


def parse(text: str) -> LabelSelector:
    """Read a selector: "app=web,tier in (a,b),!old".

    Raises:
        ApiError: 400, with the API server's words.
    """
    if not text:
        return LabelSelector()
    return LabelSelector(tuple(_Parser(text).requirements()))


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def requirements(self) -> Iterator[Requirement]:
        while True:
            sort, word = self._peek()
            if sort == _END:
                return
            if sort not in (_IDENTIFIER, "!"):
                raise bad_request(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                yield self._requirement()
            except ApiError as error:
                raise bad_request(f"unable to parse requirement: {error.message}") from None
            sort, word = self._take()
            if sort == _END:
                return
            if sort != ",":
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
            sort, word = self._peek()
            if sort not in (_IDENTIFIER, "!"):
                raise bad_request(f"found '{word}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        sort, word = self._take()
        absent = sort == "!"
        if absent:
            sort, word = self._take()
        if sort != _IDENTIFIER:
            raise bad_request(f"found '{word}', expected: identifier")
        _check_key(word)
        if absent:
            return Requirement(word, "absent")
        if self._peek()[0] in (_END, ","):
            return Requirement(word, "exists")
        sort, operator = self._take()
        if sort == _IDENTIFIER and operator in ("in", "notin"):
            return _checked(Requirement(word, operator, frozenset(self._values())))
        if sort in ("=", "=="):
            return _checked(Requirement(word, "in", frozenset([self._value()])))
        if sort == "!=":
            return _checked(Requirement(word, "notin", frozenset([self._value()])))
        if sort in (">", "<"):
            return _checked(Requirement(word, sort, frozenset([self._value()])))
        raise bad_request(f"found '{operator}', expected: {_OPERATORS}")

    def _value(self) -> str:
        if self._peek()[0] in (_END, ","):
            return ""
        sort, word = self._take()
        if sort != _IDENTIFIER:
            raise bad_request(f"found '{word}', expected: identifier")
        return word

    def _values(self) -> set[str]:
        sort, word = self._take()
        if sort != "(":
            raise bad_request(f"found '{word}' expected: '('")
        sort, word = self._peek()
        if sort == ")":
            self._take()
            return set()
        if sort not in (_IDENTIFIER, ","):
            raise bad_request(f"found '{word}', expected: ',', ')' or identifier")
        found: set[str] = set()
        while True:
            sort, word = self._take()
            following, next_word = self._peek()
            if sort == _IDENTIFIER:
                found.add(word)
                if following == ")":
                    break
                if following != ",":
                    raise bad_request(f"found '{next_word}', expected: ',' or ')'")
            elif sort == ",":
                if not found:
                    found.add("")
                if following == ")":
                    found.add("")
                    break
                if following == ",":
                    self._take()
                    found.add("")
            else:
                raise bad_request(f"found '{word}', expected: ',', or identifier")
        self._take()
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else (_END, "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
            continue
        symbol = next((symbol for symbol in _SYMBOLS if text.startswith(symbol, at)), None)
        if symbol is not None:
            yield symbol, symbol
            at += len(symbol)
            continue
        start = at
        while at < len(text) and text[at] not in " \t\r\n=!(),<>":
            at += 1
        yield _IDENTIFIER, text[start:at]


def _checked(requirement: Requirement) -> Requirement:
    if requirement.operator in (">", "<"):
        (value,) = requirement.values
        if not _INTEGER.fullmatch(value):
            words = "for 'Gt', 'Lt' operators, the value must be an integer"
            raise bad_request(f'values[0]: Invalid value: "{value}": {words}')
    for index, value in enumerate(sorted(requirement.values)):
        problems = value_problems(value)
        if problems:
            where = f"values[{index}][{requirement.key}]"
            raise bad_request(f'{where}: Invalid value: "{value}": {"; ".join(problems)}')
    return requirement


def value_problems(value: str) -> list[str]:
    """What the API server has against a label's value."""
    problems = []
    if len(value) > 63:
        problems.append("must be no more than 63 bytes")
    if value and not _NAME.fullmatch(value):
        problems.append(_VALUE_WORDS)
    return problems


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    problems: list[str] = []
    if "/" in prefix:
        problems = [
            f"a qualified name {_NAME_WORDS} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    else:
        if slash and not prefix:
            problems.append("prefix part must be non-empty")
        elif slash and not _SUBDOMAIN.fullmatch(prefix):
            problems.append(f"prefix part {_SUBDOMAIN_WORDS}")
        if not name:
            problems.append("name part must be non-empty")
        elif len(name) > 63:
            problems.append("name part must be no more than 63 bytes")
        if not _NAME.fullmatch(name):
            problems.append(f"name part {_NAME_WORDS}")
    if problems:
        raise bad_request(f'<nil>: Invalid value: "{key}": {"; ".join(problems)}')
