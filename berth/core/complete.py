"""What every manifest gets after rendering, and what it must be: namespace, membership, Secret data, checksums."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from typing import Any

from berth.core.draft import Draft
from berth.core.errors import Problem, TemplateError
from berth.core.objects import (
    CHECKSUM_ANNOTATION,
    CLUSTER_SCOPED,
    GENERATED_ANNOTATION,
    MAX_SET_NAME,
    PART_OF_LABEL,
    Json,
    Manifest,
    ObjectRef,
    applyset_id,
    dig,
    field_path,
)
from berth.core.order import pod_references
from berth.core.secretvalues import Copied, Generated
from berth.core.strictyaml import Path

_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_ANY = re.compile(r"[^/%]+")

#: The form and length of names, by kind; the default is a DNS subdomain of 253.
#: Source: kubernetes.io/docs/concepts/overview/working-with-objects/names and the validation of each kind.
_NAMES: dict[str, tuple[re.Pattern[str], int, str]] = {
    "StatefulSet": (_LABEL, MAX_SET_NAME, "a DNS label; the pods carry it, with a revision hash, in a label of 63"),
    "Service": (_SERVICE, 63, "a DNS label that starts with a letter"),
    "Namespace": (_LABEL, 63, "a DNS label"),
    **dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), (_ANY, 253, "without / or %")),
}
_DEFAULT_NAME = (_SUBDOMAIN, 253, "lower case letters, digits, - and .")


def complete(drafts: Sequence[Draft], release: str, namespace: str, generated: bool = True) -> list[Manifest]:
    """The manifests of a release, in the order of the drafts; ``generated``: whether any may be generated or copied.

    Raises:
        TemplateError: with every object that is none, is named badly, or is there twice.
    """
    problems: list[Problem] = []
    for draft in drafts:
        problems += _shape(draft, release, namespace)
    if not problems:
        problems += _twice(drafts, namespace)
    if problems:
        raise TemplateError(problems)
    member = applyset_id(release, namespace)
    for draft in drafts:
        metadata = draft.body["metadata"]
        if draft.body["kind"] not in CLUSTER_SCOPED:
            metadata["namespace"] = namespace
            metadata["labels"] = {**metadata.get("labels", {}), PART_OF_LABEL: member}
        if draft.body["kind"] == "Secret" and not draft.body["apiVersion"].count("/"):
            problems += _secret(draft)
        if generated:
            problems += _stray(draft)
    if problems:
        raise TemplateError(problems)
    _checksums([draft.body for draft in drafts])
    return [Manifest(_ordered(d.body), d.position, d.origins, d.generated, d.copied) for d in drafts]


def with_copies(manifests: Sequence[Manifest], texts: Mapping[tuple[str, str], str]) -> tuple[Manifest, ...]:
    """The manifests with what other Secrets hold, by name and key, in base64; the pods' checksums are made anew."""
    made = [replace(manifest, body=deepcopy(manifest.body)) for manifest in manifests]
    for manifest in made:
        if manifest.copied:
            data = {key: texts[source] for key, source in manifest.copied.items()}
            manifest.body["data"] = {**manifest.body.get("data", {}), **data}
    _checksums([manifest.body for manifest in made])
    return tuple(made)


def _shape(draft: Draft, release: str, namespace: str) -> Iterator[Problem]:
    body = draft.body
    if not isinstance(body, dict):
        yield draft.problem(
            (), "a template renders Kubernetes objects, and this is none", "start it with apiVersion: …"
        )
        return
    for key in ("apiVersion", "kind"):
        if not isinstance(body.get(key), str) or not body[key]:
            yield draft.problem((key,), f"this object has no {key}")
            return
    kind = body["kind"]
    metadata = body.get("metadata")
    if kind.endswith("List") and "items" in body:
        yield draft.problem(("kind",), f"a {kind} is not one object", "write each item as a document, separated by ---")
        return
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        yield draft.problem(("metadata", "name"), f"this {kind} has no metadata.name, which must be text")
        return
    for key in ("labels", "annotations"):
        held = metadata.get(key, {})
        if not isinstance(held, dict):
            yield draft.problem(("metadata", key), f"metadata.{key} must be a mapping")
            continue
        for name, value in held.items():
            if not isinstance(value, str):
                what = f"the value of {name!r} in metadata.{key} must be text, and {_kind(value)} is none"
                yield draft.problem(("metadata", key, name), what, "put it in quotes")
    yield from _name(draft, kind, metadata["name"], release)
    written = metadata.get("namespace", namespace)
    if written != namespace or ("namespace" in metadata and kind in CLUSTER_SCOPED):
        what = f"{kind}/{metadata['name']} sets a namespace of its own"
        yield draft.problem(("metadata", "namespace"), what, "leave it away; the release's namespace is set for it")


