"""Releases as their records have them: what is there now, and what one could go back to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from berth.actions.prepare import hidden_values
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord, Revision
from berth.core.errors import ClusterError, InputError, Position, Problem
from berth.core.masking import HIDDEN
from berth.core.objects import GENERATED_ANNOTATION, Json, Manifest, ObjectRef, dig, ordinals
from berth.core.render import Release
from berth.core.report import DOWN
from berth.core.values import Values
from berth.library import Library

#: Characters of a password that is gone by the time it is needed; before that, it was there.
_LENGTH = 32


def require_up(record: ReleaseRecord) -> None:
    """Refuse a release of which nothing is there.

    Raises:
        InputError: it was taken down, or is about to be.
    """
    if record.status in (*DOWN, "removing"):
        raise InputError(
            f"release {record.name} in {record.namespace} was taken down", hint="`invoke up` brings it back"
        )


def as_recorded(library: Library, record: ReleaseRecord) -> Release:
    """The release that the record speaks of; its manifests are masked, and so are for reading, not for applying.

    Raises:
        ProfileError: its profile is not here.
    """
    return _release(library, record, record.values, record.environment, record.manifests, "its record")


def target_of(record: ReleaseRecord, to: int | None = None) -> Revision:
    """The revision to go back to: the one named, else the last that came to its end before what is there now.

    Raises:
        InputError: there is none, or it cannot be gone back to.
    """
    possible = [revision for revision in record.history if revision.manifests]
    if record.status == "deployed":
        possible = [revision for revision in possible if revision.revision != record.revision]
    known = ", ".join(str(revision.revision) for revision in possible)
    hint = f"one of: {known}" if known else "`invoke up --end-rollout` with the values that you want"
    if to is None:
        if not possible:
            raise InputError(f"release {record.name} has no revision to go back to", hint=hint)
        return possible[-1]
    found = [revision for revision in possible if revision.revision == to]
    if found:
        return found[0]
    known_of = {revision.revision: revision for revision in record.history}
    if to == record.revision and record.status == "deployed":
        raise InputError(f"release {record.name} is at revision {to} now", hint=hint)
    if to in known_of and known_of[to].result != "deployed":
        why = f"it ended {known_of[to].result}, so that what it wanted never stood"
    else:
        why = "its manifests are not kept any more" if to in known_of else "there is no such revision"
    raise InputError(f"release {record.name} cannot go back to revision {to}", why=why, hint=hint)


def at_revision(kube: Kube, library: Library, record: ReleaseRecord, revision: Revision) -> Release:
    """The release as a revision had it, ready to be applied.

    Its number of pods must be the one of now: pods come and go by `scale`, which asks the profile's operations. Secrets
    stay as they are on the cluster, for records keep none.

    Raises:
        InputError: the number of pods differs, or what was applied held secret values.
        ClusterError: a Secret is gone.
        ProfileError: its profile is not here.
    """
    name = f"revision {revision.revision}"
    problems = [
        Problem(
            f"{name} of release {record.name} has {len(ordinals(body))} pods, "
            f"and StatefulSet/{live['metadata']['name']} has {len(ordinals(live))} now",
            hint=f"`invoke scale --name {record.name} --replicas {len(ordinals(body))}` first",
        )
        for body, live in _sets(kube, record, revision)
        if len(ordinals(live)) != len(ordinals(body)) and "replicas" in body["spec"]
    ]
    masked = [str(ObjectRef.of(body)) for body in revision.manifests if body["kind"] != "Secret" and _hides(body)]
    if masked:
        what = f"{name} of release {record.name} held secret values, which no record keeps"
        hint = "`invoke up --end-rollout` with the files and settings that it was made with"
        problems.append(Problem(what, ", ".join(masked), hint=hint))
    if problems:
        raise InputError(problems)
    bodies = [_filled(kube, body) if body["kind"] == "Secret" else body for body in revision.manifests]
    return _release(library, record, revision.values, revision.environment, bodies, name)


def _release(
    library: Library,
    record: ReleaseRecord,
    values: Json,
    environment: str | None,
    bodies: Iterable[Json],
    source: str,
) -> Release:
    where = Position(f"{source} of {record.name}")
    kept = Values(values, secret_paths=frozenset(hidden_values(values)))
    manifests = tuple(Manifest(body, where, generated=dict.fromkeys(_generated(body), _LENGTH)) for body in bodies)
    return Release(record.name, record.namespace, library.load(record.profile), environment, kept, manifests)


def _sets(kube: Kube, record: ReleaseRecord, revision: Revision) -> Iterator[tuple[Json, Json]]:
    """The revision's sets with those on the cluster."""
    for body in revision.manifests:
        if body["kind"] == "StatefulSet" and (live := kube.get(ObjectRef.of(body))) is not None:
            yield body, live


def _filled(kube: Kube, body: Json) -> Json:
    """A recorded Secret with the data that it has on the cluster."""
    ref = ObjectRef.of(body)
    wanted = {key for part in ("data", "stringData") for key in body.get(part) or {}}
    live = (kube.get(ref) or {}).get("data") or {}
    missing = sorted({*wanted, *_generated(body)} - live.keys())
    if missing:
        raise ClusterError(
            f"{ref} has no {', '.join(missing)} any more, and no record keeps the data of a Secret",
            hint="make it again, or `invoke up --end-rollout` with the values that you want",
        )
    kept = {key: value for key, value in body.items() if key not in ("data", "stringData")}
    return {**kept, "data": {key: live[key] for key in sorted(wanted)}} if wanted else kept


def _generated(body: Json) -> list[str]:
    """The keys of a Secret that were generated once, which no manifest has."""
    text = str(dig(body, "metadata", "annotations", GENERATED_ANNOTATION, default=""))
    return text.split(",") if text and body["kind"] == "Secret" else []


def _hides(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_hides, value.values()))
    return any(map(_hides, value)) if isinstance(value, list) else value == HIDDEN
