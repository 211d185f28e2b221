"""Exports for Flux: the objects, and a Kustomization for each release.

Fields: docs/spec/v1/kustomizations.md of kustomize-controller, docs/spec/v1/gitrepositories.md of source-controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from berth.core.export.model import Exported, holds_data, names_of
from berth.core.export.plain import document, manifests
from berth.core.objects import Json

#: The directory of a target that Flux's own objects are in. No namespace can have this name.
PLACE = "_flux"

_PRUNE = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
#: How long pods may take; the default is the interval, in which a database that replays its log does not get ready.
_TIMEOUT = "10m"


@dataclass(frozen=True, slots=True)
class Flux:
    """Where Flux finds the export, and where its objects go.

    ``path`` is the export's directory in the source, "" for its root. With a ``repo_url`` the GitRepository is written
    too; ``revision`` is its branch, or a full reference such as refs/tags/v1.
    """

    source: str = "flux-system"
    kind: str = "GitRepository"
    path: str = ""
    namespace: str = "flux-system"
    repo_url: str = ""
    revision: str = "main"


def flux(releases: Sequence[Exported], options: Flux) -> dict[str, str]:
    """The files of the releases, and those by which Flux finds them.

    Raises:
        InputError: two Kustomizations would have the same name.
    """
    made: dict[str, str] = {}
    for place in dict.fromkeys(release.place for release in releases):
        there = [release for release in releases if release.place == place]
        names = names_of(there, with_target=False)
        if options.repo_url:
            made[f"{place}/{PLACE}/gitrepository.yaml"] = document(_repository(options))
        for namespace in dict.fromkeys(release.namespace for release in there):
            # Flux makes none by itself; the one named default is always there. No release can have this file name.
            if namespace != "default" and not any(_makes(release, namespace) for release in there):
                text = document(_namespace(namespace))
                made[f"{place}/{PLACE}/namespace.{namespace}.yaml"] = text
        for release in there:
            made |= manifests(release, {item.file: _PRUNE for item in release.items if holds_data(item.body)})
            text = document(_kustomization(release, names, options))
            made[f"{place}/{PLACE}/{names[release.directory]}.yaml"] = text
    return made


def _makes(release: Exported, namespace: str) -> bool:
    return any(item.ref.kind == "Namespace" and item.ref.name == namespace for item in release.items)


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": _PRUNE}}


def _repository(options: Flux) -> Json:
    full = options.revision.startswith("refs/")
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": options.source, "namespace": options.namespace},
        "spec": {
            "interval": "5m",
            "url": options.repo_url,
            "ref": {"name" if full else "branch": options.revision},
        },
    }


def _kustomization(release: Exported, names: dict[str, str], options: Flux) -> Json:
    sets = [item.ref for item in release.items if item.ref.kind == "StatefulSet"]
    checks = [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": ref.name, "namespace": ref.namespace} for ref in sets
    ]
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": names[release.directory], "namespace": options.namespace},
        "spec": {
            "interval": "10m",
            "retryInterval": "1m",
            "timeout": _TIMEOUT,
            "path": "./" + "/".join(filter(None, (options.path, release.directory))),
            "prune": True,
            # What it made outlives it; a release is taken down on purpose, or not at all.
            "deletionPolicy": "Orphan",
            "sourceRef": {"kind": options.kind, "name": options.source},
            **({"dependsOn": [{"name": names[need]} for need in release.needs]} if release.needs else {}),
            # With `wait` Flux would not look at healthChecks.
            **({"healthChecks": checks} if checks else {"wait": True}),
        },
    }
