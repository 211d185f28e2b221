"""The values of a Helm chart as those of a profile: defaults, schema, names, and what is told to Helm.

A profile's schema lets nothing pass that it does not know; a chart's seldom says what there is. So what the chart's
values.yaml holds is known too, with the type that it has there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from berth.core import schema as schemas
from berth.core.errors import Position, Problem, ProfileError, did_you_mean
from berth.core.helmchart.source import ChartSource
from berth.core.objects import Json
from berth.core.profile import Layer, Profile, merge_schema
from berth.core.strictyaml import Path

#: A line of comment: its indentation, and its words without the marks of tools that make pages of them.
_COMMENT = re.compile(r"( *)#+(?: ?-- ?| ?@param \S+| ?)(.*)")
_COMMENTED_OUT = re.compile(r"(- )?[\w.-]+:( |$)|@|=+$|-+$")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as it was found.

    ``place`` is its path on this machine, ``label`` how messages name it (charts/thing, thing-1.2.3.tgz). ``comments``
    say what its values are, ``schema`` is its own values.schema.json. ``restless``: its templates may write something
    else each time. ``definitions`` are the files with kinds of its own, which no release of it applies.
    """

    place: str
    label: str
    name: str
    version: str
    defaults: Json = field(default_factory=dict)
    positions: Mapping[Path, Position] = field(default_factory=dict)
    comments: Mapping[Path, str] = field(default_factory=dict)
    schema: Json | None = None
    subcharts: tuple[str, ...] = ()
    restless: bool = False
    definitions: tuple[str, ...] = ()


def with_chart(profile: Profile, source: ChartSource, chart: Chart) -> Profile:
    """The profile with the chart's defaults below its own, and a schema that knows the chart's values.

    Raises:
        ProfileError: a value has another name than the chart's, and the chart has none of that one.
    """
    schema = _known(chart)
    problems = []
    for own, theirs in source.values.items():
        where = str(source.at("values", own))
        if schemas.at(schema, _path(theirs)) is None:
            hint = did_you_mean(theirs, _paths(chart.defaults))
            problems.append(Problem(f"chart.values: the chart has no value {theirs}", where, hint=hint))
        elif _dig(chart.defaults, _path(own)) is not None and own not in source.values.values():
            what = f"chart.values: the chart has a value {own} itself"
            problems.append(Problem(what, where, hint="choose another name for it here"))
    if problems:
        raise ProfileError(problems)
    for own, theirs in source.values.items():
        schema = _moved_schema(schema, _path(theirs), _path(own))
    moves = [(_path(theirs), _path(own)) for own, theirs in source.values.items()]
    positions = {_renamed(path, moves): position for path, position in chart.positions.items()}
    layer = Layer(f"chart {chart.name} {chart.version}", _moved(chart.defaults, moves), positions)
    return replace(profile, schema=schemas.close(merge_schema(schema, profile.schema)), layers=(layer, *profile.layers))


def for_helm(values: Json, source: ChartSource, chart: Chart) -> Json:
    """What Helm is to be told: the values under the chart's names, as far as they differ from its defaults."""
    moves = [(_path(own), _path(theirs)) for own, theirs in source.values.items()]
    return _changes(_moved(values, moves), chart.defaults)


def own_name(path: Path, source: ChartSource) -> Path:
    """The path of a chart's value among the profile's."""
    return _renamed(path, [(_path(theirs), _path(own)) for own, theirs in source.values.items()])


def _changes(values: Json, defaults: Any) -> Json:
    made: Json = {}
    for key, value in values.items():
        known = isinstance(defaults, dict) and key in defaults
        before = defaults[key] if known else None
        if isinstance(value, dict) and isinstance(before, dict):
            inner = _changes(value, before)
            if inner:
                made[key] = inner
        elif not known or type(value) is not type(before) or value != before:
            made[key] = value
    return made


def _known(chart: Chart) -> Json:
    """What the chart's own schema and its defaults say together."""
    inferred = {"properties": {}, **_inferred(chart.defaults, (), chart.comments), "type": "object"}
    for name in {*chart.subcharts, *(("global", "tags") if chart.subcharts else ())}:
        inferred["properties"][name] = {"type": ["object", "null"]}
    own = _usable(chart.schema)
    return inferred if own is None else {"properties": {}, **_combined(inferred, own, own)}


def _inferred(value: Any, path: Path, comments: Mapping[Path, str]) -> Json:
    """The schema of whatever has the type of this default; null, "unset" to Helm, always fits."""
    made: Json = {"type": [_type_of(value), "null"]}
    if isinstance(value, dict) and value:
        made["properties"] = {key: _inferred(item, (*path, key), comments) for key, item in value.items()}
        if any("." in key or "/" in key for key in value):
            made["additionalProperties"] = True  # Labels, annotations, selectors: whose keys are the user's.
    elif value is None:
        made = {}
    elif value in ({}, []):
        made = {"type": ["array", "object", "null"] if value == [] else ["object", "array", "null"]}
    return {**made, "description": comments[path]} if path in comments else made


