"""From requests to releases: profiles with what they require, values merged, manifests rendered, nothing touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from berth.core.errors import InputError, Problem, ProfileError, TemplateError, ValuesError
from berth.core.masking import HIDDEN
from berth.core.objects import CLUSTER_SCOPED, Json, ObjectRef
from berth.core.profile import DNS_LABEL, Layer, Profile
from berth.core.render import Release, render
from berth.core.values import merge
from berth.library import Library, read_text

if TYPE_CHECKING:
    from berth.cluster.record import ReleaseRecord

#: The longest name of a release: what is added to it must still make a StatefulSet's name of 52.
MAX_RELEASE_NAME = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for: a profile under a name (default: the profile's own) in a namespace, with values."""

    profile: str
    name: str | None = None
    namespace: str = "default"
    environment: str | None = None
    value_files: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """The name of the release."""
        return self.profile if self.name is None else self.name


def prepare(library: Library, requests: Sequence[Request]) -> tuple[Release, ...]:
    """The releases that requests amount to, required ones added and first, each rendered.

    A required profile is installed under its own name in the same namespace, in the same environment if it has it,
    unless a request asks for that release itself.

    Raises:
        InputError: with the problems of every release.
    """
    ordered = with_requirements(library, requests)
    releases: list[Release] = []
    problems: list[Problem] = []
    kinds: list[type[InputError]] = []
    for request in ordered:
        try:
            releases.append(_render(library, request))
        except InputError as error:
            problems += error.problems
            kinds.append(type(error))
    if problems:
        raise (kinds[0] if len(set(kinds)) == 1 else InputError)(problems)
    _refuse_shared(releases)
    return tuple(releases)


def recorded(
    library: Library,
    record: ReleaseRecord,
    changed: Json,
    source: str,
    value_files: Sequence[str] = (),
    sets: Sequence[str] = (),
) -> Release:
    """A release as its record has it, rendered anew: recorded values < files < sets < those changed by ``source``.

    Raises:
        InputError: its profile is not here, some values were secret, which no record keeps, and are not given anew, or
            the profile does not take them.
    """
    request = Request(
        record.profile, record.name, record.namespace, record.environment, tuple(value_files), tuple(sets)
    )
    hidden = hidden_values(record.values)
    if hidden and not (value_files or sets):
        raise _not_kept(record, hidden)
    below = [Layer(f"the record of {record.name}", _without(record.values, hidden))]
    release = _render(library, request, [Layer(source, changed)] if changed else (), below)
    given = {"--values", "--set"}
    missing = [path for path in hidden if getattr(release.values.source_of(path), "layer", "") not in given]
    if missing:
        raise _not_kept(record, missing)
    return release


def _not_kept(record: ReleaseRecord, hidden: Sequence[str]) -> InputError:
    return InputError(
        f"release {record.name} was made with secret values, which its record does not keep: {', '.join(hidden)}",
        hint="give them again where --values or --set is taken; else use up, with what it was made with",
    )


def _without(values: Any, hidden: Sequence[str], path: str = "") -> Any:
    """The values without those at some paths."""
    if not isinstance(values, dict):
        return values
    paths = {key: f"{path}.{key}" if path else str(key) for key in values}
    return {key: _without(value, hidden, paths[key]) for key, value in values.items() if paths[key] not in hidden}


def hidden_values(values: Json) -> list[str]:
    """The paths of the values that a record does not keep, because they are secret."""
    return sorted(path for path, text in _texts(values) if text == HIDDEN)


