"""Values: merged from every layer, each part knowing where it was set, and checked against the profile's schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from berth.core import schema as schemas
from berth.core import secretvalues as secrets
from berth.core.errors import InputError, Position, Problem, ValuesError, did_you_mean
from berth.core.masking import HIDDEN
from berth.core.objects import Json
from berth.core.profile import Layer, Profile, check_environment, nearest
from berth.core.provenance import RESERVED
from berth.core.secretvalues import Copied, Generated, Given, Reading
from berth.core.strictyaml import MAX_DEPTH, Hooks, Path, Rejected, read_one, resolve_plain
from berth.core.valuepaths import copied, dig, dotted, get, sources_in, split_path, step_into, strings

__all__ = ["Source", "Values", "dotted", "get", "merge", "secret_paths", "split_path"]


@dataclass(frozen=True, slots=True)
class Source:
    """Who set a value, and where; ``via`` says from where its text was taken, if it is not written there."""

    layer: str
    position: Position
    via: str = ""

    def __str__(self) -> str:
        """As a sentence names it: profile nginx (profiles/nginx.yaml:12), prod.yaml:3, --set #2."""
        place = f"{self.position.file}:{self.position.line}" if self.position.line else self.position.file
        shown = place if self.layer.startswith("--") else f"{self.layer} ({place})"
        return f"{shown}, {self.via}" if self.via else shown


@dataclass(frozen=True, slots=True)
class Values:
    r"""Merged values. Dotted paths, with ``\.`` for a dot in a key, lead to sources and secrets.

    In the place of what only the cluster has stands a token: `Generated` or `Copied`. ``kept`` says of secret values
    how they can be read again.
    """

    data: Json
    sources: Mapping[str, Source] = field(default_factory=dict)
    secret_paths: frozenset[str] = frozenset()
    kept: Mapping[str, Json] = field(default_factory=dict)

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
        """The values with the secret ones hidden, or as what they can be read from again: for records and listings."""
        hidden: Any = copied(self.data)
        for path in self.secret_paths:
            *parents, last = split_path(path)
            inner = hidden
            for key in parents:
                inner = inner[step_into(inner, key)]
            step = step_into(inner, last)
            if inner[step] is not None:
                inner[step] = copied(self.kept.get(path, HIDDEN))
        made: Json = hidden
        return made

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
    elif value is not None and not isinstance(value, bool | Generated | Copied) and len(str(value)) >= 4:
        yield str(value)
        # Of a longer text, such as a key, a message may quote a line.
        yield from (line for line in str(value).split("\n") if len(line) >= 16 and line != value)


def merge(
    profile: Profile,
    environment: str | None = None,
    files: Sequence[tuple[str, str]] = (),
    sets: Sequence[str] = (),
    last: Sequence[Layer] = (),
    below: Sequence[Layer] = (),
    reading: Reading | None = None,
) -> Values:
    """The values of a release: profile < environment < below < files (name, text) < sets ("a.b=c") < last, in order.

    ``reading`` reads what secret values are taken from, of those that no later layer replaces.

    Raises:
        ProfileError: the profile has no such environment.
        ValuesError: with every problem of every layer.
    """
    check_environment(profile, environment)
    merging = _Merging(profile.schema, reading)
    for layer in (*profile.layers, *(profile.environments[environment] if environment else ()), *below):
        merging.add(layer)
    for name, text in files:
        merging.add_file(name, text)
    for number, assignment in enumerate(sets, 1):
        merging.assign(number, assignment)
    for layer in last:
        merging.add(layer)
    return merging.finish()


#: A source written as the text of a --set.
_SOURCE_TEXT = re.compile(r"\{\s*(" + "|".join(secrets.KEYS) + r")\s*:")


