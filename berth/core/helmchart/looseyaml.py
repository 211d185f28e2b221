"""YAML as Helm and Kubernetes read it: for charts, which others wrote and which work there as they are.

Unlike ``strictyaml`` this takes duplicate keys (the last wins), anchors, merge keys, and plain scalars that other
parsers read differently (``yes``, ``0644``, ``1e3``). What a plain scalar stands for was asked of Helm's own
``fromYaml``, which is the reader of ``kubectl`` as well (sigs.k8s.io/yaml over go.yaml.in/yaml/v2).
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterator
from math import isinf
from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from berth.core.errors import InputError, Position, TemplateError
from berth.core.strictyaml import MAX_DEPTH, Document, Path

_PLAIN = "!plain"
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_WHOLE = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Values that one text may come to, aliases written out; a release has some thousands.
_MAX_VALUES = 1_000_000


class _Loader(_LOADER):  # type: ignore[misc]
    """Leaves plain scalars to us."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - as its base has it


_Loader.add_implicit_resolver(_PLAIN, re.compile(""), None)


def resolve(text: str) -> Any:
    """What a plain scalar stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    digits = text.replace("_", "")
    whole = _WHOLE.fullmatch(digits)
    if whole:
        sign, *forms = whole.groups()
        number = next(int(form, base) for form, base in zip(forms, (16, 2, 8, 10), strict=True) if form is not None)
        number = -number if sign == "-" else number
        if -(2**63) <= number < 2**64:
            return number
    if _DECIMAL.fullmatch(digits):
        decimal = float(digits)
        if not isinf(decimal):
            return int(decimal) if decimal.is_integer() and abs(decimal) < 1e21 else decimal
    return text


def read(text: str, file: str, error: type[InputError] = TemplateError) -> list[Document]:
    """Every document of a text, with the place of each value.

    Raises:
        InputError: of the class given; the text is no YAML, or comes to more than any release needs.
    """
    try:
        made = []
        for node in _nodes(text):
            if node is not None:
                maker = _Maker()
                made.append(Document(maker.value(node, ()), maker.marks, file))
        return made
    except yaml.reader.ReaderError as problem:
        raise error(f"this is no YAML text: {problem.reason}", where=file) from None
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = Position(file, mark.line + 1) if mark else Position(file)
        raise error(f"this is not valid YAML: {problem.problem or 'it cannot be read'}", where=str(where)) from None
    except (_TooMuchError, RecursionError):
        raise error("this YAML text comes to more than can be read", where=file) from None


class _TooMuchError(Exception):
    """Aliases in aliases, or a depth that no object has."""


def _nodes(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            yield loader.get_node()
    finally:
        loader.dispose()


class _Maker:
    """Makes the data of one document."""

    def __init__(self) -> None:
        self.marks: dict[Path, tuple[int, int]] = {}
        self._left = _MAX_VALUES

    def value(self, node: Any, path: Path) -> Any:
        self._left -= 1
        if self._left < 0 or len(path) > MAX_DEPTH:
            raise _TooMuchError
        self.marks.setdefault(path, (node.start_mark.line, node.start_mark.column))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        own: dict[str, tuple[Any, Any]] = {}
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.tag == _PLAIN and key.value == "<<":
                merged = value.value if isinstance(value, SequenceNode) else [value]
                for one in reversed(merged):
                    if isinstance(one, MappingNode):
                        made.update(self._mapping(one, path))
            else:
                own[_key(key)] = (key, value)
        for name, (key, value) in own.items():
            self.marks[*path, name] = (key.start_mark.line, key.start_mark.column)
            made[name] = self.value(value, (*path, name))
        return made


def _scalar(node: ScalarNode) -> Any:
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if node.tag == _PLAIN or kind in ("int", "float", "bool", "null"):
        return resolve(text)
    if kind == "binary":
        try:
            return b64decode("".join(text.split()), validate=True).decode()
        except (NoBase64, UnicodeDecodeError):
            return text
    return text


def _key(node: Any) -> str:
    """A key as text: YAML's true and 80 are the keys "true" and "80" of an object."""
    if not isinstance(node, ScalarNode):
        raise yaml.MarkedYAMLError(problem="a key that is no text", problem_mark=node.start_mark)
    value = _scalar(node)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else node.value
