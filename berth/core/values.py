"""Values: merged from every layer, each part knowing where it was set, and checked against the profile's schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from berth.core import schema as schemas
from berth.core.errors import InputError, Position, Problem, ValuesError, did_you_mean
from berth.core.objects import Json
from berth.core.profile import Layer, Profile, check_environment, nearest
from berth.core.provenance import RESERVED, escape_key
from berth.core.strictyaml import MAX_DEPTH, Hooks, Path, Rejected, read_one, resolve_plain


@dataclass(frozen=True, slots=True)
class Source:
    """Who set a value, and where."""

    layer: str
    position: Position

    def __str__(self) -> str:
        """As a sentence names it: profile nginx (profiles/nginx.yaml:12), prod.yaml:3, --set #2."""
        place = f"{self.position.file}:{self.position.line}" if self.position.line else self.position.file
        return place if self.layer.startswith("--") else f"{self.layer} ({place})"


@dataclass(frozen=True, slots=True)
class Values:
    r"""Merged values. Dotted paths, with ``\.`` for a dot in a key, lead to sources and secrets."""

    data: Json
    sources: Mapping[str, Source] = field(default_factory=dict)
    secret_paths: frozenset[str] = frozenset()

    def known(self, path: str) -> str:
        """The longest part of a path that anybody set; empty when nobody did."""
        parts = re.split(r"(?<!\\)\.", path)
        while parts and ".".join(parts) not in self.sources:
            parts.pop()
        return ".".join(parts)

    def source_of(self, path: str) -> Source | None:
        """Who set a value, or the nearest thing around it."""
        return self.sources.get(self.known(path))

    def masked(self) -> Json:
        """The values with the secret ones hidden, for records and listings."""
        hidden: Json = _copy(self.data)
        for path in self.secret_paths:
            *parents, last = split_path(path)
            inner = hidden
            for key in parents:
                inner = inner[key]
            if inner.get(last) is not None:
                inner[last] = "(hidden)"
        return hidden

    def secret_texts(self) -> Iterator[str]:
        """The secret values themselves, as text, so that they can be kept out of messages."""
        for path in self.secret_paths:
            yield from _texts(get(self.data, path))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool) and len(str(value)) >= 4:
        yield str(value)


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


def merge(
    profile: Profile,
    environment: str | None = None,
    files: Sequence[tuple[str, str]] = (),
    sets: Sequence[str] = (),
    last: Sequence[Layer] = (),
    below: Sequence[Layer] = (),
) -> Values:
    """The values of a release: profile < environment < below < files (name, text) < sets ("a.b=c") < last, in order.

    Raises:
        ProfileError: the profile has no such environment.
        ValuesError: with every problem of every layer.
    """
    check_environment(profile, environment)
    merging = _Merging(profile.schema)
    for layer in (*profile.layers, *(profile.environments[environment] if environment else ()), *below):
        merging.add(layer)
    for name, text in files:
        merging.add_file(name, text)
    for number, assignment in enumerate(sets, 1):
        merging.assign(number, assignment)
    for layer in last:
        merging.add(layer)
    return merging.finish()