class _Merging:
    """Values while they are being merged."""

    def __init__(self, schema: Json, reading: Reading | None) -> None:
        self.schema = schema
        self.reading = reading
        self.has_secrets = schemas.has_secrets(schema)
        self.data: Json = {}
        self.sources: dict[Path, Source] = {}
        #: What came out of an encrypted file.
        self.encrypted: set[Path] = set()
        self.problems: list[Problem] = []

    def add(self, layer: Layer) -> None:
        self._merge(self.data, secrets.marked(self.schema, layer.data) if self.has_secrets else layer.data, (), layer)

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
        if not secrets.is_encrypted(document.data):
            self.add(Layer("--values", document.data, document.positions))
            return
        try:
            if self.reading is None:
                raise InputError("an encrypted file is not read here")
            data = self.reading.decrypted(name, text)
        except InputError as error:
            self.problems += error.problems
            return
        self.add(Layer("--values", data, document.positions))
        self.encrypted.update(secrets.encrypted_paths(self.schema, document.data))

    def assign(self, number: int, assignment: str) -> None:
        where = f"--set #{number}"
        name, equals, text = assignment.partition("=")
        written = split_path(name)
        if not equals or not all(written) or len(written) > MAX_DEPTH:
            self.problems.append(Problem("this is not of the form path=value", where, hint="--set replicas=3"))
            return
        part: Any = self.schema
        path: Path = ()
        for index, step_text in enumerate(written):
            if step_text in secrets.KEYS and path and secrets.takes_source(self.schema, path):
                self._assign_source(path, written[index:], text, where)
                return
            here = dig(self.data, path)
            is_list = isinstance(here, list) or (here is None and "array" in schemas.types_of(self.schema, part))
            step: str | int = int(step_text) if is_list and step_text.isdecimal() else step_text
            inner = schemas.descend(self.schema, part, step)
            if inner is None or (isinstance(here, list) and isinstance(step, str)):
                known = [key for branch in schemas.branches(self.schema, part) for key in branch.get("properties", ())]
                wrong = dotted((*path, step))
                hint = did_you_mean(wrong, [dotted((*path, key)) for key in known]) if known else ""
                what, better = secrets.advice(self.schema, path, {step_text: text})
                self.problems.append(
                    Problem(f"{wrong}: {what or 'there is no such value'}", where, hint=better or hint)
                )
                return
            path, part = (*path, step), inner
        try:
            value = _typed(text, self.schema, part)
        except InputError as error:
            first = error.problems[0]
            self.problems.append(Problem(f"{dotted(path)}: {first.what}", where, hint=first.hint))
            return
        if isinstance(value, str) and _SOURCE_TEXT.match(value) and secrets.takes_source(self.schema, path):
            what, hint = f"{dotted(path)}: this would be the secret itself", f"--set {dotted(path)}.fromEnv=NAME"
            self.problems.append(Problem(what, where, hint=f"a source is written {hint}"))
            return
        self._put(path, value, Layer("--set", {}, {(): Position(where)}), where)

    def _assign_source(self, path: Path, steps: Sequence[str], text: str, where: str) -> None:
        """Take ``--set path.fromEnv=NAME``, and ``existingSecret`` in one piece or by its two parts."""
        said: Any = int(text) if steps[0] == "generate" and re.fullmatch(r"[0-9]{1,4}", text) else text
        if steps[0] == "existingSecret":
            if len(steps) == 2:
                before = dig(self.data, (*path, steps[0]))
                said = {**(before if isinstance(before, dict) else {}), steps[1]: text}
            elif text.startswith("{"):
                try:
                    said = read_one(text, "--set", hooks=Hooks(reveal=False)).data
                except InputError:
                    said = None
        if len(steps) > (2 if steps[0] == "existingSecret" else 1):
            self.problems.append(Problem(f"{dotted((*path, *steps))}: there is no such value", where))
            return
        self._put(path, Given({steps[0]: said}), Layer("--set", {}, {(): Position(where)}), where)

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
        kept, unknown = self._read_sources()
        found = set(_secret_paths(self.schema, self.schema, self.data, ()) if self.has_secrets else ())
        found |= {path for path in self.encrypted if not any(path[:n] in found for n in range(len(path)))}
        unchecked = {*unknown, *self._unusable_texts()}
        checked = _standing_in(self.data, unknown) if unknown else self.data
        for violation in schemas.check(self.schema, checked, self.encrypted):
            if not any(violation.path[:n] in unchecked for n in range(1, len(violation.path) + 1)):
                what, hint = self._advice(violation.path)
                name = dotted(violation.path) or "the values"
                what = f"{name}: {what or violation.what}"
                self.problems.append(self._problem(violation.path, what, hint or violation.hint))
        if self.problems:
            raise ValuesError(self.problems)
        sources = {dotted(path): source for path, source in self.sources.items()}
        return Values(self.data, sources, frozenset(map(dotted, found)), kept)

    def _unusable_texts(self) -> list[Path]:
        """Note texts that can be no value; where there are such that sops encrypted."""
        sealed: list[Path] = []
        for path, text in strings(self.data):
            reserved = RESERVED.search(text)
            if reserved:
                what = f"{dotted(path)}: the character U+{ord(reserved[0]):04X} is kept for berth itself"
                self.problems.append(self._problem(path, what))
            elif text.startswith(secrets.ENCRYPTED):
                sealed.append(path)
        if sealed:
            names = ", ".join(map(dotted, sealed[:5])) + (" ..." if len(sealed) > 5 else "")
            what = f"{names}: this is what sops encrypted, and nothing here says how to decrypt it"
            hint = "give the whole file, with its `sops` part, to --values"
            self.problems.append(self._problem(sealed[0], what, hint))
        return sealed

    def _advice(self, path: Path) -> tuple[str, str]:
        inner = path[:-1] if path and path[-1] in secrets.KEYS else path
        return secrets.advice(self.schema, inner, dig(self.data, inner))

    def _read_sources(self) -> tuple[dict[str, Json], dict[Path, Any]]:
        """Put what sources say in their places; how a record keeps them, and stand-ins for what is not known here."""
        kept: dict[str, Json] = {}
        unknown: dict[Path, Any] = {}
        for path, given in list(sources_in(self.data)):
            inner = (*path, next(iter(given), ""))
            source = self.sources.get(inner) or self.sources[path]
            value: Any = None
            try:
                found = secrets.find(given, self.reading, source.position.file if source.position.line else "")
                value, via = found.value, found.via
                if isinstance(value, Generated) and (flaw := secrets.generate_flaw(self.schema, path, value.length)):
                    raise InputError(flaw)
                if isinstance(value, str):
                    types = schemas.types_of(self.schema, part := schemas.at(self.schema, path))
                    value = value if not types or "string" in types else _typed(value, self.schema, part)
                if not any(hidden[: len(path)] == path for hidden in self.encrypted):
                    kept[dotted(path)] = found.kept
            except InputError as error:
                first, via = error.problems[0], ""
                self.problems.append(self._problem(inner, f"{dotted(path)}: {first.what}", first.hint))
            if not isinstance(value, str | int | float):
                unknown[path] = secrets.stand_in(self.schema, path)
            self._forget(path)
            self.sources[path] = Source(source.layer, source.position, via)
            dig(self.data, path[:-1])[path[-1]] = unknown[path] if value is None else value
        return kept, unknown

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
            whole = isinstance(value, Given) or isinstance(into.get(key), Given)
            if isinstance(value, dict) and isinstance(into.get(key), dict) and not whole:
                self._merge(into[key], value, inner, layer)
            else:
                if key in into:
                    self._forget(inner)
                into[key] = copied(value)
                self._record(value, inner, layer)

    def _forget(self, path: Path) -> None:
        depth = len(path)
        for known in [known for known in self.sources if known[:depth] == path]:
            del self.sources[known]
        self.encrypted = {known for known in self.encrypted if known[:depth] != path}

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


def secret_paths(schema: Json, data: Json) -> frozenset[str]:
    """The dotted paths of the values that a schema marks as secret."""
    return frozenset(map(dotted, _secret_paths(schema, schema, data, ())))


def _standing_in(data: Json, unknown: Mapping[Path, Any]) -> Json:
    """The data with stand-ins in some places, for a schema that knows no tokens."""
    made: Json = copied(data)
    for path, value in unknown.items():
        dig(made, path[:-1])[path[-1]] = value
    return made