def _type_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "string")


def comments_of(text: str, positions: Mapping[Path, Position]) -> dict[Path, str]:
    """What the comment right above each value says, in one line; what looks like a value commented out is none."""
    lines = text.splitlines()
    made = {}
    for path, position in positions.items():
        above: list[str] = []
        for line in reversed(lines[: max(position.line - 1, 0)]):
            found = _COMMENT.fullmatch(line)
            if path == () or found is None or len(found[1]) != position.column - 1:
                break
            above.insert(0, found[2].strip())
        said = " ".join(above).strip()
        if said and not any(_COMMENTED_OUT.match(line) for line in above):
            made[path] = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
    return made


def _usable(schema: Json | None) -> Json | None:
    """The chart's schema where it can be read as ours are; Helm itself holds to it in any case."""
    if schema is None:
        return None
    made = {key: value for key, value in schema.items() if key not in ("$schema", "$id", "title")}
    if any(not reference.startswith("#") for reference in _references(made)) or schemas.flaw(made):
        return None
    return made


def _references(part: Any) -> Iterable[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for item in part:
            yield from _references(item)


_ELSEWHERE = ("allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "dependentSchemas", "dependencies")


def _combined(inferred: Json, own: Any, root: Json) -> Any:
    """The chart's schema with what its defaults tell beyond it."""
    own = schemas.resolve(root, own)
    if not isinstance(own, dict):
        return {} if own is True else own
    if any(key in own for key in _ELSEWHERE):
        # What may be here is not only said here, so that it cannot be told what may not.
        return {"additionalProperties": True, **own}
    made = dict(own)
    if not any(key in own for key in ("type", "enum", "const")) and "type" in inferred:
        made["type"] = inferred["type"]
    if "description" in inferred:
        made.setdefault("description", inferred["description"])
    theirs, known = inferred.get("properties", {}), own.get("properties", {})
    if "object" in schemas.types_of(made, made) and (theirs or known):
        made["properties"] = {
            **{key: _combined(theirs[key], part, root) if key in theirs else part for key, part in known.items()},
            **{key: part for key, part in theirs.items() if key not in known},
        }
        if "additionalProperties" in inferred:
            made.setdefault("additionalProperties", inferred["additionalProperties"])
    return made


def _moved_schema(schema: Json, old: Path, new: Path) -> Json:
    """The schema with the part of one path at another."""
    made: Json = deepcopy(schema)
    part: Any = schemas.at(schema, old)
    here = made
    for step in old[:-1]:
        here = here.get("properties", {}).get(step, {})
    if isinstance(here.get("properties"), dict):
        here["properties"].pop(old[-1], None)
    if isinstance(here.get("required"), list):
        here["required"] = [key for key in here["required"] if key != old[-1]]
    here = made
    for step in new[:-1]:
        here = here.setdefault("properties", {}).setdefault(str(step), {"type": "object"})
    here.setdefault("properties", {})[str(new[-1])] = part
    return made


def _moved(data: Json, moves: Iterable[tuple[Path, Path]]) -> Json:
    """A copy of the data with some of it at other paths."""
    made: Json = deepcopy(data)
    taken = []
    for old, new in moves:
        holder = _dig(made, old[:-1])
        if isinstance(holder, dict) and old[-1] in holder:
            taken.append((new, holder.pop(old[-1])))
            _drop_empty(made, old[:-1], data)
    for new, value in taken:
        here = made
        for step in new[:-1]:
            inner = here.setdefault(str(step), {})
            here[str(step)] = here = inner if isinstance(inner, dict) else {}
        here[str(new[-1])] = value
    return made


def _drop_empty(made: Json, path: Path, before: Json) -> None:
    """Take away mappings in which nothing is left but that they held what was moved."""
    while path and _dig(made, path) == {} and _dig(before, path) != {}:
        _dig(made, path[:-1]).pop(path[-1])
        path = path[:-1]


def _renamed(path: Path, moves: Iterable[tuple[Path, Path]]) -> Path:
    for old, new in moves:
        if path[: len(old)] == old:
            return (*new, *path[len(old) :])
    return path


def _path(dotted: str) -> Path:
    return tuple(dotted.split("."))


def _paths(data: Any, prefix: str = "") -> list[str]:
    """Every dotted path of mappings in mappings."""
    made = []
    for key, value in data.items() if isinstance(data, dict) else ():
        made += [f"{prefix}{key}", *_paths(value, f"{prefix}{key}.")]
    return made


def _dig(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