def _texts(values: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The texts among values, with their paths."""
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _texts(value, f"{path}.{key}" if path else str(key))
    elif isinstance(values, str):
        yield path, values


def with_requirements(library: Library, requests: Sequence[Request]) -> list[Request]:
    """The requests and those for what they require, in the order in which they are to be installed.

    Raises:
        InputError: names are wrong or taken twice, a profile is unknown or abstract, or requirements form a circle.
    """
    problems = [problem for request in requests for problem in _name_problems(request)]
    asked: dict[tuple[str, str], Request] = {}
    for request in requests:
        key = (request.release, request.namespace)
        if key in asked:
            problems.append(Problem(f"two releases are named {key[0]} in {key[1]}", hint="give one of them a --name"))
        asked[key] = request
    if problems:
        raise InputError(problems)
    done: dict[tuple[str, str], Request] = {}
    for request in requests:
        _visit(library, request, asked, done, [])
    return list(done.values())


def _visit(
    library: Library,
    request: Request,
    asked: dict[tuple[str, str], Request],
    done: dict[tuple[str, str], Request],
    chain: list[Profile],
) -> None:
    key = (request.release, request.namespace)
    if key in done:
        return
    profile = library.load(request.profile)
    names = [above.name for above in chain]
    if profile.name in names:
        raise ProfileError([_circle([*chain[names.index(profile.name) :], profile])])
    if profile.abstract:
        raise ProfileError(
            f"the profile {profile.name} is only there to be extended",
            where=str(profile.position),
            hint=f"write a profile that says `extends: {profile.name}`",
        )
    for required in profile.requires:
        wanted = asked.get((required, request.namespace)) or _required(library, profile, required, request)
        _visit(library, wanted, asked, done, [*chain, profile])
    done[key] = request


def _required(library: Library, profile: Profile, required: str, request: Request) -> Request:
    try:
        found = library.load(required)
    except ProfileError as error:
        first = error.problems[0]
        where = str(_requirement_position(profile, required))
        raise ProfileError(
            [replace(first, what=f"{profile.name} requires {required!r}: {first.what}", where=where)]
        ) from None
    environment = request.environment if request.environment in found.environments else None
    return Request(required, None, request.namespace, environment)


def _requirement_position(profile: Profile, required: str) -> object:
    index = profile.requires.index(required)
    return profile.positions.get(("requires", index), profile.position)


def _circle(chain: list[Profile]) -> Problem:
    edges = [
        f"{above.name} requires {below.name} ({_requirement_position(above, below.name)})"
        for above, below in pairwise(chain)
    ]
    return Problem("these profiles require one another in a circle: " + ", ".join(edges), hint="remove one requirement")


def _name_problems(request: Request) -> list[Problem]:
    problems = []
    name = request.release
    if not DNS_LABEL.fullmatch(name):
        hint = "a name has lower case letters, digits and -, and starts and ends with a letter or digit"
        problems.append(Problem(f"{name!r} is no name for a release", hint=hint))
    elif len(name) > MAX_RELEASE_NAME:
        what = f"the release name {name!r} has {len(name)} characters; {MAX_RELEASE_NAME} are possible"
        problems.append(Problem(what, hint="choose a shorter --name"))
    if not DNS_LABEL.fullmatch(request.namespace):
        hint = "a namespace has lower case letters, digits and -, at most 63"
        problems.append(Problem(f"{request.namespace!r} is no name for a namespace", hint=hint))
    return problems


def _render(library: Library, request: Request, last: Sequence[Layer] = (), below: Sequence[Layer] = ()) -> Release:
    """The release of a request; ``last`` are values on top of all that it names, ``below`` those under its files."""
    profile = library.load(request.profile)
    files = [(name, read_text(Path(name), ValuesError)) for name in request.value_files]

    def made(layers: Sequence[Layer]) -> Release:
        values = merge(profile, request.environment, files, request.sets, layers, below)
        manifests = render(profile, values, request.release, request.namespace, request.environment, library.loader)
        return Release(
            request.release,
            request.namespace,
            profile,
            request.environment,
            values,
            manifests,
            lambda changed: made([*layers, Layer("scaling", changed)]),
        )

    return made(last)


def _refuse_shared(releases: Sequence[Release]) -> None:
    """Two releases of one run must not render the same object; cluster-scoped ones may be shared."""
    owners: dict[ObjectRef, str] = {}
    problems = []
    for release in releases:
        for manifest in release.manifests:
            ref = manifest.ref
            if ref.kind not in CLUSTER_SCOPED and ref in owners:
                what = f"the releases {owners[ref]} and {release.name} both render {ref}"
                problems.append(Problem(what, str(manifest.position), hint="name objects with named(...)"))
            owners.setdefault(ref, release.name)
    if problems:
        raise TemplateError(problems)