class _Merging:
    """Values while they are being merged."""

    def __init__(self, schema: Json) -> None:
        self.schema = schema
        self.data: Json = {}
        self.sources: dict[Path, Source] = {}
        self.problems: list[Problem] = []

    def add(self, layer: Layer) -> None:
        self._merge(self.data, layer.data, (), layer)

    def add_file(self, name: str, text: str) -> None:
        try:
            document = read_one(text, name, error=ValuesError, hooks=Hooks(reveal=False))
        except ValuesError as error:
            self.problems += error.problems
            return
        if document.data is None:
            return
        if not isinstance(document.data, dict):
            self.problems.append(Problem("a values file is a mapping", str(Position(name, 1))))
            return
        self.add(Layer("--values", document.data, document.positions))

    def assign(self, number: int, assignment: str) -> None:
        where = f"--set #{number}"
        name, equals, text = assignment.partition("=")
        written = split_path(name)
        if not equals or not all(written) or len(written) > MAX_DEPTH:
            self.problems.append(Problem("this is not of the form path=value", where, hint="--set replicas=3"))
            return
        part: Any = self.schema
        path: Path = ()
        for step_text in written:
            here = _dig(self.data, path)
            is_list = isinstance(here, list) or (here is None and "array" in schemas.types_of(self.schema, part))
            step: str | int = int(step_text) if is_list and step_text.isdecimal() else step_text
            inner = schemas.descend(self.schema, part, step)
            if inner is None or (isinstance(here, list) and isinstance(step, str)):
                known = [key for branch in schemas.branches(self.schema, part) for key in branch.get("properties", ())]
                wrong = dotted((*path, step))
                hint = did_you_mean(wrong, [dotted((*path, key)) for key in known]) if known else ""
                self.problems.append(Problem(f"{wrong}: there is no such value", where, hint=hint))
                return
            path, part = (*path, step), inner
        try:
            value = _typed(text, self.schema, part)
        except InputError as error:
            first = error.problems[0]
            self.problems.append(Problem(f"{dotted(path)}: {first.what}", where, hint=first.hint))
            return
        self._put(path, value, Layer("--set", {}, {(): Position(where)}), where)

    def _put(self, path: Path, value: Any, layer: Layer, where: str) -> None:
        here: Any = self.data
        for index, step in enumerate(path):
            last = index == len(path) - 1
            following = value if last else [] if isinstance(path[index + 1], int) else {}
            if isinstance(step, int):
                if step > len(here):
                    what = f"{dotted(path)}: the list has only {len(here)} items"
                    self.problems.append(Problem(what, where, hint=f"the next index is {len(here)}"))
                    return
                if step == len(here):
                    here.append(following)
                elif last or not isinstance(here[step], (dict, list)):
                    here[step] = following
            elif last or not isinstance(here.get(step), (dict, list)):
                here[step] = following
            here = here[step]
            if not last and path[: index + 1] not in self.sources:
                self.sources[path[: index + 1]] = Source(layer.name, layer.positions[()])
        self._forget(path)
        self._record(value, path, layer)

    def finish(self) -> Values:
        found_secrets = (
            _secret_paths(self.schema, self.schema, self.data, ()) if schemas.has_secrets(self.schema) else ()
        )
        secrets = frozenset(map(dotted, found_secrets))
        for path, text in _strings(self.data, ()):
            found = RESERVED.search(text)
            if found:
                what = f"{dotted(path)}: the character U+{ord(found[0]):04X} is kept for berth itself"
                self.problems.append(self._problem(path, what))
        for violation in schemas.check(self.schema, self.data):
            name = dotted(violation.path) or "the values"
            self.problems.append(self._problem(violation.path, f"{name}: {violation.what}", violation.hint))
        if self.problems:
            raise ValuesError(self.problems)
        return Values(self.data, {dotted(path): source for path, source in self.sources.items()}, secrets)

    def _problem(self, path: Path, what: str, hint: str = "") -> Problem:
        for length in range(len(path), 0, -1):
            source = self.sources.get(path[:length])
            if source is not None:
                why = "" if source.layer.startswith("--") else f"it is set by {source.layer}"
                return Problem(what, str(source.position), why, hint)
        return Problem(what, hint=hint)

    def _merge(self, into: Json, new: Json, path: Path, layer: Layer) -> None:
        for key, value in new.items():
            inner = (*path, key)
            if isinstance(value, dict) and isinstance(into.get(key), dict):
                self._merge(into[key], value, inner, layer)
            else:
                if key in into:
                    self._forget(inner)
                into[key] = _copy(value)
                self._record(value, inner, layer)

    def _forget(self, path: Path) -> None:
        depth = len(path)
        for known in [known for known in self.sources if known[:depth] == path]:
            del self.sources[known]

    def _record(self, value: Any, path: Path, layer: Layer) -> None:
        self.sources[path] = Source(layer.name, nearest(layer.positions, path, layer.name))
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            self._record(item, (*path, key), layer)


def _typed(text: str, root: Json, part: Any) -> Any:
    """What the text of a ``--set`` stands for, by the types that its schema allows; the text itself when none fits.

    Raises:
        InputError: it begins like a list or mapping, and is none.
    """
    types = schemas.types_of(root, part)
    if not types:
        options = [option for branch in schemas.branches(root, part) for option in branch.get("enum", ())]
        for option in options:
            if text == (option if isinstance(option, str) else schemas.show(option)):
                return option
        try:
            return text if options else resolve_plain(text)
        except Rejected:
            return text
    if "null" in types and text == "null":
        return None
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    if "integer" in types and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if "number" in types and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        return float(text) if "." in text else int(text)
    if ("array" in types and text.startswith("[")) or ("object" in types and text.startswith("{")):
        return read_one(text, "--set", hooks=Hooks(reveal=False)).data
    return text


def _secret_paths(root: Json, part: Any, data: Any, path: Path) -> Iterator[Path]:
    if path and any(branch.get("x-secret") is True for branch in schemas.branches(root, part)):
        yield path
        return
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        inner = schemas.descend(root, part, key)
        if inner:
            yield from _secret_paths(root, inner, item, (*path, key))


def _strings(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, item in data.items():
            yield (*path, key), key
            yield from _strings(item, (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _strings(item, (*path, index))


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _dig(data: Any, path: Path) -> Any:
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data
