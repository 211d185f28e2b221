"""From requests to releases: profiles with what they require, values merged, manifests rendered, nothing touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from berth.actions.secrets import Local
from berth.core.errors import InputError, Problem, ProfileError, TemplateError, ValuesError
from berth.core.masking import HIDDEN
from berth.core.objects import CLUSTER_SCOPED, Json, ObjectRef
from berth.core.profile import DNS_LABEL, Layer, Profile
from berth.core.provenance import escape_key
from berth.core.render import Release, render
from berth.core.secretvalues import Reading
from berth.core.values import merge
from berth.library import Library, read_text

if TYPE_CHECKING:
    from berth.actions.helmchart import Objects
    from berth.cluster.record import ReleaseRecord

#: The longest name of a release: what is added to it must still make a StatefulSet's name of 52.
MAX_RELEASE_NAME = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for: a profile under a name (default: the profile's own) in a namespace, with values.

    Values of ``below`` are under those of the files, those of ``last`` on top of all. ``site`` is the site that asks,
    and ``where`` the place in its file.
    """

    profile: str
    name: str | None = None
    namespace: str = "default"
    environment: str | None = None
    value_files: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    below: tuple[Layer, ...] = ()
    last: tuple[Layer, ...] = ()
    site: str = ""
    where: str = ""

    @property
    def release(self) -> str:
        """The name of the release."""
        return self.profile if self.name is None else self.name


def prepare(library: Library, requests: Sequence[Request], reading: Reading | None = None) -> tuple[Release, ...]:
    """The releases that requests amount to, required ones added and first, each rendered.

    A required profile is installed under its own name in the same namespace, in the same environment if it has it,
    unless a request asks for that release itself. ``reading`` says what secret values are that come from elsewhere
    (default: what this machine has).

    Raises:
        InputError: with the problems of every release.
    """
    ordered, errors = _ordered(library, requests)
    reading = reading or Local()
    releases: list[Release] = []
    for request in ordered:
        try:
            releases.append(_render(library, request, request.last, request.below, reading))
        except InputError as error:
            errors.append(_asked_by(request, error))
    raise_inputs(errors)
    _refuse_shared(releases)
    return tuple(releases)


def raise_inputs(errors: Sequence[InputError]) -> None:
    """Raise one error with the problems of all, each once, of their class if they have one; nothing for none."""
    if errors:
        problems = dict.fromkeys(problem for error in errors for problem in error.problems)
        kinds = {type(error) for error in errors}
        raise (kinds.pop() if len(kinds) == 1 else InputError)(problems)


def _asked_by(request: Request, error: InputError) -> InputError:
    """The error, with the release of a site that it is about."""
    if not request.where:
        return error
    asks = f"release {request.release} asks for it ({request.where})"
    return type(error)(replace(one, why=f"{one.why}; {asks}" if one.why else asks) for one in error.problems)


def recorded(
    library: Library,
    record: ReleaseRecord,
    changed: Json,
    source: str,
    value_files: Sequence[str] = (),
    sets: Sequence[str] = (),
) -> Release:
    """A release as its record has it, rendered anew: recorded values < files < sets < those changed by ``source``.

    Of secret values the record has where they come from, and they are taken from there again.

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
    release = _render(library, request, [Layer(source, changed)] if changed else (), below, Local())
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
    """The values without those at some paths; a list that holds one is left out as a whole."""
    if not isinstance(values, dict):
        return values
    paths = {key: f"{path}.{escape_key(key)}" if path else escape_key(key) for key in values}
    gone = {
        key
        for key, value in values.items()
        if paths[key] in hidden or (isinstance(value, list) and any(one.startswith(f"{paths[key]}.") for one in hidden))
    }
    return {key: _without(value, hidden, paths[key]) for key, value in values.items() if key not in gone}


def hidden_values(values: Json) -> list[str]:
    """The paths of the values that a record does not keep, because they are secret."""
    return sorted(path for path, text in _texts(values) if text == HIDDEN)


def _texts(values: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The texts among values, with their paths."""
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            part = escape_key(str(key))
            yield from _texts(value, f"{path}.{part}" if path else part)
    elif isinstance(values, str):
        yield path, values


def with_requirements(library: Library, requests: Sequence[Request]) -> list[Request]:
    """The requests and those for what they require, in the order in which they are to be installed.

    Raises:
        InputError: names are wrong or taken twice, a profile is unknown or abstract, or requirements form a circle.
    """
    ordered, errors = _ordered(library, requests)
    raise_inputs(errors)
    return ordered


def _ordered(library: Library, requests: Sequence[Request]) -> tuple[list[Request], list[InputError]]:
    """The requests with what they require, as far as that can be found out, and what stands against the rest."""
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
    errors: list[InputError] = []
    for request in requests:
        try:
            _visit(library, request, asked, done, [])
        except InputError as error:
            errors.append(_asked_by(request, error))
    return list(done.values()), errors


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
    return Request(required, None, request.namespace, environment, site=request.site, where=request.where)


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
        problems.append(Problem(f"{name!r} is no name for a release", request.where, hint=hint))
    elif len(name) > MAX_RELEASE_NAME:
        what = f"the release name {name!r} has {len(name)} characters; {MAX_RELEASE_NAME} are possible"
        problems.append(Problem(what, request.where, hint="choose a shorter --name"))
    if not DNS_LABEL.fullmatch(request.namespace):
        hint = "a namespace has lower case letters, digits and -, at most 63"
        problems.append(Problem(f"{request.namespace!r} is no name for a namespace", hint=hint))
    return problems


def _render(
    library: Library, request: Request, last: Sequence[Layer], below: Sequence[Layer], reading: Reading
) -> Release:
    """The release of a request; ``last`` are values on top of all that it names, ``below`` those under its files."""
    profile, objects = opened(library, library.load(request.profile))
    files = [(name, read_text(Path(name), ValuesError)) for name in request.value_files]

    def made(layers: Sequence[Layer]) -> Release:
        values = merge(profile, request.environment, files, request.sets, layers, below, reading)
        others = objects(values, request.release, request.namespace)
        manifests = render(
            profile, values, request.release, request.namespace, request.environment, library.loader, others
        )
        return Release(
            request.release,
            request.namespace,
            profile,
            request.environment,
            values,
            manifests,
            lambda changed: made([*layers, Layer("scaling", changed)]),
            request.site,
        )

    return made(last)


def opened(library: Library, profile: Profile) -> tuple[Profile, Objects]:
    """The profile with its chart's values below its own, and what makes the objects that no template of ours does.

    Raises:
        InputError: the chart is not there, or is none.
        LocalError: it has to be fetched, and that is not possible on this machine.
    """
    if profile.chart is None:
        return profile, lambda values, release, namespace: []
    from berth.actions.helmchart import charted  # Few profiles need it.

    return charted(library, profile, profile.chart)


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
