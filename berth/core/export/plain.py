"""Exports that no engine needs to be told of: the objects as files, with a kustomization where it is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

from berth.core.export.model import Exported, Withheld, annotated
from berth.core.objects import Json
from berth.core.yamltext import dump_all

#: Tells of the Secrets that an export leaves out; no engine takes it for an object.
SECRETS_PAGE = "secrets.md"


def manifests(release: Exported, extra: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, str]:
    """A file for each object, with annotations to add by the name of its file, and the page of its Secrets."""
    made = {
        f"{release.directory}/{item.file}": document(annotated(item.body, (extra or {}).get(item.file, {})))
        for item in release.items
    }
    if release.withheld:
        made[f"{release.directory}/{SECRETS_PAGE}"] = _secrets(release)
    return made


def document(body: Json, comment: str = "") -> str:
    """The text of a file with one object."""
    return dump_all([(comment, body)])


def plain(releases: Sequence[Exported]) -> dict[str, str]:
    """The objects, and nothing else."""
    return {name: text for release in releases for name, text in manifests(release).items()}


def kustomize(releases: Sequence[Exported]) -> dict[str, str]:
    """The objects, a kustomization for each release, and one for each target that has them all.

    A release that has nothing but Secrets has none: kustomize takes no empty one.
    """
    made: dict[str, str] = {}
    built: dict[str, list[str]] = {}
    for release in releases:
        if names := [item.file for item in release.items]:
            comment = f"The Secrets of this release are not here: {SECRETS_PAGE}" if release.withheld else ""
            made[f"{release.directory}/kustomization.yaml"] = document(_kustomization(names), comment)
            built.setdefault(release.place, []).append(f"{release.namespace}/{release.name}")
        made |= manifests(release)
    for place, inner in built.items():
        made[f"{place}/kustomization.yaml"] = document(_kustomization(inner))
    return made


def _kustomization(resources: list[str]) -> Json:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        # In the order of this list; else kustomize has an order of its own.
        "sortOptions": {"order": "fifo"},
        "resources": resources,
    }


def _secrets(release: Exported) -> str:
    lines = [
        f"# Secrets of {release.name} in {release.namespace}",
        "",
        "An export holds no values of Secrets. These must be there before the pods can start; until then they wait.",
        "Where `berth up` has installed this release, they are there already, and nothing that applies these files",
        "touches them. Otherwise make each once: by the command below, or with External Secrets or Sealed Secrets.",
        "Their objects belong into another directory, since this one has only what `berth export` writes.",
    ]
    for secret in release.withheld:
        lines += ["", *_secret(secret)]
    return "\n".join(lines) + "\n"


def _secret(secret: Withheld) -> list[str]:
    ref = secret.ref
    lines = [f"## {ref.name}", ""]
    if secret.keep:
        lines += ["Keep it as long as the claims: what it holds is inside the data too.", ""]
    lines += ["| key | value |", "|---|---|"]
    lines += [f"| {key} | {_kind(secret, key)} |" for key in secret.keys]
    # `create secret generic` takes any type.
    kind = [f"--type={quote(secret.type)}"] if secret.type != "Opaque" else []
    words = [f"kubectl create secret generic {ref.name} --namespace {ref.namespace}", *kind]
    words += [_option(secret, key) for key in secret.keys]
    return [*lines, "", "```sh", " \\\n  ".join(words), "```"]


def _kind(secret: Withheld, key: str) -> str:
    if key in secret.generated:
        return f"{secret.generated[key]} random characters, made once"
    if key in secret.copied:
        name, other = secret.copied[key]
        return f"what the key {other} of Secret {name} holds"
    return "a text of yours, which no export knows"


def _option(secret: Withheld, key: str) -> str:
    if key in secret.generated:
        made = f"LC_ALL=C tr -dc A-Za-z0-9 </dev/urandom | head -c {secret.generated[key]}"
    elif key in secret.copied:
        name, other = secret.copied[key]
        path = other.replace(".", "\\.")
        get = f"kubectl get secret {name} --namespace {secret.ref.namespace} --output jsonpath='{{.data.{path}}}'"
        made = f"{get} | base64 --decode"
    else:
        return f"--from-file={quote(key)}=FILE"
    return f'--from-literal={quote(key)}="$({made})"'
