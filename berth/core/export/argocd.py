"""Exports for Argo CD: the objects with sync waves, and an Application for each release or an ApplicationSet.

Annotations, options and fields: docs/user-guide/sync-options.md, sync-waves.md and diff-strategies.md of Argo CD, and
docs/operator-manual/applicationset/Progressive-Syncs.md and Controlling-Resource-Modification.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from berth.core.export.model import Exported, Item, holds_data, names_of
from berth.core.export.plain import document, manifests
from berth.core.objects import Json

#: The directory of a target that Argo CD's own objects are in. No namespace can have this name.
PLACE = "_argocd"

_WAVE = "argocd.argoproj.io/sync-wave"
_OPTIONS = "argocd.argoproj.io/sync-options"
_COMPARE = "argocd.argoproj.io/compare-options"
_WAVE_LABEL = "berth.dev/wave"
_GROUP = "argoproj.io/v1alpha1"


@dataclass(frozen=True, slots=True)
class Argo:
    """Where Argo CD finds the export, and where its objects go.

    ``path`` is the export's directory in the repository, "" for its root. ``application_set`` is the name of an
    ApplicationSet to write in place of Applications, or "".
    """

    repo_url: str
    revision: str = "HEAD"
    path: str = ""
    namespace: str = "argocd"
    project: str = "default"
    application_set: str = ""


def argocd(releases: Sequence[Exported], argo: Argo) -> dict[str, str]:
    """The files of the releases, and those by which Argo CD finds them.

    Raises:
        InputError: two Applications would have the same name.
    """
    names = names_of(releases, with_target=True)
    made: dict[str, str] = {}
    for release in releases:
        made |= manifests(release, {item.file: _annotations(item) for item in release.items})
        if not argo.application_set:
            body = _application(release, names[release.directory], argo)
            made[f"{release.place}/{PLACE}/{names[release.directory]}.yaml"] = document(body)
    if argo.application_set:
        for place in dict.fromkeys(release.place for release in releases):
            there = [release for release in releases if release.place == place]
            text = document(_application_set(there, names, argo))
            made[f"{place}/{PLACE}/applicationset.yaml"] = text
    return made


def _annotations(item: Item) -> dict[str, str]:
    return {_WAVE: str(item.wave), **({_OPTIONS: "Prune=false,Delete=false"} if holds_data(item.body) else {})}


def _application(release: Exported, name: str, argo: Argo) -> Json:
    annotations = {_WAVE: str(release.wave), _COMPARE: "ServerSideDiff=true"}
    meta = {"name": name, "namespace": argo.namespace, "annotations": annotations}
    spec = _spec(argo, _path(argo, release.directory), release.namespace, release.target)
    return {"apiVersion": _GROUP, "kind": "Application", "metadata": meta, "spec": spec}


def _application_set(releases: Sequence[Exported], names: dict[str, str], argo: Argo) -> Json:
    """One for a target, with a list that needs no look into git.

    Its waves are steps of a progressive sync, which Argo CD has to be told to do; else they are ignored.
    """
    target = releases[0].target
    elements = [
        {
            "name": names[release.directory],
            "namespace": release.namespace,
            "path": _path(argo, release.directory),
            "wave": str(release.wave),
        }
        for release in releases
    ]
    template: Json = {
        "metadata": {
            "name": "{{.name}}",
            "labels": {_WAVE_LABEL: "{{.wave}}"},
            "annotations": {_COMPARE: "ServerSideDiff=true"},
        },
        "spec": _spec(argo, "{{.path}}", "{{.namespace}}", target),
    }
    waves = sorted({release.wave for release in releases})
    steps = [{"matchExpressions": [{"key": _WAVE_LABEL, "operator": "In", "values": [str(wave)]}]} for wave in waves]
    return {
        "apiVersion": _GROUP,
        "kind": "ApplicationSet",
        "metadata": {
            "name": "-".join(filter(None, (argo.application_set, target))),
            "namespace": argo.namespace,
        },
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"list": {"elements": elements}}],
            **({"strategy": {"type": "RollingSync", "rollingSync": {"steps": steps}}} if len(waves) > 1 else {}),
            # What it made outlives it: without this, its Applications take their objects with them.
            "syncPolicy": {"preserveResourcesOnDeletion": True},
            "template": template,
        },
    }


def _spec(argo: Argo, path: str, namespace: str, target: str) -> Json:
    where = {"name": target} if target else {"server": "https://kubernetes.default.svc"}
    return {
        "project": argo.project,
        "source": {"repoURL": argo.repo_url, "targetRevision": argo.revision, "path": path},
        "destination": {**where, "namespace": namespace},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
        },
    }


def _path(argo: Argo, directory: str) -> str:
    return f"{argo.path}/{directory}" if argo.path else directory
