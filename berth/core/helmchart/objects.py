"""What `helm template` wrote, as the objects of a release: without hooks, and with the labels that berth goes by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from berth.core.draft import Draft, Origins
from berth.core.errors import Position, Problem, TemplateError
from berth.core.helmchart.looseyaml import read
from berth.core.helmchart.source import HOOKS, ChartSource
from berth.core.helmchart.values import Chart
from berth.core.objects import (
    CLUSTER_SCOPED,
    GENERATED_ANNOTATION,
    INSTANCE_LABEL,
    KEEP_ANNOTATION,
    MANAGED_BY_LABEL,
    Json,
    dig,
    field_path,
)
from berth.core.secretvalues import Copied, Generated
from berth.core.strictyaml import Path
from berth.core.values import Values, get

_SOURCE = re.compile(r"^---\n# Source: ([^\n]+)\n", re.MULTILINE)
#: Hooks that only `helm test` runs. Source: helm.sh/docs/topics/chart_tests
_TESTS = frozenset({"test", "test-success", "test-failure"})
_HOOK, _POLICY = "helm.sh/hook", "helm.sh/resource-policy"
#: Kinds for which teardown has rules of its own.
_BY_RULES = frozenset({"StatefulSet", "StorageClass", "Namespace", "PersistentVolumeClaim", "PersistentVolume"})
_DEFINITION = "CustomResourceDefinition"
_SEPARATELY = (
    f"install them on their own (`kubectl apply --server-side -f`), and say skip: [{_DEFINITION}] of the chart"
)
#: So many fields of an object, or files, an error names.
_NAMED = 5


def drafts(text: str, source: ChartSource, chart: Chart, values: Values, release: str) -> list[Draft]:
    """The objects in Helm's output, each at the chart's template that wrote it; none is looked at twice.

    Raises:
        TemplateError: something is no YAML; or it is a hook, or a kind's definition, and the profile does not skip it.
    """
    made: list[Draft] = []
    problems: list[Problem] = []
    secrets = list(_secrets(values))
    for body, position in _documents(text, chart):
        found = _judged(body, source, position)
        if isinstance(found, Problem):
            problems.append(found)
        elif found:
            body = _pruned(body)
            if isinstance(dig(body, "metadata"), dict) and isinstance(dig(body, "kind"), str):
                _own(body, release)
                _generated(body)
            made.append(_draft(body, position, secrets))
    if problems:
        raise TemplateError(problems)
    return made


def definitions(source: ChartSource, chart: Chart) -> list[Problem]:
    """What Helm would install before a release and never look at again: the profile must say that it is left out."""
    if not chart.definitions or source.leaves_out(_DEFINITION, "*"):
        return []
    files = _some(chart.definitions)
    what = f"the chart brings kinds of its own, which Helm would install, and berth does not: {files}"
    return [Problem(what, str(source.position), hint=_SEPARATELY)]


def unsteady(first: Sequence[Draft], second: Sequence[Draft]) -> list[Problem]:
    """What differs between two renderings of the same, by its fields."""
    return [
        Problem(
            f"{name} differs each time the chart renders it: {fields}",
            str(position),
            "it would change with every run, and roll the pods that read it",
            "set the value that the chart takes instead of making one up, or `skip` the object",
        )
        for name, position, fields in _differences(first, second)
    ]


def derived(first: Sequence[Draft], second: Sequence[Draft]) -> list[Problem]:
    """What differs where only the stand-ins of unknown values did; annotations may, which nobody logs in with."""
    return [
        Problem(
            f"{name} holds what the chart computes from a value that only the cluster has: {fields}",
            str(position),
            "the chart sees a stand-in, so that the result would be of no use",
            "give the value as text, or from a file or the environment",
        )
        for name, position, fields in _differences(first, second, "annotations")
    ]


def _differences(first: Sequence[Draft], second: Sequence[Draft], but: str = "") -> Iterator[tuple[str, Position, str]]:
    """The objects that differ, and the names of their fields, those below the key ``but`` aside."""
    others = {_name(draft.body): draft.body for draft in second}
    for draft in first:
        found = {
            path for path in _differing(draft.body, others.get(_name(draft.body)), ()) if but not in path or not but
        }
        paths = sorted(field_path(path) or "all of it" for path in found)
        if paths:
            yield _name(draft.body), draft.position, _some(paths)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _documents(text: str, chart: Chart) -> Iterator[tuple[Json, Position]]:
    """The objects, lists taken apart, and the template of each."""
    _, *parts = _SOURCE.split(text)
    for name, written in zip(parts[::2], parts[1::2], strict=True):
        position = Position(template_file(name, chart))
        for document in read(written, position.file):
            body = document.data
            if isinstance(body, dict) and body.get("kind") == "List" and isinstance(body.get("items"), list):
                yield from ((item, position) for item in body["items"] if item)
            elif body:
                yield body, position


def template_file(name: str, chart: Chart) -> str:
    """A file as Helm names it (thing/templates/x.yaml), as the user finds it."""
    return f"{chart.label}/{name.partition('/')[2]}"


def _judged(body: Any, source: ChartSource, position: Position) -> Problem | bool:
    """Whether an object is one of the release; the problem, where the profile must say."""
    kind, name = str(dig(body, "kind")), str(dig(body, "metadata", "name"))
    if source.leaves_out(kind, name):
        return False
    hooks = {word.strip() for word in str(dig(body, "metadata", "annotations", _HOOK, default="") or "").split(",")}
    if hooks - {""}:
        if hooks <= _TESTS or HOOKS in source.skip:
            return False
        return Problem(
            f"{kind}/{name} is a hook ({', '.join(sorted(hooks))}), which Helm would run, and berth does not",
            str(position),
            "what it prepares or cleans up would silently be missing",
            f"skip: [hooks], or [{kind}/{name}], in the profile's chart where it can do without; "
            "berth's own way are operations",
        )
    if kind == _DEFINITION:
        return Problem(
            f"{kind}/{name} would go with the release, and every object of that kind in the cluster with it",
            str(position),
            hint=_SEPARATELY,
        )
    return True


def _pruned(value: Any) -> Any:
    """The value without nulls: to Kubernetes they are fields that are not there."""
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    return [_pruned(item) for item in value if item is not None] if isinstance(value, list) else value


def _own(body: Json, release: str) -> None:
    """Let berth find the object, its pods and its claims again, as it does its own.

    What cannot be changed in place, or would roll the pods, is only touched where berth's label is missing.
    """
    metadata = body["metadata"]
    _keep(body["kind"], metadata)
    labels = metadata.get("labels", {})
    if isinstance(labels, dict):
        metadata["labels"] = {**labels, MANAGED_BY_LABEL: "berth"}
    if body["kind"] in CLUSTER_SCOPED:
        metadata.pop("namespace", None)  # Kubernetes takes no notice of it.
        return
    _label(body, release)
    template = dig(body, "spec", "jobTemplate", "spec", "template") or dig(body, "spec", "template")
    if isinstance(dig(template, "spec", "containers"), list):
        _label(template, release)
    selected = dig(body, "spec", "selector", "matchLabels", INSTANCE_LABEL)  # Claims get the labels of the selector.
    claims = dig(body, "spec", "volumeClaimTemplates") if body["kind"] == "StatefulSet" and not selected else ()
    for claim in claims if isinstance(claims, list) else ():
        if isinstance(claim, dict):
            _label(claim, release)


def _keep(kind: str, metadata: Json) -> None:
    """What Helm would never delete is kept as long as there is data."""
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and annotations.pop(_POLICY, "") == "keep" and kind not in _BY_RULES:
        annotations.setdefault(KEEP_ANNOTATION, "data")
    if annotations == {}:
        del metadata["annotations"]


def _generated(body: Json) -> None:
    """Charts that berth wrote make up what berth itself makes once: the Secret says which of its keys."""
    named = str(dig(body, "metadata", "annotations", GENERATED_ANNOTATION, default=""))
    data = body.get("data")
    if body["kind"] == "Secret" and isinstance(data, dict):
        for key in named.split(","):
            if isinstance(data.get(key), str):
                data[key] = Generated(len(data[key]) * 3 // 4 - data[key].count("="))


def _label(body: Json, release: str) -> None:
    metadata = body.setdefault("metadata", {})
    if isinstance(metadata, dict) and isinstance(metadata.get("labels", {}), dict):
        metadata["labels"] = {**metadata.get("labels", {})}
        metadata["labels"].setdefault(INSTANCE_LABEL, release)


def _draft(body: Any, position: Position, secrets: Sequence[tuple[str, str]]) -> Draft:
    notes: dict[Path, tuple[str, ...]] = {}
    for path, text in _texts(body, ()) if secrets else ():
        found = tuple(dict.fromkeys(name for name, secret in secrets if secret in text))
        if found:
            notes[path] = found
    return Draft(body, position, Origins({(): (0, 0)}, lambda line: position, notes))


def _secrets(values: Values) -> Iterator[tuple[str, str]]:
    """The paths of secret values, each with its texts; what is shorter is found everywhere."""
    for path in sorted(values.secret_paths):
        for _, text in _texts(get(values.data, path), ()):
            if len(text) >= 4:
                yield path, text


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif value is not None and not isinstance(value, bool | Generated | Copied):
        yield path, str(value)


def _name(body: Any) -> str:
    return f"{dig(body, 'kind')}/{dig(body, 'metadata', 'name')}"


def _differing(one: Any, other: Any, path: Path) -> Iterator[Path]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differing(one.get(key), other.get(key), (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            yield from _differing(first, second, (*path, index))
    elif one != other:
        yield path
