"""The profile: one YAML file that describes a workload, read, checked, and put on top of what it extends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from berth.core import operations, rollout
from berth.core import schema as schemas
from berth.core.errors import Position, Problem, ProfileError, did_you_mean
from berth.core.helmchart.source import CHART_SCHEMA, ChartSource, chart_of, problems_of
from berth.core.objects import Json, field_path
from berth.core.strictyaml import Path, read_one

#: A DNS label, as Kubernetes names most things (RFC 1123).
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

#: What a name in one of our files must be.
NAME_SCHEMA = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
_MAPPING = {"type": "object"}

#: What a profile file may hold.
PROFILE_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "description", "version"],
    "properties": {
        "name": {**NAME_SCHEMA, "description": "The profile's name, that of its file"},
        "description": {"type": "string", "minLength": 1, "description": "One line on what it installs"},
        "version": {
            "type": "string",
            "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$",
            "description": "The version of the profile itself, such as 1.0.0",
        },
        "extends": {
            **NAME_SCHEMA,
            "description": "A profile whose values, schema and environments this one starts from",
        },
        "abstract": {"type": "boolean", "description": "Only there to be extended"},
        "requires": {"type": "array", "items": NAME_SCHEMA, "description": "Profiles that come first"},
        "templates": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "description": "Templates to render, as globs under templates/; "
            "by default NAME/*.yaml, beside a chart none",
        },
        "chart": {**CHART_SCHEMA, "description": "A Helm chart that its objects come from"},
        "schema": {**_MAPPING, "description": "JSON Schema 2020-12 of the values"},
        "values": {**_MAPPING, "description": "Default values"},
        "environments": {
            "type": "object",
            "propertyNames": {"pattern": NAME_SCHEMA["pattern"]},
            "additionalProperties": {"type": ["object", "null"]},
            "description": "Values by environment",
        },
        "operations": {
            "type": "object",
            "propertyNames": {"pattern": operations.NAME},
            "additionalProperties": operations.OPERATION_SCHEMA,
            "description": "Commands that operate the engine, by role",
        },
        "rollout": {**rollout.ROLLOUT_SCHEMA, "description": "How its pods are rolled"},
        "lint": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "waive": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["rule", "reason"],
                        "properties": {
                            "rule": {"type": "string", "minLength": 1},
                            "object": {"type": "string", "minLength": 1},
                            "reason": {"type": "string", "minLength": 1},
                        },
                    },
                }
            },
            "description": "Findings of lint that are accepted, with a reason",
        },
    },
}


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place. ``name`` says what it is: profile nginx, environment prod of nginx."""

    name: str
    data: Json
    positions: Mapping[Path, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding of lint that the profile accepts; ``object`` is Kind/name, or None for all."""

    rule: str
    object: str | None
    reason: str
    position: Position


@dataclass(frozen=True, slots=True)
class Source:
    """A profile file as it was found.

    ``origin`` says where: "project" or "built in". ``schema_text`` is the text of ``values.schema.json``, if there is
    one, and ``schema_file`` its path. ``root`` is the directory that holds ``profiles/``.
    """

    name: str
    text: str
    file: str
    origin: str = "project"
    schema_text: str | None = None
    schema_file: str = ""
    root: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile on top of everything that it extends.

    ``layers`` are default values, the base's first; ``environments`` the layers of each environment, the base's first.
    ``schema`` is closed: an object that declares properties allows no others unless it says so. With a ``chart``,
    schema and layers are only what the profile adds to the chart's own.
    """

    name: str
    description: str
    version: str
    abstract: bool = False
    requires: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    schema: Json = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    environments: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)
    operations: Mapping[str, Json] = field(default_factory=dict)
    rollout: Mapping[str, str] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    position: Position = field(default_factory=lambda: Position(""))
    extends: tuple[str, ...] = ()
    origin: str = "project"
    positions: Mapping[Path, Position] = field(default_factory=dict)
    chart: ChartSource | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A profile file, read and checked, without what it extends."""

    source: Source
    data: Json
    positions: Mapping[Path, Position]
    schema: Json

    def at(self, *path: str | int) -> Position:
        return self.positions.get(path, Position(self.source.file))

    @property
    def chart(self) -> ChartSource | None:
        """Where its chart is, if it names one."""
        if "chart" not in self.data:
            return None
        return chart_of(self.data["chart"], self.at("chart"), below(self.positions, ("chart",)), self.source.root)


def load(name: str, fetch: Callable[[str], Source]) -> Profile:
    """A profile by name, with what it extends.

    ``fetch`` gives the file of a profile; it raises ProfileError when there is none.

    Raises:
        ProfileError: with every problem found in the files concerned.
    """
    chain: list[_Read] = []
    wanted: str | None = name
    while wanted is not None:
        if wanted in [read.source.name for read in chain]:
            start = [read.source.name for read in chain].index(wanted)
            raise ProfileError([_circle(chain[start:])])
        try:
            source = fetch(wanted)
        except ProfileError as error:
            if not chain:
                raise
            first = error.problems[0]
            raise ProfileError(
                f"{chain[-1].source.name} extends {wanted!r}: {first.what}",
                where=str(chain[-1].at("extends")),
                hint=first.hint,
            ) from None
        chain.append(_read(source))
        wanted = chain[-1].data.get("extends")
    profile = _stack(chain)
    if not profile.abstract:  # What only bears others may leave to them what its operations lack.
        operations.operations_of(profile)
    return profile


def merge(base: Any, over: Any) -> Any:
    """Mappings merged deeply, anything else replaced; neither argument is changed."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    made = dict(base)
    for key, value in over.items():
        made[key] = merge(made[key], value) if key in made else value
    return made


