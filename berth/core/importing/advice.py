"""What somebody who imports a set should know: who else steers it, what is secret in it, what lint would mend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from berth.core.diff import MASKED, Change, shown_value
from berth.core.importing.text import KEPT
from berth.core.lint.model import Finding
from berth.core.lint.pods import SECRET_WORDS
from berth.core.objects import PART_OF_LABEL, Json, ObjectRef, dig

#: The rule of lint that says what `secrets` does.
_INLINE_SECRET = "pods/inline-secret"
#: A value that holds a password: postgres://user:password@host.
_SECRET_VALUE = re.compile(r"://[^/\s:@]*:[^/\s@$]+@")

_CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def secrets(statefulset: Json) -> Iterator[str]:
    """Where a variable seems to hold a secret as plain text: container and name, never the value."""
    pod = statefulset["spec"]["template"]["spec"]
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        for variable in container.get("env") or ():
            name, value = str(variable["name"]), str(variable.get("value") or "")
            if value.startswith(("$(", "/")):  # Another variable, or the path of a file.
                continue
            if value and (SECRET_WORDS.search(name.upper()) or _SECRET_VALUE.search(value)):
                yield f"container {container['name']}, variable {name}"


def owners(bodies: Iterable[Json], render: str) -> list[str]:
    """Who else applies these objects, and how they stop; one line each. ``render`` is the command that renders them."""
    found: dict[str, None] = {}
    for body in bodies:
        found.update(dict.fromkeys(_owners(body, render)))
    return list(found)


def _owners(body: Json, render: str) -> Iterator[str]:
    meta = body["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    namespace = meta["namespace"]
    name = annotations.get("meta.helm.sh/release-name")
    if name:
        space = annotations.get("meta.helm.sh/release-namespace", namespace)
        yield (
            f"helm has these objects in its release {name} in {space}: `helm upgrade` would change them back, and "
            "`helm uninstall` delete them. Once `up` has passed, let helm forget the release, which deletes nothing: "
            f"kubectl delete secret --namespace {space} --selector owner=helm,name={name}"
        )
    tracking = str(annotations.get("argocd.argoproj.io/tracking-id", ""))
    name = tracking.partition(":")[0] or labels.get("argocd.argoproj.io/instance")
    if name:
        yield (
            f"Argo CD syncs these objects for application {name}, and would change them back. Before `up`, annotate "
            "them with argocd.argoproj.io/sync-options=Prune=false, and take them out of its source"
        )
    for prefix, kind in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
        name = labels.get(f"{prefix}.toolkit.fluxcd.io/name")
        if name:
            yield (
                f"Flux reconciles these objects for {kind} {name}, and would change them back. Before `up`, suspend "
                "it, or annotate them with kustomize.toolkit.fluxcd.io/prune=disabled and take them out of its source"
            )
    if _LAST_APPLIED in annotations:
        yield (
            "kubectl apply has made these objects: applied again, the old files would change back what berth changes. "
            "Put them away once `up` has passed, and hand all fields to berth: "
            f"{render} | kubectl apply --server-side --field-manager berth --filename -"
        )


def managers(body: Json) -> list[str]:
    """The field managers of an object, but for controllers."""
    entries = dig(body, "metadata", "managedFields", default=[]) or []
    names = [str(entry.get("manager", "")) for entry in entries if entry.get("subresource") != "status"]
    return sorted({name for name in names if name and name not in _CONTROLLERS})


def own_marks(changes: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """The changes that are berth's own marks on an object, and all others."""
    marks = [one for one in changes if _is_mark(one)]
    return marks, [one for one in changes if one not in marks]


def _is_mark(change: Change) -> bool:
    if change.path in ("metadata.labels", "metadata.annotations"):
        return isinstance(change.new, dict) and all(map(_own, change.new)) and not isinstance(change.old, dict)
    found = re.fullmatch(r"metadata\.(?:labels|annotations)(?:\.([\w-]+)|\['(.+)'\])", change.path)
    return bool(found and _own(found[1] or found[2]))


def _own(key: Any) -> bool:
    return str(key) == PART_OF_LABEL or str(key).startswith("berth.dev/")


def change_line(ref: ObjectRef, change: Change) -> str:
    """A field that would change, for people; a variable may hold a secret, and is not shown."""
    old, new = (MASKED if ".env" in change.path else shown_value(value, 100) for value in (change.old, change.new))
    return f"{ref.kind}/{ref.name} {change.path}: {old} -> {new}"


def mend_lines(findings: Iterable[Finding]) -> list[str]:
    """What lint finds and can be mended, a line for each rule, the worst first; of `secrets` is warned already."""
    by_rule: dict[str, list[Finding]] = {}
    for one in sorted(findings, key=lambda one: (one.severity.rank, one.rule, one.object, one.path)):
        if not one.rule.startswith((*KEPT, _INLINE_SECRET)):
            by_rule.setdefault(one.rule, []).append(one)
    return [
        f"{found[0].severity} {rule}: {found[0].object}: {found[0].message}"
        + (f", and {len(found) - 1} more" if len(found) > 1 else "")
        + f"; {found[0].fix}"
        for rule, found in by_rule.items()
    ]
