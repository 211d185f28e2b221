"""The site: one file that says which releases run on which clusters, read and checked as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from berth.core import schema as schemas
from berth.core.errors import InputError, Position, Problem, did_you_mean
from berth.core.objects import Json, field_path
from berth.core.order import layers
from berth.core.profile import NAME_SCHEMA, Layer, below, nearest
from berth.core.strictyaml import Hooks, Path, read_one

_NAMES = {"type": "array", "uniqueItems": True, "minItems": 1, "items": NAME_SCHEMA}
_VALUES = {"type": "object", "description": "Values for releases; a profile that has no such value is an error"}

#: What a site file may hold. The task `site.schema` prints it for editors.
SITE_SCHEMA: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "site.yaml of berth",
    "description": "Which releases run on which clusters",
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "releases"],
    "properties": {
        "name": {**NAME_SCHEMA, "description": "The site's name; its releases carry it, and --prune goes by it"},
        "targets": {
            "type": "object",
            "description": "Clusters, by names of your own",
            "propertyNames": NAME_SCHEMA,
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["context"],
                "properties": {
                    "context": {
                        "type": "string",
                        "minLength": 1,
                        "description": "Context of the kubeconfig, or berth-rehearsal, or berth-local",
                    },
                    "kubeconfig": {
                        "type": "string",
                        "minLength": 1,
                        "description": "Kubeconfig file, from this file's directory on; by default the usual one",
                    },
                    "order": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": 1000,
                        "description": "Clusters with a lower number come first, those with the same together; 0",
                    },
                    "values": _VALUES,
                },
            },
        },
        "groups": {
            "type": "object",
            "description": "Groups of targets, by names of your own",
            "propertyNames": NAME_SCHEMA,
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["targets"],
                "properties": {"targets": {**_NAMES, "description": "Names of targets"}, "values": _VALUES},
            },
        },
        "releases": {
            "type": "array",
            "minItems": 1,
            "description": "What runs",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["profile"],
                "properties": {
                    "profile": {**NAME_SCHEMA, "description": "The profile to use"},
                    "name": {**NAME_SCHEMA, "description": "The release's name; by default the profile's"},
                    "namespace": {**NAME_SCHEMA, "description": "Its namespace; by default default"},
                    "environment": {"type": "string", "minLength": 1, "description": "Environment of the profile"},
                    "values": {**_VALUES, "description": "Values of this release; they win over all others"},
                    "valueFiles": {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                        "description": "Files with values, from this file's directory on; later ones win",
                    },
                    "needs": {
                        "type": "array",
                        "uniqueItems": True,
                        "items": {"type": "string", "pattern": r"^[a-z0-9-]{1,63}(/[a-z0-9-]{1,63})?$"},
                        "description": "Releases that come first: NAME in the same namespace, or NAMESPACE/NAME",
                    },
                    "target": {
                        "description": "Target or group, or several; by default the target of the run (--context)",
                        "anyOf": [NAME_SCHEMA, _NAMES],
                    },
                },
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class SiteTarget:
    """A cluster of the site. ``layers`` are the values of its groups, and then its own, for every release on it."""

    name: str
    context: str
    kubeconfig: str | None = None
    order: int = 0
    layers: tuple[Layer, ...] = ()
    position: Position = field(default_factory=lambda: Position(""))


@dataclass(frozen=True, slots=True)
class SiteRelease:
    """A release of the site. ``needs`` are (namespace, name), ``targets`` names of targets; none: that of the run."""

    name: str
    profile: str
    namespace: str
    environment: str | None
    values: Layer
    value_files: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    targets: tuple[str, ...] = ()
    position: Position = field(default_factory=lambda: Position(""))

    @property
    def key(self) -> tuple[str, str]:
        """What it is called on a cluster: namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Site:
    """A site file. ``groups`` maps a group to its targets; ``releases`` are in the order of the file."""

    name: str
    file: str
    targets: Mapping[str, SiteTarget]
    groups: Mapping[str, tuple[str, ...]]
    releases: tuple[SiteRelease, ...]

    def targets_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """The targets that names of targets and groups mean, in the order of the file.

        Raises:
            InputError: a name is neither.
        """
        wrong = [name for name in names if name not in self.targets and name not in self.groups]
        if wrong:
            known = [*self.targets, *self.groups]
            raise InputError(
                Problem(f"the site has no target or group {name!r}", self.file, hint=did_you_mean(name, known))
                for name in wrong
            )
        meant = {target for name in names for target in self.groups.get(name, (name,))}
        return tuple(name for name in self.targets if name in meant)


def read_site(text: str, file: str) -> Site:
    """A site from the text of its file.

    Raises:
        InputError: with every problem: of the YAML, of the schema, or else of what the parts say of one another.
    """
    document = read_one(text, file, error=InputError, hooks=Hooks(reveal=False))
    positions, data = document.positions, document.data
    if not isinstance(data, dict):
        raise InputError("a site file is a mapping with name and releases", where=file)
    problems = [
        Problem(
            f"{field_path(violation.path) or 'the site'}: {violation.what}",
            str(nearest(positions, violation.path, file)),
            hint=violation.hint,
        )
        for violation in schemas.check(SITE_SCHEMA, data)
    ]
    if problems:
        raise InputError(problems)
    reading = _Reading(data, positions, file)
    site = reading.site()
    if reading.problems:
        raise InputError(reading.problems)
    return site