def _circle(chain: list[_Read]) -> Problem:
    names = [read.source.name for read in chain]
    edges = [
        f"{read.source.name} extends {target} ({read.at('extends')})"
        for read, target in zip(chain, [*names[1:], names[0]], strict=True)
    ]
    return Problem("these profiles extend one another in a circle: " + ", ".join(edges), str(chain[-1].at("extends")))


def _read(source: Source) -> _Read:
    document = read_one(source.text, source.file)
    positions = document.positions
    data = document.data
    if not isinstance(data, dict):
        raise ProfileError("a profile is a mapping with name, description and version", where=source.file)
    problems = [
        Problem(
            f"{field_path(violation.path) or 'the profile'}: {violation.what}",
            str(nearest(positions, violation.path, source.file)),
            hint=violation.hint,
        )
        for violation in schemas.check(PROFILE_SCHEMA, data)
    ]
    if problems:
        raise ProfileError(problems)
    if data["name"] != source.name:
        raise ProfileError(
            f"the file {source.name}.yaml holds a profile named {data['name']!r}",
            where=str(positions[("name",)]),
            hint="name the file after the profile",
        )
    for index, pattern in enumerate(data.get("templates", ())):
        if pattern.startswith("/") or ".." in pattern.split("/") or "\\" in pattern:
            problems.append(
                Problem(
                    f"templates: {pattern!r} leaves the templates directory",
                    str(positions[("templates", index)]),
                    hint="name files below templates/, such as nginx/*.yaml",
                )
            )
    read = _Read(source, data, positions, {})
    if chart := read.chart:
        problems += problems_of(chart)
    if problems:
        raise ProfileError(problems)
    return replace(read, schema=_schema_of(source, data, positions))


