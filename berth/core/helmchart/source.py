"""The part `chart:` of a profile: a Helm chart that its objects come from, and what of it is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from berth.core.errors import Position, Problem
from berth.core.objects import Json
from berth.core.strictyaml import Path

#: Stands in ``skip`` for all hooks but tests.
HOOKS = "hooks"

_PATH = {"type": "string", "minLength": 1}
_VALUE_PATH = {"type": "string", "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"}

#: What the part may hold.
CHART_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "path": {**_PATH, "description": "A chart in the project: a directory or a .tgz, such as charts/thing"},
        "repository": {**_PATH, "description": "Where else it is: https://... or oci://..."},
        "name": {
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9._-]*$",
            "description": "Its name in that repository",
        },
        "version": {"type": "string", "minLength": 1, "description": "Its version there, such as 1.2.3"},
        "digest": {
            "type": "string",
            "pattern": "^sha256:[0-9a-f]{64}$",
            "description": "The checksum of its package, such as sha256: and 64 digits",
        },
        "values": {
            "type": "object",
            "propertyNames": _VALUE_PATH,
            "additionalProperties": _VALUE_PATH,
            "description": "Values that have another name here than in the chart, such as replicas: replicaCount",
        },
        "skip": {
            "type": "array",
            "items": {
                "type": "string",
                "pattern": r"^(hooks|[A-Z*?][A-Za-z*?]*(/[^/\s]+)?)$",
                "description": "hooks, a kind, or Kind/name, such as Ingress or Job/*-migrate",
            },
            "description": "Objects of the chart that are left out",
        },
        "kubernetes": {
            "type": "string",
            "pattern": r"^1\.[0-9]{1,3}$",
            "description": "The version of Kubernetes that the chart is told, such as 1.36",
        },
        "apiVersions": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^[a-z0-9./]+[A-Za-z0-9./]*$"},
            "description": "Kinds beyond Kubernetes' own that the chart is told of, such as monitoring.coreos.com/v1",
        },
    },
}

#: One version and no range, with a v before it or build data behind it where the chart has them.
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_REPOSITORY = re.compile(r"(https?|oci)://(?P<host>[^/\s?#]+)(/[^\s?#]*)?")


@dataclass(frozen=True, slots=True)
class ChartSource:
    """Where a chart is, and what a profile says of it.

    ``root`` is the directory that ``path`` starts from. ``values`` leads from dotted paths of the profile's values to
    those of the chart's. ``positions`` are those of what is under ``chart:``.
    """

    root: str = ""
    path: str = ""
    repository: str = ""
    name: str = ""
    version: str = ""
    digest: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    kubernetes: str = ""
    api_versions: tuple[str, ...] = ()
    position: Position = field(default_factory=lambda: Position(""))
    positions: Mapping[Path, Position] = field(default_factory=dict)

    def __str__(self) -> str:
        """As people name it: its path, or name, version and repository."""
        return self.path or f"{self.name} {self.version} of {self.repository}"

    def at(self, *path: str | int) -> Position:
        """The place of a part, else of the whole."""
        return self.positions.get(path, self.position)

    def leaves_out(self, kind: str, name: str) -> bool:
        """Whether an object is not wanted."""
        return any(fnmatchcase(name, each.partition("/")[2] or "*") for each in self.skip if _is_kind(each, kind))


def _is_kind(entry: str, kind: str) -> bool:
    return entry != HOOKS and fnmatchcase(kind, entry.partition("/")[0])


def chart_of(data: Json, position: Position, positions: Mapping[Path, Position], root: str) -> ChartSource:
    """The part as `CHART_SCHEMA` allows it."""
    return ChartSource(
        root=root,
        path=data.get("path", ""),
        repository=data.get("repository", "").rstrip("/"),
        name=data.get("name", ""),
        version=data.get("version", ""),
        digest=data.get("digest", ""),
        values=data.get("values", {}),
        skip=tuple(data.get("skip", ())),
        kubernetes=data.get("kubernetes", ""),
        api_versions=tuple(data.get("apiVersions", ())),
        position=position,
        positions=positions,
    )


def problems_of(source: ChartSource) -> Iterator[Problem]:
    """What is wrong with the part beyond its schema."""
    if bool(source.path) == bool(source.repository):
        what = "chart: it has a path and a repository" if source.path else "chart: it does not say where the chart is"
        hint = (
            "path: charts/thing for a chart in the project; else repository: https://..., name: thing, version: 1.2.3"
        )
        yield Problem(what, str(source.position), hint=hint)
        return
    if source.path:
        yield from _path_problems(source)
    else:
        yield from _repository_problems(source)
    targets: dict[str, str] = {}
    for own, theirs in source.values.items():
        where = str(source.at("values", own))
        for other_own, other_theirs in targets.items():
            if _overlap(own, other_own) or _overlap(theirs, other_theirs):
                what = f"chart.values: {own} and {other_own} are, or lead to, the same value"
                yield Problem(what, where, hint="let each value have one name")
        targets[own] = theirs


def _path_problems(source: ChartSource) -> Iterator[Problem]:
    parts = source.path.split("/")
    if source.path.startswith(("/", "~")) or ".." in parts or "\\" in source.path or "\0" in source.path:
        hint = "name a directory or a .tgz below the project's root, such as charts/thing"
        yield Problem(f"chart.path: {source.path!r} leaves the project", str(source.at("path")), hint=hint)
    for key in ("name", "version", "digest"):
        if getattr(source, key):
            what = f"chart.{key} is for a chart of a repository, and this one has a path"
            yield Problem(what, str(source.at(key)), hint="remove it; a chart in the project is as it is there")


def _repository_problems(source: ChartSource) -> Iterator[Problem]:
    found = _REPOSITORY.fullmatch(source.repository)
    where = str(source.at("repository"))
    if found is None:
        hint = "write https://host/path or oci://host/path; names that `helm repo add` made are one machine's own"
        yield Problem("chart.repository: this is no address of a repository", where, hint=hint)
    elif "@" in found["host"]:
        hint = "remove them; `helm registry login`, or `helm repo add`, keeps them on the machine"
        yield Problem("chart.repository: credentials do not belong into a profile", where, hint=hint)
    if not source.name:
        yield Problem("chart.name is missing", where, hint="name: the chart's name in that repository")
    if not source.version:
        hint = (
            f"version: 1.2.3; `helm search repo`, or `helm show chart {source.repository}/...`, tells which there are"
        )
        why = "without one, the same profile would give other objects tomorrow"
        yield Problem("chart.version is missing", where, why, hint)
    elif not _VERSION.fullmatch(source.version):
        what = f"chart.version: {source.version!r} is not one version"
        yield Problem(what, str(source.at("version")), hint="write it in full, such as 1.2.3; no range")


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