class _Reading:
    """A site file that fits its schema, while its parts are put together."""

    def __init__(self, data: Json, positions: Mapping[Path, Position], file: str) -> None:
        self.data, self.positions, self.file = data, positions, file
        self.problems: list[Problem] = []
        #: Releases that name a target that is none: what they need where cannot be told.
        self.astray: set[tuple[str, str]] = set()

    def site(self) -> Site:
        targets: Json = self.data.get("targets", {})
        groups = {name: tuple(group["targets"]) for name, group in self.data.get("groups", {}).items()}
        for name, members in groups.items():
            if name in targets:
                self._wrong(f"{name} is a target and a group", ("groups", name), "give one of them another name")
            for index, member in enumerate(members):
                if member not in targets:
                    what = f"group {name}: there is no target {member!r}"
                    self._wrong(what, ("groups", name, "targets", index), did_you_mean(member, targets))
        made = {name: self._target(name, body) for name, body in targets.items()}
        self._same_clusters(made.values())
        releases = [self._release(index, body, made, groups) for index, body in enumerate(self.data["releases"])]
        self._relations(releases)
        return Site(self.data["name"], self.file, made, groups, tuple(releases))

    def _same_clusters(self, targets: Iterable[SiteTarget]) -> None:
        """What one of them has of the site would be what left it on the other."""
        known: dict[tuple[str, str | None], SiteTarget] = {}
        for target in targets:
            first = known.setdefault((target.context, target.kubeconfig), target)
            if first is not target:
                what = f"targets {first.name} and {target.name} are one cluster: context {target.context}"
                self._wrong(
                    what, ("targets", target.name), "name it once, and let the releases of both name that target"
                )

    def _target(self, name: str, body: Json) -> SiteTarget:
        of_groups = [
            self._layer(f"group {group}", ("groups", group, "values"), held.get("values", {}))
            for group, held in self.data.get("groups", {}).items()
            if name in held["targets"]
        ]
        own = self._layer(f"target {name}", ("targets", name, "values"), body.get("values", {}))
        return SiteTarget(
            name,
            body["context"],
            body.get("kubeconfig"),
            body.get("order", 0),
            tuple(layer for layer in (*of_groups, own) if layer.data),
            self._at("targets", name),
        )

    def _release(
        self, index: int, body: Json, targets: Mapping[str, object], groups: Mapping[str, tuple[str, ...]]
    ) -> SiteRelease:
        here: Path = ("releases", index)
        name, namespace = str(body.get("name", body["profile"])), str(body.get("namespace", "default"))
        written = body.get("target", [])
        meant: list[str] = []
        for number, word in enumerate([written] if isinstance(written, str) else written):
            if word not in targets and word not in groups:
                at: Path = (*here, "target") if isinstance(written, str) else (*here, "target", number)
                what = f"release {name}: there is no target or group {word!r}"
                hint = did_you_mean(word, [*targets, *groups]) if targets else "name clusters under targets"
                self._wrong(what, at, hint)
                self.astray.add((namespace, name))
            meant += groups.get(word, (word,))
        needs = [
            (space or namespace, needed) for space, _, needed in (one.rpartition("/") for one in body.get("needs", ()))
        ]
        return SiteRelease(
            name,
            body["profile"],
            namespace,
            body.get("environment"),
            self._layer(f"release {name}", (*here, "values"), body.get("values", {})),
            tuple(body.get("valueFiles", ())),
            tuple(needs),
            tuple(target for target in targets if target in meant),
            self._at(*here),
        )

    def _relations(self, releases: Sequence[SiteRelease]) -> None:
        """Names that are taken twice, and needs that nothing or nobody there fulfils, or that form a circle."""
        taken: dict[tuple[str, str, str], SiteRelease] = {}
        for release in releases:
            for target in release.targets or ("",):
                first = taken.setdefault((target, *release.key), release)
                if first is not release:
                    where = f" on {target}" if target else ""
                    self.problems.append(
                        Problem(
                            f"two releases are named {release.name} in {release.namespace}{where}",
                            str(release.position),
                            f"the other one is at {first.position}",
                            "give one of them another name or namespace",
                        )
                    )
                    break
        known = {release.key for release in releases}
        for index, release in enumerate(releases):
            for number, needed in enumerate(release.needs):
                at = ("releases", index, "needs", number)
                if needed not in known:
                    hint = did_you_mean("/".join(needed), ["/".join(key) for key in known])
                    self._wrong(f"release {release.name} needs {'/'.join(needed)}, which the site has not", at, hint)
                    continue
                if release.key in self.astray or needed in self.astray:
                    continue
                away = [target for target in release.targets or ("",) if (target, *needed) not in taken]
                if away:
                    missing = ", ".join(away) if any(away) else "the target of the run"
                    what = f"release {release.name} needs {'/'.join(needed)}, which is not on {missing}"
                    self._wrong(what, at, "let both name the same targets")
        if not self.problems:
            self._circles(taken)

    def _circles(self, taken: Mapping[tuple[str, str, str], SiteRelease]) -> None:
        edges = {
            (target, *key): [(target, *need) for need in release.needs] for (target, *key), release in taken.items()
        }

        def named(node: tuple[str, ...]) -> str:
            return f"{node[1]}/{node[2]} ({taken[node[0], node[1], node[2]].position})"

        try:
            layers(edges, named, "releases")
        except InputError as error:
            self.problems += [replace(problem, hint="take one of these needs away") for problem in error.problems]

    def _layer(self, name: str, root: Path, data: Json) -> Layer:
        return Layer(name, data, below(self.positions, root))

    def _at(self, *path: str | int) -> Position:
        return nearest(self.positions, path, self.file)

    def _wrong(self, what: str, path: Path, hint: str = "") -> None:
        self.problems.append(Problem(what, str(self._at(*path)), hint=hint))