def _schema_of(source: Source, data: Json, positions: Mapping[Path, Position]) -> Json:
    written = data.get("schema", {})
    where = str(positions.get(("schema",), source.file))
    if source.schema_text is not None:
        if written:
            raise ProfileError(
                f"the schema of {source.name} is there twice: here and in {source.schema_file}", where=where
            )
        where = source.schema_file
        try:
            written = json.loads(source.schema_text, object_pairs_hook=_no_duplicates)
        except json.JSONDecodeError as error:
            where = str(Position(where, error.lineno, error.colno))
            raise ProfileError(f"this is not valid JSON: {error.msg}", where=where) from None
        except (ValueError, RecursionError) as error:
            raise ProfileError(f"this is not usable JSON: {error}", where=where) from None
        if not isinstance(written, dict):
            raise ProfileError("a schema of values is a JSON object", where=where)
    flaw = schemas.flaw(written)
    if flaw:
        raise ProfileError(f"this is not a valid JSON Schema: {flaw}", where=where)
    return dict(written)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> Json:
    made: Json = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {key!r} is there twice")
        made[key] = value
    return made


def merge_schema(base: Any, over: Any) -> Any:
    """A schema on top of another: what is required adds up, all else is merged as values are."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    made = dict(base)
    for key, value in over.items():
        if key == "required" and isinstance(value, list) and isinstance(made.get(key), list):
            made[key] = list(dict.fromkeys((*made[key], *value)))
        else:
            made[key] = merge_schema(made[key], value) if key in made else value
    return made


def _stack(chain: list[_Read]) -> Profile:
    """One profile of a chain, the most derived first."""
    top = chain[0]
    schema: Json = {"type": "object", "properties": {}}
    layers: list[Layer] = []
    environments: dict[str, list[Layer]] = {}
    operations: Json = {}
    rolls: dict[str, str] = {}
    waivers: list[Waiver] = []
    requires: dict[str, None] = {}
    chart = next((read.chart for read in chain if read.chart), None)
    for read in reversed(chain):
        name, data = read.source.name, read.data
        schema = merge_schema(schema, read.schema)
        layers.append(Layer(f"profile {name}", data.get("values", {}), below(read.positions, ("values",))))
        for environment, values in data.get("environments", {}).items():
            positions = below(read.positions, ("environments", environment))
            layer = Layer(f"environment {environment} of {name}", values or {}, positions)
            environments.setdefault(environment, []).append(layer)
        operations = merge(operations, data.get("operations", {}))
        rolls |= data.get("rollout", {})
        requires.update(dict.fromkeys(data.get("requires", ())))
        for index, entry in enumerate(data.get("lint", {}).get("waive", ())):
            waivers.append(Waiver(entry["rule"], entry.get("object"), entry["reason"], read.at("lint", "waive", index)))
    return Profile(
        name=top.data["name"],
        description=top.data["description"],
        version=top.data["version"],
        abstract=top.data.get("abstract", False),
        requires=tuple(requires),
        templates=tuple(top.data.get("templates", () if chart else (f"{top.data['name']}/*.yaml",))),
        schema=schema if chart else schemas.close(schema),
        layers=tuple(layers),
        environments={name: tuple(found) for name, found in environments.items()},
        operations=operations,
        rollout=rolls,
        waivers=tuple(waivers),
        position=top.at("name"),
        extends=tuple(read.source.name for read in chain[1:]),
        origin=top.source.origin,
        positions=top.positions,
        chart=chart,
    )


def below(positions: Mapping[Path, Position], root: Path) -> dict[Path, Position]:
    """The positions of what is under a path, seen from there."""
    depth = len(root)
    return {path[depth:]: position for path, position in positions.items() if path[:depth] == root}


def nearest(positions: Mapping[Path, Position], path: Path, file: str) -> Position:
    """The position of a path, else of what is around it."""
    for length in range(len(path), -1, -1):
        if path[:length] in positions:
            return positions[path[:length]]
    return Position(file)


def check_environment(profile: Profile, environment: str | None) -> None:
    """Refuse an environment that the profile does not have.

    Raises:
        ProfileError: it does not.
    """
    if environment is not None and environment not in profile.environments:
        known = profile.environments
        raise ProfileError(
            f"the profile {profile.name} has no environment {environment!r}",
            where=str(profile.position),
            hint=did_you_mean(environment, known) if known else "leave --env away; it has none",
        )