def _name(draft: Draft, kind: str, name: str, release: str) -> Iterator[Problem]:
    form, limit, words = _NAMES.get(kind, _DEFAULT_NAME)
    if len(name) > limit:
        what = f"the name of {kind} {name!r} has {len(name)} characters; {limit} are possible"
        hint = "choose a shorter --name" if release in name else "choose a shorter name"
        yield draft.problem(("metadata", "name"), what, f"{hint} ({words})")
    elif not form.fullmatch(name):
        yield draft.problem(("metadata", "name"), f"{name!r} is no name for a {kind}", f"it takes {words}")


def _twice(drafts: Sequence[Draft], namespace: str) -> Iterator[Problem]:
    seen: dict[ObjectRef, Draft] = {}
    for draft in drafts:
        found = ObjectRef.of(draft.body)
        ref = found if found.kind in CLUSTER_SCOPED else ObjectRef(found.group, found.kind, namespace, found.name)
        if ref in seen:
            what = f"{ref} is there twice, first at {seen[ref].position}"
            yield draft.problem((), what, "give one of them another name, or remove it")
        seen.setdefault(ref, draft)


def _secret(draft: Draft) -> Iterator[Problem]:
    """Turn ``stringData`` into ``data``, and take out what is generated."""
    body = draft.body
    data: Json = {}
    for section in ("data", "stringData"):
        held = body.pop(section, {})
        if not isinstance(held, dict):
            yield draft.problem((section,), f"{section} of a Secret must be a mapping")
            continue
        for key, value in held.items():
            for before in (data, draft.generated, draft.copied):
                before.pop(key, None)
            if isinstance(value, Generated):
                draft.generated[key] = value.length
            elif isinstance(value, Copied):
                draft.copied[key] = (value.name, value.key)
            elif not isinstance(value, str):
                what = f"the value of {key!r} in a Secret must be text, and {_kind(value)} is none"
                yield draft.problem((section, key), what, 'write "{{ x }}" in quotes')
            elif section == "stringData":
                draft.origins.alias((section, key), ("data", key))
                data[key] = b64encode(value.encode("utf-8", "surrogatepass")).decode()
            else:
                data[key] = value
    if data:
        body["data"] = data
    if draft.generated:
        annotations = body["metadata"].setdefault("annotations", {})
        annotations[GENERATED_ANNOTATION] = ",".join(sorted(draft.generated))


def _stray(draft: Draft) -> Iterator[Problem]:
    """Values that only the cluster has, where they cannot be put."""
    waiting: list[tuple[Path, Any]] = [((), draft.body)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), item) for index, item in enumerate(value)]
        elif isinstance(value, Generated | Copied):
            what = f"{field_path(path)} cannot be {value}"
            yield draft.problem(
                path, what, "only the cluster has it: it is for a whole value under stringData of a Secret"
            )


def _checksums(bodies: Sequence[Json]) -> None:
    """Annotate pod templates with a checksum over the configuration that their pods read."""
    held = {
        (body["kind"], body["metadata"]["name"]): [body["kind"], body["metadata"]["name"], body.get("data", {})]
        + ([body["binaryData"]] if "binaryData" in body else [])
        for body in bodies
        if body["kind"] in ("ConfigMap", "Secret") and body["apiVersion"] == "v1"
    }
    for body in bodies:
        template = dig(body, "spec", "jobTemplate", "spec", "template") or dig(body, "spec", "template")
        pod = dig(template, "spec")
        if not isinstance(template, dict) or not isinstance(pod, dict) or "containers" not in pod:
            continue
        named = sorted({(kind, name) for _, kind, name in pod_references(pod) if (kind, name) in held})
        if named:
            text = json.dumps([held[key] for key in named], sort_keys=True, ensure_ascii=False)
            metadata = template.setdefault("metadata", {})
            digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            metadata["annotations"] = {**metadata.get("annotations", {}), CHECKSUM_ANNOTATION: digest}


_FIRST = ("apiVersion", "kind", "metadata", "immutable", "type", "spec")
_FIRST_META = ("name", "namespace", "labels", "annotations")


def _ordered(body: Json) -> Json:
    """The object with its top keys in the order in which people write them."""
    metadata = {key: body["metadata"][key] for key in _FIRST_META if key in body["metadata"]}
    metadata.update(body["metadata"])
    made = {key: body[key] for key in _FIRST if key in body}
    made.update(body)
    made["metadata"] = metadata
    return made


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else str(value)[:40]
