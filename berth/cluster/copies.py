"""What other Secrets of the namespace hold, put into manifests that are to have it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from berth.cluster.kube import Kube
from berth.cluster.runner import all_of
from berth.core.complete import with_copies
from berth.core.errors import PreflightError, Problem
from berth.core.objects import Json, Manifest, ObjectRef

#: Whether something stands in for a Secret that is not there: in a throw-away rehearsal nobody could have made it.
standing_in = False
_STAND_IN = b64encode(b"stand-in").decode()


def filled(kube: Kube, manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """The manifests with the keys that are copied from Secrets as these are now; one read for each Secret.

    Raises:
        PreflightError: a Secret or a key is not there; every one is named.
        DeniedError: one may not be read.
    """
    copying = [manifest for manifest in manifests if manifest.copied]
    if not copying:
        return manifests
    names = sorted({(one.ref.namespace, name) for one in copying for name, _ in one.copied.values()})
    bodies = all_of(names, lambda name: kube.get(ObjectRef("", "Secret", *name)))
    live = dict(zip(names, bodies, strict=True))
    problems = [problem for manifest in copying for problem in _missing(manifest, live)]
    if problems and not standing_in:
        raise PreflightError(dict.fromkeys(problems))
    held = {(name, key): text for (_, name), body in live.items() for key, text in _data(body).items()}
    wanted = {source for manifest in copying for source in manifest.copied.values()}
    return with_copies(manifests, {source: held.get(source, _STAND_IN) for source in wanted})


def _missing(manifest: Manifest, live: dict[tuple[str, str], Json | None]) -> Iterator[Problem]:
    space = manifest.ref.namespace
    for own, (name, key) in manifest.copied.items():
        body = live[space, name]
        if key not in _data(body):
            what = f"Secret/{name} in {space} " + ("is not there" if body is None else f"has no key {key}")
            why = f"{own} of {manifest.ref} is to be a copy of its key {key}"
            yield Problem(what, str(manifest.position), why, "make it first, or name another one as existingSecret")


def _data(body: Json | None) -> Json:
    return (body or {}).get("data") or {}
